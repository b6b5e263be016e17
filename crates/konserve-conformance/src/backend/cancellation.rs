//! Trials of dropping the futures of an engine, after each poll.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use konserve_core::backend::{
    Committed, Listing, Mutation, Occupant, Partition, Purge, Read, RowQuery, Space, When, Written,
};

use crate::arena::{Arena, item, settled};
use crate::failure::{Verdict, check, same};
use crate::polls;
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("cancellation.write", &["B-CANCEL-1"], write),
        Trial::new("cancellation.remove", &["B-CANCEL-1"], remove),
        Trial::new("cancellation.commit", &["B-CANCEL-1", "B-COMMIT-6"], commit).needs(Capability::Transactions),
        Trial::new("cancellation.purge", &["B-CANCEL-1", "B-PURGE-4"], purge),
        Trial::new("cancellation.reads", &["B-CANCEL-2"], reads),
    ]
}

/// More polls than a call of an engine takes. A call that takes more is dropped after each of the first ones.
const MOST: usize = 100;

async fn write(arena: Arc<Arena>) -> Verdict {
    for polls in 0..MOST {
        let at = arena.at(&format!("polls-{polls}"));
        let (old, new) = (item(arena.rev()), item(arena.rev()));
        arena.put(&at, &old).await?;
        let (written, _) = polls::up_to(polls, arena.backend.write(&at, new.clone(), When::Newer)).await;
        let found = arena.get(&at).await?;
        let whole = found.as_ref() == Some(&old) || found.as_ref() == Some(&new);
        check!(
            whole,
            "after {polls} polls neither the old nor the new item is there: {found:?}"
        );
        let done = written.transpose()?.is_some();
        check!(
            !done || found.as_ref() == Some(&new),
            "an acknowledged write is not there: {found:?}"
        );
        // What may still come is fenced off by whatever comes later.
        let last = item(arena.rev());
        let written = settled(|| arena.backend.write(&at, last.clone(), When::Newer)).await?;
        check!(matches!(written, Written::Applied { .. }), "a later write: {written:?}");
        same!(arena.get(&at).await?, Some(last), "what is there in the end");
        if done {
            break;
        }
    }
    Ok(())
}

async fn remove(arena: Arc<Arena>) -> Verdict {
    for polls in 0..MOST {
        let at = arena.at(&format!("polls-{polls}"));
        let (old, removal) = (item(arena.rev()), arena.rev());
        arena.put(&at, &old).await?;
        let (removed, _) = polls::up_to(polls, arena.backend.remove(&at, removal, When::Newer)).await;
        let found = arena.get(&at).await?;
        let whole = found.is_none() || found.as_ref() == Some(&old);
        check!(whole, "after {polls} polls something else is there: {found:?}");
        let done = removed.transpose()?.is_some();
        check!(!done || found.is_none(), "an acknowledged removal left {found:?}");
        if found.is_none() {
            let tombstone = Some(Occupant::Tombstone(removal));
            same!(
                arena.occupant(&at).await?,
                tombstone,
                "what a removal leaves after {polls} polls"
            );
        }
        let last = arena.rev();
        arena.bury(&at, last).await?;
        same!(
            arena.occupant(&at).await?,
            Some(Occupant::Tombstone(last)),
            "what is there in the end"
        );
        if done {
            break;
        }
    }
    Ok(())
}

async fn commit(arena: Arc<Arena>) -> Verdict {
    for polls in 0..MOST {
        let addresses = ["a", "b", "c"].map(|name| arena.at(&format!("{name}-{polls}")));
        let old = item(arena.rev());
        arena.put(&addresses[1], &old).await?;
        let new = item(arena.rev());
        let all: Vec<_> = addresses
            .iter()
            .map(|at| Mutation::Write {
                at: at.clone(),
                item: new.clone(),
                when: When::Newer,
            })
            .collect();
        let (committed, _) = polls::up_to(polls, arena.backend.commit(all.clone())).await;
        let done = committed.transpose()?.is_some();
        // Whoever sees one part finds the others; as long as none is seen, it may still come.
        let mut is_there = done;
        for at in &addresses {
            is_there |= arena.get(at).await?.as_ref() == Some(&new);
        }
        for at in addresses.iter().filter(|_| is_there) {
            same!(
                arena.get(at).await?,
                Some(new.clone()),
                "what is at {at} after {polls} polls of a commit that was seen elsewhere"
            );
        }
        // The same commit again settles it, as it is the same one.
        same!(
            settled(|| arena.backend.commit(all.clone())).await?,
            Committed::Applied,
            "the same commit, not dropped"
        );
        for at in &addresses {
            same!(arena.get(at).await?, Some(new.clone()), "what is at {at}");
        }
        if done {
            break;
        }
    }
    Ok(())
}

async fn purge(arena: Arc<Arena>) -> Verdict {
    for polls in 0..MOST {
        let places: Vec<_> = (0..8).map(|row| arena.at(&format!("{row}-{polls}"))).collect();
        let items: Vec<_> = places.iter().map(|at| (at.clone(), item(arena.rev()))).collect();
        arena.fill(items.clone()).await?;
        let stays = arena.at(&format!("stays-{polls}"));
        let staying = item(arena.rev());
        arena.put(&stays, &staying).await?;
        let what: Vec<_> = places.iter().cloned().map(Purge::Row).collect();
        let (purged, _) = polls::up_to(polls, arena.backend.purge(&what)).await;
        let done = purged.transpose()?.is_some();
        let found = arena.backend.read_many(&places, Read::STRONG).await?;
        for (found, (at, item)) in found.into_iter().zip(&items) {
            check!(
                found.is_none() || found.as_ref() == Some(item),
                "after {polls} polls something else is at {at}: {found:?}"
            );
            check!(!done || found.is_none(), "an acknowledged purge left {found:?} at {at}");
        }
        arena.backend.purge(&what).await?;
        let left = arena.backend.read_many(&places, Read::STRONG).await?;
        check!(
            left.iter().all(Option::is_none),
            "the same purge, not dropped, left something"
        );
        same!(arena.get(&stays).await?, Some(staying), "what was not purged");
        if done {
            break;
        }
    }
    Ok(())
}

/// Every way to read, dropped after each poll, on a handle that is used on.
async fn reads(arena: Arc<Arena>) -> Verdict {
    let documents = arena.fill_documents().await?;
    let partition = Partition::new("log");
    let rows = arena.fill_rows(&partition).await?;
    let addresses: Vec<_> = documents.iter().map(|(at, _)| at.clone()).collect();
    let (at, backend) = (&addresses[0], &arena.backend);
    let query = RowQuery::all(Space::Log, partition, Read::STRONG);
    let listing = Listing::all(Read::STRONG);
    for polls in 0..MOST {
        let (read, _) = polls::up_to(polls, backend.read(at, Read::STRONG)).await;
        let (many, _) = polls::up_to(polls, backend.read_many(&addresses, Read::STRONG)).await;
        // A stream is dropped in the middle of a page, between two, and before the first.
        let row = backend.rows(query.clone()).take(polls).try_collect::<Vec<_>>();
        let (row, _) = polls::up_to(polls, row).await;
        let listed = backend.list(Space::Document, listing.clone()).try_collect::<Vec<_>>();
        let (listed, _) = polls::up_to(polls, listed).await;
        let ended = read.transpose()?.is_some() && many.transpose()?.is_some();
        if ended & row.transpose()?.is_some() & listed.transpose()?.is_some() {
            break;
        }
    }
    let found = backend.read_many(&addresses, Read::STRONG).await?;
    let whole = found.into_iter().eq(documents.into_iter().map(|(_, item)| Some(item)));
    check!(whole, "documents are missing or came back otherwise");
    same!(arena.rows(query).await?, rows, "the rows");
    same!(
        arena.list(Space::Document, listing).await?.len(),
        addresses.len(),
        "how many documents are listed"
    );
    Ok(())
}
