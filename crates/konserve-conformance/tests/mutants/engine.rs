//! Engines that do one thing wrong and everything else as memory does.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use konserve_conformance::{LayerFaults, ManualClock};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Previous,
    Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::layer::Layer;
use konserve_core::{Error, ErrorKind, Result, Rev};
use konserve_memory::{Builder, Memory};

pub(crate) type Rows = BoxStream<'static, Result<(u64, Item)>>;
pub(crate) type Listed = BoxStream<'static, Result<(Address, Occupant)>>;

/// A defect. What it does not override is done right.
///
/// One value serves all handles of a store; what it remembers, it remembers for all of them.
#[async_trait]
pub(crate) trait Wrong: Send + Sync + 'static {
    /// The store beneath, given one that does what is declared.
    fn builder(&self, declared: Builder) -> Builder {
        declared
    }

    fn capabilities(&self, right: &Right) -> Capabilities {
        right.declared
    }

    fn identity(&self, right: &Right) -> Option<String> {
        right.identity()
    }

    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        right.read(at, how).await
    }

    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        right.read_many(at, how).await
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(at, item, when).await
    }

    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        right.remove(at, rev, when).await
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        right.commit(all).await
    }

    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        right.purge(what).await
    }

    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        right.rows(query)
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        right.list(space, how)
    }

    fn stats(&self, right: &Right) -> EngineStats {
        right.stats()
    }

    fn parts(&self, right: &Right, space: Space, how: &Listing) -> Vec<ListingPart> {
        right.parts(space, how)
    }

    async fn close(&self, right: &Right) -> Result<()> {
        right.close().await
    }

    /// What a restart finds.
    async fn reopen(&self, right: &Right) -> Result<Memory> {
        Ok(right.memory.handle())
    }
}

/// No defect.
pub(crate) struct Nothing;

impl Wrong for Nothing {}

/// The engine that a mutant spoils: a handle on memory, and what a defect needs to know of it.
#[derive(Clone)]
pub(crate) struct Right {
    pub(crate) memory: Memory,
    /// The same, with failures on demand.
    failing: Layer,
    pub(crate) faults: LayerFaults,
    pub(crate) declared: Capabilities,
    pub(crate) clock: ManualClock,
    /// Which handle of the store this is; the first is 0.
    pub(crate) number: usize,
    builder: Builder,
    handles: Arc<AtomicUsize>,
}

impl Right {
    pub(crate) fn new(builder: Builder, declared: Capabilities, clock: ManualClock) -> Self {
        let (memory, faults) = (builder.clone().build(), LayerFaults::default());
        Self {
            failing: faults.around(memory.clone()),
            memory,
            faults,
            declared,
            clock,
            number: 0,
            builder,
            handles: Arc::default(),
        }
    }

    /// Another handle of the same store.
    pub(crate) fn another(&self, memory: Memory) -> Self {
        Self {
            failing: self.faults.around(memory.clone()),
            memory,
            number: 1 + self.handles.fetch_add(1, Ordering::Relaxed),
            ..self.clone()
        }
    }

    /// What is at an address, with the body. Not one step.
    pub(crate) async fn occupant(&self, at: &Address) -> Result<Option<Occupant>> {
        let never = When::Matches(Rev::from_bytes([0; 16]));
        let probe = Rev::from_bytes([0xFF; 16]);
        match self.remove(at, probe, never).await? {
            Written::Refused {
                current: Some(Occupant::Item(_)),
            } => Ok(self.read(at, Read::STRONG).await?.map(Occupant::Item)),
            Written::Refused { current } => Ok(current),
            Written::Applied { .. } => Err(Error::new(ErrorKind::Corrupt, "a revision that nothing has was found")),
        }
    }

    /// Leaves this at an address, whatever is there. Not one step.
    pub(crate) async fn put(&self, at: &Address, occupant: Occupant) -> Result<()> {
        self.purge(&[Purge::Row(at.clone())]).await?;
        match occupant {
            Occupant::Item(item) => self.write(at, item, When::Always).await?,
            Occupant::Tombstone(rev) => self.remove(at, rev, When::Always).await?,
        };
        Ok(())
    }

    /// A new store that has of this one what is kept.
    pub(crate) async fn copy(&self, keep: impl Fn(&Address, Occupant) -> Option<Occupant>) -> Result<Memory> {
        let copy = self.builder.clone().build();
        for space in Space::ALL {
            let everything = Listing {
                tombstones: true,
                ..Listing::all(Read::STRONG)
            };
            let listed: Vec<_> = self.list(space, everything).try_collect().await?;
            for (at, occupant) in listed {
                match keep(&at, occupant) {
                    Some(Occupant::Item(item)) => drop(copy.write(&at, item, When::Always).await?),
                    Some(Occupant::Tombstone(rev)) => drop(copy.remove(&at, rev, When::Always).await?),
                    None => {}
                }
            }
        }
        Ok(copy)
    }
}

impl Deref for Right {
    type Target = Layer;

    fn deref(&self) -> &Layer {
        &self.failing
    }
}

/// A handle on a store of a mutant.
pub(crate) struct Engine {
    wrong: Arc<dyn Wrong>,
    right: Right,
}

impl Engine {
    pub(crate) fn new(wrong: Arc<dyn Wrong>, right: Right) -> Self {
        Self { wrong, right }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Engine {
    fn capabilities(&self) -> Capabilities {
        self.wrong.capabilities(&self.right)
    }

    fn identity(&self) -> Option<String> {
        self.wrong.identity(&self.right)
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.wrong.read(&self.right, at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.wrong.read_many(&self.right, at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.wrong.write(&self.right, at, item, when).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.wrong.remove(&self.right, at, rev, when).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.wrong.commit(&self.right, all).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.wrong.purge(&self.right, what).await
    }

    fn rows(&self, query: RowQuery) -> Rows {
        self.wrong.rows(&self.right, query)
    }

    fn list(&self, space: Space, how: Listing) -> Listed {
        self.wrong.list(&self.right, space, how)
    }

    fn stats(&self) -> EngineStats {
        self.wrong.stats(&self.right)
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.wrong.parts(&self.right, space, how)
    }

    async fn close(&self) -> Result<()> {
        self.wrong.close(&self.right).await
    }
}

/// The mutation at its address, as memory does it.
pub(crate) async fn apply(right: &Right, mutation: Mutation) -> Result<Committed> {
    right.commit(vec![mutation]).await
}

/// An answer that something was stored in place of this.
pub(crate) fn applied(previous: Option<Occupant>) -> Written {
    Written::Applied {
        previous: Previous::Known(previous),
    }
}

/// Lets others go on for a moment: between two steps that ought to be one.
pub(crate) async fn pause() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// Takes as long as a request does, so that rivals are under way at the same time.
pub(crate) async fn latency() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// What an engine answers that does not take a request.
pub(crate) fn rejected<T>(message: &str) -> Result<T> {
    Err(Error::new(ErrorKind::InvalidInput, message))
}
