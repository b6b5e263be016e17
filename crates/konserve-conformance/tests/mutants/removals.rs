//! Mutants whose removals leave no fence, or the wrong one, or answer with something else than the truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use konserve_core::backend::{Address, Backend, Item, Listing, Occupant, Previous, Purge, Space, When, Written};
use konserve_core::{Result, Rev};

use crate::engine::{Listed, Right, Wrong, applied};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "removals.leave-nothing",
            "remove.leaves-a-tombstone",
            "the row is deleted, as engines do when they are told to delete",
            || Deletes,
        ),
        Mutant::new(
            "removals.of-nothing-leave-nothing",
            "remove.leaves-one-where-nothing-was",
            "an update of a row that is not there updates nothing",
            || OnlyWhatIsThere,
        ),
        Mutant::new(
            "removals.of-nothing-refused",
            "remove.leaves-one-where-nothing-was",
            "a delete answers `not found` where nothing was",
            || NotFound,
        ),
        Mutant::new(
            "removals.keep-the-revision-of-the-item",
            "remove.leaves-a-tombstone",
            "the row is marked as removed and not updated otherwise",
            || KeepsRevision,
        ),
        Mutant::new(
            "removals.first-tombstone-stays",
            "remove.when-always.applied-over-tombstone-lower",
            "what is removed is removed: the second removal finds nothing to do",
            || FirstTombstone,
        ),
        Mutant::new(
            "removals.condition-ignored",
            "remove.when-matches-other.refused-by-live-lower",
            "conditional puts are supported by the engine, conditional deletes are not",
            || Unconditional,
        ),
        Mutant::new(
            "removals.late-one-undoes-a-newer-write",
            "remove.fences-off-what-is-late",
            "a removal does not compare revisions, as it stores none that matters",
            || Unconditional,
        ),
        Mutant::new(
            "removals.previous-unknown",
            "remove.tells-what-it-removed",
            "a blind delete that does not read what it removes",
            || Previously(|_| Previous::Unknown),
        ),
        Mutant::new(
            "removals.previous-without-meta",
            "remove.tells-what-it-removed",
            "the answer has the key and the revision of what was deleted, and nothing else",
            || {
                Previously(|old| {
                    Previous::Known(old.map(|occupant| match occupant {
                        Occupant::Item(item) => Occupant::Item(Item {
                            meta: bytes::Bytes::new(),
                            ..item
                        }),
                        tombstone => tombstone,
                    }))
                })
            },
        ),
        Mutant::new(
            "removals.refused-without-what-is-there",
            "remove.refused-tells-what-is-there",
            "a delete answers how many rows it deleted, and that is all",
            || SilentRefusal,
        ),
        Mutant::new(
            "removals.tombstones-in-a-table-of-their-own",
            "list.tombstones-on-request",
            "tombstones are kept beside the items, and a write does not take them away",
            Beside::default,
        ),
        Mutant::new(
            "removals.old-tombstone-comes-back",
            "purge.row-whatever-is-there",
            "versions are kept, and erasing the newest lets the one before it show again",
            Versions::default,
        ),
    ]
}

struct Deletes;
struct OnlyWhatIsThere;
struct NotFound;
struct KeepsRevision;
struct FirstTombstone;
struct Unconditional;
struct SilentRefusal;
struct Previously(fn(Option<Occupant>) -> Previous);

type Tombstones = Arc<Mutex<HashMap<Address, Rev>>>;
#[derive(Default)]
struct Beside(Tombstones);
#[derive(Default)]
struct Versions(Tombstones);

fn note(tombstones: &Tombstones, at: &Address, rev: Rev) {
    tombstones
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(at.clone(), rev);
}

#[async_trait]
impl Wrong for Deletes {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await?;
        if let Written::Applied { .. } = &answer {
            right.purge(&[Purge::Tombstone(at.clone(), rev)]).await?;
        }
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for OnlyWhatIsThere {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.occupant(at).await? {
            None if when.admits(rev, None) => Ok(applied(None)),
            _ => right.remove(at, rev, when).await,
        }
    }
}

#[async_trait]
impl Wrong for NotFound {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.occupant(at).await? {
            None => Ok(Written::Refused { current: None }),
            _ => right.remove(at, rev, when).await,
        }
    }
}

#[async_trait]
impl Wrong for KeepsRevision {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await?;
        if let Written::Applied {
            previous: Previous::Known(Some(old)),
        } = &answer
        {
            right.put(at, Occupant::Tombstone(old.rev())).await?;
        }
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for FirstTombstone {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.occupant(at).await? {
            Some(Occupant::Tombstone(first)) if first < rev => Ok(applied(Some(Occupant::Tombstone(first)))),
            _ => right.remove(at, rev, when).await,
        }
    }
}

#[async_trait]
impl Wrong for Unconditional {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, _when: When) -> Result<Written> {
        right.remove(at, rev, When::Always).await
    }
}

#[async_trait]
impl Wrong for SilentRefusal {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.remove(at, rev, when).await? {
            Written::Refused {
                current: Some(Occupant::Item(_)),
            } => Ok(Written::Refused { current: None }),
            answer => Ok(answer),
        }
    }
}

#[async_trait]
impl Wrong for Previously {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        match right.remove(at, rev, when).await? {
            Written::Applied {
                previous: Previous::Known(old),
            } => {
                let previous = self.0(old);
                Ok(Written::Applied { previous })
            }
            answer => Ok(answer),
        }
    }
}

#[async_trait]
impl Wrong for Beside {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await?;
        if let Written::Applied { .. } = &answer {
            note(&self.0, at, rev);
        }
        Ok(answer)
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let beside = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tombstones = how.tombstones;
        let items = right.list(
            space,
            Listing {
                tombstones: false,
                ..how
            },
        );
        let beside = beside
            .into_iter()
            .filter(move |(at, _)| tombstones && at.space == space);
        items
            .chain(stream::iter(beside.map(|(at, rev)| Ok((at, Occupant::Tombstone(rev))))))
            .boxed()
    }
}

#[async_trait]
impl Wrong for Versions {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await?;
        if let Written::Applied { .. } = &answer {
            note(&self.0, at, rev);
        }
        Ok(answer)
    }

    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            let newest = right.occupant(what.at()).await?;
            right.purge(std::slice::from_ref(what)).await?;
            let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what.at());
            if let (Some(Occupant::Item(_)), Some(before)) = (newest, before) {
                right.remove(what.at(), before, When::Always).await?;
            }
        }
        Ok(())
    }
}
