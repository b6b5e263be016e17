//! Mutants whose figures are of something else than what the handle has sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use konserve_core::Result;
use konserve_core::backend::{Address, Backend, EngineStats, Item, Read, RequestStats};

use crate::engine::{Right, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "stats.start-again-when-asked",
            "stats.never-fall",
            "the figures are taken, as a counter of a test does it, instead of looked at",
            || Counts::new(|reads| reads.swap(0, Ordering::Relaxed)),
        ),
        Mutant::new(
            "stats.of-all-handles",
            "stats.of-one-handle",
            "the figures belong to the pool of connections, which all handles share",
            || Counts::new(|reads| reads.load(Ordering::Relaxed)),
        ),
        Mutant::new(
            "stats.gone-with-the-connection",
            "stats.after-closing",
            "the figures are kept beside the connection, and dropped with it",
            || GoneWhenClosed(Counts::new(|reads| reads.load(Ordering::Relaxed))),
        ),
    ]
}

/// Counts reads, for all handles together.
struct Counts {
    reads: Arc<AtomicU64>,
    look: fn(&AtomicU64) -> u64,
}

struct GoneWhenClosed(Counts);

impl Counts {
    fn new(look: fn(&AtomicU64) -> u64) -> Self {
        let reads = Arc::default();
        Self { reads, look }
    }
}

#[async_trait]
impl Wrong for Counts {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        right.read(at, how).await
    }

    fn stats(&self, _right: &Right) -> EngineStats {
        let mut requests = RequestStats::default();
        requests.requests = (self.look)(&self.reads);
        let mut stats = EngineStats::default();
        stats.operations.insert("read", requests);
        stats
    }
}

#[async_trait]
impl Wrong for GoneWhenClosed {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        self.0.read(right, at, how).await
    }

    fn stats(&self, right: &Right) -> EngineStats {
        self.0.stats(right)
    }

    async fn close(&self, right: &Right) -> Result<()> {
        self.0.reads.store(0, Ordering::Relaxed);
        right.close().await
    }
}
