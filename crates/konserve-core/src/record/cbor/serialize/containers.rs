//! What contains other things: lists, maps and structs, whose entries are put in order once they are written.

use serde::ser::{self, Serialize};

use super::{Direct, written_text};
use crate::Value;
use crate::record::cbor::GaveUp;
use crate::record::cbor::key::Key;
use crate::record::cbor::reader::Reader;
use crate::record::cbor::tokens::Tokens;
use crate::value::json_number;

/// The head of a container, written with the length that was promised.
pub(super) struct Head {
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

/// A list, a tuple or the like.
pub(super) struct List<'a> {
    buffer: &'a mut Vec<u8>,
    depth: usize,
    head: Head,
    count: usize,
}

impl<'a> List<'a> {
    pub(super) fn new(direct: Direct<'a>, promised: Option<usize>) -> Result<Self, GaveUp> {
        let Direct { buffer, depth } = direct.deeper()?;
        let head = Head::write(buffer, promised, |tokens, length| tokens.array(length));
        Ok(Self {
            buffer,
            depth,
            head,
            count: 0,
        })
    }

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
pub(super) struct Map<'a> {
    buffer: &'a mut Vec<u8>,
    depth: usize,
    head: Head,
    /// Where each entry begins.
    entries: Vec<usize>,
    values: usize,
}

impl<'a> Map<'a> {
    pub(super) fn new(direct: Direct<'a>, promised: Option<usize>) -> Result<Self, GaveUp> {
        let Direct { buffer, depth } = direct.deeper()?;
        let head = Head::write(buffer, promised, |tokens, length| tokens.map(length));
        Ok(Self {
            buffer,
            depth,
            head,
            entries: Vec::new(),
            values: 0,
        })
    }

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
pub(super) enum Fields<'a> {
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

impl<'a> Fields<'a> {
    pub(super) fn new(direct: Direct<'a>, count: usize) -> Result<Self, GaveUp> {
        let Direct { buffer, depth } = direct.deeper()?;
        let head = Head::write(buffer, Some(count), |tokens, length| tokens.map(length));
        Ok(Self::Struct {
            buffer,
            depth,
            head,
            entries: Vec::with_capacity(count.min(64)),
        })
    }

    pub(super) fn json_number(direct: Direct<'a>) -> Self {
        Self::JsonNumber {
            start: direct.buffer.len(),
            buffer: direct.buffer,
            depth: direct.depth,
        }
    }

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
