//! Values to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::names;
use crate::value::MAX_DEPTH;
use crate::{Error, ErrorKind, Result, Value};

/// Appends the encoding of a value to the buffer.
pub(in crate::record) fn encode(value: &Value, buffer: &mut Vec<u8>) -> Result<()> {
    let written = Json {
        value,
        depth: MAX_DEPTH,
    };
    serde_json::to_writer(buffer, &written).map_err(|error| Error::new(ErrorKind::Codec, format!("json: {error}")))
}

/// A value that serialises as we write it. `depth` is how many levels of nesting are left.
struct Json<'a> {
    value: &'a Value,
    depth: usize,
}

impl Json<'_> {
    fn nested<E: serde::ser::Error>(&self) -> Result<usize, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom(format_args!("the value is nested deeper than {MAX_DEPTH} levels")))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i128(*value),
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Float(value) => named(serializer, names::FLOAT, &special(*value)),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Bytes(value) => named(serializer, names::BYTES, &STANDARD.encode(value)),
            Value::Keyword(value) => named(serializer, names::KEYWORD, value.as_str()),
            Value::Uuid(value) => named(serializer, names::UUID, &value.hyphenated().to_string()),
            Value::Instant(value) => named(serializer, names::INSTANT, &value.to_string()),
            Value::List(values) => {
                let depth = self.nested()?;
                serializer.collect_seq(values.iter().map(|value| Json { value, depth }))
            }
            Value::Set(values) => {
                let depth = self.nested()?;
                let members: Vec<_> = values.iter().map(|value| Json { value, depth }).collect();
                named(serializer, names::SET, &members)
            }
            Value::Map(entries) if entries.keys().all(|key| matches!(key, Value::Text(_))) => {
                let depth = self.nested()?;
                let mut object = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    let Value::Text(key) = key else {
                        return Err(S::Error::custom("a key of an object that is not text"));
                    };
                    object.serialize_entry(&names::escape(key), &Json { value, depth })?;
                }
                object.end()
            }
            Value::Map(entries) => {
                let depth = self.nested()?;
                let pairs: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| (Json { value: key, depth }, Json { value, depth }))
                    .collect();
                named(serializer, names::MAP, &pairs)
            }
            Value::Tagged(tagged) => {
                let depth = self.nested()?;
                let value = Json {
                    value: tagged.value(),
                    depth,
                };
                named(serializer, names::TAGGED, &(tagged.tag(), value))
            }
        }
    }
}

/// An object of one entry.
fn named<S: Serializer, T: Serialize + ?Sized>(serializer: S, name: &str, content: &T) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(1))?;
    object.serialize_entry(name, content)?;
    object.end()
}

/// A float that JSON has no number for. NaNs other than the usual one are named by their bits.
fn special(value: f64) -> String {
    if value == f64::INFINITY {
        names::INFINITY.to_owned()
    } else if value == f64::NEG_INFINITY {
        names::NEGATIVE_INFINITY.to_owned()
    } else if value.to_bits() == names::USUAL_NAN {
        names::NAN.to_owned()
    } else {
        format!("{:016x}", value.to_bits())
    }
}
