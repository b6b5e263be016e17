//! Conditions of writes, removals and checks.

use super::Occupant;
use crate::Rev;

/// The condition under which a mutation is applied.
///
/// With `mine` the revision of the write or removal, and for an occupant that does not carry that very revision:
///
/// | | vacant | tombstone | item | pinned item |
/// |---|---|---|---|---|
/// | `Always` | yes | yes | yes | no |
/// | `Absent` | yes | `mine` is higher | no | no |
/// | `Exists` | no | no | `mine` is higher | no |
/// | `Matches(rev)` | no | no | it has `rev`, and `mine` is higher | the same |
/// | `Newer` | yes | `mine` is higher | `mine` is higher | no |
///
/// A [`Mutation::Check`](super::Mutation::Check) has no revision of its own: `Absent`, `Exists` and `Matches` then ask
/// only what is there (`Exists` and `Matches` also of a pinned item), and `Always` and `Newer` make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// For rows that are written once, where the same bytes may arrive again. Not for documents: it is no fence.
    Always,
    /// There is no item.
    Absent,
    /// There is an item, not pinned.
    Exists,
    /// There is an item of exactly this revision.
    Matches(Rev),
    /// No item is there that is pinned or of a higher revision: a late retry cannot undo a newer write.
    Newer,
}

impl When {
    /// Whether a write or removal of revision `mine` is applied over this occupant, by the table above.
    ///
    /// For engines that decide in their own process. An expired item must come as the tombstone that it counts as
    /// ([`Occupant::as_of`]), and an occupant of revision `mine` is a repetition, which is decided before.
    pub fn admits(self, mine: Rev, occupant: Option<&Occupant>) -> bool {
        match (self, occupant) {
            (Self::Matches(rev), Some(Occupant::Item(item))) => item.rev == rev && mine > rev,
            (_, Some(Occupant::Item(item))) if item.pinned => false,
            (Self::Always, _) => true,
            (Self::Absent | Self::Newer, None) => true,
            (Self::Absent | Self::Newer, Some(Occupant::Tombstone(rev))) => mine > *rev,
            (Self::Exists | Self::Newer, Some(Occupant::Item(item))) => mine > item.rev,
            (Self::Absent, Some(Occupant::Item(_))) => false,
            (Self::Exists | Self::Matches(_), None | Some(Occupant::Tombstone(_))) => false,
        }
    }

    /// Whether a check holds over this occupant; `None` for the conditions that a check cannot have.
    pub fn holds(self, occupant: Option<&Occupant>) -> Option<bool> {
        let item = occupant.and_then(Occupant::item);
        match self {
            Self::Absent => Some(item.is_none()),
            Self::Exists => Some(item.is_some()),
            Self::Matches(rev) => Some(item.is_some_and(|item| item.rev == rev)),
            Self::Always | Self::Newer => None,
        }
    }
}
