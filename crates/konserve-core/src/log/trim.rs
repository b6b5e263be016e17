//! Trimming: a log begins later from one moment on, and the rows before that are purged when nobody can need them any more.
//!
//! ```text
//! state row: first := position  ──►  a lease and a request horizon  ──►  rows that end there or before are purged
//! ```
//!
//! The last row stays whatever is trimmed, for the next one goes where it ends. Rows that hold the first position stay as well.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::TryStreamExt;

use super::Position;
use super::row::{End, Row, row_address, segment_of, segment_partition};
use super::site::Site;
use super::state::{LogState, state_address};
use super::tail::{Last, discover, last_row};
use crate::backend::{Item, Purge, Read, RowQuery, Space, When};
use crate::head::LogId;
use crate::store::{Answer, Backoff, Inner, Operation};
use crate::{Key, Result};

/// Lets the log at a key begin at a position, or at its end if that is sooner, and says where it begins now. `None` when the key is
/// absent.
///
/// # Errors
///
/// `wrong_kind`, `contended`, and those of the engine.
pub(crate) async fn trim(operation: &Operation, key: &Key, before: Position) -> Result<Option<Position>> {
    let store = &operation.store;
    let at = store.address(key);
    let _guard = store.lock(&at).await;
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    loop {
        let Some(mut tail) = discover(operation, key).await? else {
            return Ok(None);
        };
        let first = before.min(tail.end.next);
        if first <= tail.state.first.next {
            return Ok(Some(tail.state.first.next));
        }
        let site = Site::of_tail(operation, tail.clone(), Read::STRONG.without_body());
        let Some((span, _)) = site.row_at(first).await? else {
            // Somebody trims or removes it as well.
            backoff.lost().await?;
            continue;
        };
        let first = End {
            next: first,
            bytes: match span.end() {
                end if end.next <= first => end.bytes,
                _ => span.before,
            },
        };
        let mut state = tail.state.clone();
        state.trim(first, store.now(), store.patience().until_log_rows_go());
        let rev = store.revisions.next_after(tail.state_rev)?;
        let item = state.item(store, rev)?;
        let written = operation
            .decisive_write(&state_address(tail.id), item, When::Matches(tail.state_rev))
            .await?;
        if written.is_refused() {
            backoff.lost().await?;
            continue;
        }
        purge_later(operation, tail.id, segment_of(tail.state.first.next));
        (tail.state, tail.state_rev) = (state, rev);
        store.tails.put(&at, tail);
        return Ok(Some(first.next));
    }
}

/// The logs of which rows are being purged in the background.
#[derive(Debug, Default)]
pub(crate) struct Trims(Mutex<HashSet<LogId>>);

impl Trims {
    fn lock(&self) -> MutexGuard<'_, HashSet<LogId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Purges in the background what was trimmed, from a segment on, where the store's options say so: one task for each log, until
/// nothing is left that it knows of. Whatever it does not finish, a collector does.
fn purge_later(operation: &Operation, id: LogId, from: u64) {
    let store = &operation.store;
    if !store.options.background_cleanup || !store.trims.lock().insert(id) {
        return;
    }
    let purging = Purging {
        store: Arc::downgrade(store),
        id,
    };
    store.background.spawn(async move {
        if let Err(error) = purge_when_due(&purging.store, id, from).await {
            tracing::debug!(kind = %error.kind(), "a part of a log that was trimmed is left to the collector");
        }
    });
}

/// The task of a log, until it has ended, or has not begun.
struct Purging {
    store: Weak<Inner>,
    id: LogId,
}

impl Drop for Purging {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.trims.lock().remove(&self.id);
        }
    }
}

async fn purge_when_due(store: &Weak<Inner>, id: LogId, mut from: u64) -> Result<()> {
    loop {
        let wait = {
            // A store that nobody uses any more is not kept alive for this.
            let Some(store) = store.upgrade() else {
                return Ok(());
            };
            let patience = store.patience().until_log_rows_go();
            let operation = Operation::background(store)?;
            let Some(item) = operation.read(&state_address(id), Read::STRONG).await? else {
                return Ok(());
            };
            let state = LogState::decode(&operation.store.envelope, &item.meta)?;
            if state.sealed {
                return Ok(());
            }
            let first = state.first.next;
            let due = announce_again(&operation, id, &item, state, patience).await?;
            if due > 0 {
                purge_rows(&operation, id, from, due).await?;
                from = segment_of(due);
            }
            if due >= first {
                return Ok(());
            }
            patience
        };
        tokio::time::sleep(wait).await;
    }
}

/// Which rows of a log are due: those that end there or before. What was trimmed since they were announced is announced in their
/// place.
pub(super) async fn announce_again(
    operation: &Operation,
    id: LogId,
    item: &Item,
    mut state: LogState,
    patience: Duration,
) -> Result<Position> {
    let store = &operation.store;
    let now = store.now();
    let due = state.due(now, patience);
    let is_new = state.trimmed.is_some_and(|trimmed| due > trimmed.due);
    if is_new && due < state.first.next && !state.sealed {
        state.trim(state.first, now, patience);
        let rev = store.revisions.next_after(item.rev)?;
        let next = state.item(store, rev)?;
        // Refused when somebody else changed it, who will be met again.
        operation
            .preparing_write(&state_address(id), next, When::Matches(item.rev))
            .await?;
    }
    Ok(due)
}

/// Purges the rows that end at a position or before, from a segment on, and says how many; but not the last row of the log.
pub(super) async fn purge_rows(operation: &Operation, id: LogId, from: u64, below: Position) -> Result<u64> {
    let store = &operation.store;
    let Some(state) = operation.read(&state_address(id), Read::STRONG).await? else {
        return Ok(0);
    };
    let state = LogState::decode(&store.envelope, &state.meta)?;
    let last = match last_row(operation, id, &state).await? {
        Last::Entries(span, _) => span.start,
        // Its removal purges it as a whole.
        Last::Seal(_) | Last::None => return Ok(0),
    };
    let mut purged = 0;
    // An item may reach into a segment that it does not begin in.
    for segment in from.saturating_sub(1)..=segment_of(below) {
        let mut query = RowQuery::all(Space::Log, segment_partition(id, segment), Read::STRONG.without_body());
        query.range = 0..=below;
        let rows = store.backend.rows(query).try_filter_map(|(start, item)| {
            let row = Row::of(&store.envelope, start, &item);
            let goes = row.map(|row| matches!(row, Row::Entries(span) if span.end().next <= below && start != last));
            std::future::ready(goes.map(|goes| goes.then(|| Purge::Row(row_address(id, start)))))
        });
        purged += operation.purge_all(rows).await?;
    }
    Ok(purged)
}
