//! What a store has done, in figures: for programs as [`Stats`], and through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::backend::{Distribution, EngineStats, Item, Space};
use crate::store::Store;

/// What a store and all its clones have done since it was built, and what its engine has sent for it.
///
/// A snapshot: reading it changes nothing, and figures only grow.
///
/// | figure | in the `metrics` facade | labels |
/// |---|---|---|
/// | [`conflicts`](Self::conflicts) | counter `konserve.conflicts` | `operation` |
/// | [`chunks_written`](Self::chunks_written) | histogram `konserve.chunk.bytes` | `direction = "written"` |
/// | [`chunks_read`](Self::chunks_read) | histogram `konserve.chunk.bytes` | `direction = "read"` |
/// | [`appended`](Self::appended) | histogram `konserve.append.entries` | |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve_core::Result<()> {
/// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
/// store.assoc("key", &1).if_absent().await?;
/// assert!(store.assoc("key", &2).if_absent().await.is_err());
/// assert_eq!(store.stats().conflicts["assoc"], 1);
/// for (operation, sent) in store.stats().engine.operations {
///     println!("{operation}: {} requests, {} units", sent.requests, sent.capacity);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What the engine's handle has sent. Stores that are built over one and the same handle see the same.
    pub engine: EngineStats,
    /// Writes that were refused because of what was there, by the call that they belong to: another writer came first, or a
    /// condition of the caller does not hold. One call may be refused several times, as it tries again.
    pub conflicts: BTreeMap<&'static str, u64>,
    /// The stored bytes of each chunk of a large value that was written.
    pub chunks_written: Distribution,
    /// The stored bytes of each chunk of a large value that was read.
    pub chunks_read: Distribution,
    /// The entries of each item that was appended to a log: of one append, or of several that came at the same time.
    pub appended: Distribution,
}

/// What a store counts itself.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Stats>);

impl Store {
    /// What this store and its clones have done so far, and what the engine has sent. Also after [`close`](Self::close).
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            engine: self.inner.backend.stats(),
            ..self.inner.figures.lock().clone()
        }
    }
}

impl Figures {
    /// A mutation was refused by its condition.
    pub(crate) fn conflict(&self, operation: &'static str) {
        metrics::counter!("konserve.conflicts", "operation" => operation).increment(1);
        *self.lock().conflicts.entry(operation).or_default() += 1;
    }

    /// An item was stored in this space.
    pub(crate) fn written(&self, space: Space, bytes: u64) {
        if space == Space::Chunk {
            metrics::histogram!("konserve.chunk.bytes", "direction" => "written").record(bytes as f64);
            self.lock().chunks_written.record(bytes);
        }
    }

    /// So many entries were appended to a log as one item.
    pub(crate) fn appended(&self, entries: u64) {
        metrics::histogram!("konserve.append.entries").record(entries as f64);
        self.lock().appended.record(entries);
    }

    /// An item was read from this space.
    pub(crate) fn read(&self, space: Space, item: Option<&Item>) {
        if space == Space::Chunk
            && let Some(body) = item.and_then(|item| item.body.as_ref())
        {
            metrics::histogram!("konserve.chunk.bytes", "direction" => "read").record(body.len() as f64);
            self.lock().chunks_read.record(body.len() as u64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
