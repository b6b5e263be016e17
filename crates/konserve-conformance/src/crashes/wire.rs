//! The way to an engine, with what is on it when a caller is gone.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Purge,
    Read, RowQuery, Space, When, Written,
};
use konserve_core::{Error, ErrorKind, Result, Rev};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What becomes of a mutation whose caller goes away before the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried out.
    Arrives,
    /// Its future is dropped, and the engine decides.
    Dropped,
}

/// An engine around an engine that knows which mutations are on their way. Clones are the same way.
#[derive(Clone)]
pub(super) struct Wire {
    inner: Arc<dyn Backend>,
    fate: Fate,
    traffic: Arc<Traffic>,
}

#[derive(Debug, Default)]
struct Traffic {
    on_their_way: Mutex<Vec<JoinHandle<()>>>,
    /// Where writes of chunks were dropped.
    dropped: Mutex<BTreeSet<Address>>,
}

impl Traffic {
    fn on_their_way(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dropped(&self) -> MutexGuard<'_, BTreeSet<Address>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    pub(super) fn new(inner: Arc<dyn Backend>, fate: Fate) -> Self {
        Self {
            inner,
            fate,
            traffic: Arc::default(),
        }
    }

    /// Waits until nothing is on its way, as far as that can be known.
    pub(super) async fn quiet(&self) {
        let tasks = std::mem::take(&mut *self.traffic.on_their_way());
        for task in tasks {
            // What became of it shows in the engine.
            let _ = task.await;
        }
    }

    /// The chunks that may still be written: what nobody names any more when they come is not found again.
    pub(super) fn late_chunks(&self) -> BTreeSet<Address> {
        self.traffic.dropped().clone()
    }

    async fn carry<T: Send + 'static>(
        &self,
        chunk: Option<&Address>,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.fate {
            Fate::Arrives => {
                let (answer, answered) = oneshot::channel();
                let task = tokio::spawn(async move {
                    // Nobody may be there to hear it.
                    let _ = answer.send(call.await);
                });
                self.traffic.on_their_way().push(task);
                let panicked = |_| Error::new(ErrorKind::Unavailable, "the engine panicked");
                answered.await.map_err(panicked)?
            }
            Fate::Dropped => {
                let mut under_way = UnderWay {
                    chunk,
                    traffic: &self.traffic,
                };
                let answer = call.await;
                under_way.chunk = None;
                answer
            }
        }
    }
}

/// A mutation without an answer so far.
struct UnderWay<'a> {
    chunk: Option<&'a Address>,
    traffic: &'a Traffic,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.chunk {
            self.traffic.dropped().insert(at.clone());
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for Wire {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.inner.identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.inner.read(at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.inner.read_many(at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        let (inner, to) = (Arc::clone(&self.inner), at.clone());
        let call = async move { inner.write(&to, item, when).await };
        self.carry((at.space == Space::Chunk).then_some(at), call).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let (inner, at) = (Arc::clone(&self.inner), at.clone());
        self.carry(None, async move { inner.remove(&at, rev, when).await })
            .await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        let inner = Arc::clone(&self.inner);
        self.carry(None, async move { inner.commit(all).await }).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let (inner, what) = (Arc::clone(&self.inner), what.to_vec());
        self.carry(None, async move { inner.purge(&what).await }).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        self.inner.rows(query)
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        self.inner.list(space, how)
    }

    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.inner.parts(space, how)
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
