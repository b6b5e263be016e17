//! Appending: one write at the tail under the condition that nobody wrote there.

use std::time::Duration;

use super::create::create;
use super::state::row_address;
use super::tail::{self, Last, Tail, announce, discover, last_row, refresh};
use crate::backend::{Occupant, Purge, When, Written};
use crate::head::{Head, HeadKind};
use crate::log::Position;
use crate::placement::{self, Placed};
use crate::store::{Backoff, Operation};
use crate::{Error, ErrorKind, Key, Outcome, Result};

/// How often in a row a writer that lost tries again at once behind the row that it lost to.
const EAGER_ATTEMPTS: u32 = 3;

/// Appends a placed row of `count` entries to the log at a key, which is created if the key is absent, and says at which
/// position it begins.
///
/// # Errors
///
/// `wrong_kind` for a document or a binary; `contended`; `unknown_outcome` when it could not be found out until the deadline
/// whether the row was written.
pub(crate) async fn append(operation: &Operation, key: &Key, placed: &Placed, count: u64) -> Result<Position> {
    let store = &operation.store;
    let at = store.address(key);
    let mut guard = store.lock(&at).await;
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    let mut tail = store.tails.get(&at);
    if let (Some(tail), Some(reached)) = (&mut tail, guard.reached()) {
        tail.catch_up(reached);
    }
    let mut eager = EAGER_ATTEMPTS;
    loop {
        let mut current = match tail.take() {
            Some(tail) => tail,
            None => match discover(operation, key).await? {
                Some(tail) => tail,
                None => {
                    if let Some(mut created) = create(operation, key, placed, &mut backoff).await?
                        && landed(operation, &mut created).await?
                    {
                        created.next = count;
                        guard.tell(created.reached());
                        store.tails.put(&at, created);
                        return Ok(0);
                    }
                    backoff.lost().await?;
                    continue;
                }
            },
        };
        // Long before it would be too late, so that the answer to the write is seldom in doubt.
        if age(operation, &current) >= store.options.log_lease() / 4 && !refresh(operation, &mut current).await? {
            store.tails.forget(&at);
            backoff.lost().await?;
            continue;
        }
        if !announce(operation, &mut current).await? {
            if refresh(operation, &mut current).await? {
                tail = Some(current);
            } else {
                store.tails.forget(&at);
            }
            backoff.lost().await?;
            continue;
        }
        let began = store.environment.clock.uptime();
        match write_row(operation, &current, placed, &mut backoff).await? {
            None => {
                if !landed(operation, &mut current).await? {
                    // All of the log was purged before the row was written: it is not part of anything.
                    operation
                        .purge(&[Purge::Row(row_address(current.id, current.next))])
                        .await?;
                    store.tails.forget(&at);
                    backoff.lost().await?;
                    continue;
                }
                let position = current.next;
                current.next += count;
                current.confirmed = current.confirmed.max(began);
                guard.tell(current.reached());
                store.tails.put(&at, current);
                return Ok(position);
            }
            Some(occupant) => {
                let lost_to = Head::decode(&store.envelope, &occupant_meta(&occupant)?)?.kind;
                match lost_to {
                    // The writer of that row goes on behind it as well: whoever waits or reads before the next attempt is
                    // late again, for as long as the other one keeps writing.
                    HeadKind::Entries { count } if eager > 0 => {
                        eager -= 1;
                        current.next = current.next.saturating_add(count);
                        tail = Some(current);
                        continue;
                    }
                    HeadKind::Seal => {
                        store.tails.forget(&at);
                        tail::finish_removal(operation, &at, &current).await?;
                        backoff.lost().await?;
                    }
                    _ => {
                        eager = EAGER_ATTEMPTS;
                        backoff.lost().await?;
                        match last_row(operation, &current).await? {
                            Last::Open(next) if next > current.next => {
                                current.next = next;
                                tail = Some(current);
                            }
                            // The log has gone on to a segment that is not known here, or it was sealed.
                            _ => store.tails.forget(&at),
                        }
                    }
                }
            }
        }
    }
}

/// Writes a row at the tail until the place is taken: by it (`None`) or by another's row.
///
/// After an unknown outcome the same bytes under the same revision go to the same place again, which is the same write.
async fn write_row(
    operation: &Operation,
    tail: &Tail,
    placed: &Placed,
    backoff: &mut Backoff,
) -> Result<Option<Occupant>> {
    let store = &operation.store;
    let at = row_address(tail.id, tail.next);
    let rev = store.revisions.next();
    let mut unknown: Option<Error> = None;
    loop {
        let error = match placement::settle(operation, &at, placed, rev, When::Absent).await {
            Ok(Written::Applied { .. }) => return Ok(None),
            Ok(Written::Refused {
                current: Some(occupant @ Occupant::Item(_)),
            }) => return Ok(Some(occupant)),
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

/// Whether a row that was just written landed in the log, and not where a removed one was purged.
///
/// Purging begins no earlier than a lease after the removal. So what is known of the state row vouches for the row while it is
/// younger than that; half of it is kept as a margin. When a removal came after the row, the row went with the log: it was
/// appended, and then removed.
async fn landed(operation: &Operation, tail: &mut Tail) -> Result<bool> {
    let lease = operation.store.options.log_lease();
    let age = age(operation, tail);
    if age < lease / 2 {
        return Ok(true);
    }
    let unknown = |error: Option<Error>| {
        let message = "the entry was written, but whether its log was being removed is not known";
        let unknown = Error::new(ErrorKind::UnknownOutcome, message);
        match error {
            Some(error) => unknown.with_source(error),
            None => unknown,
        }
    };
    if refresh(operation, tail).await.map_err(|error| unknown(Some(error)))? {
        return Ok(true);
    }
    if age < lease {
        return Ok(true);
    }
    match last_row(operation, tail).await.map_err(|error| unknown(Some(error)))? {
        // The seal may stand while the rows before it are being purged.
        Last::Sealed => Err(unknown(None)),
        Last::Open(_) => Ok(false),
    }
}

/// How long ago the state row was known.
fn age(operation: &Operation, tail: &Tail) -> Duration {
    operation.store.environment.clock.uptime().saturating_sub(tail.known)
}

fn occupant_meta(occupant: &Occupant) -> Result<bytes::Bytes> {
    occupant
        .item()
        .map(|item| item.meta.clone())
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "a row of a log was removed"))
}
