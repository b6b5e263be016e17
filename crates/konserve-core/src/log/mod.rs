//! Logs: entries in a total order, with dense positions, and no item that all appends have to change.
//!
//! ```text
//! document space   the key's head: names the log's random id, written once, pinned
//! log space        id           row 0         the state row: where the log begins, its segment, whether it is sealed
//!                  id/segment   row position  entries from that position on, or the seal; written once (`Absent`)
//! ```
//!
//! An append is one write at the tail under the condition that nobody wrote there. Who loses reads the tail again. Positions are
//! dense because the next row is where the last one ends, and nowhere else.
//!
//! A log begins with its first entry: head, state row and first row come to be seen in one step (see [`create`]).
//!
//! Rows are grouped in segments by position, so that history spreads over partitions. The state row changes *before* what it
//! announces: before the first row of a new segment, and before rows are purged. A writer that goes on by what it knows (a
//! [`tail::Tail`]) believes itself only for half a lease after it last knew the state row; rows are purged no earlier than a
//! whole lease after the state row announced it. So no entry is acknowledged that lands in a log that is gone.

mod append;
mod backward;
mod create;
mod extent;
mod forward;
mod group;
mod read;
mod remove;
mod row;
mod site;
mod state;
mod tail;
mod trim;

pub(crate) use self::extent::extent;
pub(crate) use self::group::{Entries, Groups, append};
pub(crate) use self::read::{Pace, Selection, Which, entries};
pub(crate) use self::remove::{remove, sweep};
pub(crate) use self::site::Site;
pub(crate) use self::tail::{Reached, Tails};
pub(crate) use self::trim::{Trims, trim};

/// A position in a log: 0 for the first entry that was ever appended, and one more for each after it.
pub type Position = u64;

/// How many positions make a segment. No item holds more entries than this, so the item that holds a position begins in the
/// position's segment or in the one before.
pub(crate) const SEGMENT: u64 = 1 << 16;
