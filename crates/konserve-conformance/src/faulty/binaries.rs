//! Trials of the operations on binaries.

use bytes::Bytes;
use futures::TryStreamExt;
use konserve_core::store::Body;
use konserve_core::{Result, Revision, Store};

use super::store::{Call, LARGE};
use crate::trial::{Capability, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let small = [
        Call::change("bassoc", "bassoc", |store, key| async move {
            store.bassoc(key, "new").await.map(drop)
        })
        .after(|store, key| async move { store.bassoc(key, "old").await })
        .seen_by(bytes),
        Call::read("bget", "bget", bytes).after(|store, key| async move { store.bassoc(key, "old").await }),
    ];
    let with_chunks = [
        Call::change("bassoc-large", "bassoc", |store, key| async move {
            store.bassoc(key, vec![b'n'; LARGE]).await.map(drop)
        })
        .after(large)
        .seen_by(bytes),
        Call::change("bassoc-of-a-stream", "bassoc", |store, key| async move {
            let pieces = (0..7).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'n'; LARGE / 5])));
            let pieces: Vec<_> = pieces.collect();
            store
                .bassoc(key, Body::stream(futures::stream::iter(pieces)))
                .await
                .map(drop)
        })
        .after(large)
        .seen_by(bytes),
        Call::read("bget-large", "bget", bytes).after(large),
        Call::read("bget-as-a-stream", "bget", |store, key| async move {
            let Some(blob) = store.bget(key).await? else {
                return Ok(None);
            };
            let pieces: Vec<Bytes> = blob.stream().try_collect().await?;
            Ok(Some(pieces.concat().len()))
        })
        .after(large),
        Call::read("bget-a-range", "bget", |store, key| async move {
            match store.bget(key).await? {
                Some(blob) => blob.range(1_000..1_100).bytes().await.map(Some),
                None => Ok(None),
            }
        })
        .after(large),
    ];
    let small = small.into_iter().map(Call::trial);
    let with_chunks = with_chunks
        .into_iter()
        .map(|call| call.trial().needs(Capability::Transactions));
    small.chain(with_chunks).collect()
}

async fn large(store: Store, key: String) -> Result<Revision> {
    store.bassoc(key, vec![b'o'; 4 * LARGE]).await
}

async fn bytes(store: Store, key: String) -> Result<Option<Bytes>> {
    match store.bget(key).await? {
        Some(blob) => blob.bytes().await.map(Some),
        None => Ok(None),
    }
}
