//! Answers: what a call brings, in a form in which that of the model and that of a store can be compared.

use std::collections::BTreeMap;

use bytes::Bytes;
use konserve_core::value::Map;
use konserve_core::{ErrorKind, Key, Kind, Value};

/// An answer, and the revisions in it in the order in which they come: stamps of the model, or those of a store.
#[derive(Debug, Clone)]
pub(super) struct Reply<R> {
    pub(super) answer: Answer,
    pub(super) revisions: Vec<R>,
}

/// An answer without its revisions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Failed(ErrorKind),
    /// The function of an update failed, and its error came out.
    Declined,
    /// It was done, and there is nothing to tell.
    Done,
    /// Whether it is, or was, there.
    Exists(bool),
    Value(Option<Value>),
    Known(Option<Known>),
    ValueAndKnown(Option<(Value, Known)>),
    /// Of several keys, those that there are.
    Values(BTreeMap<Key, Value>),
    /// A binary, or the range of it.
    Bytes(Option<(Bytes, Known)>),
    Entries(Vec<Value>),
    /// Entries behind their positions.
    Positioned(Vec<(u64, Value)>),
    /// How many entries there are.
    Count(u64),
    /// By key; what is listed twice is here twice.
    Listed(Vec<Known>),
    Written,
    Updated {
        old: Option<Value>,
        new: Value,
    },
    Existed(BTreeMap<Key, bool>),
    Position(u64),
    /// Where a log begins.
    Begins(Option<u64>),
}

/// What is known of a key, without its revision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) key: Key,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) fields: Map,
    /// At the end of which minute since the beginning it will be gone.
    pub(super) expires: Option<u64>,
    /// Of a log that is looked into.
    pub(super) log: Option<Extent>,
}

/// How far a log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) entries: u64,
    pub(super) first: u64,
    pub(super) next: u64,
}

impl<R> Reply<R> {
    pub(super) fn new(answer: Answer) -> Self {
        Self::with(answer, Vec::new())
    }

    pub(super) fn with(answer: Answer, revisions: Vec<R>) -> Self {
        Self { answer, revisions }
    }
}

impl<R> From<Result<Self, ErrorKind>> for Reply<R> {
    fn from(result: Result<Self, ErrorKind>) -> Self {
        result.unwrap_or_else(|kind| Self::new(Answer::Failed(kind)))
    }
}
