//! Where the next entry of a log goes: known from the last append, or found out from cold.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::sync::Notify;

use super::row::{End, Row, Span, segment_of, segment_partition, start_of};
use super::state::{LogState, state_address};
use crate::backend::{Address, Item, Order, Partition, Read, RowQuery, Space, When, Written};
use crate::head::{Head, HeadKind, LogId};
use crate::log::Position;
use crate::store::{Backoff, Operation};
use crate::{Error, ErrorKind, Instant, Key, Result, Revision};

/// What a process knows of the end of a log.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) id: LogId,
    /// The revision of the key's head.
    pub(crate) head: Revision,
    /// Where the next entry goes, as far as this process knows.
    pub(crate) end: End,
    pub(crate) state: LogState,
    /// The revision of the state row.
    pub(crate) state_rev: Revision,
    /// When the state row was last known, by the clock that counts suspends: taken before it was asked for.
    pub(crate) known: Duration,
    /// When the log was last known to exist: `known`, or a later append.
    pub(crate) confirmed: Duration,
}

/// How far a log reaches: all its positions up to this end are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) id: LogId,
    pub(crate) end: End,
}

impl Tail {
    /// Takes it from another handle of this process that the log has grown. Whether it still is the same log, and open, this
    /// handle goes on knowing by itself.
    pub(crate) fn catch_up(&mut self, reached: Reached) {
        if self.id == reached.id && self.end.next < reached.end.next {
            self.end = reached.end;
        }
    }

    pub(crate) fn reached(&self) -> Reached {
        Reached {
            id: self.id,
            end: self.end,
        }
    }
}

/// The tails of the logs that were used last.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    known: Mutex<HashMap<Partition, Tail>>,
    /// Told whenever a log has grown.
    pub(crate) grown: Notify,
}

/// How many tails are kept; a forgotten one costs three requests.
const MOST: usize = 10_000;

impl Tails {
    pub(crate) fn get(&self, at: &Address) -> Option<Tail> {
        self.lock().get(&at.partition).cloned()
    }

    pub(crate) fn put(&self, at: &Address, tail: Tail) {
        let mut tails = self.lock();
        if tails.len() >= MOST && !tails.contains_key(&at.partition) {
            let oldest = tails
                .iter()
                .min_by_key(|(_, tail)| tail.confirmed)
                .map(|(partition, _)| partition.clone());
            if let Some(oldest) = oldest {
                tails.remove(&oldest);
            }
        }
        tails.insert(at.partition.clone(), tail);
        drop(tails);
        self.grown.notify_waiters();
    }

    pub(crate) fn forget(&self, at: &Address) {
        self.lock().remove(&at.partition);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Partition, Tail>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last row of a log.
#[derive(Debug)]
pub(crate) enum Last {
    /// These entries, and when they were appended.
    Entries(Span, Instant),
    /// The log was sealed at this position.
    Seal(Position),
    /// It has none.
    None,
}

/// The tail of the log at a key, read strongly; `None` when the key is absent. Three requests.
///
/// # Errors
///
/// `wrong_kind` when the key holds something else.
pub(crate) async fn discover(operation: &Operation, key: &Key) -> Result<Option<Tail>> {
    let store = &operation.store;
    let at = store.address(key);
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    loop {
        let known = store.environment.clock.uptime();
        let Some(item) = operation.read(&at, Read::STRONG.without_body()).await? else {
            return Ok(None);
        };
        let id = log_id(operation, &item)?;
        let state = operation.read(&state_address(id), Read::STRONG).await?;
        if let Some(state) = state {
            let mut tail = Tail {
                id,
                head: item.rev,
                end: End { next: 0, bytes: 0 },
                state: LogState::decode(&store.envelope, &state.meta)?,
                state_rev: state.rev,
                known,
                confirmed: known,
            };
            let end = end(operation, &tail).await?;
            match end {
                Some(end) if !tail.state.sealed => {
                    tail.end = end;
                    return Ok(Some(tail));
                }
                _ => finish_removal(operation, &at, &tail).await?,
            }
        } else if operation
            .read(&at, Read::STRONG.without_body())
            .await?
            .is_some_and(|now| now.rev == item.rev)
        {
            return Err(Error::new(ErrorKind::Corrupt, "a log without its state row"));
        }
        backoff.lost().await?;
    }
}

/// The id of the log that a key's head names.
pub(crate) fn log_id(operation: &Operation, item: &Item) -> Result<LogId> {
    match Head::decode(&operation.store.envelope, &item.meta)?.kind {
        HeadKind::Log { id, .. } => Ok(id),
        HeadKind::Binary { .. } => Err(Error::new(ErrorKind::WrongKind, "a binary, not a log")),
        _ => Err(Error::new(ErrorKind::WrongKind, "a document, not a log")),
    }
}

/// Where a log ends, read strongly; `None` when it was sealed. One request, seldom two or three.
pub(crate) async fn end(operation: &Operation, tail: &Tail) -> Result<Option<End>> {
    Ok(match last_row(operation, tail.id, &tail.state).await? {
        Last::Entries(span, _) => Some(span.end()),
        Last::None => Some(tail.state.first),
        Last::Seal(_) => None,
    })
}

/// The last row of a log, read strongly. One request, seldom two or three.
pub(crate) async fn last_row(operation: &Operation, id: LogId, state: &LogState) -> Result<Last> {
    let last = last_row_known(operation, id, state).await?;
    if let Last::Entries(span, _) = last
        && span.end().next >= start_of(state.segment + 1)
        && let Some(item) = operation.read(&state_address(id), Read::STRONG).await?
    {
        // The log may have gone on to a segment that was not known.
        let now = LogState::decode(&operation.store.envelope, &item.meta)?;
        if now.segment > state.segment {
            return Box::pin(last_row(operation, id, &now)).await;
        }
    }
    Ok(last)
}

/// The last row in the segments that a state row knows.
async fn last_row_known(operation: &Operation, id: LogId, state: &LogState) -> Result<Last> {
    let store = &operation.store;
    // The state row announces a segment before its first row is written, so the last row may be in the one before.
    let mut segment = state.segment;
    loop {
        let query = RowQuery {
            space: Space::Log,
            partition: segment_partition(id, segment),
            range: 0..=u64::MAX,
            order: Order::Descending,
            limit: Some(1),
            how: Read::STRONG.without_body(),
        };
        if let Some((start, item)) = store.backend.rows(query).try_next().await? {
            return Ok(match Row::of(&store.envelope, start, &item)? {
                Row::Entries(span) => Last::Entries(span, item.created),
                Row::Seal => Last::Seal(start),
            });
        }
        // A log that was trimmed keeps its last row, wherever that is.
        match segment.checked_sub(1) {
            Some(before) if segment >= segment_of(state.first.next) => segment = before,
            _ => return Ok(Last::None),
        }
    }
}

/// Reads the state row again and believes it from now on; `false` when the log is sealed or gone. One request.
pub(crate) async fn refresh(operation: &Operation, tail: &mut Tail) -> Result<bool> {
    let store = &operation.store;
    let known = store.environment.clock.uptime();
    let Some(item) = operation.read(&state_address(tail.id), Read::STRONG).await? else {
        return Ok(false);
    };
    tail.state = LogState::decode(&store.envelope, &item.meta)?;
    tail.state_rev = item.rev;
    tail.known = known;
    tail.confirmed = known;
    Ok(!tail.state.sealed)
}

/// Announces the segment of the next row, if it is a new one. `false` when the state row says something else than known.
pub(crate) async fn announce(operation: &Operation, tail: &mut Tail) -> Result<bool> {
    let store = &operation.store;
    let segment = segment_of(tail.end.next);
    if segment <= tail.state.segment {
        return Ok(true);
    }
    let mut state = tail.state.clone();
    state.segment = segment;
    let rev = store.revisions.next_after(tail.state_rev)?;
    let known = store.environment.clock.uptime();
    let item = state.item(store, rev)?;
    match operation
        .preparing_write(&state_address(tail.id), item, When::Matches(tail.state_rev))
        .await?
    {
        Written::Applied { .. } => {
            tail.state = state;
            tail.state_rev = rev;
            tail.known = known;
            Ok(true)
        }
        Written::Refused { .. } => Ok(false),
    }
}

/// Ends a removal that somebody began: the log is sealed, so its head goes.
pub(crate) async fn finish_removal(operation: &Operation, at: &Address, tail: &Tail) -> Result<()> {
    let store = &operation.store;
    if !tail.state.sealed {
        let mut state = tail.state.clone();
        state.sealed = true;
        let rev = store.revisions.next_after(tail.state_rev)?;
        let item = state.item(store, rev)?;
        operation
            .preparing_write(&state_address(tail.id), item, When::Matches(tail.state_rev))
            .await?;
    }
    let rev = store.revisions.next_after(tail.head)?;
    // Refused when somebody else was faster; then the next look at the head shows it.
    operation.preparing_remove(at, rev, When::Matches(tail.head)).await?;
    Ok(())
}
