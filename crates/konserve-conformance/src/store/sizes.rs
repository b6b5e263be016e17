//! Trials of values around and far above the largest item.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Listing, Read, Space};
use konserve_core::{ErrorKind, Store, Value};

use super::{another, store};
use crate::arena::{Arena, joined};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.documents-of-any-size", &["S-SIZE-1"], documents_of_any_size).needs(Capability::LargeValues),
        Trial::new(
            "store.binaries-of-any-size",
            &["S-SIZE-1", "S-BIN-1"],
            binaries_of_any_size,
        )
        .needs(Capability::LargeValues),
        Trial::new("store.large-values-are-replaced-whole", &["S-SIZE-2"], replaced_whole)
            .needs(Capability::LargeValues),
        Trial::new(
            "store.large-values-in-multi-assoc",
            &["S-SIZE-1", "S-MULTI-2"],
            in_multi_assoc,
        )
        .needs(Capability::LargeValues)
        .needs(Capability::Transactions),
        Trial::new(
            "store.collect-removes-what-was-replaced",
            &["S-COLLECT-1"],
            collect_removes,
        )
        .needs(Capability::LargeValues),
        Trial::new("store.without-large-values", &["S-SIZE-3"], without_large_values).without(Capability::LargeValues),
    ]
}

/// What is meant by large: some chunks, where the engine has a limit.
fn large(arena: &Arena) -> usize {
    3 * arena.largest_item() + 17
}

/// Bytes that differ from place to place and from seed to seed.
fn pattern(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|at| (at / 251) as u8 ^ (at % 253) as u8 ^ seed).collect()
}

fn text(size: usize, seed: u8) -> String {
    pattern(size, seed)
        .into_iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect()
}

/// Sizes around the limit of an item, and one far above it.
fn sizes(arena: &Arena) -> Vec<usize> {
    let mut sizes = vec![0, 1, 4096];
    if let Some(limit) = arena.capabilities.item_limit.filter(|limit| *limit < 4_000_000) {
        sizes.extend([limit - 1024, limit - 512, limit - 256, limit - 1, limit, limit + 1]);
    }
    sizes.push(large(arena));
    sizes
}

async fn documents_of_any_size(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    for size in sizes(&arena) {
        let value = text(size, 1);
        store.assoc("text", &value).await?;
        check!(
            other.get::<String>("text").await?.as_ref() == Some(&value),
            "a text of {size} bytes came back otherwise"
        );
        let updated = other
            .update("text", |old: Option<String>| old.unwrap_or_default() + "x")
            .await?;
        check!(
            updated.old.as_ref() == Some(&value),
            "an update of {size} bytes got something else"
        );
        check!(
            store.get::<String>("text").await? == Some(updated.new),
            "an update of {size} bytes is not there"
        );
        check!(store.dissoc("text").await?, "a text of {size} bytes did not exist");
        same!(other.get::<String>("text").await?, None, "what was removed");
    }
    Ok(())
}

async fn binaries_of_any_size(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    for size in sizes(&arena) {
        let bytes = Bytes::from(pattern(size, 2));
        store.bassoc("binary", bytes.clone()).await?;
        let Some(blob) = other.bget("binary").await? else {
            check!(false, "a binary of {size} bytes was not found");
            return Ok(());
        };
        same!(blob.len(), size as u64, "the length");
        check!(
            blob.bytes().await? == bytes,
            "a binary of {size} bytes came back otherwise"
        );
        check!(store.dissoc("binary").await?, "a binary of {size} bytes did not exist");
        check!(
            !other.exists("binary").await?,
            "a binary of {size} bytes exists after its removal"
        );
    }
    Ok(())
}

/// Small and large values take turns; a reader gets one of them whole.
async fn replaced_whole(arena: Arc<Arena>) -> Verdict {
    let (store, reader) = (another(&arena).await?, store(&arena));
    let size = large(&arena);
    let values: Vec<String> = (0..6)
        .map(|seed| text(if seed % 3 == 2 { 10 } else { size }, seed))
        .collect();
    store.assoc("text", &values[0]).await?;
    let writing = {
        let values = values.clone();
        tokio::spawn(async move {
            for value in values.iter().cycle().take(12) {
                store.assoc("text", value).await?;
            }
            Verdict::Ok(())
        })
    };
    while !writing.is_finished() {
        match reader.get::<String>("text").await {
            Ok(Some(found)) => check!(values.contains(&found), "a mix of values: {} bytes", found.len()),
            Ok(None) => check!(false, "a value that is always there was not found"),
            // Overtaken more often than it starts over, which is an honest answer.
            Err(error) => check!(error.kind() == ErrorKind::Contended, "a read failed: {error:?}"),
        }
        tokio::task::yield_now().await;
    }
    joined(writing).await
}

async fn in_multi_assoc(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let size = large(&arena);
    let values = [
        ("small", text(5, 1)),
        ("large", text(size, 2)),
        ("larger", text(size + 100, 3)),
    ];
    store.multi_assoc(values.clone()).await?;
    for (key, value) in &values {
        check!(
            store.get::<String>(*key).await?.as_ref() == Some(value),
            "what is at {key} came back otherwise"
        );
    }
    let found = store.multi_get::<String>(values.iter().map(|(key, _)| *key)).await?;
    check!(
        found.values().eq([&values[1].1, &values[2].1, &values[0].1]),
        "multi_get brought something else"
    );
    Ok(())
}

/// How many chunks and generation rows there are.
async fn left(arena: &Arena) -> Verdict<(usize, usize)> {
    let how = Listing::all(Read::STRONG.without_body());
    let chunks = arena.list(Space::Chunk, how.clone()).await?.len();
    Ok((chunks, arena.list(Space::Generation, how).await?.len()))
}

async fn collect_all(store: &Store) -> Verdict {
    // What must be done twice takes two calls.
    for _ in 0..3 {
        store.collect().without_waiting().await?;
    }
    Ok(())
}

async fn collect_removes(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let size = large(&arena);
    store.assoc("stays", &text(size, 1)).await?;
    let needed = left(&arena).await?;
    store.assoc("replaced", &text(size, 2)).await?;
    store.assoc("replaced", &1).await?;
    store.bassoc("removed", pattern(size, 3)).await?;
    store.dissoc("removed").await?;
    store.assoc("again", &text(size, 4)).await?;
    store.assoc("again", &text(size, 5)).await?;
    store.dissoc("again").await?;
    collect_all(&store).await?;
    same!(left(&arena).await?, needed, "chunks and generations that are left");
    check!(
        store.get::<String>("stays").await? == Some(text(size, 1)),
        "what stays came back otherwise"
    );
    same!(
        store.get::<i64>("replaced").await?,
        Some(1),
        "what replaced a large value"
    );
    store.dissoc("stays").await?;
    collect_all(&store).await?;
    same!(
        left(&arena).await?,
        (0, 0),
        "chunks and generations that are left of nothing"
    );
    Ok(())
}

async fn without_large_values(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &1).await?;
    let size = large(&arena);
    refused(
        ErrorKind::Unsupported,
        "a large document",
        store.assoc("a", &text(size, 1)).await,
    )?;
    refused(
        ErrorKind::Unsupported,
        "a large binary",
        store.bassoc("a", pattern(size, 1)).await,
    )?;
    same!(store.get::<Value>("a").await?, Some(Value::from(1)), "what is there");
    same!(left(&arena).await?, (0, 0), "chunks and generations");
    Ok(())
}
