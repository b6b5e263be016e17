//! One call of a user, from its start to its end: its name, its key, its deadline, and what it may have left undecided.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};

use crate::backend::{self, Address, Committed, Item, Mutation, Purge, Read, When, Written};
use crate::store::Inner;
use crate::{Error, ErrorKind, Outcome, Result, Rev};

/// One call of a user. All mutations of the engine go through here.
///
/// *Decisive* mutations decide what users see; while one is on its way, giving up means an unknown outcome. *Preparing*
/// ones (chunks, generation rows) change nothing that a user sees: when one fails, nothing has happened.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) store: Arc<Inner>,
    /// The name of the call.
    name: &'static str,
    /// A decisive mutation was sent, and its answer is not known yet.
    undecided: Arc<AtomicBool>,
}

impl Operation {
    /// Runs one call of a user to its end, or to its deadline. Errors come out with the name of the call and its key.
    pub(crate) async fn run<T, F>(
        store: Arc<Inner>,
        name: &'static str,
        key: Option<&(dyn Display + Sync)>,
        timeout: Option<Duration>,
        body: impl FnOnce(Operation) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let result = Self::run_bare(store, name, timeout, body).await;
        result.map_err(|error| {
            let error = error.with_operation(name);
            match key {
                Some(key) => error.with_key(key),
                None => error,
            }
        })
    }

    /// For work that is no call of its own: a stream that a user goes on polling.
    ///
    /// # Errors
    ///
    /// `closed`.
    pub(crate) fn background(store: Arc<Inner>) -> Result<Self> {
        Self::begin(store, "background")
    }

    /// For what is done on behalf of calls of this name, by somebody else.
    ///
    /// # Errors
    ///
    /// `closed`.
    pub(crate) fn begin(store: Arc<Inner>, name: &'static str) -> Result<Self> {
        store.check_open()?;
        Ok(Self {
            store,
            name,
            undecided: Arc::default(),
        })
    }

    /// Without name and key in its errors.
    async fn run_bare<T, F>(
        store: Arc<Inner>,
        name: &'static str,
        timeout: Option<Duration>,
        body: impl FnOnce(Operation) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let operation = Self::begin(store, name)?;
        let undecided = operation.undecided.clone();
        let body = body(operation);
        let Some(timeout) = timeout else {
            return body.await;
        };
        let Some(deadline) = tokio::time::Instant::now().checked_add(timeout) else {
            return body.await;
        };
        // An engine that minds the deadline comes first: what wakes both polls the inner one before.
        let body = tokio::time::timeout_at(deadline, backend::until(deadline, body));
        body.await.unwrap_or_else(|_| {
            let kind = if undecided.load(Ordering::Acquire) {
                ErrorKind::UnknownOutcome
            } else {
                ErrorKind::Unavailable
            };
            Err(Error::new(kind, format!("not done within the {timeout:?} given")))
        })
    }

    /// Whether giving up now means not knowing, for a mutation that somebody else sends.
    pub(crate) fn leave_undecided(&self, undecided: bool) {
        self.undecided.store(undecided, Ordering::Release);
    }

    pub(crate) async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let item = self.store.backend.read(at, how).await?;
        self.store.figures.read(at.space, item.as_ref());
        Ok(item)
    }

    pub(crate) async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let items = self.store.backend.read_many(at, how).await?;
        for (at, item) in at.iter().zip(&items) {
            self.store.figures.read(at.space, item.as_ref());
        }
        Ok(items)
    }

    pub(crate) async fn decisive_write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.decide(self.store.backend.write(at, item, when)).await
    }

    pub(crate) async fn decisive_remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.decide(self.store.backend.remove(at, rev, when)).await
    }

    pub(crate) async fn decisive_commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.decide(self.store.backend.commit(all)).await
    }

    pub(crate) async fn preparing_write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        let bytes = item.body.as_ref().map_or(0, Bytes::len) as u64;
        let written = prepare(self.store.backend.write(at, item, when)).await?;
        if !written.is_refused() {
            self.store.figures.written(at.space, bytes);
        }
        Ok(written)
    }

    pub(crate) async fn preparing_remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        prepare(self.store.backend.remove(at, rev, when)).await
    }

    pub(crate) async fn preparing_commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        prepare(self.store.backend.commit(all)).await
    }

    pub(crate) async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.store.backend.purge(what).await
    }

    /// Purges what a stream yields, as it comes, and says how much that was.
    pub(crate) async fn purge_all(&self, what: impl Stream<Item = Result<Purge>>) -> Result<u64> {
        let mut purged = 0;
        let mut batches = std::pin::pin!(what.try_chunks(PURGE_BATCH));
        while let Some(batch) = batches.try_next().await.map_err(|failed| failed.1)? {
            self.purge(&batch).await?;
            purged += batch.len() as u64;
        }
        Ok(purged)
    }

    /// From when it is sent until it is refused, giving up means not knowing. When it is applied, that stays so: what is left
    /// of the call can still fail, but not undo it.
    async fn decide<T: Answer>(&self, mutation: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.undecided.swap(true, Ordering::AcqRel);
        let result = mutation.await;
        match &result {
            Ok(answer) if answer.is_refused() => {
                self.store.figures.conflict(self.name);
                self.undecided.store(false, Ordering::Release);
            }
            Err(error) if error.outcome() == Outcome::NotApplied => self.undecided.store(before, Ordering::Release),
            _ => {}
        }
        result
    }
}

/// How many items one request to purge names.
const PURGE_BATCH: usize = 100;

/// The answer to a mutation.
pub(crate) trait Answer {
    /// Whether nothing was changed, for certain.
    fn is_refused(&self) -> bool;
}

impl Answer for Written {
    fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl Answer for Committed {
    fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// A mutation that no user sees: not knowing whether it happened is not knowing whether the engine is there.
async fn prepare<T>(mutation: impl Future<Output = Result<T>>) -> Result<T> {
    mutation.await.map_err(|error| {
        if error.outcome() == Outcome::NotApplied {
            return error;
        }
        Error::new(
            ErrorKind::Unavailable,
            "a preparing step got no answer; nothing that can be read was changed",
        )
        .with_source(error)
    })
}
