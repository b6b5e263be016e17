//! An engine whose answers a test can delay, replace or lose.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, Item, Listing, Mutation, Occupant, Purge, Read, RowQuery, Space, When,
    Written,
};
use konserve_core::{Error, ErrorKind, Outcome, Result, Rev};
use konserve_memory::Memory;

/// Which method is called; of reads and writes of one address, in which space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Read(Space),
    ReadMany,
    Write(Space),
    Remove,
    Commit,
    Purge,
    Rows,
    List,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It takes one poll more before, and one after.
    Slow,
    /// It fails, and has not happened.
    Before(ErrorKind),
    /// It happens, but its answer is lost.
    After,
    /// It does not happen, and nobody knows.
    Lost,
    /// It never comes back, and has not happened.
    Hang,
}

type Script = dyn Fn(Call) -> Option<Fault> + Send + Sync;

/// Memory, with faults.
#[derive(Clone)]
pub(crate) struct Layer {
    inner: Memory,
    script: Arc<Script>,
}

impl Layer {
    pub(crate) fn new(inner: &Memory, script: impl Fn(Call) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self {
            inner: inner.handle(),
            script: Arc::new(script),
        }
    }

    async fn pass<T>(&self, call: Call, inner: impl Future<Output = Result<T>>) -> Result<T> {
        let unknown = || Error::new(ErrorKind::UnknownOutcome, "the answer was lost").with_outcome(Outcome::Unknown);
        match (self.script)(call) {
            None => inner.await,
            Some(Fault::Slow) => {
                tokio::task::yield_now().await;
                let answer = inner.await;
                tokio::task::yield_now().await;
                answer
            }
            Some(Fault::Before(kind)) => Err(Error::new(kind, "injected")),
            Some(Fault::After) => {
                inner.await?;
                Err(unknown())
            }
            Some(Fault::Lost) => Err(unknown()),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layer").field(&self.inner).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for Layer {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.pass(Call::Read(at.space), self.inner.read(at, how)).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.pass(Call::ReadMany, self.inner.read_many(at, how)).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.pass(Call::Write(at.space), self.inner.write(at, item, when)).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.pass(Call::Remove, self.inner.remove(at, rev, when)).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.pass(Call::Commit, self.inner.commit(all)).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.pass(Call::Purge, self.inner.purge(what)).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let layer = self.clone();
        let rows = async move {
            let rows = async { Ok(layer.inner.rows(query)) };
            layer.pass(Call::Rows, rows).await
        };
        futures::stream::once(rows).try_flatten().boxed()
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let layer = self.clone();
        let listed = async move {
            let listed = async { Ok(layer.inner.list(space, how)) };
            layer.pass(Call::List, listed).await
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
