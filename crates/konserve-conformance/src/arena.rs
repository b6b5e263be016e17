//! What a trial works with: its namespace, revisions that rise, and short words for what all of them do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{
    Address, Backend, Capabilities, Item, Listing, Occupant, Partition, Previous, Read, RowQuery, Space, When, Written,
};
use konserve_core::{Clock, Instant, Outcome, Result, Rev, SystemClock};
use tokio::task::JoinHandle;

use crate::failure::{Failure, Verdict, brief};
use crate::trial::Capability;
use crate::{Harness, Namespace, Page};

/// How often a mutation that was turned away is made again, and after how long.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(1);

/// The most bytes that a trial takes for the largest item.
const MOST: usize = 8 * 1024 * 1024;

/// What a trial works with.
pub(crate) struct Arena {
    harness: Arc<dyn Harness>,
    /// The first handle.
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) namespace: Box<dyn Namespace>,
    pub(crate) capabilities: Capabilities,
    pub(crate) page: Page,
    /// What everything random in the trial follows from.
    pub(crate) seed: u64,
    /// Milliseconds since the epoch, for revisions.
    start: u64,
    revisions: AtomicU64,
}

impl Arena {
    /// An arena in a fresh namespace.
    pub(crate) async fn open(harness: Arc<dyn Harness>, seed: u64) -> Result<Arc<Self>> {
        let namespace = harness.open_seeded(seed).await?;
        Ok(Arc::new(Self {
            backend: namespace.backend(),
            namespace,
            capabilities: harness.capabilities(),
            page: harness.page(),
            harness,
            seed,
            start: SystemClock.now().as_millis().unsigned_abs(),
            revisions: AtomicU64::new(0),
        }))
    }

    /// Does something in a further fresh namespace, which is cleaned up afterwards.
    pub(crate) async fn elsewhere<T, R>(&self, what: impl FnOnce(Arc<Self>) -> R) -> Verdict<T>
    where
        R: Future<Output = Verdict<T>>,
    {
        let arena = Self::open(Arc::clone(&self.harness), self.seed).await?;
        let verdict = what(Arc::clone(&arena)).await;
        let cleaned = arena.namespace.clean_up().await;
        let done = verdict?;
        cleaned?;
        Ok(done)
    }

    /// How long a trial may take.
    pub(crate) fn patience(&self) -> Duration {
        self.harness.patience()
    }

    /// Whether the harness says that this is there.
    pub(crate) fn declares(&self, capability: Capability) -> bool {
        capability.is_declared(&*self.harness)
    }

    /// The bytes of the largest item; of one that counts as large, where there is no limit or one far above what tests write.
    pub(crate) fn largest_item(&self) -> usize {
        self.capabilities.item_limit.map_or(500_000, |limit| limit.min(MOST))
    }

    /// A revision, higher than every one before.
    pub(crate) fn rev(&self) -> Rev {
        let count = self.revisions.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        let logical = (self.start << 16) + count;
        bytes[..8].copy_from_slice(&logical.to_be_bytes());
        // The random part falls where the clock part rises, so that nobody compares that alone.
        bytes[8..].copy_from_slice(&(!(count << 32 | 0x5EED)).to_be_bytes());
        Rev::from_bytes(bytes)
    }

    /// An address of a document.
    pub(crate) fn at(&self, name: &str) -> Address {
        Address::new(Space::Document, Partition::new(name), 0)
    }

    /// Stores an item, whatever is there.
    #[track_caller]
    pub(crate) fn put<'a>(&'a self, at: &'a Address, item: &'a Item) -> impl Future<Output = Verdict> + 'a {
        let failure = Failure::new(format!("an item could not be stored at {at} to begin with"));
        async move {
            match settled(|| self.backend.write(at, item.clone(), When::Always)).await? {
                Written::Applied { .. } => Ok(()),
                Written::Refused { .. } => Err(failure),
            }
        }
    }

    /// Leaves a tombstone, whatever is there.
    #[track_caller]
    pub(crate) fn bury<'a>(&'a self, at: &'a Address, rev: Rev) -> impl Future<Output = Verdict> + 'a {
        let failure = Failure::new(format!("a tombstone could not be left at {at} to begin with"));
        async move {
            match settled(|| self.backend.remove(at, rev, When::Always)).await? {
                Written::Applied { .. } => Ok(()),
                Written::Refused { .. } => Err(failure),
            }
        }
    }

    pub(crate) async fn get(&self, at: &Address) -> Verdict<Option<Item>> {
        Ok(self.backend.read(at, Read::STRONG).await?)
    }

    /// What is at an address, tombstones included.
    pub(crate) async fn occupant(&self, at: &Address) -> Verdict<Option<Occupant>> {
        occupant_by(&*self.backend, at).await
    }

    /// Writes some items side by side.
    pub(crate) async fn fill(&self, items: Vec<(Address, Item)>) -> Verdict {
        stream::iter(items)
            .map(|(at, item)| async move { self.put(&at, &item).await })
            .buffer_unordered(8)
            .try_collect()
            .await
    }

    /// Rows of a partition of logs that fill more than two pages, written; ascending by row.
    pub(crate) async fn fill_rows(&self, partition: &Partition) -> Verdict<Vec<(u64, Item)>> {
        let body = Bytes::from(vec![b'r'; self.page.bytes]);
        let rows: Vec<_> = (0..self.more_than_two_pages())
            .map(|row| {
                let body = Some(body.clone());
                (
                    row as u64,
                    Item {
                        body,
                        ..item(self.rev())
                    },
                )
            })
            .collect();
        let items = rows.iter().map(|(row, item)| {
            let at = Address::new(Space::Log, partition.clone(), *row);
            (at, item.clone())
        });
        self.fill(items.collect()).await?;
        Ok(rows)
    }

    /// Documents that fill more than two pages, written.
    pub(crate) async fn fill_documents(&self) -> Verdict<Vec<(Address, Item)>> {
        let body = Bytes::from(vec![b'd'; self.page.bytes]);
        let items: Vec<_> = (0..self.more_than_two_pages())
            .map(|number| {
                let body = Some(body.clone());
                (
                    self.at(&format!("document-{number}")),
                    Item {
                        body,
                        ..item(self.rev())
                    },
                )
            })
            .collect();
        self.fill(items.clone()).await?;
        Ok(items)
    }

    /// An item, and others at addresses that differ from its own in one part, written.
    pub(crate) async fn neighbourhood(&self) -> Verdict<(Address, Vec<(Address, Item)>)> {
        let at = Address::new(Space::Document, Partition::new("a"), 1);
        self.put(&at, &item(self.rev())).await?;
        let partitions = ["b", "ab", "aa", "A"].map(|name| Address {
            partition: Partition::new(name),
            ..at.clone()
        });
        let rows = [0, 2, 10, u64::MAX].map(|row| Address { row, ..at.clone() });
        let spaces = Space::ALL.into_iter().filter(|space| *space != at.space);
        let spaces = spaces.map(|space| Address { space, ..at.clone() });
        let neighbours: Vec<_> = [Vec::from(partitions), Vec::from(rows), spaces.collect()]
            .into_iter()
            .flatten()
            .map(|at| (at, item(self.rev())))
            .collect();
        self.fill(neighbours.clone()).await?;
        Ok((at, neighbours))
    }

    pub(crate) async fn rows(&self, query: RowQuery) -> Verdict<Vec<(u64, Item)>> {
        Ok(self.backend.rows(query).try_collect().await?)
    }

    pub(crate) async fn list(&self, space: Space, how: Listing) -> Verdict<Vec<(Address, Occupant)>> {
        Ok(self.backend.list(space, how).try_collect().await?)
    }

    pub(crate) fn random(&self) -> Random {
        Random::new(self.seed)
    }

    fn more_than_two_pages(&self) -> usize {
        2 * self.page.items + 3
    }
}

/// What is at an address, tombstones included: what a write that must be refused is told, with the body read.
pub(crate) async fn occupant_by(backend: &dyn Backend, at: &Address) -> Verdict<Option<Occupant>> {
    // Nothing has the lowest revision, so nothing matches; and nothing has the highest, so it is no repetition.
    let never = When::Matches(Rev::from_bytes([0; 16]));
    let probe = item(Rev::from_bytes([0xFF; 16]));
    match backend.write(at, probe, never).await? {
        Written::Refused {
            current: Some(Occupant::Item(seen)),
        } => match backend.read(at, Read::STRONG).await? {
            Some(item) if item.rev == seen.rev => Ok(Some(Occupant::Item(item))),
            read => Err(Failure::new(format!(
                "a refused write was told of {} at {at}, but a strong read found {}",
                seen.rev,
                brief(&read)
            ))),
        },
        Written::Refused { current } => match backend.read(at, Read::STRONG).await? {
            None => Ok(current),
            read => Err(Failure::new(format!(
                "a refused write was told of {current:?} at {at}, but a strong read found {}",
                brief(&read)
            ))),
        },
        Written::Applied { .. } => Err(Failure::new(format!(
            "a write at {at} that demands a revision nothing has was applied"
        ))),
    }
}

/// The answer to a mutation among rivals. An engine may say `throttled`, `contended` or `unavailable` there and must know
/// that nothing was applied; the caller then asks again, as callers do, but not for ever.
pub(crate) async fn settled<T, R>(ask: impl Fn() -> R) -> Verdict<T>
where
    R: Future<Output = Result<T>>,
{
    let mut tries = 0;
    loop {
        match ask().await {
            Err(error) if error.is_retryable() && error.outcome() == Outcome::NotApplied && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// What a task came to.
pub(crate) async fn joined<T>(task: JoinHandle<Verdict<T>>) -> Verdict<T> {
    match task.await {
        Ok(verdict) => verdict,
        Err(error) => Err(Failure::new(format!("a task did not end: {error}"))),
    }
}

/// An item whose meta and body follow from its revision.
pub(crate) fn item(rev: Rev) -> Item {
    Item {
        rev,
        pinned: false,
        expires: None,
        created: rev.instant(),
        meta: Bytes::from(format!("meta of {rev}")),
        body: Some(Bytes::from(format!("body of {rev}"))),
    }
}

/// An item that expired long ago.
pub(crate) fn expired(rev: Rev) -> Item {
    Item {
        expires: Some(Instant::from_millis(1_000)),
        ..item(rev)
    }
}

/// An occupant as answers to mutations show it: with meta, and with the right body or none.
pub(crate) fn shows(answer: Option<&Occupant>, truth: Option<&Occupant>) -> bool {
    match (answer, truth) {
        (Some(Occupant::Item(answer)), Some(Occupant::Item(truth))) => {
            let body = answer.body.clone().or_else(|| truth.body.clone());
            Item { body, ..answer.clone() } == *truth
        }
        (answer, truth) => answer == truth,
    }
}

/// Whether an answer says rightly what was replaced.
pub(crate) fn tells(previous: &Previous, truth: Option<&Occupant>, unknown_allowed: bool) -> bool {
    match previous {
        Previous::Known(known) => shows(known.as_ref(), truth),
        // Only for what arrives again, where the truth is what stands there since.
        Previous::Existed(_) | Previous::Unknown => unknown_allowed,
    }
}

/// Lets a task go on until this is dropped, however the trial ends.
pub(crate) struct Until(Arc<AtomicBool>);

impl Until {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Says, in the task, whether to go on.
    pub(crate) fn go_on(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let over = Arc::clone(&self.0);
        move || !over.load(Ordering::Relaxed)
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers that look random and follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
