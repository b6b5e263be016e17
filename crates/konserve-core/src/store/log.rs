//! `append`, `append_all`, `log`, `reduce_log`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::request::{Common, impl_request};
use super::{Operation, Store};
use crate::head::HeadKind;
use crate::log::{self, Position, SEGMENT, Selection};
use crate::placement;
use crate::record::Content;
use crate::value::{from_value, to_value};
use crate::{Error, ErrorKind, Key, Result, Value};

impl Store {
    /// Appends an entry to the log at a key, which is created if the key is absent, and says at which position it is.
    ///
    /// One write when this store appended to the log before; three reads more otherwise, or a read and a commit to create it. Any
    /// number of writers in any number of processes: positions are dense from 0, in one order for all readers.
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a document or a binary; `contended` when other writers kept winning; `unknown_outcome` when the engine
    /// stopped answering: the entry is in the log once or not at all.
    pub fn append<E: Serialize + ?Sized>(&self, key: impl Into<Key>, entry: &E) -> Append {
        self.append_values(key.into(), to_value(entry).map(|value| vec![value]), "append")
    }

    /// Appends entries together: they are in the log one behind the other, or not at all. Says at which position the first one
    /// is.
    ///
    /// As [`append`](Self::append) otherwise; entries that do not fit into one item together take chunks.
    ///
    /// # Errors
    ///
    /// `invalid_input` without entries; `too_many_items` above 65,536.
    pub fn append_all(&self, key: impl Into<Key>, entries: impl IntoIterator<Item = impl Serialize>) -> Append {
        let entries = entries.into_iter().map(|entry| to_value(&entry)).collect();
        self.append_values(key.into(), entries, "append_all")
    }

    fn append_values(&self, key: Key, entries: Result<Vec<Value>>, name: &'static str) -> Append {
        Append {
            common: Common::new(self),
            key,
            entries,
            name,
        }
    }

    /// The entries of the log at a key, in order, as a stream. An absent key has none.
    ///
    /// Reads pages of the engine (1 MB on DynamoDB) as the stream is consumed, and two requests before that unless this store
    /// appended to the log in the last seconds. A removal of the log by another process can go unnoticed for that long, unless the
    /// read is [`consistent`](Log::consistent).
    ///
    /// The stream fails with `wrong_kind` for a document or a binary; with `codec`, naming the position, for an entry that does
    /// not fit `E`; with `contended` when the log is removed meanwhile. After an error it ends.
    pub fn log<E: DeserializeOwned + Send + 'static>(&self, key: impl Into<Key>) -> Log<E> {
        Log {
            store: self.clone(),
            key: key.into(),
            selection: Selection::All,
            consistent: false,
            next: None,
            operation: "log",
            stream: None,
            entry: PhantomData,
        }
    }

    /// Folds the entries of the log at a key, in order, in constant memory.
    ///
    /// Errors as [`log`](Self::log).
    pub fn reduce_log<E, A, F>(&self, key: impl Into<Key>, init: A, function: F) -> ReduceLog<E, A, F>
    where
        E: DeserializeOwned + Send + 'static,
        A: Send + 'static,
        F: FnMut(A, E) -> A + Send + 'static,
    {
        ReduceLog {
            common: Common::new(self),
            log: Log {
                operation: "reduce_log",
                ..self.log(key)
            },
            init,
            function,
        }
    }
}

/// The request of [`Store::append`] and [`Store::append_all`].
///
/// Dropping its future leaves the entries in the log or not, all or none; appending again may then append twice.
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Append {
    common: Common,
    key: Key,
    entries: Result<Vec<Value>>,
    name: &'static str,
}

impl Append {
    async fn run(self) -> Result<Position> {
        let Self {
            common,
            key,
            entries,
            name,
        } = self;
        Operation::run(
            common.store.inner,
            name,
            Some(&key),
            common.timeout,
            async |operation| {
                let entries = entries?;
                let count = entries.len() as u64;
                if count == 0 {
                    return Err(Error::new(ErrorKind::InvalidInput, "no entries to append"));
                }
                if count > SEGMENT {
                    let error = Error::new(ErrorKind::TooManyItems, "too many entries at once");
                    return Err(error.with_limit(SEGMENT, count));
                }
                let codec = operation.store.options.codec;
                let plain = codec.encode(&Value::List(entries))?.into();
                let kind = HeadKind::Entries { count };
                let placed = placement::place(&operation, kind, Content::Encoded(codec), plain).await?;
                let appended = log::append(&operation, &key, &placed, count).await;
                if appended.is_err() {
                    placement::discard(&operation, &placed);
                }
                appended
            },
        )
        .await
    }
}

impl_request!([] Append => Result<Position>);

/// The request and the stream of [`Store::log`].
#[must_use = "a stream does nothing until it is polled"]
pub struct Log<E> {
    store: Store,
    key: Key,
    selection: Selection,
    consistent: bool,
    /// Behind the last position that was delivered.
    next: Option<Position>,
    /// The call that errors name.
    operation: &'static str,
    stream: Option<BoxStream<'static, Result<(Position, Value)>>>,
    entry: PhantomData<fn() -> E>,
}

impl<E: DeserializeOwned + Send + 'static> Log<E> {
    /// Only the entries at these positions, as far as there are any.
    pub fn range(mut self, positions: impl RangeBounds<Position>) -> Self {
        let start = match positions.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match positions.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => Position::MAX,
        };
        self.selection = match positions.start_bound() {
            Bound::Unbounded if end == Position::MAX => Selection::All,
            _ => Selection::Range(start, end),
        };
        self
    }

    /// Only so many entries at the end, in order.
    pub fn last(mut self, count: u64) -> Self {
        self.selection = Selection::Last(count);
        self
    }

    /// See every append and every removal that was acknowledged before.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// Goes on where another stream of the same log was, by its [`position`](Self::position), also in another process.
    ///
    /// # Errors
    ///
    /// `invalid_input` for text that is not such a position.
    pub fn resume(self, position: &str) -> Result<Self> {
        let next: Position = position
            .parse()
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "not the position of a log").with_source(error))?;
        Ok(self.range(next..))
    }

    /// Where the stream is: behind the last entry that it delivered. `None` before the first.
    pub fn position(&self) -> Option<String> {
        self.next.map(|next| next.to_string())
    }

    /// Blocks this thread for each entry.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }

    fn start(&self) -> BoxStream<'static, Result<(Position, Value)>> {
        match Operation::background(self.store.inner.clone()) {
            Ok(operation) => log::entries(operation, self.key.clone(), self.selection.clone(), self.consistent).boxed(),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }
}

impl<E: DeserializeOwned + Send + 'static> Stream for Log<E> {
    type Item = Result<E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
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
                    Error::new(ErrorKind::Codec, message).with_source(error)
                })?;
                Ok((position, entry))
            });
            Some(match entry {
                Ok((position, entry)) => {
                    self.next = Some(position + 1);
                    Ok(entry)
                }
                Err(error) => {
                    self.stream = Some(futures::stream::empty().boxed());
                    Err(error.with_operation(self.operation).with_key(&self.key))
                }
            })
        })
    }
}

impl<E> fmt::Debug for Log<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("key", &self.key)
            .field("selection", &self.selection)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The request of [`Store::reduce_log`].
#[must_use = "a request does nothing until it is awaited"]
pub struct ReduceLog<E, A, F> {
    common: Common,
    log: Log<E>,
    init: A,
    function: F,
}

impl<E, A, F> ReduceLog<E, A, F>
where
    E: DeserializeOwned + Send + 'static,
    A: Send + 'static,
    F: FnMut(A, E) -> A + Send + 'static,
{
    /// See every append and every removal that was acknowledged before.
    pub fn consistent(mut self) -> Self {
        self.log = self.log.consistent();
        self
    }

    async fn run(self) -> Result<A> {
        let Self {
            common,
            log,
            init,
            mut function,
        } = self;
        let key = log.key.clone();
        Operation::run(
            common.store.inner,
            "reduce_log",
            Some(&key),
            common.timeout,
            async |_| {
                log.try_fold(init, |folded, entry| {
                    futures::future::ready(Ok(function(folded, entry)))
                })
                .await
            },
        )
        .await
    }
}

impl_request!([E: DeserializeOwned + Send + 'static, A: Send + 'static, F: FnMut(A, E) -> A + Send + 'static]
    ReduceLog<E, A, F> => Result<A>);

impl<E, A, F> fmt::Debug for ReduceLog<E, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReduceLog")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
