//! Reading items whose addresses are not known: every page of queries and scans.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use futures::stream::{self, BoxStream, StreamExt};
use konserve_core::backend::{Address, Item, Listing, Occupant, Order, RowQuery, Space};
use konserve_core::{Error, ErrorKind, Result};

use crate::connection::{Connection, Slot, projection};
use crate::expression::{self, LIVE};
use crate::index;
use crate::layout::{self, Attributes};
use crate::parts::Source;

/// By how much the next page may go through more than the last one, which did not bring enough.
const REACH_GROWTH: usize = 4;

/// What one page brought, and where the next one starts; `None` after the last.
struct Page<T> {
    items: Vec<T>,
    next: Option<Attributes>,
}

/// What is left of a stream of pages.
struct Pages<Q, T> {
    slot: Slot,
    query: Q,
    ready: VecDeque<T>,
    /// Where the next page starts: the outer `None` when there is no next page.
    next: Option<Option<Attributes>>,
    /// How many more items to deliver.
    left: Option<usize>,
    /// How many items of the table the next page may go through.
    reach: Option<usize>,
}

/// The items of one partition, ordered by row.
pub(crate) fn rows(slot: Slot, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
    if query.range.is_empty() || query.limit == Some(0) {
        return stream::empty().boxed();
    }
    let pages = Pages {
        slot,
        left: query.limit,
        reach: query.limit,
        query,
        ready: VecDeque::new(),
        next: Some(None),
    };
    stream::try_unfold(pages, |mut pages| async move {
        loop {
            if let Some(row) = pages.take() {
                return Ok(Some((row, pages)));
            }
            let Some(start) = pages.next.take() else {
                return Ok(None);
            };
            let page = pages.slot.get()?.query(&pages.query, pages.reach, start).await?;
            pages.fill(page);
        }
    })
    .boxed()
}

/// Everything in one space.
pub(crate) fn list(slot: Slot, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
    let source = match Source::of(space, &how) {
        Ok(source) => source,
        Err(error) => return stream::once(async { Err(error) }).boxed(),
    };
    match source {
        Source::Table => scan(slot, space, how, None),
        Source::Segment { index, count } => scan(slot, space, how, Some((index, count))),
        Source::Shards(shards) => indexed(slot, space, how, shards),
    }
}

/// Everything in one space, or in one of so many segments of it.
fn scan(
    slot: Slot,
    space: Space,
    how: Listing,
    segment: Option<(i32, i32)>,
) -> BoxStream<'static, Result<(Address, Occupant)>> {
    let pages = Pages {
        slot,
        query: (how, 0),
        ready: VecDeque::new(),
        next: Some(None),
        left: None,
        reach: None,
    };
    stream::try_unfold(pages, move |mut pages| async move {
        loop {
            if let Some(occupant) = pages.take() {
                return Ok(Some((occupant, pages)));
            }
            let Some(start) = pages.next.take() else {
                return Ok(None);
            };
            let connection = pages.slot.get()?;
            let (how, read) = &mut pages.query;
            if *read == 0 && space == Space::Document {
                connection.recheck_index().await;
            }
            let start = match (start, &how.after) {
                (None, Some(after)) => Some(connection.layout.key(after)?),
                (start, _) => start,
            };
            let page = connection.scan(space, how, segment, start).await?;
            *read += 1;
            if segment.is_none() {
                connection.parts.saw_pages(*read);
            }
            pages.fill(page);
        }
    })
    .boxed()
}

/// The documents in some shards of the listing index, one shard behind the other.
fn indexed(slot: Slot, space: Space, how: Listing, shards: Vec<u8>) -> BoxStream<'static, Result<(Address, Occupant)>> {
    let first = match &how.after {
        None => 0,
        Some(after) => {
            let shard = layout::listing_shard(&after.partition);
            match shards.iter().position(|here| *here == shard) {
                Some(first) => first,
                None => {
                    let message = "a listing goes on in the part it began in";
                    let error = Error::new(ErrorKind::InvalidInput, message);
                    return stream::once(async { Err(error) }).boxed();
                }
            }
        }
    };
    let left: VecDeque<u8> = shards.into_iter().skip(first).collect();
    let pages = Pages {
        slot,
        query: (left, how.after),
        ready: VecDeque::new(),
        next: Some(None),
        left: None,
        reach: None,
    };
    stream::try_unfold(pages, move |mut pages| async move {
        loop {
            if let Some(occupant) = pages.take() {
                return Ok(Some((occupant, pages)));
            }
            let (shards, after) = &mut pages.query;
            let Some(start) = pages.next.take() else {
                shards.pop_front();
                pages.next = Some(None);
                continue;
            };
            let Some(shard) = shards.front() else {
                return Ok(None);
            };
            let connection = pages.slot.get()?;
            let shard = connection.layout.listing_shard_of(space, *shard);
            // Only in the first shard that is read does it begin behind something.
            let start = match (start, after.take()) {
                (None, Some(after)) => {
                    let mut key = connection.layout.key(&after)?;
                    key.insert("l".to_owned(), shard.clone());
                    Some(key)
                }
                (start, _) => start,
            };
            let page = connection.query_index(shard, start).await?;
            pages.fill(page);
        }
    })
    .boxed()
}

impl<Q, T> Pages<Q, T> {
    fn take(&mut self) -> Option<T> {
        match &mut self.left {
            Some(0) => return None,
            Some(left) if !self.ready.is_empty() => *left -= 1,
            _ => {}
        }
        self.ready.pop_front()
    }

    fn fill(&mut self, page: Page<T>) {
        self.ready = page.items.into();
        // Tombstones count for DynamoDB. Many of them must not take as many requests.
        self.reach = self.reach.map(|reach| reach.saturating_mul(REACH_GROWTH));
        let is_enough = self.left.is_some_and(|left| left <= self.ready.len());
        self.next = match is_enough {
            true => None,
            false => page.next.map(Some),
        };
    }
}

impl Connection {
    async fn query(
        &self,
        query: &RowQuery,
        limit: Option<usize>,
        start: Option<Attributes>,
    ) -> Result<Page<(u64, Item)>> {
        let pk = self.layout.partition_key(query.space, &query.partition)?;
        let now = self.now();
        let page = self
            .client
            .query()
            .table_name(self.layout.table())
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .filter_expression(LIVE)
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":first", layout::decimal(query.range.start()))
            .expression_attribute_values(":last", layout::decimal(query.range.end()))
            .expression_attribute_values(":now", expression::now_value(now))
            .scan_index_forward(query.order == Order::Ascending)
            .consistent_read(query.how.strong)
            .set_projection_expression(projection(query.how))
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.ask("Query", || page.clone().send()).await?;
        let mut items = Vec::new();
        for attributes in output.items.into_iter().flatten() {
            let address = self.layout.address(&attributes)?;
            if let Occupant::Item(item) = self.occupant(&address, attributes, now)? {
                items.push((address.row, item));
            }
        }
        let next = some_key(output.last_evaluated_key);
        Ok(Page { items, next })
    }

    /// One page of a shard of the listing index.
    async fn query_index(&self, shard: AttributeValue, start: Option<Attributes>) -> Result<Page<(Address, Occupant)>> {
        let now = self.now();
        let page = self
            .client
            .query()
            .table_name(self.layout.table())
            .index_name(index::NAME)
            .key_condition_expression("l = :l")
            .filter_expression(LIVE)
            .expression_attribute_values(":l", shard)
            .expression_attribute_values(":now", expression::now_value(now))
            .projection_expression(layout::WITHOUT_BODY)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.ask("Query", || page.clone().send()).await?;
        let mut items = Vec::new();
        for attributes in output.items.into_iter().flatten() {
            let address = self.layout.address(&attributes)?;
            let occupant = self.occupant(&address, attributes, now)?;
            if occupant.item().is_some() {
                items.push((address, occupant));
            }
        }
        let next = some_key(output.last_evaluated_key);
        Ok(Page { items, next })
    }

    async fn scan(
        &self,
        space: Space,
        how: &Listing,
        segment: Option<(i32, i32)>,
        start: Option<Attributes>,
    ) -> Result<Page<(Address, Occupant)>> {
        let now = self.now();
        let prefix = AttributeValue::S(self.layout.space_prefix(space));
        let mut scan = self
            .client
            .scan()
            .table_name(self.layout.table())
            .expression_attribute_values(":prefix", prefix)
            .consistent_read(how.how.strong)
            .set_projection_expression(projection(how.how))
            .set_segment(segment.map(|(index, _)| index))
            .set_total_segments(segment.map(|(_, count)| count))
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        scan = match how.tombstones {
            true => scan.filter_expression("begins_with(pk, :prefix)"),
            false => scan
                .filter_expression(format!("begins_with(pk, :prefix) AND {LIVE}"))
                .expression_attribute_values(":now", expression::now_value(now)),
        };
        let output = self.ask("Scan", || scan.clone().send()).await?;
        let mut items = Vec::new();
        for attributes in output.items.into_iter().flatten() {
            let address = self.layout.address(&attributes)?;
            if how.tombstones {
                let stored = layout::occupant(attributes).map_err(|error| error.with_key(&address.partition))?;
                items.push((address, stored));
                continue;
            }
            let occupant = self.occupant(&address, attributes, now)?;
            if occupant.item().is_some() {
                items.push((address, occupant));
            }
        }
        let next = some_key(output.last_evaluated_key);
        Ok(Page { items, next })
    }

    /// The keys of everything that the store has in the table but for its mark, one page.
    pub(crate) async fn keys_of_store(
        &self,
        start: Option<Attributes>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>)> {
        let prefix = AttributeValue::S(self.layout.prefix().to_owned());
        let page = self
            .client
            .scan()
            .table_name(self.layout.table())
            .filter_expression("begins_with(pk, :prefix)")
            .expression_attribute_values(":prefix", prefix)
            .consistent_read(true)
            .projection_expression("pk, sk")
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let output = self.ask("Scan", || page.clone().send()).await?;
        let mark = self.layout.mark();
        let keys = output.items.into_iter().flatten();
        let keys = keys.filter(|key| key.get("pk") != mark.get("pk")).collect();
        Ok((keys, some_key(output.last_evaluated_key)))
    }
}

/// Some engines end with an empty key instead of none.
fn some_key(key: Option<Attributes>) -> Option<Attributes> {
    key.filter(|key| !key.is_empty())
}
