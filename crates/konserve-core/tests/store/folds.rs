//! Folds over logs, and folds that are kept in a document: each entry counts once, whatever crashes.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use konserve_core::backend::Space;
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::{ErrorKind, Result, Store, Value, path};
use konserve_memory::Memory;

use crate::support::{quiet, store};

/// A text of all entries: it shows each that is missing, there twice, or out of order.
async fn fold(store: &Store, every: u64) -> Result<String> {
    let fold = store.reduce_log("log", String::new(), |text, entry: u64| format!("{text}{entry},"));
    fold.checkpoint("state").every(every).await
}

fn expected(count: u64) -> String {
    (0..count).map(|entry| format!("{entry},")).collect()
}

#[tokio::test]
async fn a_fold_begins_where_it_is_told_to() {
    let store = store();
    store.append_all("log", 0..10_u64).await.unwrap();
    let sum = || store.reduce_log("log", 0, |sum, entry: u64| sum + entry);
    assert_eq!(sum().await.unwrap(), 45);
    assert_eq!(sum().from(7).await.unwrap(), 24);
    assert_eq!(sum().from(10).await.unwrap(), 0);
    store.trim("log", 5).await.unwrap();
    assert_eq!(sum().consistent().await.unwrap(), 35);
    assert_eq!(sum().from(4).consistent().await.unwrap_err().kind(), ErrorKind::Trimmed);
}

#[tokio::test]
async fn a_fold_goes_on_from_its_checkpoint() {
    let store = store();
    let called = Arc::new(AtomicU64::new(0));
    let fold = || {
        let called = Arc::clone(&called);
        let fold = store.reduce_log("log", 0, move |sum, entry: u64| {
            called.fetch_add(1, Ordering::SeqCst);
            sum + entry
        });
        fold.checkpoint("state")
    };
    assert_eq!(fold().await.unwrap(), 0);
    assert!(!store.exists("state").await.unwrap());
    store.append_all("log", 0..10_u64).await.unwrap();
    assert_eq!(fold().await.unwrap(), 45);
    assert_eq!(called.swap(0, Ordering::SeqCst), 10);
    let revision = store.get_meta("state").await.unwrap().unwrap().revision;
    assert_eq!(fold().await.unwrap(), 45);
    assert_eq!(store.get_meta("state").await.unwrap().unwrap().revision, revision);
    store.append_all("log", [100_u64, 200]).await.unwrap();
    assert_eq!(fold().await.unwrap(), 345);
    assert_eq!(called.swap(0, Ordering::SeqCst), 2);
    let position = store.get_in::<u64>(path!["state", "position"]).await.unwrap();
    assert_eq!(position, Some(12));
    // What is counted can be trimmed; what is not cannot be skipped.
    store.trim("log", 12).await.unwrap();
    assert_eq!(fold().await.unwrap(), 345);
    store.append_all("log", [1_u64, 2]).await.unwrap();
    store.trim("log", 13).await.unwrap();
    let error = fold().await.unwrap_err();
    assert_eq!((error.kind(), error.position()), (ErrorKind::Trimmed, Some(13)));
    // Another log under the same key is folded from its beginning.
    store.dissoc("log").await.unwrap();
    store.append_all("log", [7_u64, 8]).await.unwrap();
    assert_eq!(fold().await.unwrap(), 15);
    assert_eq!(fold().await.unwrap(), 15);
}

#[tokio::test]
async fn a_checkpoint_of_a_log_that_is_there_is_never_replaced_by_one_of_a_log_that_was() {
    let memory = Memory::new();
    let other = Store::builder(memory.handle())
        .options(quiet())
        .shared_locks(false)
        .build();
    other.append_all("log", [1_u64, 2, 3]).await.unwrap();
    // While a fold is about to begin, the log becomes another one, which is folded and trimmed.
    let meanwhile = other.clone();
    let reads = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| {
        if matches!(call, Call::Read(Space::Document)) && reads.fetch_add(1, Ordering::SeqCst) == 1 {
            let store = meanwhile.clone();
            // On a thread without a runtime, where everything is done at once.
            let changes = std::thread::spawn(move || {
                let at_once = "on this engine nothing waits";
                store
                    .dissoc("log")
                    .into_future()
                    .now_or_never()
                    .expect(at_once)
                    .unwrap();
                let append = store.append_all("log", (0..10_u64).collect::<Vec<_>>());
                append.into_future().now_or_never().expect(at_once).unwrap();
                let folded = Box::pin(fold(&store, 1000)).now_or_never().expect(at_once);
                assert_eq!(folded.unwrap(), expected(10));
                store
                    .trim("log", 10)
                    .into_future()
                    .now_or_never()
                    .expect(at_once)
                    .unwrap();
            });
            changes.join().unwrap();
        }
        None
    });
    let late = Store::builder(layer).options(quiet()).shared_locks(false).build();
    let folded = fold(&late, 1000).await;
    assert!(
        folded.as_ref().is_ok_and(|folded| *folded == expected(10))
            || folded.is_err_and(|error| error.kind() == ErrorKind::Trimmed)
    );
    assert_eq!(fold(&other, 1000).await.unwrap(), expected(10));
    other.append("log", &10_u64).await.unwrap();
    assert_eq!(fold(&late, 1000).await.unwrap(), expected(11));
}

#[tokio::test]
async fn a_document_that_is_no_checkpoint_is_left_alone() {
    let store = store();
    store.append("log", &1).await.unwrap();
    for other in [
        Value::from(1),
        Value::Map([(Value::from("value"), Value::from(1))].into()),
    ] {
        store.assoc("state", &other).await.unwrap();
        let error = fold(&store, 1).await.unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Codec, Some("\"state\"")));
        assert_eq!(store.get::<Value>("state").await.unwrap(), Some(other));
    }
    store.append("other", &1).await.unwrap();
    let into_log = store.reduce_log("log", 0, |sum, entry: i64| sum + entry);
    assert_eq!(
        into_log.checkpoint("other").await.unwrap_err().kind(),
        ErrorKind::WrongKind
    );
}

#[tokio::test]
async fn a_crash_at_any_call_counts_no_entry_twice_and_skips_none() {
    for fault in [
        Fault::Fails(ErrorKind::Unavailable),
        Fault::RequestLost,
        Fault::ReplyLost,
    ] {
        let mut point = 0;
        loop {
            let memory = Memory::new();
            let writer = Store::new(memory.handle());
            for entry in 0..10_u64 {
                writer.append("log", &entry).await.unwrap();
            }
            // The call at the point suffers; after it the process is gone, and another one folds.
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let layer = Layer::new(memory.handle(), move |_| {
                (counted.fetch_add(1, Ordering::SeqCst) == point).then_some(fault)
            });
            let crashing = Store::builder(layer).options(quiet()).build();
            let crashed = fold(&crashing, 3).await;
            let is_over = calls.load(Ordering::SeqCst) <= point;
            if let Ok(folded) = &crashed {
                assert_eq!(*folded, expected(10));
            }
            writer.append("log", &10_u64).await.unwrap();
            assert_eq!(fold(&writer, 4).await.unwrap(), expected(11), "{fault:?} at {point}");
            if is_over {
                break;
            }
            point += 1;
        }
        assert!(point >= 8, "{point} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn folds_at_the_same_time_end_with_the_same() {
    let memory = Memory::new();
    let far = || {
        let calls = AtomicUsize::new(0);
        let layer = Layer::new(memory.handle(), move |call| {
            let uneven = calls.fetch_add(1, Ordering::SeqCst) as u64 % 5;
            matches!(call, Call::Write(_) | Call::Read(_)).then_some(Fault::Takes(Duration::from_millis(1 + uneven)))
        });
        Store::builder(layer).options(quiet()).shared_locks(false).build()
    };
    let writer = far();
    let appends = async {
        for entry in 0..200_u64 {
            writer.append("log", &entry).await.unwrap();
        }
    };
    let folds = (0..3).map(|_| {
        let store = far();
        async move {
            for _ in 0..60 {
                let folded = fold(&store, 2).await.unwrap();
                let count = folded.matches(',').count() as u64;
                assert_eq!(folded, expected(count));
            }
        }
    });
    let folds = join_all(folds.collect::<Vec<_>>());
    let observer = Store::new(memory.handle());
    let observe = async {
        let mut positions = Vec::new();
        while positions.last() != Some(&200) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let position = observer.get_in::<u64>(path!["state", "position"]).consistent().await;
            positions.push(position.unwrap().unwrap_or(0));
        }
        positions
    };
    let (_, _, positions) = tokio::join!(appends, folds, observe);
    assert!(positions.is_sorted(), "a checkpoint went back: {positions:?}");
    assert_eq!(fold(&far(), 1000).await.unwrap(), expected(200));
}
