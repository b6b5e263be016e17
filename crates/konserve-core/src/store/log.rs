//! `log`: entries as a stream.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use super::request::{Common, impl_request};
use super::{Operation, Store};
use crate::head::LogMeta;
use crate::log::{self, Pace, Position, Selection, Site, Which};
use crate::value::from_value;
use crate::{Error, ErrorKind, Key, Result, Value};

impl Store {
    /// The entries of the log at a key, in order, as a stream. An absent key has none.
    ///
    /// Reads pages of the engine (1 MB on DynamoDB) as the stream is consumed, and two requests before that unless this store
    /// appended to the log in the last seconds. Of long logs several pages are read at the same time, up to about 10 MB ahead of
    /// the consumer; an item is in memory as a whole, whatever its size. A removal of the log by another process can go unnoticed for some seconds, unless the read is
    /// [`consistent`](Log::consistent).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// use futures::TryStreamExt;
    ///
    /// store.append_all("log", 0..10).await?;
    /// assert_eq!(store.log::<i64>("log").range(3..5).try_collect::<Vec<_>>().await?, [3, 4]);
    /// assert_eq!(store.log::<i64>("log").last(2).try_collect::<Vec<_>>().await?, [8, 9]);
    /// assert_eq!(store.log::<i64>("log").reverse().try_next().await?, Some(9));
    /// assert_eq!(store.log::<i64>("log").len().await?, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The stream fails with `wrong_kind` for a document or a binary; with `codec`, naming the [position](Error::position), for an
    /// entry that does not fit `E`; with `trimmed` when entries that were asked for are not there any more; with `contended` when the log
    /// is removed meanwhile. After an error it ends.
    pub fn log<E: DeserializeOwned + Send + 'static>(&self, key: impl Into<Key>) -> Log<E> {
        Log {
            store: self.clone(),
            key: key.into(),
            site: None,
            selection: Selection::ALL,
            next: None,
            resumed: None,
            operation: "log",
            stream: None,
            entry: PhantomData,
        }
    }
}

/// A stream of entries: [`Log`] yields `E`.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// A stream of entries behind their positions: [`Log::with_positions`] yields `(Position, E)`.
#[derive(Debug, Clone, Copy)]
pub struct Positioned;

/// The request and the stream of [`Store::log`].
#[must_use = "a stream does nothing until it is polled"]
pub struct Log<E, S = Plain> {
    store: Store,
    key: Key,
    /// The log that is meant, when that is known already.
    site: Option<Site>,
    selection: Selection,
    /// Behind the last position that was delivered, in the direction of the stream.
    next: Option<Position>,
    /// Where it goes on, in its direction.
    resumed: Option<Position>,
    /// The call that errors name.
    operation: &'static str,
    stream: Option<BoxStream<'static, Result<(Position, Value)>>>,
    entry: PhantomData<fn() -> (E, S)>,
}

impl<E: DeserializeOwned + Send + 'static, S> Log<E, S> {
    /// Only the entries at these positions, as far as there are any. A range with a beginning that was trimmed is `trimmed`; one
    /// without (`..10`) begins where the log does.
    ///
    /// Begins with one request more than the log as a whole when the position is within an item, seldom two.
    pub fn range(mut self, positions: impl RangeBounds<Position>) -> Self {
        let start = match positions.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(start) => Some(start.saturating_add(1)),
            Bound::Unbounded => None,
        };
        let end = match positions.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => Position::MAX,
        };
        self.selection.which = Which::Range(start, end);
        self
    }

    /// Only the entries from this position on.
    pub fn from(self, position: Position) -> Self {
        self.range(position..)
    }

    /// Only so many entries at the end.
    pub fn last(mut self, count: u64) -> Self {
        self.selection.which = Which::Last(count);
        self
    }

    /// Newest first. Reads one page after the other.
    pub fn reverse(mut self) -> Self {
        self.selection.reverse = true;
        self
    }

    /// Yields each entry behind its position.
    pub fn with_positions(self) -> Log<E, Positioned> {
        Log {
            store: self.store,
            key: self.key,
            site: self.site,
            selection: self.selection,
            next: self.next,
            resumed: self.resumed,
            operation: self.operation,
            stream: self.stream,
            entry: PhantomData,
        }
    }

    /// Goes on when the end of the log is reached, with new entries as they come; for an absent key, as soon as there is a log.
    /// Every follower sees the same entries in the same order.
    ///
    /// Looks for new entries 20 ms after the last one, and more and more seldom when none come, down to once a second: one request
    /// each, and now and then one more; two or three each while a position is waited for that the log has not reached. Entries that this very store appends are seen sooner. [`poll_between`](Self::poll_between)
    /// sets other times. It is a matter for a tokio runtime.
    ///
    /// The stream ends where its range does, or by an error: as [`Store::log`], with `contended` when the log is removed and with `trimmed` when it is
    /// trimmed faster than it is read. With [`reverse`](Self::reverse) it is `invalid_input`.
    pub fn follow(mut self) -> Self {
        self.selection.follow.get_or_insert(Pace::DEFAULT);
        self
    }

    /// [Follows](Self::follow), and looks for new entries this soon after the last one, and this seldom when none come: at least a
    /// millisecond, at most a day.
    pub fn poll_between(mut self, shortest: Duration, longest: Duration) -> Self {
        self.selection.follow = Some(Pace { shortest, longest });
        self
    }

    /// See every append, every trim and every removal that was acknowledged before.
    pub fn consistent(mut self) -> Self {
        self.selection.consistent = true;
        self
    }

    /// Goes on where another stream of the same log was, by its [`position`](Self::position), also in another process.
    ///
    /// # Errors
    ///
    /// `invalid_input` for text that is not such a position.
    pub fn resume(mut self, position: &str) -> Result<Self> {
        let next = position
            .parse()
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "not the position of a log").with_source(error))?;
        self.resumed = Some(next);
        Ok(self)
    }

    /// Where the stream is: behind the last entry that it delivered. `None` before the first.
    pub fn position(&self) -> Option<String> {
        self.next.map(|next| next.to_string())
    }

    /// How many entries are selected, without reading them: as many as the stream yields if nothing happens meanwhile. Reads
    /// strongly: one request when this store appended to the log in the last seconds, otherwise three.
    ///
    /// Errors as the stream.
    #[allow(clippy::len_without_is_empty)] // it is a request, not a figure
    pub fn len(&self) -> LogLen {
        LogLen {
            common: Common::new(&self.store),
            key: self.key.clone(),
            selection: self.rest(),
        }
    }

    /// The first position that can be read, or that an entry will have if there is none; `None` for an absent key. Requests and errors
    /// as [`len`](Self::len).
    pub fn first_position(&self) -> LogFirst {
        LogFirst {
            common: Common::new(&self.store),
            key: self.key.clone(),
            consistent: self.selection.consistent,
        }
    }

    /// Blocks this thread for each entry.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }

    pub(super) fn of(mut self, site: Site) -> Self {
        self.site = Some(site);
        self
    }

    pub(super) fn named(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    fn poll_entry(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(Position, E)>>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.start(),
        };
        let next = stream.poll_next_unpin(context);
        self.stream = Some(stream);
        next.map(|next| {
            let entry = next?.and_then(|(position, value)| {
                let entry = from_value(value).map_err(|error| {
                    let message = format!("the entry at position {position} does not fit the type");
                    Error::new(ErrorKind::Codec, message)
                        .with_position(position)
                        .with_source(error)
                })?;
                Ok((position, entry))
            });
            Some(match entry {
                Ok((position, entry)) => {
                    self.next = Some(match self.selection.reverse {
                        false => position + 1,
                        true => position,
                    });
                    Ok((position, entry))
                }
                Err(error) => {
                    self.stream = Some(futures::stream::empty().boxed());
                    Err(error.with_operation(self.operation).with_key(&self.key))
                }
            })
        })
    }

    /// What is left to be read.
    fn rest(&self) -> Selection {
        let mut rest = self.selection.clone();
        if let Some(next) = self.resumed {
            let (start, end) = match rest.which {
                Which::Range(start, end) => (start, end),
                Which::Last(_) => (None, Position::MAX),
            };
            rest.which = match rest.reverse {
                false => Which::Range(Some(start.map_or(next, |start| start.max(next))), end),
                true => Which::Range(start, end.min(next)),
            };
        }
        rest
    }

    fn start(&mut self) -> BoxStream<'static, Result<(Position, Value)>> {
        let operation = match self.selection {
            Selection {
                reverse: true,
                follow: Some(_),
                ..
            } => Err(Error::new(
                ErrorKind::InvalidInput,
                "a log cannot be followed backwards",
            )),
            _ => Operation::background(self.store.inner.clone()),
        };
        match operation {
            Ok(operation) => log::entries(operation, self.key.clone(), self.site.take(), self.rest()).boxed(),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }
}

impl<E: DeserializeOwned + Send + 'static> Stream for Log<E> {
    type Item = Result<E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.poll_entry(context);
        next.map(|next| next.map(|next| next.map(|(_, entry)| entry)))
    }
}

impl<E: DeserializeOwned + Send + 'static> Stream for Log<E, Positioned> {
    type Item = Result<(Position, E)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_entry(context)
    }
}

impl<E, S> fmt::Debug for Log<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("key", &self.key)
            .field("selection", &self.selection)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The request of [`Log::len`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct LogLen {
    common: Common,
    key: Key,
    selection: Selection,
}

impl LogLen {
    async fn run(self) -> Result<u64> {
        let Self { common, key, selection } = self;
        let count = async |operation| {
            let extent = extent(&operation, &key, selection.consistent).await?;
            extent.map_or(Ok(0), |extent| selection.count(&extent))
        };
        Operation::run(common.store.inner, "len", Some(&key), common.timeout, count).await
    }
}

impl_request!([] LogLen => Result<u64>);

/// The request of [`Log::first_position`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct LogFirst {
    common: Common,
    key: Key,
    consistent: bool,
}

impl LogFirst {
    async fn run(self) -> Result<Option<Position>> {
        let Self {
            common,
            key,
            consistent,
        } = self;
        let first = async |operation| {
            let extent = extent(&operation, &key, consistent).await?;
            Ok(extent.map(|extent| extent.first))
        };
        Operation::run(common.store.inner, "first_position", Some(&key), common.timeout, first).await
    }
}

impl_request!([] LogFirst => Result<Option<Position>>);

/// How far the log at a key reaches; `None` when it is absent.
async fn extent(operation: &Operation, key: &Key, consistent: bool) -> Result<Option<LogMeta>> {
    let how = operation.store.how(consistent);
    if let Some(site) = Site::remembered(operation, &operation.store.address(key), how).await?
        && let Some(extent) = log::extent(&site).await?
    {
        return Ok(Some(extent));
    }
    match Site::look_up(operation, key, how).await? {
        Some(site) => log::extent(&site).await,
        None => Ok(None),
    }
}
