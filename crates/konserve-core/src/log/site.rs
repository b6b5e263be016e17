//! A log as a reader sees it: which one a key holds, and how its rows are read.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::Position;
use super::row::{Row, Span, decode_entries, row_address, segment_of, segment_partition, start_of};
use super::state::{LogState, state_address};
use super::tail::{Tail, log_id};
use crate::backend::{Address, Item, Order, Read, RowQuery, Space};
use crate::head::LogId;
use crate::placement;
use crate::store::Operation;
use crate::{Error, ErrorKind, Key, Result, Value};

/// For how long a reader believes what this process last knew of a log's identity, unless it reads consistently. It bounds
/// how long a removal elsewhere can go unnoticed.
const BELIEVED: Duration = Duration::from_secs(5);

/// The rows of a stretch of a log, as the engine delivers them.
pub(super) type Rows = BoxStream<'static, Result<(Position, Item)>>;

/// The log that a key holds.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(super) operation: Operation,
    pub(super) id: LogId,
    pub(super) state: LogState,
    /// When the state was known, by the clock that counts suspends.
    known: Duration,
    /// How rows are read. Strongly from the first sign on that they lag.
    pub(super) how: Read,
}

/// What there is behind the last row that was found.
pub(super) enum Behind {
    /// Nothing, so far.
    Nothing,
    /// More, by what is known now.
    More,
}

impl Site {
    /// The log that a key held when this process last had to do with it, if that is not long ago and it is not known to be gone. One
    /// request where it is longer ago that the state row was known.
    pub(crate) async fn remembered(operation: &Operation, at: &Address, how: Read) -> Result<Option<Self>> {
        let store = &operation.store;
        let now = store.environment.clock.uptime();
        let is_recent = |known: Duration| now.saturating_sub(known) < BELIEVED;
        let Some(tail) = store
            .tails
            .get(at)
            .filter(|tail| !how.strong && is_recent(tail.confirmed))
        else {
            return Ok(None);
        };
        let mut site = Self::of_tail(operation, tail, how);
        if !is_recent(site.known) {
            match site.state_now().await? {
                Some(state) => (site.state, site.known) = (state, now),
                None => return Ok(None),
            }
        }
        Ok((!site.state.sealed).then_some(site))
    }

    /// The log whose tail this is.
    pub(super) fn of_tail(operation: &Operation, tail: Tail, how: Read) -> Self {
        Self {
            operation: operation.clone(),
            id: tail.id,
            state: tail.state,
            known: tail.known,
            how,
        }
    }

    /// The log that a key holds now; `None` when it is absent. Two requests.
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a document or a binary.
    pub(crate) async fn look_up(operation: &Operation, key: &Key, how: Read) -> Result<Option<Self>> {
        let store = &operation.store;
        let known = store.environment.clock.uptime();
        let at = store.address(key);
        let item = operation.read(&at, how.without_body()).await?;
        let id = item.map(|item| log_id(operation, &item)).transpose()?;
        let site = match id {
            Some(id) => Self::of(operation, &at, id, known, how).await?,
            None => None,
        };
        // What this process believes in may be gone.
        let is_gone = |tail: &Tail| site.as_ref().is_none_or(|site| site.id != tail.id);
        if store.tails.get(&at).as_ref().is_some_and(is_gone) {
            store.tails.forget(&at);
        }
        Ok(site)
    }

    /// The log that the head of a key named at this time; `None` when it is gone. One request.
    pub(crate) async fn of(
        operation: &Operation,
        at: &Address,
        id: LogId,
        known: Duration,
        how: Read,
    ) -> Result<Option<Self>> {
        let Some(state) = operation.read(&state_address(id), Read::STRONG).await? else {
            // Without its state row a log is gone, unless its head is still there.
            let head = operation.read(at, Read::STRONG.without_body()).await?;
            return match head.map(|head| log_id(operation, &head)).transpose() {
                Ok(Some(named)) if named == id => Err(Error::new(ErrorKind::Corrupt, "a log without its state row")),
                Ok(_) => Ok(None),
                Err(error) if error.kind() == ErrorKind::WrongKind => Ok(None),
                Err(error) => Err(error),
            };
        };
        Ok(Some(Self {
            operation: operation.clone(),
            id,
            state: LogState::decode(&operation.store.envelope, &state.meta)?,
            known,
            how,
        }))
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// All positions below this one are written, for certain.
    pub(super) fn full_below(&self) -> Position {
        start_of(self.state.segment)
    }

    /// The rows that begin in a range of positions of one segment.
    pub(super) fn rows(
        &self,
        segment: u64,
        range: std::ops::RangeInclusive<Position>,
        order: Order,
        limit: Option<u64>,
    ) -> Rows {
        let rows = self.operation.store.backend.rows(RowQuery {
            space: Space::Log,
            partition: segment_partition(self.id, segment),
            range,
            order,
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            how: self.how,
        });
        rows.fuse().boxed()
    }

    pub(super) fn row(&self, start: Position, item: &Item) -> Result<Row> {
        Row::of(&self.operation.store.envelope, start, item)
    }

    /// The last row of entries that begins at a position or before it. One request, seldom two.
    pub(super) async fn row_at(&self, position: Position) -> Result<Option<(Span, Item)>> {
        let segment = segment_of(position);
        for segment in [Some(segment), segment.checked_sub(1)].into_iter().flatten() {
            // One of them may be the seal.
            let mut rows = self.rows(segment, 0..=position, Order::Descending, Some(2));
            while let Some((start, item)) = rows.try_next().await? {
                if let Row::Entries(span) = self.row(start, &item)? {
                    return Ok(Some((span, item)));
                }
            }
        }
        Ok(None)
    }

    /// The entries of a row, with their positions.
    pub(super) async fn open(&self, span: &Span, item: Item) -> Result<Vec<(Position, Value)>> {
        let at = row_address(self.id, span.start);
        let fetched = placement::fetch(&self.operation, &at, item, self.how.strong).await;
        let fetched = fetched.map_err(|error| error.with_position(span.start))?;
        let Some(fetched) = fetched else {
            return Err(self.why_broken(span.start).await?);
        };
        let entries = decode_entries(fetched.content, &fetched.plain, span)?;
        Ok((span.start..).zip(entries).collect())
    }

    /// Reads the state row again if rows reach as far as the segment that is known to be the last one: there may be another one by now.
    /// Says whether there is.
    pub(super) async fn has_grown(&mut self, end: Position) -> Result<bool> {
        if end < start_of(self.state.segment + 1) {
            return Ok(false);
        }
        let known = self.operation.store.environment.clock.uptime();
        let Some(state) = self.state_now().await? else {
            return Ok(false);
        };
        let has_grown = state.segment > self.state.segment;
        (self.state, self.known) = (state, known);
        Ok(has_grown)
    }

    /// What there is at the end of the rows, where another one would begin. A log that was removed or trimmed long enough ago ends
    /// nowhere: its rows are gone. No request while that cannot be.
    pub(super) async fn behind(&mut self, next: Position) -> Result<Behind> {
        let store = &self.operation.store;
        let age = store.environment.clock.uptime().saturating_sub(self.known);
        if age < store.options.log_lease() / 2 {
            return Ok(Behind::Nothing);
        }
        let known = store.environment.clock.uptime();
        let state = self.state_now().await?;
        match state {
            Some(state) if state.sealed => Err(removed()),
            Some(state) if state.first.next > next => Err(trimmed(state.first.next)),
            Some(state) => {
                let has_more = next < start_of(state.segment);
                self.state = state;
                self.known = known;
                Ok(if has_more { Behind::More } else { Behind::Nothing })
            }
            None => Err(removed()),
        }
    }

    /// Why there is no row at a position where one has to be.
    pub(super) async fn why_broken(&self, next: Position) -> Result<Error> {
        Ok(match self.state_now().await? {
            Some(state) if !state.sealed && state.first.next > next => trimmed(state.first.next),
            Some(state) if !state.sealed => {
                Error::new(ErrorKind::Corrupt, format!("a log with a gap at position {next}")).with_position(next)
            }
            _ => removed(),
        })
    }

    async fn state_now(&self) -> Result<Option<LogState>> {
        let state = self.operation.read(&state_address(self.id), Read::STRONG).await?;
        state
            .map(|item| LogState::decode(&self.operation.store.envelope, &item.meta))
            .transpose()
    }
}

pub(super) fn removed() -> Error {
    Error::new(ErrorKind::Contended, "the log was removed while it was read")
}

pub(super) fn trimmed(first: Position) -> Error {
    Error::new(ErrorKind::Trimmed, format!("the log begins at position {first}")).with_position(first)
}
