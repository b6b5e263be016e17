//! Trials of what errors say, and of damage in what is stored.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use konserve_core::backend::{Address, Item, Listing, Purge, Read, Space};
use konserve_core::store::Options;
use konserve_core::{Error, ErrorKind, Key, Outcome, Store, Value, path};

use super::{edn, store};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.errors-say-what-and-where", &["S-ERROR-1"], say_what_and_where),
        Trial::new("store.too-many-keys-say-the-limit", &["S-ERROR-1"], say_the_limit),
        Trial::new("store.damaged-items", &["S-DAMAGE-1"], damaged_items),
        Trial::new("store.damaged-entries", &["S-DAMAGE-1"], damaged_entries),
        Trial::new("store.missing-chunks", &["S-DAMAGE-1", "S-SIZE-1"], missing_chunks).needs(Capability::Transactions),
    ]
}

/// Every kind of error that a caller can bring about on any engine, at the key `k` in the operation named.
async fn say_what_and_where(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.assoc("k", &edn("{:a [1 2]}")?).await?;
    store.assoc("k", &edn("{:a [1 2 3]}")?).await?;
    store.append("log", &"text").await?;
    let into_list = path!["k", konserve_core::kw!("a"), 7];
    let errors: Vec<(&str, &str, ErrorKind, Result<(), Error>)> = vec![
        (
            "assoc",
            "k",
            ErrorKind::Conflict,
            store.assoc("k", &1).if_absent().await.map(drop),
        ),
        (
            "assoc",
            "k",
            ErrorKind::Conflict,
            store.assoc("k", &1).if_revision(first).await.map(drop),
        ),
        (
            "dissoc",
            "k",
            ErrorKind::Conflict,
            store.dissoc("k").if_revision(first).await.map(drop),
        ),
        (
            "assoc_in",
            "k",
            ErrorKind::Path,
            store.assoc_in(into_list.clone(), &1).await.map(drop),
        ),
        (
            "update_in",
            "k",
            ErrorKind::Path,
            store.update_in(into_list, |_: Option<i64>| 1).await.map(drop),
        ),
        ("get", "k", ErrorKind::Codec, store.get::<u8>("k").await.map(drop)),
        (
            "update",
            "k",
            ErrorKind::Codec,
            store.update("k", |_: Option<u8>| 1_u8).await.map(drop),
        ),
        (
            "get",
            "log",
            ErrorKind::WrongKind,
            store.get::<Value>("log").await.map(drop),
        ),
        ("bget", "k", ErrorKind::WrongKind, store.bget("k").await.map(drop)),
        (
            "append",
            "k",
            ErrorKind::WrongKind,
            store.append("k", &1).await.map(drop),
        ),
        (
            "append_all",
            "log",
            ErrorKind::InvalidInput,
            store.append_all("log", Vec::<Value>::new()).await.map(drop),
        ),
        (
            "log",
            "log",
            ErrorKind::Codec,
            store.log::<u8>("log").try_collect::<Vec<_>>().await.map(drop),
        ),
    ];
    for (operation, key, kind, answer) in errors {
        let error = refused(kind, operation, answer)?;
        same!(error.operation(), Some(operation), "the operation that the error names");
        let key = named(key, operation, &error)?;
        same!(error.outcome(), Outcome::NotApplied, "the outcome of {operation}");
        let text = error.to_string();
        check!(
            text.contains(operation) && text.contains(&key),
            "the text of the error names neither operation nor key: {text}"
        );
    }
    let found = store.get::<Value>("k").await?;
    same!(found, Some(edn("{:a [1 2 3]}")?), "the document after all that");
    Ok(())
}

async fn say_the_limit(arena: Arc<Arena>) -> Verdict {
    let limit = konserve_core::store::MULTI_LIMIT;
    let keys = (0..=limit).map(|number| number.to_string());
    let error = store(&arena).multi_get::<Value>(keys).await;
    let error = refused(ErrorKind::TooManyItems, "one key too many", error)?;
    same!(
        (error.operation(), error.limit(), error.is_retryable()),
        (Some("multi_get"), Some((limit as u64, limit as u64 + 1)), false),
        "operation, limit and number, and whether trying again helps"
    );
    Ok(())
}

/// What is stored in a space, addresses and items.
async fn stored(arena: &Arena, space: Space) -> Verdict<Vec<(Address, Item)>> {
    let listed = arena.list(space, Listing::all(Read::STRONG)).await?;
    let items = listed.into_iter();
    Ok(items.filter_map(|(at, found)| Some((at, found.into_item()?))).collect())
}

/// Puts something else in the place of an item, pinned or not, whatever its revision.
async fn tamper(arena: &Arena, at: &Address, item: Item) -> Verdict {
    arena.backend.purge(&[Purge::Row(at.clone())]).await?;
    arena.put(at, &item).await
}

/// The ways in which bytes get damaged.
fn damages(sound: &Bytes) -> Vec<(&'static str, Bytes)> {
    let flipped = |at: usize| {
        let mut bytes = sound.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x10;
        }
        Bytes::from(bytes)
    };
    vec![
        ("one byte less", sound.slice(..sound.len() - 1)),
        ("one byte more", Bytes::from([&sound[..], &[0]].concat())),
        ("half of it", sound.slice(..sound.len() / 2)),
        ("nothing", Bytes::new()),
        ("a flipped bit in the middle", flipped(sound.len() / 2)),
        ("a flipped bit at the end", flipped(sound.len() - 1)),
    ]
}

/// The key that an error must name, alone or at the beginning of the path.
fn named(key: &str, what: &str, error: &Error) -> Verdict<String> {
    let key = Key::from(key).to_string();
    let names = error
        .key()
        .is_some_and(|named| named == key || named.starts_with(&format!("[{key} ")));
    check!(names, "{what}: the error names {:?}, and not {key}", error.key());
    Ok(key)
}

/// A damaged record is `corrupt`, or `unsupported` where the damage looks like a later format; it is never a value, absence,
/// or something that trying again could help.
#[track_caller]
fn told<T: std::fmt::Debug>(what: &str, key: &str, answer: Result<T, Error>) -> Verdict {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            named(key, what, &error)?;
            check!(!error.is_retryable(), "{what}: trying again cannot help: {error:?}");
            Ok(())
        }
        answer => Err(Failure::new(format!(
            "{what}: instead of an error of kind corrupt came {}",
            crate::failure::brief(&answer)
        ))),
    }
}

async fn damaged_items(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store
        .assoc("document", &edn("{:a [1 2 3], :text \"some text\"}")?)
        .await?;
    for (at, sound) in stored(&arena, Space::Document).await? {
        let Some(body) = &sound.body else {
            return Err(Failure::new("a small document has no body"));
        };
        for (what, damaged) in damages(body) {
            let body = Some(damaged);
            tamper(&arena, &at, Item { body, ..sound.clone() }).await?;
            told(what, "document", store.get::<Value>("document").await)?;
            told(what, "document", store.assoc_in(path!["document", "b"], &1).await)?;
        }
        for (what, meta) in damages(&sound.meta) {
            tamper(&arena, &at, Item { meta, ..sound.clone() }).await?;
            told(what, "document", store.get_meta("document").await)?;
        }
        tamper(&arena, &at, sound).await?;
    }
    check!(store.exists("document").await?, "what was mended is not there");
    store.bassoc("document", "over it").await?;
    Ok(())
}

async fn damaged_entries(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.append_all("log", ["one", "two"]).await?;
    store.append("log", "three").await?;
    let rows = stored(&arena, Space::Log).await?;
    let entries: Vec<_> = rows.into_iter().filter(|(_, item)| item.body.is_some()).collect();
    check!(!entries.is_empty(), "the entries of a log have no bodies");
    for (at, sound) in entries {
        let Some(body) = &sound.body else { continue };
        for (what, damaged) in damages(body) {
            let body = Some(damaged);
            tamper(&arena, &at, Item { body, ..sound.clone() }).await?;
            let read = store.log::<String>("log").try_collect::<Vec<_>>().await;
            told(what, "log", read)?;
        }
        // A row that is missing altogether is a gap, and no shorter log. The last one leaves none.
        if at.row == 0 {
            arena.backend.purge(&[Purge::Row(at.clone())]).await?;
            let read = store.log::<String>("log").try_collect::<Vec<_>>().await;
            told("a missing row", "log", read)?;
        }
        tamper(&arena, &at, sound).await?;
    }
    let read = store.log::<String>("log").try_collect::<Vec<_>>().await?;
    same!(read, ["one", "two", "three"], "the log when all is mended");
    Ok(())
}

async fn missing_chunks(arena: Arc<Arena>) -> Verdict {
    let mut options = Options::default();
    (options.inline_limit, options.chunk_size) = (Some(1024), 1024);
    options.consistent_read = true;
    let store = Store::builder(Arc::clone(&arena.backend)).options(options).build();
    let size = 5000;
    store.bassoc("large", vec![7; size]).await?;
    let chunks = stored(&arena, Space::Chunk).await?;
    check!(!chunks.is_empty(), "a large value has no chunks");
    let whole = async || match store.bget("large").await? {
        Some(blob) => blob.bytes().await,
        None => Ok(Bytes::new()),
    };
    for (at, sound) in chunks {
        arena.backend.purge(&[Purge::Row(at.clone())]).await?;
        told("a missing chunk", "large", whole().await)?;
        let half = sound.body.as_ref().map(|body| body.slice(..body.len() / 2));
        arena
            .put(
                &at,
                &Item {
                    body: half,
                    ..sound.clone()
                },
            )
            .await?;
        told("half of a chunk", "large", whole().await)?;
        tamper(&arena, &at, sound).await?;
    }
    same!(whole().await?.len(), size, "the length when all is mended");
    Ok(())
}
