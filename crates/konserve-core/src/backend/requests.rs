//! What engines are asked, and what they answer.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Address, Item, Occupant, Partition, Space, When};
use crate::{Error, ErrorKind, Rev};

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Read {
    /// See every mutation that was acknowledged before the read began.
    pub strong: bool,
    /// Deliver the body.
    pub body: bool,
    /// All addresses as of one moment, which is as strong as can be. Minded by [`read_many`](super::Backend::read_many) alone.
    pub snapshot: bool,
}

impl Read {
    /// Strong, with the body.
    pub const STRONG: Self = Self {
        strong: true,
        body: true,
        snapshot: false,
    };
    /// May lag, with the body.
    pub const EVENTUAL: Self = Self {
        strong: false,
        body: true,
        snapshot: false,
    };
    /// As of one moment, with the body.
    pub const SNAPSHOT: Self = Self {
        strong: true,
        body: true,
        snapshot: true,
    };

    /// The same without the body.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.body = false;
        self
    }
}

/// The answer to a write or a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is stored, now or already before.
    Applied {
        /// What it replaced.
        previous: Previous,
    },
    /// The condition does not hold; nothing was changed.
    Refused {
        /// What is there, `None` when the address is vacant.
        current: Option<Occupant>,
    },
}

/// What a mutation replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Previous {
    /// This, or nothing.
    Known(Option<Occupant>),
    /// Whether an item was there is known, but not which: the mutation arrived again.
    Existed(bool),
    /// The engine cannot tell.
    Unknown,
}

/// One part of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// As [`Backend::write`](super::Backend::write).
    Write {
        /// Where.
        at: Address,
        /// What.
        item: Item,
        /// Under which condition.
        when: When,
    },
    /// As [`Backend::remove`](super::Backend::remove).
    Remove {
        /// Where.
        at: Address,
        /// The revision of the tombstone.
        rev: Rev,
        /// Under which condition.
        when: When,
    },
    /// Changes nothing, but the commit happens only if the condition holds.
    Check {
        /// Where.
        at: Address,
        /// `Absent`, `Exists` or `Matches`.
        when: When,
    },
}

impl Mutation {
    /// The address concerned.
    pub fn at(&self) -> &Address {
        match self {
            Self::Write { at, .. } | Self::Remove { at, .. } | Self::Check { at, .. } => at,
        }
    }

    /// The condition.
    pub fn when(&self) -> When {
        match self {
            Self::Write { when, .. } | Self::Remove { when, .. } | Self::Check { when, .. } => *when,
        }
    }

    /// The revision that it stores; `None` for a check.
    pub fn rev(&self) -> Option<Rev> {
        match self {
            Self::Write { item, .. } => Some(item.rev),
            Self::Remove { rev, .. } => Some(*rev),
            Self::Check { .. } => None,
        }
    }

    /// The bytes that it counts towards [`TransactionLimits::bytes`](super::TransactionLimits::bytes).
    pub fn size(&self) -> usize {
        match self {
            Self::Write { item, .. } => item.size(),
            Self::Remove { .. } | Self::Check { .. } => 0,
        }
    }
}

/// The answer to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All of it is stored, now or already before.
    Applied,
    /// Nothing was changed: the conditions of these do not hold. At least one, ascending by index.
    Refused(Vec<Refusal>),
}

/// A mutation whose condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which one, as an index into the commit.
    pub index: usize,
    /// What is at its address, `None` when that is vacant.
    pub current: Option<Occupant>,
}

/// What to erase.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purge {
    /// Whatever is there.
    Row(Address),
    /// The tombstone of this revision, if it is still there.
    Tombstone(Address, Rev),
}

impl Purge {
    /// The address concerned.
    pub fn at(&self) -> &Address {
        match self {
            Self::Row(at) | Self::Tombstone(at, _) => at,
        }
    }
}

/// The direction in which rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// The lowest row first.
    Ascending,
    /// The highest row first.
    Descending,
}

/// Which rows of a partition to read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowQuery {
    /// The space of the partition.
    pub space: Space,
    /// The partition.
    pub partition: Partition,
    /// The rows, both ends included. An empty range has no rows.
    pub range: RangeInclusive<u64>,
    /// In which direction.
    pub order: Order,
    /// The most items to deliver; `None` for all.
    pub limit: Option<usize>,
    /// How to read each.
    pub how: Read,
}

impl RowQuery {
    /// All rows of a partition, ascending.
    pub fn all(space: Space, partition: Partition, how: Read) -> Self {
        Self {
            space,
            partition,
            range: 0..=u64::MAX,
            order: Order::Ascending,
            limit: None,
            how,
        }
    }
}

/// A part of a space, for listings that are read in several parts side by side.
///
/// The engine names the parts ([`Backend::parts`](super::Backend::parts)) and knows them by their text, also in another process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListingPart(Arc<str>);

impl ListingPart {
    /// The part of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Everything, which every engine can list. Its name is the empty text.
    #[must_use]
    pub fn whole() -> Self {
        Self::new("")
    }

    /// Whether this is everything.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The error of an engine that has no such part: `invalid_input`.
    pub fn unknown(&self) -> Error {
        let message = format!("this engine knows no part {:?} of a listing", self.as_str());
        Error::new(ErrorKind::InvalidInput, message)
    }
}

/// How to list a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// How to read each.
    pub how: Read,
    /// Deliver all that is stored: tombstones as well, and items that have expired, as items.
    pub tombstones: bool,
    /// Only this part.
    pub part: ListingPart,
    /// Go on behind this address, which is one of the part.
    pub after: Option<Address>,
}

impl Listing {
    /// Every item, from the beginning.
    pub fn all(how: Read) -> Self {
        Self {
            how,
            tombstones: false,
            part: ListingPart::whole(),
            after: None,
        }
    }
}
