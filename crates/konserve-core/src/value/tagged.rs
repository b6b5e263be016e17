//! Values under a tag.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::keyword::is_identifier;
use super::serde_impls::TaggedVisitor;
use super::{Value, names};
use crate::{Error, ErrorKind, Result};

/// A value under a tag that says what it means.
///
/// ```
/// use konserve_core::value::{Tagged, Value};
///
/// let point = Value::from(Tagged::new("geo/point", [1, 2])?);
/// assert_eq!(point.to_string(), "#geo/point [1 2]");
/// assert!(Tagged::new("uuid", "stands for a UUID").is_err());
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tagged {
    tag: String,
    value: Value,
}

impl Tagged {
    /// The tags that have a meaning of their own in the text form.
    pub const RESERVED: [&'static str; 4] = ["inst", "uuid", "bytes", "float"];

    /// A value under a tag: `name` or `namespace/name` as in [`Keyword`](super::Keyword), beginning with a letter.
    ///
    /// # Errors
    ///
    /// `invalid_input` when the tag is not of that form, or is [reserved](Self::RESERVED).
    pub fn new(tag: impl Into<String>, value: impl Into<Value>) -> Result<Self> {
        let tag = tag.into();
        if !tag.starts_with(char::is_alphabetic) || !is_identifier(&tag) {
            let message = format!("{tag:?} is not a tag: expected `name` or `namespace/name`, beginning with a letter");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if Self::RESERVED.contains(&tag.as_str()) {
            let message = format!("the tag {tag:?} has a meaning of its own");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let value = value.into();
        Ok(Self { tag, value })
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What is tagged.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The tag and what is tagged.
    pub fn into_parts(self) -> (String, Value) {
        (self.tag, self.value)
    }
}

impl Serialize for Tagged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(names::TAGGED, &(&self.tag, &self.value))
    }
}

impl<'de> Deserialize<'de> for Tagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::TAGGED, TaggedVisitor { depth: 0 })
    }
}
