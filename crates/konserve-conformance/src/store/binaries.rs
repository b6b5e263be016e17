//! Trials of `bassoc` and `bget`.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream;
use konserve_core::store::{Blob, Body};
use konserve_core::{ErrorKind, Kind, Store};

use super::store;
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.bassoc-every-source", &["S-BIN-1"], every_source),
        Trial::new("store.bassoc-source-that-fails", &["S-BIN-3"], source_that_fails),
        Trial::new("store.bassoc-conditions", &["S-ASSOC-2", "S-BIN-1"], conditions),
        Trial::new("store.bget-ranges", &["S-BIN-2"], ranges_of_small),
        Trial::new("store.bget-ranges-of-large", &["S-BIN-2", "S-SIZE-1"], ranges_of_large)
            .needs(Capability::LargeValues),
    ]
}

async fn opened(store: &Store, key: &str) -> Verdict<Blob> {
    let blob = store.bget(key).await?;
    blob.ok_or_else(|| Failure::new(format!("there is no binary at {key}")))
}

async fn every_source(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let bytes: Vec<u8> = (0..=255).collect();
    let pieces =
        [&bytes[..100], &[], &bytes[100..]].map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)));
    let sources = [
        ("bytes", Body::from(Bytes::from(bytes.clone()))),
        ("vec", Body::from(bytes.clone())),
        ("slice", Body::from(&bytes[..])),
        ("reader", Body::read(std::io::Cursor::new(bytes.clone()))),
        ("asynchronous reader", Body::reader(std::io::Cursor::new(bytes.clone()))),
        ("stream", Body::stream(stream::iter(pieces))),
    ];
    for (name, body) in sources {
        let revision = store.bassoc(name, body).await?;
        let blob = opened(&store, name).await?;
        check!(
            blob.bytes().await? == bytes,
            "what came from {name} came back otherwise"
        );
        same!(
            (blob.len(), blob.is_empty()),
            (256, false),
            "the length of what came from {name}"
        );
        let pieces: Vec<Bytes> = blob.stream().try_collect().await?;
        check!(pieces.concat() == bytes, "what came from {name} streams otherwise");
        let meta = store.get_meta(name).await?.ok_or_else(|| Failure::new("no meta"))?;
        same!(
            (meta.kind, meta.revision, meta.size),
            (Kind::Binary, revision, 256),
            "the meta of {name}"
        );
    }
    // The program itself is a file that is there wherever this runs.
    let program = std::env::current_exe().map_err(|error| Failure::new(format!("no file to read: {error}")))?;
    let missing = store.bassoc("missing", Body::file(program.join("missing"))).await;
    refused(ErrorKind::InvalidInput, "a file that is not there", missing)?;
    check!(!store.exists("missing").await?, "a missing file was stored");
    for (name, body, text) in [
        ("str", Body::from("text \u{1F600}"), "text \u{1F600}"),
        ("string", Body::from("text".to_owned()), "text"),
    ] {
        store.bassoc(name, body).await?;
        same!(
            opened(&store, name).await?.bytes().await?,
            Bytes::from(text),
            "what came from a {name}"
        );
    }
    store.bassoc("empty", Bytes::new()).await?;
    let blob = opened(&store, "empty").await?;
    same!((blob.len(), blob.bytes().await?), (0, Bytes::new()), "an empty binary");
    Ok(())
}

async fn source_that_fails(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.bassoc("a", "before").await?;
    let pieces = [
        Ok(Bytes::from(vec![1; 5000])),
        Err(std::io::Error::other("the source broke")),
    ];
    let answer = store.bassoc("a", Body::stream(stream::iter(pieces))).await;
    refused(ErrorKind::InvalidInput, "a source that fails", answer)?;
    same!(
        opened(&store, "a").await?.bytes().await?,
        Bytes::from("before"),
        "what is there"
    );
    Ok(())
}

async fn conditions(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.bassoc("a", "1").if_absent().await?;
    refused(
        ErrorKind::Conflict,
        "a second creation",
        store.bassoc("a", "2").if_absent().await,
    )?;
    store.bassoc("a", "3").if_revision(first).await?;
    let stale = store.bassoc("a", "4").if_revision(first).await;
    refused(ErrorKind::Conflict, "an old revision", stale)?;
    same!(
        opened(&store, "a").await?.bytes().await?,
        Bytes::from("3"),
        "what is there"
    );
    Ok(())
}

async fn ranges(arena: &Arena, size: usize) -> Verdict {
    let store = store(arena);
    let bytes = Bytes::from((0..size).map(|at| (at % 251) as u8).collect::<Vec<_>>());
    store.bassoc("a", bytes.clone()).await?;
    let blob = opened(&store, "a").await?;
    let mut random = arena.random();
    let mut cases = vec![
        (0, 0),
        (0, 1),
        (0, size),
        (size - 1, size),
        (size, size + 5),
        (size + 1, size + 2),
        (5, 3),
    ];
    cases.extend((0..12).map(|_| (random.below(size), random.below(size + 10))));
    for (start, end) in cases {
        let expected = bytes.slice(start.min(size)..end.clamp(start.min(size), size.max(start.min(size))));
        let part = blob.range(start as u64..end as u64);
        same!(
            part.len(),
            expected.len() as u64,
            "the length of {start} to {end} of {size}"
        );
        check!(
            part.bytes().await? == expected,
            "{start} to {end} of {size} came otherwise"
        );
        let pieces: Vec<Bytes> = part.stream().try_collect().await?;
        check!(
            pieces.concat() == expected,
            "{start} to {end} of {size} streams otherwise"
        );
    }
    Ok(())
}

async fn ranges_of_small(arena: Arc<Arena>) -> Verdict {
    ranges(&arena, 1000).await
}

async fn ranges_of_large(arena: Arc<Arena>) -> Verdict {
    ranges(&arena, 3 * arena.largest_item() + 100).await
}
