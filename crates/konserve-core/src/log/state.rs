//! The state row of a log, and the addresses of its rows.

use bytes::Bytes;

use crate::backend::{Address, Item, Mutation, Partition, Space, When};
use crate::head::{Fields, HeadKind, LogId};
use crate::log::{Position, SEGMENT};
use crate::record::{Codec, Envelope};
use crate::store::Inner;
use crate::value::Map;
use crate::{Error, ErrorKind, Key, Result, Revision, Value};

/// What the state row of a log says. Each field only grows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogState {
    pub(crate) key: Key,
    /// The first position that can be read.
    pub(crate) first: Position,
    /// The last segment that may have rows.
    pub(crate) segment: u64,
    /// The log was removed: nothing that is not in it now ever will be.
    pub(crate) sealed: bool,
}

impl LogState {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            first: 0,
            segment: 0,
            sealed: false,
        }
    }

    fn encode(&self, envelope: &Envelope) -> Result<Bytes> {
        let fields = Map::from([
            (Value::from("key"), self.key.as_value().clone()),
            (Value::from("first"), Value::from(self.first)),
            (Value::from("segment"), Value::from(self.segment)),
            (
                Value::from("state"),
                Value::from(if self.sealed { "sealed" } else { "open" }),
            ),
        ]);
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
            first: fields.take_u64("first")?,
            segment: fields.take_u64("segment")?,
            sealed,
        })
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

pub(crate) fn segment_of(position: Position) -> u64 {
    position / SEGMENT
}

/// Where the state row lives.
pub(crate) fn state_address(id: LogId) -> Address {
    Address::new(Space::Log, Partition::new(name(id)), 0)
}

/// The partition of a segment.
pub(crate) fn segment_partition(id: LogId, segment: u64) -> Partition {
    Partition::new(format!("{}/{segment}", name(id)))
}

/// Where the row that begins at a position lives.
pub(crate) fn row_address(id: LogId, position: Position) -> Address {
    Address::new(Space::Log, segment_partition(id, segment_of(position)), position)
}

/// The log that a row belongs to, and whether it is the state row.
pub(crate) fn owner(at: &Address) -> Option<(LogId, bool)> {
    let text = at.partition.as_str();
    let (id, is_state) = match text.split_once('/') {
        Some((id, _)) => (id, false),
        None => (text, true),
    };
    u128::from_str_radix(id, 16).ok().map(|id| (id.to_be_bytes(), is_state))
}

fn name(id: LogId) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}
