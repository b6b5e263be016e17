//! Trials of `ttl`: documents and binaries that end.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::backend::{Listing, Read, Space};
use konserve_core::store::Options;
use konserve_core::{Clock, ErrorKind, Instant, Key, Revision, Store, Value, path};

use super::store;
use crate::ManualClock;
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.ttl-absent-at-its-moment", &["S-TTL-1"], |arena| {
            absent_at_its_moment(arena, 10)
        })
        .needs(Capability::Clock),
        Trial::new("store.ttl-of-a-large-value", &["S-TTL-1", "S-SIZE-1"], |arena| {
            let size = arena.largest_item() + 1000;
            absent_at_its_moment(arena, size)
        })
        .needs(Capability::Clock)
        .needs(Capability::LargeValues),
        Trial::new("store.ttl-follows-writes", &["S-TTL-2", "S-META-1"], follows_writes).needs(Capability::Clock),
        Trial::new("store.ttl-of-several-keys", &["S-TTL-2", "S-MULTI-2"], of_several_keys)
            .needs(Capability::Clock)
            .needs(Capability::Transactions),
        Trial::new("store.ttl-and-conditions", &["S-TTL-1", "S-ASSOC-2"], conditions).needs(Capability::Clock),
        Trial::new(
            "store.ttl-in-the-middle-of-an-update",
            &["S-TTL-1", "S-UPDATE-1"],
            in_the_middle,
        )
        .needs(Capability::Clock),
        Trial::new("store.ttl-refused", &["S-TTL-3"], senseless),
        Trial::new("store.ttl-is-collected", &["S-COLLECT-1"], is_collected).needs(Capability::Clock),
        Trial::new("store.ttl-chunks-are-collected", &["S-COLLECT-1"], chunks_are_collected)
            .needs(Capability::Clock)
            .needs(Capability::LargeValues),
        Trial::new(
            "store.ttl-after-a-restart",
            &["S-RESTART-1", "S-TTL-1"],
            after_a_restart,
        )
        .needs(Capability::Clock),
    ]
}

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

/// A store that goes by the clock of its engine.
fn timed(arena: &Arena) -> Verdict<(Store, ManualClock)> {
    let Some(clock) = arena.namespace.clock() else {
        return Err(Failure::new("the harness declares a clock, but the namespace has none"));
    };
    let mut options = Options::default();
    options.consistent_read = true;
    options.background_cleanup = false;
    let builder = Store::builder(Arc::clone(&arena.backend)).options(options);
    Ok((builder.environment(clock.environment()).build(), clock))
}

async fn expires(store: &Store, key: &str) -> Verdict<Option<Instant>> {
    let Some(meta) = store.get_meta(key).await? else {
        return Err(Failure::new(format!("{key} is not there")));
    };
    Ok(meta.expires)
}

/// Neither of both keys is there, whatever is asked.
async fn absent(store: &Store, document: &str, binary: &str) -> Verdict {
    for key in [document, binary] {
        check!(!store.exists(key).await?, "{key}: exists");
        same!(store.get::<Value>(key).await?, None, "{key}: get");
        same!(store.get_in::<Value>(path![key, "a"]).await?, None, "{key}: get_in");
        same!(store.get_meta(key).await?, None, "{key}: get_meta");
        same!(store.get::<Value>(key).with_meta().await?, None, "{key}: get with meta");
        check!(store.bget(key).await?.is_none(), "{key}: bget");
        check!(!store.dissoc_in(path![key, "a"]).await?, "{key}: dissoc_in");
    }
    let found = store.multi_get::<Value>([document, binary]).await?;
    check!(found.is_empty(), "multi_get finds what has ended: {found:?}");
    let listed: Vec<Key> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
    same!(listed, [], "the keys that are listed");
    Ok(())
}

async fn absent_at_its_moment(arena: Arc<Arena>, size: usize) -> Verdict {
    let (store, clock) = timed(&arena)?;
    let text = "t".repeat(size);
    store.assoc("document", &text).ttl(MINUTE).await?;
    store.bassoc("binary", text.clone()).ttl(MINUTE).await?;
    clock.advance(MINUTE - MOMENT);
    same!(
        store.get::<String>("document").await?.map(|text| text.len()),
        Some(size),
        "the document a moment before its end"
    );
    let Some(blob) = store.bget("binary").await? else {
        return Err(Failure::new("the binary has ended a moment too early"));
    };
    same!(blob.bytes().await?.len(), size, "the binary a moment before its end");
    same!(
        store.keys().try_collect::<Vec<_>>().await?.len(),
        2,
        "keys that are listed"
    );
    clock.advance(MOMENT);
    absent(&store, "document", "binary").await?;
    check!(!store.dissoc("document").await?, "what has ended could be removed");
    check!(!store.dissoc("binary").await?, "what has ended could be removed");
    absent(&store, "document", "binary").await
}

async fn follows_writes(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    let now = || clock.now();
    let whole = |old: Option<Value>| old.unwrap_or_default();
    let map: Value = "{\"a\" 1}".parse()?;
    let start = async || -> Verdict<Instant> {
        store.assoc("k", &map).ttl(5 * MINUTE).await?;
        let end = now() + 5 * MINUTE;
        clock.advance(MINUTE);
        Ok(end)
    };
    let end = Some(start().await?);
    same!(expires(&store, "k").await?, end, "the expiry in the meta");
    store.assoc_in(path!["k", "b"], &1).await?;
    same!(expires(&store, "k").await?, end, "the expiry after assoc_in");
    store.update_in(path!["k", "a"], |_: Option<i64>| 2).await?;
    store.update("k", whole).await?;
    same!(expires(&store, "k").await?, end, "the expiry after an update");
    check!(
        store.dissoc_in(path!["k", "b"]).await?,
        "what was to be removed was not there"
    );
    same!(expires(&store, "k").await?, end, "the expiry after dissoc_in");

    store.assoc_in(path!["k", "b"], &1).ttl(MINUTE).await?;
    same!(
        expires(&store, "k").await?,
        Some(now() + MINUTE),
        "the one that assoc_in gave"
    );
    store.update("k", whole).ttl(9 * MINUTE).await?;
    same!(
        expires(&store, "k").await?,
        Some(now() + 9 * MINUTE),
        "the one that an update gave"
    );
    store.update("k", whole).permanent().await?;
    same!(expires(&store, "k").await?, None, "the expiry that an update took");
    start().await?;
    store.assoc_in(path!["k", "b"], &1).permanent().await?;
    same!(expires(&store, "k").await?, None, "the expiry that assoc_in took");
    start().await?;
    store.assoc("k", &1).await?;
    same!(expires(&store, "k").await?, None, "the expiry after assoc");
    start().await?;
    store.bassoc("k", "1").await?;
    same!(expires(&store, "k").await?, None, "the expiry after bassoc");
    clock.advance(100 * MINUTE);
    check!(store.exists("k").await?, "what stays for good has ended");

    // From when it is written on, not from when it is asked for.
    let request = store.assoc("late", &1).ttl(MINUTE);
    clock.advance(10 * MINUTE);
    request.await?;
    same!(
        expires(&store, "late").await?,
        Some(now() + MINUTE),
        "the expiry of a late write"
    );
    Ok(())
}

async fn of_several_keys(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    store
        .multi_assoc([("a", 1), ("b", 2), ("c", 3)])
        .ttl(MINUTE)
        .ttl_for("c", 2 * MINUTE)
        .await?;
    clock.advance(MINUTE - MOMENT);
    same!(
        store.multi_get::<i64>(["a", "b", "c"]).await?.len(),
        3,
        "documents a moment before"
    );
    clock.advance(MOMENT);
    let found = store.multi_get::<i64>(["a", "b", "c"]).await?;
    same!(
        found.into_keys().collect::<Vec<_>>(),
        [Key::from("c")],
        "documents when two have ended"
    );
    let existed = store.multi_dissoc(["a", "c"]).await?;
    same!(
        existed.into_values().collect::<Vec<_>>(),
        [false, true],
        "whether they were there"
    );
    store.multi_assoc([("b", 4), ("c", 5)]).await?;
    clock.advance(100 * MINUTE);
    same!(
        store.multi_get::<i64>(["b", "c"]).await?.len(),
        2,
        "documents that stay for good"
    );
    Ok(())
}

async fn conditions(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    let end = async |key: &str| -> Verdict<Revision> {
        let revision = store.assoc(key, &7).ttl(MINUTE).await?;
        clock.advance(MINUTE);
        Ok(revision)
    };
    let revision = end("a").await?;
    for (what, answer) in [
        ("assoc", store.assoc("a", &1).if_revision(revision).await.map(drop)),
        (
            "assoc_in",
            store
                .assoc_in(path!["a", "b"], &1)
                .if_revision(revision)
                .await
                .map(drop),
        ),
        ("bassoc", store.bassoc("a", "1").if_revision(revision).await.map(drop)),
        ("dissoc", store.dissoc("a").if_revision(revision).await.map(drop)),
        (
            "update",
            store
                .update("a", |_: Option<Value>| 1.into())
                .if_revision(revision)
                .await
                .map(drop),
        ),
    ] {
        refused(ErrorKind::Conflict, what, answer)?;
    }
    check!(!store.exists("a").await?, "a refused write made what has ended live");
    let anew = store.assoc("a", &2).if_absent().await?;
    check!(
        anew > revision,
        "the revision {anew} is not above {revision}, that of what has ended"
    );
    same!(expires(&store, "a").await?, None, "the expiry of what was made anew");
    let again = store.assoc("a", &3).if_absent().await;
    refused(ErrorKind::Conflict, "a second creation", again)?;

    end("b").await?;
    let updated = store.update("b", |old: Option<i64>| old.unwrap_or(100)).await?;
    same!((updated.old, updated.new), (None, 100), "what an update saw and made");
    same!(expires(&store, "b").await?, None, "the expiry after it");
    end("c").await?;
    same!(
        store.append("c", &1).await?,
        0,
        "the position of the first entry of a log"
    );
    clock.advance(1000 * MINUTE);
    same!(
        store.log::<i64>("c").try_collect::<Vec<_>>().await?,
        [1],
        "the entries of the log"
    );
    Ok(())
}

async fn in_the_middle(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    store.assoc("a", &7).ttl(MINUTE).await?;
    let during = clock.clone();
    let update = store.update("a", move |old: Option<i64>| {
        if old.is_some() {
            during.advance(MINUTE);
        }
        old.unwrap_or(0) + 1
    });
    let updated = update.await?;
    same!(
        (updated.old, updated.new),
        (None, 1),
        "what the update saw at last, and made"
    );
    same!(store.get::<i64>("a").await?, Some(1), "what is there");
    same!(expires(&store, "a").await?, None, "its expiry");
    Ok(())
}

async fn senseless(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &0).await?;
    for ttl in [Duration::ZERO, Duration::MAX] {
        for (what, answer) in [
            ("assoc", store.assoc("a", &1).ttl(ttl).await.map(drop)),
            ("assoc_in", store.assoc_in(path!["a", "b"], &1).ttl(ttl).await.map(drop)),
            ("update", store.update("a", |_: Option<i64>| 1).ttl(ttl).await.map(drop)),
            ("bassoc", store.bassoc("a", "1").ttl(ttl).await.map(drop)),
        ] {
            refused(ErrorKind::InvalidInput, what, answer)?;
        }
    }
    same!(store.get::<i64>("a").await?, Some(0), "what is there");
    store.assoc("a", &1).ttl(Duration::from_secs(365 * 24 * 3600)).await?;
    same!(store.get::<i64>("a").await?, Some(1), "what ends in a year");
    Ok(())
}

async fn is_collected(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    // Longer than any request is on its way: it is the end that counts, and not the write.
    store.assoc("ends", &1).ttl(60 * MINUTE).await?;
    store.assoc("later", &1).ttl(1000 * MINUTE).await?;
    store.assoc("stays", &1).await?;
    clock.advance(60 * MINUTE);
    store.collect().await?;
    same!(
        documents(&arena).await?,
        3,
        "items: one of them may still fence off a late write"
    );
    clock.advance(60 * MINUTE);
    store.collect().await?;
    same!(documents(&arena).await?, 2, "items when an hour has passed");
    same!(store.get::<i64>("later").await?, Some(1), "what ends later");
    same!(store.get::<i64>("stays").await?, Some(1), "what stays");
    Ok(())
}

async fn chunks_are_collected(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    if arena.capabilities.item_limit.is_none() {
        return Ok(());
    }
    let text = "t".repeat(arena.largest_item() + 1000);
    store.assoc("ends", &text).ttl(MINUTE).await?;
    let of_one = chunks(&arena).await?;
    check!(of_one > 0, "a value above the largest item has no chunks");
    store.assoc("later", &text).ttl(100_000 * MINUTE).await?;
    store.assoc("stays", &text).await?;
    store.collect().without_waiting().await?;
    same!(chunks(&arena).await?, 3 * of_one, "chunks while everything is there");
    clock.advance(MINUTE);
    store.collect().without_waiting().await?;
    same!(chunks(&arena).await?, 2 * of_one, "chunks when one has ended");
    for key in ["later", "stays"] {
        same!(
            store.get::<String>(key).await?.map(|text| text.len()),
            Some(text.len()),
            "what is at {key}"
        );
    }
    Ok(())
}

async fn after_a_restart(arena: Arc<Arena>) -> Verdict {
    let (store, clock) = timed(&arena)?;
    store.assoc("document", &1).ttl(2 * MINUTE).await?;
    store.bassoc("binary", "1").ttl(2 * MINUTE).await?;
    let end = expires(&store, "document").await?;
    clock.advance(MINUTE);
    store.close().await?;
    let reopened = Store::builder(arena.namespace.reopen().await?).environment(clock.environment());
    let store = reopened.build();
    let Some(meta) = store.get_meta("document").consistent().await? else {
        return Err(Failure::new("a restart ends what has not ended"));
    };
    same!(meta.expires, end, "the expiry after a restart");
    clock.advance(MINUTE);
    let mut options = Options::default();
    options.consistent_read = true;
    let reopened = Store::builder(arena.namespace.another().await?).options(options);
    absent(&reopened.environment(clock.environment()).build(), "document", "binary").await
}

/// How many documents there are, those included that have ended or were removed.
async fn documents(arena: &Arena) -> Verdict<usize> {
    let mut how = Listing::all(Read::STRONG.without_body());
    how.tombstones = true;
    Ok(arena.list(Space::Document, how).await?.len())
}

async fn chunks(arena: &Arena) -> Verdict<usize> {
    let how = Listing::all(Read::STRONG.without_body());
    Ok(arena.list(Space::Chunk, how).await?.len())
}
