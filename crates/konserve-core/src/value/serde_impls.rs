//! What a [`Value`] tells a serializer, and how it is put together by a deserializer.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::handover::take_over;
use super::{MAX_DEPTH, Map, SerdeError, Tagged, Value, names};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(it) => serializer.serialize_bool(*it),
            // The narrowest call that fits: few formats know integers of 128 bits.
            Self::Integer(it) => match (i64::try_from(*it), u64::try_from(*it)) {
                (Ok(it), _) => serializer.serialize_i64(it),
                (_, Ok(it)) => serializer.serialize_u64(it),
                _ => serializer.serialize_i128(*it),
            },
            Self::Float(it) => serializer.serialize_f64(*it),
            Self::Text(it) => serializer.serialize_str(it),
            Self::Bytes(it) => serializer.serialize_bytes(it),
            Self::List(it) => serializer.collect_seq(it),
            Self::Set(it) => serializer.serialize_newtype_struct(names::SET, it),
            Self::Map(it) => serializer.collect_map(it),
            Self::Keyword(it) => it.serialize(serializer),
            Self::Uuid(it) => serializer.serialize_newtype_struct(names::UUID, it),
            Self::Instant(it) => it.serialize(serializer),
            Self::Tagged(it) => it.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    /// From a self-describing format.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ValueSeed { depth: 0 }.deserialize(deserializer)
    }
}

/// The value of a number in JSON's notation: an integer if it has neither point nor exponent, else the nearest float.
///
/// `-0` is the float, which is what the same text is without `arbitrary_precision`.
pub(crate) fn json_number(text: &str) -> Result<Value, SerdeError> {
    let integral = text != "-0" && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    let number = if integral {
        text.parse().ok().map(Value::Integer)
    } else {
        text.parse()
            .ok()
            .filter(|float: &f64| float.is_finite())
            .map(Value::Float)
    };
    number.ok_or_else(|| SerdeError::new("a JSON number out of range"))
}

/// Deserializes a value inside this many levels.
#[derive(Clone, Copy)]
struct ValueSeed {
    depth: usize,
}

impl ValueSeed {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1 })
        } else {
            Err(E::custom(SerdeError::too_deep()))
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(names::VALUE, ValueVisitor(self))
    }
}

struct ValueVisitor(ValueSeed);

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.deserialize(deserializer)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i128<E>(self, it: i128) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u128<E: de::Error>(self, it: u128) -> Result<Value, E> {
        match i128::try_from(it) {
            Ok(it) => Ok(it.into()),
            Err(_) => Err(E::custom("an integer above the highest that there is, 2^127 - 1")),
        }
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_bytes<E>(self, it: &[u8]) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_byte_buf<E>(self, it: Vec<u8>) -> Result<Value, E> {
        Ok(Bytes::from(it).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.0.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let seed = self.0.deeper()?;
        let Some(key) = entries.next_key_seed(seed)? else {
            return Ok(Value::Map(Map::new()));
        };
        if key.as_text() == Some(names::JSON_NUMBER) {
            let digits: String = entries.next_value()?;
            return json_number(&digits).map_err(de::Error::custom);
        }
        let mut map = Map::from([(key, entries.next_value_seed(seed)?)]);
        while let Some(key) = entries.next_key_seed(seed)? {
            let value = entries.next_value_seed(seed)?;
            if map.insert(key, value).is_some() {
                return Err(de::Error::custom("the same key twice in one map"));
            }
        }
        Ok(Value::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        take_over(access)?.ok_or_else(|| de::Error::invalid_type(de::Unexpected::Enum, &self))
    }
}

/// Takes a tag and its value inside this many levels.
pub(super) struct TaggedVisitor {
    pub(super) depth: usize,
}

impl<'de> Visitor<'de> for TaggedVisitor {
    type Value = Tagged;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tagged value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tagged, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Tagged, A::Error> {
        let seed = ValueSeed { depth: self.depth }.deeper()?;
        let Some(tag) = pair.next_element::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let Some(value) = pair.next_element_seed(seed)? else {
            return Err(de::Error::invalid_length(1, &self));
        };
        Tagged::new(tag, value).map_err(de::Error::custom)
    }
}
