//! Trials of conditions among rivals, on several handles and threads.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Backend, Item, Occupant, Previous, Purge, Read, When, Written};

use crate::arena::{Arena, Random, item, joined, settled};
use crate::failure::{Failure, Verdict, brief, check, same};
use crate::trial::Trial;

const TASKS: u64 = 8;
const INCREMENTS: u64 = 12;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "concurrency.increments-add-up",
            &["B-WHEN-9", "B-WHEN-4", "B-READ-3"],
            increments_add_up,
        ),
        Trial::new("concurrency.one-creates", &["B-WHEN-9", "B-WHEN-2"], one_creates),
        Trial::new("concurrency.one-removes", &["B-WHEN-9", "B-WHEN-4"], one_removes),
        Trial::new(
            "concurrency.the-newest-stays",
            &["B-WHEN-9", "B-WHEN-5"],
            the_newest_stays,
        ),
        Trial::new(
            "concurrency.appends-are-dense",
            &["B-WHEN-9", "B-WHEN-2"],
            appends_are_dense,
        ),
        Trial::new(
            "concurrency.refusals-tell-the-reason",
            &["B-WRITE-3", "B-WHEN-9"],
            refusals_tell_the_reason,
        ),
        Trial::new(
            "concurrency.each-is-replaced-once",
            &["B-WRITE-2", "B-REMOVE-3", "B-WHEN-9"],
            each_is_replaced_once,
        ),
    ]
}

/// Half of the tasks on the first handle, half on others.
async fn handles(arena: &Arena) -> Verdict<Vec<Arc<dyn Backend>>> {
    let mut handles = Vec::new();
    for task in 0..TASKS {
        handles.push(match task % 2 {
            0 => Arc::clone(&arena.backend),
            _ => arena.namespace.another().await?,
        });
    }
    Ok(handles)
}

fn counter(item: &Item) -> Verdict<u64> {
    let body = item.body.as_ref().and_then(|body| body[..].try_into().ok());
    body.map(u64::from_be_bytes)
        .ok_or_else(|| Failure::new(format!("a counter came back as {item:?}")))
}

fn counting(arena: &Arena, count: u64) -> Item {
    Item {
        body: Some(Bytes::copy_from_slice(&count.to_be_bytes())),
        ..item(arena.rev())
    }
}

async fn increments_add_up(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("counter");
    arena.put(&at, &counting(&arena, 0)).await?;
    let mut tasks = Vec::new();
    for backend in handles(&arena).await? {
        let (arena, at) = (Arc::clone(&arena), at.clone());
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while done < INCREMENTS {
                let Some(found) = backend.read(&at, Read::STRONG).await? else {
                    return Err(Failure::new("the counter was not found"));
                };
                let next = counting(&arena, counter(&found)? + 1);
                let when = When::Matches(found.rev);
                match settled(|| backend.write(&at, next.clone(), when)).await? {
                    Written::Applied { .. } => done += 1,
                    Written::Refused { .. } => tokio::task::yield_now().await,
                }
            }
            Verdict::Ok(())
        }));
    }
    for task in tasks {
        joined(task).await?;
    }
    let found = arena.get(&at).await?;
    let count = found.as_ref().map(counter).transpose()?;
    same!(
        count,
        Some(TASKS * INCREMENTS),
        "the counter after {TASKS} times {INCREMENTS} increments"
    );
    Ok(())
}

/// Lets every task make one mutation at the same address; gives those that were applied.
///
/// The tasks begin in an order that follows from the seed, and not in that of their revisions: where everything takes its
/// turn, the newest one would always come last, and nothing would go wrong with it.
async fn race<R>(arena: &Arena, random: &mut Random, mutate: impl Fn(Arc<dyn Backend>, Item) -> R) -> Verdict<Vec<Item>>
where
    R: Future<Output = konserve_core::Result<Written>> + Send + 'static,
{
    let mut items: Vec<_> = (0..TASKS).map(|_| item(arena.rev())).collect();
    let mut tasks = Vec::new();
    for backend in handles(arena).await? {
        let item = items.swap_remove(random.below(items.len()));
        let mutation = mutate(backend, item.clone());
        tasks.push(tokio::spawn(async move { Verdict::Ok((mutation.await?, item)) }));
    }
    let mut applied = Vec::new();
    for task in tasks {
        if let (Written::Applied { .. }, item) = joined(task).await? {
            applied.push(item);
        }
    }
    Ok(applied)
}

async fn one_creates(arena: Arc<Arena>) -> Verdict {
    let mut random = arena.random();
    for round in 0..10 {
        let at = arena.at(&format!("round-{round}"));
        let applied = race(&arena, &mut random, |backend, item| {
            let at = at.clone();
            async move { backend.write(&at, item, When::Absent).await }
        })
        .await?;
        check!(
            applied.len() == 1,
            "{} of {TASKS} rivals created the same item",
            applied.len()
        );
        same!(arena.get(&at).await?.as_ref(), applied.first(), "what is there");
    }
    Ok(())
}

async fn one_removes(arena: Arc<Arena>) -> Verdict {
    let mut random = arena.random();
    for round in 0..10 {
        let at = arena.at(&format!("round-{round}"));
        let there = item(arena.rev());
        arena.put(&at, &there).await?;
        let when = When::Matches(there.rev);
        let applied = race(&arena, &mut random, |backend, item| {
            let at = at.clone();
            async move { backend.remove(&at, item.rev, when).await }
        })
        .await?;
        check!(
            applied.len() == 1,
            "{} of {TASKS} rivals removed the same item",
            applied.len()
        );
        let tombstone = applied.first().map(|item| Occupant::Tombstone(item.rev));
        same!(arena.occupant(&at).await?, tombstone, "what is there");
    }
    Ok(())
}

async fn the_newest_stays(arena: Arc<Arena>) -> Verdict {
    let mut random = arena.random();
    for round in 0..10 {
        let at = arena.at(&format!("round-{round}"));
        let applied = race(&arena, &mut random, |backend, item| {
            let at = at.clone();
            async move { backend.write(&at, item, When::Newer).await }
        })
        .await?;
        let newest = applied.iter().max_by_key(|item| item.rev);
        same!(arena.get(&at).await?.as_ref(), newest, "what is there after a race");
    }
    Ok(())
}

/// A lock: created by one, in the way of all others, and taken away. What a refusal tells is what was in the way, whatever
/// became of it since.
async fn refusals_tell_the_reason(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("lock");
    let mut tasks = Vec::new();
    for backend in handles(&arena).await? {
        let (arena, at) = (Arc::clone(&arena), at.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..2 * INCREMENTS {
                let mine = item(arena.rev());
                match settled(|| backend.write(&at, mine.clone(), When::Absent)).await? {
                    Written::Applied { .. } => {
                        for _ in 0..4 {
                            tokio::task::yield_now().await;
                            let there = backend.read(&at, Read::STRONG).await?;
                            same!(there, Some(mine.clone()), "what is there while nobody may replace it");
                        }
                        backend.purge(&[Purge::Row(at.clone())]).await?;
                    }
                    Written::Refused { current } => check!(
                        matches!(current, Some(Occupant::Item(_))),
                        "a creation was refused, and told of {}, which was not in its way",
                        brief(&current)
                    ),
                }
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        }));
    }
    for task in tasks {
        joined(task).await?;
    }
    Ok(())
}

/// Everything is applied, in whatever order: each takes the place of another one, and says of which.
async fn each_is_replaced_once(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let mut tasks = Vec::new();
    for (task, backend) in handles(&arena).await?.into_iter().enumerate() {
        let (arena, at) = (Arc::clone(&arena), at.clone());
        tasks.push(tokio::spawn(async move {
            let mut applied = Vec::new();
            for round in 0..INCREMENTS {
                let item = item(arena.rev());
                let removes = (task as u64 + round).is_multiple_of(2);
                let answer = match removes {
                    true => settled(|| backend.remove(&at, item.rev, When::Always)).await?,
                    false => settled(|| backend.write(&at, item.clone(), When::Always)).await?,
                };
                let Written::Applied { previous } = answer else {
                    return Err(Failure::new(format!("not applied: {answer:?}")));
                };
                applied.push((item.rev, previous));
                tokio::task::yield_now().await;
            }
            Verdict::Ok(applied)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(joined(task).await?);
    }
    let applied: HashSet<_> = all.iter().map(|(rev, _)| *rev).collect();
    let mut replaced = HashSet::new();
    for (rev, previous) in all {
        if let Previous::Known(previous) = previous {
            let previous = previous.map(|occupant| occupant.rev());
            check!(
                previous.is_none_or(|previous| previous != rev && applied.contains(&previous)),
                "{rev} replaced {previous:?}, by its own answer, which was not there"
            );
            check!(
                replaced.insert(previous),
                "{rev} replaced {previous:?}, by its own answer, as another one did before"
            );
        }
    }
    Ok(())
}

/// What logs rely on: whoever finds the tail taken goes on to the next row, and no row is lost or shared.
async fn appends_are_dense(arena: Arc<Arena>) -> Verdict {
    use konserve_core::backend::{Address, Partition, RowQuery, Space};
    let partition = Partition::new("log");
    let mut tasks = Vec::new();
    for backend in handles(&arena).await? {
        let (arena, partition) = (Arc::clone(&arena), partition.clone());
        tasks.push(tokio::spawn(async move {
            let (mut row, mut mine) = (0, Vec::new());
            while mine.len() < INCREMENTS as usize {
                let at = Address::new(Space::Log, partition.clone(), row);
                let entry = item(arena.rev());
                match settled(|| backend.write(&at, entry.clone(), When::Absent)).await? {
                    Written::Applied { .. } => mine.push((row, entry)),
                    Written::Refused {
                        current: Some(Occupant::Item(_)),
                    } => {}
                    Written::Refused { current } => {
                        return Err(Failure::new(format!("refused, but told of {current:?}")));
                    }
                }
                row += 1;
            }
            Verdict::Ok(mine)
        }));
    }
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(joined(task).await?);
    }
    expected.sort_by_key(|(row, _)| *row);
    let rows = arena.rows(RowQuery::all(Space::Log, partition, Read::STRONG)).await?;
    check!(
        rows == expected,
        "{} entries were acknowledged, {} are there or are others",
        expected.len(),
        rows.len()
    );
    let dense = rows.iter().map(|(row, _)| *row).eq(0..TASKS * INCREMENTS);
    check!(dense, "the rows have gaps");
    Ok(())
}
