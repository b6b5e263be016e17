//! Trials of the operations on several keys.

use konserve_core::{Key, Result, Revision, Store};

use super::store::{Call, large};
use crate::trial::{Capability, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let few = Call::read("multi-get", "multi_get", get).after(three).of_no_key();
    let many = Call::read("get-many", "get_many", |store, key| async move {
        let absent = (0..120).map(|number| format!("{key}: absent {number}"));
        let mut found = store.get_many::<String>(keys(&key).into_iter().chain(absent)).await?;
        Ok(keys(&key).map(|key| found.remove(&Key::from(key))))
    })
    .after(three)
    .of_no_key();
    let with_transactions = [
        Call::change("multi-assoc", "multi_assoc", |store, key| async move {
            store.multi_assoc(keys(&key).map(|key| (key, "new"))).await.map(drop)
        })
        .after(three)
        .seen_by(get),
        Call::change("multi-assoc-large", "multi_assoc", |store, key| async move {
            let texts = [large("n"), "new".to_owned(), large("m")];
            store.multi_assoc(keys(&key).into_iter().zip(texts)).await.map(drop)
        })
        .after(three)
        .seen_by(get),
        Call::change("multi-dissoc", "multi_dissoc", dissoc)
            .after(three)
            .seen_by(get),
        Call::change("multi-dissoc-of-absent", "multi_dissoc", dissoc)
            .after(|store, key| async move {
                let [first, ..] = keys(&key);
                store.assoc(first, "old").await
            })
            .seen_by(get),
        Call::read("multi-get-snapshot", "multi_get", |store, key| async move {
            let mut found = store.multi_get::<String>(keys(&key)).snapshot().await?;
            Ok(keys(&key).map(|key| found.remove(&Key::from(key))))
        })
        .after(three),
        Call::read("multi-get-large", "multi_get", get)
            .after(|store, key| async move { store.multi_assoc(keys(&key).map(|key| (key, large("o")))).await }),
    ];
    let with_transactions = with_transactions
        .into_iter()
        .map(|call| call.of_no_key().trial().needs(Capability::Transactions));
    [few.trial(), many.trial()]
        .into_iter()
        .chain(with_transactions)
        .collect()
}

fn keys(key: &str) -> [String; 3] {
    ["a", "b", "c"].map(|end| format!("{key}: {end}"))
}

async fn three(store: Store, key: String) -> Result<Revision> {
    let [a, b, c] = keys(&key);
    store.assoc(a, "old").await?;
    store.assoc(b, "older").await?;
    store.assoc(c, "oldest").await
}

/// The documents in the order of their keys, of which the ends are the same in every place.
async fn get(store: Store, key: String) -> Result<Vec<Option<String>>> {
    let mut found = store.multi_get::<String>(keys(&key)).await?;
    Ok(keys(&key).map(|key| found.remove(&Key::from(key))).into())
}

async fn dissoc(store: Store, key: String) -> Result<Vec<bool>> {
    let existed = store.multi_dissoc(keys(&key)).await?;
    Ok(existed.into_values().collect())
}
