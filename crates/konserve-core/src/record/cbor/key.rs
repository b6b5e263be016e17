//! Keys of maps and members of sets, as far as it takes to tell their order.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::reader::{Major, Reader};
use super::tags;
use crate::value::is_identifier;
use crate::{Result, Value};

/// A value that is ordered as all values are, without having been built if it is of a kind that keys usually are.
#[derive(Debug, Clone)]
pub(super) enum Key<'b> {
    Integer(i128),
    Text(Cow<'b, str>),
    /// Colon included.
    Keyword(Cow<'b, str>),
    Other(Value),
}

impl<'b> Reader<'b> {
    /// The next item as a key. `depth` is how many levels of nesting are left.
    pub(super) fn key(&mut self, depth: usize) -> Result<Key<'b>> {
        Ok(match self.major()? {
            Major::Unsigned | Major::Negative => Key::Integer(self.integer()?),
            Major::Text => Key::Text(self.text()?),
            Major::Tag => {
                let start = self.position();
                if self.tag()? == tags::IDENTIFIER {
                    Key::Keyword(self.keyword_text()?)
                } else {
                    self.set_position(start);
                    Key::Other(self.value(depth)?)
                }
            }
            _ => Key::Other(self.value(depth)?),
        })
    }

    /// The text of a keyword, colon included, behind its tag.
    pub(super) fn keyword_text(&mut self) -> Result<Cow<'b, str>> {
        if self.major()? != Major::Text {
            return Err(self.corrupt("an identifier that is not a text"));
        }
        let text = self.text()?;
        match text.strip_prefix(':') {
            Some(identifier) if is_identifier(identifier) => Ok(text),
            Some(_) => Err(self.corrupt("a keyword that cannot be one")),
            None => Err(self.foreign("an identifier that is not a keyword")),
        }
    }
}

impl Key<'_> {
    /// The order of the values.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Keyword(a), Self::Keyword(b)) => a.cmp(b),
            (Self::Other(a), Self::Other(b)) => a.cmp(b),
            (a, b) => a.value().cmp(&b.value()),
        }
    }

    /// The value, which is compared with one of another kind.
    fn value(&self) -> Value {
        match self {
            Self::Integer(it) => Value::Integer(*it),
            Self::Text(it) => Value::Text(it.clone().into_owned()),
            // What begins with a colon and was read as a keyword is one.
            Self::Keyword(it) => it.parse().map_or(Value::Null, Value::Keyword),
            Self::Other(it) => it.clone(),
        }
    }
}
