//! Trials of `rows`.

use std::sync::Arc;

use futures::StreamExt;
use konserve_core::backend::{Address, Item, Order, Partition, Purge, Read, RowQuery, Space, When};

use crate::arena::{Arena, Until, expired, item, joined};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "rows.range-and-order",
            &["B-ROWS-1", "B-ROWS-2", "B-ROWS-4"],
            range_and_order,
        ),
        Trial::new("rows.order-of-numbers", &["B-ROWS-2", "B-ADDR-3"], order_of_numbers),
        Trial::new("rows.empty-range", &["B-ROWS-4"], empty_range),
        Trial::new("rows.limit", &["B-ROWS-3"], limit),
        Trial::new(
            "rows.no-tombstones",
            &["B-ROWS-1", "B-ROWS-3", "B-EXPIRE-2"],
            no_tombstones,
        ),
        Trial::new(
            "rows.one-partition-of-one-space",
            &["B-ROWS-1", "B-ADDR-1"],
            one_partition,
        ),
        Trial::new("rows.all-pages", &["B-ROWS-5", "B-ROWS-2"], all_pages),
        Trial::new(
            "rows.many-tombstones-first",
            &["B-ROWS-5", "B-ROWS-3"],
            many_tombstones_first,
        ),
        Trial::new("rows.what-stays-comes-once", &["B-ROWS-6"], what_stays_comes_once),
        Trial::new(
            "rows.while-delivered-is-purged",
            &["B-ROWS-6"],
            while_delivered_is_purged,
        ),
        Trial::new(
            "rows.while-undelivered-is-purged",
            &["B-ROWS-6"],
            while_undelivered_is_purged,
        ),
        Trial::new("rows.strong-and-without-body", &["B-ROWS-7"], strong_and_without_body),
        Trial::new("rows.dropped-midway", &["B-ROWS-5"], dropped_midway),
    ]
}

fn partition() -> Partition {
    Partition::new("rows")
}

fn at(row: u64) -> Address {
    Address::new(Space::Log, partition(), row)
}

fn query() -> RowQuery {
    RowQuery::all(Space::Log, partition(), Read::STRONG)
}

async fn put_rows(arena: &Arena, rows: &[u64]) -> Verdict<Vec<(u64, Item)>> {
    let mut items = Vec::new();
    for &row in rows {
        let item = item(arena.rev());
        arena.put(&at(row), &item).await?;
        items.push((row, item));
    }
    items.sort_by_key(|(row, _)| *row);
    Ok(items)
}

async fn range_and_order(arena: Arc<Arena>) -> Verdict {
    let there = put_rows(&arena, &[7, 3, 20, 0, 11, u64::MAX]).await?;
    for (start, end) in [
        (0, u64::MAX),
        (0, 0),
        (3, 11),
        (4, 10),
        (1, 2),
        (8, 10),
        (11, 11),
        (20, u64::MAX),
        (21, u64::MAX - 1),
        (u64::MAX, u64::MAX),
    ] {
        let mut expected: Vec<_> = there
            .iter()
            .filter(|(row, _)| (start..=end).contains(row))
            .cloned()
            .collect();
        for order in [Order::Ascending, Order::Descending] {
            if order == Order::Descending {
                expected.reverse();
            }
            let range = start..=end;
            let found = arena
                .rows(RowQuery {
                    range,
                    order,
                    ..query()
                })
                .await?;
            same!(found, expected, "rows {start} to {end}, {order:?}");
        }
    }
    Ok(())
}

async fn order_of_numbers(arena: Arc<Arena>) -> Verdict {
    let mut rows = vec![0, 1, 2, 9, 10, 11, 99, 100, 255, 256];
    for power in [31, 32, 53, 63] {
        rows.extend([(1_u64 << power) - 1, 1 << power, (1 << power) + 1]);
    }
    rows.extend([u64::MAX - 1, u64::MAX]);
    let there = put_rows(&arena, &rows).await?;
    same!(arena.rows(query()).await?, there, "ascending");
    let order = Order::Descending;
    let found = arena.rows(RowQuery { order, ..query() }).await?;
    check!(found.iter().rev().eq(&there), "descending is not ascending reversed");
    Ok(())
}

async fn empty_range(arena: Arc<Arena>) -> Verdict {
    put_rows(&arena, &[0, 1, 2, u64::MAX]).await?;
    for (start, end) in [(1, 0), (u64::MAX, 0), (2, 1)] {
        for order in [Order::Ascending, Order::Descending] {
            let range = start..=end;
            let found = arena
                .rows(RowQuery {
                    range,
                    order,
                    ..query()
                })
                .await?;
            same!(found, [], "rows {start} to {end}, {order:?}");
        }
    }
    let nowhere = RowQuery::all(Space::Log, Partition::new("nowhere"), Read::STRONG);
    same!(
        arena.rows(nowhere).await?,
        [],
        "the rows of a partition that there is not"
    );
    Ok(())
}

async fn limit(arena: Arc<Arena>) -> Verdict {
    let there = put_rows(&arena, &[1, 2, 3, 5, 8, 13]).await?;
    for limit in [0, 1, 2, 5, 6, 7, usize::MAX] {
        for order in [Order::Ascending, Order::Descending] {
            let mut expected = there.clone();
            if order == Order::Descending {
                expected.reverse();
            }
            expected.truncate(limit);
            let limit = Some(limit);
            let found = arena
                .rows(RowQuery {
                    limit,
                    order,
                    ..query()
                })
                .await?;
            same!(found, expected, "at most {limit:?}, {order:?}");
        }
    }
    Ok(())
}

async fn no_tombstones(arena: Arc<Arena>) -> Verdict {
    let there = put_rows(&arena, &[2, 4, 6]).await?;
    for row in [0, 3, 7] {
        arena.bury(&at(row), arena.rev()).await?;
    }
    for row in [1, 5, 8] {
        arena.put(&at(row), &expired(arena.rev())).await?;
    }
    same!(arena.rows(query()).await?, there, "all rows");
    let limit = Some(2);
    same!(
        arena.rows(RowQuery { limit, ..query() }).await?,
        there[..2],
        "the first two"
    );
    let (limit, order) = (Some(1), Order::Descending);
    let last = arena
        .rows(RowQuery {
            limit,
            order,
            ..query()
        })
        .await?;
    same!(last, there[2..], "the last one");
    Ok(())
}

async fn one_partition(arena: Arc<Arena>) -> Verdict {
    let there = put_rows(&arena, &[1, 2]).await?;
    for other in ["row", "rows2", "rows/", "Rows", "r"] {
        let at = Address::new(Space::Log, Partition::new(other), 1);
        arena.put(&at, &item(arena.rev())).await?;
    }
    for space in [Space::Document, Space::Chunk, Space::Generation] {
        let at = Address::new(space, partition(), 1);
        arena.put(&at, &item(arena.rev())).await?;
    }
    same!(arena.rows(query()).await?, there, "the rows of one partition");
    Ok(())
}

async fn all_pages(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    let found = arena.rows(query()).await?;
    check!(
        found == there,
        "{} rows were written, {} came or came otherwise",
        there.len(),
        found.len()
    );
    let order = Order::Descending;
    let found = arena.rows(RowQuery { order, ..query() }).await?;
    check!(found.iter().rev().eq(&there), "descending is not ascending reversed");
    let limit = there.len() - 1;
    let found = arena
        .rows(RowQuery {
            limit: Some(limit),
            ..query()
        })
        .await?;
    check!(found == there[..limit], "all but one came otherwise");
    Ok(())
}

async fn many_tombstones_first(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    let (gone, stays) = there.split_at(there.len() - 2);
    for (row, _) in gone {
        arena.bury(&at(*row), arena.rev()).await?;
    }
    same!(arena.rows(query()).await?, stays, "what is behind pages of tombstones");
    let limit = Some(1);
    same!(
        arena.rows(RowQuery { limit, ..query() }).await?,
        stays[..1],
        "the first of it"
    );
    Ok(())
}

/// Odd rows come and go; every even one comes, once, in order.
async fn what_stays_comes_once(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    let stays: Vec<_> = there.iter().filter(|(row, _)| row % 2 == 0).cloned().collect();
    let last = there.len() as u64;
    let until = Until::new();
    let churn = {
        let (arena, go_on) = (Arc::clone(&arena), until.go_on());
        let backend = arena.namespace.another().await?;
        tokio::spawn(async move {
            let mut random = arena.random();
            while go_on() {
                let at = at(random.below(last as usize / 2) as u64 * 2 + 1);
                match random.below(3) {
                    0 => drop(backend.write(&at, item(arena.rev()), When::Newer).await?),
                    1 => drop(backend.remove(&at, arena.rev(), When::Newer).await?),
                    _ => backend.purge(&[Purge::Row(at)]).await?,
                }
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        })
    };
    for order in [Order::Ascending, Order::Descending, Order::Ascending] {
        let found = arena.rows(RowQuery { order, ..query() }).await?;
        let mut even: Vec<_> = found.iter().filter(|(row, _)| row % 2 == 0).cloned().collect();
        let in_order = found.windows(2).all(|pair| match order {
            Order::Ascending => pair[0].0 < pair[1].0,
            Order::Descending => pair[0].0 > pair[1].0,
        });
        check!(
            in_order,
            "out of order, or twice, while others came and went, {order:?}"
        );
        if order == Order::Descending {
            even.reverse();
        }
        check!(
            even == stays,
            "{} rows stayed, {} of them came or came otherwise",
            stays.len(),
            even.len()
        );
    }
    drop(until);
    joined(churn).await
}

/// Takes away every row as it is delivered; all of them come all the same.
async fn while_delivered_is_purged(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    let backend = arena.namespace.another().await?;
    let mut rows = arena.backend.rows(query());
    for expected in there {
        let row = rows.next().await.transpose()?;
        backend.purge(&[Purge::Row(at(expected.0))]).await?;
        same!(row, Some(expected), "the next row");
    }
    same!(rows.next().await.transpose()?, None, "what comes behind the last row");
    same!(arena.rows(query()).await?, [], "what is left");
    Ok(())
}

/// Takes away every odd row before it can be delivered; the even ones come all the same.
async fn while_undelivered_is_purged(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    let stays: Vec<_> = there.iter().filter(|(row, _)| row % 2 == 0).cloned().collect();
    let mut rows = arena.backend.rows(query());
    let mut found: Vec<_> = rows.next().await.transpose()?.into_iter().collect();
    let odd = there.iter().filter(|(row, _)| row % 2 == 1);
    let doomed: Vec<_> = odd.map(|(row, _)| Purge::Row(at(*row))).collect();
    arena.namespace.another().await?.purge(&doomed).await?;
    while let Some(row) = rows.next().await.transpose()? {
        found.push(row);
    }
    found.retain(|(row, _)| row % 2 == 0);
    check!(
        found == stays,
        "{} rows stayed, {} of them came or came otherwise",
        stays.len(),
        found.len()
    );
    Ok(())
}

async fn strong_and_without_body(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    for row in 0..20 {
        let item = item(arena.rev());
        another.write(&at(row), item.clone(), When::Absent).await?;
        let found = arena
            .rows(RowQuery {
                range: row..=row,
                ..query()
            })
            .await?;
        same!(found, [(row, item.clone())], "read through the other handle");
        let how = Read::STRONG.without_body();
        let found = arena
            .rows(RowQuery {
                range: row..=row,
                how,
                ..query()
            })
            .await?;
        same!(found, [(row, Item { body: None, ..item })], "without the body");
    }
    Ok(())
}

async fn dropped_midway(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_rows(&partition()).await?;
    for _ in 0..5 {
        let mut rows = arena.backend.rows(query());
        for expected in &there[..3] {
            let row = rows.next().await.transpose()?;
            same!(row.as_ref(), Some(expected), "one of the first rows");
        }
    }
    let item = item(arena.rev());
    arena.put(&at(0), &item).await?;
    same!(
        arena.get(&at(0)).await?,
        Some(item),
        "what was written after a stream was dropped"
    );
    Ok(())
}
