//! CBOR straight to types of the program.
//!
//! Mirrors what `from_value` does with the value of the same bytes. What a type ignores is passed over without a look at
//! what it means; everything else that is not as this library writes it is left to the way through the value.

mod access;

use std::borrow::Cow;

use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use self::access::{Entries, Items, Variant};
use super::GaveUp;
use super::key::Key;
use super::reader::{Major, Reader, Simple};
use super::tags;
use crate::value::{MAX_DEPTH, Tagged, hand_over, names};
use crate::{Instant, Value};

/// What the bytes, all of them, are as a type of the program.
pub(super) fn deserialize<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, GaveUp> {
    let mut reader = Reader::new(bytes);
    let it = T::deserialize(Direct {
        reader: &mut reader,
        depth: MAX_DEPTH,
    })?;
    reader.end()?;
    Ok(it)
}

/// Presents the next item. `depth` is how many levels of nesting are left.
struct Direct<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
}

impl<'r, 'de> Direct<'r, 'de> {
    /// For what is inside of one level more.
    fn deeper(self) -> Result<Self, GaveUp> {
        let depth = self.depth.checked_sub(1).ok_or(GaveUp)?;
        Ok(Self { depth, ..self })
    }

    /// The next item is an array. Members of sets are to be in order.
    fn visit_items<V: Visitor<'de>>(self, ordered: bool, visitor: V) -> Result<V::Value, GaveUp> {
        let Self { reader, depth } = self.deeper()?;
        let left = reader.array_head()?.definite().ok_or(GaveUp)?;
        let mut items = Items::new(Self { reader, depth }, left, ordered);
        let it = visitor.visit_seq(&mut items)?;
        match items.left() {
            0 => Ok(it),
            _ => Err(GaveUp),
        }
    }

    /// The next item is a map.
    fn visit_entries<V: Visitor<'de>>(self, fields: bool, visitor: V) -> Result<V::Value, GaveUp> {
        let Self { reader, depth } = self.deeper()?;
        let left = reader.map_head()?.definite().ok_or(GaveUp)?;
        let mut entries = Entries::new(Self { reader, depth }, left, fields);
        let it = visitor.visit_map(&mut entries)?;
        entries.skip_rest()?;
        Ok(it)
    }

    /// The next item is the array of a tag and its value.
    fn visit_pair<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        let Self { reader, depth } = self.deeper()?;
        if reader.major()? != Major::Array || reader.array_head()?.definite() != Some(2) {
            return Err(GaveUp);
        }
        let start = reader.position();
        if reader.major()? != Major::Text {
            return Err(GaveUp);
        }
        Tagged::new(reader.text()?, Value::Null)?;
        reader.set_position(start);
        let mut items = Items::new(Self { reader, depth }, 2, false);
        let it = visitor.visit_seq(&mut items)?;
        items.skip_rest()?;
        Ok(it)
    }

    fn visit_integer<V: Visitor<'de>>(it: i128, visitor: V) -> Result<V::Value, GaveUp> {
        match (i64::try_from(it), u64::try_from(it)) {
            (Ok(it), _) => visitor.visit_i64(it),
            (_, Ok(it)) => visitor.visit_u64(it),
            _ => visitor.visit_i128(it),
        }
    }

    fn visit_instant<V: Visitor<'de>>(it: Instant, visitor: V) -> Result<V::Value, GaveUp> {
        visitor.visit_string(it.to_string())
    }

    fn visit_tagged<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.reader.tag()? {
            tag @ (tags::POSITIVE_BIGNUM | tags::NEGATIVE_BIGNUM) => {
                Self::visit_integer(self.reader.bignum(tag)?, visitor)
            }
            tag @ (tags::EXTENDED_TIME | tags::DATE_TIME | tags::EPOCH) => {
                Self::visit_instant(self.reader.instant(tag)?, visitor)
            }
            tags::IDENTIFIER => visit_text(self.reader.keyword_text()?, visitor),
            tags::UUID => visitor.visit_str(self.reader.uuid()?.hyphenated().encode_lower(&mut [0; 36])),
            tags::SET if self.reader.major()? == Major::Array => self.visit_items(true, visitor),
            tags::OBJECT => self.visit_pair(visitor),
            _ => Err(GaveUp),
        }
    }

    /// The tag of the next item, which stays the next item.
    fn peek_tag(&mut self) -> Result<Option<u64>, GaveUp> {
        if self.reader.major()? != Major::Tag {
            return Ok(None);
        }
        let start = self.reader.position();
        let tag = self.reader.tag()?;
        self.reader.set_position(start);
        Ok(Some(tag))
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, GaveUp> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// The text without the colon of a keyword, which begins with one.
fn identifier(keyword: Cow<'_, str>) -> Cow<'_, str> {
    match keyword {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(':').unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(':').unwrap_or(&text).to_owned()),
    }
}

impl<'de> Deserializer<'de> for Direct<'_, 'de> {
    type Error = GaveUp;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char map unit unit_struct
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.reader.major()? {
            Major::Unsigned | Major::Negative => Self::visit_integer(self.reader.integer()?, visitor),
            Major::Text => visit_text(self.reader.text()?, visitor),
            Major::Bytes => match self.reader.byte_string()? {
                Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
            },
            Major::Array => self.visit_items(false, visitor),
            Major::Map => self.visit_entries(false, visitor),
            Major::Tag => self.visit_tagged(visitor),
            Major::Simple => match self.reader.simple()? {
                Simple::Null => visitor.visit_unit(),
                Simple::Bool(it) => visitor.visit_bool(it),
                Simple::Float(it) => visitor.visit_f64(it),
            },
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.reader.major()? {
            Major::Bytes => Err(GaveUp),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, GaveUp> {
        match (self.reader.major()?, self.peek_tag()?) {
            (_, Some(tags::UUID)) => {
                self.reader.tag()?;
                visitor.visit_bytes(self.reader.uuid()?.as_bytes())
            }
            (_, Some(tag)) if tag != tags::SET => Err(GaveUp),
            (Major::Text, _) => Err(GaveUp),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.reader.take_null()? {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        match name {
            names::VALUE => hand_over(self.reader.value(self.depth)?, visitor),
            names::TAGGED if self.peek_tag()? == Some(tags::OBJECT) => {
                self.reader.tag()?;
                self.visit_pair(visitor)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.reader.major()? {
            Major::Bytes => {
                let bytes = self.reader.byte_string()?;
                visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
            }
            Major::Tag if self.peek_tag()? != Some(tags::SET) => Err(GaveUp),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, GaveUp> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        match self.reader.major()? {
            Major::Map => self.visit_entries(true, visitor),
            _ => Err(GaveUp),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        let content = self.reader.major()? == Major::Map;
        let inside = match content {
            true => {
                let inside = self.deeper()?;
                match inside.reader.map_head()?.definite() {
                    Some(1) => inside,
                    _ => return Err(GaveUp),
                }
            }
            false => self,
        };
        let name = match inside.reader.key(inside.depth)? {
            Key::Text(name) => name,
            Key::Keyword(keyword) => identifier(keyword),
            _ => return Err(GaveUp),
        };
        visitor.visit_enum(Variant::new(name, inside, content))
    }

    fn deserialize_identifier<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, GaveUp> {
        if self.peek_tag()? == Some(tags::IDENTIFIER) {
            self.reader.tag()?;
            return visit_text(identifier(self.reader.keyword_text()?), visitor);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        self.reader.skip()?;
        visitor.visit_unit()
    }
}
