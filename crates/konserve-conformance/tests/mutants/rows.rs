//! Mutants that deliver other rows, or in another order.

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{Address, Backend, Occupant, Order, Partition, RowQuery, Space};
use konserve_core::{Error, ErrorKind, Result};

use crate::engine::{Right, Rows, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "rows.first-page-only",
            "rows.all-pages",
            "a query answers with a page and a key to go on from, with which nobody asks again",
            || Streams(|rows, _| rows.take(64).boxed()),
        ),
        Mutant::new(
            "rows.unordered",
            "rows.range-and-order",
            "pages are fetched side by side and delivered as they come",
            || {
                Streams(|rows, _| {
                    rows.chunks(2)
                        .flat_map(|pair| stream::iter(pair.into_iter().rev()))
                        .boxed()
                })
            },
        ),
        Mutant::new(
            "rows.descending-by-page",
            "rows.all-pages",
            "each page is reversed, and the pages come ascending",
            || PagesReversed,
        ),
        Mutant::new(
            "rows.end-excluded",
            "rows.range-and-order",
            "ranges of the engine do not include their end",
            || {
                Streams(|rows, query| {
                    let end = *query.range.end();
                    rows.try_filter(move |(row, _)| futures::future::ready(*row != end))
                        .boxed()
                })
            },
        ),
        Mutant::new(
            "rows.end-excluded-by-adding-one",
            "rows.range-and-order",
            "ranges of the engine do not include their end, so one is added, which the highest row has no room for",
            || {
                Queries(|query| {
                    let range = *query.range.start()..=(*query.range.end()).min(u64::MAX - 1);
                    RowQuery { range, ..query }
                })
            },
        ),
        Mutant::new(
            "rows.start-excluded",
            "rows.range-and-order",
            "the start of the range is given to the engine as the key to go on behind",
            || {
                Streams(|rows, query| {
                    let start = *query.range.start();
                    rows.try_filter(move |(row, _)| futures::future::ready(*row != start))
                        .boxed()
                })
            },
        ),
        Mutant::new(
            "rows.empty-range-turned-round",
            "rows.empty-range",
            "`BETWEEN` with its bounds sorted, to be on the safe side",
            || {
                Queries(|query| {
                    let (start, end) = (*query.range.start(), *query.range.end());
                    RowQuery {
                        range: start.min(end)..=start.max(end),
                        ..query
                    }
                })
            },
        ),
        Mutant::new(
            "rows.empty-range-refused",
            "rows.empty-range",
            "the engine refuses a range whose start is behind its end, and that is passed on",
            || {
                Streams(|rows, query| match query.range.is_empty() {
                    true => failing("the start of the range is behind its end"),
                    false => rows,
                })
            },
        ),
        Mutant::new(
            "rows.limit-ignored",
            "rows.limit",
            "the limit is taken for the size of a page",
            || Queries(|query| RowQuery { limit: None, ..query }),
        ),
        Mutant::new(
            "rows.limit-ignored-descending",
            "rows.limit",
            "two statements for two directions, one of which was forgotten",
            || {
                Queries(|query| match query.order {
                    Order::Descending => RowQuery { limit: None, ..query },
                    Order::Ascending => query,
                })
            },
        ),
        Mutant::new(
            "rows.limit-before-order",
            "rows.limit",
            "the first rows are fetched and then turned round",
            || LimitFirst,
        ),
        Mutant::new(
            "rows.limit-of-nothing-is-no-limit",
            "rows.limit",
            "a limit of 0 means none in the engine's protocol",
            || {
                Queries(|query| RowQuery {
                    limit: query.limit.filter(|limit| *limit > 0),
                    ..query
                })
            },
        ),
        Mutant::new(
            "rows.limit-wraps-around",
            "rows.limit",
            "one more than the limit is asked for, to know whether there is more, and the sum overflows",
            || {
                Queries(|query| RowQuery {
                    limit: query.limit.map(|limit| if limit == usize::MAX { 0 } else { limit }),
                    ..query
                })
            },
        ),
        Mutant::new(
            "rows.limit-counts-tombstones",
            "rows.no-tombstones",
            "the limit is the engine's, which counts rows, and tombstones are taken out afterwards",
            || CountsTombstones,
        ),
        Mutant::new(
            "rows.end-at-a-page-without-items",
            "rows.many-tombstones-first",
            "a page that is empty after tombstones were taken out is taken for the end",
            || EndsAtGap,
        ),
        Mutant::new(
            "rows.page-boundary-twice",
            "rows.all-pages",
            "the next page begins at the last row of the one before, instead of behind it",
            || {
                Streams(|rows, _| {
                    rows.enumerate()
                        .flat_map(|(index, row)| {
                            let again = row.as_ref().ok().filter(|_| index % 64 == 63).cloned().map(Ok);
                            stream::iter([row]).chain(stream::iter(again))
                        })
                        .boxed()
                })
            },
        ),
        Mutant::new(
            "rows.pages-by-offset",
            "rows.while-delivered-is-purged",
            "`OFFSET … LIMIT …`: what is removed meanwhile moves the rest over the boundary of a page",
            || Offsets,
        ),
        Mutant::new(
            "rows.fail-on-what-is-gone",
            "rows.while-undelivered-is-purged",
            "the names are listed first, and a file that is gone when it is opened is an error",
            || FailsOnGone,
        ),
        Mutant::new(
            "rows.of-partitions-with-the-same-beginning",
            "rows.one-partition-of-one-space",
            "a scan by prefix, without a separator behind the partition",
            || Prefix,
        ),
        Mutant::new(
            "rows.of-all-spaces",
            "rows.one-partition-of-one-space",
            "the query forgot the space",
            || AllSpaces,
        ),
        Mutant::new(
            "rows.signed",
            "rows.order-of-numbers",
            "a BIGINT column: the upper half of all rows is negative and comes first",
            || OrderedBy(|row| (row ^ (1 << 63)).to_be_bytes().to_vec()),
        ),
        Mutant::new(
            "rows.ordered-as-text",
            "rows.order-of-numbers",
            "the number is part of a key of text: 10 comes before 9",
            || OrderedBy(|row| row.to_string().into_bytes()),
        ),
        Mutant::new(
            "rows.with-the-body-always",
            "rows.strong-and-without-body",
            "the flag for the body is ignored",
            || {
                Queries(|mut query| {
                    query.how.body = true;
                    query
                })
            },
        ),
        Mutant::new(
            "rows.without-the-body-always",
            "rows.strong-and-without-body",
            "an index that has the meta only answers range queries",
            || {
                Queries(|mut query| {
                    query.how.body = false;
                    query
                })
            },
        ),
    ]
}

/// The stream is changed on its way to the reader.
struct Streams(fn(Rows, &RowQuery) -> Rows);
/// Something else is asked for.
struct Queries(fn(RowQuery) -> RowQuery);
struct PagesReversed;
struct LimitFirst;
struct CountsTombstones;
struct EndsAtGap;
struct Offsets;
struct FailsOnGone;
struct Prefix;
struct AllSpaces;
/// By what rows are ordered.
struct OrderedBy(fn(u64) -> Vec<u8>);

fn failing(message: &str) -> Rows {
    stream::iter([Err(Error::new(ErrorKind::InvalidInput, message))]).boxed()
}

/// All rows that a future finds.
fn found<F>(find: F) -> Rows
where
    F: Future<Output = Result<Vec<(u64, konserve_core::backend::Item)>>> + Send + 'static,
{
    stream::once(find)
        .map_ok(|rows| stream::iter(rows.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

#[async_trait]
impl Wrong for Streams {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        self.0(right.rows(query.clone()), &query)
    }
}

#[async_trait]
impl Wrong for Queries {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        right.rows(self.0(query))
    }
}

#[async_trait]
impl Wrong for PagesReversed {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        if query.order == Order::Ascending {
            return right.rows(query);
        }
        let pages = right.rows(RowQuery {
            order: Order::Ascending,
            ..query
        });
        pages
            .chunks(64)
            .flat_map(|page| stream::iter(page.into_iter().rev()))
            .boxed()
    }
}

#[async_trait]
impl Wrong for LimitFirst {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let order = query.order;
        let rows = right.rows(RowQuery {
            order: Order::Ascending,
            ..query
        });
        found(async move {
            let mut rows: Vec<_> = rows.try_collect().await?;
            if order == Order::Descending {
                rows.reverse();
            }
            Ok(rows)
        })
    }
}

#[async_trait]
impl Wrong for CountsTombstones {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let right = right.clone();
        found(async move {
            let mut seen = occupants(&right, &query).await?;
            if query.order == Order::Descending {
                seen.reverse();
            }
            seen.truncate(query.limit.unwrap_or(usize::MAX));
            Ok(seen
                .into_iter()
                .filter_map(|(row, occupant)| Some((row, occupant.into_item()?)))
                .collect())
        })
    }
}

/// The occupants of the first rows, tombstones included.
async fn occupants(right: &Right, query: &RowQuery) -> Result<Vec<(u64, Occupant)>> {
    let mut found = Vec::new();
    for row in (0..200).filter(|row| query.range.contains(row)) {
        let at = Address::new(query.space, query.partition.clone(), row);
        if let Some(occupant) = right.occupant(&at).await? {
            found.push((row, occupant));
        }
    }
    Ok(found)
}

#[async_trait]
impl Wrong for EndsAtGap {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let right = right.clone();
        found(async move {
            let mut rows = Vec::new();
            for page in occupants(&right, &query).await?.chunks(64) {
                let items = page
                    .iter()
                    .filter_map(|(row, occupant)| Some((*row, occupant.item()?.clone())));
                let before = rows.len();
                rows.extend(items);
                if rows.len() == before {
                    break;
                }
            }
            rows.truncate(query.limit.unwrap_or(usize::MAX));
            Ok(rows)
        })
    }
}

#[async_trait]
impl Wrong for Offsets {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let right = right.clone();
        let pages = stream::unfold(0, move |offset| {
            let page = right.rows(query.clone()).skip(offset).take(8);
            async move {
                let page: Vec<_> = page.collect().await;
                (!page.is_empty()).then(|| (page, offset + 8))
            }
        });
        pages.flat_map(stream::iter).boxed()
    }
}

#[async_trait]
impl Wrong for FailsOnGone {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let rows = right.rows(query.clone()).map_ok(|(row, _)| row);
        let rows = stream::once(rows.try_collect::<Vec<_>>());
        let right = right.clone();
        rows.map_ok(|rows| stream::iter(rows.into_iter().map(Ok)))
            .try_flatten()
            .and_then(move |row| {
                let (right, query) = (right.clone(), query.clone());
                async move {
                    let at = Address::new(query.space, query.partition, row);
                    let gone = || Error::new(ErrorKind::Unavailable, "no such file");
                    let item = right.read(&at, query.how).await?.ok_or_else(gone)?;
                    Ok((row, item))
                }
            })
            .boxed()
    }
}

#[async_trait]
impl Wrong for Prefix {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let longer = Partition::new(format!("{}2", query.partition));
        let more = right.rows(RowQuery {
            partition: longer,
            ..query.clone()
        });
        right.rows(query).chain(more).boxed()
    }
}

#[async_trait]
impl Wrong for AllSpaces {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let rows = Space::ALL.map(|space| right.rows(RowQuery { space, ..query.clone() }));
        stream::iter(rows).flatten().boxed()
    }
}

#[async_trait]
impl Wrong for OrderedBy {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let rows = right.rows(query);
        let key = self.0;
        found(async move {
            let mut rows: Vec<_> = rows.try_collect().await?;
            rows.sort_by_key(|(row, _)| key(*row));
            Ok(rows)
        })
    }
}
