//! An engine around an engine, whose calls a script watches, delays, fails or loses.
//!
//! For tests: of engines, of konserve, and of programs that want to know how they bear failures. With the feature `layer`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Purge,
    Read, RowQuery, Space, When, Written,
};
use crate::{Error, ErrorKind, Outcome, Result, Rev};

/// Which method of an engine is called; where all addresses are in one space, in which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Backend::read`].
    Read(Space),
    /// [`Backend::read_many`].
    ReadMany,
    /// [`Backend::write`].
    Write(Space),
    /// [`Backend::remove`].
    Remove(Space),
    /// [`Backend::commit`].
    Commit,
    /// [`Backend::purge`].
    Purge,
    /// [`Backend::rows`].
    Rows(Space),
    /// [`Backend::list`].
    List(Space),
}

impl Call {
    /// Whether it can change what is stored.
    #[must_use]
    pub fn is_mutation(self) -> bool {
        match self {
            Self::Write(_) | Self::Remove(_) | Self::Commit | Self::Purge => true,
            Self::Read(_) | Self::ReadMany | Self::Rows(_) | Self::List(_) => false,
        }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It takes one poll more before it happens, and one after.
    Slow,
    /// It takes this long, by tokio's clock: one half before it happens, and one after.
    Takes(Duration),
    /// It fails with an error of this kind, and has not happened.
    Fails(ErrorKind),
    /// It happens, but its answer is lost: an unknown outcome for a mutation, `unavailable` for a read. An error of the engine
    /// within comes out as it is.
    ReplyLost,
    /// It does not happen, and nobody knows: the same errors.
    RequestLost,
    /// What consists of many parts ends in the middle: half of a purge is done and half of a stream delivered before the
    /// error. Everything else fails as `throttled`, and has not happened.
    Partial,
    /// It never comes back, and has not happened: the process dies here.
    Hangs,
}

type Script = dyn Fn(Call) -> Option<Fault> + Send + Sync;

/// An engine around an engine, whose calls a script decides on.
///
/// The script is asked once for each call, when it begins, in the order in which calls begin; for a stream when it is first
/// polled. `capabilities`, `identity`, `parts`, `stats` and `close` pass. Clones share the script.
///
/// ```
/// use konserve_core::backend::Space;
/// use konserve_core::layer::{Call, Fault, Layer};
/// use konserve_core::{ErrorKind, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve_core::Result<()> {
/// let lost = |call| (call == Call::Write(Space::Document)).then_some(Fault::ReplyLost);
/// let store = Store::new(Layer::new(konserve_memory::Memory::new(), lost));
/// let error = store.assoc("key", "value").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownOutcome);
/// assert_eq!(store.get::<String>("key").await?.as_deref(), Some("value"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Layer {
    inner: Arc<dyn Backend>,
    script: Arc<Script>,
}

impl Layer {
    /// This engine, under this script.
    pub fn new(inner: impl Backend, script: impl Fn(Call) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            script: Arc::new(script),
        }
    }

    async fn pass<T>(&self, call: Call, inner: impl Future<Output = Result<T>>) -> Result<T> {
        match (self.script)(call) {
            None => inner.await,
            Some(fault) => suffer(call, fault, inner).await,
        }
    }

    fn pass_stream<T: Send + 'static>(
        &self,
        call: Call,
        inner: impl FnOnce() -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let script = Arc::clone(&self.script);
        let begun = async move {
            match script(call) {
                None => Ok(inner()),
                Some(Fault::Partial) => {
                    let mut all: Vec<_> = inner().collect().await;
                    all.truncate(all.len() / 2);
                    Ok(stream::iter(all).chain(stream::iter([Err(interrupted())])).boxed())
                }
                Some(fault) => suffer(call, fault, async { Ok(inner()) }).await,
            }
        };
        stream::once(begun).try_flatten().boxed()
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layer").field(&self.inner).finish()
    }
}

async fn suffer<T>(call: Call, fault: Fault, inner: impl Future<Output = Result<T>>) -> Result<T> {
    match fault {
        Fault::Slow => {
            tokio::task::yield_now().await;
            let answer = inner.await;
            tokio::task::yield_now().await;
            answer
        }
        Fault::Takes(time) => {
            tokio::time::sleep(time / 2).await;
            let answer = inner.await;
            tokio::time::sleep(time / 2).await;
            answer
        }
        Fault::Fails(kind) => Err(Error::new(kind, "the call was made to fail")),
        Fault::ReplyLost => {
            inner.await?;
            Err(lost(call))
        }
        Fault::RequestLost => Err(lost(call)),
        Fault::Partial => Err(Error::new(ErrorKind::Throttled, "the call was made to fail")),
        Fault::Hangs => std::future::pending().await,
    }
}

fn lost(call: Call) -> Error {
    let message = "the answer was lost";
    match call.is_mutation() {
        true => Error::new(ErrorKind::UnknownOutcome, message).with_outcome(Outcome::Unknown),
        false => Error::new(ErrorKind::Unavailable, message),
    }
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Unavailable, "the call was made to end in the middle")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for Layer {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.inner.identity()
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
        self.pass(Call::Remove(at.space), self.inner.remove(at, rev, when))
            .await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.pass(Call::Commit, self.inner.commit(all)).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        match (self.script)(Call::Purge) {
            None => self.inner.purge(what).await,
            Some(Fault::Partial) => {
                self.inner.purge(&what[..what.len() / 2]).await?;
                Err(interrupted().with_outcome(Outcome::Unknown))
            }
            Some(fault) => suffer(Call::Purge, fault, self.inner.purge(what)).await,
        }
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let inner = Arc::clone(&self.inner);
        self.pass_stream(Call::Rows(query.space), move || inner.rows(query))
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let inner = Arc::clone(&self.inner);
        self.pass_stream(Call::List(space), move || inner.list(space, how))
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
