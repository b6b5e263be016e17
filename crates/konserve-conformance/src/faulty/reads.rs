//! Trials of the reads of an engine: `read`, `read_many`, `rows`, `list`.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use konserve_core::backend::{Address, Item, Listing, Occupant, Order, Partition, Read, RowQuery, Space};
use konserve_core::{Error, ErrorKind, Result};

use super::sweep::{Effect, MOST, Nature, Operation, sweep};
use crate::arena::{Arena, item};
use crate::failure::{Verdict, brief};
use crate::trial::{Capability, Trial};

const CLAUSES: &[&str] = &["B-ERROR-2", "B-ERROR-3", "B-ERROR-7", "B-ERROR-8"];

pub(super) fn trials() -> Vec<Trial> {
    let one = [
        ("faults.read-strong", Read::STRONG),
        ("faults.read-without-body", Read::STRONG.without_body()),
        ("faults.read-eventual", Read::EVENTUAL),
    ];
    let mut trials: Vec<_> = one
        .into_iter()
        .map(|(id, how)| {
            Trial::new(id, CLAUSES, move |arena| async move {
                let (at, item) = (arena.at("place"), item(arena.rev()));
                arena.put(&at, &item).await?;
                Reading::trial(arena, What::One(at, Box::new(item), how)).await
            })
        })
        .collect();
    trials.push(Trial::new("faults.read-many", CLAUSES, |arena| async move {
        let what = many(&arena).await?;
        Reading::trial(arena, what).await
    }));
    for (id, order) in [
        ("faults.rows", Order::Ascending),
        ("faults.rows-backwards", Order::Descending),
    ] {
        trials.push(Trial::new(id, CLAUSES, move |arena| async move {
            let partition = Partition::new("place");
            let mut rows = arena.fill_rows(&partition).await?;
            if order == Order::Descending {
                rows.reverse();
            }
            let mut query = RowQuery::all(Space::Log, partition, Read::STRONG);
            query.order = order;
            Reading::trial(arena, What::Rows(query, rows)).await
        }));
    }
    trials.push(Trial::new("faults.list", CLAUSES, |arena| async move {
        let items = arena.fill_documents().await?;
        let occupants = items.into_iter().map(|(at, item)| {
            let item = Item { body: None, ..item };
            (at, Occupant::Item(item))
        });
        let mut occupants: Vec<_> = occupants.collect();
        let (at, rev) = (arena.at("removed"), arena.rev());
        arena.bury(&at, rev).await?;
        occupants.push((at, Occupant::Tombstone(rev)));
        Reading::trial(arena, What::List(sorted(occupants))).await
    }));
    trials
        .into_iter()
        .map(|trial| trial.needs(Capability::Faults))
        .collect()
}

/// More than engines take in one request, some of them absent.
async fn many(arena: &Arena) -> Verdict<What> {
    let all = (0..130).map(|number| {
        let at = arena.at(&format!("place {number}"));
        (at, (number % 3 != 0).then(|| item(arena.rev())))
    });
    let all: Vec<_> = all.collect();
    let there = all.iter().filter_map(|(at, item)| Some((at.clone(), item.clone()?)));
    arena.fill(there.collect()).await?;
    let (at, items) = all.into_iter().unzip();
    Ok(What::Many(at, items))
}

/// What is read, and what must come.
enum What {
    One(Address, Box<Item>, Read),
    Many(Vec<Address>, Vec<Option<Item>>),
    Rows(RowQuery, Vec<(u64, Item)>),
    List(Vec<(Address, Occupant)>),
}

struct Reading {
    arena: Arc<Arena>,
    what: What,
}

impl Reading {
    async fn trial(arena: Arc<Arena>, what: What) -> Verdict {
        let reading = Self {
            arena: Arc::clone(&arena),
            what,
        };
        sweep(&arena, &reading).await
    }
}

impl Operation for Reading {
    type Place = ();

    fn nature(&self) -> Nature {
        Nature {
            effect: Effect::None,
            names: None,
            most: MOST,
        }
    }

    async fn prepare(&self, _number: usize, _outage: bool) -> Verdict {
        Ok(())
    }

    async fn run(&self, _place: &(), _outage: bool) -> Result<String> {
        let backend = &self.arena.backend;
        let (right, came) = match &self.what {
            What::One(at, item, how) => match backend.read(at, *how).await? {
                // It once was absent, and a read that lags may still say so.
                None => (!how.strong, "absence".to_owned()),
                Some(mut came) => {
                    if !how.body && came.body.is_none() {
                        came.body.clone_from(&item.body);
                    }
                    (came == **item, brief(&came))
                }
            },
            What::Many(at, items) => {
                let came = backend.read_many(at, Read::STRONG).await?;
                (came == *items, brief(&came))
            }
            What::Rows(query, rows) => {
                let came: Vec<_> = to_the_end(backend.rows(query.clone())).await?;
                (
                    came == *rows,
                    format!("{} of {} rows, or others", came.len(), rows.len()),
                )
            }
            What::List(occupants) => {
                let mut listing = Listing::all(Read::STRONG.without_body());
                listing.tombstones = true;
                let came: Vec<_> = to_the_end(backend.list(Space::Document, listing)).await?;
                let text = format!("{} of {} occupants, or others", came.len(), occupants.len());
                (sorted(came) == *occupants, text)
            }
        };
        Ok(if right { "what is there".to_owned() } else { came })
    }

    async fn look(&self, _place: &()) -> Verdict<String> {
        Ok(String::new())
    }
}

/// All parts of a stream, or its error, behind which nothing may come.
async fn to_the_end<T>(mut stream: BoxStream<'static, Result<T>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(part) = stream.next().await {
        match part {
            Ok(part) => all.push(part),
            Err(error) if stream.next().await.is_none() => return Err(error),
            // No failure that an engine may answer with.
            Err(error) => {
                let message = "the stream goes on after an error";
                return Err(Error::new(ErrorKind::Corrupt, message).with_source(error));
            }
        }
    }
    Ok(all)
}

fn sorted(mut occupants: Vec<(Address, Occupant)>) -> Vec<(Address, Occupant)> {
    occupants.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    occupants
}
