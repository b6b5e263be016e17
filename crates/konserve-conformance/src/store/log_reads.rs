//! Trials of the ways to read a log, which all agree, and of what meta says of it.

use std::sync::Arc;

use futures::TryStreamExt;
use konserve_core::store::Log;
use konserve_core::{Clock, ErrorKind, Instant, Position, Store, SystemClock, Value};

use super::{another, store};
use crate::ManualClock;
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.log-directions", &["S-LOG-3", "S-LOG-6"], directions),
        Trial::new("store.log-resumed", &["S-LOG-6"], resumed),
        Trial::new("store.log-of-nothing", &["S-GET-1", "S-LOG-6"], of_nothing),
        Trial::new("store.log-meta", &["S-LOG-7", "S-META-1"], meta),
    ]
}

/// Which entries are asked for.
#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    Range(Position, Position),
    From(Position),
    Below(Position),
    Last(u64),
}

impl Which {
    fn of(self, log: Log<Position>) -> Log<Position> {
        match self {
            Self::All => log,
            Self::Range(from, to) => log.range(from..to),
            Self::From(from) => log.from(from),
            Self::Below(to) => log.range(..to),
            Self::Last(count) => log.last(count),
        }
    }

    /// The positions, in a log that has these; `None` where some of them have been trimmed.
    fn positions(self, first: Position, next: Position) -> Option<Vec<Position>> {
        let (from, to) = match self {
            Self::All => (first, next),
            Self::Range(from, to) if from < first && from < to => return None,
            Self::From(from) if from < first => return None,
            Self::Range(from, to) => (from, to),
            Self::From(from) => (from, next),
            Self::Below(to) => (first, to),
            Self::Last(count) => (first.max(next.saturating_sub(count)), next),
        };
        Some((from..to.min(next)).collect())
    }
}

/// All ways to read a log agree that it has the entries from a position up to another, each of which is its position.
pub(super) async fn agreed(store: &Store, first: Position, next: Position) -> Verdict {
    let log = || store.log::<Position>("log").consistent();
    same!(log().first_position().await?, Some(first), "the first position");
    let ranges = [
        (first, next),
        (first, first),
        (first, first + 1),
        (first + 2, first + 3),
        (first + 2, next.saturating_sub(1)),
        (next.saturating_sub(1), next + 60),
        (next, next + 1),
        (next + 100, next + 200),
        (first + 7, first + 3),
        (0, next),
        (0, first),
    ];
    let edges = [0, first, first + 1, first + 5, next.saturating_sub(1), next, next + 9];
    let counts = [0, 1, 2, next - first, next - first + 1, 1000];
    let all = [Which::All]
        .into_iter()
        .chain(ranges.map(|(from, to)| Which::Range(from, to)))
        .chain(edges.map(Which::From))
        .chain(edges.map(Which::Below))
        .chain(counts.map(Which::Last));
    for which in all {
        let forward = which.of(log()).with_positions().try_collect::<Vec<_>>().await;
        let backward: Result<Vec<_>, _> = which.of(log()).reverse().with_positions().try_collect().await;
        let plain = which.of(log()).try_collect::<Vec<_>>().await;
        let count = which.of(log()).len().await;
        let Some(positions) = which.positions(first, next) else {
            for (how, answer) in [
                ("forwards", forward.map(drop)),
                ("backwards", backward.map(drop)),
                ("without positions", plain.map(drop)),
                ("counted", count.map(drop)),
            ] {
                let error = refused(ErrorKind::Trimmed, &format!("{which:?} {how}"), answer)?;
                same!(
                    error.position(),
                    Some(first),
                    "the position in the error, {which:?} {how}"
                );
            }
            continue;
        };
        let entries: Vec<_> = positions.iter().map(|position| (*position, *position)).collect();
        same!(forward?, entries, "{which:?}");
        same!(
            backward?,
            entries.iter().rev().copied().collect::<Vec<_>>(),
            "{which:?} backwards"
        );
        same!(plain?, positions, "{which:?} without positions");
        same!(count?, positions.len() as u64, "how many {which:?} are");
    }
    Ok(())
}

/// Appends items of so many entries each. Every entry is its position.
pub(super) async fn append(store: &Store, from: Position, sizes: &[u64]) -> Verdict<Position> {
    let mut next = from;
    for size in sizes {
        let first = match size {
            1 => store.append("log", &next).await?,
            _ => store.append_all("log", next..next + size).await?,
        };
        same!(first, next, "the position");
        next += size;
    }
    Ok(next)
}

async fn directions(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    // Items of one, of several and of many entries.
    let next = append(&store, 0, &[1, 4, 1, 20, 1, 1]).await?;
    agreed(&store, 0, next).await?;
    agreed(&another(&arena).await?, 0, next).await
}

async fn resumed(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    let next = append(&store, 0, &[1, 4, 1, 3]).await?;
    for reverse in [false, true] {
        let log = |store: &Store| match reverse {
            false => store.log::<Position>("log"),
            true => store.log::<Position>("log").reverse(),
        };
        let all: Vec<_> = log(&store).try_collect().await?;
        same!(all.len() as u64, next, "how many entries come");
        for stop in 1..=all.len() {
            let mut first = log(&store);
            let mut found = Vec::new();
            for _ in 0..stop {
                found.extend(first.try_next().await?);
            }
            let Some(position) = first.position() else {
                return Err(Failure::new(format!("there is no position after {stop} entries")));
            };
            let rest = log(&other).resume(&position)?;
            found.extend(rest.try_collect::<Vec<_>>().await?);
            same!(found, all, "the entries, interrupted after {stop}");
        }
    }
    Ok(())
}

async fn of_nothing(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let log = || store.log::<Value>("log");
    same!(log().len().await?, 0, "how many entries there are");
    same!(log().from(3).len().await?, 0, "how many there are from a position on");
    same!(log().first_position().await?, None, "the first position");
    same!(
        log().reverse().try_collect::<Vec<_>>().await?,
        [],
        "the entries backwards"
    );
    same!(store.trim("log", 3).await?, None, "where it begins once it is trimmed");
    check!(!store.exists("log").await?, "it exists once it was trimmed");
    store.assoc("document", &1).await?;
    let wrong = ErrorKind::WrongKind;
    let log = || store.log::<Value>("document");
    refused(wrong, "len of a document", log().len().await)?;
    refused(wrong, "first_position of a document", log().first_position().await)?;
    refused(
        wrong,
        "a document backwards",
        log().reverse().try_collect::<Vec<_>>().await,
    )?;
    refused(wrong, "trim of a document", store.trim("document", 1).await)?;
    let followed = log().follow().try_next().await;
    refused(wrong, "a document followed", followed)?;
    Ok(())
}

async fn meta(arena: Arc<Arena>) -> Verdict {
    let clock = ManualClock::new(Instant::from_millis(SystemClock.now().as_millis()));
    let store = store_at(&arena, &clock, false).await?;
    let other = store_at(&arena, &clock, true).await?;
    let mut bytes = 0;
    let mut next = 0;
    for (round, size) in [1, 4, 1, 30].into_iter().enumerate() {
        clock.advance(std::time::Duration::from_millis(1234));
        let writer = if round % 2 == 0 { &store } else { &other };
        let entries: Vec<Value> = (next..next + size).map(Value::from).collect();
        bytes += store.options().codec.encode(&Value::List(entries))?.len() as u64;
        next = append(writer, next, &[size]).await?;
        let last_append = clock.now();
        clock.advance(std::time::Duration::from_millis(77));
        for reader in [&store, &other] {
            let Some(log) = reader.get_meta("log").await?.and_then(|meta| meta.log) else {
                return Err(Failure::new("meta of a log says nothing of its entries"));
            };
            same!(
                (log.entries, log.first, log.next, log.last()),
                (next, 0, next, Some(next - 1)),
                "the entries, the first, the next and the last position"
            );
            same!(log.bytes, bytes, "the bytes");
            same!(log.last_append, last_append, "when the last entry was appended");
        }
    }
    Ok(())
}

/// A store with this clock, over the first handle or another one.
async fn store_at(arena: &Arena, clock: &ManualClock, another: bool) -> Verdict<Store> {
    let handle = match another {
        false => Arc::clone(&arena.backend),
        true => arena.namespace.another().await?,
    };
    Ok(super::over_at(handle, clock))
}
