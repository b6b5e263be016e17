//! The parts of a value, as a deserializer presents them: items, entries and variants.

use std::collections::btree_map;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::de::ValueDeserializer;
use super::{Map, SerdeError, Tagged, Value, names};

/// A variant as users write them: a name, and what it contains if anything.
pub(super) struct Variant<'de> {
    pub(super) variant: &'de Value,
    pub(super) content: Option<ValueDeserializer<'de>>,
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
pub(super) struct Within<'de> {
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
pub(super) struct Content<'de>(Option<ValueDeserializer<'de>>);

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

/// The items of a list or the members of a set.
pub(super) struct Items<I> {
    items: I,
    depth: usize,
    next: usize,
}

impl<'de, I: ExactSizeIterator<Item = &'de Value>> Items<I> {
    pub(super) fn new(items: I, depth: usize) -> Self {
        Self { items, depth, next: 0 }
    }

    /// How many have not been delivered.
    pub(super) fn left(&self) -> usize {
        self.items.len()
    }
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
pub(super) struct Pair<'de> {
    tag: Option<&'de str>,
    value: Option<&'de Value>,
    depth: usize,
}

impl<'de> Pair<'de> {
    pub(super) fn new(tagged: &'de Tagged, depth: usize) -> Self {
        Self {
            tag: Some(tagged.tag()),
            value: Some(tagged.value()),
            depth,
        }
    }
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

/// The entries of a map.
pub(super) struct Entries<'de> {
    map: &'de Map,
    entries: btree_map::Iter<'de, Value, Value>,
    /// The entry whose key was delivered last.
    value: Option<(&'de Value, &'de Value)>,
    /// Whether the keys are the fields of a struct.
    fields: bool,
    depth: usize,
}

impl<'de> Entries<'de> {
    /// With `fields`, the keys are those of a struct.
    pub(super) fn new(map: &'de Map, fields: bool, depth: usize) -> Self {
        Self {
            map,
            entries: map.iter(),
            value: None,
            fields,
            depth,
        }
    }
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
