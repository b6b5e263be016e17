//! Trials of what concerns a store as a whole: `keys`, kinds, `collect`, closing and restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use konserve_core::backend::{Listing, Read, Space};
use konserve_core::{ErrorKind, Key, Kind, Meta, Value, path};

use super::{edn, store};
use crate::arena::Arena;
use crate::failure::{Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.keys", &["S-KEYS-1"], keys),
        Trial::new("store.keys-over-many-pages", &["S-KEYS-1"], keys_over_many_pages),
        Trial::new("store.keys-resumed", &["S-KEYS-2"], keys_resumed),
        Trial::new("store.keys-at-no-position", &["S-KEYS-2", "S-ERROR-1"], no_position),
        Trial::new("store.kinds", &["S-KIND-1"], kinds),
        Trial::new("store.collect-of-tombstones", &["S-COLLECT-1"], collect_of_tombstones),
        Trial::new("store.closed", &["S-CLOSE-1"], closed),
    ]
}

async fn keys(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("user:1", &1).await?;
    store.assoc("user:2", &2).await?;
    store.assoc(edn(":user")?, &3).await?;
    store.bassoc("user:photo", "bytes").await?;
    store.append("log", &1).await?;
    store.assoc("gone", &1).await?;
    store.dissoc("gone").await?;
    let mut listed: Vec<Meta> = store.keys().try_collect().await?;
    listed.sort_by(|a, b| a.key.cmp(&b.key));
    for meta in &listed {
        let own = store.get_meta(meta.key.clone()).await?.map(|mut own| {
            own.log = None; // a listing does not look into logs
            own
        });
        same!(own.as_ref(), Some(meta), "what is known of {}", meta.key);
    }
    let kinds: BTreeMap<Key, Kind> = listed.into_iter().map(|meta| (meta.key, meta.kind)).collect();
    let expected = BTreeMap::from([
        (Key::from("user:1"), Kind::Document),
        (Key::from("user:2"), Kind::Document),
        (Key::from(edn(":user")?), Kind::Document),
        (Key::from("user:photo"), Kind::Binary),
        (Key::from("log"), Kind::Log),
    ]);
    same!(kinds, expected, "all keys");
    let users: Vec<Meta> = store.keys().prefix("user:").try_collect().await?;
    same!(users.len(), 3, "how many keys have the prefix");
    let binaries: Vec<Meta> = store.keys().kind(Kind::Binary).try_collect().await?;
    same!(binaries.len(), 1, "how many keys hold a binary");
    Ok(())
}

async fn keys_over_many_pages(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let count = 2 * arena.page.items + 3;
    let filler = "f".repeat(arena.page.bytes);
    let mut expected = Vec::new();
    for number in 0..count {
        let key = Key::from(format!("key-{number}"));
        store.assoc(key.clone(), &filler).await?;
        expected.push(key);
    }
    expected.sort();
    let mut listed: Vec<_> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
    listed.sort();
    check!(
        listed == expected,
        "{count} keys were stored, {} are listed, or others",
        listed.len()
    );
    Ok(())
}

async fn keys_resumed(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for number in 0..12 {
        store.assoc(number, &number).await?;
    }
    let all: Vec<_> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
    let expected: BTreeSet<_> = all.iter().cloned().collect();
    same!(expected.len(), 12, "how many keys there are");
    for stop in 1..=all.len() {
        let mut first = store.keys();
        let mut found = Vec::new();
        for _ in 0..stop {
            found.extend(first.try_next().await?.map(|meta| meta.key));
        }
        let Some(position) = first.position() else {
            check!(false, "there is no position after {stop} keys");
            continue;
        };
        // In an order of its own, but only what has not come yet.
        let rest = store.keys().resume(position).map_ok(|meta| meta.key);
        found.extend(rest.try_collect::<Vec<_>>().await?);
        same!(found.len(), all.len(), "how many keys come, interrupted after {stop}");
        let found: BTreeSet<_> = found.into_iter().collect();
        same!(found, expected, "the keys that come, interrupted after {stop}");
    }
    Ok(())
}

async fn no_position(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &1).await?;
    for position in ["", "a", "[]", "[\"\"]", "[[\"\" 1]]", "[[\"no such part\" nil]]"] {
        let listed: Vec<_> = store.keys().resume(position).collect().await;
        same!(listed.len(), 1, "how much comes from {position:?}");
        for one in listed {
            refused(ErrorKind::InvalidInput, "what is no position", one)?;
        }
    }
    Ok(())
}

async fn kinds(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("document", &1).await?;
    store.bassoc("binary", "bytes").await?;
    store.append("log", &1).await?;
    let wrong = ErrorKind::WrongKind;
    for key in ["binary", "log"] {
        refused(wrong, &format!("get of the {key}"), store.get::<Value>(key).await)?;
        refused(
            wrong,
            &format!("get_in of the {key}"),
            store.get_in::<Value>(path![key, 0]).await,
        )?;
        refused(
            wrong,
            &format!("assoc_in of the {key}"),
            store.assoc_in(path![key, 0], &1).await,
        )?;
        let updated = store.update(key, |_: Option<Value>| Value::Null).await;
        refused(
            wrong,
            &format!("update of the {key}"),
            updated.map(|updated| updated.new),
        )?;
    }
    for key in ["document", "log"] {
        refused(
            wrong,
            &format!("bget of the {key}"),
            store.bget(key).await.map(|blob| blob.is_some()),
        )?;
    }
    for key in ["document", "binary"] {
        refused(wrong, &format!("append to the {key}"), store.append(key, &1).await)?;
        let entries = store.log::<Value>(key).try_collect::<Vec<_>>().await;
        refused(wrong, &format!("log of the {key}"), entries)?;
    }
    refused(wrong, "assoc onto the log", store.assoc("log", &1).await)?;
    refused(wrong, "bassoc onto the log", store.bassoc("log", "bytes").await)?;
    same!(store.get::<i64>("document").await?, Some(1), "the document");
    let blob = store.bget("binary").await?.map(|blob| blob.len());
    same!(blob, Some(5), "the binary");
    same!(store.log::<i64>("log").try_collect::<Vec<_>>().await?, [1], "the log");
    // A document and a binary may take each other's place.
    store.bassoc("document", "bytes").await?;
    store.assoc("binary", &2).await?;
    same!(store.get::<i64>("binary").await?, Some(2), "a document over a binary");
    check!(
        store.bget("document").await?.is_some(),
        "a binary over a document was not found"
    );
    Ok(())
}

async fn collect_of_tombstones(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("stays", &1).await?;
    for number in 0..5 {
        store.assoc(number, &number).await?;
        store.dissoc(number).await?;
    }
    let report = store.collect().await?;
    same!(report.tombstones_purged, 0, "tombstones purged before their time");
    let report = store.collect().without_waiting().await?;
    same!(report.tombstones_purged, 5, "tombstones purged");
    let mut how = Listing::all(Read::STRONG);
    how.tombstones = true;
    same!(arena.list(Space::Document, how).await?.len(), 1, "what is left");
    same!(store.get::<i64>("stays").await?, Some(1), "what stays");
    Ok(())
}

async fn closed(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &1).await?;
    let clone = store.clone();
    store.close().await?;
    store.close().await?;
    let closed = ErrorKind::Closed;
    refused(closed, "get", clone.get::<Value>("a").await)?;
    refused(closed, "assoc", clone.assoc("a", &2).await)?;
    refused(closed, "exists", clone.exists("a").await)?;
    refused(closed, "dissoc", clone.dissoc("a").await)?;
    refused(closed, "append", clone.append("log", &1).await)?;
    refused(closed, "bget", clone.bget("a").await.map(|blob| blob.is_some()))?;
    refused(closed, "keys", clone.keys().try_collect::<Vec<_>>().await)?;
    refused(closed, "log", clone.log::<Value>("log").try_collect::<Vec<_>>().await)?;
    Ok(())
}
