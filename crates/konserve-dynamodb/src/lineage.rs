//! What the revisions that an item had prove about a mutation whose answer was lost.
//!
//! Every mutation copies the stored revision, and those before it, on. So an item tells which of the last few mutations were
//! applied, also when others have overwritten them since. Revisions of one item only grow: one that is missing between two that
//! are there was never applied.

use konserve_core::{Result, Rev};

use crate::layout::{self, Attributes};

/// What an item knows of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// It is the stored one.
    Stored,
    /// It was applied, and others after it.
    Overwritten,
    /// It was not applied so far.
    Absent,
    /// It was not applied lately; longer ago, nobody knows.
    Lost,
}

/// The revision that is stored, and those before it.
#[derive(Debug)]
pub(crate) struct Lineage {
    pub(crate) stored: Rev,
    /// The latest first. An inner `None` where there was nothing before.
    before: Vec<Option<Rev>>,
}

impl Lineage {
    pub(crate) fn of(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            stored: layout::rev(attributes)?,
            before: layout::revs_before(attributes)?,
        })
    }

    /// Whether nothing was there before this revision was applied, for one that was overwritten.
    pub(crate) fn was_first(&self, rev: Rev) -> bool {
        let mut behind = self.before.iter().skip_while(|before| **before != Some(rev)).skip(1);
        matches!(behind.next(), Some(None))
    }

    pub(crate) fn trace(&self, rev: Rev) -> Trace {
        if self.stored == rev {
            return Trace::Stored;
        }
        if self.before.contains(&Some(rev)) {
            return Trace::Overwritten;
        }
        let reaches_back = self.stored < rev
            || self
                .before
                .iter()
                .any(|before| before.is_none_or(|before| before < rev));
        match reaches_back {
            true => Trace::Absent,
            false => Trace::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rev(number: u8) -> Rev {
        let mut bytes = [0; 16];
        bytes[7] = number;
        Rev::from_bytes(bytes)
    }

    #[test]
    fn a_lineage_tells_what_was_applied_as_far_as_it_reaches_back() {
        let lineage = |stored: u8, before: &[Option<u8>]| Lineage {
            stored: rev(stored),
            before: before.iter().map(|before| before.map(rev)).collect(),
        };
        let long = [Some(8), Some(6), Some(4), Some(2)];
        let young = [Some(8), None, None, None];
        for (stored, before, asked, expected) in [
            (9, long, 9, Trace::Stored),
            (9, long, 6, Trace::Overwritten),
            (9, long, 2, Trace::Overwritten),
            (9, long, 10, Trace::Absent),
            (9, long, 7, Trace::Absent),
            (9, long, 3, Trace::Absent),
            (9, long, 1, Trace::Lost),
            (9, young, 8, Trace::Overwritten),
            (9, young, 7, Trace::Absent),
            (9, young, 1, Trace::Absent),
        ] {
            assert_eq!(
                lineage(stored, &before).trace(rev(asked)),
                expected,
                "{stored} {before:?} {asked}"
            );
        }
        assert_eq!(lineage(9, &[]).trace(rev(1)), Trace::Lost, "an item that tells nothing");
    }
}
