//! Trials of closing and of restart.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use konserve_core::backend::{
    Backend, Item, Listing, Mutation, Occupant, Partition, Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::{ErrorKind, Outcome, Result};

use crate::arena::{Arena, expired, item, joined, occupant_by};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "close.everything-answers-closed",
            &["B-CLOSE-1"],
            everything_answers_closed,
        )
        .needs_nothing(),
        Trial::new("close.commit-answers-closed", &["B-CLOSE-1"], commit_answers_closed)
            .needs_nothing()
            .needs(Capability::Transactions),
        Trial::new(
            "close.concerns-no-other-handle",
            &["B-CLOSE-2"],
            concerns_no_other_handle,
        ),
        Trial::new("close.of-streams-under-way", &["B-CLOSE-4"], streams_under_way),
        Trial::new("close.of-mutations-under-way", &["B-CLOSE-5"], mutations_under_way),
        Trial::new("close.twice", &["B-CLOSE-3"], twice).needs_nothing(),
        Trial::new("restart.everything-is-there", &["B-RESTART-1"], everything_is_there),
        Trial::new("restart.listings-go-on", &["B-LIST-3", "B-RESTART-1"], listings_go_on),
        Trial::new("restart.conditions-hold", &["B-RESTART-1", "B-WHEN-7"], conditions_hold),
    ]
}

async fn everything_answers_closed(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    arena.put(&at, &item(arena.rev())).await?;
    let backend = &arena.backend;
    backend.close().await?;
    let closed = ErrorKind::Closed;
    refused(closed, "read", backend.read(&at, Read::EVENTUAL).await)?;
    let asked = std::slice::from_ref(&at);
    refused(closed, "read_many", backend.read_many(asked, Read::EVENTUAL).await)?;
    refused(
        closed,
        "write",
        backend.write(&at, item(arena.rev()), When::Newer).await,
    )?;
    refused(closed, "remove", backend.remove(&at, arena.rev(), When::Newer).await)?;
    refused(closed, "purge", backend.purge(&[Purge::Row(at.clone())]).await)?;
    let query = RowQuery::all(Space::Document, Partition::new("a"), Read::EVENTUAL);
    let rows: Vec<_> = backend.rows(query).collect().await;
    check!(rows.len() == 1, "a stream of rows answers once and ends: {rows:?}");
    for row in rows {
        refused(closed, "rows", row)?;
    }
    let listed: Vec<_> = backend
        .list(Space::Document, Listing::all(Read::EVENTUAL))
        .collect()
        .await;
    check!(listed.len() == 1, "a listing answers once and ends: {listed:?}");
    for one in listed {
        refused(closed, "list", one)?;
    }
    same!(
        backend.capabilities(),
        arena.capabilities,
        "the capabilities of a closed handle"
    );
    Ok(())
}

async fn commit_answers_closed(arena: Arc<Arena>) -> Verdict {
    arena.backend.close().await?;
    let all = vec![Mutation::Write {
        at: arena.at("a"),
        item: item(arena.rev()),
        when: When::Newer,
    }];
    refused(ErrorKind::Closed, "commit", arena.backend.commit(all).await)?;
    Ok(())
}

async fn concerns_no_other_handle(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let (at, first) = (arena.at("a"), item(arena.rev()));
    arena.put(&at, &first).await?;
    arena.backend.close().await?;
    same!(
        another.read(&at, Read::STRONG).await?,
        Some(first),
        "what the other handle reads"
    );
    let second = item(arena.rev());
    another.write(&at, second.clone(), When::Exists).await?;
    let third = arena.namespace.another().await?;
    same!(
        third.read(&at, Read::STRONG).await?,
        Some(second),
        "what a third handle reads"
    );
    Ok(())
}

/// Takes one part of a stream, closes the handle, and takes the rest.
async fn rest<T: std::fmt::Debug>(
    arena: &Arena,
    handle: &dyn Backend,
    what: &str,
    mut stream: BoxStream<'static, Result<T>>,
) -> Verdict {
    let first = stream.next().await;
    check!(matches!(first, Some(Ok(_))), "{what}: the first part is {first:?}");
    handle.close().await?;
    let mut count = 1;
    while let Some(part) = stream.next().await {
        match part {
            Ok(_) => count += 1,
            Err(error) => {
                same!(error.kind(), ErrorKind::Closed, "{what}: the kind of error");
                check!(stream.next().await.is_none(), "{what}: it goes on after an error");
                return Ok(());
            }
        }
    }
    let all = 2 * arena.page.items + 3;
    check!(count == all, "{what}: it ended without an error after {count} of {all}");
    Ok(())
}

async fn streams_under_way(arena: Arc<Arena>) -> Verdict {
    let partition = Partition::new("log");
    arena.fill_rows(&partition).await?;
    arena.fill_documents().await?;
    let handle = arena.namespace.another().await?;
    let rows = handle.rows(RowQuery::all(Space::Log, partition, Read::STRONG));
    rest(&arena, &*handle, "rows", rows).await?;
    let handle = arena.namespace.another().await?;
    let listing = handle.list(Space::Document, Listing::all(Read::STRONG));
    rest(&arena, &*handle, "a listing", listing).await?;
    Ok(())
}

async fn mutations_under_way(arena: Arc<Arena>) -> Verdict {
    for round in 0..5 {
        let handle = arena.namespace.another().await?;
        let mut tasks = Vec::new();
        for number in 0..8 {
            let (handle, at, item) = (
                Arc::clone(&handle),
                arena.at(&format!("{round}-{number}")),
                item(arena.rev()),
            );
            tasks.push(tokio::spawn(async move {
                let answer = handle.write(&at, item.clone(), When::Newer).await;
                Verdict::Ok((at, item, answer))
            }));
        }
        tokio::task::yield_now().await;
        handle.close().await?;
        for task in tasks {
            let (at, item, answer) = joined(task).await?;
            let found = arena.get(&at).await?;
            match answer {
                Ok(Written::Applied { .. }) => {
                    same!(found, Some(item), "what was acknowledged while the handle closed")
                }
                Ok(refused) => check!(false, "a write that nothing refuses: {refused:?}"),
                Err(error) if error.outcome() == Outcome::NotApplied => {
                    same!(error.kind(), ErrorKind::Closed, "the kind of error");
                    same!(found, None, "what was not written");
                }
                Err(error) => same!(error.kind(), ErrorKind::UnknownOutcome, "the kind of error"),
            }
        }
    }
    Ok(())
}

async fn twice(arena: Arc<Arena>) -> Verdict {
    arena.backend.close().await?;
    arena.backend.close().await?;
    refused(
        ErrorKind::Closed,
        "read",
        arena.backend.read(&arena.at("a"), Read::EVENTUAL).await,
    )?;
    Ok(())
}

async fn everything_is_there(arena: Arc<Arena>) -> Verdict {
    let documents = arena.fill_documents().await?;
    let rows = arena.fill_rows(&Partition::new("log")).await?;
    let (pinned, gone, old, erased) = (
        arena.at("pinned"),
        arena.at("gone"),
        arena.at("old"),
        arena.at("erased"),
    );
    let fixed = Item {
        pinned: true,
        ..item(arena.rev())
    };
    let (removal, past) = (arena.rev(), expired(arena.rev()));
    arena.put(&pinned, &fixed).await?;
    arena.bury(&gone, removal).await?;
    arena.put(&old, &past).await?;
    arena.put(&erased, &item(arena.rev())).await?;
    arena.backend.purge(&[Purge::Row(erased.clone())]).await?;
    arena.backend.close().await?;

    let backend = arena.namespace.reopen().await?;
    same!(backend.capabilities(), arena.capabilities, "the capabilities");
    let asked: Vec<_> = documents.iter().map(|(at, _)| at.clone()).collect();
    let found = backend.read_many(&asked, Read::STRONG).await?;
    let whole = found.into_iter().eq(documents.into_iter().map(|(_, item)| Some(item)));
    check!(whole, "documents are missing or came back otherwise");
    let query = RowQuery::all(Space::Log, Partition::new("log"), Read::STRONG);
    let mut found = backend.rows(query);
    for expected in rows {
        same!(found.next().await.transpose()?, Some(expected), "a row");
    }
    same!(found.next().await.transpose()?, None, "what comes behind the rows");
    for (at, expected) in [
        (pinned, Some(Occupant::Item(fixed))),
        (gone, Some(Occupant::Tombstone(removal))),
        (old, Some(Occupant::Tombstone(past.rev))),
        (erased, None),
    ] {
        same!(occupant_by(&*backend, &at).await?, expected, "what is at {at}");
    }
    Ok(())
}

async fn listings_go_on(arena: Arc<Arena>) -> Verdict {
    arena.fill_documents().await?;
    let everything = arena.list(Space::Document, Listing::all(Read::STRONG)).await?;
    arena.backend.close().await?;

    let backend = arena.namespace.reopen().await?;
    for position in [0, everything.len() / 2, everything.len() - 1] {
        let (after, _) = everything[position].clone();
        let behind = Listing {
            after: Some(after),
            ..Listing::all(Read::STRONG)
        };
        let rest: Vec<_> = backend.list(Space::Document, behind).try_collect().await?;
        check!(
            rest == everything[position + 1..],
            "behind position {position} of {}, {} came after the restart, or others",
            everything.len(),
            rest.len()
        );
    }
    Ok(())
}

async fn conditions_hold(arena: Arc<Arena>) -> Verdict {
    let (at, gone) = (arena.at("a"), arena.at("gone"));
    let late = item(arena.rev());
    let there = item(arena.rev());
    arena.put(&at, &there).await?;
    arena.bury(&gone, arena.rev()).await?;
    arena.backend.close().await?;

    let backend: Arc<dyn Backend> = arena.namespace.reopen().await?;
    for (what, at, item, when, applied) in [
        ("an older write", &at, late.clone(), When::Newer, false),
        ("an older write over a tombstone", &gone, late, When::Newer, false),
        ("a write that arrives again", &at, there.clone(), When::Absent, true),
        ("a creation", &at, item(arena.rev()), When::Absent, false),
        (
            "a matching write",
            &at,
            item(arena.rev()),
            When::Matches(there.rev),
            true,
        ),
        (
            "a newer write over a tombstone",
            &gone,
            item(arena.rev()),
            When::Absent,
            true,
        ),
    ] {
        let answer = backend.write(at, item, when).await?;
        let is_applied = matches!(answer, Written::Applied { .. });
        check!(is_applied == applied, "{what}: {answer:?}");
    }
    Ok(())
}
