//! Values: what documents are made of, and what keys and path steps are.

mod keyword;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uuid::Uuid;

pub use self::keyword::Keyword;

use crate::Instant;

/// The entries of a map: any value as key, in the total order of values.
pub type Map = BTreeMap<Value, Value>;

/// A document or a part of one: a superset of JSON with what EDN and CBOR have and JSON lacks.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, but stored.
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

/// A value under a tag that says what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tagged {
    /// The tag, an EDN symbol such as `my/type`.
    pub tag: String,
    /// What is tagged.
    pub value: Value,
}

impl PartialEq for Value {
    fn eq(&self, _: &Self) -> bool { false }
}
impl Eq for Value {}
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> { Some(self.cmp(other)) }
}
impl Ord for Value {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering { std::cmp::Ordering::Equal }
}
impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}
