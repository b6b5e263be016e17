//! Appending: one write at the tail under the condition that nobody wrote there.

use std::time::Duration;

use tokio::time::Instant;

use super::Position;
use super::create::create;
use super::group::{Batch, Queue};
use super::row::{End, Row, row_address};
use super::tail::{Tail, announce, discover, end, refresh};
use crate::backend::{Address, Item, Occupant, Purge, When, Written};
use crate::head::HeadKind;
use crate::placement::{self, Placed};
use crate::store::{Backoff, KeyGuard, Operation, Rivalry};
use crate::{Error, ErrorKind, Key, Outcome, Result};

/// What became of an attempt to append what waits.
#[derive(Debug)]
pub(super) enum Round {
    /// These are in the log, from this position on.
    Appended(Batch, Position),
    /// It failed, for these if they were taken already.
    Failed(Option<Batch>, Error),
    /// Nobody waits.
    Nobody,
}

/// Appends what waits, as far as it fits into one row, to the log at a key, which is created if the key is absent; for those who
/// came before this ticket was given out, and whoever can be taken along.
///
/// # Errors
///
/// `wrong_kind` for a document or a binary; `contended`; `unknown_outcome` when it could not be found out until the deadline
/// whether the row was written.
pub(super) async fn append_one_row(operation: &Operation, key: &Key, queue: &Queue, ticket: u64) -> Round {
    let mut batch = None;
    let appended = try_append(operation, key, queue, ticket, &mut batch).await;
    match (appended, batch) {
        (Ok(Some(position)), Some(batch)) => Round::Appended(batch, position),
        (Ok(_), _) => Round::Nobody,
        (Err(error), batch) => Round::Failed(batch, error),
    }
}

async fn try_append(
    operation: &Operation,
    key: &Key,
    queue: &Queue,
    ticket: u64,
    batch: &mut Option<Batch>,
) -> Result<Option<Position>> {
    let store = &operation.store;
    let at = store.address(key);
    let mut guard = store.lock(&at).await;
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    let mut rivalry = Rivalry::new(store.environment.clone(), store.options.contention_timeout());
    let mut tail = store.tails.get(&at);
    if let (Some(tail), Some(reached)) = (&mut tail, guard.reached()) {
        tail.catch_up(reached);
    }
    loop {
        let prepared = prepare(operation, key, &at, tail.take(), &mut backoff);
        let Some(current) = queue.while_waited_for(ticket, prepared).await.transpose()? else {
            return Ok(None);
        };
        *batch = queue.take(operation).await?;
        let Some(taken) = batch else {
            return Ok(None);
        };
        let began = Instant::now();
        let wanted = taken.wanted();
        let write = async {
            match current {
                Some(current) => extend(operation, current, taken, &mut backoff).await,
                None => begin(operation, key, taken, &mut backoff).await,
            }
        };
        let Some(written) = queue.while_wanted(wanted, write).await.transpose()? else {
            let message = "all who waited for it have gone before there was an answer";
            return Err(Error::new(ErrorKind::UnknownOutcome, message));
        };
        let (mut current, lost_to) = match written {
            Extended::By(position, current) => {
                keep(operation, &at, &mut guard, current);
                return Ok(Some(position));
            }
            Extended::Not => {
                queue.put_back(batch.take());
                store.tails.forget(&at);
                backoff.lost().await?;
                continue;
            }
            Extended::LostTo(row, current) => (current, row),
        };
        queue.put_back(batch.take());
        match lost_to {
            Row::Entries(span) => {
                // The winner goes on behind its row as well: whoever reads before the next attempt is late again.
                current.end = span.end();
                let has_waited = rivalry.lost(began.elapsed()).await?;
                tail = match has_waited {
                    false => Some(current),
                    true => queue
                        .while_waited_for(ticket, look(operation, current))
                        .await
                        .transpose()?
                        .flatten(),
                };
            }
            // Looking for the tail again ends the removal, if it has not ended.
            Row::Seal => {}
        }
        if tail.is_none() {
            store.tails.forget(&at);
        }
    }
}

/// Keeps what an append has found out, for the next one.
fn keep(operation: &Operation, at: &Address, guard: &mut KeyGuard, tail: Tail) {
    guard.tell(tail.reached());
    operation.store.tails.put(at, tail);
}

/// Looks where the log ends after others have been at it; `None` when that is to be found out from the key: the log has gone on to a
/// segment that is not known here, or it was sealed.
async fn look(operation: &Operation, mut tail: Tail) -> Result<Option<Tail>> {
    Ok(match end(operation, &tail).await? {
        Some(end) if end.next >= tail.end.next => {
            tail.end = end;
            Some(tail)
        }
        _ => None,
    })
}

/// Where the next row goes: a tail that can be relied on for long enough, in a segment that was announced. `None` when the key is
/// absent.
async fn prepare(
    operation: &Operation,
    key: &Key,
    at: &Address,
    mut tail: Option<Tail>,
    backoff: &mut Backoff,
) -> Result<Option<Tail>> {
    let store = &operation.store;
    loop {
        let mut current = match tail.take() {
            Some(tail) => tail,
            None => match discover(operation, key).await? {
                Some(tail) => tail,
                None => return Ok(None),
            },
        };
        // Long before it would be too late, so that the answer to the write is seldom in doubt.
        let is_open =
            age(operation, &current) < store.options.log_lease() / 4 || refresh(operation, &mut current).await?;
        if is_open && current.end.next < current.state.first.next {
            continue; // others have appended, and trimmed that
        }
        if is_open && announce(operation, &mut current).await? {
            return Ok(Some(current));
        }
        if is_open && refresh(operation, &mut current).await? {
            tail = Some(current);
        } else {
            store.tails.forget(at);
        }
        backoff.lost().await?;
    }
}

/// What became of a row.
enum Extended {
    /// It is in the log, from this position on, and the log ends behind it.
    By(Position, Tail),
    /// This one is where it was to go.
    LostTo(Row, Tail),
    /// It is not part of any log.
    Not,
}

/// Writes a row at the tail.
async fn extend(operation: &Operation, mut tail: Tail, batch: &mut Batch, backoff: &mut Backoff) -> Result<Extended> {
    let store = &operation.store;
    let began = store.environment.clock.uptime();
    let position = tail.end.next;
    batch.row.set_kind(
        operation,
        HeadKind::Entries {
            count: batch.count,
            before: tail.end.bytes,
        },
    )?;
    if let Some(item) = write_row(operation, &tail, &batch.row, backoff).await? {
        return Ok(Extended::LostTo(Row::of(&store.envelope, position, &item)?, tail));
    }
    if !landed(operation, &mut tail).await? {
        // All of the log was purged before the row was written.
        operation.purge(&[Purge::Row(row_address(tail.id, position))]).await?;
        return Ok(Extended::Not);
    }
    tail.end = behind(tail.end, batch);
    tail.confirmed = tail.confirmed.max(began);
    Ok(Extended::By(position, tail))
}

/// Creates the log with a row at its beginning.
async fn begin(operation: &Operation, key: &Key, batch: &mut Batch, backoff: &mut Backoff) -> Result<Extended> {
    let kind = HeadKind::Entries {
        count: batch.count,
        before: 0,
    };
    batch.row.set_kind(operation, kind)?;
    if let Some(mut created) = create(operation, key, &batch.row, backoff).await?
        && landed(operation, &mut created).await?
    {
        created.end = behind(created.end, batch);
        return Ok(Extended::By(0, created));
    }
    Ok(Extended::Not)
}

fn behind(end: End, batch: &Batch) -> End {
    End {
        next: end.next.saturating_add(batch.count),
        bytes: end.bytes.saturating_add(batch.bytes),
    }
}

/// Writes a row at the tail until the place is taken: by it (`None`) or by another's row.
///
/// After an unknown outcome the same bytes under the same revision go to the same place again, which is the same write.
async fn write_row(operation: &Operation, tail: &Tail, row: &Placed, backoff: &mut Backoff) -> Result<Option<Item>> {
    let store = &operation.store;
    let at = row_address(tail.id, tail.end.next);
    let rev = store.revisions.next();
    let mut unknown: Option<Error> = None;
    loop {
        let error = match placement::settle(operation, &at, row, rev, When::Absent).await {
            Ok(Written::Applied { .. }) => return Ok(None),
            Ok(Written::Refused {
                current: Some(Occupant::Item(item)),
            }) => return Ok(Some(item)),
            // Rows are never removed by their log, so there is nothing in the way: the engine refuses without a reason that
            // stays.
            Ok(Written::Refused { .. }) => None,
            Err(error) if error.outcome() == Outcome::Unknown => Some(error),
            Err(error) if unknown.is_some() && error.is_retryable() => unknown.take(),
            Err(error) => return Err(unknown.unwrap_or(error)),
        };
        unknown = error.or(unknown);
        if let Err(contended) = backoff.lost().await {
            return Err(unknown.unwrap_or(contended));
        }
    }
}

/// Whether a row that was just written at the tail landed in the log, and not where a removed one or a trimmed part was purged.
///
/// Purging begins no earlier than a lease after it was announced. So what is known of the state row vouches for the row while it
/// is younger than that; half of it is kept as a margin. When a removal or a trim came after the row, the row went with it: it was
/// appended, and then removed.
async fn landed(operation: &Operation, tail: &mut Tail) -> Result<bool> {
    let lease = operation.store.options.log_lease();
    let position = tail.end.next;
    let age = age(operation, tail);
    if age < lease / 2 {
        return Ok(true);
    }
    let unknown = |error: Option<Error>| {
        let message = "the entry was written, but whether its log was being removed or trimmed there is not known";
        let unknown = Error::new(ErrorKind::UnknownOutcome, message);
        match error {
            Some(error) => unknown.with_source(error),
            None => unknown,
        }
    };
    let is_open = refresh(operation, tail).await.map_err(|error| unknown(Some(error)))?;
    if age < lease {
        return Ok(true);
    }
    if is_open {
        return match position < tail.state.first.next {
            false => Ok(true),
            // Nobody can read it, whether it was part of the log or not.
            true => {
                let row = row_address(tail.id, position);
                let purged = operation.purge(&[Purge::Row(row)]).await;
                Err(unknown(purged.err()))
            }
        };
    }
    match end(operation, tail).await.map_err(|error| unknown(Some(error)))? {
        // The seal may stand while the rows before it are being purged.
        None => Err(unknown(None)),
        Some(_) => Ok(false),
    }
}

/// How long ago the state row was known.
fn age(operation: &Operation, tail: &Tail) -> Duration {
    operation.store.environment.clock.uptime().saturating_sub(tail.known)
}
