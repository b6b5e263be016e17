//! Mutants that say or do the wrong thing when a request fails.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use konserve_core::backend::{
    Address, Backend, Committed, Item, Listing, Mutation, Previous, Purge, Read, Refusal, RowQuery, Space, When,
    Written,
};
use konserve_core::{Error, ErrorKind, Outcome, Result, Rev};

use crate::engine::{Listed, Right, Rows, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "faults.failed-read-is-absence",
            "faults.read-strong",
            "a lookup that fails for whatever reason is mapped to `None`",
            || FailedReadIsAbsence,
        ),
        Mutant::new(
            "faults.failed-read-is-absence-for-users",
            "faults.store-get",
            "the same, as users of a store meet it",
            || FailedReadIsAbsence,
        ),
        Mutant::new(
            "faults.failed-batch-is-absence",
            "faults.read-many",
            "a batch that fails leaves the map of answers empty, and nobody looks at the error",
            || FailedBatchIsAbsence,
        ),
        Mutant::new(
            "faults.rows-end-at-an-error",
            "faults.rows",
            "a page that fails ends the loop over the pages",
            || EndsAtAnError,
        ),
        Mutant::new(
            "faults.list-ends-at-an-error",
            "faults.list",
            "a page that fails ends the loop over the pages",
            || EndsAtAnError,
        ),
        Mutant::new(
            "faults.rows-begin-again",
            "faults.rows-backwards",
            "after a page that fails, the driver begins again, and delivers the first pages twice",
            || BeginsAgain,
        ),
        Mutant::new(
            "faults.rows-go-on-after-an-error",
            "faults.rows",
            "each page is a result of its own, and a page that fails is fetched again behind its error",
            || GoesOn,
        ),
        Mutant::new(
            "faults.lost-reply-is-not-applied",
            "faults.write-newer",
            "a connection that breaks is taken for one that never was",
            || Renames(ErrorKind::UnknownOutcome, ErrorKind::Unavailable),
        ),
        Mutant::new(
            "faults.lost-reply-is-conflict",
            "faults.write-matches",
            "whatever goes wrong with a conditional write is reported as its condition",
            || Renames(ErrorKind::UnknownOutcome, ErrorKind::Conflict),
        ),
        Mutant::new(
            "faults.throttled-is-unknown",
            "faults.write-always",
            "every error of a mutation is called an unknown outcome, to be on the safe side",
            || Renames(ErrorKind::Throttled, ErrorKind::UnknownOutcome),
        ),
        Mutant::new(
            "faults.throttled-is-denied",
            "faults.remove-newer",
            "status 400 means that the request was wrong, and throttling comes with status 400",
            || Renames(ErrorKind::Throttled, ErrorKind::Denied),
        ),
        Mutant::new(
            "faults.unknown-but-unavailable",
            "faults.remove-matches",
            "the outcome is kept, and the kind is that of what the network said",
            || UnknownButUnavailable,
        ),
        Mutant::new(
            "faults.lost-reply-is-success",
            "faults.write-absent",
            "a message that was sent counts as done",
            || LostReplyIsSuccess,
        ),
        Mutant::new(
            "faults.repeated-and-refused",
            "faults.write-absent",
            "the driver repeats a write after a lost answer, and finds its condition broken by the first attempt",
            || RepeatsAndIsRefused,
        ),
        Mutant::new(
            "faults.repeated-and-refused-for-users",
            "faults.store-assoc-if-absent",
            "the same, as users of a store meet it: a conflict with oneself",
            || RepeatsAndIsRefused,
        ),
        Mutant::new(
            "faults.commit-repeated-and-refused",
            "faults.commit",
            "the driver repeats a transaction after a lost answer, and finds its conditions broken by the first attempt",
            || RepeatsAndIsRefused,
        ),
        Mutant::new(
            "faults.half-a-commit",
            "faults.commit",
            "without the transaction that was throttled, the mutations are made one by one, as far as that goes",
            || HalfACommit,
        ),
        Mutant::new(
            "faults.half-a-commit-for-users",
            "faults.store-multi-assoc",
            "the same, as users of a store meet it",
            || HalfACommit,
        ),
        Mutant::new(
            "faults.purge-fails-silently",
            "faults.purge",
            "purging is tidying up, so its errors are logged and dropped",
            || PurgeFailsSilently,
        ),
        Mutant::new(
            "faults.half-a-purge",
            "faults.purge",
            "a purge takes several requests, and the error of a later one is passed on as if it were the first",
            || HalfAPurge,
        ),
        Mutant::new(
            "faults.broken-for-good",
            "faults.read-without-body",
            "a connection that failed stays in the pool, and every later request gets it",
            BrokenForGood::default,
        ),
    ]
}

/// Takes a read that fails for one that finds nothing.
struct FailedReadIsAbsence;

#[async_trait]
impl Wrong for FailedReadIsAbsence {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        Ok(right.read(at, how).await.unwrap_or_default())
    }
}

struct FailedBatchIsAbsence;

#[async_trait]
impl Wrong for FailedBatchIsAbsence {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let items = right.read_many(at, how).await;
        Ok(items.unwrap_or_else(|_| vec![None; at.len()]))
    }
}

/// Delivers what came before an error.
struct EndsAtAnError;

#[async_trait]
impl Wrong for EndsAtAnError {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        right
            .rows(query)
            .take_while(|row| std::future::ready(row.is_ok()))
            .boxed()
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let listed = right.list(space, how);
        listed.take_while(|row| std::future::ready(row.is_ok())).boxed()
    }
}

/// Goes on after an error from the beginning.
struct BeginsAgain;

#[async_trait]
impl Wrong for BeginsAgain {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let (rows, again) = (right.rows(query.clone()), right.rows(query));
        let all = async move {
            let mut rows: Vec<_> = rows.collect().await;
            if rows.last().is_some_and(Result::is_err) {
                rows.pop();
                rows.extend(again.collect::<Vec<_>>().await);
            }
            stream::iter(rows)
        };
        stream::once(all).flatten().boxed()
    }
}

/// Delivers an error, and then what is left.
struct GoesOn;

#[async_trait]
impl Wrong for GoesOn {
    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let (rows, again) = (right.rows(query.clone()), right.memory.rows(query));
        let all = async move {
            let mut rows: Vec<_> = rows.collect().await;
            if rows.last().is_some_and(Result::is_err) {
                let delivered = rows.len() - 1;
                rows.extend(again.skip(delivered).collect::<Vec<_>>().await);
            }
            stream::iter(rows)
        };
        stream::once(all).flatten().boxed()
    }
}

/// Calls a kind of error another kind.
struct Renames(ErrorKind, ErrorKind);

impl Renames {
    fn renamed<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error.kind() == self.0 {
            true => Error::new(self.1, "something went wrong").with_source(error),
            false => error,
        })
    }
}

#[async_trait]
impl Wrong for Renames {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        self.renamed(right.write(at, item, when).await)
    }

    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.renamed(right.remove(at, rev, when).await)
    }
}

struct UnknownButUnavailable;

#[async_trait]
impl Wrong for UnknownButUnavailable {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await;
        answer.map_err(|error| match error.outcome() {
            Outcome::Unknown => Error::new(ErrorKind::Unavailable, "no answer").with_outcome(Outcome::Unknown),
            Outcome::NotApplied => error,
        })
    }
}

struct LostReplyIsSuccess;

#[async_trait]
impl Wrong for LostReplyIsSuccess {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match right.write(at, item, when).await {
            Err(error) if error.outcome() == Outcome::Unknown => Ok(Written::Applied {
                previous: Previous::Unknown,
            }),
            answer => answer,
        }
    }
}

/// Repeats what got no answer, and does not know itself again.
struct RepeatsAndIsRefused;

#[async_trait]
impl Wrong for RepeatsAndIsRefused {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match right.write(at, item.clone(), when).await {
            Err(error) if error.outcome() == Outcome::Unknown => match right.occupant(at).await? {
                Some(current) if when != When::Always && current.rev() == item.rev => {
                    Ok(Written::Refused { current: Some(current) })
                }
                _ => right.write(at, item, when).await,
            },
            answer => answer,
        }
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let first = all.first().map(|mutation| (mutation.at().clone(), mutation.rev()));
        match (right.commit(all.clone()).await, first) {
            (Err(error), Some((at, rev))) if error.outcome() == Outcome::Unknown => {
                let current = right.occupant(&at).await?;
                match current.as_ref().map(|current| current.rev()) == rev {
                    true => Ok(Committed::Refused(vec![Refusal { index: 0, current }])),
                    false => right.commit(all).await,
                }
            }
            (answer, _) => answer,
        }
    }
}

struct HalfACommit;

#[async_trait]
impl Wrong for HalfACommit {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let half = all[..all.len() / 2].to_vec();
        match right.commit(all).await {
            Err(error) if error.kind() == ErrorKind::Throttled && !half.is_empty() => {
                right.memory.commit(half).await?;
                Err(error)
            }
            answer => answer,
        }
    }
}

struct PurgeFailsSilently;

#[async_trait]
impl Wrong for PurgeFailsSilently {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        right.purge(what).await.unwrap_or_default();
        Ok(())
    }
}

/// Purges in two requests.
struct HalfAPurge;

#[async_trait]
impl Wrong for HalfAPurge {
    async fn purge(&self, right: &Right, what: &[Purge]) -> Result<()> {
        let (first, rest) = what.split_at(what.len() / 2);
        right.purge(first).await?;
        right.purge(rest).await
    }
}

/// Remembers its first failure for ever.
#[derive(Default)]
struct BrokenForGood(AtomicBool);

#[async_trait]
impl Wrong for BrokenForGood {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "the connection is broken"));
        }
        let answer = right.read(at, how).await;
        self.0.fetch_or(answer.is_err(), Ordering::Relaxed);
        answer
    }
}
