//! Trials of what an engine tells handles of one store by.

use std::sync::Arc;

use crate::arena::{Arena, item};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("identity.of-one-store", &["B-SAME-1"], of_one_store).needs_nothing(),
        Trial::new("identity.of-different-stores", &["B-SAME-2"], of_different_stores).needs_nothing(),
    ]
}

async fn of_one_store(arena: Arc<Arena>) -> Verdict {
    let identity = arena.backend.identity();
    let another = arena.namespace.another().await?;
    same!(another.identity(), identity, "the identity of another handle");
    arena.put(&arena.at("a"), &item(arena.rev())).await?;
    same!(arena.backend.identity(), identity, "the identity after a write");
    same!(another.identity(), identity, "that of the other handle after a write");
    another.close().await?;
    same!(another.identity(), identity, "the identity of a handle that was closed");
    Ok(())
}

async fn of_different_stores(arena: Arc<Arena>) -> Verdict {
    let identity = arena.backend.identity();
    arena
        .elsewhere(|other| async move {
            let others = other.backend.identity();
            check!(
                identity.is_none() || others != identity,
                "two stores have the same identity: {identity:?}"
            );
            Ok(())
        })
        .await
}
