//! The state row of a log.

use std::time::Duration;

use bytes::Bytes;

use super::Position;
use super::row::End;
use crate::backend::{Address, Item, Mutation, Partition, Space, When};
use crate::head::{Fields, HeadKind, LogId};
use crate::record::{Codec, Envelope};
use crate::store::Inner;
use crate::value::Map;
use crate::{Error, ErrorKind, Instant, Key, Result, Revision, Value};

/// What the state row of a log says. Each field only grows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogState {
    pub(crate) key: Key,
    /// Where the log begins: the first position that can be read, and the bytes of the rows before the one that holds it.
    pub(crate) first: End,
    /// Which rows are on their way out, if any are.
    pub(crate) trimmed: Option<Trimmed>,
    /// The last segment that may have rows.
    pub(crate) segment: u64,
    /// The log was removed: nothing that is not in it now ever will be.
    pub(crate) sealed: bool,
}

/// Which rows are to be purged, and when. While an announcement waits for its time, others that follow are not noted, so that its
/// time does come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed {
    /// Rows that end here or before, at any time.
    pub(crate) due: Position,
    /// Rows that end here or before, in some time.
    pub(crate) below: Position,
    /// When that was announced, by the clock of whoever did.
    pub(crate) at: Instant,
}

impl LogState {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            first: End { next: 0, bytes: 0 },
            trimmed: None,
            segment: 0,
            sealed: false,
        }
    }

    fn encode(&self, envelope: &Envelope) -> Result<Bytes> {
        let mut fields = Map::from([
            (Value::from("key"), self.key.as_value().clone()),
            (Value::from("first"), Value::from(self.first.next)),
            (Value::from("first_bytes"), Value::from(self.first.bytes)),
            (Value::from("segment"), Value::from(self.segment)),
            (
                Value::from("state"),
                Value::from(if self.sealed { "sealed" } else { "open" }),
            ),
        ]);
        if let Some(trimmed) = self.trimmed {
            fields.insert(Value::from("due"), Value::from(trimmed.due));
            fields.insert(Value::from("trimmed"), Value::from(trimmed.below));
            fields.insert(
                Value::from("trimmed_at"),
                Value::from(trimmed.at.as_millis().max(0) as u64),
            );
        }
        envelope.seal_value(Codec::Cbor, &Value::Map(fields))
    }

    pub(crate) fn decode(envelope: &Envelope, meta: &Bytes) -> Result<Self> {
        let mut fields = Fields::open(envelope, meta)?;
        let sealed = match fields.take_text("state")?.as_str() {
            "open" => false,
            "sealed" => true,
            other => {
                let message = format!("a log in state {other:?}, which this version does not know");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        Ok(Self {
            key: fields.take_key()?,
            first: End {
                next: fields.take_u64("first")?,
                bytes: fields.take_u64("first_bytes")?,
            },
            trimmed: match fields.take_u64_if_there("trimmed")? {
                None => None,
                Some(below) => Some(Trimmed {
                    due: fields.take_u64("due")?,
                    below,
                    at: Instant::from_millis(i64::try_from(fields.take_u64("trimmed_at")?).unwrap_or(i64::MAX)),
                }),
            },
            segment: fields.take_u64("segment")?,
            sealed,
        })
    }

    /// Lets the log begin here, as of this moment. Rows are purged as long after that as `patience` says.
    pub(crate) fn trim(&mut self, first: End, now: Instant, patience: Duration) {
        self.first = first;
        let next = Trimmed {
            due: self.due(now, patience),
            below: first.next,
            at: now,
        };
        match self.trimmed {
            Some(trimmed) if trimmed.due == next.due => {}
            _ => self.trimmed = Some(next),
        }
    }

    /// Which rows may be purged now: those that end here or before.
    pub(crate) fn due(&self, now: Instant, patience: Duration) -> Position {
        match self.trimmed {
            Some(_) if patience.is_zero() => self.first.next,
            Some(trimmed) if now.since(trimmed.at) >= patience => trimmed.below,
            Some(trimmed) => trimmed.due,
            None => 0,
        }
    }

    /// Its item under a revision.
    pub(crate) fn item(&self, store: &Inner, rev: Revision) -> Result<Item> {
        Ok(crate::head::item(rev, store.now(), self.encode(&store.envelope)?, None))
    }

    /// Its write in a commit.
    pub(crate) fn write(&self, store: &Inner, id: LogId, rev: Revision, when: When) -> Result<Mutation> {
        Ok(Mutation::Write {
            at: state_address(id),
            item: self.item(store, rev)?,
            when,
        })
    }
}

/// The head of a key that holds a log.
pub(crate) fn head_kind(key: &Key, id: LogId) -> HeadKind {
    HeadKind::Log { key: key.clone(), id }
}

/// Where the state row lives.
pub(crate) fn state_address(id: LogId) -> Address {
    Address::new(Space::Log, Partition::new(name(id)), 0)
}

/// The log that an address of the log space belongs to, and the segment, none for the state row.
pub(crate) fn owner(at: &Address) -> Option<(LogId, Option<u64>)> {
    let text = at.partition.as_str();
    let (id, segment) = match text.split_once('/') {
        Some((id, segment)) => (id, Some(segment.parse().ok()?)),
        None => (text, None),
    };
    u128::from_str_radix(id, 16).ok().map(|id| (id.to_be_bytes(), segment))
}

pub(super) fn name(id: LogId) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}
