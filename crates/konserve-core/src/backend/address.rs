//! Where an item lives.

use std::fmt;
use std::sync::Arc;

/// The part of a store that an address belongs to. An engine treats all spaces alike and never mixes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Documents, binaries and the heads of logs: one item for each key, at row 0.
    Document,
    /// The chunks of large values.
    Chunk,
    /// What is known of each large value that is being written, is live, or is to be removed.
    Generation,
    /// The entries and the state of logs.
    Log,
}

impl Space {
    /// All spaces.
    pub const ALL: [Self; 4] = [Self::Document, Self::Chunk, Self::Generation, Self::Log];

    /// A letter for the space, for engines that build names from addresses: `d`, `c`, `g`, `l`.
    pub fn letter(self) -> char {
        match self {
            Self::Document => 'd',
            Self::Chunk => 'c',
            Self::Generation => 'g',
            Self::Log => 'l',
        }
    }

    /// The space of a letter, the inverse of [`letter`](Self::letter).
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.letter() == letter)
    }
}

/// The text that names a partition: any Unicode text of up to
/// [`Capabilities::longest_partition`](super::Capabilities::longest_partition) bytes, and at least one byte.
///
/// The rows of one partition are ordered and are read together. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(Arc<str>);

impl Partition {
    /// The partition of this name.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an item lives: a row of a partition of a space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The part of the store.
    pub space: Space,
    /// The partition in it.
    pub partition: Partition,
    /// The row in the partition, any `u64`.
    pub row: u64,
}

impl Address {
    /// The address of this row.
    pub fn new(space: Space, partition: Partition, row: u64) -> Self {
        Self { space, partition, row }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.space.letter(), self.partition, self.row)
    }
}
