//! Updates: atomic across tasks and handles.

use konserve_core::store::UpdateError;
use konserve_core::{ErrorKind, Value, path};
use konserve_memory::Memory;

use crate::support::{competing, store};

#[tokio::test]
async fn an_update_tells_old_and_new_at_its_path() {
    let store = store();
    let updated = store
        .update_in(path!["k", "n"], |old: Option<i64>| old.map_or(1, |old| old + 1))
        .await
        .unwrap();
    assert_eq!((updated.old, updated.new), (None, 1));
    let updated = store
        .update_in(path!["k", "n"], |old: Option<i64>| old.map_or(1, |old| old + 1))
        .await
        .unwrap();
    assert_eq!((updated.old, updated.new), (Some(1), 2));
    assert_eq!(store.get_meta("k").await.unwrap().unwrap().revision, updated.revision);
}

#[tokio::test]
async fn a_function_that_fails_leaves_everything_as_it_is() {
    let store = store();
    store.assoc("k", &1).await.unwrap();
    let error = store
        .try_update("k", |_: Option<i64>| Err::<i64, _>("no"))
        .await
        .unwrap_err();
    assert!(matches!(error, UpdateError::Function("no")));
    let update = store.update("k", |_: Option<i64>| -> i64 { panic!("out of the function") });
    let panicked = tokio::spawn(update.into_future()).await.unwrap_err();
    assert!(panicked.is_panic());
    let error = store
        .try_update("k", |old: Option<String>| Ok::<_, &str>(old.unwrap()))
        .await
        .unwrap_err();
    assert!(matches!(error, UpdateError::Store(error) if error.kind() == ErrorKind::Codec));
    assert_eq!(store.get::<i64>("k").await.unwrap(), Some(1));
    // The lock went with them.
    store.update("k", |old: Option<i64>| old.unwrap() + 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_of_many_tasks_over_several_handles_are_all_counted() {
    let memory = Memory::new();
    let stores: Vec<_> = (0..4).map(|_| competing(&memory)).collect();
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let store = stores[task % 4].clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    store
                        .update_in(path!["counter", "n"], |old: Option<u64>| old.unwrap_or(0) + 1)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        stores[0].get_in::<u64>(path!["counter", "n"]).await.unwrap(),
        Some(1600)
    );
}

#[tokio::test]
async fn an_update_of_a_large_document_works_like_that_of_a_small_one() {
    let (_, store) = crate::support::small_items();
    let updated = store
        .update("k", |old: Option<Vec<u8>>| {
            old.unwrap_or_default().into_iter().chain([7; 10_000]).collect()
        })
        .await
        .unwrap();
    assert_eq!(updated.new.len(), 10_000);
    store
        .update("k", |old: Option<Vec<u8>>| old.unwrap()[..10].to_vec())
        .await
        .unwrap();
    assert_eq!(
        store.get::<Value>("k").await.unwrap().unwrap().as_list().unwrap().len(),
        10
    );
}
