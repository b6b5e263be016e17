//! The trials by model find what is wrong with an engine, and show it by a sequence that is short.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use konserve_conformance::{Harness, ManualClock, Namespace, Outcome, Suite};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Order,
    Previous, Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::{Instant, Result, Rev};
use konserve_memory::Memory;

/// What is wrong with an engine: now and then, as real defects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Every seventh write is acknowledged and forgotten.
    WriteDropped,
    /// Every fourth read of what was replaced brings what was there before.
    OldItem,
    /// Every fifth body lacks its last byte.
    ByteLost,
    /// Every third commit leaves out its last mutation.
    CommitInPart,
    /// Every fourth removal is acknowledged and not done.
    RemovalForgotten,
    /// Every third listing lacks one.
    ListingShort,
    /// Every third read of rows lacks the last one.
    RowsShort,
    /// Every third read of rows from the end lacks the first one there.
    RowsShortBackwards,
    /// A row of a log is written once: another write of it is acknowledged, and forgotten.
    RowsKept,
    /// Chunks are never purged.
    ChunksKept,
    /// A purge of chunks takes what else there is with it.
    TooMuchPurged,
    /// A write or a removal under a revision takes place whatever the revision is.
    RevisionIgnored,
    /// After a restart the keys of documents are gone.
    RestartForgets,
    /// The expiry is not stored.
    ExpiryLost,
    /// A removal under a revision never comes back.
    Hangs,
    /// A read of three items or more panics.
    Panics,
}

/// An item, and the one before it.
type Seen = (Item, Option<Item>);

#[derive(Debug, Clone)]
struct Wrong {
    flaw: Flaw,
    memory: Memory,
    calls: Arc<AtomicUsize>,
    /// What was read at each address at last, and what was there before.
    before: Arc<Mutex<HashMap<Address, Seen>>>,
}

impl Wrong {
    /// Whether this call is one of those that go wrong.
    fn strikes(&self, flaw: Flaw, every: usize) -> bool {
        self.flaw == flaw && self.calls.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    fn condition(&self, when: When) -> When {
        match when {
            When::Matches(_) if self.flaw == Flaw::RevisionIgnored => When::Exists,
            when => when,
        }
    }

    fn spoil(&self, item: &mut Item) {
        let long = item.body.as_ref().filter(|body| !body.is_empty()).cloned();
        if let Some(body) = long
            && self.strikes(Flaw::ByteLost, 5)
        {
            item.body = Some(body.slice(..body.len() - 1));
        }
    }
}

#[async_trait]
impl Backend for Wrong {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.memory.identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let mut item = self.memory.read(at, how).await?;
        if let Some(item) = &mut item {
            self.spoil(item);
            if how.body && self.flaw == Flaw::OldItem {
                let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
                let (last, old) = before.entry(at.clone()).or_insert_with(|| (item.clone(), None));
                if last.rev != item.rev {
                    *old = Some(std::mem::replace(last, item.clone()));
                }
                if let Some(old) = old
                    && self.strikes(Flaw::OldItem, 4)
                {
                    *item = old.clone();
                }
            }
        }
        Ok(item)
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        assert!(self.flaw != Flaw::Panics || at.len() < 3, "the engine panics");
        let mut found = self.memory.read_many(at, how).await?;
        found.iter_mut().flatten().for_each(|item| self.spoil(item));
        Ok(found)
    }

    async fn write(&self, at: &Address, mut item: Item, when: When) -> Result<Written> {
        if self.flaw == Flaw::ExpiryLost {
            item.expires = None;
        }
        let is_kept = self.flaw == Flaw::RowsKept && at.space == Space::Log && matches!(when, When::Matches(_));
        if is_kept || self.strikes(Flaw::WriteDropped, 7) {
            let current = self.memory.read(at, Read::STRONG).await?.map(Occupant::Item);
            let previous = Previous::Known(current);
            return Ok(Written::Applied { previous });
        }
        self.memory.write(at, item, self.condition(when)).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        if self.flaw == Flaw::Hangs && matches!(when, When::Matches(_)) {
            return std::future::pending().await;
        }
        if self.strikes(Flaw::RemovalForgotten, 4) {
            let current = self.memory.read(at, Read::STRONG).await?.map(Occupant::Item);
            let previous = Previous::Known(current);
            return Ok(Written::Applied { previous });
        }
        self.memory.remove(at, rev, self.condition(when)).await
    }

    async fn commit(&self, mut all: Vec<Mutation>) -> Result<Committed> {
        if all.len() > 1 && self.strikes(Flaw::CommitInPart, 3) {
            all.pop();
        }
        self.memory.commit(all).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let is_chunk = |purge: &Purge| matches!(purge, Purge::Row(at) if at.space == Space::Chunk);
        if self.flaw == Flaw::ChunksKept {
            let rest: Vec<_> = what.iter().filter(|purge| !is_chunk(purge)).cloned().collect();
            return self.memory.purge(&rest).await;
        }
        if self.flaw == Flaw::TooMuchPurged && what.iter().any(is_chunk) {
            let all = self.memory.list(Space::Chunk, Listing::all(Read::STRONG));
            let all: Vec<_> = all
                .filter_map(|listed| async { listed.ok().map(|(at, _)| Purge::Row(at)) })
                .collect()
                .await;
            self.memory.purge(&all).await?;
        }
        self.memory.purge(what).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let rows = self.memory.rows(query.clone());
        if query.order == Order::Descending && self.strikes(Flaw::RowsShortBackwards, 3) {
            return rows.skip(1).boxed();
        }
        match self.strikes(Flaw::RowsShort, 3) {
            true => shortened(rows),
            false => rows,
        }
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let list = self.memory.list(space, how);
        match self.strikes(Flaw::ListingShort, 3) {
            true => shortened(list),
            false => list,
        }
    }

    fn stats(&self) -> EngineStats {
        self.memory.stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.memory.parts(space, how)
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}

/// All but the last.
fn shortened<T: Send + 'static>(stream: BoxStream<'static, T>) -> BoxStream<'static, T> {
    let all = async move {
        let mut all: Vec<_> = stream.collect().await;
        all.pop();
        futures::stream::iter(all)
    };
    futures::stream::once(all).flatten().boxed()
}

struct WrongHarness(Flaw);

#[async_trait]
impl Harness for WrongHarness {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    fn capabilities(&self) -> Capabilities {
        Memory::builder().item_limit(8 * 1024).build().capabilities()
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
        let memory = Memory::builder().item_limit(8 * 1024).environment(clock.environment());
        let first = Wrong {
            flaw: self.0,
            memory: memory.build(),
            calls: Arc::default(),
            before: Arc::default(),
        };
        Ok(Box::new(WrongNamespace { first, clock }))
    }

    fn has_clock(&self) -> bool {
        true
    }

    fn patience(&self) -> std::time::Duration {
        match self.0 {
            // A fifth of it is waited in vain, again and again.
            Flaw::Hangs => std::time::Duration::from_secs(5),
            _ => std::time::Duration::from_secs(60),
        }
    }
}

struct WrongNamespace {
    first: Wrong,
    clock: ManualClock,
}

#[async_trait]
impl Namespace for WrongNamespace {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.first.clone())
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        let memory = self.first.memory.handle();
        Ok(Arc::new(Wrong {
            memory,
            ..self.first.clone()
        }))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        let memory = self.first.memory.handle();
        if self.first.flaw == Flaw::RestartForgets {
            let all: Vec<_> = memory
                .list(Space::Document, Listing::all(Read::STRONG))
                .filter_map(|listed| async { listed.ok().map(|(at, _)| Purge::Row(at)) })
                .collect()
                .await;
            memory.purge(&all).await?;
        }
        Ok(Arc::new(Wrong {
            memory,
            ..self.first.clone()
        }))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }
}

/// With one of so many seeds a flaw is found.
const SEEDS: u64 = 3;

/// Runs a trial for a seed, by itself: the number of a call decides what goes wrong.
async fn outcome(flaw: Flaw, trial: &str, seed: u64) -> Outcome {
    let suite = Suite::new(WrongHarness(flaw)).seed(seed).thorough(1);
    suite.outcome(trial).await.expect("there is such a trial")
}

/// A test for each flaw, so that they run side by side. What depends on the number of a call is not made as short as what
/// depends on what is stored.
macro_rules! found {
    ($($name:ident: $flaw:ident by $trial:literal in $most:literal steps;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let mut outcomes = Vec::new();
            for seed in 1..=SEEDS {
                if let Outcome::Failed(text) = outcome(Flaw::$flaw, $trial, seed).await {
                    let steps = text.matches("\n        step(").count();
                    assert!((1..=$most).contains(&steps), "seed {seed}, {steps} steps: {text}");
                    assert!(text.contains("let setup = Setup {"), "{text}");
                    return;
                }
                outcomes.push(seed);
            }
            panic!("{:?} is found by {} with none of the seeds {outcomes:?}", Flaw::$flaw, $trial);
        }
    )*};
}

found! {
    a_write_that_is_dropped: WriteDropped by "model.documents" in 20 steps;
    an_old_item: OldItem by "model.documents" in 20 steps;
    a_byte_that_is_lost: ByteLost by "model.binaries" in 20 steps;
    a_commit_in_part: CommitInPart by "model.several-keys" in 20 steps;
    a_removal_that_is_forgotten: RemovalForgotten by "model.everything" in 20 steps;
    a_listing_that_is_short: ListingShort by "model.several-keys" in 20 steps;
    rows_that_are_short: RowsShort by "model.logs" in 20 steps;
    rows_that_are_short_backwards: RowsShortBackwards by "model.logs" in 20 steps;
    rows_that_are_kept: RowsKept by "model.logs" in 4 steps;
    chunks_that_are_kept: ChunksKept by "model.binaries" in 1 steps;
    a_purge_that_takes_too_much: TooMuchPurged by "model.binaries" in 4 steps;
    a_revision_that_is_ignored: RevisionIgnored by "model.documents" in 4 steps;
    an_expiry_that_is_lost: ExpiryLost by "model.documents" in 4 steps;
    a_restart_that_forgets: RestartForgets by "model.everything" in 1 steps;
    a_call_that_hangs: Hangs by "model.documents" in 40 steps;
    a_panic: Panics by "model.several-keys" in 6 steps;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_where_nothing_is_wrong() {
    for trial in ["documents", "binaries", "logs", "several-keys", "everything"] {
        for seed in 1..=SEEDS {
            let passed = outcome(Flaw::None, &format!("model.{trial}"), seed).await;
            assert_eq!(passed, Outcome::Passed, "model.{trial} with seed {seed}");
        }
    }
}
