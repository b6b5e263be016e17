//! Values: what documents are made of, and what keys and path steps are.
//!
//! Here live the type [`Value`], its text form ([EDN](https://github.com/edn-format/edn)) and its two-way bridge to serde.
//! How values are stored as bytes does not belong here.
//!
//! # Text
//!
//! `Display` and `FromStr` of [`Value`] are inverse for every value, and the text is canonical: equal values have equal
//! texts, since maps and sets are written in order.
//!
//! | value | text |
//! |---|---|
//! | null, booleans | `nil`, `true`, `false` |
//! | integers | `42`; read also with the suffix `N` |
//! | floats | `1.5`, `1e100`, `##Inf`, `##-Inf`, `##NaN`; a NaN of other bits `#float "fff8000000000000"`; read also with the suffix `M` |
//! | text | `"a\n\u0000"`; read also the characters `\a`, `\newline`, `\u0041` |
//! | bytes | `#bytes "AAEC"`, in Base64 |
//! | lists, sets, maps | `[1 2]`, read also `(1 2)`; `#{1 2}`; `{:a 1, :b 2}` |
//! | keywords, UUIDs, instants | `:ns/name`, `#uuid "…"`, `#inst "2024-02-29T12:00:00Z"` |
//! | tagged | `#my/tag value` |
//!
//! Commas are white space, `;` begins a comment that ends with the line, and `#_` discards the value behind it. Refused
//! are: symbols other than the three above, ratios, numbers with leading zeros or out of range, the same key or member
//! twice, metadata, and more than [`MAX_DEPTH`] levels.
//!
//! # Serde
//!
//! [`to_value`] and [`from_value`] turn any serde type into a value and back, and report `is_human_readable = false`.
//!
//! - Structs are maps with text keys, tuples are lists, `()` and `None` are null, a `char` is a text. `Some(x)` is `x`, so
//!   `Some(None)` reads back as `None`.
//! - A unit variant is its name as a text, any other variant a map with its name as the only key.
//! - Serde has no sets: a `BTreeSet` goes in as a list. A set in a document fills any sequence.
//! - A `uuid::Uuid` goes in as 16 bytes, unless its field is marked with [`as_uuid`]; it is read from a UUID as well as
//!   from 16 bytes. Fields of type [`Value`], [`Keyword`], [`Instant`]
//!   and [`Tagged`] stay exactly what they are.
//! - Reading is lenient with keywords: a keyword key `:foo` fills the field or selects the variant `foo` (`:ns/foo` that of
//!   the name `ns/foo`), and is `"foo"` in a map with text keys. Where a map has both, the text key counts and the keyword
//!   keeps its colon. A keyword that is not a key reads as the text `":foo"`, and as the variant `foo`.
//! - Bytes fill a `Vec<u8>` as well; UUIDs and instants read as their text where text is asked for. Text is never read as
//!   bytes, nor bytes as text, a list as a struct, or a float as an integer; an integer fills a float.
//! - Numbers of `serde_json` are numbers, also with its feature `arbitrary_precision`.
//! - What serde buffers (`untagged`, `flatten`, internally tagged) passes through serde's own, smaller model: there a
//!   [`Value`] gets keywords, UUIDs and instants as text and sets as lists, and integers beyond 64 bits are an error.
//!
//! A value serialized to another format takes the plain form nearest to it: keywords as text with the colon, instants as
//! RFC 3339, sets as sequences, tagged values as pairs.

pub mod as_uuid;
mod convert;
mod de;
mod de_parts;
mod edn_read;
mod edn_write;
mod handover;
mod keyword;
pub(crate) mod names;
mod order;
mod ser;
mod serde_error;
mod serde_impls;
mod tagged;

#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod serde_tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uuid::Uuid;

pub use self::de::{from_value, from_value_ref};
pub(crate) use self::edn_write::write_list;
pub(crate) use self::handover::hand_over;
pub use self::keyword::Keyword;
pub(crate) use self::keyword::is_identifier;
pub use self::ser::to_value;
pub(crate) use self::serde_error::SerdeError;
pub(crate) use self::serde_impls::json_number;
pub use self::tagged::Tagged;

use crate::Instant;

/// The entries of a map: any value as key, in the total order of values.
pub type Map = BTreeMap<Value, Value>;

/// The most levels that lists, sets, maps and tags can be nested: on every way in, more is an error.
///
/// Values that a program builds by hand are not checked before they are written.
pub const MAX_DEPTH: usize = 128;

/// A document or a part of one: a superset of JSON with what EDN and CBOR have and JSON lacks.
///
/// Totally ordered, so that any value can be a key. The [module](self) describes its text form and what serde makes of it.
///
/// ```
/// use konserve_core::Value;
///
/// let value: Value = r#"{:name "Ada" :born #inst "1815-12-10T00:00:00Z" "tags" #{1 :b}}"#.parse()?;
/// assert_eq!(value.to_string(), r#"{"tags" #{1 :b}, :born #inst "1815-12-10T00:00:00Z", :name "Ada"}"#);
/// assert_eq!(value.to_string().parse::<Value>()?, value);
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing, but stored.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; every `i64`, `u64` and `i128` is exact.
    Integer(i128),
    /// A floating point number, ordered by `f64::total_cmp`; never equal to an integer.
    Float(f64),
    /// Unicode text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// Values in order.
    List(Vec<Value>),
    /// Distinct values.
    Set(BTreeSet<Value>),
    /// Values by value.
    Map(Map),
    /// An identifier, `:name` or `:namespace/name`.
    Keyword(Keyword),
    /// A UUID.
    Uuid(Uuid),
    /// A point in time.
    Instant(Instant),
    /// Any other EDN tag with its value.
    Tagged(Box<Tagged>),
}

impl Value {
    /// What kind of value this is, in one word: `null`, `boolean`, `integer`, `float`, `text`, `bytes`, `list`, `set`,
    /// `map`, `keyword`, `uuid`, `instant` or `tagged`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Map(_) => "map",
            Self::Keyword(_) => "keyword",
            Self::Uuid(_) => "uuid",
            Self::Instant(_) => "instant",
            Self::Tagged(_) => "tagged",
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(it) => Some(*it),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(it) => Some(*it),
            _ => None,
        }
    }

    /// The float, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(it) => Some(*it),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(it) => Some(it),
            _ => None,
        }
    }

    /// The bytes, if it is such.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(it) => Some(it),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&Vec<Value>> {
        match self {
            Self::List(it) => Some(it),
            _ => None,
        }
    }

    /// The members, if it is a set.
    pub fn as_set(&self) -> Option<&BTreeSet<Value>> {
        match self {
            Self::Set(it) => Some(it),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(it) => Some(it),
            _ => None,
        }
    }

    /// The keyword, if it is one.
    pub fn as_keyword(&self) -> Option<&Keyword> {
        match self {
            Self::Keyword(it) => Some(it),
            _ => None,
        }
    }

    /// The UUID, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(it) => Some(*it),
            _ => None,
        }
    }

    /// The instant, if it is one.
    pub fn as_instant(&self) -> Option<Instant> {
        match self {
            Self::Instant(it) => Some(*it),
            _ => None,
        }
    }

    /// The tag and its value, if it is tagged.
    pub fn as_tagged(&self) -> Option<&Tagged> {
        match self {
            Self::Tagged(it) => Some(it),
            _ => None,
        }
    }

    /// What one step of a path leads to: the entry of a map, the item of a list at an index, the member of a set.
    ///
    /// ```
    /// use konserve_core::{Value, kw};
    ///
    /// let value: Value = "{:a [1 2]}".parse()?;
    /// let list = value.get(kw!("a")).unwrap();
    /// assert_eq!(list.get(1), Some(&Value::from(2)));
    /// assert_eq!(list.get(-1), None);
    /// # Ok::<(), konserve_core::Error>(())
    /// ```
    pub fn get(&self, step: impl Into<Value>) -> Option<&Value> {
        crate::nested::read(self, &[step.into()])
    }

    /// Whether lists, sets, maps and tags are nested at most `levels` deep.
    pub(crate) fn fits_depth(&self, levels: usize) -> bool {
        let Some(below) = levels.checked_sub(1) else {
            return !matches!(self, Self::List(_) | Self::Set(_) | Self::Map(_) | Self::Tagged(_));
        };
        match self {
            Self::List(items) => items.iter().all(|item| item.fits_depth(below)),
            Self::Set(members) => members.iter().all(|member| member.fits_depth(below)),
            Self::Map(map) => map
                .iter()
                .all(|(key, value)| key.fits_depth(below) && value.fits_depth(below)),
            Self::Tagged(tagged) => tagged.value().fits_depth(below),
            _ => true,
        }
    }
}
