//! Mutants that erase too much or too little.

use async_trait::async_trait;
use konserve_core::Result;
use konserve_core::backend::{Address, Backend, Occupant, Purge, Space, When};

use crate::conditions::SeesExpired;
use crate::engine::{Right, Wrong, rejected};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "purges.tombstone-of-any-revision",
            "purge.tombstone-of-another-revision",
            "an unconditional delete, when something newer may have been written since the tombstone was listed",
            || Purges(|what| Purge::Row(what.at().clone())),
        ),
        Mutant::new(
            "purges.of-tombstones-do-nothing",
            "purge.tombstone",
            "the condition compares an attribute that tombstones do not have",
            || {
                Purges(|what| match what {
                    Purge::Tombstone(at, _) => Purge::Tombstone(at.clone(), konserve_core::Rev::from_bytes([0; 16])),
                    row => row.clone(),
                })
            },
        ),
        Mutant::new(
            "purges.any-tombstone",
            "purge.tombstone-of-another-revision",
            "the condition asks whether it is a tombstone, and not which",
            || AnyTombstone,
        ),
        Mutant::new(
            "purges.item-of-the-revision",
            "purge.tombstone-of-another-revision",
            "the condition asks for the revision, and not whether it is a tombstone",
            || ItemOfRevision,
        ),
        Mutant::new(
            "purges.leave-a-tombstone",
            "purge.row-whatever-is-there",
            "everything that deletes goes through the same method, which leaves a tombstone",
            || LeavesTombstone,
        ),
        Mutant::new(
            "purges.spare-pinned",
            "purge.row-whatever-is-there",
            "the guard of removals is applied to purges as well",
            || SparesPinned,
        ),
        Mutant::new(
            "purges.first-batch-only",
            "purge.hundreds-and-again",
            "a batch takes 25 deletions, and the rest is left unprocessed",
            || FirstBatch,
        ),
        Mutant::new(
            "purges.repeated-keys-refused",
            "purge.hundreds-and-again",
            "a batch with one key twice is a validation error of the engine",
            || RefusesRepeated,
        ),
        Mutant::new(
            "purges.of-nothing-refused",
            "purge.none",
            "a batch of nothing is a validation error of the engine",
            || RefusesNone,
        ),
        Mutant::new(
            "purges.vacant-is-an-error",
            "purge.row-whatever-is-there",
            "unlinking a file that is not there is an error, and is passed on",
            || NotFound,
        ),
        Mutant::new(
            "purges.take-the-partition",
            "purge.concerns-one-address",
            "the folder of a partition is removed with its first row",
            || TakesPartition,
        ),
        Mutant::new(
            "purges.take-all-spaces",
            "purge.concerns-one-address",
            "a cascade that deletes what has the same key in the other tables",
            || TakesAllSpaces,
        ),
        Mutant::new(
            "purges.expired-is-no-tombstone",
            "purge.tombstone",
            "an item that expired is no tombstone in its column, and so it stays for ever",
            || SparesExpired(SeesExpired::default()),
        ),
    ]
}

/// Something else is purged.
struct Purges(fn(&Purge) -> Purge);
struct AnyTombstone;
struct ItemOfRevision;
struct LeavesTombstone;
struct SparesPinned;
struct FirstBatch;
struct RefusesRepeated;
struct RefusesNone;
struct NotFound;
struct TakesPartition;
struct TakesAllSpaces;
struct SparesExpired(SeesExpired);

#[async_trait]
impl Wrong for Purges {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let what: Vec<_> = what.iter().map(self.0).collect();
        right.purge(&what).await
    }
}

#[async_trait]
impl Wrong for AnyTombstone {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            match (what, right.occupant(what.at()).await?) {
                (Purge::Tombstone(at, _), Some(Occupant::Tombstone(_))) => {
                    right.purge(&[Purge::Row(at.clone())]).await?;
                }
                _ => right.purge(std::slice::from_ref(what)).await?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Wrong for ItemOfRevision {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            match (what, right.occupant(what.at()).await?) {
                (Purge::Tombstone(at, rev), Some(there)) if there.rev() == *rev => {
                    right.purge(&[Purge::Row(at.clone())]).await?;
                }
                _ => right.purge(std::slice::from_ref(what)).await?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Wrong for LeavesTombstone {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            if let Some(there) = right.occupant(what.at()).await? {
                right.put(what.at(), Occupant::Tombstone(there.rev())).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Wrong for SparesPinned {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            match right.occupant(what.at()).await? {
                Some(Occupant::Item(item)) if item.pinned => {}
                _ => right.purge(std::slice::from_ref(what)).await?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Wrong for FirstBatch {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        right.purge(&what[..what.len().min(25)]).await
    }
}

#[async_trait]
impl Wrong for RefusesRepeated {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let unique: std::collections::HashSet<_> = what.iter().collect();
        match unique.len() == what.len() {
            true => right.purge(what).await,
            false => rejected("provided list of item keys contains duplicates"),
        }
    }
}

#[async_trait]
impl Wrong for RefusesNone {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        match what {
            [] => rejected("the list of requests must have at least one member"),
            some => right.purge(some).await,
        }
    }
}

#[async_trait]
impl Wrong for NotFound {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            if right.occupant(what.at()).await?.is_none() {
                return rejected("no such file");
            }
            right.purge(std::slice::from_ref(what)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Wrong for TakesPartition {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let rows = what.iter().flat_map(|what| {
            let neighbours = (0..3).map(|row| {
                Purge::Row(Address {
                    row,
                    ..what.at().clone()
                })
            });
            neighbours.chain([what.clone()])
        });
        right.purge(&rows.collect::<Vec<_>>()).await
    }
}

#[async_trait]
impl Wrong for TakesAllSpaces {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let spaces = what.iter().flat_map(|what| {
            let cascade = Space::ALL.map(|space| {
                Purge::Row(Address {
                    space,
                    ..what.at().clone()
                })
            });
            cascade
                .into_iter()
                .filter(|_| matches!(what, Purge::Row(_)))
                .chain([what.clone()])
        });
        right.purge(&spaces.collect::<Vec<_>>()).await
    }
}

#[async_trait]
impl Wrong for SparesExpired {
    async fn write(
        &self,
        right: &Right,
        at: &Address,
        item: konserve_core::backend::Item,
        when: When,
    ) -> Result<konserve_core::backend::Written> {
        self.0.note(at, &item);
        right.write(at, item, when).await
    }

    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let spared = |what: &&Purge| !matches!(what, Purge::Tombstone(at, rev) if self.0.has(at, *rev));
        right
            .purge(&what.iter().filter(spared).cloned().collect::<Vec<_>>())
            .await
    }
}
