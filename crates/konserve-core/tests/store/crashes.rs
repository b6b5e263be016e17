//! What collectors do with what was left behind: not before its time, not to what cannot be read, not under a writer.
//!
//! That a call which is broken off leaves old or new, and nothing that cannot be collected, is tried by the conformance
//! suite, on every engine.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_core::backend::{Backend, Listing, Purge, Read, Space, When};
use konserve_core::{ErrorKind, Store};
use konserve_memory::Memory;
use tokio::runtime::Builder;

use crate::support::{manual, quiet, small_items};
use konserve_core::layer::{Call, Fault, Layer};

async fn count(memory: &Memory, space: Space) -> usize {
    let mut listing = Listing::all(Read::STRONG);
    listing.tombstones = true;
    memory.list(space, listing).count().await
}

/// A store that takes many polls for everything.
fn slow(memory: &Memory) -> Store {
    Store::builder(Layer::new(memory.handle(), |_| Some(Fault::Slow)))
        .options(quiet())
        .build()
}

fn large(letter: &str) -> String {
    letter.repeat(20_000)
}

#[tokio::test]
async fn an_upload_that_a_collector_gave_up_is_refused_and_changes_nothing() {
    let (memory, store) = small_items();
    store.assoc("k", "old").await.unwrap();
    let mut upload = Box::pin(slow(&memory).assoc("k", &"n".repeat(30_000)).into_future());
    while count(&memory, Space::Chunk).await < 9 {
        assert!(upload.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    store.collect().without_waiting().await.unwrap();
    let error = upload.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert_eq!(store.get::<String>("k").await.unwrap().as_deref(), Some("old"));
    store.collect().without_waiting().await.unwrap();
    assert_eq!(
        count(&memory, Space::Chunk).await + count(&memory, Space::Generation).await,
        0
    );
}

#[tokio::test]
async fn replaced_shrunk_and_removed_values_leave_nothing_behind() {
    let (memory, store) = small_items();
    let large = "x".repeat(20_000);
    store.assoc("replaced", &large).await.unwrap();
    store.assoc("replaced", &large).await.unwrap();
    store.assoc("shrunk", &large).await.unwrap();
    store.assoc("shrunk", "small").await.unwrap();
    store.bassoc("removed", large.clone()).await.unwrap();
    store.dissoc("removed").await.unwrap();
    store.multi_assoc([("a", &large), ("b", &large)]).await.unwrap();
    store.multi_dissoc(["a"]).await.unwrap();
    store.collect().without_waiting().await.unwrap();
    // One value lives in a generation that it shared with one that was removed.
    assert_eq!(count(&memory, Space::Generation).await, 2);
    assert_eq!(store.get::<String>("b").await.unwrap().unwrap(), large);
    assert_eq!(store.get::<String>("replaced").await.unwrap().unwrap(), large);
    store.multi_dissoc(["b", "replaced"]).await.unwrap();
    store.collect().without_waiting().await.unwrap();
    for space in [Space::Generation, Space::Chunk] {
        assert_eq!(count(&memory, space).await, 0);
    }
    assert_eq!(count(&memory, Space::Document).await, 1); // "shrunk"; the tombstones are gone
}

#[tokio::test]
async fn a_record_with_a_flipped_bit_or_cut_short_is_corrupt_by_name() {
    let (memory, store) = small_items();
    for (key, value) in [("small", "x".repeat(100)), ("large", "x".repeat(20_000))] {
        store.assoc(key, &value).await.unwrap();
    }
    for (space, key) in [(Space::Document, "small"), (Space::Chunk, "large")] {
        let (at, occupant) = memory
            .list(space, Listing::all(Read::STRONG))
            .filter_map(|listed| async {
                Some(listed.unwrap()).filter(|(_, occupant)| occupant.item().is_some_and(|item| item.body.is_some()))
            })
            .boxed()
            .next()
            .await
            .unwrap();
        let item = occupant.into_item().unwrap();
        let body = item.body.clone().unwrap();
        for damage in 0..body.len() + 2 {
            let mut bytes = body.to_vec();
            match damage.checked_sub(body.len()) {
                None => bytes[damage] ^= 1 << (damage % 8),
                Some(0) => bytes.truncate(body.len() - 1),
                Some(_) => bytes.push(0),
            }
            let mut damaged = item.clone();
            damaged.body = Some(bytes.into());
            memory.purge(&[Purge::Row(at.clone())]).await.unwrap();
            memory.write(&at, damaged, When::Always).await.unwrap();
            let error = store.get::<String>(key).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
                "bit of byte {damage}: {error:?}"
            );
            assert_eq!(error.key(), Some(format!("{key:?}").as_str()));
        }
        memory.purge(&[Purge::Row(at.clone())]).await.unwrap();
        memory.write(&at, item, When::Always).await.unwrap();
        assert!(store.get::<String>(key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_collector_waits_for_writers_readers_and_requests_on_their_way() {
    let memory = Memory::builder().item_limit(4096).build();
    let (clock, environment) = manual();
    let store = |engine: Layer| {
        Store::builder(engine)
            .environment(environment.clone())
            .options(quiet())
            .build()
    };
    let sound = store(Layer::new(memory.handle(), |_| None));
    let slow = store(Layer::new(memory.handle(), |_| Some(Fault::Slow)));
    sound.assoc("k", &large("o")).await.unwrap();
    sound.assoc("k", &large("n")).await.unwrap();
    sound.assoc("removed", &1).await.unwrap();
    sound.dissoc("removed").await.unwrap();
    let mut upload = Box::pin(slow.assoc("k", &large("u")).into_future());
    while count(&memory, Space::Chunk).await < 18 {
        assert!(upload.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(upload);
    let minute = |minutes: u64| Duration::from_secs(60 * minutes);
    // What has passed, and then: chunks, generation rows, documents with tombstones.
    for (passed, left) in [
        (minute(0), (18, 3, 2)), // nobody names the first value any more, but readers may have begun
        (minute(5), (18, 3, 2)), // by a clock that is 5 minutes behind, they may have begun now
        (minute(1), (12, 3, 2)), // its chunks go
        (minute(13), (12, 3, 2)),
        (minute(1), (12, 3, 1)), // 15 minutes after its removal, and 5 more, the tombstone goes
        (minute(5), (12, 3, 1)),
        (minute(1), (12, 2, 1)), // and after as long, whatever was still on its way to the chunks
        (minute(38), (12, 2, 1)), // the writer of the third may still be at it
        (minute(1), (12, 2, 1)), // not after an hour, but readers of what it flipped may be
        (minute(6), (6, 2, 1)),
        (minute(20), (6, 1, 1)),
        (minute(600), (6, 1, 1)),
    ] {
        clock.advance(passed);
        sound.collect().await.unwrap();
        let found = (
            count(&memory, Space::Chunk).await,
            count(&memory, Space::Generation).await,
            count(&memory, Space::Document).await,
        );
        assert_eq!(found, left, "after {passed:?} more");
    }
    assert_eq!(sound.get::<String>("k").await.unwrap().unwrap(), large("n"));
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_what_it_names_is_left_alone() {
    let memory = Memory::builder().item_limit(4096).build();
    let (clock, environment) = manual();
    let store = Store::builder(memory.handle())
        .environment(environment)
        .options(quiet())
        .build();
    store.append_all("log", ["1", "2"]).await.unwrap();
    store.assoc("k", &large("o")).await.unwrap();
    store.assoc("k", &large("n")).await.unwrap();
    // A flipped bit in each head.
    for (key, at) in listed(&memory, Space::Document).await {
        let mut item = memory.read(&at, Read::STRONG).await.unwrap().unwrap();
        let mut meta = item.meta.to_vec();
        meta[60] ^= 1;
        let sound = std::mem::replace(&mut item.meta, meta.into());
        memory.purge(&[Purge::Row(at.clone())]).await.unwrap();
        memory.write(&at, item.clone(), When::Always).await.unwrap();
        clock.advance(Duration::from_secs(60 * 60 * 24));
        let report = store.collect().await.unwrap();
        assert!(report.unreadable > 0, "{key}: {report:?}");
        clock.advance(Duration::from_secs(60 * 60 * 24));
        store.collect().await.unwrap();
        item.meta = sound;
        memory.purge(&[Purge::Row(at.clone())]).await.unwrap();
        memory.write(&at, item, When::Always).await.unwrap();
    }
    assert_eq!(
        store
            .log::<String>("log")
            .consistent()
            .try_collect::<Vec<_>>()
            .await
            .unwrap(),
        ["1", "2"]
    );
    assert_eq!(store.get::<String>("k").await.unwrap().unwrap(), large("n"));
}

async fn listed(memory: &Memory, space: Space) -> Vec<(String, konserve_core::backend::Address)> {
    let listed = memory.list(space, Listing::all(Read::STRONG));
    listed
        .map_ok(|(at, _)| (at.partition.to_string(), at))
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_log_whose_removal_died_half_way_is_removed_on_engines_without_transactions() {
    // After the seal, after the state row, and with the collector in between.
    for (dies, collected) in [
        (Call::Write(Space::Log), false),
        (Call::Remove(Space::Document), false),
        (Call::Remove(Space::Document), true),
    ] {
        let memory = Memory::builder().transactions(None).build();
        let (clock, environment) = manual();
        let handle = |layer| {
            Store::builder(layer)
                .environment(environment.clone())
                .options(quiet())
                .build()
        };
        let sound = handle(Layer::new(memory.handle(), |_| None));
        sound.append("log", "1").await.unwrap();
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let dying = handle(Layer::new(memory.handle(), move |call| {
            let before = calls.fetch_add(usize::from(call == dies), std::sync::atomic::Ordering::SeqCst);
            // The first write to the log is the seal, and the first removal is refused by the pinned head.
            (call == dies && before > 0).then_some(Fault::Fails(ErrorKind::Unavailable))
        }));
        let error = dying.dissoc("log").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{dies:?}");
        if collected {
            clock.advance(Duration::from_secs(60 * 60));
            assert_eq!(sound.collect().await.unwrap().logs_removed, 1);
            assert!(!sound.exists("log").await.unwrap());
        }
        assert_eq!(sound.append("log", "2").await.unwrap(), 0);
        assert_eq!(
            sound
                .log::<String>("log")
                .consistent()
                .try_collect::<Vec<_>>()
                .await
                .unwrap(),
            ["2"]
        );
        assert!(sound.dissoc("log").await.unwrap());
        sound.assoc("log", "a document").await.unwrap();
    }
}

/// Collects, called from within a call of the engine, which is not asynchronous there.
fn collect_meanwhile(memory: &Memory) {
    let other = Store::builder(memory.handle()).options(quiet()).build();
    let collected = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { other.collect().without_waiting().await.expect("collects") });
    });
    collected.join().expect("is collected");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_was_given_up_and_fails_ends_when_nothing_of_it_is_on_its_way() {
    const LONG: Duration = Duration::from_secs(10);
    let memory = Memory::builder().item_limit(4096).build();
    let (collector, chunks) = (memory.handle(), AtomicUsize::new(0));
    let layer = Layer::new(memory.handle(), move |call| match call {
        Call::Write(Space::Chunk) => match chunks.fetch_add(1, Ordering::SeqCst) {
            0 => Some(Fault::Takes(LONG)),
            1 => {
                collect_meanwhile(&collector);
                Some(Fault::Fails(ErrorKind::Throttled))
            }
            _ => None,
        },
        _ => None,
    });
    let mut options = quiet();
    options.abandoned_after_ms = 0;
    let writer = Store::builder(layer).options(options).build();
    let began = tokio::time::Instant::now();
    let error = writer.assoc("k", &large("n")).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(began.elapsed() >= LONG, "the first chunk was still on its way");
    assert_eq!(count(&memory, Space::Chunk).await, 0);
}

/// The head of such a log does not fit into one commit with the rest of it.
#[tokio::test]
async fn a_writer_that_is_given_up_while_it_creates_a_log_in_two_steps_leaves_nothing() {
    let key = "k".repeat(2_500);
    let mut given_up = 0;
    for call in 0.. {
        let memory = Memory::builder().least_limits().build();
        let (collector, calls) = (memory.handle(), Arc::new(AtomicUsize::new(0)));
        let counter = calls.clone();
        let layer = Layer::new(memory.handle(), move |_| {
            if counter.fetch_add(1, Ordering::SeqCst) == call {
                collect_meanwhile(&collector);
            }
            None
        });
        let writer = Store::builder(layer).options(quiet()).build();
        let written = writer.append(key.clone(), &"x".repeat(20_000)).await;
        if let Err(error) = &written {
            assert!(error.is_retryable(), "{call}: {error:?}");
            given_up += 1;
        }
        let other = Store::builder(memory.handle()).options(quiet()).build();
        other.dissoc(key.clone()).await.expect("removes");
        // Rows without a head are marked first, and then removed.
        for _ in 0..2 {
            other.collect().without_waiting().await.expect("collects");
        }
        for space in Space::ALL {
            assert_eq!(count(&memory, space).await, 0, "{space:?}, {call}: {written:?}");
        }
        if calls.load(Ordering::SeqCst) <= call {
            break;
        }
    }
    assert!(given_up > 2, "given up {given_up} times");
}
