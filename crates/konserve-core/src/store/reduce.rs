//! `reduce_log`, and folds that are kept in a document.

use std::fmt;

use futures::TryStreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::log::{Log, Positioned};
use super::request::{Common, impl_request};
use super::{Backoff, Operation, Store};
use crate::head::{LogId, Meta};
use crate::log::{Position, Site};
use crate::value::{Map, from_value, to_value};
use crate::{Error, ErrorKind, Key, Outcome, Result, Revision, Value};

/// After how many entries a checkpoint is written, unless the caller says otherwise.
const EVERY: u64 = 10_000;

impl Store {
    /// Folds the entries of the log at a key, in order, with as much in memory as [`log`](Self::log) takes.
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
            log: self.log(key).named("reduce_log"),
            start: None,
            init,
            function,
        }
    }
}

/// The request of [`Store::reduce_log`].
#[must_use = "a request does nothing until it is awaited"]
pub struct ReduceLog<E, A, F> {
    common: Common,
    log: Log<E>,
    start: Option<Position>,
    init: A,
    function: F,
}

impl<E, A, F> ReduceLog<E, A, F>
where
    E: DeserializeOwned + Send + 'static,
    A: Send + 'static,
    F: FnMut(A, E) -> A + Send + 'static,
{
    /// Only the entries from this position on.
    pub fn from(mut self, position: Position) -> Self {
        self.log = self.log.from(position);
        self.start = Some(position);
        self
    }

    /// See every append and every removal that was acknowledged before.
    pub fn consistent(mut self) -> Self {
        self.log = self.log.consistent();
        self
    }

    /// Keeps the folded value in the document at another key, together with the position up to which it goes, and begins with what
    /// is there: each call folds only what was appended since the last one.
    ///
    /// Each entry counts once and in order, whatever crashes and however many do this at the same time: value and position are one
    /// document, which is written only over the one that was begun with. Who is overtaken goes on from what the other one has
    /// written; so `function` can be called more than once for an entry, of which one call counts.
    ///
    /// The document is a map of `value`, `position` (of the next entry) and `log` (bytes that name one life of a log). A log that was
    /// removed and begun again is another one, and is folded from its beginning. A log that has no checkpoint is folded from position
    /// 0, or from [`from`](Self::from).
    ///
    /// Reads and writes are strong.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// let total = || store.reduce_log("payments", 0, |sum, payment: i64| sum + payment).checkpoint("payments/total");
    /// store.append_all("payments", [5, 7]).await?;
    /// assert_eq!(total().await?, 12);
    /// store.append("payments", &1).await?;
    /// assert_eq!(total().await?, 13);
    /// assert_eq!(store.get_in::<i64>(konserve_core::path!["payments/total", "position"]).await?, Some(3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Besides the errors of [`log`](Store::log): `trimmed` when entries were trimmed that are not counted yet; `codec` when the document
    /// is something else; `contended` when others kept writing it; `unknown_outcome` when the last checkpoint may have been
    /// written or not, which the next call finds out.
    pub fn checkpoint(self, key: impl Into<Key>) -> Checkpointed<E, A, F>
    where
        A: Serialize + DeserializeOwned,
    {
        Checkpointed {
            common: self.common.clone(),
            reduce: self,
            key: key.into(),
            every: EVERY,
        }
    }

    async fn run(self) -> Result<A> {
        let Self {
            common,
            log,
            init,
            mut function,
            ..
        } = self;
        let key = log.key().clone();
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

/// The request of [`ReduceLog::checkpoint`].
#[must_use = "a request does nothing until it is awaited"]
pub struct Checkpointed<E, A, F> {
    common: Common,
    reduce: ReduceLog<E, A, F>,
    key: Key,
    every: u64,
}

/// How far a fold has come.
struct Progress<A> {
    folded: A,
    /// Of the next entry.
    next: Position,
    /// The revision of the document that says so, if there is one.
    revision: Option<Revision>,
}

impl<E, A, F> Checkpointed<E, A, F>
where
    E: DeserializeOwned + Send + 'static,
    A: Serialize + DeserializeOwned + Send + 'static,
    F: FnMut(A, E) -> A + Send + 'static,
{
    /// Writes the document after so many entries, and at the end. Default 10,000.
    pub fn every(mut self, entries: u64) -> Self {
        self.every = entries.max(1);
        self
    }

    async fn run(self) -> Result<A> {
        let Self {
            common,
            reduce,
            key: document,
            every,
        } = self;
        let ReduceLog {
            log,
            start,
            init,
            mut function,
            ..
        } = reduce;
        let store = common.store.clone();
        let key = log.key().clone();
        let init = to_value(&init);
        Operation::run(
            common.store.inner,
            "reduce_log",
            Some(&key),
            common.timeout,
            async |operation| {
                let init = init?;
                let options = &operation.store.options;
                let backoff = || Backoff::new(operation.store.environment.clone(), options.contention_timeout());
                let mut contention = backoff();
                let fold = Fold {
                    operation: &operation,
                    store: &store,
                    key: &key,
                    document: &document,
                    init: &init,
                    start: start.unwrap_or(0),
                    every,
                };
                loop {
                    match fold.once(&mut function).await? {
                        Folded::Whole(folded) => return Ok(folded),
                        Folded::Part => contention = backoff(),
                        Folded::Nothing => {}
                    }
                    contention.lost().await?;
                }
            },
        )
        .await
    }
}

/// One fold over a log that is kept in a document.
struct Fold<'a> {
    operation: &'a Operation,
    store: &'a Store,
    key: &'a Key,
    document: &'a Key,
    init: &'a Value,
    start: Position,
    every: u64,
}

/// How far a fold came before somebody else wrote the document.
enum Folded<A> {
    /// To the end of the log: nobody did.
    Whole(A),
    /// A checkpoint was written.
    Part,
    Nothing,
}

impl Fold<'_> {
    /// Folds what has come since.
    async fn once<E, A, F>(&self, function: &mut F) -> Result<Folded<A>>
    where
        E: DeserializeOwned + Send + 'static,
        A: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(A, E) -> A + Send + 'static,
    {
        // Before the log, so that the log is not an earlier one than the document is about.
        let document = self
            .store
            .get::<Value>(self.document.clone())
            .consistent()
            .with_meta()
            .await?;
        let how = self.operation.store.how(true);
        let Some(site) = Site::look_up(self.operation, self.key, how).await? else {
            // No log has no entries, whatever an earlier one had.
            return from_value(self.init.clone()).map(Folded::Whole);
        };
        let id = site.id();
        let mut progress = self.begin::<A>(id, document)?;
        let log = self.store.log::<E>(self.key.clone()).named("reduce_log").consistent();
        let mut entries: Log<E, Positioned> = log.of(site).from(progress.next).with_positions();
        let begun = progress.next;
        let mut saved = begun;
        let overtaken = |saved| match saved == begun {
            true => Folded::Nothing,
            false => Folded::Part,
        };
        while let Some((position, entry)) = entries.try_next().await? {
            progress.folded = function(progress.folded, entry);
            progress.next = position + 1;
            if progress.next - saved >= self.every {
                if !self.save(id, &mut progress).await? {
                    return Ok(overtaken(saved));
                }
                saved = progress.next;
            }
        }
        if saved != progress.next && !self.save(id, &mut progress).await? {
            return Ok(overtaken(saved));
        }
        Ok(Folded::Whole(progress.folded))
    }

    /// What the document says of this log.
    fn begin<A: DeserializeOwned>(&self, id: LogId, document: Option<(Value, Meta)>) -> Result<Progress<A>> {
        let Some((value, meta)) = document else {
            return Ok(Progress {
                folded: from_value(self.init.clone())?,
                next: self.start,
                revision: None,
            });
        };
        let (named, next, folded) = parts(value)
            .ok_or_else(|| Error::new(ErrorKind::Codec, "the document is not a checkpoint").with_key(self.document))?;
        let is_this = named == id;
        Ok(Progress {
            folded: from_value(if is_this { folded } else { self.init.clone() })?,
            next: if is_this { next } else { self.start },
            revision: Some(meta.revision),
        })
    }

    /// Writes the document; `false` when it is not what it was.
    async fn save<A: Serialize>(&self, id: LogId, progress: &mut Progress<A>) -> Result<bool> {
        let value = Value::Map(Map::from([
            (Value::from("value"), to_value(&progress.folded)?),
            (Value::from("position"), Value::from(progress.next)),
            (Value::from("log"), Value::Bytes(id.to_vec().into())),
        ]));
        let assoc = self.store.assoc(self.document.clone(), &value);
        let assoc = match progress.revision {
            Some(revision) => assoc.if_revision(revision),
            None => assoc.if_absent(),
        };
        self.operation.leave_undecided(true);
        let written = assoc.await;
        let is_unknown = matches!(&written, Err(error) if error.outcome() == Outcome::Unknown);
        self.operation.leave_undecided(is_unknown);
        match written {
            Ok(revision) => {
                progress.revision = Some(revision);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The parts of a checkpoint: the log, the position, and the value.
fn parts(document: Value) -> Option<(LogId, Position, Value)> {
    let Value::Map(mut fields) = document else {
        return None;
    };
    let id = match fields.remove(&Value::from("log"))? {
        Value::Bytes(id) => LogId::try_from(&id[..]).ok()?,
        _ => return None,
    };
    let position = match fields.remove(&Value::from("position"))? {
        Value::Integer(position) => Position::try_from(position).ok()?,
        _ => return None,
    };
    Some((id, position, fields.remove(&Value::from("value"))?))
}

impl_request!([E: DeserializeOwned + Send + 'static, A: Serialize + DeserializeOwned + Send + 'static, F: FnMut(A, E) -> A + Send + 'static]
    Checkpointed<E, A, F> => Result<A>);

impl<E, A, F> fmt::Debug for ReduceLog<E, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReduceLog")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

impl<E, A, F> fmt::Debug for Checkpointed<E, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointed")
            .field("reduce", &self.reduce)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
