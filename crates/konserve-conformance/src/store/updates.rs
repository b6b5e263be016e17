//! Trials of `update` and `update_in`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use konserve_core::store::UpdateError;
use konserve_core::{ErrorKind, Value, path};

use super::{another, edn, store};
use crate::arena::{Arena, joined};
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.update", &["S-UPDATE-1"], update),
        Trial::new("store.update-that-fails", &["S-UPDATE-2"], update_that_fails),
        Trial::new("store.update-if-revision", &["S-UPDATE-1", "S-ASSOC-2"], if_revision),
        Trial::new("store.updates-add-up", &["S-UPDATE-3"], updates_add_up),
    ]
}

async fn update(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let next = |old: Option<i64>| old.map_or(1, |old| old + 1);
    let first = store.update("n", next).meta(edn("{:by \"me\"}")?).await?;
    same!((first.old, first.new), (None, 1), "the first update");
    let second = store.update("n", next).await?;
    same!((second.old, second.new), (Some(1), 2), "the second update");
    check!(second.revision > first.revision, "the revision did not grow");
    let meta = store.get_meta("n").await?.ok_or_else(|| Failure::new("no meta"))?;
    same!(
        (meta.revision, meta.user.len()),
        (second.revision, 1),
        "revision and fields"
    );

    store.assoc("doc", &edn("{:list [1 2], :other :stays}")?).await?;
    let inside = store
        .update_in(path!["doc", konserve_core::kw!("list"), 1], next)
        .await?;
    same!((inside.old, inside.new), (Some(2), 3), "an update inside");
    let deep = store
        .update_in(path!["doc", konserve_core::kw!("new"), "x"], next)
        .await?;
    same!((deep.old, deep.new), (None, 1), "an update at a new path");
    let expected = edn("{:list [1 3], :other :stays, :new {\"x\" 1}}")?;
    same!(store.get::<Value>("doc").await?, Some(expected), "the whole document");
    Ok(())
}

async fn update_that_fails(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let revision = store.assoc("n", &1).await?;
    let failing = store.try_update("n", |_: Option<i64>| Err::<i64, _>("no")).await;
    check!(
        matches!(failing, Err(UpdateError::Function("no"))),
        "the function's error is lost: {failing:?}"
    );
    let panicking = store.update("n", |_: Option<i64>| -> i64 {
        std::panic::resume_unwind(Box::new("planned"))
    });
    let outcome = AssertUnwindSafe(async { panicking.await }).catch_unwind().await;
    check!(outcome.is_err(), "the function's panic is lost");
    let wrong = store.update("n", |old: Option<String>| old.unwrap_or_default()).await;
    refused(
        ErrorKind::Codec,
        "a type that does not fit",
        wrong.map(|updated| updated.new),
    )?;
    let nowhere = store.update_in(path!["n", "x"], |_: Option<i64>| 1).await;
    refused(
        ErrorKind::Path,
        "a path through a number",
        nowhere.map(|updated| updated.new),
    )?;
    let meta = store.get_meta("n").await?;
    same!(
        meta.map(|meta| meta.revision),
        Some(revision),
        "the revision after updates that failed"
    );
    // The lock of the key was given back each time.
    same!(
        store.update("n", |_: Option<i64>| 2).await?.old,
        Some(1),
        "an update after them"
    );
    Ok(())
}

async fn if_revision(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.assoc("n", &1).await?;
    let second = store.update("n", |_: Option<i64>| 2).if_revision(first).await?;
    let stale = store.update("n", |_: Option<i64>| 3).if_revision(first).await;
    refused(ErrorKind::Conflict, "an old revision", stale.map(|updated| updated.new))?;
    same!(store.get::<i64>("n").await?, Some(second.new), "what is there");
    Ok(())
}

async fn updates_add_up(arena: Arc<Arena>) -> Verdict {
    const HANDLES: i64 = 4;
    const TASKS: i64 = 3;
    const UPDATES: i64 = 6;
    let mut tasks = Vec::new();
    for _ in 0..HANDLES {
        let store = another(&arena).await?;
        for _ in 0..TASKS {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                for _ in 0..UPDATES {
                    store
                        .update_in(path!["n", "count"], |old: Option<i64>| old.unwrap_or(0) + 1)
                        .await?;
                }
                Verdict::Ok(())
            }));
        }
    }
    for task in tasks {
        joined(task).await?;
    }
    let count = store(&arena).get_in::<i64>(path!["n", "count"]).await?;
    same!(count, Some(HANDLES * TASKS * UPDATES), "the count after all updates");
    Ok(())
}
