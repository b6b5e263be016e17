//! Trials of `trim`.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::backend::{Listing, Read, Space};
use konserve_core::{ErrorKind, Position, Store, Value};

use super::log_reads::{agreed, append};
use super::{another, over_at, store};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.log-trimmed", &["S-LOG-8", "S-LOG-6"], trimmed),
        Trial::new("store.log-trimmed-as-a-whole", &["S-LOG-8", "S-LOG-9"], as_a_whole),
        Trial::new("store.log-trimmed-meta", &["S-LOG-7", "S-LOG-8"], meta),
        Trial::new("store.log-trimmed-items", &["S-LOG-9", "S-COLLECT-1"], items),
        Trial::new("store.log-trimmed-items-wait", &["S-LOG-9", "S-COLLECT-1"], items_wait).needs(Capability::Clock),
        Trial::new(
            "store.log-trimmed-large-entries",
            &["S-LOG-9", "S-SIZE-1"],
            large_entries,
        )
        .needs(Capability::LargeValues),
        Trial::new("store.log-trimmed-while-read", &["S-LOG-9"], while_read),
    ]
}

async fn trimmed(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let mut next = append(&store, 0, &[2, 3, 1, 4, 1]).await?;
    // Both know the log as it was.
    agreed(&other, 0, next).await?;
    let mut first = 0;
    for (before, now) in [(0, 0), (1, 1), (2, 2), (4, 4), (3, 4), (6, 6), (9, 9)] {
        let trims = if before % 2 == 0 { &other } else { &store };
        same!(
            trims.trim("log", before).await?,
            Some(now),
            "where it begins, trimmed before {before}"
        );
        first = now;
        agreed(&store, first, next).await?;
        agreed(&other, first, next).await?;
    }
    for writer in [&store, &other] {
        next = append(writer, next, &[1, 2]).await?;
    }
    agreed(&store, first, next).await?;
    agreed(&another(&arena).await?, first, next).await?;
    check!(store.dissoc("log").await?, "a log that was trimmed did not exist");
    same!(other.append("log", &0).await?, 0, "the first position of a new log");
    agreed(&store, 0, 1).await
}

async fn as_a_whole(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let mut next = append(&store, 0, &[2, 3]).await?;
    for round in 0..2 {
        same!(store.trim("log", Position::MAX).await?, Some(next), "where it begins");
        check!(other.exists("log").await?, "it does not exist once all is trimmed");
        agreed(&other, next, next).await?;
        if round == 0 {
            // The last item stays: by it everybody knows where the log ends.
            let report = other.collect().without_waiting().await?;
            same!(report.log_rows_purged, 1, "how many items are purged");
        }
        // Nobody remembers it.
        let first = next;
        next = append(&another(&arena).await?, next, &[1, 2]).await?;
        agreed(&store, first, next).await?;
        agreed(&other, first, next).await?;
    }
    Ok(())
}

async fn meta(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let sizes = [2, 3, 1, 4];
    let next = append(&store, 0, &sizes).await?;
    for before in 0..=next {
        store.trim("log", before).await?;
        // An item of which a part is needed counts as a whole.
        let (mut bytes, mut start) = (0, 0);
        for size in sizes {
            if start + size > before {
                let entries = (start..start + size).map(Value::from).collect();
                bytes += store.options().codec.encode(&Value::List(entries))?.len() as u64;
            }
            start += size;
        }
        let Some(log) = other.get_meta("log").await?.and_then(|meta| meta.log) else {
            return Err(Failure::new("meta of a log says nothing of its entries"));
        };
        same!(
            (log.entries, log.first, log.next, log.bytes),
            (next - before, before, next, bytes),
            "the entries, the first and the next position and the bytes, trimmed before {before}"
        );
    }
    Ok(())
}

async fn items(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    // What must not be touched: it is stored beside it, and was trimmed as well.
    other.append_all("other", 0..5).await?;
    other.append_all("other", 5..9).await?;
    other.trim("other", 3).await?;
    let next = append(&store, 0, &[2, 3, 1, 4, 1]).await?;
    collect(&other).await?;
    let all = rows(&arena).await?;
    let mut left = all;
    for (before, gone) in [(1, 0), (2, 1), (4, 1), (5, 2), (6, 3), (11, 4)] {
        store.trim("log", before).await?;
        other.collect().await?;
        same!(
            rows(&arena).await?,
            left,
            "items before their time, trimmed before {before}"
        );
        collect(&other).await?;
        left = all - gone;
        same!(rows(&arena).await?, left, "items when all before {before} is trimmed");
        agreed(&another(&arena).await?, before, next).await?;
    }
    let rest: Vec<_> = store.log::<i64>("other").try_collect().await?;
    same!(rest, Vec::from_iter(3..9), "the other log");
    Ok(())
}

async fn items_wait(arena: Arc<Arena>) -> Verdict {
    let Some(clock) = arena.namespace.clock() else {
        return Err(Failure::new("the harness declares a clock, but the namespace has none"));
    };
    let store = over_at(Arc::clone(&arena.backend), &clock);
    let other = over_at(arena.namespace.another().await?, &clock);
    let options = store.options();
    // By then nobody goes on by what was known before, and nothing that was sent before arrives.
    let wait = options.log_lease_ms + options.request_horizon_ms;
    let next = append(&store, 0, &[2, 3, 1, 4]).await?;
    let all = rows(&arena).await?;
    store.trim("log", 4).await?;
    clock.advance(Duration::from_millis(wait - 1));
    other.collect().await?;
    same!(rows(&arena).await?, all, "items before their time");
    clock.advance(Duration::from_millis(options.max_clock_drift_ms + 1));
    same!(
        other.collect().await?.log_rows_purged,
        1,
        "how many items are purged at their time"
    );
    same!(rows(&arena).await?, all - 1, "items at their time");
    same!(
        other.collect().await?.log_rows_purged,
        0,
        "how many are purged once more"
    );
    agreed(&store, 4, next).await?;
    agreed(&other, 4, next).await
}

async fn large_entries(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let size = arena.largest_item() + 9;
    for letter in ["a", "b", "c"] {
        store.append("log", &letter.repeat(size)).await?;
    }
    let with_chunks = chunks(&arena).await?;
    same!(other.trim("log", 2).await?, Some(2), "where it begins");
    // Chunks go when nothing names them any more.
    collect(&other).await?;
    same!(
        3 * chunks(&arena).await?,
        with_chunks,
        "three times the chunks that are left"
    );
    let left: Vec<String> = store.log("log").try_collect().await?;
    check!(left == ["c".repeat(size)], "the entry that is left is another one");
    Ok(())
}

async fn while_read(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let count = (2 * arena.page.items + 3) as u64;
    let filler = "f".repeat(arena.page.bytes);
    for number in 0..count {
        store.append("log", &(number, &filler)).await?;
    }
    let log = |store: &Store| store.log::<(u64, String)>("log").with_positions();
    let (mut forward, mut backward) = (log(&other), log(&other).reverse());
    let begun = (forward.try_next().await?, backward.try_next().await?);
    let begun = (begun.0.map(|entry| entry.0), begun.1.map(|entry| entry.0));
    same!(begun, (Some(0), Some(count - 1)), "the first entries of both");
    store.trim("log", count - 2).await?;
    store.collect().without_waiting().await?;
    for (reverse, mut stream) in [(false, forward), (true, backward)] {
        let mut come = 1;
        let end = loop {
            match stream.try_next().await {
                Ok(Some((position, (number, _)))) => {
                    let expected = if reverse { count - 1 - come } else { come };
                    same!((position, number), (expected, expected), "the next entry");
                    come += 1;
                }
                end => break end,
            }
        };
        // What was read ahead may be all of it.
        match end {
            Ok(_) => same!(come, count, "how many come before the end without an error"),
            Err(error) => {
                let error = refused(ErrorKind::Trimmed, "an overtaken reader", Err::<(), _>(error))?;
                same!(error.position(), Some(count - 2), "the position in the error");
                check!(stream.try_next().await?.is_none(), "something came behind the error");
            }
        }
    }
    Ok(())
}

/// Collects until nothing waits to be collected. Trims that follow each other closely are announced one after the other.
async fn collect(store: &Store) -> Verdict {
    for _ in 0..4 {
        if store.collect().without_waiting().await?.waiting == 0 {
            return Ok(());
        }
    }
    Err(Failure::new("the collector always leaves something to the next call"))
}

/// How many items logs have, those included that say how far they reach.
async fn rows(arena: &Arena) -> Verdict<usize> {
    Ok(arena
        .list(Space::Log, Listing::all(Read::STRONG.without_body()))
        .await?
        .len())
}

async fn chunks(arena: &Arena) -> Verdict<usize> {
    Ok(arena
        .list(Space::Chunk, Listing::all(Read::STRONG.without_body()))
        .await?
        .len())
}
