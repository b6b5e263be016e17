//! Mutants that close too much or too little, or are another store after a restart.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use konserve_core::backend::{Address, Backend, Item, Listing, Occupant, Purge, Read, RowQuery, Space};
use konserve_core::{Error, ErrorKind, Result, Rev};
use konserve_memory::Memory;

use crate::engine::{Listed, Right, Rows, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [closing(), restart()].into_iter().flatten().collect()
}

fn closing() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "closing.ignored",
            "close.everything-answers-closed",
            "`close` does nothing, as dropping the handle does all",
            || NeverCloses,
        ),
        Mutant::new(
            "closing.purges-go-on",
            "close.everything-answers-closed",
            "the check was forgotten in one method",
            || PurgesWhenClosed,
        ),
        Mutant::new(
            "closing.streams-end-without-an-error",
            "close.everything-answers-closed",
            "a closed channel is taken for the end of a stream",
            || EndsQuietly,
        ),
        Mutant::new(
            "closing.streams-fail-for-ever",
            "close.everything-answers-closed",
            "the stream asks again and again, and each time the answer is an error",
            || FailsForEver,
        ),
        Mutant::new(
            "closing.other-handles-closed",
            "close.concerns-no-other-handle",
            "handles share one pool of connections, and whoever closes it closes it for all",
            || ClosesAll(AtomicBool::new(false)),
        ),
        Mutant::new(
            "closing.twice-is-an-error",
            "close.twice",
            "the second call finds the connection gone",
            || ClosesOnce(AtomicBool::new(false)),
        ),
    ]
}

fn restart() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "restart.empty",
            "restart.everything-is-there",
            "a new process begins with a new file",
            || Reopens(|_, _| None),
        ),
        Mutant::new(
            "restart.tombstones-lost",
            "restart.conditions-hold",
            "tombstones are in memory only, or compaction drops them: after a restart late writes come through",
            || Reopens(|_, occupant| occupant.into_item().map(Occupant::Item)),
        ),
        Mutant::new(
            "restart.revisions-begin-anew",
            "restart.conditions-hold",
            "revisions are not part of the file and are made up when it is read",
            || {
                Reopens(|_, occupant| {
                    Some(match occupant {
                        Occupant::Item(item) => Occupant::Item(Item {
                            rev: Rev::from_bytes([1; 16]),
                            ..item
                        }),
                        tombstone => tombstone,
                    })
                })
            },
        ),
        Mutant::new(
            "restart.pinned-lost",
            "restart.everything-is-there",
            "the flag is in memory and not in the file",
            || {
                Reopens(|_, occupant| {
                    Some(match occupant {
                        Occupant::Item(item) => Occupant::Item(Item { pinned: false, ..item }),
                        tombstone => tombstone,
                    })
                })
            },
        ),
        Mutant::new(
            "restart.last-page-lost",
            "restart.everything-is-there",
            "the last page of rows was acknowledged and not flushed",
            || Reopens(|at, occupant| (at.row < 130).then_some(occupant)),
        ),
        Mutant::new(
            "restart.purged-is-back",
            "restart.everything-is-there",
            "the journal is replayed, and purges are not in it",
            Replays::default,
        ),
        Mutant::new(
            "restart.another-order",
            "restart.listings-go-on",
            "listings follow a hash whose seed is new in each process, and positions lead elsewhere",
            || Reshuffles(AtomicBool::new(false)),
        ),
    ]
}

struct NeverCloses;
struct PurgesWhenClosed;
struct EndsQuietly;
struct FailsForEver;
struct ClosesAll(AtomicBool);
struct ClosesOnce(AtomicBool);
/// What is still there after a restart.
struct Reopens(fn(&Address, Occupant) -> Option<Occupant>);
#[derive(Default)]
struct Replays(std::sync::Mutex<Vec<(Address, Occupant)>>);
struct Reshuffles(AtomicBool);

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool was closed")
}

#[async_trait]
impl Wrong for NeverCloses {
    async fn close(&self, _: &Right) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Wrong for PurgesWhenClosed {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        right.memory.handle().purge(what).await
    }
}

impl Wrong for EndsQuietly {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        right
            .rows(query)
            .take_while(|row| futures::future::ready(row.is_ok()))
            .boxed()
    }
}

impl Wrong for FailsForEver {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let listed = right.list(space, how);
        listed
            .flat_map(|one| match one {
                Ok(one) => stream::iter(vec![Ok(one)]),
                Err(error) => stream::iter(vec![Err(error), Err(closed())]),
            })
            .boxed()
    }
}

#[async_trait]
impl Wrong for ClosesAll {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(closed()),
            false => right.read(at, how).await,
        }
    }

    async fn close(&self, right: &Right) -> Result<()> {
        self.0.store(true, Ordering::Relaxed);
        right.close().await
    }
}

#[async_trait]
impl Wrong for ClosesOnce {
    async fn close(&self, right: &Right) -> Result<()> {
        match self.0.swap(true, Ordering::Relaxed) {
            true => Err(closed()),
            false => right.close().await,
        }
    }
}

#[async_trait]
impl Wrong for Reopens {
    async fn reopen(&self, right: &Right) -> Result<Memory> {
        right.copy(self.0).await
    }
}

#[async_trait]
impl Wrong for Replays {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        for what in what {
            if let Some(there) = right.occupant(what.at()).await? {
                let mut journal = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                journal.push((what.at().clone(), there));
            }
        }
        right.purge(what).await
    }

    async fn reopen(&self, right: &Right) -> Result<Memory> {
        let journal = std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for (at, occupant) in journal {
            right.put(&at, occupant).await?;
        }
        Ok(right.memory.handle())
    }
}

#[async_trait]
impl Wrong for Reshuffles {
    async fn reopen(&self, right: &Right) -> Result<Memory> {
        self.0.store(true, Ordering::Relaxed);
        Ok(right.memory.handle())
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let after = how.after.clone();
        if !self.0.load(Ordering::Relaxed) {
            return right.list(space, how);
        }
        let all = right.list(space, Listing { after: None, ..how });
        stream::once(async move {
            let mut all: Vec<_> = all.collect().await;
            all.reverse();
            let is_it =
                |one: &Result<(Address, Occupant)>| one.as_ref().is_ok_and(|(at, _)| Some(at) == after.as_ref());
            let start = all.iter().position(is_it).map_or(0, |position| position + 1);
            stream::iter(all.into_iter().skip(start))
        })
        .flatten()
        .boxed()
    }
}
