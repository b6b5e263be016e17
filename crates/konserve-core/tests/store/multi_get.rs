//! `multi_get` as a snapshot, where values are replaced while it reads, and `get_many` in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use konserve_core::backend::{Backend, Listing, Purge, Read, Space, TransactionLimits};
use konserve_core::layer::{Call, Layer};
use konserve_core::{ErrorKind, Key, Store};
use konserve_memory::Memory;
use tokio::runtime::Builder;

use crate::support::quiet;

const LIMIT: usize = 4096;

fn memory() -> Memory {
    Memory::builder().item_limit(LIMIT).build()
}

fn over(memory: &Memory) -> Store {
    Store::builder(memory.handle()).options(quiet()).build()
}

/// A store that lets something happen between the heads of each snapshot and the chunks of its one large value.
fn disturbed(memory: &Memory, disturb: impl Fn(usize) + Send + Sync + 'static) -> Store {
    let calls = Arc::new(AtomicUsize::new(0));
    let layer = Layer::new(memory.handle(), move |call| {
        if call == Call::ReadMany {
            let number = calls.fetch_add(1, Ordering::SeqCst);
            if number % 2 == 1 {
                disturb(number / 2);
            }
        }
        None
    });
    Store::builder(layer).options(quiet()).build()
}

fn pair(round: usize) -> [(&'static str, String); 2] {
    [
        ("large", format!("{round}:").repeat(3 * LIMIT)),
        ("small", format!("{round}")),
    ]
}

/// Replaces both values and removes the old chunks at once.
fn replace(memory: &Memory, round: usize) {
    let other = over(memory);
    // Called from within a call of the engine, which is not asynchronous there.
    let replaced = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            other.multi_assoc(pair(round)).await.expect("writes");
            other.collect().without_waiting().await.expect("collects");
        });
    });
    replaced.join().expect("is replaced");
}

#[tokio::test]
async fn a_snapshot_starts_over_when_a_value_of_it_was_replaced_and_its_chunks_are_gone() {
    let memory = memory();
    replace(&memory, 0);
    let writer = memory.handle();
    let store = disturbed(&memory, move |time| {
        if time < 3 {
            replace(&writer, time + 1);
        }
    });
    let found = store.multi_get::<String>(["large", "small"]).snapshot().await;
    let expected = pair(3).map(|(key, value)| (Key::from(key), value));
    assert!(found.expect("reads").into_iter().eq(expected), "values of two rounds");
}

#[tokio::test]
async fn a_snapshot_of_what_is_replaced_all_the_time_gives_up() {
    let memory = memory();
    replace(&memory, 0);
    let writer = memory.handle();
    let store = disturbed(&memory, move |time| replace(&writer, time + 1));
    let answer = store.multi_get::<String>(["large", "small"]).snapshot().await;
    let error = answer.expect_err("it is never done");
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Contended, true),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_snapshot_of_a_value_without_its_chunks_is_corrupt_and_named() {
    let memory = memory();
    replace(&memory, 0);
    let chunks = memory.list(Space::Chunk, Listing::all(Read::STRONG));
    let chunks: Vec<_> = chunks
        .map_ok(|(at, _)| Purge::Row(at))
        .try_collect()
        .await
        .expect("lists");
    memory.purge(&chunks[..1]).await.expect("purges");
    let answer = over(&memory).multi_get::<String>(["large", "small"]).snapshot().await;
    let error = answer.expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(error.to_string().contains("large"), "{error}");
}

#[tokio::test]
async fn a_snapshot_takes_no_more_keys_and_bytes_than_a_transaction() {
    let limits = TransactionLimits {
        items: 4,
        bytes: 8 * 1024,
    };
    let memory = Memory::builder().item_limit(LIMIT).transactions(limits).build();
    let store = over(&memory);
    let most = "x".repeat(3_000);
    for key in ["a", "b", "c", "d"] {
        store.assoc(key, &most).await.expect("writes");
    }
    let snapshot = |keys: &[&str]| store.multi_get::<String>(keys.iter().copied()).snapshot();
    let silent = Layer::new(memory.handle(), |call| panic!("{call:?} is sent"));
    let silent = Store::builder(silent).options(quiet()).build();
    let too_many = silent.multi_get::<String>(["a", "b", "c", "d", "e"]).snapshot();
    let error = too_many.await.expect_err("too many");
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooManyItems, Some((4, 5))));
    let error = snapshot(&["a", "b", "c"]).await.expect_err("too much");
    let limit = error.limit().map(|(limit, _)| limit);
    assert_eq!((error.kind(), limit), (ErrorKind::TooLarge, Some(8 * 1024)));
    assert_eq!(snapshot(&["a", "b"]).await.expect("fits").len(), 2);
    let none = Memory::builder().transactions(None).build();
    let answer = over(&none).multi_get::<String>(["a"]).snapshot().await;
    assert_eq!(answer.expect_err("no transactions").kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn get_many_reads_in_batches_and_finds_all() {
    let memory = memory();
    let store = over(&memory);
    for number in (0..1_000).step_by(3) {
        store.assoc(number, &number).await.expect("writes");
    }
    let large = "x".repeat(3 * LIMIT);
    store.assoc("large", &large).await.expect("writes");
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let layer = Layer::new(memory.handle(), move |call| {
        counted.fetch_add(usize::from(call == Call::ReadMany), Ordering::SeqCst);
        None
    });
    let counting = Store::builder(layer).options(quiet()).build();
    let found = counting
        .get_many::<i32>((0..1_000).chain(0..1_000))
        .await
        .expect("reads");
    let expected = (0..1_000).step_by(3).map(|number| (Key::from(number), number));
    assert!(found.into_iter().eq(expected));
    assert_eq!(calls.load(Ordering::SeqCst), 10);
    let found = store.get_many::<String>(["large", "absent"]).await.expect("reads");
    assert!(found.into_values().eq([large]));
}
