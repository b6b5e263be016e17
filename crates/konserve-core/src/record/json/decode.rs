//! JSON to values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use uuid::Uuid;

use super::names;
use crate::value::{MAX_DEPTH, Tagged, json_number};
use crate::{Error, ErrorKind, Result, Value};

/// The value of these bytes, all of them.
pub(in crate::record) fn decode(bytes: &[u8]) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // One level of ours can be three levels of JSON, so the levels are counted here.
    deserializer.disable_recursion_limit();
    let value = Any { depth: MAX_DEPTH }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| Error::new(ErrorKind::Corrupt, format!("json: {error}")))
}

/// Any value. `depth` is how many levels of nesting are left.
#[derive(Clone, Copy)]
struct Any {
    depth: usize,
}

impl Any {
    fn nested<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nesting deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.nested()?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Some(first) = access.next_key::<String>()? else {
            self.nested::<A::Error>()?;
            return Ok(Value::Map(BTreeMap::new()));
        };
        if first == names::NUMBER {
            return json_number(&access.next_value::<String>()?).map_err(A::Error::custom);
        }
        match names::unescape(first) {
            Ok(first) => self.object(first, access),
            Err(name) => {
                let value = self.named(&name, &mut access)?;
                match access.next_key::<String>()? {
                    None => Ok(value),
                    Some(_) => Err(A::Error::custom("a key with a mark beside other keys")),
                }
            }
        }
    }
}

impl Any {
    /// A plain object, whose first key has been read.
    fn object<'de, A: MapAccess<'de>>(self, first: String, mut access: A) -> Result<Value, A::Error> {
        let inner = self.nested()?;
        let mut entries = BTreeMap::new();
        let mut next = Some(first);
        while let Some(key) = next {
            if entries
                .insert(Value::Text(key), access.next_value_seed(inner)?)
                .is_some()
            {
                return Err(A::Error::custom("the same key twice in a map"));
            }
            next = match access.next_key::<String>()?.map(names::unescape) {
                None => None,
                Some(Ok(key)) => Some(key),
                Some(Err(_)) => return Err(A::Error::custom("a key with a mark beside other keys")),
            };
        }
        Ok(Value::Map(entries))
    }

    /// The content under one of our names.
    fn named<'de, A: MapAccess<'de>>(self, name: &str, access: &mut A) -> Result<Value, A::Error> {
        let value = match name {
            names::SET => return access.next_value_seed(Members(self.nested()?)),
            names::MAP => return access.next_value_seed(Pairs(self.nested()?)),
            names::TAGGED => return access.next_value_seed(Parts(self.nested()?)),
            names::FLOAT => float(&access.next_value::<String>()?).map(Value::Float),
            names::BYTES => STANDARD
                .decode(access.next_value::<String>()?)
                .ok()
                .map(|bytes| Value::Bytes(bytes.into())),
            names::KEYWORD => access.next_value::<String>()?.parse().ok().map(Value::Keyword),
            names::UUID => Uuid::try_parse(&access.next_value::<String>()?).ok().map(Value::Uuid),
            names::INSTANT => access.next_value::<String>()?.parse().ok().map(Value::Instant),
            _ => return Err(A::Error::custom("a key with a mark that is no name known here")),
        };
        value.ok_or_else(|| A::Error::custom(format_args!("what follows {name} is none")))
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        names::INFINITY => Some(f64::INFINITY),
        names::NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
        names::NAN => Some(f64::from_bits(names::USUAL_NAN)),
        bits if bits.len() == 16 => u64::from_str_radix(bits, 16)
            .ok()
            .map(f64::from_bits)
            .filter(|float| float.is_nan()),
        _ => None,
    }
}

/// The members of a set.
struct Members(Any);

/// The entries of a map with other keys than text.
struct Pairs(Any);

/// One such entry.
struct Pair(Any);

/// A tag and its value.
struct Parts(Any);

/// Deserialises from an array, as its visitor says.
macro_rules! from_array {
    ($seed:ident -> $output:ty, $expecting:literal, $visit:expr) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $output;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$output, D::Error> {
                deserializer.deserialize_seq(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $output;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<$output, A::Error> {
                $visit(self.0, access)
            }
        }
    };
}

from_array!(Members -> Value, "an array of members", members);
from_array!(Pairs -> Value, "an array of pairs", pairs);
from_array!(Pair -> (Value, Value), "an array of a key and a value", pair);
from_array!(Parts -> Value, "an array of a tag and a value", parts);

fn members<'de, A: SeqAccess<'de>>(inner: Any, mut access: A) -> Result<Value, A::Error> {
    let mut members = BTreeSet::new();
    while let Some(member) = access.next_element_seed(inner)? {
        if !members.insert(member) {
            return Err(A::Error::custom("the same member twice in a set"));
        }
    }
    Ok(Value::Set(members))
}

fn pairs<'de, A: SeqAccess<'de>>(inner: Any, mut access: A) -> Result<Value, A::Error> {
    let mut entries = BTreeMap::new();
    while let Some((key, value)) = access.next_element_seed(Pair(inner))? {
        if entries.insert(key, value).is_some() {
            return Err(A::Error::custom("the same key twice in a map"));
        }
    }
    Ok(Value::Map(entries))
}

fn pair<'de, A: SeqAccess<'de>>(inner: Any, mut access: A) -> Result<(Value, Value), A::Error> {
    match (access.next_element_seed(inner)?, access.next_element_seed(inner)?) {
        (Some(key), Some(value)) => Ok((key, value)),
        _ => Err(A::Error::custom("an entry without key and value")),
    }
}

fn parts<'de, A: SeqAccess<'de>>(inner: Any, mut access: A) -> Result<Value, A::Error> {
    match (access.next_element::<String>()?, access.next_element_seed(inner)?) {
        (Some(tag), Some(value)) => match Tagged::new(tag, value) {
            Ok(tagged) => Ok(Value::Tagged(Box::new(tagged))),
            Err(_) => Err(A::Error::custom("a tag that cannot be one")),
        },
        _ => Err(A::Error::custom("a tag without a value")),
    }
}
