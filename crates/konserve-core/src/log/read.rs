//! Reading logs: pages of rows in order, checked to have neither gaps nor overlaps.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, TryStreamExt};

use super::state::{LogState, row_address, segment_of, segment_partition, state_address};
use super::tail::log_id;
use crate::backend::{Item, Order, Read, RowQuery, Space};
use crate::head::{Head, HeadKind, LogId};
use crate::log::Position;
use crate::placement;
use crate::record::Content;
use crate::store::Operation;
use crate::{Error, ErrorKind, Key, Result, Value};

/// For how long a reader believes what this process last knew of a log's identity, unless it reads consistently. It bounds
/// how long a removal elsewhere can go unnoticed.
const BELIEVED: Duration = Duration::from_secs(5);

/// Which entries to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// From the first one that there is, to the end.
    All,
    /// From this position up to, and without, that.
    Range(Position, Position),
    /// So many at the end.
    Last(u64),
}

/// The entries of the log at a key, with their positions, in order. An absent key has none.
///
/// # Errors
///
/// `wrong_kind` for a document or a binary; `trimmed` for positions below the first; `contended` when the log is removed
/// while it is read; `corrupt`.
pub(crate) fn entries(
    operation: Operation,
    key: Key,
    selection: Selection,
    consistent: bool,
) -> impl Stream<Item = Result<(Position, Value)>> + Send + 'static {
    let how = operation.store.how(consistent);
    let reader = Reader {
        operation,
        key,
        how,
        cursor: None,
        ready: VecDeque::new(),
    };
    stream::try_unfold((reader, Some(selection)), |(mut reader, mut selection)| async move {
        if let Some(selection) = selection.take() {
            reader.start(selection).await?;
        }
        let next = reader.next().await?;
        Ok(next.map(|entry| (entry, (reader, None))))
    })
}

struct Reader {
    operation: Operation,
    key: Key,
    how: Read,
    /// Where the reader is; `None` when there is nothing more.
    cursor: Option<Cursor>,
    /// Entries that were read and not delivered yet.
    ready: VecDeque<(Position, Value)>,
}

type Rows = BoxStream<'static, Result<(Position, Item)>>;

struct Cursor {
    source: Source,
    /// Where the next row begins.
    next: Position,
    /// The first position that is not wanted.
    end: Position,
    /// The rows from `next` on, of one segment.
    rows: Option<(u64, Rows)>,
}

/// Which log a key holds.
#[derive(Debug, Clone)]
struct Source {
    id: LogId,
    state: LogState,
    /// When that was known, by the clock that counts suspends.
    known: Duration,
}

impl Reader {
    async fn start(&mut self, selection: Selection) -> Result<()> {
        let Some(source) = self.remembered() else {
            return self.start_over(&selection).await;
        };
        self.begin(source, &selection).await?;
        // What is remembered may be a log that was removed meanwhile: that shows when it seems empty, or sealed at once, or
        // broken off.
        let stale = self.ready.is_empty()
            && match self.next_rows().await {
                Ok(more) => !more,
                Err(error) if error.kind() == ErrorKind::Contended => true,
                Err(error) => return Err(error),
            };
        if stale {
            return self.start_over(&selection).await;
        }
        Ok(())
    }

    /// Starts with what the key holds now.
    async fn start_over(&mut self, selection: &Selection) -> Result<()> {
        self.cursor = None;
        let source = self.look_up().await?;
        let store = &self.operation.store;
        let at = store.address(&self.key);
        if store
            .tails
            .get(&at)
            .is_some_and(|tail| source.as_ref().is_none_or(|source| source.id != tail.id))
        {
            store.tails.forget(&at);
        }
        match source {
            Some(source) => self.begin(source, selection).await,
            None => Ok(()),
        }
    }

    /// What this process knew of the log a moment ago.
    fn remembered(&self) -> Option<Source> {
        let store = &self.operation.store;
        let tail = store.tails.get(&store.address(&self.key))?;
        let age = store.environment.clock.uptime().saturating_sub(tail.confirmed);
        (!self.how.strong && age < BELIEVED).then_some(Source {
            id: tail.id,
            state: tail.state,
            known: tail.known,
        })
    }

    /// Which log the key holds now: two requests.
    async fn look_up(&mut self) -> Result<Option<Source>> {
        let store = self.operation.store.clone();
        let known = store.environment.clock.uptime();
        let at = store.address(&self.key);
        let Some(item) = self.operation.read(&at, self.how.without_body()).await? else {
            return Ok(None);
        };
        let id = log_id(&self.operation, &item)?;
        match self.operation.read(&state_address(id), Read::STRONG).await? {
            Some(state) => Ok(Some(Source {
                id,
                state: LogState::decode(&store.envelope, &state.meta)?,
                known,
            })),
            None => self.gone(id).await.map(|()| None),
        }
    }

    /// Without its state row a log is gone, unless its head is still there.
    async fn gone(&mut self, id: LogId) -> Result<()> {
        let at = self.operation.store.address(&self.key);
        match self.operation.read(&at, Read::STRONG.without_body()).await? {
            Some(item) => match log_id(&self.operation, &item) {
                Ok(named) if named == id => Err(Error::new(ErrorKind::Corrupt, "a log without its state row")),
                Ok(_) => Ok(()),
                Err(error) if error.kind() == ErrorKind::WrongKind => Ok(()),
                Err(error) => Err(error),
            },
            None => Ok(()),
        }
    }

    async fn begin(&mut self, source: Source, selection: &Selection) -> Result<()> {
        let first = source.state.first;
        let (start, end) = match *selection {
            Selection::All => (first, Position::MAX),
            Selection::Range(start, end) if start < first && start < end => {
                let message = format!("the log begins at position {first}, so {start} cannot be read");
                return Err(Error::new(ErrorKind::Trimmed, message));
            }
            Selection::Range(start, end) => (start, end),
            Selection::Last(count) => return self.begin_last(source, count).await,
        };
        if start >= end {
            return Ok(());
        }
        let mut next = start;
        if start > first {
            // The row that holds the position begins at it or before.
            match self.row_at(&source, start).await? {
                Some((row, item, count)) => {
                    next = row.saturating_add(count);
                    self.open(&source, row, item, count, start..end).await?;
                    if next <= start {
                        return Ok(()); // the log ends before the position
                    }
                }
                None => return Ok(()),
            }
        }
        self.cursor = Some(Cursor {
            source,
            next,
            end,
            rows: None,
        });
        Ok(())
    }

    /// The last row that begins at a position or before it, and is not a seal.
    async fn row_at(&mut self, source: &Source, position: Position) -> Result<Option<(u64, Item, u64)>> {
        let segment = segment_of(position);
        for segment in [Some(segment), segment.checked_sub(1)].into_iter().flatten() {
            let query = RowQuery {
                space: Space::Log,
                partition: segment_partition(source.id, segment),
                range: 0..=position,
                order: Order::Descending,
                limit: Some(2),
                how: self.how,
            };
            let mut rows = self.operation.store.backend.rows(query);
            while let Some((row, item)) = rows.try_next().await? {
                if let Some(count) = self.entries_in(&item)? {
                    return Ok(Some((row, item, count)));
                }
            }
        }
        Ok(None)
    }

    async fn begin_last(&mut self, source: Source, count: u64) -> Result<()> {
        loop {
            match self.try_last(&source, count).await? {
                None => return Ok(()),
                // A read that lags may leave out a row.
                Some(_) if !self.how.strong => self.how.strong = true,
                Some(gap) => return Err(self.why_broken(source.id, gap).await?),
            }
            self.ready.clear();
        }
    }

    /// The last entries, or the position of a gap.
    async fn try_last(&mut self, source: &Source, count: u64) -> Result<Option<Position>> {
        let store = self.operation.store.clone();
        // Every segment with rows was announced, as of when the state row was known.
        let mut segment = source.state.segment;
        // Going back from the end, rows as they come, until there are enough entries.
        let mut rows = Vec::new();
        let mut found = 0;
        while found < count {
            let query = RowQuery {
                space: Space::Log,
                partition: segment_partition(source.id, segment),
                range: 0..=u64::MAX,
                order: Order::Descending,
                // A row has at least one entry, and one row may be the seal.
                limit: Some(usize::try_from(count - found).unwrap_or(usize::MAX).saturating_add(1)),
                how: self.how,
            };
            let mut page = store.backend.rows(query);
            while found < count
                && let Some((row, item)) = page.try_next().await?
            {
                if let Some(count) = self.entries_in(&item)? {
                    found = found.saturating_add(count);
                    rows.push((row, item, count));
                }
            }
            if segment <= segment_of(source.state.first) {
                break;
            }
            segment -= 1;
        }
        // Fewer than asked for are all that there are, so they begin where the log does.
        let mut expected = (found < count).then_some(source.state.first);
        for (row, item, count) in rows.into_iter().rev() {
            if let Some(expected) = expected
                && expected != row
            {
                return Ok(Some(expected));
            }
            expected = Some(row.saturating_add(count));
            self.open(source, row, item, count, 0..Position::MAX).await?;
        }
        let surplus = (self.ready.len() as u64).saturating_sub(count);
        self.ready.drain(..surplus as usize);
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<(Position, Value)>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if !self.next_rows().await? {
                return Ok(None);
            }
        }
    }

    /// Reads the next row; `false` at the end.
    async fn next_rows(&mut self) -> Result<bool> {
        loop {
            let Some(mut cursor) = self.cursor.take() else {
                return Ok(false);
            };
            if cursor.next >= cursor.end {
                return Ok(false);
            }
            let (segment, mut rows) = match cursor.rows.take() {
                Some(rows) => rows,
                None => self.rows_from(&cursor),
            };
            let Some((row, item)) = rows.try_next().await? else {
                if segment_of(cursor.next) > segment {
                    self.cursor = Some(cursor); // on to the next segment
                    continue;
                }
                // A log that was removed long enough ago ends nowhere: its rows are gone.
                let age = self
                    .operation
                    .store
                    .environment
                    .clock
                    .uptime()
                    .saturating_sub(cursor.source.known);
                if age < self.operation.store.options.log_lease() / 2 || self.still_open(cursor.source.id).await? {
                    return Ok(false);
                }
                return Err(removed_meanwhile());
            };
            if row != cursor.next {
                if !self.how.strong {
                    // A read that lags may leave out a row: read from here on strongly.
                    self.how.strong = true;
                    self.cursor = Some(cursor);
                    continue;
                }
                return Err(self.why_broken(cursor.source.id, cursor.next).await?);
            }
            let Some(count) = self.entries_in(&item)? else {
                return Ok(false); // the seal
            };
            self.open(&cursor.source, row, item, count, 0..cursor.end).await?;
            cursor.next = row.saturating_add(count);
            cursor.rows = Some((segment, rows));
            self.cursor = Some(cursor);
            return Ok(true);
        }
    }

    fn rows_from(&self, cursor: &Cursor) -> (u64, Rows) {
        let segment = segment_of(cursor.next);
        let query = RowQuery {
            space: Space::Log,
            partition: segment_partition(cursor.source.id, segment),
            range: cursor.next..=cursor.end - 1,
            order: Order::Ascending,
            limit: None,
            how: self.how,
        };
        (segment, self.operation.store.backend.rows(query))
    }

    async fn why_broken(&mut self, id: LogId, next: Position) -> Result<Error> {
        let store = self.operation.store.clone();
        let state = self.operation.read(&state_address(id), Read::STRONG).await?;
        let state = state
            .map(|item| LogState::decode(&store.envelope, &item.meta))
            .transpose()?;
        Ok(match state {
            Some(state) if !state.sealed && state.first > next => {
                let message = format!("the log now begins at position {}", state.first);
                Error::new(ErrorKind::Trimmed, message)
            }
            Some(state) if !state.sealed => {
                Error::new(ErrorKind::Corrupt, format!("a log with a gap at position {next}"))
            }
            _ => removed_meanwhile(),
        })
    }

    /// Whether a log is there and not removed, as of now.
    async fn still_open(&mut self, id: LogId) -> Result<bool> {
        let store = self.operation.store.clone();
        match self.operation.read(&state_address(id), Read::STRONG).await? {
            Some(item) => Ok(!LogState::decode(&store.envelope, &item.meta)?.sealed),
            None => Ok(false),
        }
    }

    /// How many entries a row has; `None` for the seal.
    fn entries_in(&self, item: &Item) -> Result<Option<u64>> {
        match Head::decode(&self.operation.store.envelope, &item.meta)?.kind {
            HeadKind::Entries { count } => Ok(Some(count)),
            HeadKind::Seal => Ok(None),
            _ => Err(Error::new(ErrorKind::Corrupt, "a row of a log that is none")),
        }
    }

    /// Makes the wanted entries of a row ready.
    async fn open(
        &mut self,
        source: &Source,
        row: Position,
        item: Item,
        count: u64,
        wanted: Range<Position>,
    ) -> Result<()> {
        let at = row_address(source.id, row);
        let fetched = placement::fetch(&self.operation, &at, item, self.how.strong).await?;
        let Some(fetched) = fetched else {
            return Err(removed_meanwhile());
        };
        let entries = decode_row(fetched.content, &fetched.plain)?;
        if entries.len() as u64 != count {
            let message = format!("a row of a log without its {count} entries");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let entries = (row..).zip(entries);
        self.ready
            .extend(entries.filter(|(position, _)| wanted.contains(position)));
        Ok(())
    }
}

fn removed_meanwhile() -> Error {
    Error::new(ErrorKind::Contended, "the log was removed while it was read")
}

fn decode_row(content: Content, plain: &Bytes) -> Result<Vec<Value>> {
    match content {
        Content::Encoded(codec) => match codec.decode(plain)? {
            Value::List(entries) => Ok(entries),
            _ => Err(Error::new(ErrorKind::Corrupt, "a row of a log that is not a list")),
        },
        Content::Raw => Err(Error::new(ErrorKind::Corrupt, "a row of a log that is not a value")),
    }
}
