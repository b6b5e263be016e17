//! From serde types to values.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use serde::ser::{self, Serialize, Serializer};
use uuid::Uuid;

use super::{MAX_DEPTH, Map, SerdeError, Tagged, Value, json_number, names};
use crate::Result;

/// The value of anything that serializes. The [module](super) says what becomes of what.
///
/// # Errors
///
/// `codec`, with the path inside the value: a `u128` above the highest `i128`, the same key twice in a map (as `flatten`
/// can produce), more than [`MAX_DEPTH`] levels, or what the type itself reports.
///
/// ```
/// use konserve_core::value::to_value;
///
/// let value = to_value(&("a", 1, Some(2.5), None::<()>))?;
/// assert_eq!(value.to_string(), r#"["a" 1 2.5 nil]"#);
/// # Ok::<(), konserve_core::Error>(())
/// ```
pub fn to_value<T: Serialize + ?Sized>(it: &T) -> Result<Value> {
    Ok(it.serialize(ValueSerializer { depth: 0 })?)
}

/// Makes a value inside this many levels.
#[derive(Clone, Copy)]
struct ValueSerializer {
    depth: usize,
}

impl ValueSerializer {
    /// For what is inside of one level more.
    fn deeper(self) -> Result<Self, SerdeError> {
        if self.depth < MAX_DEPTH {
            Ok(Self { depth: self.depth + 1 })
        } else {
            Err(SerdeError::too_deep())
        }
    }

    fn list(self, len: Option<usize>, variant: Option<&'static str>) -> Result<ListSerializer, SerdeError> {
        let inside = match variant {
            Some(_) => self.deeper()?,
            None => self,
        };
        Ok(ListSerializer {
            variant,
            // A length that somebody promises is no reason to take all memory.
            items: Vec::with_capacity(len.unwrap_or(0).min(1024)),
            inside: inside.deeper()?,
        })
    }

    fn map(self, variant: Option<&'static str>) -> Result<MapSerializer, SerdeError> {
        let inside = match variant {
            Some(_) => self.deeper()?,
            None => self,
        };
        Ok(MapSerializer {
            variant,
            map: Map::new(),
            key: None,
            inside: inside.deeper()?,
        })
    }
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = SerdeError;
    type SerializeSeq = ListSerializer;
    type SerializeTuple = ListSerializer;
    type SerializeTupleStruct = ListSerializer;
    type SerializeTupleVariant = ListSerializer;
    type SerializeMap = MapSerializer;
    type SerializeStruct = StructSerializer;
    type SerializeStructVariant = MapSerializer;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, it: bool) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_i8(self, it: i8) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_i16(self, it: i16) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_i32(self, it: i32) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_i64(self, it: i64) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_i128(self, it: i128) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_u8(self, it: u8) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_u16(self, it: u16) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_u32(self, it: u32) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_u64(self, it: u64) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_u128(self, it: u128) -> Result<Value, SerdeError> {
        let it =
            i128::try_from(it).map_err(|_| SerdeError::new("an integer above the highest that there is, 2^127 - 1"))?;
        Ok(it.into())
    }

    fn serialize_f32(self, it: f32) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_f64(self, it: f64) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_char(self, it: char) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_str(self, it: &str) -> Result<Value, SerdeError> {
        Ok(it.into())
    }

    fn serialize_bytes(self, it: &[u8]) -> Result<Value, SerdeError> {
        Ok(Value::Bytes(Bytes::copy_from_slice(it)))
    }

    fn serialize_none(self) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, it: &T) -> Result<Value, SerdeError> {
        it.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, SerdeError> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, it: &T) -> Result<Value, SerdeError> {
        let plain = it.serialize(self)?;
        match name {
            names::KEYWORD | names::INSTANT | names::UUID | names::SET | names::TAGGED => {
                special(name, plain).ok_or_else(|| SerdeError::new(format_args!("not the plain form of a `{name}`")))
            }
            _ => Ok(plain),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        it: &T,
    ) -> Result<Value, SerdeError> {
        let value = it.serialize(self.deeper()?).map_err(|error| error.at(variant))?;
        Ok(Value::Map(Map::from([(variant.into(), value)])))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<ListSerializer, SerdeError> {
        self.list(len, None)
    }

    fn serialize_tuple(self, len: usize) -> Result<ListSerializer, SerdeError> {
        self.list(Some(len), None)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<ListSerializer, SerdeError> {
        self.list(Some(len), None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ListSerializer, SerdeError> {
        self.list(Some(len), Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapSerializer, SerdeError> {
        self.map(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<StructSerializer, SerdeError> {
        if name == names::JSON_NUMBER {
            Ok(StructSerializer::JsonNumber(None))
        } else {
            self.map(None).map(StructSerializer::Map)
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapSerializer, SerdeError> {
        self.map(Some(variant))
    }
}

/// What the plain form stands for under one of the names of [`names`].
fn special(name: &str, plain: Value) -> Option<Value> {
    match (name, plain) {
        (names::KEYWORD, Value::Text(text)) => text.parse().ok().map(Value::Keyword),
        (names::INSTANT, Value::Text(text)) => text.parse().ok().map(Value::Instant),
        (names::UUID, Value::Bytes(bytes)) => Uuid::from_slice(&bytes).ok().map(Value::Uuid),
        (names::SET, Value::List(members)) => {
            let count = members.len();
            let set: BTreeSet<_> = members.into_iter().collect();
            (set.len() == count).then_some(Value::Set(set))
        }
        (names::TAGGED, Value::List(pair)) => match <[Value; 2]>::try_from(pair) {
            Ok([Value::Text(tag), value]) => Tagged::new(tag, value).ok().map(Value::from),
            _ => None,
        },
        _ => None,
    }
}

/// The value, or the map of the variant to the value.
fn under(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Map(Map::from([(variant.into(), value)])),
        None => value,
    }
}

/// The error with the variant as its outermost step, if there is one.
fn within(variant: Option<&'static str>, error: SerdeError) -> SerdeError {
    match variant {
        Some(variant) => error.at(variant),
        None => error,
    }
}

struct ListSerializer {
    variant: Option<&'static str>,
    items: Vec<Value>,
    inside: ValueSerializer,
}

impl ListSerializer {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        match item.serialize(self.inside) {
            Ok(item) => self.items.push(item),
            Err(error) => return Err(within(self.variant, error.at(self.items.len()))),
        }
        Ok(())
    }

    fn finish(self) -> Value {
        under(self.variant, Value::List(self.items))
    }
}

impl ser::SerializeSeq for ListSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for ListSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for ListSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleVariant for ListSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), SerdeError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

struct MapSerializer {
    variant: Option<&'static str>,
    map: Map,
    key: Option<Value>,
    inside: ValueSerializer,
}

impl MapSerializer {
    fn insert<T: Serialize + ?Sized>(&mut self, key: Value, it: &T) -> Result<(), SerdeError> {
        let value = match it.serialize(self.inside) {
            Ok(value) => value,
            Err(error) => return Err(within(self.variant, error.at(key))),
        };
        match self.map.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(entry) => {
                let error = SerdeError::new("the same key twice in one map").at(entry.key());
                Err(within(self.variant, error))
            }
        }
    }

    fn finish(self) -> Value {
        under(self.variant, Value::Map(self.map))
    }
}

impl ser::SerializeMap for MapSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerdeError> {
        self.key = Some(key.serialize(self.inside)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, it: &T) -> Result<(), SerdeError> {
        match self.key.take() {
            Some(key) => self.insert(key, it),
            None => Err(SerdeError::new("a value without a key")),
        }
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for MapSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, it: &T) -> Result<(), SerdeError> {
        self.insert(key.into(), it)
    }

    fn end(self) -> Result<Value, SerdeError> {
        Ok(self.finish())
    }
}

enum StructSerializer {
    Map(MapSerializer),
    /// A number of `serde_json`, once it has been seen.
    JsonNumber(Option<Value>),
}

impl ser::SerializeStruct for StructSerializer {
    type Ok = Value;
    type Error = SerdeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, it: &T) -> Result<(), SerdeError> {
        match self {
            Self::Map(map) => map.insert(key.into(), it),
            Self::JsonNumber(number) => {
                let digits = it.serialize(ValueSerializer { depth: 0 })?;
                *number = digits.as_text().map(json_number).transpose()?;
                Ok(())
            }
        }
    }

    fn end(self) -> Result<Value, SerdeError> {
        match self {
            Self::Map(map) => Ok(map.finish()),
            Self::JsonNumber(number) => number.ok_or_else(|| SerdeError::new("a JSON number without digits")),
        }
    }
}
