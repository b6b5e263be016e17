//! Any part of a log, in either direction, of logs of many items and segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::backend::{Backend, Listing, Purge, Read, Space, When};
use konserve_core::layer::{Fault, Layer};
use konserve_core::store::Log;
use konserve_core::{ErrorKind, Kind, Store, path};
use konserve_memory::Memory;

use crate::support::{manual, quiet, small_items, store};

const SEGMENT: u64 = 65_536;

/// A log of items of these sizes, whose entries are their positions.
async fn log_of(store: &Store, sizes: &[u64]) -> u64 {
    let mut next = 0;
    for size in sizes {
        assert_eq!(store.append_all("log", next..next + size).await.unwrap(), next);
        next += size;
    }
    next
}

async fn all(log: Log<u64>) -> Vec<u64> {
    log.try_collect::<Vec<u64>>().await.unwrap()
}

fn counting(memory: &Memory) -> (Store, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let layer = Layer::new(memory.handle(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        None
    });
    (Store::builder(layer).options(quiet()).build(), calls)
}

#[tokio::test]
async fn every_selection_is_the_same_forwards_and_backwards_with_and_without_positions() {
    let memory = Memory::new();
    let store = Store::new(memory.handle());
    // The second item reaches into the second segment, the fourth begins in it and ends in the third, and the seventh ends with it.
    let sizes = [65_530, 10, 1, 65_536, 3, 50_000, 15_528, 1, 5];
    let len = log_of(&store, &sizes).await;
    let edges = [
        0, 1, 65_529, 65_530, 65_535, 65_536, 65_539, 65_540, 65_541, 131_076, 131_077, 131_080, 196_607, 196_608,
    ];
    let edges: Vec<u64> = edges
        .into_iter()
        .chain(len - 6..len + 3)
        .chain([u64::MAX - 1])
        .collect();
    let cold = Store::new(memory);
    for reader in [&store, &cold] {
        for start in &edges {
            for end in edges.iter().chain([&(start + 1), &u64::MAX]) {
                let expected: Vec<u64> = (*start.min(&len)..*end.min(&len)).collect();
                if expected.len() > 3000 && expected.len() as u64 != len {
                    continue;
                }
                let log = || reader.log::<u64>("log").range(start..end);
                assert_eq!(all(log()).await, expected, "{start} to {end}");
                assert_eq!(log().len().await.unwrap(), expected.len() as u64);
                let mut back = all(log().reverse()).await;
                back.reverse();
                assert_eq!(back, expected, "{start} to {end}, backwards");
                let placed: Vec<(u64, u64)> = log().with_positions().try_collect().await.unwrap();
                assert!(placed.iter().all(|(position, entry)| position == entry));
                assert_eq!(placed.len(), expected.len());
            }
        }
        for count in [
            0,
            1,
            4,
            5,
            6,
            7,
            15_533,
            15_534,
            65_535,
            70_000,
            len - 1,
            len,
            len + 1,
            u64::MAX,
        ] {
            let expected: Vec<u64> = (len.saturating_sub(count)..len).collect();
            let log = || reader.log::<u64>("log").last(count);
            assert_eq!(all(log()).await, expected, "the last {count}");
            assert_eq!(log().len().await.unwrap(), expected.len() as u64);
            let mut back = all(log().reverse()).await;
            back.reverse();
            assert_eq!(back, expected, "the last {count}, backwards");
        }
    }
}

#[tokio::test]
async fn a_log_is_known_without_its_entries() {
    let store = store();
    assert_eq!(store.log::<u64>("log").len().await.unwrap(), 0);
    assert_eq!(store.log::<u64>("log").first_position().await.unwrap(), None);
    log_of(&store, &[1, 1000, 70]).await;
    let meta = store.get_meta("log").await.unwrap().unwrap();
    assert_eq!((meta.kind, meta.size), (Kind::Log, 0));
    let log = meta.log.unwrap();
    assert_eq!(
        (log.entries, log.first, log.next, log.last()),
        (1071, 0, 1071, Some(1070))
    );
    assert!(log.last_append >= meta.last_write);
    let bytes = |values: Vec<u64>| store.options().codec.encode(&values.into()).unwrap().len() as u64;
    let expected = bytes(vec![0]) + bytes((1..1001).collect()) + bytes((1001..1071).collect());
    assert_eq!(log.bytes, expected);
    assert_eq!(store.log::<u64>("log").len().await.unwrap(), 1071);
    assert_eq!(store.log::<u64>("log").first_position().await.unwrap(), Some(0));
    store.assoc("document", &1).await.unwrap();
    assert_eq!(store.get_meta("document").await.unwrap().unwrap().log, None);
    let wrong = store.log::<u64>("document").len().await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.operation()), (ErrorKind::WrongKind, Some("len")));
}

#[tokio::test]
async fn bytes_add_up_whatever_handles_append() {
    let memory = Memory::new();
    let stores: Vec<Store> = (0..3).map(|_| Store::new(memory.handle())).collect();
    let mut expected = 0;
    for number in 0..30 {
        let entry = "x".repeat(number * 10);
        expected += stores[0]
            .options()
            .codec
            .encode(&vec![entry.as_str()].into())
            .unwrap()
            .len() as u64;
        stores[number % 3].append("log", &entry).await.unwrap();
    }
    let log = stores[1].get_meta("log").await.unwrap().unwrap().log.unwrap();
    assert_eq!((log.entries, log.bytes), (30, expected));
}

#[tokio::test]
async fn any_position_is_reached_with_few_calls() {
    let memory = Memory::new();
    let (writer, _) = counting(&memory);
    log_of(&writer, &[1, 2, 3, 30_000, 35_000, 60_000, 1, 65_000, 1, 1]).await;
    for (start, aligned) in [
        (0, true),
        (3, true),
        (4, false),
        (65_006, true),
        (65_007, false),
        (125_006, true),
        (190_007, true),
    ] {
        let (cold, calls) = counting(&memory);
        let mut log = cold.log::<u64>("log").from(start);
        assert_eq!(log.try_next().await.unwrap(), Some(start));
        // The head, the state row, the rows; and the row that holds the position, if none begins there.
        assert_eq!(calls.load(Ordering::SeqCst), if aligned { 3 } else { 4 }, "{start}");
    }
    let (cold, calls) = counting(&memory);
    assert_eq!(all(cold.log("log").last(2)).await, [190_007, 190_008]);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_read_at_several_places_and_a_slow_consumer_has_few_of_them_open() {
    // Five segments of 64 items of about 140 KB.
    let memory = Memory::new();
    let store = Store::builder(memory.handle()).options(quiet()).build();
    let entry = "x".repeat(135);
    for _ in 0..5 * 64 {
        store.append_all("log", vec![entry.as_str(); 1024]).await.unwrap();
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let layer = Layer::new(memory.handle(), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Some(Fault::Takes(Duration::from_millis(10)))
    });
    let reader = Store::builder(layer).options(quiet()).build();
    let mut log = reader.log::<String>("log");
    let (mut most, mut before) = (0, 0);
    for position in 0..5 * SEGMENT {
        assert!(log.try_next().await.unwrap().is_some());
        if position % 1024 == 0 {
            let now = calls.load(Ordering::SeqCst);
            most = most.max(now - before);
            before = now;
            if position == 3 * SEGMENT {
                // However long it is away, nothing more is asked for.
                tokio::time::sleep(Duration::from_secs(3600)).await;
                assert_eq!(calls.load(Ordering::SeqCst), now);
            }
        }
    }
    assert_eq!(log.try_next().await.unwrap(), None);
    // When the first segment is over four pieces are begun; after that, each when another one ends.
    assert_eq!(most, 4);
    // A piece is 800 KB, so that a segment of 9 MB takes a dozen.
    let calls = calls.load(Ordering::SeqCst);
    assert!((35..=60).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn entries_of_any_size_are_read_backwards_and_at_the_end() {
    let (_, store) = small_items();
    for number in 0..6 {
        let size = if number % 2 == 0 { 20_000 } else { 10 };
        store.append("log", &(number, "x".repeat(size))).await.unwrap();
    }
    let numbers = |log: Log<(u64, String)>| async {
        let entries: Vec<(u64, String)> = log.try_collect().await.unwrap();
        entries.into_iter().map(|entry| entry.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(store.log("log").reverse()).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(numbers(store.log("log").last(3)).await, [3, 4, 5]);
    assert_eq!(numbers(store.log("log").range(1..3).reverse()).await, [2, 1]);
}

#[tokio::test]
async fn a_stream_backwards_can_be_resumed_elsewhere() {
    let memory = Memory::new();
    let store = Store::new(memory.handle());
    log_of(&store, &[3, 4, 3]).await;
    let mut log = store.log::<u64>("log").reverse();
    for expected in [9, 8, 7, 6] {
        assert_eq!(log.try_next().await.unwrap(), Some(expected));
    }
    let position = log.position().unwrap();
    let rest = Store::new(memory)
        .log::<u64>("log")
        .reverse()
        .resume(&position)
        .unwrap();
    assert_eq!(all(rest).await, [5, 4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn errors_name_the_position() {
    let store = store();
    store.append_all("log", [1, 2]).await.unwrap();
    store.append("log", "three").await.unwrap();
    let error = store.log::<u64>("log").try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!((error.kind(), error.position()), (ErrorKind::Codec, Some(2)));
    let error = store
        .log::<String>("log")
        .reverse()
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.position()), (ErrorKind::Codec, Some(1)));
    let sum = store.reduce_log("log", 0, |sum, entry: u64| sum + entry);
    let error = sum.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.position(), error.operation()),
        (ErrorKind::Codec, Some(2), Some("reduce_log"))
    );
    store.trim("log", 2).await.unwrap();
    for log in [store.log::<u64>("log").from(1), store.log("log").range(0..3).reverse()] {
        let error = log.consistent().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::Trimmed, Some(2)));
    }
    store.assoc_in(path!["document", "a"], &1).await.unwrap();
    for log in [
        store.log::<u64>("document"),
        store.log("document").last(1),
        store.log("document").reverse(),
    ] {
        let error = log.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongKind);
    }
}

#[tokio::test]
async fn a_row_that_is_missing_is_never_the_end() {
    let memory = Memory::new();
    let store = Store::new(memory.handle());
    // The last item of the first segment, one in the middle of the second, and the last one there.
    let sizes = [65_530, 6, 30_000, 30_000, 5_536, 10];
    log_of(&store, &sizes).await;
    for missing in [65_530_u64, 95_536, 125_536] {
        let listing = Listing::all(Read::STRONG);
        let listed: Vec<_> = memory.list(Space::Log, listing).try_collect().await.unwrap();
        let (at, item) = listed.into_iter().find(|(at, _)| at.row == missing).unwrap();
        memory.purge(&[Purge::Row(at.clone())]).await.unwrap();
        for strong in [false, true] {
            for log in [
                store.log::<u64>("log"),
                store.log("log").last(100_000),
                store.log("log").reverse(),
            ] {
                let log = if strong { log.consistent() } else { log };
                let error = log.try_collect::<Vec<_>>().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{missing}");
                assert!(error.position().unwrap() >= missing && error.position().unwrap() < missing + 30_000);
            }
        }
        let item = item.into_item().unwrap();
        memory.write(&at, item, When::Absent).await.unwrap();
    }
    assert_eq!(all(store.log("log")).await.len(), 131_082);
}

#[tokio::test]
async fn a_reader_backwards_that_is_overtaken_by_a_removal_says_so() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let store = Store::builder(memory.handle())
        .environment(environment)
        .options(quiet())
        .build();
    // More than a page.
    for number in 0..1000_u64 {
        store.append("log", &number).await.unwrap();
    }
    let mut log = store.log::<u64>("log").consistent().reverse();
    assert_eq!(log.try_next().await.unwrap(), Some(999));
    assert!(store.dissoc("log").await.unwrap());
    clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(store.collect().await.unwrap().logs_removed, 1);
    // What was read already may come.
    let end = loop {
        match log.try_next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Contended);
}

#[tokio::test]
async fn a_store_that_appends_sees_what_others_do_to_the_log_in_a_few_seconds() {
    let memory = Memory::new();
    let (clock, environment) = manual();
    let handle = || {
        let store = Store::builder(memory.handle()).options(quiet());
        store.environment(environment.clone()).shared_locks(false).build()
    };
    let (store, other) = (handle(), handle());
    log_of(&store, &[65_535]).await;
    // The other one goes on to another segment.
    other.append_all("log", 65_535..65_600_u64).await.unwrap();
    assert_eq!(store.log::<u64>("log").len().await.unwrap(), 65_600);
    assert_eq!(all(store.log("log").last(1)).await, [65_599]);
    assert_eq!(
        store.log::<u64>("log").reverse().try_next().await.unwrap(),
        Some(65_599)
    );
    assert_eq!(store.append("log", &65_600_u64).await.unwrap(), 65_600);
    other.append_all("log", 65_601..131_100_u64).await.unwrap();
    assert_eq!(other.append("log", &131_100_u64).await.unwrap(), 131_100);
    assert_eq!(store.log::<u64>("log").len().await.unwrap(), 131_101);
    assert_eq!(all(store.log("log").last(2)).await, [131_099, 131_100]);
    // And trims, while this one appends.
    assert_eq!(store.append("log", &131_101_u64).await.unwrap(), 131_101);
    other.trim("log", 100).await.unwrap();
    for position in 131_102..131_105_u64 {
        clock.advance(Duration::from_secs(2));
        assert_eq!(store.append("log", &position).await.unwrap(), position);
    }
    assert_eq!(store.log::<u64>("log").first_position().await.unwrap(), Some(100));
    let trimmed = store.log::<u64>("log").from(99).try_next().await.unwrap_err();
    assert_eq!(trimmed.kind(), ErrorKind::Trimmed);
}

#[tokio::test]
async fn what_is_resumed_ends_where_it_would_have_ended() {
    let store = store();
    log_of(&store, &[10, 10]).await;
    let part = || store.log::<u64>("log").range(5..15);
    assert_eq!(all(part().resume("8").unwrap()).await, [8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(all(part().reverse().resume("8").unwrap()).await, [7, 6, 5]);
    assert_eq!(all(part().resume("8").unwrap().reverse()).await, [7, 6, 5]);
    assert_eq!(all(part().resume("15").unwrap()).await, [0; 0]);
}

#[tokio::test]
async fn readers_see_the_log_that_is_there() {
    let memory = Memory::new();
    let (store, other) = (Store::new(memory.handle()), Store::new(memory.handle()));
    log_of(&store, &[1, 1, 1]).await;
    assert!(other.dissoc("log").await.unwrap());
    // What this store remembers is sealed at once, or as long as it is remembered shows what there was.
    for log in [
        store.log::<u64>("log"),
        store.log("log").reverse(),
        store.log("log").last(2),
    ] {
        assert!(all(log).await.len() <= 3);
    }
    assert_eq!(store.log::<u64>("log").len().await.unwrap(), 0);
    for log in [
        store.log::<u64>("log"),
        store.log("log").reverse(),
        store.log("log").last(2),
    ] {
        assert_eq!(all(log.consistent()).await, [0; 0]);
    }
    log_of(&store, &[1, 1, 1]).await;
    other.dissoc("log").await.unwrap();
    other.append("log", &7).await.unwrap();
    assert_eq!(all(store.log("log").consistent().reverse()).await, [7]);
    assert_eq!(store.log::<u64>("log").consistent().len().await.unwrap(), 1);
}
