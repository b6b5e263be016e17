//! Trials of many tasks at once, whose histories are checked for linearizability.
//!
//! Each kind of trial is a function that takes two handles, or two stores over two handles, lets tasks make random calls on
//! them, records what comes back, and gives the verdict. It does not care why a call failed or stayed without an answer:
//! errors after which nothing can have been applied are calls that failed, unknown outcomes are calls that happened at
//! some time or never, and everything else fails the trial. So the same functions serve where faults are switched on:
//!
//! ```text
//! let handles = concurrency::handles(&arena).await?;      // or stores(&arena).await?
//! control.set(Some(script));                              // before or while it runs
//! concurrency::registers(&arena, handles, Extent::USUAL).await
//! ```
//!
//! In the end each of them reads everything until it gets an answer, so faults must end or be such that a repeated call
//! gets through. The seed is that of the arena.

mod counters;
mod documents;
mod logs;
mod registers;
mod transfers;
mod watched;

use std::sync::Arc;

use konserve_core::Store;
use konserve_core::backend::Backend;
use konserve_core::store::Options;
use tokio::task::JoinSet;

pub(crate) use self::counters::counters;
pub(crate) use self::documents::{documents, multi_keys};
pub(crate) use self::logs::logs;
pub(crate) use self::registers::registers;
pub(crate) use self::transfers::transfers;
use crate::arena::{Arena, Random};
use crate::failure::{Failure, Verdict};
use crate::linear::Finding;
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    let trials = vec![
        Trial::new(
            "concurrency.registers",
            &["B-LINEAR-1", "B-WHEN-9", "B-READ-5"],
            |arena| async move { registers(&arena, handles(&arena).await?, Extent::USUAL).await },
        ),
        Trial::new(
            "concurrency.documents",
            &["S-LINEAR-1", "S-ASSOC-2"],
            |arena| async move { documents(&arena, stores(&arena).await?, Extent::USUAL).await },
        ),
        Trial::new(
            "concurrency.counters",
            &["S-LINEAR-1", "S-UPDATE-3"],
            |arena| async move { counters(&arena, stores(&arena).await?, Extent::USUAL).await },
        ),
        Trial::new(
            "concurrency.logs",
            &["S-LINEAR-1", "S-LOG-2", "S-LOG-4", "S-LOG-8", "S-LOG-12"],
            |arena| async move { logs(&arena, stores(&arena).await?, Extent::USUAL).await },
        ),
        Trial::new(
            "concurrency.multi-keys",
            &["S-LINEAR-2", "S-MULTI-2", "S-MULTI-3"],
            |arena| async move { multi_keys(&arena, stores(&arena).await?, Extent::USUAL).await },
        )
        .needs(Capability::Transactions),
        Trial::new(
            "concurrency.transfers",
            &["B-LINEAR-2", "B-COMMIT-6", "B-COMMIT-7"],
            |arena| async move { transfers(&arena, handles(&arena).await?, Extent::SMALL).await },
        )
        .needs(Capability::Transactions),
    ];
    trials.into_iter().map(Trial::seeded).collect()
}

/// How much a trial does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// How many tasks there are, half of them on either handle.
    pub(crate) tasks: usize,
    /// How many calls each of them makes.
    pub(crate) calls: usize,
    /// Whether requests fail meanwhile.
    pub(crate) failures: bool,
}

impl Extent {
    pub(crate) const USUAL: Self = Self {
        tasks: 8,
        calls: 25,
        failures: false,
    };
    /// Where a call takes several requests.
    pub(crate) const SMALL: Self = Self {
        tasks: 8,
        calls: 12,
        failures: false,
    };
}

/// Two handles of an arena.
pub(crate) async fn handles(arena: &Arena) -> Verdict<[Arc<dyn Backend>; 2]> {
    Ok([Arc::clone(&arena.backend), arena.namespace.another().await?])
}

/// Stores over two handles of an arena, for [`over`] two others.
pub(crate) async fn stores(arena: &Arena) -> Verdict<[Store; 2]> {
    Ok(over(arena, handles(arena).await?))
}

/// Stores over two handles, in which values above [`LARGE`] bytes are stored in chunks where the engine can do that. Their tasks
/// compete in the engine: were locks shared, only one of them at a time would update a key.
pub(crate) fn over(arena: &Arena, handles: [Arc<dyn Backend>; 2]) -> [Store; 2] {
    let mut options = Options::default();
    options.background_cleanup = false;
    // Whoever loses for as long as this gives up, which is a call that failed. An engine that lets nobody win is found sooner.
    options.contention_timeout_ms = 5_000;
    if arena.capabilities.transactions.is_some() {
        options.inline_limit = Some(LARGE);
        options.chunk_size = LARGE;
    }
    handles.map(|handle| {
        let store = Store::builder(handle).options(options.clone());
        store.shared_locks(false).build()
    })
}

/// More bytes than this are a large value.
const LARGE: usize = 2048;

/// Text of which most is short, and some is a large value; it follows from the number.
fn filler(number: u64) -> String {
    let length = match number % 8 {
        0 => 2 * LARGE + 100,
        short => 4 * short as usize,
    };
    "f".repeat(length)
}

/// A number that says who made a call, and which one it was. Not 0, and no other call has it.
fn call_id(task: usize, call: usize) -> u64 {
    (task as u64 + 1) * 100_000 + call as u64
}

/// Lets tasks run side by side, each with its own random numbers, until all have ended or one fails. The others end then,
/// as they do when this is dropped.
async fn crowd<R>(arena: &Arena, extent: Extent, task: impl Fn(usize, Random) -> R) -> Verdict
where
    R: Future<Output = Verdict> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..extent.tasks {
        let random = Random::new(arena.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        tasks.spawn(task(number, random));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Failure::new(format!("a task did not end: {error}")))??;
    }
    Ok(())
}

/// Lets others go first, or not.
async fn linger(random: &mut Random) {
    for _ in 0..random.below(4) {
        tokio::task::yield_now().await;
    }
}

/// A finding as a failure that says what it is about.
#[track_caller]
fn judged(what: &str, verdict: Result<(), Finding>) -> Verdict {
    verdict.map_err(|finding| Failure::new(format!("the history of {what}: {finding}")))
}
