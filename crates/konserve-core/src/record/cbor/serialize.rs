//! Types of the program straight to CBOR.

use serde::ser::{self, Serialize, Serializer};

use super::GaveUp;
use super::reader::{Major, Reader};
use super::tokens::Tokens;
use super::{key::Key, tags};
use crate::value::{MAX_DEPTH, Tagged, json_number, names};
use crate::{Instant, Value};

/// Appends the encoding of the value of `it`; when it gives up, the buffer may hold a part of it.
pub(super) fn serialize<T: Serialize + ?Sized>(it: &T, buffer: &mut Vec<u8>) -> Result<(), GaveUp> {
    it.serialize(Direct {
        buffer,
        depth: MAX_DEPTH,
    })
}

/// Writes one item. `depth` is how many levels of nesting are left.
struct Direct<'a> {
    buffer: &'a mut Vec<u8>,
    depth: usize,
}

impl<'a> Direct<'a> {
    fn tokens(&mut self) -> Tokens<'_> {
        Tokens::new(self.buffer)
    }

    fn write(self, write: impl FnOnce(&mut Tokens<'_>)) -> Result<(), GaveUp> {
        write(&mut Tokens::new(self.buffer));
        Ok(())
    }

    /// For what is inside of one level more.
    fn deeper(self) -> Result<Self, GaveUp> {
        let depth = self.depth.checked_sub(1).ok_or(GaveUp)?;
        Ok(Self { depth, ..self })
    }

    /// For what is under the name of a variant.
    fn variant(self, variant: &str) -> Result<Self, GaveUp> {
        let mut inside = self.deeper()?;
        let mut tokens = inside.tokens();
        tokens.map(1);
        tokens.text(variant);
        Ok(inside)
    }

    fn list(self, promised: Option<usize>) -> Result<List<'a>, GaveUp> {
        let Self { buffer, depth } = self.deeper()?;
        let head = Head::write(buffer, promised, |tokens, length| tokens.array(length));
        Ok(List {
            buffer,
            depth,
            head,
            count: 0,
        })
    }

    fn map(self, promised: Option<usize>) -> Result<Map<'a>, GaveUp> {
        let Self { buffer, depth } = self.deeper()?;
        let head = Head::write(buffer, promised, |tokens, length| tokens.map(length));
        Ok(Map {
            buffer,
            depth,
            head,
            entries: Vec::new(),
            values: 0,
        })
    }

    fn fields(self, count: usize) -> Result<Fields<'a>, GaveUp> {
        let Self { buffer, depth } = self.deeper()?;
        let head = Head::write(buffer, Some(count), |tokens, length| tokens.map(length));
        Ok(Fields::Struct {
            buffer,
            depth,
            head,
            entries: Vec::with_capacity(count.min(64)),
        })
    }
}

impl<'a> Serializer for Direct<'a> {
    type Ok = ();
    type Error = GaveUp;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, it: bool) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.bool(it))
    }

    fn serialize_i8(self, it: i8) -> Result<(), GaveUp> {
        self.serialize_i64(it.into())
    }

    fn serialize_i16(self, it: i16) -> Result<(), GaveUp> {
        self.serialize_i64(it.into())
    }

    fn serialize_i32(self, it: i32) -> Result<(), GaveUp> {
        self.serialize_i64(it.into())
    }

    fn serialize_i64(self, it: i64) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.integer(it.into()))
    }

    fn serialize_i128(self, it: i128) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.integer(it))
    }

    fn serialize_u8(self, it: u8) -> Result<(), GaveUp> {
        self.serialize_u64(it.into())
    }

    fn serialize_u16(self, it: u16) -> Result<(), GaveUp> {
        self.serialize_u64(it.into())
    }

    fn serialize_u32(self, it: u32) -> Result<(), GaveUp> {
        self.serialize_u64(it.into())
    }

    fn serialize_u64(self, it: u64) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.integer(it.into()))
    }

    fn serialize_u128(self, it: u128) -> Result<(), GaveUp> {
        let it = i128::try_from(it).map_err(|_| GaveUp)?;
        self.write(|tokens| tokens.integer(it))
    }

    fn serialize_f32(self, it: f32) -> Result<(), GaveUp> {
        self.serialize_f64(it.into())
    }

    fn serialize_f64(self, it: f64) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.float(it))
    }

    fn serialize_char(self, it: char) -> Result<(), GaveUp> {
        self.serialize_str(it.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, it: &str) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.text(it))
    }

    fn serialize_bytes(self, it: &[u8]) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.bytes(it))
    }

    fn serialize_none(self) -> Result<(), GaveUp> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, it: &T) -> Result<(), GaveUp> {
        it.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), GaveUp> {
        self.write(|tokens| tokens.null())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), GaveUp> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), GaveUp> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(mut self, name: &'static str, it: &T) -> Result<(), GaveUp> {
        let tag = match name {
            names::KEYWORD => tags::IDENTIFIER,
            names::UUID => tags::UUID,
            names::SET => tags::SET,
            names::TAGGED => tags::OBJECT,
            names::INSTANT => return instant(it, self),
            _ => return it.serialize(self),
        };
        self.tokens().tag(tag);
        let Self { buffer, depth } = self;
        let start = buffer.len();
        it.serialize(Direct { buffer, depth })?;
        check(tag, Reader::new(&buffer[start..]), depth)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        it: &T,
    ) -> Result<(), GaveUp> {
        it.serialize(self.variant(variant)?)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List<'a>, GaveUp> {
        self.list(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<List<'a>, GaveUp> {
        self.list(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List<'a>, GaveUp> {
        self.list(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<List<'a>, GaveUp> {
        self.variant(variant)?.list(Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Map<'a>, GaveUp> {
        self.map(length)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields<'a>, GaveUp> {
        match name {
            names::JSON_NUMBER => Ok(Fields::JsonNumber {
                start: self.buffer.len(),
                buffer: self.buffer,
                depth: self.depth,
            }),
            _ => self.fields(length),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<'a>, GaveUp> {
        self.variant(variant)?.fields(length)
    }
}

/// An instant, whose plain form is a text.
fn instant<T: Serialize + ?Sized>(it: &T, direct: Direct<'_>) -> Result<(), GaveUp> {
    let Direct { buffer, depth } = direct;
    let start = buffer.len();
    it.serialize(Direct { buffer, depth })?;
    let instant: Instant = written_text(&buffer[start..])?.parse()?;
    buffer.truncate(start);
    Tokens::new(buffer).instant(instant);
    Ok(())
}

/// The text that was written last.
fn written_text(written: &[u8]) -> Result<&str, GaveUp> {
    let mut reader = Reader::new(written);
    match (reader.major()?, reader.text()?) {
        (Major::Text, std::borrow::Cow::Borrowed(text)) => Ok(text),
        _ => Err(GaveUp),
    }
}

/// Whether what was written behind the tag is what belongs there.
fn check(tag: u64, mut written: Reader<'_>, depth: usize) -> Result<(), GaveUp> {
    match (tag, written.major()?) {
        (tags::IDENTIFIER, Major::Text) => {
            written.keyword_text()?;
        }
        (tags::UUID, Major::Bytes) => {
            written.uuid()?;
        }
        (tags::SET, Major::Array) => {
            let mut length = written.array_head()?;
            let mut previous: Option<Key<'_>> = None;
            while written.more(&mut length)? {
                let member = written.key(depth)?;
                if previous.is_some_and(|previous| previous.compare(&member).is_ge()) {
                    return Err(GaveUp);
                }
                previous = Some(member);
            }
        }
        (tags::OBJECT, Major::Array) => {
            let two = written.array_head()?.definite() == Some(2);
            if !two || written.major()? != Major::Text {
                return Err(GaveUp);
            }
            Tagged::new(written.text()?, Value::Null)?;
        }
        _ => return Err(GaveUp),
    }
    Ok(())
}

/// The head of a container, written with the length that was promised.
struct Head {
    start: usize,
    end: usize,
    promised: usize,
    write: fn(&mut Tokens<'_>, usize),
}

impl Head {
    fn write(buffer: &mut Vec<u8>, promised: Option<usize>, write: fn(&mut Tokens<'_>, usize)) -> Self {
        let start = buffer.len();
        let promised = promised.unwrap_or(0);
        write(&mut Tokens::new(buffer), promised);
        Self {
            start,
            end: buffer.len(),
            promised,
            write,
        }
    }

    /// Puts the length right if another was promised. What follows the head may move.
    fn finish(self, buffer: &mut Vec<u8>, length: usize) {
        if length != self.promised {
            let mut head = Vec::new();
            (self.write)(&mut Tokens::new(&mut head), length);
            buffer.splice(self.start..self.end, head);
        }
    }
}

struct List<'a> {
    buffer: &'a mut Vec<u8>,
    depth: usize,
    head: Head,
    count: usize,
}

impl List<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, it: &T) -> Result<(), GaveUp> {
        self.count += 1;
        it.serialize(Direct {
            buffer: self.buffer,
            depth: self.depth,
        })
    }

    fn finish(self) -> Result<(), GaveUp> {
        self.head.finish(self.buffer, self.count);
        Ok(())
    }
}

/// Implements the traits of what serialises like a list.
macro_rules! list {
    ($($name:ident $method:ident)*) => {$(
        impl ser::$name for List<'_> {
            type Ok = ();
            type Error = GaveUp;

            fn $method<T: Serialize + ?Sized>(&mut self, it: &T) -> Result<(), GaveUp> {
                self.push(it)
            }

            fn end(self) -> Result<(), GaveUp> {
                self.finish()
            }
        }
    )*};
}

list! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// A map, whose keys are known only once they are written.
struct Map<'a> {
    buffer: &'a mut Vec<u8>,
    depth: usize,
    head: Head,
    /// Where each entry begins.
    entries: Vec<usize>,
    values: usize,
}

impl Map<'_> {
    fn write<T: Serialize + ?Sized>(&mut self, it: &T) -> Result<(), GaveUp> {
        it.serialize(Direct {
            buffer: self.buffer,
            depth: self.depth,
        })
    }

    fn key_at(&self, entry: usize) -> Result<Key<'_>, GaveUp> {
        Ok(Reader::new(&self.buffer[entry..]).key(self.depth)?)
    }

    /// Whether every key is above the one before it.
    fn in_order(&self) -> Result<bool, GaveUp> {
        let mut previous: Option<Key<'_>> = None;
        for entry in &self.entries {
            let key = self.key_at(*entry)?;
            if previous.is_some_and(|previous| previous.compare(&key).is_ge()) {
                return Ok(false);
            }
            previous = Some(key);
        }
        Ok(true)
    }

    fn put_in_order(&mut self) -> Result<(), GaveUp> {
        let keys = self.entries.iter().map(|entry| Ok((self.key_at(*entry)?, *entry)));
        let keys = keys.collect::<Result<Vec<_>, GaveUp>>()?;
        let ordered = ordered(self.buffer, &self.entries, keys, Key::compare)?;
        let start = self.entries.first().map_or(self.buffer.len(), |first| *first);
        self.buffer.truncate(start);
        self.buffer.extend_from_slice(&ordered);
        Ok(())
    }
}

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = GaveUp;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), GaveUp> {
        if self.values != self.entries.len() {
            return Err(GaveUp);
        }
        self.entries.push(self.buffer.len());
        self.write(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, it: &T) -> Result<(), GaveUp> {
        self.values += 1;
        if self.values != self.entries.len() {
            return Err(GaveUp);
        }
        self.write(it)
    }

    fn end(mut self) -> Result<(), GaveUp> {
        if self.values != self.entries.len() {
            return Err(GaveUp);
        }
        if !self.in_order()? {
            self.put_in_order()?;
        }
        self.head.finish(self.buffer, self.values);
        Ok(())
    }
}

/// The fields of a struct, or the one field of a number of `serde_json`.
enum Fields<'a> {
    Struct {
        buffer: &'a mut Vec<u8>,
        depth: usize,
        head: Head,
        /// The name of each field and where it begins.
        entries: Vec<(&'static str, usize)>,
    },
    JsonNumber {
        buffer: &'a mut Vec<u8>,
        depth: usize,
        start: usize,
    },
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, it: &T) -> Result<(), GaveUp> {
        match self {
            Self::Struct {
                buffer, depth, entries, ..
            } => {
                entries.push((name, buffer.len()));
                Tokens::new(buffer).text(name);
                it.serialize(Direct { buffer, depth: *depth })
            }
            Self::JsonNumber { buffer, depth, start } => {
                buffer.truncate(*start);
                it.serialize(Direct { buffer, depth: *depth })?;
                let number = json_number(written_text(&buffer[*start..])?).map_err(|_| GaveUp)?;
                buffer.truncate(*start);
                match number {
                    Value::Integer(number) => Tokens::new(buffer).integer(number),
                    Value::Float(number) => Tokens::new(buffer).float(number),
                    _ => return Err(GaveUp),
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), GaveUp> {
        match self {
            Self::Struct {
                buffer, head, entries, ..
            } => {
                let count = entries.len();
                if !entries.is_sorted_by(|a, b| a.0 < b.0) {
                    let starts: Vec<_> = entries.iter().map(|entry| entry.1).collect();
                    let ordered = ordered(buffer, &starts, entries, |a, b| a.cmp(b))?;
                    buffer.truncate(head.end);
                    buffer.extend_from_slice(&ordered);
                }
                head.finish(buffer, count);
                Ok(())
            }
            Self::JsonNumber { buffer, start, .. } if buffer.len() == start => Err(GaveUp),
            Self::JsonNumber { .. } => Ok(()),
        }
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = GaveUp;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, it: &T) -> Result<(), GaveUp> {
        self.field(name, it)
    }

    fn end(self) -> Result<(), GaveUp> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Fields<'_> {
    type Ok = ();
    type Error = GaveUp;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, it: &T) -> Result<(), GaveUp> {
        self.field(name, it)
    }

    fn end(self) -> Result<(), GaveUp> {
        self.finish()
    }
}

/// The bytes of the entries in the order of their keys. Each begins where `starts` says, in ascending order, and ends
/// where the next one begins. Gives up when a key is there twice.
fn ordered<K>(
    buffer: &[u8],
    starts: &[usize],
    mut keys: Vec<(K, usize)>,
    compare: impl Fn(&K, &K) -> std::cmp::Ordering,
) -> Result<Vec<u8>, GaveUp> {
    keys.sort_by(|a, b| compare(&a.0, &b.0));
    if !keys.is_sorted_by(|a, b| compare(&a.0, &b.0).is_lt()) {
        return Err(GaveUp);
    }
    let mut ordered = Vec::with_capacity(buffer.len() - starts.first().map_or(0, |first| *first));
    for (_, start) in keys {
        let next = starts.partition_point(|other| *other <= start);
        let end = starts.get(next).map_or(buffer.len(), |next| *next);
        ordered.extend_from_slice(&buffer[start..end]);
    }
    Ok(ordered)
}
