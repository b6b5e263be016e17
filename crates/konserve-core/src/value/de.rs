//! From values to serde types.

use std::cell::Cell;

use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, Expected, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::de_parts::{Entries, Items, Pair, Variant};
use super::{MAX_DEPTH, Map, SerdeError, Tagged, Value, hand_over, names};
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
    let value = Cell::new(Some(value));
    let whole = T::deserialize(Whole(&value));
    match value.into_inner() {
        // It went as it is into a `Value`, or into a type that is nothing but one.
        None => Ok(whole?),
        Some(value) => from_value_ref(&value),
    }
}

/// As [`from_value`], without giving the value away: the type may borrow text and bytes from it.
///
/// # Errors
///
/// As [`from_value`].
pub fn from_value_ref<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T> {
    Ok(T::deserialize(ValueDeserializer { value, depth: 0 })?)
}

/// Gives a value away whole if it is a [`Value`] that is wanted, and otherwise fails and leaves the value.
struct Whole<'a>(&'a Cell<Option<Value>>);

impl<'de> Deserializer<'de> for Whole<'_> {
    type Error = SerdeError;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, SerdeError> {
        Err(SerdeError::new(""))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        if name != names::VALUE {
            return visitor.visit_newtype_struct(self);
        }
        match self.0.take() {
            Some(value) if value.fits_depth(MAX_DEPTH) => hand_over(value, visitor),
            _ => Err(SerdeError::too_deep()),
        }
    }
}

/// Presents a value that is inside this many levels.
#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'de> {
    pub(super) value: &'de Value,
    pub(super) depth: usize,
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
        let mut access = Items::new(items, depth);
        let result = visitor.visit_seq(&mut access)?;
        match access.left() {
            0 => Ok(result),
            more => Err(SerdeError::new(format_args!(
                "a list with {more} items more than expected"
            ))),
        }
    }

    fn visit_pair<V: Visitor<'de>>(self, tagged: &'de Tagged, visitor: V) -> Result<V::Value, SerdeError> {
        let depth = self.inside()?;
        visitor.visit_seq(Pair::new(tagged, depth))
    }

    fn visit_entries<V: Visitor<'de>>(self, map: &'de Map, fields: bool, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_map(Entries::new(map, fields, self.inside()?))
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
            (names::VALUE, value) if value.fits_depth(MAX_DEPTH - self.depth) => hand_over(value.clone(), visitor),
            (names::VALUE, _) => Err(SerdeError::too_deep()),
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
