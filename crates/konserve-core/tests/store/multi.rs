//! Several keys at once: all or nothing.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;

use konserve_core::store::MULTI_LIMIT;
use konserve_core::{ErrorKind, Key, Store, Value};
use konserve_memory::Memory;

use crate::support::{quiet, small_items, store};
use konserve_core::layer::{Call, Layer};

fn numbered(count: usize) -> Vec<(String, usize)> {
    (0..count).map(|number| (format!("k{number}"), number)).collect()
}

#[tokio::test]
async fn several_documents_are_written_read_and_removed_together() {
    let store = store();
    let revision = store
        .multi_assoc([("a", 1), ("b", 2)])
        .meta(BTreeMap::from([("by", "me")]))
        .meta_for("b", BTreeMap::from([("by", "you")]))
        .await
        .unwrap();
    assert_eq!(store.get_meta("a").await.unwrap().unwrap().revision, revision);
    let by = |meta: konserve_core::Meta| meta.user[&Value::from("by")].clone();
    assert_eq!(by(store.get_meta("a").await.unwrap().unwrap()), Value::from("me"));
    assert_eq!(by(store.get_meta("b").await.unwrap().unwrap()), Value::from("you"));
    let found = store.multi_get::<i64>(["a", "b", "absent"]).await.unwrap();
    assert_eq!(found, BTreeMap::from([(Key::from("a"), 1), (Key::from("b"), 2)]));
    let existed = store.multi_dissoc(["a", "absent"]).await.unwrap();
    assert_eq!(
        existed,
        BTreeMap::from([(Key::from("a"), true), (Key::from("absent"), false)])
    );
    let existed = store.multi_dissoc(["a", "absent"]).await.unwrap();
    assert!(existed.values().all(|existed| !existed));
    assert!(store.exists("b").await.unwrap());
    store.multi_assoc([("a", 3)]).await.unwrap();
    assert_eq!(store.get::<i64>("a").await.unwrap(), Some(3));
}

#[tokio::test]
async fn too_many_keys_are_refused_by_number() {
    let store = store();
    let pairs = numbered(MULTI_LIMIT + 1);
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
    for error in [
        store.multi_assoc(pairs.clone()).await.unwrap_err(),
        store.multi_get::<i64>(keys.clone()).await.unwrap_err(),
        store.multi_dissoc(keys.clone()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::TooManyItems);
        assert_eq!(error.limit(), Some((100, 101)));
    }
    store.multi_assoc(pairs[..MULTI_LIMIT].to_vec()).await.unwrap();
    assert_eq!(
        store
            .multi_get::<usize>(keys[..MULTI_LIMIT].to_vec())
            .await
            .unwrap()
            .len(),
        MULTI_LIMIT
    );
    assert_eq!(
        store.multi_dissoc(keys[..MULTI_LIMIT].to_vec()).await.unwrap().len(),
        MULTI_LIMIT
    );
}

#[tokio::test]
async fn a_key_given_twice_is_refused_by_name() {
    let store = store();
    let error = store.multi_assoc([("a", 1), ("b", 2), ("a", 3)]).await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidInput, Some("\"a\"")));
    assert!(!store.exists("b").await.unwrap());
    let error = store
        .multi_assoc([("a", 1)])
        .meta_for("b", BTreeMap::from([("x", 1)]))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidInput, Some("\"b\"")));
}

#[tokio::test]
async fn values_of_any_size_commit_together() {
    let (_, store) = small_items();
    let value = |number: usize| vec![number as u8; 300 * number];
    let pairs: Vec<_> = (0..99).map(|number| (number, value(number))).collect();
    store.multi_assoc(pairs.clone()).await.unwrap();
    let found = store.multi_get::<Vec<u8>>(0..99).await.unwrap();
    assert_eq!(
        found,
        pairs.into_iter().map(|(key, value)| (Key::from(key), value)).collect()
    );

    let error = store
        .multi_assoc((0..100).map(|number| (number, value(number))))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.limit()),
        (ErrorKind::TooManyItems, Some((99, 100)))
    );
}

#[tokio::test]
async fn what_does_not_fit_into_one_transaction_is_written_as_chunks() {
    let store = store();
    // Each fits into an item, all together not into 4 MB.
    let pairs: Vec<_> = (0..20).map(|number| (number, "x".repeat(300_000 + number))).collect();
    store.multi_assoc(pairs.clone()).await.unwrap();
    let found = store.multi_get::<String>(0..20_usize).await.unwrap();
    assert_eq!(
        found,
        pairs.into_iter().map(|(key, value)| (Key::from(key), value)).collect()
    );
    assert!(store.collect().await.unwrap().generations == 1);
}

#[tokio::test]
async fn nothing_at_all_is_allowed() {
    let store = store();
    store.multi_assoc(Vec::<(&str, i32)>::new()).await.unwrap();
    assert!(store.multi_get::<i64>([""; 0]).await.unwrap().is_empty());
    assert!(store.multi_dissoc([""; 0]).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_multi_dissoc_says_was_true_of_all_keys_at_once() {
    let memory = Memory::new();
    let sound = Store::new(memory.handle());
    sound.assoc("there", &1).await.unwrap();
    let rival = sound.clone();
    let commits = AtomicUsize::new(0);
    // Between finding a key absent and removing the others, it appears.
    let layer = Layer::new(memory.handle(), move |call| {
        if call == Call::Commit && commits.fetch_add(1, Ordering::SeqCst) == 1 {
            rival.assoc("late", &2).into_future().now_or_never().unwrap().unwrap();
        }
        None
    });
    let existed = Store::new(layer).multi_dissoc(["there", "late"]).await.unwrap();
    assert!(existed.values().all(|existed| *existed), "{existed:?}");
    assert!(!sound.exists("late").await.unwrap() && !sound.exists("there").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn absent_keys_cost_no_waiting_also_when_the_engine_tells_of_one_at_a_time() {
    let adversary = Memory::builder().seed(1).adversary();
    // Some of the handles name one of several refusals, always.
    for _ in 0..10 {
        let store = Store::builder(adversary.handle()).options(quiet()).build();
        let began = tokio::time::Instant::now();
        let removed = store.multi_dissoc((0..100).map(Key::from)).await.unwrap();
        assert!(removed.len() == 100 && removed.values().all(|existed| !existed));
        assert_eq!(began.elapsed(), std::time::Duration::ZERO);
    }
}
