//! Followers: everybody sees everything, in one order, soon, and asks seldom when nothing comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_core::layer::{Fault, Layer};
use konserve_core::store::{Log, Positioned};
use konserve_core::{ErrorKind, Store};
use konserve_memory::Memory;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{competing, manual, quiet, store};

/// An engine whose calls take their time, and are counted.
fn far(memory: &Memory) -> (Store, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let layer = Layer::new(memory.handle(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Some(Fault::Takes(Duration::from_millis(4)))
    });
    let store = Store::builder(layer).options(quiet()).shared_locks(false);
    (store.build(), calls)
}

#[tokio::test(start_paused = true)]
async fn followers_and_writers_of_several_handles_see_one_sequence() {
    const WRITERS: u64 = 4;
    const ENTRIES: u64 = 100;
    let memory = Memory::new();
    // One follows what is not there yet, one with the writers, one from another process.
    let follow = |store: &Store| {
        let log: Log<(u64, u64), Positioned> = store.log("log").follow().with_positions();
        tokio::spawn(log.take((WRITERS * ENTRIES) as usize).try_collect::<Vec<_>>())
    };
    let mut followers = vec![follow(&far(&memory).0)];
    sleep(Duration::from_secs(10)).await;
    let stores: Vec<Store> = (0..WRITERS).map(|_| far(&memory).0).collect();
    let writers = stores.iter().cloned().enumerate().map(|(writer, store)| async move {
        for number in 0..ENTRIES {
            store.append("log", &(writer as u64, number)).await.unwrap();
            sleep(Duration::from_millis(number % 7)).await;
        }
    });
    let writers = tokio::spawn(join_all(writers.collect::<Vec<_>>()));
    sleep(Duration::from_millis(30)).await;
    followers.push(follow(&stores[0]));
    followers.push(follow(&far(&memory).0));
    writers.await.unwrap();
    let seen: Vec<_> = join_all(followers)
        .await
        .into_iter()
        .map(|seen| seen.unwrap().unwrap())
        .collect();
    assert!(seen.iter().all(|other| *other == seen[0]));
    assert!(seen[0].iter().map(|entry| entry.0).eq(0..WRITERS * ENTRIES));
    for writer in 0..WRITERS {
        let own = seen[0]
            .iter()
            .filter(|entry| entry.1.0 == writer)
            .map(|entry| entry.1.1);
        assert!(own.eq(0..ENTRIES));
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_asks_seldom_when_nothing_comes_and_sees_soon_what_does() {
    let memory = Memory::new();
    let writer = Store::new(memory.handle());
    writer.append_all("log", 0..10_u64).await.unwrap();
    let (reader, calls) = far(&memory);
    let mut log = reader.log::<u64>("log").follow();
    for expected in 0..10 {
        assert_eq!(log.try_next().await.unwrap(), Some(expected));
    }
    calls.store(0, Ordering::SeqCst);
    let idle = Duration::from_secs(100);
    assert!(timeout(idle, log.next()).await.is_err());
    let asked = calls.swap(0, Ordering::SeqCst);
    assert!((95..115).contains(&asked), "{asked} calls in {idle:?}");
    writer.append("log", &10).await.unwrap();
    let began = Instant::now();
    assert_eq!(log.try_next().await.unwrap(), Some(10));
    assert!(began.elapsed() <= Duration::from_millis(1100));
    // Now it is awake.
    assert!(timeout(Duration::from_millis(50), log.next()).await.is_err());
    writer.append("log", &11).await.unwrap();
    let began = Instant::now();
    assert_eq!(log.try_next().await.unwrap(), Some(11));
    assert!(began.elapsed() <= Duration::from_millis(110));
}

#[tokio::test(start_paused = true)]
async fn the_times_can_be_set_and_own_entries_are_seen_at_once() {
    let memory = Memory::new();
    let (store, calls) = far(&memory);
    store.append("log", &0_u64).await.unwrap();
    let hour = Duration::from_secs(3600);
    let mut log = store.log::<u64>("log").poll_between(hour, hour);
    assert_eq!(log.try_next().await.unwrap(), Some(0));
    let next = tokio::spawn(async move { log.try_next().await.unwrap() });
    sleep(Duration::from_secs(10)).await;
    calls.store(0, Ordering::SeqCst);
    let began = Instant::now();
    store.append("log", &1).await.unwrap();
    assert_eq!(next.await.unwrap(), Some(1));
    assert!(began.elapsed() < Duration::from_millis(50));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn no_pace_is_too_fast_or_too_slow() {
    let memory = Memory::new();
    let (store, calls) = far(&memory);
    competing(&memory).append("log", &0_u64).await.unwrap();
    for (shortest, longest, most) in [
        (Duration::ZERO, Duration::ZERO, 300),
        (Duration::ZERO, Duration::from_secs(1), 20),
        (Duration::MAX, Duration::MAX, 1),
    ] {
        let mut log = store.log::<u64>("log").poll_between(shortest, longest);
        assert_eq!(log.try_next().await.unwrap(), Some(0));
        calls.store(0, Ordering::SeqCst);
        assert!(timeout(Duration::from_secs(1), log.next()).await.is_err());
        let asked = calls.load(Ordering::SeqCst);
        assert!(asked <= most, "{asked} calls between {shortest:?} and {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_a_part_ends_with_it_and_one_from_later_waits_for_it() {
    let memory = Memory::new();
    let store = competing(&memory);
    let part: Log<u64> = store.log("log").range(2..5).follow();
    let part = tokio::spawn(part.try_collect::<Vec<u64>>());
    let mut later = store.log::<u64>("log").from(7).follow();
    assert!(later.next().now_or_never().is_none());
    for size in [1, 3, 2, 3] {
        let next = store.log::<u64>("log").len().await.unwrap();
        store.append_all("log", next..next + size).await.unwrap();
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(part.await.unwrap().unwrap(), [2, 3, 4]);
    assert_eq!(later.try_next().await.unwrap(), Some(7));
    assert_eq!(later.try_next().await.unwrap(), Some(8));
    let mut last = store.log::<u64>("log").last(2).follow();
    assert_eq!(last.try_next().await.unwrap(), Some(7));
    assert_eq!(last.try_next().await.unwrap(), Some(8));
    assert!(last.next().now_or_never().is_none());
    let mut new = store.log::<u64>("log").last(0).follow();
    assert!(new.next().now_or_never().is_none());
    store.append("log", &9).await.unwrap();
    assert_eq!(last.try_next().await.unwrap(), Some(9));
    assert_eq!(new.try_next().await.unwrap(), Some(9));
}

#[tokio::test(start_paused = true)]
async fn a_follower_ends_when_the_log_is_removed_or_trimmed_over_it() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let handle = || {
        let store = Store::builder(memory.handle()).options(quiet());
        store.environment(environment.clone()).shared_locks(false).build()
    };
    let (store, other) = (handle(), handle());
    store.append_all("log", 0..3_u64).await.unwrap();
    let mut log = other.log::<u64>("log").follow();
    for expected in 0..3 {
        assert_eq!(log.try_next().await.unwrap(), Some(expected));
    }
    assert!(log.next().now_or_never().is_none());
    store.dissoc("log").await.unwrap();
    let error = log.try_next().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Contended, true));
    assert!(log.next().await.is_none());
    // It is at the end for so long that everything there is beyond it has been trimmed meanwhile.
    store.append_all("log", 0..3_u64).await.unwrap();
    let mut log = other.log::<u64>("log").follow();
    for expected in 0..3 {
        assert_eq!(log.try_next().await.unwrap(), Some(expected));
    }
    for number in 3..10_u64 {
        store.append("log", &number).await.unwrap();
    }
    store.trim("log", 9).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    // Seven, and two of the log that was removed.
    assert_eq!(store.collect().await.unwrap().log_rows_purged, 9);
    let error = log.try_next().await.unwrap_err();
    assert_eq!((error.kind(), error.position()), (ErrorKind::Trimmed, Some(9)));
}

#[tokio::test]
async fn nothing_is_followed_backwards() {
    let store = store();
    store.append("log", &0).await.unwrap();
    let error = store.log::<u64>("log").reverse().follow().try_next().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::InvalidInput, Some("log"))
    );
}
