//! Paths: a key and the steps into what is stored under it.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::value::write_list;
use crate::{Error, ErrorKind, Key, Result, Value};

/// A key and the steps into the document under it.
///
/// [`path!`](macro@crate::path) makes one. Anything that is a key, such as a `&str`, is the path of that key without steps; only
/// [`FromStr`] reads EDN. The text form is a list of the key and the steps.
///
/// ```
/// use konserve_core::{Path, kw, path};
///
/// let path: Path = r#"["foo" :bar 3]"#.parse()?;
/// assert_eq!(path, path!["foo", kw!("bar"), 3]);
/// assert_eq!(path, Path::new("foo").join(kw!("bar")).join(3));
/// assert_eq!(Path::from("[:bar]"), Path::new("[:bar]"));
/// assert!("[]".parse::<Path>().is_err());
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    key: Key,
    steps: Vec<Value>,
}

impl Path {
    /// The path of a key, without steps.
    pub fn new(key: impl Into<Key>) -> Self {
        let (key, steps) = (key.into(), Vec::new());
        Self { key, steps }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The steps into what is stored under the key.
    pub fn steps(&self) -> &[Value] {
        &self.steps
    }

    /// The key and the steps.
    pub fn into_parts(self) -> (Key, Vec<Value>) {
        (self.key, self.steps)
    }

    /// Goes one step further.
    pub fn push(&mut self, step: impl Into<Value>) {
        self.steps.push(step.into());
    }

    /// The path that goes one step further.
    #[must_use]
    pub fn join(mut self, step: impl Into<Value>) -> Self {
        self.push(step);
        self
    }
}

/// A [`Path`] of a key and steps, each anything that a [`Value`] can be made from.
///
/// ```
/// use konserve_core::{Key, kw, path};
///
/// assert_eq!(path!["foo", kw!("bar"), 3].to_string(), r#"["foo" :bar 3]"#);
/// assert_eq!(path![Key::from("foo"), [1, 2]].to_string(), r#"["foo" [1 2]]"#);
/// ```
#[macro_export]
macro_rules! path {
    ($key:expr $(, $step:expr)* $(,)?) => {
        $crate::Path::new($crate::Value::from($key))$(.join($step))*
    };
}

impl<K: Into<Key>> From<K> for Path {
    fn from(key: K) -> Self {
        Self::new(key)
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

impl TryFrom<Vec<Value>> for Path {
    type Error = Error;

    /// The key is the first of the values; `path` when there is none.
    fn try_from(values: Vec<Value>) -> Result<Self> {
        let mut values = values.into_iter();
        match values.next() {
            Some(key) => Ok(Self {
                key: key.into(),
                steps: values.collect(),
            }),
            None => Err(Error::new(
                ErrorKind::Path,
                "a path is a key and steps, found an empty list",
            )),
        }
    }
}

impl FromStr for Path {
    type Err = Error;

    /// Reads an EDN list of the key and the steps.
    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            Value::List(values) => values.try_into(),
            other => Err(Error::new(
                ErrorKind::Path,
                format!("a path is a list of a key and steps, found {}", other.type_name()),
            )),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(std::iter::once(self.key.as_value()).chain(&self.steps), f)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl Serialize for Path {
    /// A list of the key and the steps.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::once(self.key.as_value()).chain(&self.steps))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Value>::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}
