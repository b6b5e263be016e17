//! From values to serde types.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::{MAX_DEPTH, Map, SerdeError, Tagged, Value, names};
use crate::Result;

/// What a value is as a type of the program. The [module](super) says what fits what.
///
/// # Errors
///
/// `codec`, with the path inside the value, when the value does not fit the type, or has more than [`MAX_DEPTH`] levels.
///
/// ```
/// use konserve_core::{ErrorKind, value};
/// use serde::Deserialize;
///
/// #[derive(Debug, Deserialize)]
/// struct User {
///     age: u8,
/// }
///
/// let users = r#"{"users" [{:age 36} {:age "unknown"}]}"#.parse()?;
/// let error = value::from_value::<std::collections::BTreeMap<String, Vec<User>>>(users).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Codec);
/// assert_eq!(error.to_string(), r#"at ["users" 1 :age]: found text, expected u8"#);
/// # Ok::<(), konserve_core::Error>(())
/// ```
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    from_value_ref(&value)
}

/// As [`from_value`], without giving the value away: the type may borrow text and bytes from it.
///
/// # Errors
///
/// As [`from_value`].
pub fn from_value_ref<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T> {
    Ok(T::deserialize(ValueDeserializer { value, depth: 0 })?)
}

/// Presents a value that is inside this many levels.
#[derive(Clone, Copy)]
struct ValueDeserializer<'de> {
    value: &'de Value,
    depth: usize,
}

impl<'de> ValueDeserializer<'de> {
    /// The depth of what is inside of it.
    fn inside(self) -> Result<usize, SerdeError> {
        if self.depth < MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(SerdeError::too_deep())
        }
    }

    fn visit_items<V, I>(self, items: I, visitor: V) -> Result<V::Value, SerdeError>
    where
        V: Visitor<'de>,
        I: ExactSizeIterator<Item = &'de Value>,
    {
        let depth = self.inside()?;
        let mut access = Items { items, depth, next: 0 };
        let result = visitor.visit_seq(&mut access)?;
        match access.items.len() {
            0 => Ok(result),
            more => Err(SerdeError::new(format_args!(
                "a list with {more} items more than expected"
            ))),
        }
    }

    fn visit_pair<V: Visitor<'de>>(self, tagged: &'de Tagged, visitor: V) -> Result<V::Value, SerdeError> {
        let depth = self.inside()?;
        visitor.visit_seq(Pair {
            tag: Some(tagged.tag()),
            value: Some(tagged.value()),
            depth,
        })
    }

    fn visit_entries<V: Visitor<'de>>(self, map: &'de Map, fields: bool, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_map(Entries {
            map,
            entries: map.iter(),
            value: None,
            fields,
            depth: self.inside()?,
        })
    }

    /// The error for a value that is not of the kind expected.
    fn mismatch(self, expected: &dyn Expected) -> SerdeError {
        de::Error::invalid_type(Unexpected::Other(self.value.type_name()), expected)
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = SerdeError;

    forward_to_deserialize_any! { bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char map unit unit_struct }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(it) => visitor.visit_bool(*it),
            // The narrowest call that fits: many visitors know no others.
            Value::Integer(it) => match (i64::try_from(*it), u64::try_from(*it)) {
                (Ok(it), _) => visitor.visit_i64(it),
                (_, Ok(it)) => visitor.visit_u64(it),
                _ => visitor.visit_i128(*it),
            },
            Value::Float(it) => visitor.visit_f64(*it),
            Value::Text(it) => visitor.visit_borrowed_str(it),
            Value::Bytes(it) => visitor.visit_borrowed_bytes(it),
            Value::List(it) => self.visit_items(it.iter(), visitor),
            Value::Set(it) => self.visit_items(it.iter(), visitor),
            Value::Map(it) => self.visit_entries(it, false, visitor),
            Value::Keyword(it) => visitor.visit_borrowed_str(it.as_str()),
            Value::Uuid(it) => visitor.visit_str(it.hyphenated().encode_lower(&mut [0; 36])),
            Value::Instant(it) => visitor.visit_string(it.to_string()),
            Value::Tagged(it) => self.visit_pair(it, visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            // A `String` would take bytes that happen to be UTF-8.
            Value::Bytes(_) => Err(self.mismatch(&visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Uuid(it) => visitor.visit_borrowed_bytes(it.as_bytes()),
            // A `ByteBuf` would take the bytes of any text.
            Value::Text(_) | Value::Keyword(_) | Value::Instant(_) => Err(self.mismatch(&visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match (name, self.value) {
            (names::VALUE, _) => visitor.visit_newtype_struct(Exact(self)),
            (names::TAGGED, Value::Tagged(tagged)) => self.visit_pair(tagged, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            Value::Tagged(_) => Err(self.mismatch(&visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Map(map) => self.visit_entries(map, true, visitor),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let (variant, content) = match self.value {
            Value::Map(map) => match map.iter().next() {
                Some((variant, content)) if map.len() == 1 => {
                    let (value, depth) = (content, self.inside()?);
                    (variant, Some(ValueDeserializer { value, depth }))
                }
                _ => {
                    let found = format!("a map of {} entries where one names the variant", map.len());
                    return Err(de::Error::invalid_type(Unexpected::Other(&found), &visitor));
                }
            },
            variant => (variant, None),
        };
        match variant {
            Value::Text(_) | Value::Keyword(_) => visitor.visit_enum(Variant { variant, content }),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Keyword(keyword) => visitor.visit_borrowed_str(keyword.identifier()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_unit()
    }
}

/// Presents a value to a [`Value`] that is to become the same, by the protocol of [`names`].
struct Exact<'de>(ValueDeserializer<'de>);

impl<'de> Deserializer<'de> for Exact<'de> {
    type Error = SerdeError;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        let name = match self.0.value {
            Value::Map(_) => names::MAP,
            Value::Set(_) => names::SET,
            Value::Keyword(_) => names::KEYWORD,
            Value::Uuid(_) => names::UUID,
            Value::Instant(_) => names::INSTANT,
            Value::Tagged(_) => names::TAGGED,
            _ => return self.0.deserialize_any(visitor),
        };
        visitor.visit_enum(Named { name, content: self.0 })
    }
}

/// A value as the variant of its name.
struct Named<'de> {
    name: &'static str,
    content: ValueDeserializer<'de>,
}

impl<'de> EnumAccess<'de> for Named<'de> {
    type Error = SerdeError;
    type Variant = Content<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'de>), SerdeError> {
        let name = seed.deserialize(BorrowedStrDeserializer::new(self.name))?;
        Ok((name, Content(Some(self.content))))
    }
}

/// A variant as users write them: a name, and what it contains if anything.
struct Variant<'de> {
    variant: &'de Value,
    content: Option<ValueDeserializer<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = SerdeError;
    type Variant = Within<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Within<'de>), SerdeError> {
        let name = match self.variant {
            Value::Keyword(keyword) => keyword.identifier(),
            Value::Text(text) => text,
            other => {
                return Err(SerdeError::new(format_args!(
                    "found {}, expected a variant",
                    other.type_name()
                )));
            }
        };
        let within = Within {
            variant: self.variant,
            content: Content(self.content),
        };
        Ok((seed.deserialize(BorrowedStrDeserializer::new(name))?, within))
    }
}

/// What a variant contains, with the variant as a step of the path to it.
struct Within<'de> {
    variant: &'de Value,
    content: Content<'de>,
}

impl<'de> VariantAccess<'de> for Within<'de> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        self.content.unit_variant().map_err(|error| error.at(self.variant))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, SerdeError> {
        let result = self.content.newtype_variant_seed(seed);
        result.map_err(|error| error.at(self.variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, SerdeError> {
        let result = self.content.tuple_variant(len, visitor);
        result.map_err(|error| error.at(self.variant))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let result = self.content.struct_variant(fields, visitor);
        result.map_err(|error| error.at(self.variant))
    }
}

/// What a variant contains, if anything.
struct Content<'de>(Option<ValueDeserializer<'de>>);

impl<'de> Content<'de> {
    fn required(self) -> Result<ValueDeserializer<'de>, SerdeError> {
        self.0
            .ok_or_else(|| SerdeError::new("found a variant without content, expected one with"))
    }
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        self.0.map_or(Ok(()), Deserialize::deserialize)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, SerdeError> {
        seed.deserialize(self.required()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, SerdeError> {
        self.required()?.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.required()?.deserialize_struct("", fields, visitor)
    }
}

struct Items<I> {
    items: I,
    depth: usize,
    next: usize,
}

impl<'de, I: ExactSizeIterator<Item = &'de Value>> SeqAccess<'de> for &mut Items<I> {
    type Error = SerdeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        let Some(value) = self.items.next() else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        let depth = self.depth;
        let result = seed.deserialize(ValueDeserializer { value, depth });
        result.map(Some).map_err(|error| error.at(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A tag and its value.
struct Pair<'de> {
    tag: Option<&'de str>,
    value: Option<&'de Value>,
    depth: usize,
}

impl<'de> SeqAccess<'de> for Pair<'de> {
    type Error = SerdeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        if let Some(tag) = self.tag.take() {
            return seed.deserialize(BorrowedStrDeserializer::new(tag)).map(Some);
        }
        let Some(value) = self.value.take() else {
            return Ok(None);
        };
        let depth = self.depth;
        seed.deserialize(ValueDeserializer { value, depth }).map(Some)
    }
}

struct Entries<'de> {
    map: &'de Map,
    entries: std::collections::btree_map::Iter<'de, Value, Value>,
    /// The entry whose key was delivered last.
    value: Option<(&'de Value, &'de Value)>,
    /// Whether the keys are the fields of a struct.
    fields: bool,
    depth: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = SerdeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, SerdeError> {
        for entry in self.entries.by_ref() {
            let (key, _) = entry;
            let shadowed = match key {
                Value::Keyword(keyword) => self.map.contains_key(&Value::from(keyword.identifier())),
                _ => false,
            };
            if shadowed && self.fields {
                continue;
            }
            self.value = Some(entry);
            let key = ValueDeserializer {
                value: key,
                depth: self.depth,
            };
            let result = match (key.value, self.fields) {
                (Value::Keyword(keyword), _) => {
                    let text = if shadowed {
                        keyword.as_str()
                    } else {
                        keyword.identifier()
                    };
                    seed.deserialize(KeywordKey { key, text })
                }
                (Value::Text(_), _) | (_, false) => seed.deserialize(key),
                // An integer must not select a field by its position.
                (other, true) => seed.deserialize(StrDeserializer::new(&other.to_string())),
            };
            return result.map(Some).map_err(|error| error.at(key.value));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, SerdeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(SerdeError::new("a value is asked for before its key"));
        };
        let depth = self.depth;
        let result = seed.deserialize(ValueDeserializer { value, depth });
        result.map_err(|error| error.at(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A keyword as the key of a map. It reads as its text without the colon, or with it where the map has that text as well.
struct KeywordKey<'de> {
    key: ValueDeserializer<'de>,
    text: &'de str,
}

impl<'de> Deserializer<'de> for KeywordKey<'de> {
    type Error = SerdeError;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match name {
            names::KEYWORD | names::VALUE => self.key.deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.text))
    }
}
