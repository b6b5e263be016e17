//! Trials of `append`, `append_all`, `log`, `reduce_log`.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::{Either, join_all, select};
use konserve_core::backend::Backend;
use konserve_core::layer::{Fault, Layer};
use konserve_core::{ErrorKind, Kind, Store, Value};

use super::{another, edn, over, store};
use crate::arena::{Arena, Random, joined};
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::polls;
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.append", &["S-LOG-1"], append),
        Trial::new("store.append-all", &["S-LOG-2"], append_all),
        Trial::new("store.log-ranges", &["S-LOG-3"], log_ranges),
        Trial::new(
            "store.log-over-many-pages",
            &["S-LOG-1", "S-LOG-3", "S-LOG-6"],
            over_many_pages,
        ),
        Trial::new("store.reduce-log", &["S-LOG-3"], reduce_log),
        Trial::new("store.appends-of-many-writers", &["S-LOG-4"], many_writers),
        Trial::new("store.appends-of-many-tasks", &["S-LOG-12", "S-LOG-4"], many_tasks),
        Trial::new("store.appends-given-up", &["S-LOG-12"], given_up).seeded(),
        Trial::new("store.log-removed", &["S-LOG-5"], removed),
        Trial::new("store.log-large-entries", &["S-LOG-1", "S-SIZE-1"], large_entries).needs(Capability::LargeValues),
    ]
}

async fn entries(store: &Store, key: &str) -> Verdict<Vec<i64>> {
    Ok(store.log::<i64>(key).consistent().try_collect().await?)
}

async fn append(arena: Arc<Arena>) -> Verdict {
    let (store, other) = (store(&arena), another(&arena).await?);
    for number in 0..20 {
        let writer = if number % 3 == 0 { &other } else { &store };
        same!(writer.append("log", &number).await?, number as u64, "the position");
    }
    for reader in [&store, &other] {
        same!(entries(reader, "log").await?, Vec::from_iter(0..20), "the entries");
    }
    let kind = store.get_meta("log").await?.map(|meta| meta.kind);
    same!(kind, Some(Kind::Log), "the kind");
    let any = edn("{:type :horrible, 1 [nil]}")?;
    store.append("any", &any).await?;
    same!(
        store.log::<Value>("any").try_collect::<Vec<_>>().await?,
        [any],
        "an entry of any value"
    );
    Ok(())
}

async fn append_all(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    same!(store.append("log", &0).await?, 0, "the first position");
    same!(
        store.append_all("log", 1..=3).await?,
        1,
        "the position of the first of three"
    );
    same!(store.append("log", &4).await?, 4, "the position after them");
    same!(entries(&store, "log").await?, [0, 1, 2, 3, 4], "the entries");
    let none = store.append_all("log", Vec::<i64>::new()).await;
    refused(ErrorKind::InvalidInput, "no entries", none)?;
    same!(entries(&store, "log").await?.len(), 5, "how many are there");
    Ok(())
}

async fn log_ranges(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    // Items of one, of several and of many entries.
    store.append("log", &0).await?;
    store.append_all("log", 1..5).await?;
    store.append_all("log", 5..6).await?;
    store.append_all("log", 6..40).await?;
    let all: Vec<i64> = (0..40).collect();
    for (start, end) in [
        (0, 40),
        (0, 0),
        (0, 1),
        (2, 3),
        (3, 7),
        (39, 40),
        (39, 100),
        (40, 41),
        (100, 200),
        (7, 3),
    ] {
        let found: Vec<_> = store.log::<i64>("log").range(start..end).try_collect().await?;
        let (from, to) = ((start as usize).min(40), (end as usize).min(40));
        same!(found, all[from..to.max(from)], "positions {start} to {end}");
    }
    for count in [0, 1, 2, 34, 35, 39, 40, 41, 1000] {
        let found: Vec<_> = store.log::<i64>("log").last(count).try_collect().await?;
        let from = 40_usize.saturating_sub(count as usize);
        same!(found, all[from..], "the last {count}");
    }
    let tail: Vec<_> = store.log::<i64>("log").range(38..).try_collect().await?;
    same!(tail, [38, 39], "from a position on");
    Ok(())
}

async fn over_many_pages(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let count = 2 * arena.page.items + 3;
    let filler = "f".repeat(arena.page.bytes);
    for number in 0..count {
        store.append("log", &(number, &filler)).await?;
    }
    let mut log = store.log::<(usize, String)>("log");
    for number in 0..count {
        let entry = log.try_next().await?;
        check!(
            entry.as_ref().is_some_and(|entry| entry.0 == number),
            "instead of entry {number} came another"
        );
    }
    check!(log.try_next().await?.is_none(), "something came behind the last entry");
    let last: Vec<_> = store.log::<(usize, String)>("log").last(2).try_collect().await?;
    same!(
        last.into_iter().map(|entry| entry.0).collect::<Vec<_>>(),
        [count - 2, count - 1],
        "the last two"
    );
    let log = store.log::<(usize, String)>("log");
    let back: Vec<_> = log.reverse().with_positions().try_collect().await?;
    let back = back.into_iter().map(|(position, entry)| (position, entry.0));
    let expected = (0..count).rev().map(|number| (number as u64, number));
    check!(back.eq(expected), "backwards come other entries, or in another order");
    Ok(())
}

async fn reduce_log(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let digits = |text: String, entry: i64| text + &entry.to_string();
    same!(
        store.reduce_log("log", String::new(), digits).await?,
        "",
        "of an absent log"
    );
    store.append_all("log", 0..10).await?;
    same!(
        store.reduce_log("log", String::from(">"), digits).await?,
        ">0123456789",
        "of ten entries"
    );
    let wrong = store.reduce_log("log", 0, |count: i64, _: String| count + 1).await;
    refused(ErrorKind::Codec, "entries of another type", wrong)?;
    Ok(())
}

async fn many_writers(arena: Arc<Arena>) -> Verdict {
    const WRITERS: u64 = 6;
    const ENTRIES: u64 = 10;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let store = another(&arena).await?;
        tasks.push(tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..ENTRIES {
                positions.push((store.append("log", &(writer, number)).await?, (writer, number)));
            }
            Verdict::Ok(positions)
        }));
    }
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(joined(task).await?);
    }
    expected.sort_unstable();
    let dense = expected.iter().map(|(position, _)| *position).eq(0..WRITERS * ENTRIES);
    check!(
        dense,
        "the acknowledged positions have gaps or are shared: {expected:?}"
    );
    let found: Vec<_> = store(&arena).log::<(u64, u64)>("log").try_collect().await?;
    let expected: Vec<_> = expected.into_iter().map(|(_, entry)| entry).collect();
    check!(
        found == expected,
        "the log has other entries than were acknowledged, or in another order"
    );
    for writer in 0..WRITERS {
        let own = found.iter().filter(|entry| entry.0 == writer).map(|entry| entry.1);
        check!(own.eq(0..ENTRIES), "the entries of writer {writer} are out of order");
    }
    Ok(())
}

/// A store on whose engine everything takes a while, so that appends come while others are on their way.
fn slow(backend: Arc<dyn Backend>) -> Store {
    over(Arc::new(Layer::new(backend, |_| Some(Fault::Slow))))
}

async fn many_tasks(arena: Arc<Arena>) -> Verdict {
    const TASKS: u64 = 6;
    const ROUNDS: u64 = 4;
    let (store, rival) = (slow(Arc::clone(&arena.backend)), slow(arena.namespace.another().await?));
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        // The last one is in the way of the others.
        let store = if task + 1 < TASKS { store.clone() } else { rival.clone() };
        tasks.push(tokio::spawn(async move {
            let mut own = Vec::new();
            for round in 0..ROUNDS {
                let entry = |number| (task, 4 * round + number);
                let two = [entry(1), entry(2)];
                let appends = [
                    store.append("log", &entry(0)),
                    store.append_all("log", two),
                    store.append("log", &entry(3)),
                ];
                let all = join_all(appends.map(IntoFuture::into_future)).await;
                let all: Vec<u64> = all.into_iter().collect::<Result<_, _>>()?;
                let [first, second, last] = all[..] else {
                    return Err(Failure::new("another number of answers than of calls"));
                };
                own.extend([
                    (first, entry(0)),
                    (second, entry(1)),
                    (second + 1, entry(2)),
                    (last, entry(3)),
                ]);
            }
            check!(
                own.is_sorted(),
                "what a task appended is not in the order in which it did: {own:?}"
            );
            Ok(own)
        }));
    }
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(joined(task).await?);
    }
    expected.sort_unstable();
    let dense = expected.iter().map(|entry| entry.0).eq(0..4 * TASKS * ROUNDS);
    check!(
        dense,
        "the acknowledged positions have gaps or are shared: {expected:?}"
    );
    for reader in [&store, &rival] {
        let found: Vec<(u64, (u64, u64))> = reader.log("log").with_positions().try_collect().await?;
        check!(
            found == expected,
            "the log has other entries than were acknowledged, or elsewhere: {found:?}, and {expected:?}"
        );
    }
    Ok(())
}

async fn given_up(arena: Arc<Arena>) -> Verdict {
    const TASKS: u64 = 6;
    const ENTRIES: u64 = 12;
    let store = slow(Arc::clone(&arena.backend));
    store.append("log", &(u64::MAX, 0_u64)).await?;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = store.clone();
        let mut random = Random::new(arena.seed.wrapping_mul(1_000_003).wrapping_add(task));
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..ENTRIES {
                let append = store.append("log", &(task, number));
                // A future is woken seldom: when it is queued, and when it is answered.
                let answer = match random.below(3) {
                    0 => Some(append.await?),
                    polls => {
                        let append = append.into_future();
                        let while_others_go_on = async {
                            for _ in 0..random.below(40) {
                                tokio::task::yield_now().await;
                            }
                        };
                        let polled = async { polls::up_to(polls, append).await.0 };
                        match select(pin!(polled), pin!(while_others_go_on)).await {
                            Either::Left((answer, _)) => answer.transpose()?,
                            Either::Right(_) => None,
                        }
                    }
                };
                acknowledged.push((answer, (task, number)));
            }
            Verdict::Ok(acknowledged)
        }));
    }
    let mut made = Vec::new();
    for task in tasks {
        made.extend(joined(task).await?);
    }
    // It waits until all that was on its way has come to an end.
    let end = store.append("log", &(u64::MAX, 1)).await?;
    let found: Vec<(u64, (u64, u64))> = store.log("log").with_positions().try_collect().await?;
    let dense = found.iter().map(|entry| entry.0).eq(0..=end);
    check!(dense, "the log does not have the positions up to {end}: {found:?}");
    for (position, entry) in &made {
        let at: Vec<_> = found
            .iter()
            .filter(|found| found.1 == *entry)
            .map(|found| found.0)
            .collect();
        match position {
            Some(position) => same!(at, [*position], "where {entry:?} is, which was acknowledged"),
            None => check!(at.len() <= 1, "{entry:?} was given up, and is at {at:?}"),
        }
    }
    let made: BTreeSet<_> = made.into_iter().map(|(_, entry)| entry).collect();
    let strange = found
        .iter()
        .find(|(_, entry)| entry.0 != u64::MAX && !made.contains(entry));
    check!(strange.is_none(), "nobody appended {strange:?}");
    Ok(())
}

async fn removed(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for round in 0..3 {
        same!(store.append("log", &round).await?, 0, "the first position of a new log");
        store.append_all("log", 10..15).await?;
        check!(store.dissoc("log").await?, "the log did not exist");
        check!(!store.exists("log").await?, "the log exists after its removal");
        same!(
            entries(&store, "log").await?,
            [0_i64; 0],
            "the entries of a removed log"
        );
        check!(!store.dissoc("log").await?, "the log existed after its removal");
    }
    store.assoc("log", &1).await?;
    same!(store.get::<i64>("log").await?, Some(1), "a document where a log was");
    Ok(())
}

async fn large_entries(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let size = 2 * arena.largest_item() + 9;
    let entries = ["small".to_owned(), "l".repeat(size), "small again".to_owned()];
    for (position, entry) in (0_u64..).zip(&entries) {
        same!(store.append("log", entry).await?, position, "the position");
    }
    let found: Vec<_> = store.log::<String>("log").try_collect().await?;
    check!(found == entries, "entries of {size} bytes came back otherwise");
    Ok(())
}
