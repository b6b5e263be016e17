//! Mutants that leave a half of what was dropped.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use konserve_core::backend::{Address, Backend, Committed, Item, Mutation, Occupant, Purge, When, Written};
use konserve_core::{Error, ErrorKind, Result, Rev};

use crate::engine::{Right, Wrong, apply, pause};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "cancellation.half-a-write",
            "cancellation.write",
            "the row is inserted first and its body is uploaded then",
            || BodyLater,
        ),
        Mutant::new(
            "cancellation.gone-in-between",
            "cancellation.write",
            "a replacement is a delete and an insert",
            || DeletesFirst,
        ),
        Mutant::new(
            "cancellation.lock-left-behind",
            "cancellation.write",
            "a lock in the database is released by code behind an await, which a dropped future never reaches",
            LeavesLock::default,
        ),
        Mutant::new(
            "cancellation.removed-without-a-tombstone",
            "cancellation.remove",
            "a removal deletes the row and then inserts the tombstone",
            || TombstoneLater,
        ),
        Mutant::new(
            "cancellation.half-a-commit",
            "cancellation.commit",
            "the parts are sent one by one, and whoever repeats the commit completes it",
            || PartByPart,
        ),
    ]
}

struct BodyLater;
struct DeletesFirst;
#[derive(Default)]
struct LeavesLock(Mutex<HashSet<Address>>);
struct TombstoneLater;
struct PartByPart;

#[async_trait]
impl Wrong for BodyLater {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let placeholder = Item {
            body: item.body.as_ref().map(|_| Bytes::new()),
            ..item.clone()
        };
        let answer = right.write(at, placeholder, when).await?;
        if let Written::Applied { .. } = &answer {
            pause().await;
            right.put(at, Occupant::Item(item)).await?;
        }
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for DeletesFirst {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let before = right.occupant(at).await?;
        if !when.admits(item.rev, before.as_ref()) {
            return right.write(at, item, when).await;
        }
        right.purge(&[Purge::Row(at.clone())]).await?;
        pause().await;
        right.write(at, item, When::Always).await
    }
}

#[async_trait]
impl Wrong for LeavesLock {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let locked = |locks: &Mutex<HashSet<Address>>| {
            let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.insert(at.clone())
        };
        if !locked(&self.0) {
            return Err(Error::new(ErrorKind::Contended, "the row is locked"));
        }
        pause().await;
        let answer = right.write(at, item, when).await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at);
        answer
    }
}

#[async_trait]
impl Wrong for TombstoneLater {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let before = right.occupant(at).await?;
        if !when.admits(rev, before.as_ref()) {
            return right.remove(at, rev, when).await;
        }
        right.purge(&[Purge::Row(at.clone())]).await?;
        pause().await;
        right.remove(at, rev, When::Always).await
    }
}

#[async_trait]
impl Wrong for PartByPart {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for one in all {
            if let Committed::Refused(refusals) = apply(right, one).await? {
                return Ok(Committed::Refused(refusals));
            }
            tokio::task::yield_now().await;
        }
        Ok(Committed::Applied)
    }
}
