//! What the revisions that an item had prove about a mutation whose answer was lost.
//!
//! Every mutation copies the stored revision, and those before it, on, and of each whether it was an item. So an item tells which of
//! the last few mutations were applied, and over what, also when others have overwritten them since. Revisions of one item only
//! grow: one that is missing between two that are there was never applied.

use konserve_core::backend::Previous;
use konserve_core::{Instant, Result, Rev};

use crate::layout::{self, Attributes, Before};

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
    before: Vec<Option<Before>>,
}

impl Lineage {
    pub(crate) fn of(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            stored: layout::rev(attributes)?,
            before: layout::stored_before(attributes)?,
        })
    }

    pub(crate) fn trace(&self, rev: Rev) -> Trace {
        if self.stored == rev {
            return Trace::Stored;
        }
        let mut before = self.before.iter().flatten();
        if before.any(|before| before.rev == rev) {
            return Trace::Overwritten;
        }
        let reaches_back = self.stored < rev
            || self
                .before
                .iter()
                .any(|before| before.is_none_or(|before| before.rev < rev));
        match reaches_back {
            true => Trace::Absent,
            false => Trace::Lost,
        }
    }

    /// What a revision replaced that is stored, or was: what is next behind it. What had expired by then, as the mutation saw it,
    /// was nothing any more.
    pub(crate) fn replaced_by(&self, rev: Rev, then: Instant) -> Previous {
        let found = self
            .before
            .iter()
            .position(|before| before.is_some_and(|before| before.rev == rev));
        let behind = match found {
            Some(index) => index + 1,
            None if self.stored == rev => 0,
            None => return Previous::Unknown,
        };
        match self.before.get(behind) {
            None => Previous::Unknown,
            Some(None) => Previous::Existed(false),
            Some(Some(before)) => {
                let had_expired = before.expires.is_some_and(|end| end <= then);
                Previous::Existed(before.was_item && !had_expired)
            }
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

    fn item(number: u8, expires: Option<i64>) -> Option<Before> {
        Some(Before {
            rev: rev(number),
            was_item: true,
            expires: expires.map(Instant::from_millis),
        })
    }

    fn tombstone(number: u8) -> Option<Before> {
        Some(Before {
            rev: rev(number),
            was_item: false,
            expires: None,
        })
    }

    fn lineage(stored: u8, before: &[Option<Before>]) -> Lineage {
        Lineage {
            stored: rev(stored),
            before: before.to_vec(),
        }
    }

    #[test]
    fn a_lineage_tells_what_was_applied_as_far_as_it_reaches_back() {
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
            let all = before.map(|before| before.and_then(|before| item(before, None)));
            assert_eq!(
                lineage(stored, &all).trace(rev(asked)),
                expected,
                "{stored} {before:?} {asked}"
            );
        }
        assert_eq!(lineage(9, &[]).trace(rev(1)), Trace::Lost, "an item that tells nothing");
    }

    #[test]
    fn a_lineage_tells_of_each_revision_but_the_oldest_what_it_replaced() {
        let then = Instant::from_millis(1_000);
        let all = [tombstone(8), item(7, Some(1_001)), item(6, Some(1_000)), item(5, None)];
        let young = [item(8, None), None, None, None];
        for (before, asked, expected) in [
            (&all[..], 9, Previous::Existed(false)),
            (&all, 8, Previous::Existed(true)),
            (&all, 7, Previous::Existed(false)),
            (&all, 6, Previous::Existed(true)),
            (&all, 5, Previous::Unknown),
            (&all, 4, Previous::Unknown),
            (&young, 9, Previous::Existed(true)),
            (&young, 8, Previous::Existed(false)),
            (&[], 9, Previous::Unknown),
        ] {
            assert_eq!(
                lineage(9, before).replaced_by(rev(asked), then),
                expected,
                "{before:?} {asked}"
            );
        }
    }
}
