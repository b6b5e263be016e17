//! Trimming: entries are gone at once, their items when nobody can need them, and nothing else is.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_core::backend::{Backend, Listing, Space};
use konserve_core::layer::{Call, Layer};
use konserve_core::{Environment, Error, ErrorKind, Store};
use konserve_memory::Memory;

use crate::support::{ManualClock, manual, quiet};

const LEASE: Duration = Duration::from_secs(10 * 60);
/// A lease, a request horizon, and the clocks apart.
const UNTIL_GONE: Duration = Duration::from_secs((10 + 15 + 5) * 60);

struct World {
    memory: Memory,
    clock: Arc<ManualClock>,
    environment: Environment,
}

impl World {
    fn new() -> Self {
        let (clock, environment) = manual();
        Self {
            memory: Memory::builder().item_limit(4096).build(),
            clock,
            environment,
        }
    }

    fn store(&self) -> Store {
        let store = Store::builder(self.memory.handle()).options(quiet());
        store.environment(self.environment.clone()).shared_locks(false).build()
    }

    /// The positions at which items begin, whether they can be read or not.
    async fn rows(&self) -> Vec<u64> {
        let listing = Listing::all(konserve_core::backend::Read::STRONG);
        let listed: Vec<_> = self.memory.list(Space::Log, listing).try_collect().await.unwrap();
        let mut rows: Vec<u64> = listed
            .into_iter()
            .filter(|(at, _)| at.partition.as_str().contains('/'))
            .map(|(at, _)| at.row)
            .collect();
        rows.sort_unstable();
        rows
    }
}

async fn entries(store: &Store) -> Vec<(u64, u64)> {
    let log = store.log("log").consistent().with_positions();
    log.try_collect().await.unwrap()
}

/// Appends items of these sizes, whose entries are their positions.
async fn append(store: &Store, sizes: &[u64]) {
    for size in sizes {
        let next = store.log::<u64>("log").consistent();
        let next = next.first_position().await.unwrap().unwrap_or(0) + next.len().await.unwrap();
        assert_eq!(store.append_all("log", next..next + size).await.unwrap(), next);
    }
}

fn positions(range: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    range.map(|position| (position, position)).collect()
}

#[tokio::test]
async fn entries_go_at_once_and_their_items_later_and_positions_stay() {
    let world = World::new();
    let (store, other) = (world.store(), world.store());
    assert_eq!(store.trim("log", 5).await.unwrap(), None);
    append(&store, &[2, 3, 1, 4]).await;
    assert_eq!(other.trim("log", 0).await.unwrap(), Some(0));
    assert_eq!(other.trim("log", 3).await.unwrap(), Some(3));
    assert_eq!(other.trim("log", 1).await.unwrap(), Some(3));
    for reader in [&store, &other] {
        assert_eq!(entries(reader).await, positions(3..10));
        let log = || reader.log::<u64>("log").consistent();
        assert_eq!(log().len().await.unwrap(), 7);
        assert_eq!(log().first_position().await.unwrap(), Some(3));
        let last: Vec<u64> = log().last(100).try_collect().await.unwrap();
        assert_eq!(last, [3, 4, 5, 6, 7, 8, 9]);
        let back: Vec<u64> = log().reverse().try_collect().await.unwrap();
        assert_eq!(back, [9, 8, 7, 6, 5, 4, 3]);
        let tail: Vec<u64> = log().range(..5).try_collect().await.unwrap();
        assert_eq!(tail, [3, 4]);
        let trimmed: Result<Vec<u64>, Error> = log().range(2..5).try_collect().await;
        assert_eq!(trimmed.unwrap_err().kind(), ErrorKind::Trimmed);
        let trimmed = log().from(2).len().await.unwrap_err();
        assert_eq!((trimmed.kind(), trimmed.position()), (ErrorKind::Trimmed, Some(3)));
    }
    assert_eq!(store.append("log", &10_u64).await.unwrap(), 10);
    // The first item can go; the second holds entries that stay.
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 0);
    world.clock.advance(UNTIL_GONE - Duration::from_secs(1));
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 0);
    assert_eq!(world.rows().await, [0, 2, 5, 6, 10]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 1);
    assert_eq!(world.rows().await, [2, 5, 6, 10]);
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 0);
    assert_eq!(entries(&world.store()).await, positions(3..11));
}

#[tokio::test]
async fn all_entries_can_go_and_the_next_one_goes_where_it_would_have_gone() {
    let world = World::new();
    let store = world.store();
    append(&store, &[2, 3]).await;
    assert_eq!(store.trim("log", u64::MAX).await.unwrap(), Some(5));
    assert_eq!(entries(&store).await, []);
    let meta = store.get_meta("log").await.unwrap().unwrap().log.unwrap();
    assert_eq!(
        (meta.entries, meta.first, meta.next, meta.last(), meta.bytes),
        (0, 5, 5, None, 0)
    );
    world.clock.advance(UNTIL_GONE);
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 1);
    // The last item stays: by it everybody knows where the log ends.
    assert_eq!(world.rows().await, [2]);
    let cold = world.store();
    assert_eq!(cold.append("log", &5_u64).await.unwrap(), 5);
    assert_eq!(entries(&store).await, positions(5..6));
    let back: Vec<u64> = store
        .log::<u64>("log")
        .consistent()
        .reverse()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(back, [5]);
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 1);
    assert_eq!(world.rows().await, [5]);
    assert!(store.dissoc("log").await.unwrap());
    world.clock.advance(UNTIL_GONE);
    assert_eq!(store.collect().await.unwrap().logs_removed, 1);
    assert_eq!(world.rows().await, [0; 0]);
}

#[tokio::test]
async fn the_bytes_of_what_is_left_are_those_of_its_items() {
    let world = World::new();
    let store = world.store();
    append(&store, &[2, 3, 1, 4]).await;
    let bytes = |from: u64, to: u64| {
        store
            .options()
            .codec
            .encode(&(from..to).collect::<Vec<_>>().into())
            .unwrap()
            .len() as u64
    };
    for (before, expected) in [(0, 0), (1, 0), (2, 1), (4, 1), (5, 2), (6, 3)] {
        store.trim("log", before).await.unwrap();
        let items = [(0, 2), (2, 5), (5, 6), (6, 10)];
        let expected: u64 = items[expected..].iter().map(|(from, to)| bytes(*from, *to)).sum();
        let meta = store.get_meta("log").await.unwrap().unwrap().log.unwrap();
        assert_eq!((meta.bytes, meta.entries), (expected, 10 - before), "before {before}");
    }
}

#[tokio::test]
async fn trims_that_follow_each_other_closely_do_not_put_off_the_end() {
    let world = World::new();
    let store = world.store();
    append(&store, &[1; 20]).await;
    let mut purged = 0;
    // Each quarter of an hour a position; the collector comes right after each trim.
    for round in 1..=12 {
        store.trim("log", round).await.unwrap();
        purged += store.collect().await.unwrap().log_rows_purged;
        world.clock.advance(Duration::from_secs(15 * 60));
    }
    assert!(purged >= 8, "{purged}");
    for _ in 0..2 {
        world.clock.advance(UNTIL_GONE);
        purged += store.collect().await.unwrap().log_rows_purged;
    }
    assert_eq!(purged, 12);
    assert_eq!(store.collect().await.unwrap().waiting, 0);
    assert_eq!(entries(&store).await, positions(12..20));
}

#[tokio::test]
async fn a_trim_across_segments_purges_all_of_them_and_large_entries_with_them() {
    let world = World::new();
    let store = world.store();
    let mut next = 0;
    for _ in 0..70 {
        store.append_all("log", next..next + 3000).await.unwrap();
        next += 3000;
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(store.trim("log", next - 3000).await.unwrap(), Some(next - 3000));
    world.clock.advance(UNTIL_GONE);
    let report = store.collect().await.unwrap();
    // Each of these items has chunks, and a generation that nobody names any more.
    assert_eq!(report.log_rows_purged, 69);
    world.clock.advance(Duration::from_secs(60 * 60));
    store.collect().await.unwrap();
    world.clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(store.collect().await.unwrap().generations_removed, 69);
    assert_eq!(entries(&world.store()).await.len(), 3000);
}

#[tokio::test]
async fn a_reader_that_is_overtaken_says_so_and_shows_no_gap() {
    for reverse in [false, true] {
        let world = World::new();
        let store = world.store();
        for number in 0..1000_u64 {
            store.append("log", &number).await.unwrap();
        }
        let log = || {
            let log = store.log::<u64>("log").consistent();
            if reverse { log.reverse() } else { log }
        };
        let (mut slow, mut quick) = (log(), log());
        let first = if reverse { 999 } else { 0 };
        assert_eq!(slow.try_next().await.unwrap(), Some(first));
        assert_eq!(quick.try_next().await.unwrap(), Some(first));
        store.trim("log", 990).await.unwrap();
        // Until the items go, readers that have begun go on.
        assert_eq!(quick.by_ref().map(Result::unwrap).count().await, 999);
        world.clock.advance(UNTIL_GONE);
        assert_eq!(store.collect().await.unwrap().log_rows_purged, 990);
        let mut expected = first;
        let error = loop {
            match slow.try_next().await {
                Ok(Some(entry)) => {
                    expected = if reverse { expected - 1 } else { expected + 1 };
                    assert_eq!(entry, expected);
                }
                Ok(None) => panic!("it ended at {expected}"),
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), error.position()), (ErrorKind::Trimmed, Some(990)));
    }
}

#[tokio::test]
async fn a_writer_that_slept_through_trims_does_not_write_where_nobody_reads() {
    // It goes on after so long: within what it may believe, and far beyond.
    for sleep in [Duration::ZERO, LEASE / 3, 2 * UNTIL_GONE] {
        let world = World::new();
        let (sleeper, other) = (world.store(), world.store());
        append(&sleeper, &[1, 1]).await;
        for position in 2..10_u64 {
            assert_eq!(other.append("log", &position).await.unwrap(), position);
        }
        other.trim("log", 8).await.unwrap();
        world.clock.advance(sleep);
        other.collect().await.unwrap();
        assert_eq!(sleeper.append("log", &10_u64).await.unwrap(), 10);
        assert_eq!(entries(&other).await, positions(8..11));
    }
}

/// A store that sleeps in the middle of its first write of an item, while this happens.
fn sleeping(world: &World, meanwhile: impl Fn() + Send + Sync + 'static) -> Store {
    let slept = AtomicBool::new(true);
    let layer = Layer::new(world.memory.handle(), move |call| {
        if call == Call::Write(Space::Log) && !slept.swap(true, Ordering::SeqCst) {
            meanwhile();
        }
        if matches!(call, Call::Commit) {
            slept.store(false, Ordering::SeqCst);
        }
        None
    });
    let store = Store::builder(layer).options(quiet()).shared_locks(false);
    store.environment(world.environment.clone()).build()
}

#[tokio::test]
async fn a_writer_that_slept_in_the_middle_of_an_append_does_not_claim_what_it_cannot_know() {
    let world = Arc::new(World::new());
    let other = world.store();
    let (within, trimming) = (Arc::clone(&world), other.clone());
    let sleeper = sleeping(&world, move || {
        let now = |request: futures::future::BoxFuture<'static, konserve_core::Result<u64>>| {
            // The other store has a runtime for its appends; here is none to wait for them.
            request.now_or_never().unwrap().unwrap()
        };
        let trimming = trimming.clone();
        std::thread::spawn(move || {
            for position in 1..10_u64 {
                assert_eq!(now(trimming.append("log", &position).into_future()), position);
            }
            trimming.trim("log", 9).into_future().now_or_never().unwrap().unwrap();
        })
        .join()
        .unwrap();
        within.clock.advance(UNTIL_GONE);
        let collected = other_collect(&within);
        assert_eq!(collected, 9);
    });
    assert_eq!(sleeper.append("log", &0_u64).await.unwrap(), 0);
    let error = sleeper.append("log", &77_u64).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome);
    // It has cleaned up behind itself, and goes on like anybody else.
    assert_eq!(world.rows().await, [9]);
    assert_eq!(sleeper.append("log", &10_u64).await.unwrap(), 10);
    assert_eq!(entries(&other).await, positions(9..11));
}

fn other_collect(world: &World) -> u64 {
    let store = world.store();
    let report = store.collect().into_future().now_or_never().unwrap().unwrap();
    report.log_rows_purged
}

#[tokio::test(start_paused = true)]
async fn items_go_in_the_background() {
    let world = World::new();
    let store = Store::builder(world.memory.handle()).environment(world.environment.clone());
    let store = store.build();
    for number in 0..10_u64 {
        store.append("log", &number).await.unwrap();
    }
    // One task for all of them, and the later ones in their time.
    for before in [3, 4, 7] {
        store.trim("log", before).await.unwrap();
    }
    for left in [3, 7] {
        world.clock.advance(UNTIL_GONE);
        tokio::time::sleep(UNTIL_GONE + Duration::from_secs(1)).await;
        assert!(world.rows().await.into_iter().eq(left..10));
    }
    // And another one after that.
    store.trim("log", 9).await.unwrap();
    world.clock.advance(UNTIL_GONE);
    tokio::time::sleep(UNTIL_GONE + Duration::from_secs(1)).await;
    assert_eq!(world.rows().await, [9]);
}

#[tokio::test]
async fn a_trim_and_a_removal_of_the_same_log_get_along() {
    let world = World::new();
    let (store, other) = (world.store(), world.store());
    append(&store, &[1, 1, 1]).await;
    store.trim("log", 2).await.unwrap();
    assert!(other.dissoc("log").await.unwrap());
    assert_eq!(store.trim("log", 3).await.unwrap(), None);
    world.clock.advance(UNTIL_GONE);
    assert_eq!(store.collect().await.unwrap().logs_removed, 1);
    assert_eq!(world.rows().await, [0; 0]);
    // A new log begins at 0, whatever was trimmed of the old one.
    assert_eq!(other.append("log", &0_u64).await.unwrap(), 0);
    assert_eq!(entries(&store).await, positions(0..1));
    let wrong = store.assoc("document", &1).await;
    wrong.unwrap();
    assert_eq!(
        store.trim("document", 1).await.unwrap_err().kind(),
        ErrorKind::WrongKind
    );
}
