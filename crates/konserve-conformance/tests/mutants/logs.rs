//! Mutants that keep single items well, and logs badly: what changes late, what is read from its end, and what is purged in part.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{
    Address, Backend, Committed, Item, Mutation, Occupant, Order, Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::{Instant, Result};

use crate::engine::{Right, Rows, Wrong, applied};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "logs.backwards-without-the-first-row",
            "store.log-directions",
            "a loop that goes down to row 0, and ends before it because the counter is unsigned",
            || {
                Shown(|query, rows| match query.order {
                    Order::Descending => rows.try_filter(|(row, _)| futures::future::ready(*row != 0)).boxed(),
                    Order::Ascending => rows,
                })
            },
        ),
        Mutant::new(
            "logs.backwards-without-the-last-row",
            "store.log-over-many-pages",
            "a reading from the end begins behind the last key that an index knows, and that one lags",
            || {
                Shown(|query, rows| match query.limit {
                    Some(limit) if query.order == Order::Descending && limit > 100 => rows.skip(1).boxed(),
                    _ => rows,
                })
            },
        ),
        Mutant::new(
            "logs.time-of-rows-lost",
            "store.log-meta",
            "a query without bodies fetches some attributes only, and the time of creation is not among them",
            || {
                Shown(|query, rows| match query.how.body {
                    true => rows,
                    false => rows
                        .map_ok(|(row, item)| {
                            (
                                row,
                                Item {
                                    created: Instant::from_millis(0),
                                    ..item
                                },
                            )
                        })
                        .boxed(),
                })
            },
        ),
        Mutant::new(
            "logs.changes-of-rows-lost",
            "store.log-trimmed",
            "rows are written once, so a write over one that is there is taken for a repetition and acknowledged",
            || ChangesLost,
        ),
        Mutant::new(
            "logs.rows-cached",
            "store.log-trimmed",
            "rows are written once, so each handle keeps what it has read of them",
            RowsCached::default,
        ),
        Mutant::new(
            "logs.nothing-cached",
            "store.log-followed-to-its-end",
            "a handle remembers queries that found nothing, until it writes there itself",
            NothingCached::default,
        ),
        Mutant::new(
            "logs.purge-by-range",
            "store.log-trimmed-items",
            "rows that go together are deleted as a range, whose end is included where it should not be",
            || PurgesByRange,
        ),
        Mutant::new(
            "logs.purge-of-whole-partitions",
            "store.log-trimmed-items-wait",
            "rows go when the file does that holds all of them",
            || PurgesPartitions,
        ),
        Mutant::new(
            "logs.chunks-behind-purged-rows",
            "store.log-trimmed-large-entries",
            "batches of deletions take one space, and the others in it are left unprocessed",
            || PurgesNoChunks,
        ),
    ]
}

/// Rows are delivered in another way.
struct Shown(fn(&RowQuery, Rows) -> Rows);
struct ChangesLost;
#[derive(Default)]
struct RowsCached(Mutex<HashMap<(usize, Address), Option<Item>>>);
#[derive(Default)]
struct NothingCached(Arc<Mutex<HashSet<Asked>>>);
struct PurgesByRange;
struct PurgesPartitions;
struct PurgesNoChunks;

/// A handle, a partition, and the first and the last row that were asked for.
type Asked = (usize, String, u64, u64);

#[async_trait]
impl Wrong for Shown {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        (self.0)(&query, right.rows(query.clone()))
    }
}

#[async_trait]
impl Wrong for ChangesLost {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match (at.space, when) {
            (Space::Log, When::Matches(rev)) => match right.read(at, Read::STRONG).await? {
                Some(found) if found.rev == rev => Ok(applied(Some(Occupant::Item(found)))),
                _ => right.write(at, item, when).await,
            },
            _ => right.write(at, item, when).await,
        }
    }
}

impl RowsCached {
    fn forget<'a>(&self, right: &Right, written: impl IntoIterator<Item = &'a Address>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for at in written {
            known.remove(&(right.number, at.clone()));
        }
    }
}

#[async_trait]
impl Wrong for RowsCached {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = right.read(at, how).await?;
        if at.space != Space::Log || found.is_none() {
            return Ok(found);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry((right.number, at.clone())).or_insert(found).clone())
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let written = right.write(at, item, when).await;
        self.forget(right, [at]);
        written
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let written: Vec<_> = all.iter().map(|mutation| mutation.at().clone()).collect();
        let committed = right.commit(all).await;
        self.forget(right, &written);
        committed
    }
}

#[async_trait]
impl Wrong for NothingCached {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let asked = (
            right.number,
            query.partition.as_str().to_owned(),
            *query.range.start(),
            *query.range.end(),
        );
        let known = Arc::clone(&self.0);
        let is_known = known.lock().unwrap_or_else(PoisonError::into_inner).contains(&asked);
        if is_known {
            return stream::empty().boxed();
        }
        let rows = right.rows(query);
        let all = async move {
            let rows: Vec<_> = rows.collect().await;
            if rows.is_empty() {
                known.lock().unwrap_or_else(PoisonError::into_inner).insert(asked);
            }
            stream::iter(rows)
        };
        stream::once(all).flatten().boxed()
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let written = right.write(at, item, when).await;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(handle, partition, ..)| *handle != right.number || partition != at.partition.as_str());
        written
    }
}

#[async_trait]
impl Wrong for PurgesByRange {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let mut more = Vec::new();
        let rows = what.iter().map(Purge::at).filter(|at| at.space == Space::Log);
        if let Some(last) = rows.max_by_key(|at| at.row).filter(|at| at.row < u64::MAX) {
            let mut query = RowQuery::all(Space::Log, last.partition.clone(), Read::STRONG);
            query.range = last.row + 1..=u64::MAX;
            query.limit = Some(1);
            if let Some((row, _)) = right.rows(query).try_next().await? {
                more.push(Purge::Row(Address::new(Space::Log, last.partition.clone(), row)));
            }
        }
        right.purge(what).await?;
        right.purge(&more).await
    }
}

#[async_trait]
impl Wrong for PurgesPartitions {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let mut gone = Vec::new();
        for purge in what {
            let at = purge.at();
            let query = RowQuery::all(at.space, at.partition.clone(), Read::STRONG.without_body());
            let rows: Vec<_> = right.rows(query).map_ok(|(row, _)| row).try_collect().await?;
            let goes = |row: &u64| {
                let of_partition = |other: &Purge| other.at().partition == at.partition && other.at().row == *row;
                what.iter().any(of_partition)
            };
            if at.space != Space::Log || rows.iter().all(goes) {
                gone.push(purge.clone());
            }
        }
        right.purge(&gone).await
    }
}

#[async_trait]
impl Wrong for PurgesNoChunks {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let rest: Vec<_> = what
            .iter()
            .filter(|purge| purge.at().space != Space::Chunk)
            .cloned()
            .collect();
        right.purge(&rest).await
    }
}
