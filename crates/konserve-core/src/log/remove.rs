//! Removing logs: the seal at the tail and the removal of the head, and later everything else.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;

use super::state::{LogState, owner, row_address, segment_partition, state_address};
use super::tail::{Tail, announce, discover, finish_removal};
use crate::backend::{Address, Committed, Listing, Mutation, Occupant, Purge, Read, RowQuery, Space, When, Written};
use crate::head::{HeadKind, LogId};
use crate::placement::Placed;
use crate::placement::generation::Patience;
use crate::store::{Backoff, Operation};
use crate::{Key, Result};

/// How many rows one request to purge names.
const PURGE_BATCH: usize = 100;

/// Removes the log at a key; `false` when there is none any more.
///
/// One commit: the seal at the tail, contended like any append, the removal of the head, and the note in the state row. What is
/// left of the log is removed by the collector. Without transactions: seal, then the rest, which whoever meets the seal
/// does as well.
pub(crate) async fn remove(operation: &Operation, key: &Key) -> Result<bool> {
    let store = &operation.store;
    let at = store.address(key);
    let _guard = store.lock(&at).await;
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    let seal = Placed::bare(operation, HeadKind::Seal)?;
    store.tails.forget(&at);
    loop {
        let Some(mut tail) = discover(operation, key).await? else {
            return Ok(false);
        };
        if try_remove(operation, &at, &mut tail, &seal).await? {
            return Ok(true);
        }
        backoff.lost().await?;
    }
}

async fn try_remove(operation: &Operation, at: &Address, tail: &mut Tail, seal: &Placed) -> Result<bool> {
    let store = &operation.store;
    let seal_at = row_address(tail.id, tail.next);
    let rev = store.revisions.next_after(tail.head.max(tail.state_rev))?;
    let mut sealed = tail.state.clone();
    sealed.sealed = true;
    sealed.segment = sealed.segment.max(super::state::segment_of(tail.next));
    if store.capabilities.transactions.is_some() {
        let all = vec![
            Mutation::Write {
                at: seal_at,
                item: seal.item(operation, rev),
                when: When::Absent,
            },
            Mutation::Remove {
                at: at.clone(),
                rev,
                when: When::Matches(tail.head),
            },
            sealed.write(store, tail.id, rev, When::Matches(tail.state_rev))?,
        ];
        return Ok(operation.decisive_commit(all).await? == Committed::Applied);
    }
    if !announce(operation, tail).await? {
        return Ok(false);
    }
    match operation
        .decisive_write(&seal_at, seal.item(operation, rev), When::Absent)
        .await?
    {
        Written::Refused { .. } => Ok(false),
        Written::Applied { .. } => {
            finish_removal(operation, at, tail).await?;
            Ok(true)
        }
    }
}

/// What a sweep over the logs did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) rows: u64,
    pub(crate) logs: u64,
    pub(crate) waiting: u64,
}

/// Removes what is left of removed logs, of logs whose creation was interrupted, and rows that belong to no log.
pub(crate) async fn sweep(operation: &Operation, patience: Patience) -> Result<Swept> {
    let store = &operation.store;
    let mut swept = Swept::default();
    let mut states = HashSet::new();
    let mut strays: HashMap<LogId, Vec<Purge>> = HashMap::new();
    let mut listed = store
        .backend
        .list(Space::Log, Listing::all(Read::STRONG.without_body()));
    while let Some((at, occupant)) = listed.try_next().await? {
        let (Some((id, is_state)), Occupant::Item(item)) = (owner(&at), occupant) else {
            continue;
        };
        let age = store.now().since(item.created);
        if !is_state {
            // Most rows belong to a log that lives: they are sorted out once all state rows are known.
            if age >= patience.request_horizon && !states.contains(&id) {
                strays.entry(id).or_default().push(Purge::Row(at));
            }
            continue;
        }
        states.insert(id);
        strays.remove(&id);
        let state = LogState::decode(&store.envelope, &item.meta)?;
        if state.sealed {
            if age >= patience.log_lease + patience.request_horizon {
                swept.rows += purge_log(operation, id, &state).await?;
                swept.logs += 1;
            } else {
                swept.waiting += 1;
            }
        } else if age >= patience.request_horizon && !is_named(operation, &state.key, id).await? {
            let mut state = state;
            state.sealed = true;
            let rev = store.revisions.next_after(item.rev)?;
            let item = (state.item(store, rev)?, When::Matches(item.rev));
            operation.preparing_write(&state_address(id), item.0, item.1).await?;
            swept.waiting += 1;
        }
    }
    for (id, rows) in strays {
        // The listing may have missed the state row of a log that is in use.
        if operation.read(&state_address(id), Read::STRONG).await?.is_none() {
            for batch in rows.chunks(PURGE_BATCH) {
                operation.purge(batch).await?;
                swept.rows += batch.len() as u64;
            }
        }
    }
    Ok(swept)
}

/// Whether the head of a key names this log.
async fn is_named(operation: &Operation, key: &Key, id: LogId) -> Result<bool> {
    let at = operation.store.address(key);
    match operation.read(&at, Read::STRONG.without_body()).await? {
        Some(item) => Ok(super::tail::log_id(operation, &item).is_ok_and(|named| named == id)),
        None => Ok(false),
    }
}

async fn purge_log(operation: &Operation, id: LogId, state: &LogState) -> Result<u64> {
    let backend = &operation.store.backend;
    let mut purged = 0;
    for segment in 0..=state.segment {
        let query = RowQuery::all(Space::Log, segment_partition(id, segment), Read::STRONG.without_body());
        let rows = backend
            .rows(query)
            .map_ok(|(row, _)| Purge::Row(Address::new(Space::Log, segment_partition(id, segment), row)));
        let mut batches = rows.try_chunks(PURGE_BATCH);
        while let Some(batch) = batches.try_next().await.map_err(|failed| failed.1)? {
            operation.purge(&batch).await?;
            purged += batch.len() as u64;
        }
    }
    // Last, so that whatever dies on the way is begun again, and so that a paused writer finds the log gone.
    operation.purge(&[Purge::Row(state_address(id))]).await?;
    Ok(purged)
}
