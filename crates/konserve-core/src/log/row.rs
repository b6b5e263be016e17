//! The rows of a log: where they lie, what their meta says of them, and the entries in their bodies.

use bytes::Bytes;

use super::state::name;
use super::{Position, SEGMENT};
use crate::backend::{Address, Item, Partition, Space};
use crate::head::{Head, HeadKind, LogId};
use crate::record::{Content, Envelope};
use crate::{Error, ErrorKind, Result, Value};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// Entries, one behind the other.
    Entries(Span),
    /// The end of a removed log.
    Seal,
}

/// Where the entries of one row are in their log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Position,
    /// At least one.
    pub(crate) count: u64,
    /// The bytes of all rows before it.
    pub(crate) before: u64,
    pub(crate) bytes: u64,
}

/// Where a log ends, or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The position of the next entry.
    pub(crate) next: Position,
    /// The bytes of all rows before it, those that are gone included.
    pub(crate) bytes: u64,
}

impl Span {
    pub(crate) fn end(&self) -> End {
        End {
            next: self.start.saturating_add(self.count),
            bytes: self.before.saturating_add(self.bytes),
        }
    }
}

impl Row {
    /// What the row that begins at a position is.
    ///
    /// # Errors
    ///
    /// `corrupt` for anything that is no row.
    pub(crate) fn decode(envelope: &Envelope, start: Position, meta: &Bytes) -> Result<Self> {
        let head = Head::decode(envelope, meta)?;
        match head.kind {
            HeadKind::Entries { count, before } if count > 0 && start.checked_add(count).is_some() => {
                Ok(Self::Entries(Span {
                    start,
                    count,
                    before,
                    bytes: head.size,
                }))
            }
            HeadKind::Seal => Ok(Self::Seal),
            _ => Err(Error::new(ErrorKind::Corrupt, "a row of a log that is none").with_position(start)),
        }
    }

    /// As [`decode`](Self::decode), of the item of a row.
    pub(crate) fn of(envelope: &Envelope, start: Position, item: &Item) -> Result<Self> {
        Self::decode(envelope, start, &item.meta)
    }
}

pub(crate) fn segment_of(position: Position) -> u64 {
    position / SEGMENT
}

/// The first position of a segment.
pub(crate) fn start_of(segment: u64) -> Position {
    segment.saturating_mul(SEGMENT)
}

/// The partition of a segment.
pub(crate) fn segment_partition(id: LogId, segment: u64) -> Partition {
    Partition::new(format!("{}/{segment}", name(id)))
}

/// Where the row that begins at a position lives.
pub(crate) fn row_address(id: LogId, position: Position) -> Address {
    Address::new(Space::Log, segment_partition(id, segment_of(position)), position)
}

/// The entries of a row.
pub(crate) fn decode_entries(content: Content, plain: &Bytes, span: &Span) -> Result<Vec<Value>> {
    let corrupt = |message: &str| Err(Error::new(ErrorKind::Corrupt, message).with_position(span.start));
    let Content::Encoded(codec) = content else {
        return corrupt("a row of a log that is not a value");
    };
    match codec.decode(plain)? {
        Value::List(entries) if entries.len() as u64 == span.count => Ok(entries),
        Value::List(_) => corrupt("a row of a log with more or fewer entries than it says"),
        _ => corrupt("a row of a log that is not a list"),
    }
}
