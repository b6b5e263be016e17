//! The adversary: memory that makes use of everything the contract leaves open.

mod chance;
mod late;
mod streams;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Previous,
    Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::{Result, Rev};

use self::chance::{Chance, Habit};
use self::late::{Late, OnItsWay, Sent};
use self::streams::{Everything, Rows, look};
use crate::Memory;
use crate::memory::{drop_body, trimmed};

/// An engine in memory that is as unkind as the contract allows, for tests of what works on top of engines.
///
/// Code that works here does not depend on anything that `docs/contract.md` does not promise:
///
/// - Every eventual read, of one address, of many, of rows or in a listing, chooses for each address anew between what is
///   there and everything that ever was, the vacancy at the beginning included. It goes back and forth. Strong reads are
///   exact.
/// - Listings come in an order of the store's own; rows and listings come one by one, and others get their turn before
///   each.
/// - [`Previous::Unknown`] answers writes; answers to mutations come with the body or without; a refused commit names some of
///   what refused it, at least one. Each handle has its habits: it does so never, now and then, or always.
/// - Every call lets others go first before and after what it does, and so do the parts of a read of many and of a purge.
/// - With [`Builder::late_arrivals`](crate::Builder::late_arrivals), writes, removals and commits whose futures were dropped
///   may arrive later, up to ten seconds by the store's clock.
///
/// Nothing fails here that need not. For failures, put `konserve_core::layer::Layer` around it.
///
/// All choices follow from the [`seed`](crate::Builder::seed): one task alone gets the same answers from the same calls each
/// time. Nothing that was ever stored is forgotten as long as a handle is open, so this is not for much data.
///
/// [`handle`](Self::handle) gives another handle on the same data, with choices of its own, which is closed by itself; a
/// clone is the same handle once more.
///
/// ```
/// use bytes::Bytes;
/// use konserve_core::backend::{Address, Backend, Item, Partition, Read, Space, When};
/// use konserve_core::{Instant, Rev};
/// use konserve_memory::Memory;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> konserve_core::Result<()> {
/// let adversary = Memory::builder().seed(7).least_limits().adversary();
/// let at = Address::new(Space::Document, Partition::new("a"), 0);
/// let item = Item {
///     rev: Rev::from_bytes([1; 16]),
///     pinned: false,
///     expires: None,
///     created: Instant::UNIX_EPOCH,
///     meta: Bytes::new(),
///     body: None,
/// };
/// adversary.write(&at, item.clone(), When::Newer).await?;
/// assert_eq!(adversary.read(&at, Read::STRONG).await?, Some(item));
///
/// let mut found = 0;
/// for _ in 0..1000 {
///     found += u32::from(adversary.read(&at, Read::EVENTUAL).await?.is_some());
/// }
/// assert!((600..900).contains(&found));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Adversary {
    memory: Memory,
    chance: Arc<Chance>,
    habits: Habits,
    /// What arrives late, where anything does.
    late: Option<Arc<Late>>,
    /// How many handles there have been, for the choices of the next one.
    handles: Arc<AtomicU64>,
}

/// What a handle does never, now and then, or always.
#[derive(Debug, Clone, Copy)]
struct Habits {
    /// Not to tell what a write replaced.
    hides_previous: Habit,
    /// To leave out the body of what it tells.
    hides_body: Habit,
    /// To name one mutation of all that refused a commit.
    names_one: Habit,
}

impl Adversary {
    /// A new store with the [least limits](crate::Builder::least_limits) that an engine may have.
    ///
    /// For other settings: [`Builder::adversary`](crate::Builder::adversary).
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Memory::builder().seed(seed).least_limits().adversary()
    }

    /// Another handle on the same data, with choices of its own.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self::numbered(self.memory.handle(), self.late.clone(), &self.handles)
    }

    /// What all choices follow from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.memory.seed()
    }

    /// The data must remember what is replaced; otherwise no read lags.
    pub(crate) fn over(memory: Memory, late_arrivals: bool) -> Self {
        let late = late_arrivals.then(|| Arc::new(Late::new(memory.handle())));
        Self::numbered(memory, late, &Arc::default())
    }

    fn numbered(memory: Memory, late: Option<Arc<Late>>, handles: &Arc<AtomicU64>) -> Self {
        let number = handles.fetch_add(1, Ordering::Relaxed);
        // Seeds that follow each other must not lead to handles that choose alike.
        let chance = Chance::new(memory.seed().rotate_left(32) ^ number).branch();
        Self {
            memory,
            habits: Habits {
                hides_previous: chance.habit(),
                hides_body: chance.habit(),
                names_one: chance.habit(),
            },
            chance: Arc::new(chance),
            late,
            handles: Arc::clone(handles),
        }
    }

    /// Before a step: others go first, and what is late may arrive.
    async fn turn(&self) {
        self.chance.pause().await;
        if let Some(late) = &self.late {
            late.arrive(&self.chance);
        }
    }

    /// To be dropped with the future of a mutation, unless it arrives.
    fn send(&self, what: impl FnOnce() -> Sent) -> Option<OnItsWay> {
        let late = self.late.as_ref()?;
        Some(OnItsWay::new(late, &self.chance, what()))
    }

    async fn get(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.turn().await;
        let occupant = look(&self.memory, &self.chance, at, how)?;
        self.chance.pause().await;
        Ok(occupant.and_then(Occupant::into_item).map(|item| trimmed(item, how)))
    }

    /// What an answer to a mutation tells of an occupant.
    fn told(&self, mut seen: Option<Occupant>) -> Option<Occupant> {
        if self.chance.keeps(self.habits.hides_body) {
            drop_body(&mut seen);
        }
        seen
    }

    async fn mutate(&self, at: &Address, rev: Rev, when: When, new: Occupant) -> Result<Written> {
        let sent = self.send(|| Sent::One {
            at: at.clone(),
            when,
            new: new.clone(),
        });
        self.turn().await;
        if let Some(sent) = sent {
            sent.arrived();
        }
        let answer = self.memory.data()?.mutate(at, rev, when, new)?;
        self.chance.pause().await;
        Ok(match answer {
            Written::Refused { current } => Written::Refused {
                current: self.told(current),
            },
            Written::Applied {
                previous: Previous::Known(previous),
            } => Written::Applied {
                previous: Previous::Known(self.told(previous)),
            },
            unknown => unknown,
        })
    }
}

impl fmt::Debug for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Adversary").field(&self.memory).finish()
    }
}

#[async_trait]
impl Backend for Adversary {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.memory.identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.get(at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.memory.readable(how)?;
        if how.snapshot {
            self.memory.check_snapshot(at)?;
            self.turn().await;
            let found = self.memory.snapshot(at, how)?;
            self.chance.pause().await;
            return Ok(found);
        }
        let mut items = Vec::with_capacity(at.len());
        for at in at {
            items.push(self.get(at, how).await?);
        }
        Ok(items)
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.memory.data()?;
        self.memory.check_limits(at, item.size())?;
        let answer = self.mutate(at, item.rev, when, Occupant::Item(item)).await?;
        Ok(match answer {
            Written::Applied { .. } if self.chance.keeps(self.habits.hides_previous) => Written::Applied {
                previous: Previous::Unknown,
            },
            answer => answer,
        })
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.memory.data()?;
        self.memory.check_limits(at, 0)?;
        self.mutate(at, rev, when, Occupant::Tombstone(rev)).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.memory.data()?;
        self.memory.check_commit(&all)?;
        let sent = self.send(|| Sent::Many(all.clone()));
        self.turn().await;
        if let Some(sent) = sent {
            sent.arrived();
        }
        let answer = self.memory.data()?.commit(all)?;
        self.chance.pause().await;
        let Committed::Refused(mut refusals) = answer else {
            return Ok(Committed::Applied);
        };
        if self.chance.keeps(self.habits.names_one) {
            let named = self.chance.below(refusals.len());
            refusals = vec![refusals.swap_remove(named)];
        } else if self.habits.names_one == Habit::Sometimes {
            let named = self.chance.below(refusals.len());
            let mut index = 0..;
            refusals.retain(|_| index.next() == Some(named) || self.chance.one_in(2));
        }
        for refusal in &mut refusals {
            refusal.current = self.told(refusal.current.take());
        }
        Ok(Committed::Refused(refusals))
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.memory.data()?;
        for what in what {
            self.turn().await;
            self.memory.data()?.purge(what)?;
        }
        self.chance.pause().await;
        Ok(())
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let rows = Rows::new(self.memory.clone(), self.chance.branch(), query);
        stream::try_unfold(
            rows,
            |mut rows| async move { Ok(rows.next().await?.map(|row| (row, rows))) },
        )
        .boxed()
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let start = match self.memory.start(space, &how) {
            Ok(start) => start,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let everything = Everything::new(self.memory.clone(), self.chance.branch(), space, how, start);
        stream::try_unfold(everything, |mut everything| async move {
            Ok(everything.next().await?.map(|occupant| (occupant, everything)))
        })
        .boxed()
    }

    fn stats(&self) -> EngineStats {
        self.memory.stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.memory.parts(space, how)
    }

    async fn close(&self) -> Result<()> {
        self.chance.pause().await;
        self.memory.close().await
    }
}
