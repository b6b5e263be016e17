//! Documents that end: absent from their moment on for everybody, and kept, replaced or lifted by what writes over them.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::backend::{Backend, Listing, Read, Space};
use konserve_core::{ErrorKind, Instant, Key, Store, Value, path};
use konserve_memory::Memory;

use crate::support::{ManualClock, manual, quiet};

const MINUTE: Duration = Duration::from_secs(60);

/// A store by whose clock, and by whose engine's clock, time passes only where it is told to. Values of a few kilobytes are
/// chunks.
fn timed() -> (Arc<ManualClock>, Memory, Store) {
    let (clock, environment) = manual();
    let memory = Memory::builder()
        .item_limit(4096)
        .environment(environment.clone())
        .build();
    let store = Store::builder(memory.handle())
        .environment(environment)
        .options(quiet());
    (clock, memory, store.build())
}

/// How long a document lives still; `None` when it stays for good.
async fn left(store: &Store, clock: &ManualClock, key: &str) -> Option<Duration> {
    let meta = store.get_meta(key).await.unwrap().unwrap();
    meta.expires.map(|expires| expires.since(now(clock)))
}

fn now(clock: &ManualClock) -> Instant {
    konserve_core::Clock::now(clock)
}

#[tokio::test]
async fn every_write_says_what_becomes_of_the_expiry() {
    let (clock, _, store) = timed();
    let start = || async {
        store
            .assoc("k", &Value::Map([(Value::from("a"), Value::from(1))].into()))
            .ttl(5 * MINUTE)
            .await
            .unwrap();
        clock.advance(MINUTE);
    };
    let kept = Some(4 * MINUTE);
    let one = |_: Option<i64>| 1;
    let whole = |old: Option<Value>| old.unwrap();

    start().await;
    assert_eq!(left(&store, &clock, "k").await, kept);
    store.assoc_in(path!["k", "b"], &1).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, kept, "assoc_in keeps it");
    store.update_in(path!["k", "a"], one).await.unwrap();
    store.update("k", whole).await.unwrap();
    store.try_update("k", |old: Option<Value>| old.ok_or(())).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, kept, "an update keeps it");
    assert!(store.dissoc_in(path!["k", "b"]).await.unwrap());
    assert_eq!(left(&store, &clock, "k").await, kept, "dissoc_in keeps it");
    // What is written as chunks, and as one item again, as well.
    let long = "x".repeat(20_000);
    store.assoc_in(path!["k", "long"], &long).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, kept, "over chunks");
    assert!(store.dissoc_in(path!["k", "long"]).await.unwrap());
    assert_eq!(left(&store, &clock, "k").await, kept, "and back");

    let another = Some(9 * MINUTE);
    store.assoc_in(path!["k", "b"], &1).ttl(9 * MINUTE).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, another, "assoc_in sets another");
    clock.advance(MINUTE);
    store.update_in(path!["k", "a"], one).ttl(9 * MINUTE).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, another, "an update sets another");
    clock.advance(MINUTE);
    let update = store.try_update("k", |old: Option<Value>| old.ok_or(()));
    update.ttl(9 * MINUTE).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, another, "and a fallible one");

    store.assoc_in(path!["k", "b"], &2).permanent().await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "assoc_in lifts it");
    start().await;
    store.update("k", whole).permanent().await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "an update lifts it");
    start().await;
    store.assoc("k", &1).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "assoc replaces all");
    start().await;
    store.assoc_in("k", &1).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "so does a path of a key alone");
    store.assoc_in("k", &1).ttl(9 * MINUTE).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, another, "which can set another");
    start().await;
    store.multi_assoc([("k", 1)]).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "and multi_assoc");
    start().await;
    store.bassoc("k", "bytes").await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, None, "and a binary");
    store.bassoc("k", "bytes").ttl(MINUTE).await.unwrap();
    assert_eq!(left(&store, &clock, "k").await, Some(MINUTE), "which can end as well");
    let (_, meta) = {
        store.assoc("k", &1).ttl(MINUTE).await.unwrap();
        store.get::<i64>("k").with_meta().await.unwrap().unwrap()
    };
    assert_eq!(meta.expires, Some(now(&clock) + MINUTE));
    let listed: Vec<_> = store.keys().try_collect().await.unwrap();
    assert_eq!(listed[0].expires, Some(now(&clock) + MINUTE));
}

#[tokio::test]
async fn what_has_ended_is_absent_from_its_moment_on_for_every_call() {
    let (clock, _, store) = timed();
    let large = "y".repeat(20_000);
    for value in ["small", &large] {
        store.assoc("document", value).ttl(MINUTE).await.unwrap();
        store.bassoc("binary", value).ttl(MINUTE).await.unwrap();
        clock.advance(MINUTE - Duration::from_millis(1));
        assert_eq!(store.get::<String>("document").await.unwrap().as_deref(), Some(value));
        let blob = store.bget("binary").await.unwrap().unwrap();
        clock.advance(Duration::from_millis(1));

        for key in ["document", "binary"] {
            assert!(!store.exists(key).await.unwrap());
            assert!(!store.exists(key).consistent().await.unwrap());
            assert_eq!(store.get::<String>(key).await.unwrap(), None);
            assert_eq!(store.get_meta(key).await.unwrap(), None);
            assert!(store.bget(key).await.unwrap().is_none());
            assert!(!store.dissoc_in(path![key, "a"]).await.unwrap());
        }
        assert!(store.multi_get::<String>(["document"]).await.unwrap().is_empty());
        assert_eq!(store.keys().try_collect::<Vec<_>>().await.unwrap(), []);
        // Who holds it already reads it to its end.
        assert_eq!(blob.bytes().await.unwrap(), value.as_bytes());
        assert!(
            !store.dissoc("document").await.unwrap(),
            "it is not there to be removed"
        );
        assert!(!store.multi_dissoc(["binary"]).await.unwrap()[&Key::from("binary")]);
    }
}

#[tokio::test]
async fn conditions_take_what_has_ended_for_absent() {
    let (clock, _, store) = timed();
    let end = |key: &'static str| {
        let (store, clock) = (store.clone(), clock.clone());
        async move {
            let revision = store.assoc(key, &7).ttl(MINUTE).await.unwrap();
            clock.advance(MINUTE);
            revision
        }
    };
    let revision = end("k").await;
    for error in [
        store.assoc("k", &1).if_revision(revision).await.unwrap_err(),
        store
            .assoc_in(path!["k", "a"], &1)
            .if_revision(revision)
            .await
            .unwrap_err(),
        store.dissoc("k").if_revision(revision).await.unwrap_err(),
        store.bassoc("k", "1").if_revision(revision).await.unwrap_err(),
        store
            .update("k", |_: Option<i64>| unreachable!())
            .if_revision(revision)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("absent"), "{error}");
    }
    let anew = store.assoc("k", &1).if_absent().await.unwrap();
    assert!(anew > revision, "revisions of a key grow, also over an end");
    assert_eq!(store.get_meta("k").await.unwrap().unwrap().expires, None);

    end("k").await;
    store.assoc_in(path!["k", "a"], &1).if_absent().await.unwrap();
    assert_eq!(
        store.get::<Value>("k").await.unwrap().unwrap().to_string(),
        r#"{"a" 1}"#
    );
    end("k").await;
    let updated = store.update("k", |old: Option<i64>| old.unwrap_or(100)).await.unwrap();
    assert_eq!((updated.old, updated.new), (None, 100), "nothing of it is left");
    assert_eq!(store.get_meta("k").await.unwrap().unwrap().expires, None);
    end("k").await;
    assert_eq!(store.append("k", &1).await.unwrap(), 0, "a log may begin there");
    clock.advance(1000 * MINUTE);
    assert_eq!(
        store.log::<i64>("k").try_collect::<Vec<_>>().await.unwrap(),
        [1],
        "and never ends"
    );
}

#[tokio::test]
async fn an_update_whose_document_ends_in_the_middle_starts_over_from_nothing() {
    let (clock, _, store) = timed();
    store.assoc("k", &7).ttl(MINUTE).await.unwrap();
    let mut seen = Vec::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let during = clock.clone();
    let update = store.update("k", move |old: Option<i64>| {
        sender.send(old).unwrap();
        if old.is_some() {
            during.advance(MINUTE);
        }
        old.unwrap_or(0) + 1
    });
    assert_eq!(update.await.unwrap().new, 1);
    seen.extend(receiver.try_iter());
    assert_eq!(seen, [Some(7), None]);
}

#[tokio::test]
async fn the_time_counts_from_the_write_and_not_from_the_request() {
    let (clock, _, store) = timed();
    let requests = (
        store.assoc("a", &1).ttl(MINUTE),
        store
            .multi_assoc([("b", 1), ("c", 1)])
            .ttl(MINUTE)
            .ttl_for("c", 2 * MINUTE),
        store.bassoc("d", "1").ttl(MINUTE),
        store.update("e", |_: Option<i64>| 1).ttl(MINUTE),
    );
    clock.advance(10 * MINUTE);
    requests.0.await.unwrap();
    requests.1.await.unwrap();
    requests.2.await.unwrap();
    requests.3.await.unwrap();
    for (key, time) in [("a", 1), ("b", 1), ("c", 2), ("d", 1), ("e", 1)] {
        assert_eq!(left(&store, &clock, key).await, Some(time * MINUTE), "{key}");
    }
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused_and_write_nothing() {
    let (_, _, store) = timed();
    store.assoc("k", &0).await.unwrap();
    for ttl in [Duration::ZERO, Duration::MAX, Duration::from_millis(u64::MAX)] {
        let errors = [
            store.assoc("k", &1).ttl(ttl).await.unwrap_err(),
            store.assoc_in("k", &1).ttl(ttl).await.unwrap_err(),
            store.assoc_in(path!["k", "a"], &1).ttl(ttl).await.unwrap_err(),
            store.update("k", |_: Option<i64>| 1).ttl(ttl).await.unwrap_err(),
            store.bassoc("k", "1").ttl(ttl).await.unwrap_err(),
            store.multi_assoc([("k", 1)]).ttl(ttl).await.unwrap_err(),
            store.multi_assoc([("k", 1)]).ttl_for("k", ttl).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }
    let stray = store
        .multi_assoc([("k", 1)])
        .ttl_for("other", MINUTE)
        .await
        .unwrap_err();
    assert_eq!(stray.kind(), ErrorKind::InvalidInput);
    assert!(stray.to_string().contains("other"), "{stray}");
    assert_eq!(store.get::<i64>("k").await.unwrap(), Some(0));
}

#[tokio::test]
async fn chunks_of_what_has_ended_are_collected_and_those_of_what_lives_are_not() {
    let (clock, memory, store) = timed();
    let large = "z".repeat(20_000);
    store.assoc("ends", &large).ttl(MINUTE).await.unwrap();
    store.bassoc("ends too", large.clone()).ttl(MINUTE).await.unwrap();
    store
        .multi_assoc([("both end", &large), ("half", &large)])
        .ttl_for("both end", MINUTE)
        .await
        .unwrap();
    store.assoc("lives", &large).ttl(100_000 * MINUTE).await.unwrap();
    store.assoc("stays", &large).await.unwrap();
    let chunks = || async {
        let listed = memory.list(Space::Chunk, Listing::all(Read::STRONG.without_body()));
        listed.try_collect::<Vec<_>>().await.unwrap().len()
    };
    let all = chunks().await;
    store.collect().without_waiting().await.unwrap();
    assert_eq!(chunks().await, all, "nothing has ended");

    clock.advance(MINUTE);
    store.collect().without_waiting().await.unwrap();
    let each = all / 6;
    // Two in one generation live as long as one of them does.
    assert_eq!(chunks().await, 4 * each);
    for key in ["half", "lives", "stays"] {
        assert_eq!(store.get::<String>(key).await.unwrap().as_ref(), Some(&large), "{key}");
    }
    // With the waiting of a store in use, likewise, in its time.
    clock.advance(100_000 * MINUTE);
    for _ in 0..4 {
        store.collect().await.unwrap();
        clock.advance(60 * MINUTE);
    }
    assert_eq!(chunks().await, 3 * each);
    assert!(store.get::<String>("stays").await.unwrap().is_some());
    store.dissoc("half").await.unwrap();
    store.dissoc("stays").await.unwrap();
    clock.advance(60 * MINUTE);
    store.collect().without_waiting().await.unwrap();
    let mut listing = Listing::all(Read::STRONG);
    listing.tombstones = true;
    for space in [Space::Document, Space::Chunk, Space::Generation] {
        let left: Vec<_> = memory.list(space, listing.clone()).try_collect().await.unwrap();
        assert_eq!(left, [], "what has ended leaves nothing behind");
    }
}

#[tokio::test]
async fn a_collector_whose_clock_is_ahead_takes_nothing_that_others_can_still_read() {
    let (clock, memory, store) = timed();
    let large = "z".repeat(20_000);
    let ttl = 600 * MINUTE;
    store.assoc("small", "z").ttl(ttl).await.unwrap();
    store.assoc("large", &large).ttl(ttl).await.unwrap();
    store.bassoc("binary", large.clone()).ttl(ttl).await.unwrap();
    let drift = Duration::from_millis(quiet().max_clock_drift_ms);
    let ahead = || async {
        clock.advance(drift);
        let report = store.collect().await.unwrap();
        clock.turn_back(drift);
        report
    };
    let readable = || async {
        assert_eq!(store.get::<String>("small").await.unwrap().as_deref(), Some("z"));
        assert_eq!(store.get::<String>("large").await.unwrap().as_ref(), Some(&large));
        let binary = store.bget("binary").await.unwrap().unwrap();
        assert_eq!(binary.bytes().await.unwrap(), large.as_bytes());
    };
    // Until shortly before the end, whenever that collector comes.
    let mut left = ttl;
    while left > MINUTE {
        let report = ahead().await;
        assert_eq!(
            (report.tombstones_purged, report.chunks_purged),
            (0, 0),
            "{left:?} before the end"
        );
        readable().await;
        let step = if left > 10 * MINUTE { left - 10 * MINUTE } else { MINUTE };
        clock.advance(step);
        left -= step;
    }
    clock.advance(MINUTE - Duration::from_millis(1));
    ahead().await;
    readable().await;
    // Nor does it as long as a request from before the end may be on its way.
    clock.advance(Duration::from_millis(1));
    let horizon = Duration::from_millis(quiet().request_horizon_ms);
    clock.advance(horizon - Duration::from_millis(1));
    let report = ahead().await;
    assert_eq!(report.tombstones_purged, 0, "fences are needed");
    assert!(report.waiting >= 3, "{report:?}");
    clock.advance(Duration::from_millis(1));
    assert_eq!(ahead().await.tombstones_purged, 3);
    for _ in 0..4 {
        clock.advance(60 * MINUTE);
        store.collect().await.unwrap();
    }
    let mut listing = Listing::all(Read::STRONG);
    listing.tombstones = true;
    for space in [Space::Document, Space::Chunk, Space::Generation] {
        let left: Vec<_> = memory.list(space, listing.clone()).try_collect().await.unwrap();
        assert_eq!(left, [], "what has ended leaves nothing behind");
    }
}

#[tokio::test]
async fn what_has_ended_and_waits_is_counted_and_what_lives_is_not() {
    let (clock, _, store) = timed();
    store.assoc("ends", &1).ttl(60 * MINUTE).await.unwrap();
    store.assoc("lives", &1).ttl(6_000 * MINUTE).await.unwrap();
    store.assoc("stays", &1).await.unwrap();
    assert_eq!(store.collect().await.unwrap().waiting, 0);
    clock.advance(60 * MINUTE);
    let report = store.collect().await.unwrap();
    assert_eq!((report.waiting, report.tombstones_purged), (1, 0));
    assert_eq!(store.collect().without_waiting().await.unwrap().tombstones_purged, 1);
    assert_eq!(store.get::<i64>("lives").await.unwrap(), Some(1));
}
