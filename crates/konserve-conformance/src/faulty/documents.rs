//! Trials of the operations on documents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use konserve_core::{Key, Result, Revision, Store, Value, path};

use super::store::{Call, large};
use crate::trial::{Capability, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let small = [
        Call::change("assoc", "assoc", |store, key| async move {
            store.assoc(key, "new").await.map(drop)
        })
        .after(old),
        Call::change("assoc-if-absent", "assoc", |store, key| async move {
            store.assoc(key, "new").if_absent().await.map(drop)
        }),
        if_revision(),
        Call::change("assoc-in", "assoc_in", |store, key| async move {
            store.assoc_in(path![&*key, "a", "b"], &2).await.map(drop)
        })
        .after(nested),
        Call::change("update", "update", |store, key| async move {
            let updated = store.update(key, |count: Option<i64>| count.unwrap_or(0) + 1).await?;
            Ok((updated.old, updated.new))
        })
        .after(|store, key| async move { store.assoc(key, &5).await }),
        Call::change("update-of-absent", "update", |store, key| async move {
            let updated = store.update(key, |count: Option<i64>| count.unwrap_or(0) + 1).await?;
            Ok((updated.old, updated.new))
        }),
        Call::change("update-in", "update_in", |store, key| async move {
            let path = path![&*key, "a", "count"];
            let updated = store
                .update_in(path, |count: Option<i64>| count.unwrap_or(0) + 1)
                .await?;
            Ok((updated.old, updated.new))
        })
        .after(nested),
        Call::change("dissoc", "dissoc", |store, key| async move { store.dissoc(key).await }).after(old),
        Call::change("dissoc-in", "dissoc_in", |store, key| async move {
            store.dissoc_in(path![&*key, "a", "count"]).await
        })
        .after(nested),
        Call::read("get", "get", |store, key| async move { store.get::<String>(key).await }).after(old),
        Call::read("get-in", "get_in", |store, key| async move {
            store.get_in::<i64>(path![&*key, "a", "count"]).await
        })
        .after(nested),
        Call::read(
            "get-meta",
            "get_meta",
            |store, key| async move { store.get_meta(key).await },
        )
        .after(old),
        Call::read("exists", "exists", |store, key| async move { store.exists(key).await }).after(old),
        Call::read("keys", "keys", |store, key| async move { keys(&store, key).await })
            .of_no_key()
            .after(|store, key| async move {
                for number in 0..7 {
                    store.assoc(format!("{key}: {number}"), &number).await?;
                }
                Ok(())
            }),
    ];
    let with_chunks = [
        Call::change("assoc-large", "assoc", |store, key| async move {
            store.assoc(key, &large("n")).await.map(drop)
        })
        .after(|store, key| async move { store.assoc(key, &large("o")).await }),
        Call::change("update-large", "update", |store, key| async move {
            let updated = store
                .update(key, |text: Option<String>| text.unwrap_or_default() + "n")
                .await?;
            Ok((updated.old.map(|old| old.len()), updated.new.len()))
        })
        .after(|store, key| async move { store.assoc(key, &large("o")).await }),
        Call::change(
            "dissoc-large",
            "dissoc",
            |store, key| async move { store.dissoc(key).await },
        )
        .after(|store, key| async move { store.assoc(key, &large("o")).await }),
        Call::read("get-large", "get", |store, key| async move {
            store.get::<String>(key).await
        })
        .after(|store, key| async move { store.assoc(key, &large("o")).await }),
    ];
    let small = small.into_iter().map(Call::trial);
    let with_chunks = with_chunks
        .into_iter()
        .map(|call| call.trial().needs(Capability::Transactions));
    small.chain(with_chunks).collect()
}

async fn old(store: Store, key: String) -> Result<Revision> {
    store.assoc(key, "old").await
}

async fn nested(store: Store, key: String) -> Result<Revision> {
    let document: Value = "{\"a\" {\"count\" 5, \"b\" 1}, \"stays\" [1 2]}".parse()?;
    store.assoc(key, &document).await
}

fn if_revision() -> Call {
    let revisions: Arc<Mutex<HashMap<String, Revision>>> = Arc::default();
    let notes = Arc::clone(&revisions);
    Call::change("assoc-if-revision", "assoc", move |store, key| {
        let revisions = revisions.lock().unwrap_or_else(PoisonError::into_inner);
        // The lowest one is nobody's, so a note that is missing shows as a conflict.
        let revision = revisions.get(&key).copied().unwrap_or(Revision::from_bytes([0; 16]));
        async move { store.assoc(key, "new").if_revision(revision).await.map(drop) }
    })
    .after(move |store, key| {
        let notes = Arc::clone(&notes);
        async move {
            let revision = store.assoc(&*key, "old").await?;
            notes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, revision);
            Ok(())
        }
    })
}

/// The keys that there are, in order.
async fn keys(store: &Store, prefix: String) -> Result<Vec<Key>> {
    let mut keys: Vec<_> = store
        .keys()
        .prefix(prefix)
        .map_ok(|meta| meta.key)
        .try_collect()
        .await?;
    keys.sort_unstable();
    Ok(keys)
}
