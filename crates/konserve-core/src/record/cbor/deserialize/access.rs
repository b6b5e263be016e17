//! What is inside of arrays, maps and variants, handed over piece by piece.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::{Direct, identifier, visit_text};
use crate::record::cbor::GaveUp;
use crate::record::cbor::key::Key;
use crate::record::cbor::reader::Reader;
use crate::value::names;

/// A variant, whose name has been read.
pub(super) struct Variant<'r, 'de> {
    name: Cow<'de, str>,
    content: Content<'r, 'de>,
}

impl<'r, 'de> Variant<'r, 'de> {
    /// `content` stands behind the name; `some` says whether there is any.
    pub(super) fn new(name: Cow<'de, str>, content: Direct<'r, 'de>, some: bool) -> Self {
        Self {
            name,
            content: Content(content, some),
        }
    }
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = GaveUp;
    type Variant = Content<'r, 'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'r, 'de>), GaveUp> {
        let name: Result<_, GaveUp> = match &self.name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(StrDeserializer::new(name)),
        };
        Ok((name?, self.content))
    }
}

/// What a variant contains, and whether it contains anything.
pub(super) struct Content<'r, 'de>(Direct<'r, 'de>, bool);

impl<'r, 'de> Content<'r, 'de> {
    fn required(self) -> Result<Direct<'r, 'de>, GaveUp> {
        match self.1 {
            true => Ok(self.0),
            false => Err(GaveUp),
        }
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = GaveUp;

    fn unit_variant(self) -> Result<(), GaveUp> {
        match self.1 {
            true => Deserialize::deserialize(self.0),
            false => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, GaveUp> {
        seed.deserialize(self.required()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, GaveUp> {
        self.required()?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, GaveUp> {
        self.required()?.deserialize_struct("", fields, visitor)
    }
}

/// The elements of an array.
pub(super) struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    left: u64,
    /// Whether each is to be above the one before it, as the members of a set are written.
    ordered: bool,
    previous: Option<Key<'de>>,
}

impl<'r, 'de> Items<'r, 'de> {
    pub(super) fn new(inside: Direct<'r, 'de>, left: u64, ordered: bool) -> Self {
        Self {
            reader: inside.reader,
            depth: inside.depth,
            left,
            ordered,
            previous: None,
        }
    }

    /// How many elements were not asked for.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn skip_rest(&mut self) -> Result<(), GaveUp> {
        for _ in 0..std::mem::take(&mut self.left) {
            self.reader.skip()?;
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = GaveUp;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, GaveUp> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.ordered {
            let start = self.reader.position();
            let member = self.reader.key(self.depth)?;
            above(&mut self.previous, member)?;
            self.reader.set_position(start);
        }
        let element = Direct {
            reader: self.reader,
            depth: self.depth,
        };
        seed.deserialize(element).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

/// Gives up unless the key is above the one before it: through the value, entries come in order and none comes twice.
fn above<'de>(previous: &mut Option<Key<'de>>, key: Key<'de>) -> Result<(), GaveUp> {
    if previous.as_ref().is_some_and(|previous| previous.compare(&key).is_ge()) {
        return Err(GaveUp);
    }
    *previous = Some(key);
    Ok(())
}

/// The entries of a map.
pub(super) struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    left: u64,
    /// Whether the keys are the fields of a struct.
    fields: bool,
    /// Whether there was a key that is a text.
    has_text: bool,
    previous: Option<Key<'de>>,
    /// Whether the next item is the value of the key delivered last.
    value: bool,
}

impl<'r, 'de> Entries<'r, 'de> {
    pub(super) fn new(inside: Direct<'r, 'de>, left: u64, fields: bool) -> Self {
        Self {
            reader: inside.reader,
            depth: inside.depth,
            left,
            fields,
            has_text: false,
            previous: None,
            value: false,
        }
    }

    /// Passes over what was not asked for; it has to be in order all the same.
    pub(super) fn skip_rest(&mut self) -> Result<(), GaveUp> {
        let mut previous = self.previous.take();
        if self.value {
            self.reader.skip()?;
        }
        for _ in 0..self.left {
            above(&mut previous, self.reader.key(self.depth)?)?;
            self.reader.skip()?;
        }
        Ok(())
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = GaveUp;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, GaveUp> {
        if self.value {
            return Err(GaveUp);
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.value = true;
        let start = self.reader.position();
        let key = self.reader.key(self.depth)?;
        above(&mut self.previous, key.clone())?;
        match key {
            Key::Text(Cow::Borrowed(name)) if self.fields => {
                self.has_text = true;
                return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
            }
            Key::Text(_) => self.has_text = true,
            // Beside text keys it depends on whether one of them says the same.
            Key::Keyword(_) if self.has_text => return Err(GaveUp),
            Key::Keyword(keyword) => {
                let key = KeywordKey {
                    reader: self.reader,
                    depth: self.depth,
                    start,
                    identifier: identifier(keyword),
                };
                return seed.deserialize(key).map(Some);
            }
            _ if self.fields => return Err(GaveUp),
            _ => {}
        }
        self.reader.set_position(start);
        let key = Direct {
            reader: self.reader,
            depth: self.depth,
        };
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, GaveUp> {
        if !std::mem::take(&mut self.value) {
            return Err(GaveUp);
        }
        seed.deserialize(Direct {
            reader: self.reader,
            depth: self.depth,
        })
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

/// A keyword as the key of a map: it reads as text without the colon. The reader stands behind it.
struct KeywordKey<'r, 'de> {
    reader: &'r mut Reader<'de>,
    depth: usize,
    start: usize,
    identifier: Cow<'de, str>,
}

impl<'r, 'de> KeywordKey<'r, 'de> {
    /// The keyword as any other item.
    fn again(self) -> Direct<'r, 'de> {
        self.reader.set_position(self.start);
        Direct {
            reader: self.reader,
            depth: self.depth,
        }
    }
}

impl<'de> Deserializer<'de> for KeywordKey<'_, 'de> {
    type Error = GaveUp;

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        visit_text(self.identifier, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, GaveUp> {
        match name {
            names::KEYWORD | names::VALUE => self.again().deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        let inside = Direct {
            reader: self.reader,
            depth: self.depth,
        };
        visitor.visit_enum(Variant::new(self.identifier, inside, false))
    }
}
