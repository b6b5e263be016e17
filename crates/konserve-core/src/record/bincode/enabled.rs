//! Values as a tagged enum, since bincode is not self-describing.
//!
//! The bytes are those that `bincode`'s derive makes of the enum in `docs/format.md` with the standard configuration. They are
//! read by hand: a derived reader has no limit on nesting and believes every length.

use std::collections::{BTreeMap, BTreeSet};

use bincode::config::{self, Configuration};
use bincode::de::read::{BorrowReader, Reader, SliceReader};
use bincode::de::{BorrowDecoder, Decode, DecoderImpl};
use bincode::enc::write::Writer;
use bincode::enc::{Encode, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};
use bytes::Bytes;
use uuid::Uuid;

use crate::value::{MAX_DEPTH, Tagged};
use crate::{Error, ErrorKind, Instant, Result, Value};

pub(in crate::record) fn check_available() -> Result<()> {
    Ok(())
}

/// Appends the encoding of a value to the buffer.
pub(in crate::record) fn encode(value: &Value, buffer: &mut Vec<u8>) -> Result<()> {
    let mut encoder = EncoderImpl::new(Buffer(buffer), config::standard());
    encode_value(value, &mut encoder, MAX_DEPTH)
        .map_err(|error| Error::new(ErrorKind::Codec, format!("bincode: {error}")))
}

/// The value of these bytes, all of them.
pub(in crate::record) fn decode(bytes: &[u8]) -> Result<Value> {
    let mut input = Input(DecoderImpl::new(SliceReader::new(bytes), config::standard(), ()));
    let value = input.value(MAX_DEPTH)?;
    match input.holds(1) {
        true => Err(corrupt("something follows the value")),
        false => Ok(value),
    }
}

// The variants, by the order in which `docs/format.md` lists them.
const NULL: u32 = 0;
const BOOL: u32 = 1;
const INTEGER: u32 = 2;
const FLOAT: u32 = 3;
const TEXT: u32 = 4;
const BYTES: u32 = 5;
const LIST: u32 = 6;
const SET: u32 = 7;
const MAP: u32 = 8;
const KEYWORD: u32 = 9;
const UUID: u32 = 10;
const INSTANT: u32 = 11;
const TAGGED: u32 = 12;

struct Buffer<'a>(&'a mut Vec<u8>);

impl Writer for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

type Output<'a> = EncoderImpl<Buffer<'a>, Configuration>;

/// `depth` is how many levels of nesting are left.
fn encode_value(value: &Value, output: &mut Output<'_>, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => NULL.encode(output),
        Value::Bool(value) => (BOOL, *value).encode(output),
        Value::Integer(value) => (INTEGER, *value).encode(output),
        Value::Float(value) => (FLOAT, *value).encode(output),
        Value::Text(value) => (TEXT, value.as_str()).encode(output),
        Value::Bytes(value) => (BYTES, value.as_ref()).encode(output),
        Value::Keyword(value) => (KEYWORD, value.as_str()).encode(output),
        Value::Uuid(value) => (UUID, *value.as_bytes()).encode(output),
        Value::Instant(value) => (INSTANT, value.as_nanos()).encode(output),
        Value::List(values) => {
            let depth = nested(depth)?;
            (LIST, values.len() as u64).encode(output)?;
            values.iter().try_for_each(|value| encode_value(value, output, depth))
        }
        Value::Set(values) => {
            let depth = nested(depth)?;
            (SET, values.len() as u64).encode(output)?;
            values.iter().try_for_each(|value| encode_value(value, output, depth))
        }
        Value::Map(entries) => {
            let depth = nested(depth)?;
            (MAP, entries.len() as u64).encode(output)?;
            entries.iter().try_for_each(|(key, value)| {
                encode_value(key, output, depth)?;
                encode_value(value, output, depth)
            })
        }
        Value::Tagged(tagged) => {
            let depth = nested(depth)?;
            (TAGGED, tagged.tag()).encode(output)?;
            encode_value(tagged.value(), output, depth)
        }
    }
}

fn nested(depth: usize) -> Result<usize, EncodeError> {
    depth
        .checked_sub(1)
        .ok_or_else(|| EncodeError::OtherString(format!("the value is nested deeper than {MAX_DEPTH} levels")))
}

struct Input<'b>(DecoderImpl<SliceReader<'b>, Configuration, ()>);

impl<'b> Input<'b> {
    fn value(&mut self, depth: usize) -> Result<Value> {
        Ok(match self.read::<u32>()? {
            NULL => Value::Null,
            BOOL => Value::Bool(self.read()?),
            INTEGER => Value::Integer(self.read()?),
            FLOAT => Value::Float(self.read()?),
            TEXT => Value::Text(self.text()?.to_owned()),
            BYTES => Value::Bytes(Bytes::copy_from_slice(self.bytes()?)),
            LIST => {
                let mut values = Vec::new();
                self.each(depth, 1, |input, depth| {
                    values.push(input.value(depth)?);
                    Ok(())
                })?;
                Value::List(values)
            }
            SET => {
                let mut members = BTreeSet::new();
                self.each(depth, 1, |input, depth| match members.insert(input.value(depth)?) {
                    true => Ok(()),
                    false => Err(corrupt("a set has the same member twice")),
                })?;
                Value::Set(members)
            }
            MAP => {
                let mut entries = BTreeMap::new();
                self.each(depth, 2, |input, depth| {
                    let key = input.value(depth)?;
                    match entries.insert(key, input.value(depth)?) {
                        None => Ok(()),
                        Some(_) => Err(corrupt("a map has the same key twice")),
                    }
                })?;
                Value::Map(entries)
            }
            KEYWORD => match self.text()?.parse() {
                Ok(keyword) => Value::Keyword(keyword),
                Err(_) => return Err(corrupt("a keyword that cannot be one")),
            },
            UUID => Value::Uuid(Uuid::from_bytes(self.read()?)),
            INSTANT => match Instant::from_nanos(self.read()?) {
                Some(instant) => Value::Instant(instant),
                None => return Err(corrupt("an instant out of range")),
            },
            TAGGED => {
                let depth = self.nested(depth)?;
                let tag = self.text()?.to_owned();
                let value = self.value(depth)?;
                match Tagged::new(tag, value) {
                    Ok(tagged) => Value::Tagged(Box::new(tagged)),
                    Err(_) => return Err(corrupt("a tag that cannot be one")),
                }
            }
            _ => return Err(corrupt("a variant that there is not")),
        })
    }

    /// Reads the elements of a container, each of at least so many bytes.
    fn each(
        &mut self,
        depth: usize,
        bytes: u64,
        mut element: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        let depth = self.nested(depth)?;
        let length = self.read::<u64>()?;
        if !self.holds(length.saturating_mul(bytes)) {
            return Err(corrupt("a length beyond the end of the input"));
        }
        for _ in 0..length {
            element(self, depth)?;
        }
        Ok(())
    }

    fn text(&mut self) -> Result<&'b str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| corrupt("a text that is not utf-8"))
    }

    fn bytes(&mut self) -> Result<&'b [u8]> {
        let length = usize::try_from(self.read::<u64>()?).unwrap_or(usize::MAX);
        self.0.borrow_reader().take_bytes(length).map_err(malformed)
    }

    fn read<T: Decode<()>>(&mut self) -> Result<T> {
        T::decode(&mut self.0).map_err(malformed)
    }

    /// Whether so many bytes are left.
    fn holds(&mut self, bytes: u64) -> bool {
        usize::try_from(bytes).is_ok_and(|bytes| self.0.borrow_reader().peek_read(bytes).is_some())
    }

    fn nested(&self, depth: usize) -> Result<usize> {
        depth
            .checked_sub(1)
            .ok_or_else(|| corrupt(&format!("nesting deeper than {MAX_DEPTH} levels")))
    }
}

fn malformed(error: DecodeError) -> Error {
    corrupt(&error.to_string())
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("bincode: {what}"))
}
