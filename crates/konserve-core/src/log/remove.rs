//! Removing logs: the seal at the tail and the removal of the head, and later everything else.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::TryStreamExt;

use super::row::{row_address, segment_of, segment_partition};
use super::state::{LogState, owner, state_address};
use super::tail::{Tail, announce, discover, finish_removal, log_id};
use super::trim::{announce_again, purge_rows};
use crate::backend::{
    Address, Committed, Item, Listing, Mutation, Occupant, Partition, Purge, Read, RowQuery, Space, When, Written,
};
use crate::head::{HeadKind, LogId};
use crate::placement::Placed;
use crate::placement::generation::Patience;
use crate::store::{Backoff, Operation, everything, is_unreadable, report_unreadable};
use crate::{Error, ErrorKind, Key, Position, Result, Revision};

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
    let seal_at = row_address(tail.id, tail.end.next);
    let rev = store.revisions.next_after(tail.head.max(tail.state_rev))?;
    let mut sealed = tail.state.clone();
    sealed.sealed = true;
    sealed.segment = sealed.segment.max(segment_of(tail.end.next));
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
            // From here on the log is removed, whoever ends it.
            finish_removal(operation, at, tail).await.map_err(|error| {
                let message = "the log is sealed, but whether its key is removed is not known";
                Error::new(ErrorKind::UnknownOutcome, message).with_source(error)
            })?;
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
    pub(crate) unreadable: u64,
}

/// Removes what is left of removed logs, of logs whose creation was interrupted, and rows that belong to no log.
///
/// A record that cannot be read is counted and left alone: it may be the only thing that still names what it names.
pub(crate) async fn sweep(operation: &Operation, patience: Patience) -> Result<Swept> {
    let store = &operation.store;
    let mut swept = Swept::default();
    let mut states = HashSet::new();
    let mut strays: HashMap<LogId, BTreeSet<Partition>> = HashMap::new();
    let mut lowest: HashMap<LogId, u64> = HashMap::new();
    let mut trimmed = Vec::new();
    let how = Listing::all(Read::STRONG.without_body());
    let mut listed = everything(&store.backend, Space::Log, &how);
    while let Some((at, occupant)) = listed.try_next().await? {
        let (Some((id, segment)), Occupant::Item(item)) = (owner(&at), occupant) else {
            continue;
        };
        if let Some(segment) = segment {
            let lowest = lowest.entry(id).or_insert(segment);
            *lowest = segment.min(*lowest);
            // Most rows belong to a log that lives: they are sorted out once all state rows are known.
            if !states.contains(&id) {
                strays.entry(id).or_default().insert(at.partition);
            }
            continue;
        }
        states.insert(id);
        strays.remove(&id);
        match sweep_log(operation, id, &item, patience, &mut swept).await {
            Err(error) if is_unreadable(&error) => swept.unreadable += report_unreadable(&at, &error),
            Ok(Some(below)) => trimmed.push((id, at, below)),
            result => drop(result?),
        }
    }
    for (id, at, below) in trimmed {
        // Where nothing is left that could go, there is nothing to look for.
        let Some(from) = lowest.get(&id).filter(|lowest| **lowest <= segment_of(below)) else {
            continue;
        };
        match purge_rows(operation, id, *from, below).await {
            Err(error) if is_unreadable(&error) => swept.unreadable += report_unreadable(&at, &error),
            purged => swept.rows += purged?,
        }
    }
    for (id, partitions) in strays {
        // The listing may have missed the state row of a log that is in use.
        if operation.read(&state_address(id), Read::STRONG).await?.is_some() {
            continue;
        }
        for partition in partitions {
            let query = RowQuery::all(Space::Log, partition.clone(), Read::STRONG.without_body());
            let old = store.backend.rows(query).try_filter_map(|(row, item)| {
                let is_old = store.age(&item) >= patience.request_horizon;
                let purge = is_old.then(|| Purge::Row(Address::new(Space::Log, partition.clone(), row)));
                std::future::ready(Ok(purge))
            });
            swept.rows += operation.purge_all(old).await?;
        }
    }
    Ok(swept)
}

/// Takes one log further, if it is time. Of a log that was trimmed, says which rows are due: those that end there or before.
async fn sweep_log(
    operation: &Operation,
    id: LogId,
    item: &Item,
    patience: Patience,
    swept: &mut Swept,
) -> Result<Option<Position>> {
    let store = &operation.store;
    let age = store.age(item);
    let mut state = LogState::decode(&store.envelope, &item.meta)?;
    if state.sealed {
        if age < patience.until_log_rows_go() {
            swept.waiting += 1;
            return Ok(None);
        }
        // Without transactions, a removal can have ended between the state row and the head.
        if let Some(head) = named_by(operation, &state.key, id).await? {
            let rev = store.revisions.next_after(head)?;
            let at = store.address(&state.key);
            operation.preparing_remove(&at, rev, When::Matches(head)).await?;
        }
        swept.rows += purge_log(operation, id, &state).await?;
        swept.logs += 1;
    } else if age >= patience.request_horizon && named_by(operation, &state.key, id).await?.is_none() {
        state.sealed = true;
        let rev = store.revisions.next_after(item.rev)?;
        let sealed = state.item(store, rev)?;
        operation
            .preparing_write(&state_address(id), sealed, When::Matches(item.rev))
            .await?;
        swept.waiting += 1;
    } else {
        let first = state.first.next;
        let due = announce_again(operation, id, item, state, patience.until_log_rows_go()).await?;
        if due < first {
            swept.waiting += 1;
        }
        return Ok((due > 0).then_some(due));
    }
    Ok(None)
}

/// The revision of the head of a key, if it names this log.
///
/// # Errors
///
/// `corrupt` and `unsupported` for a head that cannot be read: it may name the log.
async fn named_by(operation: &Operation, key: &Key, id: LogId) -> Result<Option<Revision>> {
    let at = operation.store.address(key);
    let Some(item) = operation.read(&at, Read::STRONG.without_body()).await? else {
        return Ok(None);
    };
    match log_id(operation, &item) {
        Ok(named) => Ok((named == id).then_some(item.rev)),
        Err(error) if error.kind() == ErrorKind::WrongKind => Ok(None),
        Err(error) => Err(error.with_key(key)),
    }
}

async fn purge_log(operation: &Operation, id: LogId, state: &LogState) -> Result<u64> {
    let mut purged = 0;
    for segment in 0..=state.segment {
        let partition = segment_partition(id, segment);
        let query = RowQuery::all(Space::Log, partition.clone(), Read::STRONG.without_body());
        let rows = operation.store.backend.rows(query);
        let rows = rows.map_ok(|(row, _)| Purge::Row(Address::new(Space::Log, partition.clone(), row)));
        purged += operation.purge_all(rows).await?;
    }
    // Last, so that whatever dies on the way is begun again, and so that a paused writer finds the log gone.
    operation.purge(&[Purge::Row(state_address(id))]).await?;
    Ok(purged)
}
