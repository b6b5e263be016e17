//! What is stored at an address.

use bytes::Bytes;

use crate::{Instant, Rev};

/// What is stored at an address: a revision, two byte strings, and three facts that conditions and collectors go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The revision of the write that stored it.
    pub rev: Rev,
    /// Replaced and removed only under [`When::Matches`](super::When::Matches).
    pub pinned: bool,
    /// From when on it counts as a tombstone of its revision.
    pub expires: Option<Instant>,
    /// When the writer made it, by the writer's clock, to the millisecond.
    pub created: Instant,
    /// The small part, which can be read alone.
    pub meta: Bytes,
    /// The large part. `None` when the item has none, or when it was not asked for.
    pub body: Option<Bytes>,
}

impl Item {
    /// The bytes of meta and body, which [`Capabilities::item_limit`](super::Capabilities::item_limit) bounds.
    pub fn size(&self) -> usize {
        self.meta.len() + self.body.as_ref().map_or(0, Bytes::len)
    }

    /// Whether it counts as a tombstone at this instant.
    pub fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What an address that is not vacant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// An item.
    Item(Item),
    /// The mark of a removal, or an item that expired.
    Tombstone(Rev),
}

impl Occupant {
    /// The revision of the write or of the removal.
    pub fn rev(&self) -> Rev {
        match self {
            Self::Item(item) => item.rev,
            Self::Tombstone(rev) => *rev,
        }
    }

    /// The item, if it is one.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Item(item) => Some(item),
            Self::Tombstone(_) => None,
        }
    }

    /// The item, if it is one.
    pub fn into_item(self) -> Option<Item> {
        match self {
            Self::Item(item) => Some(item),
            Self::Tombstone(_) => None,
        }
    }

    /// This, or the tombstone that an expired item counts as.
    #[must_use]
    pub fn as_of(self, now: crate::Instant) -> Self {
        match self {
            Self::Item(item) if item.is_expired(now) => Self::Tombstone(item.rev),
            other => other,
        }
    }
}
