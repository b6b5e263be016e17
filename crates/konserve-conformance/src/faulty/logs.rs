//! Trials of the operations on logs.

use futures::TryStreamExt;
use konserve_core::{Position, Result, Store};

use super::store::{Call, large, log};
use crate::trial::{Capability, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let small = [
        Call::change("append", "append", |store, key| async move {
            store.append(key, "new").await
        })
        .after(three)
        .begun_by(|store, key| async move { store.append(key, "begun").await }),
        Call::change("append-to-an-unknown-log", "append", |store, key| async move {
            store.append(key, "new").await
        })
        .after(three),
        Call::change("append-to-nothing", "append", |store, key| async move {
            store.append(key, "new").await
        }),
        Call::change("append-all", "append_all", |store, key| async move {
            store.append_all(key, ["new", "newer", "newest"]).await
        })
        .after(three),
        Call::change(
            "dissoc-log",
            "dissoc",
            |store, key| async move { store.dissoc(key).await },
        )
        .after(three),
        Call::read("log", "log", |store, key| async move { entries(store, key).await }).after(three),
        Call::read("log-range", "log", |store, key| async move {
            store.log::<String>(key).range(1..3).try_collect::<Vec<_>>().await
        })
        .after(three),
        Call::read("log-last", "log", |store, key| async move {
            store.log::<String>(key).last(2).try_collect::<Vec<_>>().await
        })
        .after(three),
        Call::read("log-that-is-known", "log", |store, key| async move {
            entries(store, key).await
        })
        .begun_by(three),
        Call::read("reduce-log", "reduce_log", |store, key| async move {
            store
                .reduce_log(key, String::new(), |all, entry: String| all + &entry)
                .await
        })
        .after(three),
    ];
    let with_chunks = [
        Call::change("append-large", "append", |store, key| async move {
            store.append(key, &large("n")).await
        })
        .after(three),
        Call::read("log-of-large-entries", "log", |store, key| async move {
            entries(store, key).await
        })
        .after(|store, key| async move { store.append(key, &large("o")).await }),
    ];
    let small = small.into_iter().map(|call| call.seen_by(log).trial());
    let with_chunks = with_chunks
        .into_iter()
        .map(|call| call.seen_by(log).trial().needs(Capability::Transactions));
    small.chain(with_chunks).collect()
}

/// Three items, of one, two and one entries.
async fn three(store: Store, key: String) -> Result<Position> {
    store.append(&*key, "first").await?;
    store.append_all(&*key, ["second", "third"]).await?;
    store.append(&*key, "fourth").await
}

async fn entries(store: Store, key: String) -> Result<Vec<String>> {
    store.log(key).try_collect().await
}
