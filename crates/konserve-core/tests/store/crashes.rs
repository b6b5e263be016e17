//! What an interrupted call leaves: old or new, never a mix, and nothing that cannot be collected.

use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_core::backend::{Backend, Listing, Purge, Read, Space, When};
use konserve_core::{ErrorKind, Store};
use konserve_memory::Memory;

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

/// Polls a request this often and then drops it. Says whether it was done.
async fn poll_and_drop<T>(request: impl IntoFuture<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(request.into_future());
    for _ in 0..polls {
        if let Some(done) = future.as_mut().now_or_never() {
            return Some(done);
        }
        tokio::task::yield_now().await; // so that what is to wake it does
    }
    None
}

type Interrupted = fn(&Store) -> BoxFuture<'static, konserve_core::Result<()>>;

fn large(letter: &str) -> String {
    letter.repeat(20_000)
}

/// The calls that take more than one step. Before each, `a` and `b` are large and old, and `log` has two entries.
const CALLS: [(&str, Interrupted); 8] = [
    ("overwrite", |store| {
        store
            .assoc("a", &large("n"))
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("shrink", |store| {
        store
            .assoc("a", "small")
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("update", |store| {
        let update = store.update("a", |old: Option<String>| old.unwrap().replace('o', "n"));
        update.into_future().map(|done| done.map(drop)).boxed()
    }),
    ("multi_assoc", |store| {
        let pairs = [("a", large("n")), ("b", large("n"))];
        store
            .multi_assoc(pairs)
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("multi_dissoc", |store| {
        store
            .multi_dissoc(["a", "b"])
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("large append", |store| {
        store
            .append("log", &large("n"))
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("log creation", |store| {
        store
            .append("new log", "1")
            .into_future()
            .map(|done| done.map(drop))
            .boxed()
    }),
    ("log removal", |store| {
        store.dissoc("log").into_future().map(|done| done.map(drop)).boxed()
    }),
];

/// Everything that can be read.
async fn state(store: &Store) -> Vec<String> {
    let short = |text: String| format!("{}{}", &text[..1], text.len());
    let mut state = Vec::new();
    for key in ["a", "b"] {
        let found = store.get::<String>(key).consistent().await.unwrap();
        state.push(found.map_or("-".to_owned(), short));
    }
    for key in ["log", "new log"] {
        let exists = store.exists(key).await.unwrap();
        let entries: Vec<String> = store.log::<String>(key).consistent().try_collect().await.unwrap();
        state.push(format!(
            "{exists} {:?}",
            entries.into_iter().map(short).collect::<Vec<_>>()
        ));
    }
    state
}

async fn prepared() -> (Memory, Store) {
    let (memory, store) = small_items();
    store.assoc("a", &large("o")).await.unwrap();
    store.assoc("b", &large("o")).await.unwrap();
    store.append_all("log", ["1", "2"]).await.unwrap();
    (memory, store)
}

#[tokio::test]
async fn a_call_dropped_at_any_poll_leaves_old_or_new_and_can_be_collected() {
    for (name, call) in CALLS {
        let (_, store) = prepared().await;
        let old = state(&store).await;
        call(&store).await.unwrap();
        let new = state(&store).await;
        assert_ne!(old, new);
        let (mut olds, mut news) = (0, 0);
        for polls in 0.. {
            let (memory, store) = prepared().await;
            let done = poll_and_drop(call(&slow(&memory)), polls)
                .await
                .transpose()
                .unwrap()
                .is_some();
            let found = state(&store).await;
            // A log exists before its first entry.
            let begun = name == "log creation" && found[3] == "true []";
            assert!(
                found == old || found == new || begun,
                "{name} after {polls} polls: {found:?}"
            );
            assert!(!done || found == new, "{name} was done after {polls} polls");
            olds += usize::from(found == old);
            news += usize::from(found == new);
            store.collect().without_waiting().await.unwrap();
            assert_eq!(state(&store).await, found, "{name} after {polls} polls, collected");
            // The state of the store says what is in it.
            let generations = found.iter().map(|part| part.matches("20000").count()).sum::<usize>();
            let shared = name == "multi_assoc" && found == new;
            assert_eq!(
                count(&memory, Space::Chunk).await,
                generations * 6,
                "{name} after {polls} polls"
            );
            assert_eq!(
                count(&memory, Space::Generation).await,
                if shared { 1 } else { generations }
            );
            let logs = found.iter().filter(|part| part.starts_with("true")).count();
            let entries: usize = found[2..].iter().map(|part| part.matches('"').count() / 2).sum();
            // The first two entries of the log are one row.
            let rows = entries - usize::from(found[2].starts_with("true"));
            assert_eq!(
                count(&memory, Space::Log).await,
                logs + rows,
                "{name} after {polls} polls: {found:?}"
            );
            if done {
                break;
            }
        }
        assert!(
            olds > 1 && news > 0,
            "{name} was interrupted {olds} times before and {news} times after"
        );
    }
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
