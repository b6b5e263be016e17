//! Many keys and large values: answers in several pages and rounds are complete, and what was replaced leaves nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use konserve_core::backend::Space;
use konserve_core::{Key, Store};
use konserve_tests::fixture::{Fixture, small_items};
use serde_bytes::ByteBuf;

konserve_tests::on_both_engines!(
    a_thousand_documents_and_more_than_3_mb_are_listed_completely,
    a_hundred_values_of_300_kb_are_read_completely,
    values_above_a_transaction_are_written_together,
    what_was_overwritten_shrunk_and_removed_is_collected,
    a_key_longer_than_an_engine_allows_works,
);

fn bytes(size: usize, byte: u8) -> ByteBuf {
    ByteBuf::from(vec![byte; size])
}

async fn list(store: &Store) -> Vec<Key> {
    let keys = store.keys().map_ok(|meta| meta.key).try_collect();
    keys.await.expect("the keys can be listed")
}

async fn a_thousand_documents_and_more_than_3_mb_are_listed_completely(fixture: Fixture) {
    let store = fixture.handle().await;
    let mut expected = BTreeSet::new();
    for batch in 0..10 {
        let pairs = (0..100).map(|number| (format!("key {batch} {number}"), bytes(2_000, batch)));
        let pairs: Vec<_> = pairs.collect();
        expected.extend(pairs.iter().map(|(key, _)| Key::from(key.as_str())));
        store.multi_assoc(pairs).await.expect("writes");
    }
    // Among them what is more than a page in one item, what lies elsewhere, and what must not come.
    let large: Vec<_> = (0..5)
        .map(|number| (format!("large {number}"), bytes(300_000, 1)))
        .collect();
    expected.extend(large.iter().map(|(key, _)| Key::from(key.as_str())));
    store.multi_assoc(large).await.expect("writes");
    store.bassoc("binary", vec![7; 1_000_000]).await.expect("writes");
    store.append("log", &"entry").await.expect("appends");
    expected.extend([Key::from("binary"), Key::from("log")]);
    store.multi_dissoc(["key 3 33", "key 7 77"]).await.expect("removes");
    expected.remove(&Key::from("key 3 33"));
    expected.remove(&Key::from("key 7 77"));

    let listed = list(&store).await;
    assert_eq!(listed.len(), expected.len(), "each key once");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    // A listing that is broken off and resumed elsewhere, again and again.
    let mut resumed = Vec::new();
    let mut position: Option<String> = None;
    loop {
        let mut keys = fixture.handle().await.keys();
        if let Some(position) = position.take() {
            keys = keys.resume(position);
        }
        let mut some = 0;
        while some < 300
            && let Some(meta) = keys.try_next().await.expect("the keys can be listed")
        {
            resumed.push(meta.key);
            some += 1;
        }
        if some < 300 {
            break;
        }
        position = keys.position();
    }
    assert_eq!(resumed.len(), expected.len(), "each key once");
    assert_eq!(resumed.into_iter().collect::<BTreeSet<_>>(), expected);
}

async fn a_hundred_values_of_300_kb_are_read_completely(fixture: Fixture) {
    let store = fixture.handle().await;
    let key = |number: u8| Key::from(format!("key {number}"));
    for number in 0..100 {
        store.assoc(key(number), &bytes(300_000, number)).await.expect("writes");
    }
    let found = store.multi_get::<ByteBuf>((0..100).map(key)).await.expect("reads");
    assert_eq!(found.len(), 100);
    for number in 0..100 {
        assert!(found[&key(number)] == bytes(300_000, number), "value {number}");
    }
}

async fn values_above_a_transaction_are_written_together(fixture: Fixture) {
    let store = fixture.handle().await;
    // 6 MB, of which a transaction takes 4; one of them is above the limit of an item.
    let sizes = [390_000; 13].into_iter().chain([900_000]).chain([10; 20]);
    let pairs = |byte| -> Vec<_> {
        let pairs = sizes.clone().enumerate();
        pairs
            .map(|(number, size)| (format!("key {number}"), bytes(size, byte)))
            .collect()
    };
    let mut revisions = BTreeSet::new();
    for byte in 1..=2 {
        let revision = store
            .multi_assoc(pairs(byte))
            .meta(BTreeMap::from([("byte", byte)]))
            .await;
        revisions.insert(revision.expect("writes"));
        let found = fixture.handle().await;
        let keys = pairs(byte).into_iter().map(|(key, _)| key);
        let found = found.multi_get::<ByteBuf>(keys).await.expect("reads");
        let expected = pairs(byte).into_iter().map(|(key, value)| (Key::from(key), value));
        assert!(found == expected.collect(), "all of them are as written");
    }
    assert_eq!(revisions.len(), 2);
    for (key, _) in pairs(0) {
        let meta = store.get_meta(key.as_str()).await.expect("reads").expect("is there");
        assert_eq!(Some(&meta.revision), revisions.last(), "{key}: all have one revision");
    }
    let keys = pairs(0).into_iter().map(|(key, _)| key);
    store.multi_dissoc(keys).await.expect("removes");
    store.collect().without_waiting().await.expect("collects");
    assert_eq!(fixture.items().await, BTreeMap::new());
}

async fn what_was_overwritten_shrunk_and_removed_is_collected(fixture: Fixture) {
    const LARGE: usize = 100_000;
    const CHUNKS: usize = 3;
    let store = fixture.handle_with(small_items()).await;
    for byte in 0..2 {
        store.assoc("overwritten", &bytes(LARGE, byte)).await.expect("writes");
        store
            .bassoc("overwritten binary", vec![byte; LARGE])
            .await
            .expect("writes");
    }
    store.assoc("shrunk", &bytes(LARGE, 1)).await.expect("writes");
    store.assoc("shrunk", &1).await.expect("writes");
    store.bassoc("shrunk binary", vec![1; LARGE]).await.expect("writes");
    store.bassoc("shrunk binary", b"1").await.expect("writes");
    store.assoc("updated", &bytes(LARGE, 1)).await.expect("writes");
    let updated = store.update("updated", |old: Option<ByteBuf>| {
        bytes(old.map_or(0, |old| old.len()), 2)
    });
    updated.await.expect("updates");
    store.assoc("removed", &bytes(LARGE, 1)).await.expect("writes");
    assert!(store.dissoc("removed").await.expect("removes"));
    store
        .multi_assoc([("a", bytes(LARGE, 1)), ("b", bytes(LARGE, 2))])
        .await
        .expect("writes");
    store.multi_dissoc(["a", "b"]).await.expect("removes");
    store.append("log", &bytes(LARGE, 1)).await.expect("appends");
    assert!(store.dissoc("log").await.expect("removes"));

    let before = fixture.items().await;
    let report = store.collect().await.expect("collects");
    assert!(
        report.waiting > 0 && report.generations_removed == 0,
        "readers may be about: {report:?}"
    );
    assert_eq!(fixture.items().await, before);
    let report = store.collect().without_waiting().await.expect("collects");
    assert_eq!(report.waiting, 0, "{report:?}");
    let live = BTreeMap::from([(Space::Document, 5), (Space::Generation, 3), (Space::Chunk, 3 * CHUNKS)]);
    assert_eq!(fixture.items().await, live);

    let document = store.get::<ByteBuf>("overwritten").await.expect("reads");
    assert!(document == Some(bytes(LARGE, 1)));
    let blob = store
        .bget("overwritten binary")
        .await
        .expect("reads")
        .expect("is there");
    assert!(blob.bytes().await.expect("reads") == vec![1; LARGE]);
    assert!(store.get::<ByteBuf>("updated").await.expect("reads") == Some(bytes(LARGE, 2)));
    assert_eq!(store.get::<i64>("shrunk").await.expect("reads"), Some(1));
    let keys = [
        "overwritten",
        "overwritten binary",
        "shrunk",
        "shrunk binary",
        "updated",
    ];
    store.multi_dissoc(keys).await.expect("removes");
    store.collect().without_waiting().await.expect("collects");
    assert_eq!(fixture.items().await, BTreeMap::new());
}

async fn a_key_longer_than_an_engine_allows_works(fixture: Fixture) {
    let store = fixture.handle().await;
    // They differ behind the longest key that DynamoDB takes.
    let keys = ["a", "b"].map(|end| Key::from("k".repeat(5_000) + end));
    for (number, key) in (0_i64..).zip(&keys) {
        store.assoc(key.clone(), &number).await.expect("writes");
    }
    let log = Key::from("l".repeat(5_000));
    store.append(log.clone(), &1).await.expect("appends");
    let other = fixture.handle().await;
    for (number, key) in (0_i64..).zip(&keys) {
        assert_eq!(other.get::<i64>(key.clone()).await.expect("reads"), Some(number));
        let meta = other.get_meta(key.clone()).await.expect("reads").expect("is there");
        assert_eq!(&meta.key, key, "the key itself is kept");
    }
    let entries: Vec<i64> = other.log::<i64>(log.clone()).try_collect().await.expect("reads");
    assert_eq!(entries, [1]);
    let listed: BTreeSet<_> = list(&other).await.into_iter().collect();
    assert_eq!(listed, keys.iter().cloned().chain([log]).collect());
    let found = other.multi_get::<i64>(keys.clone()).await.expect("reads");
    assert_eq!(found.len(), 2);
    assert!(other.dissoc(keys[0].clone()).await.expect("removes"));
    assert!(!other.exists(keys[0].clone()).await.expect("reads"));
    assert!(other.exists(keys[1].clone()).await.expect("reads"));
}
