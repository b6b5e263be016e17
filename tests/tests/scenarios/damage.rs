//! Stored bytes that are not what was written: damaged ones and those of a newer version are errors, never values.

use futures::TryStreamExt;
use konserve_core::backend::{Address, Space};
use konserve_core::{Error, ErrorKind, Result, Store};
use konserve_tests::fixture::{Fixture, Part, small_items};
use serde_bytes::ByteBuf;

konserve_tests::on_both_engines!(
    a_truncated_or_flipped_record_is_corrupt_by_name,
    a_damaged_head_is_corrupt_by_name,
    a_damaged_chunk_is_corrupt_by_name,
    a_header_of_a_newer_version_is_unsupported_by_name,
    a_damaged_entry_of_a_log_is_corrupt_by_name,
);

type Change = fn(&mut Vec<u8>);

const DAMAGES: [(&str, Change); 8] = [
    ("one byte less", |bytes| bytes.truncate(bytes.len() - 1)),
    ("half of it", |bytes| bytes.truncate(bytes.len() / 2)),
    ("a part of the header", |bytes| bytes.truncate(10)),
    ("one byte more", |bytes| bytes.push(0)),
    ("a bit of the magic bytes", |bytes| bytes[0] ^= 1),
    ("a bit of the version", |bytes| bytes[4] ^= 2),
    ("a bit of a length", |bytes| bytes[23] ^= 4),
    ("a bit of the last byte", |bytes| {
        *bytes.last_mut().expect("bytes") ^= 128
    }),
];

#[track_caller]
fn check<T>(result: Result<T>, kind: ErrorKind, key: &str, what: &str) {
    match result {
        Ok(_) => panic!("{what}: it was read"),
        Err(error) => assert_eq!((error.kind(), error.key()), (kind, Some(key)), "{what}: {error:?}"),
    }
}

/// Damages an item in every way, and each time asks the question; what was there comes back at the end.
async fn with_each_damage<R>(fixture: &Fixture, at: &Address, part: Part, ask: impl Fn(&'static str) -> R)
where
    R: Future<Output = ()>,
{
    for (what, damage) in DAMAGES {
        let mut sound = Vec::new();
        fixture
            .tamper(at, part, |bytes| {
                sound = bytes.clone();
                damage(bytes);
            })
            .await;
        ask(what).await;
        fixture.tamper(at, part, |bytes| *bytes = sound).await;
    }
}

async fn a_truncated_or_flipped_record_is_corrupt_by_name(fixture: Fixture) {
    let store = fixture.handle().await;
    store
        .multi_assoc([("damaged", "some text"), ("sound", "other text")])
        .await
        .expect("writes");
    let at = Fixture::address("damaged");
    with_each_damage(&fixture, &at, Part::Body, async |what| {
        let key = "\"damaged\"";
        check(store.get::<String>("damaged").await, ErrorKind::Corrupt, key, what);
        let many = store.multi_get::<String>(["damaged", "sound"]).await;
        check(many, ErrorKind::Corrupt, key, what);
        let mut called = false;
        let updated = store.try_update("damaged", move |_: Option<String>| {
            assert!(!std::mem::replace(&mut called, true), "it was called");
            Err::<String, _>("called")
        });
        match updated.await {
            Err(konserve_core::store::UpdateError::Store(error)) => {
                check(Err::<(), Error>(error), ErrorKind::Corrupt, key, what);
            }
            other => panic!("{what}: {other:?}"),
        }
        assert!(store.exists("damaged").await.expect("reads"), "damage is not absence");
    })
    .await;
    assert_eq!(
        store.get::<String>("damaged").await.expect("reads").as_deref(),
        Some("some text")
    );
}

async fn a_damaged_head_is_corrupt_by_name(fixture: Fixture) {
    let store = fixture.handle().await;
    store.assoc("damaged", "some text").await.expect("writes");
    let at = Fixture::address("damaged");
    with_each_damage(&fixture, &at, Part::Meta, async |what| {
        let key = "\"damaged\"";
        check(store.get_meta("damaged").await, ErrorKind::Corrupt, key, what);
        check(
            store.keys().try_collect::<Vec<_>>().await,
            ErrorKind::Corrupt,
            key,
            what,
        );
    })
    .await;
}

async fn a_damaged_chunk_is_corrupt_by_name(fixture: Fixture) {
    let store = fixture.handle_with(small_items()).await;
    store
        .assoc("damaged", &ByteBuf::from(vec![1; 100_000]))
        .await
        .expect("writes");
    let chunks = fixture.addresses(Space::Chunk).await;
    with_each_damage(&fixture, &chunks[1], Part::Body, async |what| {
        check(
            store.get::<ByteBuf>("damaged").await,
            ErrorKind::Corrupt,
            "\"damaged\"",
            what,
        );
    })
    .await;
    assert!(store.get::<ByteBuf>("damaged").await.expect("reads").is_some());

    store.dissoc("damaged").await.expect("removes");
    store.collect().without_waiting().await.expect("collects");
    store.bassoc("binary", vec![1; 100_000]).await.expect("writes");
    let chunks = fixture.addresses(Space::Chunk).await;
    let read = async |store: &Store| store.bget("binary").await?.expect("is there").bytes().await;
    with_each_damage(&fixture, &chunks[1], Part::Body, async |what| {
        check(read(&store).await, ErrorKind::Corrupt, "\"binary\"", what);
    })
    .await;
    assert_eq!(read(&store).await.expect("reads").len(), 100_000);
}

/// A record of version 2, of which this build knows nothing but the first five bytes.
const NEWER: &[u8] = b"\xABKSV\x02 what comes here is up to that version, and can be of any length";

async fn a_header_of_a_newer_version_is_unsupported_by_name(fixture: Fixture) {
    let store = fixture.handle().await;
    store.assoc("newer", "some text").await.expect("writes");
    let (at, key) = (Fixture::address("newer"), "\"newer\"");
    fixture.tamper(&at, Part::Body, |bytes| *bytes = NEWER.to_vec()).await;
    check(store.get::<String>("newer").await, ErrorKind::Unsupported, key, "get");
    let update = store.update("newer", |_: Option<String>| "other".to_owned());
    check(update.await, ErrorKind::Unsupported, key, "update");
    fixture.tamper(&at, Part::Meta, |bytes| *bytes = NEWER.to_vec()).await;
    check(store.get_meta("newer").await, ErrorKind::Unsupported, key, "get_meta");
    let keys = store.keys().try_collect::<Vec<_>>().await;
    check(keys, ErrorKind::Unsupported, key, "keys");
}

async fn a_damaged_entry_of_a_log_is_corrupt_by_name(fixture: Fixture) {
    let store = fixture.handle().await;
    for entry in 0..3 {
        store.append("log", &entry).await.expect("appends");
    }
    let mut rows = fixture.addresses(Space::Log).await;
    rows.retain(|at| at.row == 1);
    with_each_damage(&fixture, &rows[0], Part::Body, async |what| {
        let entries: Result<Vec<u64>> = store.log::<u64>("log").try_collect().await;
        check(entries, ErrorKind::Corrupt, "\"log\"", what);
        let count = store.reduce_log("log", 0, |count, _: u64| count + 1).await;
        check(count, ErrorKind::Corrupt, "\"log\"", what);
    })
    .await;
    let entries: Vec<u64> = store.log::<u64>("log").try_collect().await.expect("reads");
    assert_eq!(entries, [0, 1, 2]);
}
