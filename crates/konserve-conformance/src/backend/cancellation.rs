//! Trials of dropping the future of a mutation.

use std::sync::Arc;

use futures::FutureExt;
use konserve_core::backend::{Committed, Mutation, Occupant, When, Written};

use crate::arena::{Arena, item};
use crate::failure::{Verdict, check, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("cancellation.write", &["B-CANCEL-1"], write),
        Trial::new("cancellation.remove", &["B-CANCEL-1"], remove),
        Trial::new("cancellation.commit", &["B-CANCEL-1", "B-COMMIT-6"], commit).needs(Capability::Transactions),
    ]
}

/// How many polls a future gets before it is dropped: 0, 1, … up to this.
const POLLS: usize = 12;

/// Polls a future so many times, then drops it.
async fn poll_and_drop<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if future.as_mut().now_or_never().is_some() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn write(arena: Arc<Arena>) -> Verdict {
    for polls in 0..POLLS {
        let at = arena.at(&format!("polls-{polls}"));
        let (old, new) = (item(arena.rev()), item(arena.rev()));
        arena.put(&at, &old).await?;
        poll_and_drop(arena.backend.write(&at, new.clone(), When::Newer), polls).await;
        let found = arena.get(&at).await?;
        let whole = found.as_ref() == Some(&old) || found.as_ref() == Some(&new);
        check!(
            whole,
            "after {polls} polls neither the old nor the new item is there: {found:?}"
        );
        // What may still come is fenced off by whatever comes later.
        let last = item(arena.rev());
        let written = arena.backend.write(&at, last.clone(), When::Newer).await?;
        check!(matches!(written, Written::Applied { .. }), "a later write: {written:?}");
        same!(arena.get(&at).await?, Some(last), "what is there in the end");
    }
    Ok(())
}

async fn remove(arena: Arc<Arena>) -> Verdict {
    for polls in 0..POLLS {
        let at = arena.at(&format!("polls-{polls}"));
        let (old, removal) = (item(arena.rev()), arena.rev());
        arena.put(&at, &old).await?;
        poll_and_drop(arena.backend.remove(&at, removal, When::Newer), polls).await;
        let found = arena.occupant(&at).await?;
        let whole = [Occupant::Item(old), Occupant::Tombstone(removal)]
            .map(Some)
            .contains(&found);
        check!(
            whole,
            "after {polls} polls neither the item nor its tombstone is there: {found:?}"
        );
        let last = arena.rev();
        arena.bury(&at, last).await?;
        same!(
            arena.occupant(&at).await?,
            Some(Occupant::Tombstone(last)),
            "what is there in the end"
        );
    }
    Ok(())
}

async fn commit(arena: Arc<Arena>) -> Verdict {
    for polls in 0..POLLS {
        let addresses = ["a", "b", "c"].map(|name| arena.at(&format!("{name}-{polls}")));
        let new = item(arena.rev());
        let all: Vec<_> = addresses
            .iter()
            .map(|at| Mutation::Write {
                at: at.clone(),
                item: new.clone(),
                when: When::Absent,
            })
            .collect();
        poll_and_drop(arena.backend.commit(all.clone()), polls).await;
        // It may still come, but not in parts: once one of them is there, all are.
        let mut came = false;
        for at in addresses.iter().chain(&addresses) {
            let found = arena.get(at).await?;
            check!(
                found.is_some() || !came,
                "after {polls} polls a part of the commit is there, and {at} is not"
            );
            came |= found.is_some();
        }
        // The same commit again settles it.
        same!(
            arena.backend.commit(all).await?,
            Committed::Applied,
            "the same commit, not dropped"
        );
        for at in &addresses {
            same!(arena.get(at).await?, Some(new.clone()), "what is at {at}");
        }
    }
    Ok(())
}
