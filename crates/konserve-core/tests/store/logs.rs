//! Logs: one order, no gaps, nothing lost, nothing twice.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, TryStreamExt};
use konserve_core::backend::Space;
use konserve_core::{Environment, ErrorKind, Key, Store, Value};
use konserve_memory::Memory;

use crate::support::{ManualClock, competing, manual, quiet, small_items, store};
use konserve_core::layer::{Call, Layer};

async fn entries(store: &Store, key: &str) -> Vec<u64> {
    store.log::<u64>(key).consistent().try_collect().await.unwrap()
}

#[tokio::test]
async fn entries_come_back_in_order_with_dense_positions() {
    let store = store();
    assert_eq!(entries(&store, "log").await, [0; 0]);
    for number in 0..10 {
        assert_eq!(store.append("log", &number).await.unwrap(), number);
    }
    assert_eq!(store.append_all("log", 10..15_u64).await.unwrap(), 10);
    assert_eq!(store.append("log", &15).await.unwrap(), 15);
    assert_eq!(entries(&store, "log").await, (0..16).collect::<Vec<_>>());
    let sum = store.reduce_log("log", 0, |sum, entry: u64| sum + entry).await.unwrap();
    assert_eq!(sum, 120);
    assert!(store.exists("log").await.unwrap());
    assert_eq!(
        store.append_all("log", [0; 0]).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let error = store.append_all("log", vec![0; 65_537]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.limit()),
        (ErrorKind::TooManyItems, Some((65_536, 65_537)))
    );
}

#[tokio::test]
async fn every_range_and_every_end_is_found_also_across_segments() {
    let memory = Memory::new();
    let store = Store::new(memory.handle());
    // Rows of many sizes, and one that reaches from the first segment into the second.
    let mut next = 0_u64;
    for size in [1, 2, 3, 30_000, 35_000, 1000, 1, 65_000, 1, 1] {
        assert_eq!(store.append_all("log", next..next + size).await.unwrap(), next);
        next += size;
    }
    assert_eq!(store.append("log", &next).await.unwrap(), next);
    next += 1;
    let all: Vec<u64> = (0..next).collect();
    assert_eq!(entries(&store, "log").await, all);
    for start in [
        0,
        1,
        5,
        30_005,
        30_006,
        65_005,
        65_006,
        65_535,
        65_536,
        66_005,
        66_006,
        next - 1,
        next,
        next + 9,
    ] {
        for length in [0, 1, 2] {
            let expected: Vec<u64> = all.iter().copied().skip(start as usize).take(length as usize).collect();
            let log = store.log::<u64>("log").range(start..start + length);
            assert_eq!(
                log.try_collect::<Vec<_>>().await.unwrap(),
                expected,
                "{start} + {length}"
            );
        }
    }
    let across: Vec<u64> = store
        .log::<u64>("log")
        .range(60_000..70_000)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(across, all[60_000..70_000]);
    for count in [0, 1, 2, 3, 4, 65_003, 65_004, next, next + 1] {
        let expected = &all[all.len().saturating_sub(count as usize)..];
        assert_eq!(
            store
                .log::<u64>("log")
                .last(count)
                .try_collect::<Vec<_>>()
                .await
                .unwrap(),
            expected,
            "last {count}"
        );
    }
    let cold = Store::new(memory);
    assert_eq!(
        cold.log::<u64>("log").last(1).try_collect::<Vec<_>>().await.unwrap(),
        [next - 1]
    );
}

#[tokio::test]
async fn a_stream_can_be_resumed_elsewhere() {
    let memory = Memory::new();
    let store = Store::new(memory.handle());
    store.append_all("log", 0..10_u64).await.unwrap();
    let mut log = store.log::<u64>("log");
    assert_eq!(log.position(), None);
    for expected in 0..4 {
        assert_eq!(log.try_next().await.unwrap(), Some(expected));
    }
    let position = log.position().unwrap();
    let rest: Vec<u64> = Store::new(memory)
        .log::<u64>("log")
        .resume(&position)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rest, [4, 5, 6, 7, 8, 9]);
    assert_eq!(
        store.log::<u64>("log").resume("x").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_on_several_handles_lose_nothing_and_keep_their_order() {
    let memory = Memory::new();
    let tasks: Vec<_> = (0..8_u64)
        .map(|writer| {
            let store = competing(&memory);
            tokio::spawn(async move {
                for number in 0..50_u64 {
                    store.append("log", &(writer, number)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all: Vec<(u64, u64)> = Store::new(memory).log::<(u64, u64)>("log").try_collect().await.unwrap();
    assert_eq!(all.len(), 400);
    for writer in 0..8 {
        let numbers: Vec<_> = all
            .iter()
            .filter(|entry| entry.0 == writer)
            .map(|entry| entry.1)
            .collect();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_removed_log_is_gone_and_a_new_one_begins_at_zero() {
    for transactions in [true, false] {
        let mut memory = Memory::builder();
        if !transactions {
            memory = memory.transactions(None);
        }
        let memory = memory.build();
        let (clock, environment) = manual();
        let handle = || {
            Store::builder(memory.handle())
                .environment(environment.clone())
                .options(quiet())
                .build()
        };
        let (store, other) = (handle(), handle());
        store.append_all("log", [1, 2, 3]).await.unwrap();
        assert_eq!(other.append("log", &4).await.unwrap(), 3);
        assert!(store.dissoc("log").await.unwrap());
        assert!(!store.dissoc("log").await.unwrap());
        assert!(!other.exists("log").await.unwrap());
        assert_eq!(entries(&other, "log").await, [0; 0]);
        // The other handle believes in its tail, meets the seal, and begins the new log.
        assert_eq!(other.append("log", &5).await.unwrap(), 0);
        assert_eq!(store.append("log", &6).await.unwrap(), 1);
        assert_eq!(entries(&store, "log").await, [5, 6]);
        // Nothing of the old one is left, once nobody can be at it any more.
        assert_eq!(store.collect().await.unwrap().logs_removed, 0);
        clock.advance(Duration::from_secs(36 * 60));
        let report = store.collect().await.unwrap();
        assert_eq!((report.logs_removed, report.log_rows_purged), (1, 3));
        assert_eq!(entries(&other, "log").await, [5, 6]);
        store.assoc("other", &1).await.unwrap();
        assert!(other.dissoc("log").await.unwrap());
        store.assoc("log", &"a document").await.unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_slept_through_the_removal_does_not_write_into_the_void() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let handle = || {
        Store::builder(memory.handle())
            .environment(environment.clone())
            .options(quiet())
            .build()
    };
    let (sleeper, other) = (handle(), handle());
    sleeper.append("log", &1).await.unwrap();
    assert!(other.dissoc("log").await.unwrap());
    clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(other.collect().await.unwrap().logs_removed, 1);
    // The seal is gone as well, so its write succeeds; it has to notice by itself.
    assert_eq!(sleeper.append("log", &2).await.unwrap(), 0);
    assert_eq!(entries(&other, "log").await, [2]);
    clock.advance(Duration::from_secs(60 * 60));
    let report = other.collect().await.unwrap();
    assert_eq!((report.logs_removed, report.log_rows_purged), (0, 0));
}

#[tokio::test]
async fn entries_of_any_size_are_appended_atomically() {
    let (_, store) = small_items();
    let large = "x".repeat(20_000);
    store.append("log", "small").await.unwrap();
    assert_eq!(store.append("log", &large).await.unwrap(), 1);
    assert_eq!(store.append_all("log", vec![large.as_str(); 3]).await.unwrap(), 2);
    let all: Vec<String> = store.log::<String>("log").try_collect().await.unwrap();
    assert_eq!(
        all.iter().map(String::len).collect::<Vec<_>>(),
        [5, 20_000, 20_000, 20_000, 20_000]
    );
    assert!(store.dissoc("log").await.unwrap());
    let report = store.collect().without_waiting().await.unwrap();
    assert_eq!((report.logs_removed, report.generations_removed), (1, 2));
}

#[tokio::test]
async fn an_entry_that_does_not_fit_the_type_is_named_by_position() {
    let store = store();
    store
        .append_all("log", [Value::from(1), Value::from("two")])
        .await
        .unwrap();
    let mut log = store.log::<i64>("log");
    assert_eq!(log.try_next().await.unwrap(), Some(1));
    let error = log.try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(error.key(), Some(Key::from("log").to_string().as_str()));
    assert!(error.to_string().contains("position 1"));
    assert_eq!(log.try_next().await.unwrap(), None);
}

/// A store whose clock moves on while it writes to a log after it was created, and something happens then.
fn paused_in_append(
    memory: &Memory,
    clock: Arc<ManualClock>,
    environment: Environment,
    pause: Duration,
    meanwhile: impl Fn() + Send + Sync + 'static,
) -> Store {
    let writes = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| {
        if call == Call::Write(Space::Log) && writes.fetch_add(1, Ordering::SeqCst) == 0 {
            clock.advance(pause);
            meanwhile();
        }
        None
    });
    Store::builder(layer).environment(environment).options(quiet()).build()
}

#[tokio::test]
async fn a_writer_that_slept_in_the_middle_of_an_append_does_not_write_into_the_void() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let other = Store::builder(memory.handle())
        .environment(environment.clone())
        .options(quiet())
        .shared_locks(false)
        .build();
    let remover = other.clone();
    let collecting = clock.clone();
    let sleeper = paused_in_append(
        &memory,
        clock.clone(),
        environment,
        Duration::from_secs(60),
        move || {
            assert!(remover.dissoc("log").into_future().now_or_never().unwrap().unwrap());
            collecting.advance(Duration::from_secs(60 * 60));
            let report = remover.collect().into_future().now_or_never().unwrap().unwrap();
            assert_eq!(report.logs_removed, 1);
        },
    );
    sleeper.append("log", &1).await.unwrap();
    assert_eq!(sleeper.append("log", &2).await.unwrap(), 0);
    assert_eq!(entries(&other, "log").await, [2]);
    clock.advance(Duration::from_secs(60 * 60));
    let report = other.collect().await.unwrap();
    assert_eq!((report.logs_removed, report.log_rows_purged), (0, 0));
}

#[tokio::test]
async fn an_entry_that_was_removed_with_its_log_does_not_come_back() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let other = Store::builder(memory.handle())
        .environment(environment.clone())
        .options(quiet())
        .shared_locks(false)
        .build();
    // The row is written, then the clock goes on, and then the log is removed, all before the writer looks again.
    let (remover, moving) = (other.clone(), clock.clone());
    let reads = AtomicUsize::new(0);
    let appended = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| {
        if call == Call::Write(Space::Log) {
            appended.fetch_add(1, Ordering::SeqCst);
            moving.advance(Duration::from_secs(if appended.load(Ordering::SeqCst) == 1 {
                6 * 60
            } else {
                0
            }));
        }
        if call == Call::Read(Space::Log)
            && appended.load(Ordering::SeqCst) == 1
            && reads.fetch_add(1, Ordering::SeqCst) == 0
        {
            assert!(remover.dissoc("log").into_future().now_or_never().unwrap().unwrap());
        }
        None
    });
    let writer = Store::builder(layer).environment(environment).options(quiet()).build();
    writer.append("log", &1).await.unwrap();
    assert_eq!(writer.append("log", &2).await.unwrap(), 1);
    assert!(!other.exists("log").await.unwrap());
    assert_eq!(entries(&other, "log").await, [0; 0]);
}

#[tokio::test]
async fn a_reader_that_is_overtaken_by_a_removal_says_so() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    // One entry a page.
    let store = Store::builder(memory.handle())
        .environment(environment)
        .options(quiet())
        .build();
    for number in 0..10 {
        store.append("log", &number).await.unwrap();
    }
    let position = {
        let mut log = store.log::<u64>("log").consistent();
        assert_eq!(log.try_next().await.unwrap(), Some(0));
        log
    };
    let mut log = position;
    assert!(store.dissoc("log").await.unwrap());
    clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(store.collect().await.unwrap().logs_removed, 1);
    let rest = loop {
        match log.try_next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(rest.unwrap_err().kind(), ErrorKind::Contended);
}

#[tokio::test]
async fn a_reader_at_the_end_leaves_the_writer_warm() {
    let memory = Memory::new();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let layer = Layer::new(memory.handle(), move |call| {
        counted.fetch_add(
            usize::from(matches!(call, Call::Read(_) | Call::Rows(Space::Log))),
            Ordering::SeqCst,
        );
        None
    });
    let store = Store::builder(layer).options(quiet()).build();
    store.append("log", &0).await.unwrap();
    for number in 1..5_u64 {
        let rest: Vec<u64> = store.log::<u64>("log").range(number..).try_collect().await.unwrap();
        assert!(rest.is_empty());
        reads.store(0, Ordering::SeqCst);
        assert_eq!(store.append("log", &number).await.unwrap(), number);
        assert_eq!(reads.load(Ordering::SeqCst), 0);
    }
}
