//! Mutants that decide conditions otherwise than the table.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use konserve_core::backend::{Address, Backend, Item, Occupant, Previous, When, Written};
use konserve_core::{Result, Rev};

use crate::engine::{Right, Wrong, applied};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [tables(), revisions(), repetitions()].into_iter().flatten().collect()
}

fn tables() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "conditions.ignored",
            "write.when-absent.refused-by-live-lower",
            "an engine without conditional writes that takes the header and does not look at it",
            || Conditions(|_| When::Always),
        ),
        Mutant::new(
            "conditions.newer-is-always",
            "write.when-newer.refused-by-tombstone-higher",
            "an upsert without a look at the revision: the last writer wins, however late",
            || Conditions(|when| if when == When::Newer { When::Always } else { when }),
        ),
        Mutant::new(
            "conditions.absent-is-newer",
            "write.when-absent.refused-by-live-lower",
            "creation is done by the upsert, as there is a condition on the revision anyway",
            || Conditions(|when| if when == When::Absent { When::Newer } else { when }),
        ),
        Mutant::new(
            "conditions.absent-hindered-by-tombstones",
            "write.when-absent.applied-over-tombstone-lower",
            "`if not exists` asks for a row, and the tombstone is one",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Absent, Some(_)) => false,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.absent-passes-any-tombstone",
            "write.when-absent.refused-by-tombstone-higher",
            "tombstones are taken for nothing at all, so that a delayed creation comes after the removal",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Absent, Some(Occupant::Tombstone(_))) => true,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.exists-met-by-tombstones",
            "write.when-exists.refused-by-tombstone-lower",
            "`if exists` asks for a row, and the tombstone is one",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Exists, Some(Occupant::Tombstone(rev))) => mine > *rev,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.exists-creates",
            "write.when-exists.refused-by-vacant",
            "an update that inserts where there is nothing to update",
            || Judges(|when, mine, there| matches!((when, there), (When::Exists, None)) || when.admits(mine, there)),
        ),
        Mutant::new(
            "conditions.exists-goes-back",
            "write.when-exists.refused-by-live-higher",
            "`if exists` is all that is asked for, and a delayed write undoes a newer one",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Exists, Some(Occupant::Item(item))) => !item.pinned,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.matches-goes-back",
            "write.when-matches-it.refused-by-live-higher",
            "compare and swap looks at the expected revision and not at the one that it stores",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Matches(rev), Some(Occupant::Item(item))) => item.rev == rev,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.matches-met-by-tombstones",
            "write.when-matches-it.refused-by-tombstone-lower",
            "the tombstone keeps the revision in the same column as an item",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Matches(rev), Some(there)) => there.rev() == rev && mine > rev,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.matches-creates",
            "write.when-matches-other.refused-by-vacant",
            "a condition on an attribute that is not there is taken for fulfilled",
            || {
                Judges(|when, mine, there| {
                    matches!((when, there), (When::Matches(_), None)) || when.admits(mine, there)
                })
            },
        ),
        Mutant::new(
            "conditions.matches-hindered-by-pinned",
            "write.when-matches-it.applied-over-pinned-lower",
            "pinned is taken for read-only, and nobody can replace what was once pinned",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Matches(_), Some(Occupant::Item(item))) if item.pinned => false,
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.pinned-forgotten",
            "write.when-newer.refused-by-pinned-lower",
            "the attribute is not stored, so that conditions cannot see it",
            || ForgetsPinned,
        ),
        Mutant::new(
            "conditions.always-replaces-pinned",
            "write.when-always.refused-by-pinned-lower",
            "a write without a condition is sent without a condition",
            || Judges(|when, mine, there| when == When::Always || when.admits(mine, there)),
        ),
        Mutant::new(
            "conditions.removals-ignore-pinned",
            "remove.when-newer.refused-by-pinned-lower",
            "the condition was added to the statement that writes and not to the one that removes",
            || RemovesPinned,
        ),
        Mutant::new(
            "conditions.expired-exists",
            "write.when-exists.refused-by-expired-lower",
            "conditions look at what is stored, and the clock is only looked at by reads",
            SeesExpired::default,
        ),
        Mutant::new(
            "conditions.expired-is-not-absent",
            "write.when-absent.applied-over-expired-lower",
            "an item stays until the engine sweeps it away, which may take days",
            SeesExpired::default,
        ),
        Mutant::new(
            "conditions.expired-matches",
            "remove.when-matches-it.refused-by-expired-lower",
            "the revision of an expired item is still in its column",
            SeesExpired::default,
        ),
    ]
}

fn revisions() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "conditions.revisions-by-their-clock",
            "when.revisions-compare-whole",
            "revisions are kept as a timestamp, which is half of them",
            || Judges(|when, mine, there| when.admits(clock_part(mine), there.map(with_clock_part).as_ref())),
        ),
        Mutant::new(
            "conditions.revisions-signed",
            "when.revisions-compare-whole",
            "sixteen bytes are compared as a signed number of 128 bits",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Newer, Some(there)) => {
                        i128::from_be_bytes(mine.to_bytes()) > i128::from_be_bytes(there.rev().to_bytes())
                    }
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.revisions-little-endian",
            "when.revisions-compare-whole",
            "sixteen bytes become a number of 128 bits, last byte first",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Newer, Some(there)) => {
                        u128::from_le_bytes(mine.to_bytes()) > u128::from_le_bytes(there.rev().to_bytes())
                    }
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.matches-by-the-clock",
            "when.matches-compares-whole",
            "the tag that is compared is a timestamp, and two writers can have the same",
            || {
                Judges(|when, mine, there| match (when, there) {
                    (When::Matches(rev), Some(Occupant::Item(item))) => {
                        clock_part(item.rev) == clock_part(rev) && mine > rev
                    }
                    _ => when.admits(mine, there),
                })
            },
        ),
        Mutant::new(
            "conditions.repetition-by-the-clock",
            "when.revisions-compare-whole",
            "requests are told apart by a timestamp, so that another writer's counts as one's own",
            || Repeats {
                is_repetition: |mine, there| clock_part(mine) == clock_part(there),
                stores: false,
            },
        ),
    ]
}

fn repetitions() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "conditions.repetition-refused",
            "write.when-absent.repeated-over-live-mine",
            "a write whose answer was lost is sent again, and meets itself",
            || Repeats {
                is_repetition: |_, _| false,
                stores: true,
            },
        ),
        Mutant::new(
            "conditions.repeated-removal-refused",
            "remove.when-exists.repeated-over-tombstone-mine",
            "a removal whose answer was lost is sent again, and finds nothing to remove",
            || RefusesRepeatedRemovals,
        ),
        Mutant::new(
            "conditions.repetition-stored-again",
            "write.repeated-with-other-bytes",
            "the same key and revision are an upsert",
            || Repeats {
                is_repetition: |mine, there| mine == there,
                stores: true,
            },
        ),
    ]
}

/// Another condition is passed on.
struct Conditions(fn(When) -> When);
/// Whether a write of this revision is applied over this.
struct Judges(fn(When, Rev, Option<&Occupant>) -> bool);
/// What counts as a repetition of a write, and whether one is stored.
struct Repeats {
    is_repetition: fn(Rev, Rev) -> bool,
    stores: bool,
}
struct ForgetsPinned;
struct RemovesPinned;
struct RefusesRepeatedRemovals;
/// Knows what expires, to see it where it no longer is.
#[derive(Default)]
pub(crate) struct SeesExpired(Mutex<HashSet<(Address, Rev)>>);

fn clock_part(rev: Rev) -> Rev {
    let mut bytes = rev.to_bytes();
    bytes[8..].fill(0);
    Rev::from_bytes(bytes)
}

fn with_clock_part(occupant: &Occupant) -> Occupant {
    let rev = clock_part(occupant.rev());
    match occupant {
        Occupant::Item(item) => Occupant::Item(Item { rev, ..item.clone() }),
        Occupant::Tombstone(_) => Occupant::Tombstone(rev),
    }
}

#[async_trait]
impl Wrong for Conditions {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(at, item, self.0(when)).await
    }

    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        right.remove(at, rev, self.0(when)).await
    }
}

#[async_trait]
impl Wrong for Judges {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let current = right.occupant(at).await?;
        if current.as_ref().is_some_and(|current| current.rev() == item.rev) {
            return right.write(at, item, when).await;
        }
        if !self.0(when, item.rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        right.put(at, Occupant::Item(item)).await?;
        Ok(applied(current))
    }
}

#[async_trait]
impl Wrong for Repeats {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let current = right.occupant(at).await?;
        if let Some(there) = &current
            && (self.is_repetition)(item.rev, there.rev())
        {
            if self.stores {
                right.put(at, Occupant::Item(item)).await?;
            }
            let previous = Previous::Unknown;
            return Ok(Written::Applied { previous });
        }
        if !when.admits(item.rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        right.put(at, Occupant::Item(item)).await?;
        Ok(applied(current))
    }
}

#[async_trait]
impl Wrong for ForgetsPinned {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(at, Item { pinned: false, ..item }, when).await
    }
}

#[async_trait]
impl Wrong for RemovesPinned {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.occupant(at).await? {
            Some(Occupant::Item(item)) if item.pinned => right.remove(at, rev, When::Matches(item.rev)).await,
            _ => right.remove(at, rev, when).await,
        }
    }
}

#[async_trait]
impl Wrong for RefusesRepeatedRemovals {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let current = right.occupant(at).await?;
        if current == Some(Occupant::Tombstone(rev)) && !when.admits(rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        right.remove(at, rev, when).await
    }
}

impl SeesExpired {
    /// What is stored, whatever the clock says.
    async fn stored(&self, right: &Right, at: &Address) -> Result<Option<Occupant>> {
        Ok(match right.occupant(at).await? {
            Some(Occupant::Tombstone(rev)) if self.has(at, rev) => Some(Occupant::Item(Item {
                rev,
                pinned: false,
                expires: None,
                created: rev.instant(),
                meta: bytes::Bytes::new(),
                body: None,
            })),
            occupant => occupant,
        })
    }

    pub(crate) fn has(&self, at: &Address, rev: Rev) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(at.clone(), rev))
    }

    pub(crate) fn note(&self, at: &Address, item: &Item) {
        if item.expires.is_some() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert((at.clone(), item.rev));
        }
    }
}

#[async_trait]
impl Wrong for SeesExpired {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        self.note(at, &item);
        let current = self.stored(right, at).await?;
        if !when.admits(item.rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        right.put(at, Occupant::Item(item)).await?;
        Ok(applied(current))
    }

    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let current = self.stored(right, at).await?;
        if !when.admits(rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        right.put(at, Occupant::Tombstone(rev)).await?;
        Ok(applied(current))
    }
}
