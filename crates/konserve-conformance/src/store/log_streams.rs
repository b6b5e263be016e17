//! Trials of what goes on where it was: followers of logs, and folds that are kept in a document.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use konserve_core::store::{Log, Positioned};
use konserve_core::{Error, ErrorKind, Position, Store};
use tokio::time::timeout;

use super::{another, store};
use crate::arena::{Arena, joined};
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.log-followed", &["S-LOG-10", "S-LOG-4"], followed),
        Trial::new("store.log-followed-to-its-end", &["S-LOG-10"], followed_to_its_end),
        Trial::new("store.log-folded", &["S-LOG-3", "S-LOG-11"], folded),
        Trial::new("store.log-folded-by-several", &["S-LOG-11"], folded_by_several),
    ]
}

/// An entry: who appended it, and which of theirs it is.
type Entry = (u64, u64);

/// Follows a log, and looks often.
fn follow(store: &Store) -> Log<Entry, Positioned> {
    let log = store.log("log").with_positions();
    log.poll_between(Duration::from_millis(1), Duration::from_millis(50))
}

/// What comes of something that must not take for ever.
async fn in_time<T>(arena: &Arena, what: &str, future: impl Future<Output = Result<T, Error>>) -> Verdict<T> {
    match timeout(arena.patience() / 5, future).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::new(format!("{what} does not come"))),
    }
}

async fn followed(arena: Arc<Arena>) -> Verdict {
    const WRITERS: u64 = 4;
    const ENTRIES: u64 = 8;
    let followers = |store: Store, arena: Arc<Arena>, ready: Option<tokio::sync::oneshot::Sender<()>>| {
        tokio::spawn(async move {
            let mut log = follow(&store);
            if let Some(ready) = ready {
                // There is nothing so far.
                let nothing = timeout(Duration::from_millis(20), log.next()).await;
                check!(nothing.is_err(), "something came of an absent key: {nothing:?}");
                let _ = ready.send(()); // who waits for it has failed if nobody does
            }
            let all = log.take((WRITERS * ENTRIES) as usize).try_collect();
            in_time(&arena, "all that a follower waits for", all).await
        })
    };
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let early = followers(another(&arena).await?, Arc::clone(&arena), Some(ready));
    let _ = is_ready.await; // it fails by itself if it does not get there
    let mut writers = Vec::new();
    let shared = store(&arena);
    for writer in 0..WRITERS {
        // Two of them through one store.
        let store = match writer {
            0 | 1 => shared.clone(),
            _ => another(&arena).await?,
        };
        writers.push(tokio::spawn(async move {
            for number in 0..ENTRIES {
                store.append("log", &(writer, number)).await?;
            }
            Verdict::Ok(())
        }));
    }
    let late = followers(shared, Arc::clone(&arena), None);
    for writer in writers {
        joined(writer).await?;
    }
    let expected: Vec<(Position, Entry)> = store(&arena).log("log").with_positions().try_collect().await?;
    check!(
        expected.iter().map(|entry| entry.0).eq(0..WRITERS * ENTRIES),
        "the positions are not dense: {expected:?}"
    );
    for (which, follower) in [("the early", early), ("the late", late)] {
        let seen: Vec<(Position, Entry)> = joined(follower).await?;
        check!(
            seen == expected,
            "{which} follower saw another sequence than a reader: {seen:?}, and {expected:?}"
        );
    }
    Ok(())
}

async fn followed_to_its_end(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    for number in 0..3 {
        store.append("log", &(0, number)).await?;
    }
    let mut log = follow(&other).from(1);
    for number in 1..3 {
        let entry = in_time(&arena, "an entry that is there", log.try_next()).await?;
        same!(entry, Some((number, (0, number))), "an entry that is there");
    }
    // More than once: what is empty now need not be so later.
    for number in 3..6 {
        let nothing = timeout(Duration::from_millis(10), log.next()).await;
        check!(nothing.is_err(), "something comes behind the end: {nothing:?}");
        store.append("log", &(0, number)).await?;
        let entry = in_time(&arena, "an entry that is new", log.try_next()).await?;
        same!(entry, Some((number, (0, number))), "an entry that is new");
    }
    store.dissoc("log").await?;
    let end = match timeout(arena.patience() / 5, log.try_next()).await {
        Ok(end) => end,
        Err(_) => return Err(Failure::new("a follower of a removed log does not end")),
    };
    let error = refused(ErrorKind::Contended, "following what was removed", end)?;
    check!(error.is_retryable(), "it cannot be tried again: {error:?}");
    check!(log.try_next().await?.is_none(), "something came behind the error");
    let backwards = store.log::<Entry>("log").reverse().follow().try_next().await;
    refused(ErrorKind::InvalidInput, "following backwards", backwards)?;
    Ok(())
}

/// A text of all entries: it shows each that is missing, there twice, or out of order.
async fn fold(store: &Store, every: u64) -> Result<String, Error> {
    let fold = store.reduce_log("log", String::new(), |text, entry: u64| format!("{text}{entry},"));
    fold.checkpoint("fold").every(every).await
}

fn text_of(entries: std::ops::Range<u64>) -> String {
    entries.map(|entry| format!("{entry},")).collect()
}

async fn folded(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    same!(fold(&store, 1).await?, "", "the fold of an absent log");
    store.append_all("log", 0..7_u64).await?;
    let sum = || store.reduce_log("log", 0, |sum, entry: u64| sum + entry);
    for (from, expected) in [(0, 21), (3, 18), (6, 6), (7, 0), (9, 0)] {
        same!(sum().from(from).await?, expected, "the sum from position {from} on");
    }
    same!(fold(&store, 3).await?, text_of(0..7), "the first fold");
    let written = store.get_meta("fold").await?.map(|meta| meta.revision);
    same!(fold(&other, 1).await?, text_of(0..7), "the same again");
    let again = store.get_meta("fold").await?.map(|meta| meta.revision);
    same!(
        again,
        written,
        "the revision of the document, when there is nothing new"
    );
    for entry in 7..12_u64 {
        other.append("log", &entry).await?;
    }
    // What is counted is not read again.
    store.trim("log", 7).await?;
    same!(fold(&store, 2).await?, text_of(0..12), "the fold that goes on");
    other.append_all("log", 12..14_u64).await?;
    store.trim("log", 13).await?;
    let error = refused(ErrorKind::Trimmed, "a fold that skips", fold(&other, 1).await)?;
    same!(error.position(), Some(13), "the position in the error");
    let error = refused(ErrorKind::Trimmed, "a sum of what is gone", sum().from(12).await)?;
    same!(error.position(), Some(13), "the position in the error");
    store.dissoc("log").await?;
    same!(fold(&store, 1).await?, "", "the fold of a removed log");
    store.append_all("log", 0..2_u64).await?;
    same!(
        fold(&other, 1).await?,
        text_of(0..2),
        "the fold of a log that was begun again"
    );
    same!(fold(&store, 1).await?, text_of(0..2), "the same again");
    Ok(())
}

async fn folded_by_several(arena: Arc<Arena>) -> Verdict {
    const ENTRIES: u64 = 24;
    let writer = store(&arena);
    writer.append("log", &0_u64).await?;
    let mut tasks = Vec::new();
    for task in 0..3 {
        let store = another(&arena).await?;
        tasks.push(tokio::spawn(async move {
            let mut folded = String::new();
            while folded != text_of(0..ENTRIES) {
                // Engines that answer at once let nobody else go on.
                tokio::task::yield_now().await;
                let last = std::mem::replace(&mut folded, fold(&store, 2 + task).await?);
                check!(folded.starts_with(&last), "after {last} a fold comes to {folded}");
                let count = folded.matches(',').count() as u64;
                check!(folded == text_of(0..count), "a fold counts {folded}");
            }
            Ok(())
        }));
    }
    for entry in 1..ENTRIES {
        writer.append("log", &entry).await?;
    }
    for task in tasks {
        joined(task).await?;
    }
    same!(fold(&writer, 1).await?, text_of(0..ENTRIES), "the fold in the end");
    Ok(())
}
