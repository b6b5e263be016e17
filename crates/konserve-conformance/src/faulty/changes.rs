//! Trials of the mutations of an engine: `write`, `remove`, `commit`, `purge`.

use std::sync::Arc;

use konserve_core::Result;
use konserve_core::backend::{
    Address, Backend, Committed, Mutation, Occupant, Partition, Previous, Purge, Space, When, Written,
};

use super::sweep::{Effect, MOST, Nature, Operation, sweep};
use crate::arena::{Arena, item, occupant_by, shows, tells};
use crate::failure::{Verdict, brief};
use crate::trial::{Capability, Trial};

const CLAUSES: &[&str] = &[
    "B-ERROR-2",
    "B-ERROR-4",
    "B-ERROR-5",
    "B-ERROR-6",
    "B-ERROR-7",
    "B-ERROR-8",
];

pub(super) fn trials() -> Vec<Trial> {
    use Demand::{Absent, Always, Exists, Matches, Newer, Other};
    use Start::{Item, Tombstone, Vacant};
    let writes = [
        ("always", Always, Item),
        ("absent", Absent, Vacant),
        ("absent-over-tombstone", Absent, Tombstone),
        ("exists", Exists, Item),
        ("matches", Matches, Item),
        ("newer", Newer, Item),
        ("newer-over-nothing", Newer, Vacant),
        ("refused-absent", Absent, Item),
        ("refused-matches", Other, Item),
    ];
    let removals = [
        ("always", Always, Vacant),
        ("exists", Exists, Item),
        ("matches", Matches, Item),
        ("newer", Newer, Item),
        ("refused-exists", Exists, Vacant),
        ("refused-matches", Other, Item),
    ];
    let single = |what: &str, (name, demand, start): (&str, Demand, Start), removes: bool| {
        Trial::new(format!("faults.{what}-{name}"), CLAUSES, move |arena| {
            let part = Part {
                start,
                demand,
                does: if removes { Does::Remove } else { Does::Write },
            };
            async move { Change::trial(arena, vec![part]).await }
        })
    };
    let mut trials: Vec<_> = writes.into_iter().map(|row| single("write", row, false)).collect();
    trials.extend(removals.into_iter().map(|row| single("remove", row, true)));
    let part = |does, demand, start| Part { start, demand, does };
    let several = move |last| {
        vec![
            part(Does::Write, Newer, Item),
            part(Does::Remove, Exists, Item),
            part(Does::Write, Absent, Vacant),
            last,
        ]
    };
    for (name, last) in [
        ("faults.commit", part(Does::Check, Matches, Item)),
        ("faults.commit-refused", part(Does::Check, Absent, Item)),
    ] {
        let commit = move |arena| Change::trial(arena, several(last));
        trials.push(Trial::new(name, CLAUSES, commit).needs(Capability::Transactions));
    }
    trials.push(Trial::new(
        "faults.purge",
        &["B-ERROR-2", "B-ERROR-7", "B-ERROR-8", "B-ERROR-9"],
        |arena| async move {
            let other = arena.namespace.another().await?;
            let arena = Arc::clone(&arena);
            sweep(&Arc::clone(&arena), &Erasure { arena, other }).await
        },
    ));
    trials
        .into_iter()
        .map(|trial| trial.needs(Capability::Faults))
        .collect()
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Vacant,
    Tombstone,
    Item,
}

#[derive(Debug, Clone, Copy)]
enum Demand {
    Always,
    Absent,
    Exists,
    /// The revision that is there.
    Matches,
    /// Another revision.
    Other,
    Newer,
}

#[derive(Debug, Clone, Copy)]
enum Does {
    Write,
    Remove,
    Check,
}

/// A mutation, and over what.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: Start,
    demand: Demand,
    does: Does,
}

/// One mutation by itself, or several as a commit.
struct Change {
    arena: Arc<Arena>,
    other: Arc<dyn Backend>,
    parts: Vec<Part>,
}

/// An address, what was there to begin with, and what is done there.
struct Spot {
    start: Option<Occupant>,
    mutation: Mutation,
}

impl Change {
    async fn trial(arena: Arc<Arena>, parts: Vec<Part>) -> Verdict {
        let other = arena.namespace.another().await?;
        let change = Self {
            arena: Arc::clone(&arena),
            other,
            parts,
        };
        sweep(&arena, &change).await
    }
}

impl Operation for Change {
    type Place = Vec<Spot>;

    fn nature(&self) -> Nature {
        Nature {
            effect: Effect::Identified,
            names: None,
            most: MOST,
        }
    }

    async fn prepare(&self, number: usize, _outage: bool) -> Verdict<Vec<Spot>> {
        let mut spots = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let at = self.arena.at(&format!("place {number}, {index}"));
            let rev = self.arena.rev();
            let start = match part.start {
                Start::Vacant => None,
                Start::Tombstone => {
                    self.arena.bury(&at, rev).await?;
                    Some(Occupant::Tombstone(rev))
                }
                Start::Item => {
                    let item = item(rev);
                    self.arena.put(&at, &item).await?;
                    Some(Occupant::Item(item))
                }
            };
            let when = match part.demand {
                Demand::Always => When::Always,
                Demand::Absent => When::Absent,
                Demand::Exists => When::Exists,
                Demand::Matches => When::Matches(rev),
                Demand::Other => When::Matches(self.arena.rev()),
                Demand::Newer => When::Newer,
            };
            spots.push((at, start, when, part.does));
        }
        // All parts of a commit have one revision.
        let rev = self.arena.rev();
        let spots = spots.into_iter().map(|(at, start, when, does)| Spot {
            start,
            mutation: match does {
                Does::Write => Mutation::Write {
                    at,
                    item: item(rev),
                    when,
                },
                Does::Remove => Mutation::Remove { at, rev, when },
                Does::Check => Mutation::Check { at, when },
            },
        });
        Ok(spots.collect())
    }

    async fn run(&self, place: &Vec<Spot>, _outage: bool) -> Result<String> {
        let backend = &self.arena.backend;
        let written = match &place[..] {
            [
                Spot {
                    start,
                    mutation: Mutation::Write { at, item, when },
                },
            ] => (start, backend.write(at, item.clone(), *when).await?),
            [
                Spot {
                    start,
                    mutation: Mutation::Remove { at, rev, when },
                },
            ] => (start, backend.remove(at, *rev, *when).await?),
            several => {
                let all = several.iter().map(|spot| spot.mutation.clone()).collect();
                return Ok(match backend.commit(all).await? {
                    Committed::Applied => "applied".to_owned(),
                    Committed::Refused(refusals) => {
                        let indexes: Vec<_> = refusals.iter().map(|refusal| refusal.index).collect();
                        format!("refused at {indexes:?}")
                    }
                });
            }
        };
        Ok(match written {
            // Whoever had to ask twice cannot tell what was there before the first time.
            (start, Written::Applied { previous }) if told(&previous, start.as_ref(), &place[0]) => {
                "applied".to_owned()
            }
            (start, Written::Refused { current })
                if shows(current.as_ref(), start.as_ref()) || is_left(current.as_ref(), &place[0]) =>
            {
                "refused".to_owned()
            }
            (_, wrong) => format!("an answer that tells wrongly what was there: {}", brief(&wrong)),
        })
    }

    async fn look(&self, place: &Vec<Spot>) -> Verdict<String> {
        let mut words = Vec::new();
        for spot in place {
            let Spot { start, mutation } = spot;
            let found = occupant_by(&*self.other, mutation.at()).await?;
            words.push(match (&found, done(mutation)) {
                (found, done) if *found == done && done.is_some() => "what was to be done".to_owned(),
                (found, _) if found == start => "what was there".to_owned(),
                (found, _) if is_left(found.as_ref(), spot) => "what was there".to_owned(),
                (found, _) => brief(found),
            });
        }
        Ok(words.join(", "))
    }
}

/// Whether what an applied mutation replaced is told rightly, or what it finds when it arrives again.
fn told(previous: &Previous, start: Option<&Occupant>, spot: &Spot) -> bool {
    tells(previous, start, true) || tells(previous, done(&spot.mutation).as_ref(), true)
}

/// Whether this is what a mutation may leave that was refused where nothing was.
fn is_left(found: Option<&Occupant>, spot: &Spot) -> bool {
    matches!(found, Some(Occupant::Tombstone(rev)) if spot.start.is_none() && spot.mutation.rev() > Some(*rev))
}

/// What a mutation leaves; `None` for a check.
fn done(mutation: &Mutation) -> Option<Occupant> {
    match mutation {
        Mutation::Write { item, .. } => Some(Occupant::Item(item.clone())),
        Mutation::Remove { rev, .. } => Some(Occupant::Tombstone(*rev)),
        Mutation::Check { .. } => None,
    }
}

/// A purge of rows and of a tombstone.
struct Erasure {
    arena: Arc<Arena>,
    other: Arc<dyn Backend>,
}

impl Operation for Erasure {
    type Place = Vec<Purge>;

    fn nature(&self) -> Nature {
        Nature {
            effect: Effect::Parts,
            names: None,
            most: MOST,
        }
    }

    async fn prepare(&self, number: usize, _outage: bool) -> Verdict<Vec<Purge>> {
        let partition = Partition::new(format!("place {number}"));
        let rows = (0..5).map(|row| Address::new(Space::Log, partition.clone(), row));
        let rows: Vec<_> = rows.collect();
        let items = rows.iter().map(|at| (at.clone(), item(self.arena.rev())));
        self.arena.fill(items.collect()).await?;
        let (grave, rev) = (Address::new(Space::Document, partition, 0), self.arena.rev());
        self.arena.bury(&grave, rev).await?;
        let rows = rows.into_iter().map(Purge::Row);
        Ok(rows.chain([Purge::Tombstone(grave, rev)]).collect())
    }

    async fn run(&self, place: &Vec<Purge>, _outage: bool) -> Result<String> {
        self.arena.backend.purge(place).await?;
        Ok("purged".to_owned())
    }

    async fn look(&self, place: &Vec<Purge>) -> Verdict<String> {
        let mut left = 0;
        for purge in place {
            left += usize::from(occupant_by(&*self.other, purge.at()).await?.is_some());
        }
        Ok(format!("{left} are left"))
    }
}
