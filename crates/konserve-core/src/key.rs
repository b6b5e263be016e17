//! Keys: what documents, logs and binaries are stored under.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Instant, Keyword, Result, Value};

/// The name under which something is stored: any [`Value`].
///
/// A `&str` or `String` is one text, whatever is in it; only [`FromStr`] reads EDN. The text form is canonical EDN.
///
/// ```
/// use konserve_core::{Key, Value, kw};
///
/// assert_eq!(Key::from(":bar").to_string(), r#"":bar""#);
/// assert_eq!(":bar".parse::<Key>()?, Key::from(kw!("bar")));
/// assert_eq!(Key::from(7).into_value(), Value::Integer(7));
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Value);

impl Key {
    /// The value that the key is.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// The value that the key is.
    pub fn into_value(self) -> Value {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

impl FromStr for Key {
    type Err = Error;

    /// Reads EDN.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl From<&Key> for Value {
    fn from(key: &Key) -> Self {
        key.0.clone()
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

macro_rules! from {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Key {
            fn from(it: $type) -> Self {
                Self(it.into())
            }
        }
    )*};
}

// Neither lists nor maps of the standard library: a `Vec` of steps is meant as a path, never as a key.
from! {
    bool, char, &str, &String, String, Box<str>, Cow<'_, str>, Bytes, Keyword, Uuid, Instant, Value, &Value,
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, usize,
}
