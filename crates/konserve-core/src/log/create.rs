//! The beginning of a log: head, state row and first row, which come to be seen in one step.

use std::time::Duration;

use super::row::{End, row_address};
use super::state::{LogState, head_kind};
use super::tail::Tail;
use crate::backend::{Address, Committed, Item, Mutation, Occupant, Previous, When, Written};
use crate::placement::{self, Placed};
use crate::store::{Answer, Backoff, Operation};
use crate::{Error, ErrorKind, Key, Outcome, Result};

/// Creates the log at an absent key with a placed row at position 0. `None` when the key is not absent any more.
///
/// One commit, where the engine has commits that are large enough. Otherwise the head is written last: before that nobody
/// knows the id of the log, and the collector removes what no head names. The caller has yet to find out, as after each append,
/// whether that has happened meanwhile; the tail says when it began.
///
/// # Errors
///
/// `unknown_outcome` when it could not be found out until the deadline whether the log was created.
pub(super) async fn create(
    operation: &Operation,
    key: &Key,
    placed: &Placed,
    backoff: &mut Backoff,
) -> Result<Option<Tail>> {
    let store = &operation.store;
    let at = store.address(key);
    loop {
        let id = store.environment.random_id();
        let head = Placed::bare(operation, head_kind(key, id))?;
        store.check_item_size(head.size())?;
        let rev = store.revisions.next();
        let known = store.environment.clock.uptime();
        let state = LogState::new(key.clone());
        let state_row = state.write(store, id, rev, When::Absent)?;
        let row = placement::mutations(operation, &row_address(id, 0), placed, rev, When::Absent)?;
        let head = head.item(operation, rev);
        let written = match in_one_commit(operation, &at, &head, &state_row, &row) {
            Some(all) => commit(operation, all, placed, backoff).await,
            None => write_head_last(operation, [vec![state_row], row], placed, &at, head, known, backoff).await,
        };
        let written = match (written, &placed.generation) {
            (Err(error), Some(generation)) => return Err(generation.end_failed(operation, error).await),
            (written, _) => written?,
        };
        match written {
            Written::Applied { .. } => {
                return Ok(Some(Tail {
                    id,
                    head: rev,
                    end: End { next: 0, bytes: 0 },
                    state,
                    state_rev: rev,
                    known,
                    confirmed: known,
                }));
            }
            Written::Refused {
                current: Some(Occupant::Item(_)),
            } => return Ok(None),
            Written::Refused {
                current: Some(Occupant::Tombstone(rev)),
            } => store.revisions.advance_past(rev)?,
            Written::Refused { current: None } => {}
        }
        backoff.lost().await?;
    }
}

/// The head and behind it all the rest, if a commit takes that much.
fn in_one_commit(
    operation: &Operation,
    at: &Address,
    head: &Item,
    state_row: &Mutation,
    row: &[Mutation],
) -> Option<Vec<Mutation>> {
    let limits = operation.store.capabilities.transactions?;
    let head = Mutation::Write {
        at: at.clone(),
        item: head.clone(),
        when: When::Absent,
    };
    let all = [&[head, state_row.clone()], row].concat();
    let bytes: usize = all.iter().map(Mutation::size).sum();
    (all.len() <= limits.items && bytes <= limits.bytes).then_some(all)
}

/// Commits a log as a whole. Says of a refusal what is at the key.
async fn commit(operation: &Operation, all: Vec<Mutation>, placed: &Placed, backoff: &mut Backoff) -> Result<Written> {
    let committed = until_known(backoff, || operation.decisive_commit(all.clone())).await?;
    let refusals = match committed {
        Committed::Applied => {
            let previous = Previous::Unknown;
            return Ok(Written::Applied { previous });
        }
        Committed::Refused(refusals) => refusals,
    };
    match refusals.into_iter().next() {
        Some(refusal) if refusal.index == 0 => Ok(Written::Refused {
            current: refusal.current,
        }),
        // Nobody else knows the id, so that only the generation of a large row can be in the way.
        _ => Err(placement::end_given_up(operation, placed).await),
    }
}

/// Writes what nobody sees before there is a head, and then the head. Refused without an occupant where a new id may help.
async fn write_head_last(
    operation: &Operation,
    unseen: [Vec<Mutation>; 2],
    placed: &Placed,
    at: &Address,
    head: Item,
    began: Duration,
    backoff: &mut Backoff,
) -> Result<Written> {
    let store = &operation.store;
    let again = Written::Refused { current: None };
    let mut is_large = false;
    for mutations in unseen {
        is_large |= mutations.len() > 1;
        let refused = match <[Mutation; 1]>::try_from(mutations) {
            Ok([Mutation::Write { at, item, when }]) => operation.preparing_write(&at, item, when).await?.is_refused(),
            Ok(one) => operation.preparing_commit(one.into()).await?.is_refused(),
            Err(several) => operation.preparing_commit(several).await?.is_refused(),
        };
        match (refused, is_large) {
            (false, _) => {}
            (true, false) => return Ok(again),
            (true, true) => return Err(placement::end_given_up(operation, placed).await),
        }
    }
    // Later, a collector may have taken the rows for what somebody left behind.
    let in_time = store.environment.clock.uptime().saturating_sub(began) < store.options.log_lease() / 2;
    let written = match in_time {
        true => until_known(backoff, || operation.decisive_write(at, head.clone(), When::Absent)).await?,
        false => again,
    };
    match written {
        // Its chunks belong to a row that nobody will ever see. Another call brings them anew.
        Written::Refused { current } if is_large => {
            if let Some(Occupant::Tombstone(rev)) = current {
                store.revisions.advance_past(rev)?;
            }
            let message = "something newer was at the key when a log with a large first entry was created there";
            Err(Error::new(ErrorKind::Contended, message))
        }
        written => Ok(written),
    }
}

/// Sends the same mutation again for as long as nobody knows what became of it: it is the same one. A refusal after that says
/// nothing about the first try, which somebody may have undone.
async fn until_known<T: Answer, R>(backoff: &mut Backoff, mutate: impl Fn() -> R) -> Result<T>
where
    R: Future<Output = Result<T>>,
{
    let mut unknown: Option<Error> = None;
    loop {
        let error = match (mutate().await, unknown.take()) {
            (Ok(answer), Some(error)) if answer.is_refused() => return Err(error),
            (Ok(answer), _) => return Ok(answer),
            (Err(error), None) if error.outcome() == Outcome::NotApplied => return Err(error),
            (Err(error), None) => error,
            (Err(error), Some(first)) if error.outcome() == Outcome::Unknown || error.is_retryable() => first,
            (Err(_), Some(first)) => return Err(first),
        };
        if backoff.lost().await.is_err() {
            return Err(error);
        }
        unknown = Some(error);
    }
}
