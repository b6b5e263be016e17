//! Mutants that are right as long as one caller is alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use konserve_core::backend::{Address, Backend, Item, Occupant, Previous, Space, When, Written};
use konserve_core::{Error, ErrorKind, Outcome, Result, Rev};

use crate::engine::{Right, Wrong, applied, latency};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "rivals.condition-before-the-write",
            "concurrency.increments-add-up",
            "the condition is read, decided, and then the write is sent without one",
            || ChecksFirst(|_, when| matches!(when, When::Matches(_))),
        ),
        Mutant::new(
            "rivals.creation-before-the-write",
            "concurrency.one-creates",
            "an object store without conditional puts: head first, then put",
            || ChecksFirst(|_, when| when == When::Absent),
        ),
        Mutant::new(
            "rivals.rows-created-before-the-write",
            "concurrency.appends-are-dense",
            "rows of logs are put without a condition, as each writer has found out the next number",
            || ChecksFirst(|at, _| at.space == Space::Log),
        ),
        Mutant::new(
            "rivals.newer-before-the-write",
            "concurrency.the-newest-stays",
            "an upsert as select and update, without a lock in between",
            || ChecksFirst(|_, when| when == When::Newer),
        ),
        Mutant::new(
            "rivals.removal-before-the-write",
            "concurrency.one-removes",
            "the file is looked at and then unlinked",
            || RemovesAfterCheck,
        ),
        Mutant::new(
            "rivals.lock-of-the-handle",
            "concurrency.increments-add-up",
            "a mutex in the handle keeps its callers apart, and nothing keeps handles apart",
            LocksHandle::default,
        ),
        Mutant::new(
            "rivals.lost-answer-called-not-applied",
            "concurrency.increments-add-up",
            "a time-out after sending is reported like one before, and the caller does it again",
            || LosesAnswers(AtomicUsize::new(0)),
        ),
        Mutant::new(
            "rivals.refusal-read-afterwards",
            "concurrency.refusals-tell-the-reason",
            "the condition fails, and then somebody reads what is there by now",
            || ReadsAfterRefusal,
        ),
        Mutant::new(
            "rivals.previous-read-before",
            "concurrency.each-is-replaced-once",
            "what a removal replaces is read first, as the delete itself does not tell",
            || ReadsBeforeRemoval,
        ),
    ]
}

/// Which writes are decided first and made then.
struct ChecksFirst(fn(&Address, When) -> bool);
struct RemovesAfterCheck;
#[derive(Default)]
struct LocksHandle(Mutex<HashMap<usize, Arc<futures::lock::Mutex<()>>>>);
struct LosesAnswers(AtomicUsize);
struct ReadsAfterRefusal;
struct ReadsBeforeRemoval;

/// Decides by what was there a moment ago.
async fn check_then_write(right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
    let current = right.occupant(at).await?;
    if !when.admits(item.rev, current.as_ref()) {
        return Ok(Written::Refused { current });
    }
    latency().await;
    right.write(at, item, When::Always).await?;
    let previous = Previous::Unknown;
    Ok(Written::Applied { previous })
}

#[async_trait]
impl Wrong for ChecksFirst {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match self.0(at, when) {
            true => check_then_write(right, at, item, when).await,
            false => right.write(at, item, when).await,
        }
    }
}

#[async_trait]
impl Wrong for RemovesAfterCheck {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let current = right.occupant(at).await?;
        if !when.admits(rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        latency().await;
        right.remove(at, rev, When::Always).await?;
        Ok(applied(current))
    }
}

#[async_trait]
impl Wrong for LocksHandle {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(right.number).or_default())
        };
        let _alone = lock.lock().await;
        check_then_write(right, at, item, when).await
    }
}

#[async_trait]
impl Wrong for LosesAnswers {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let answer = right.write(at, item, when).await?;
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        match (&answer, when) {
            (Written::Applied { .. }, When::Matches(_)) if count % 3 == 2 => {
                latency().await;
                Err(Error::new(ErrorKind::Unavailable, "no answer in time").with_outcome(Outcome::NotApplied))
            }
            _ => Ok(answer),
        }
    }
}

#[async_trait]
impl Wrong for ReadsAfterRefusal {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let answer = right.write(at, item, when).await?;
        let Written::Refused { .. } = &answer else {
            return Ok(answer);
        };
        latency().await;
        let current = right.occupant(at).await?;
        Ok(Written::Refused { current })
    }
}

#[async_trait]
impl Wrong for ReadsBeforeRemoval {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let before = right.occupant(at).await?;
        latency().await;
        match right.remove(at, rev, when).await? {
            Written::Applied {
                previous: Previous::Known(Some(Occupant::Item(_) | Occupant::Tombstone(_))),
            } => Ok(applied(before)),
            answer => Ok(answer),
        }
    }
}
