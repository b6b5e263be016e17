//! Types of the program straight to CBOR.

mod containers;

use serde::ser::{Serialize, Serializer};

use self::containers::{Fields, List, Map};
use super::GaveUp;
use super::reader::{Major, Reader};
use super::tokens::Tokens;
use super::{key::Key, tags};
use crate::value::{MAX_DEPTH, Tagged, names};
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
        List::new(self, length)
    }

    fn serialize_tuple(self, length: usize) -> Result<List<'a>, GaveUp> {
        List::new(self, Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List<'a>, GaveUp> {
        List::new(self, Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<List<'a>, GaveUp> {
        List::new(self.variant(variant)?, Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Map<'a>, GaveUp> {
        Map::new(self, length)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields<'a>, GaveUp> {
        match name {
            names::JSON_NUMBER => Ok(Fields::json_number(self)),
            _ => Fields::new(self, length),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<'a>, GaveUp> {
        Fields::new(self.variant(variant)?, length)
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
