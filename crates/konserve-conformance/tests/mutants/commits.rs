//! Mutants whose commits are not one step, or not of all, or answer wrongly.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future;
use futures::stream::StreamExt;
use konserve_core::backend::{
    Address, Backend, Committed, Item, Listing, Mutation, Occupant, Read, Refusal, Space, TransactionLimits, When,
    Written,
};
use konserve_core::{Error, ErrorKind, Result};
use konserve_memory::Builder;

use crate::conditions::SeesExpired;
use crate::engine::{Listed, Right, Wrong, apply, latency};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [atomicity(), answers(), parts(), limits()]
        .into_iter()
        .flatten()
        .collect()
}

fn atomicity() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "commits.one-by-one",
            "commit.readers-see-all-or-nothing",
            "all conditions are checked first, and then the items are written one after the other",
            || OneByOne,
        ),
        Mutant::new(
            "commits.stop-at-the-first-refusal",
            "commit.many-refusals",
            "each part is a request of its own, and what was done before a refusal stays",
            || StopsAtRefusal,
        ),
        Mutant::new(
            "commits.success-after-a-partial-failure",
            "commit.many-refusals",
            "a batch answers with the parts that failed, and nobody looks at them",
            || SkipsRefused,
        ),
        Mutant::new(
            "commits.first-batch-only",
            "commit.items-at-the-limit",
            "a batch takes so many items, and the rest is left unprocessed",
            || FirstFour,
        ),
        Mutant::new(
            "commits.conditions-before-the-writes",
            "commit.transfers-keep-the-sum",
            "the rows are read and compared, and only the writes are in the transaction",
            || ConditionsFirst(|_| true),
        ),
        Mutant::new(
            "commits.checks-before-the-writes",
            "commit.checks-hold-until-the-end",
            "snapshot isolation: what a transaction only read may be changed by another at the same time",
            || ConditionsFirst(|mutation| matches!(mutation, Mutation::Check { .. })),
        ),
        Mutant::new(
            "commits.listed-later",
            "commit.is-seen-by-every-read",
            "single writes keep the index up to date, transactions leave that to a worker",
            NotListed::default,
        ),
        Mutant::new(
            "commits.within-one-partition",
            "commit.across-spaces",
            "the engine's batches are atomic within one partition only",
            || OnePartition,
        ),
    ]
}

fn answers() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "commits.refused-without-saying-what",
            "commit.many-refusals",
            "the transaction was cancelled, says the engine, and gives no reasons",
            || Refusals(|_| Vec::new()),
        ),
        Mutant::new(
            "commits.refusals-out-of-order",
            "commit.many-refusals",
            "the reasons are collected in a map",
            || Refusals(|refusals| refusals.into_iter().rev().collect()),
        ),
        Mutant::new(
            "commits.refusals-counted-from-one",
            "commit.many-refusals",
            "the engine counts statements from 1",
            || {
                Refusals(|refusals| {
                    let counted = refusals.into_iter().map(|refusal| Refusal {
                        index: refusal.index + 1,
                        ..refusal
                    });
                    counted.collect()
                })
            },
        ),
        Mutant::new(
            "commits.refusals-name-everything",
            "commit.many-refusals",
            "the whole batch was refused, and so each part of it is named",
            || {
                Refusals(|refusals| {
                    let last = refusals.last().map_or(0, |refusal| refusal.index);
                    let current = refusals.first().and_then(|refusal| refusal.current.clone());
                    (0..=last)
                        .map(|index| Refusal {
                            index,
                            current: current.clone(),
                        })
                        .collect()
                })
            },
        ),
        Mutant::new(
            "commits.refusals-without-what-is-there",
            "commit.many-refusals",
            "the reasons say that a condition failed, and not why",
            || {
                Refusals(|refusals| {
                    refusals
                        .into_iter()
                        .map(|refusal| Refusal {
                            current: None,
                            ..refusal
                        })
                        .collect()
                })
            },
        ),
        Mutant::new(
            "commits.refusal-tells-the-neighbour",
            "commit.many-refusals",
            "the items in the answer are matched with the wrong parts",
            || {
                Refusals(|mut refusals| {
                    let first = refusals.first().and_then(|refusal| refusal.current.clone());
                    if let Some(last) = refusals.last_mut() {
                        last.current = first;
                    }
                    refusals
                })
            },
        ),
        Mutant::new(
            "commits.repetition-told-by-the-first-part",
            "commit.repeated-after-a-part-was-replaced",
            "whether it is the same transaction is asked of one item, which may have been replaced since",
            || FirstPartOnly,
        ),
        Mutant::new(
            "commits.repetition-applied-in-part",
            "commit.write.when-newer.repeated-over-live-mine",
            "each part is idempotent by itself, and the whole is not",
            || RepeatsParts,
        ),
        Mutant::new(
            "commits.repeated-removal-refused",
            "commit.remove.when-exists.repeated-over-tombstone-mine",
            "a tombstone is not looked at when a transaction is recognised",
            || ForgetsRemovals,
        ),
    ]
}

fn parts() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "commits.checks-ignored",
            "commit.check-exists.fails-over-vacant",
            "a transaction of puts and deletes has no place for a check",
            || {
                Commits(|all| {
                    all.into_iter()
                        .filter(|one| !matches!(one, Mutation::Check { .. }))
                        .collect()
                })
            },
        ),
        Mutant::new(
            "commits.removals-ignored",
            "commit.applies-all",
            "a batch of puts has no place for a removal",
            || {
                Commits(|all| {
                    all.into_iter()
                        .filter(|one| !matches!(one, Mutation::Remove { .. }))
                        .collect()
                })
            },
        ),
        Mutant::new(
            "commits.conditions-ignored",
            "commit.write.when-absent.refused-by-live-lower",
            "the batch of the engine is atomic and knows no conditions",
            || Commits(|all| all.into_iter().map(unconditional).collect()),
        ),
        Mutant::new(
            "commits.one-address-twice",
            "commit.senseless",
            "the mutations are put into a map by address, and the last one wins",
            || {
                Commits(|all| {
                    let mut last = Vec::<Mutation>::new();
                    for one in all {
                        last.retain(|before| before.at() != one.at());
                        last.push(one);
                    }
                    last
                })
            },
        ),
        Mutant::new(
            "commits.of-nothing-applied",
            "commit.senseless",
            "a loop over nothing succeeds",
            || NothingApplied,
        ),
        Mutant::new(
            "commits.check-writes-what-it-saw",
            "commit.check-exists.holds-over-live",
            "an engine without checks, where one is done by writing back what was read, without the body",
            || ChecksByWriting,
        ),
        Mutant::new(
            "commits.check-of-absent-sees-what-expired",
            "commit.check-absent.holds-over-expired",
            "the engine asks whether there is a row, and the clock is only looked at by reads",
            || ChecksExpired(SeesExpired::default()),
        ),
        Mutant::new(
            "commits.check-of-absent-sees-tombstones",
            "commit.check-absent.holds-over-tombstone",
            "the engine asks whether there is a row, and the tombstone is one",
            || ChecksTombstones,
        ),
        Mutant::new(
            "commits.check-passes-over-pinned",
            "commit.check-matches-it.holds-over-pinned",
            "the condition of a check is that of a removal, which spares what is pinned",
            || ChecksPinned,
        ),
    ]
}

fn limits() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "commits.one-item-too-many",
            "commit.items-above-the-limit",
            "`>` where `>=` was meant",
            || {
                Limits(|limits| TransactionLimits {
                    items: limits.items + 1,
                    ..limits
                })
            },
        ),
        Mutant::new(
            "commits.one-item-too-few",
            "commit.items-at-the-limit",
            "`>=` where `>` was meant",
            || {
                Limits(|limits| TransactionLimits {
                    items: limits.items - 1,
                    ..limits
                })
            },
        ),
        Mutant::new(
            "commits.one-byte-too-many",
            "commit.bytes-at-and-above-the-limit",
            "`>` where `>=` was meant",
            || {
                Limits(|limits| TransactionLimits {
                    bytes: limits.bytes + 1,
                    ..limits
                })
            },
        ),
        Mutant::new(
            "commits.meta-not-counted",
            "commit.bytes-at-and-above-the-limit",
            "the sizes of the bodies are added up, and the rest is forgotten",
            || CountsBodies,
        ),
        Mutant::new(
            "commits.item-limit-forgotten",
            "limits.item-above-the-limit-in-a-commit",
            "the check is in the method for single writes",
            || NoItemLimit,
        ),
        Mutant::new(
            "commits.partition-limit-forgotten",
            "limits.partition-above-the-limit-in-a-commit",
            "the check is in the method for single writes",
            || NoPartitionLimit,
        ),
        Mutant::new(
            "commits.refusal-of-the-limit-names-none",
            "commit.items-above-the-limit",
            "the engine's validation error is passed on as it is",
            || NamesNoLimit,
        ),
    ]
}

struct OneByOne;
struct StopsAtRefusal;
struct SkipsRefused;
struct FirstFour;
/// Which conditions are checked in a step of their own.
struct ConditionsFirst(fn(&Mutation) -> bool);
#[derive(Default)]
struct NotListed(Arc<Mutex<HashSet<Address>>>);
struct OnePartition;
struct Refusals(fn(Vec<Refusal>) -> Vec<Refusal>);
struct FirstPartOnly;
struct RepeatsParts;
struct ForgetsRemovals;
/// Something else is committed.
struct Commits(fn(Vec<Mutation>) -> Vec<Mutation>);
struct NothingApplied;
struct ChecksByWriting;
struct ChecksExpired(SeesExpired);
struct ChecksTombstones;
struct ChecksPinned;
/// What is enforced instead of what is declared.
struct Limits(fn(TransactionLimits) -> TransactionLimits);
struct CountsBodies;
struct NoItemLimit;
struct NoPartitionLimit;
struct NamesNoLimit;

/// The same without a condition.
fn unconditional(mutation: Mutation) -> Mutation {
    match mutation {
        Mutation::Write { at, item, .. } => Mutation::Write {
            at,
            item,
            when: When::Always,
        },
        Mutation::Remove { at, rev, .. } => Mutation::Remove {
            at,
            rev,
            when: When::Always,
        },
        check => check,
    }
}

/// The mutations whose conditions do not hold, decided one after the other.
async fn refusals(right: &Right, all: &[Mutation]) -> Result<Vec<Refusal>> {
    let mut refusals = Vec::new();
    for (index, mutation) in all.iter().enumerate() {
        let current = right.occupant(mutation.at()).await?;
        let holds = match mutation.rev() {
            Some(rev) => mutation.when().admits(rev, current.as_ref()),
            None => mutation.when().holds(current.as_ref()) == Some(true),
        };
        if !holds {
            refusals.push(Refusal { index, current });
        }
    }
    Ok(refusals)
}

/// Whether what a mutation stores is there.
async fn is_stored(right: &Right, mutation: &Mutation) -> Result<bool> {
    let there = right.occupant(mutation.at()).await?;
    Ok(mutation.rev().is_some() && there.map(|there| there.rev()) == mutation.rev())
}

#[async_trait]
impl Wrong for OneByOne {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        match refusals(right, &all).await? {
            refused if !refused.is_empty() => Ok(Committed::Refused(refused)),
            _ => {
                for one in all {
                    apply(right, one).await?;
                    tokio::task::yield_now().await;
                }
                Ok(Committed::Applied)
            }
        }
    }
}

#[async_trait]
impl Wrong for StopsAtRefusal {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for (index, one) in all.into_iter().enumerate() {
            if let Committed::Refused(refusals) = apply(right, one).await? {
                let refusals = refusals.into_iter().map(|refusal| Refusal { index, ..refusal });
                return Ok(Committed::Refused(refusals.collect()));
            }
        }
        Ok(Committed::Applied)
    }
}

#[async_trait]
impl Wrong for SkipsRefused {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for one in all {
            apply(right, one).await?;
        }
        Ok(Committed::Applied)
    }
}

#[async_trait]
impl Wrong for FirstFour {
    async fn commit(&self, right: &Right, mut all: Vec<Mutation>) -> Result<Committed> {
        all.truncate(4);
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for ConditionsFirst {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(self.0);
        let refused = refusals(right, &first).await?;
        if !refused.is_empty() {
            return Ok(Committed::Refused(refused));
        }
        latency().await;
        let writes = first.into_iter().filter(|one| one.rev().is_some()).map(unconditional);
        let all: Vec<_> = writes.chain(rest).collect();
        match all.is_empty() {
            true => Ok(Committed::Applied),
            false => right.commit(all).await,
        }
    }
}

#[async_trait]
impl Wrong for NotListed {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let addresses: Vec<_> = all.iter().map(|one| one.at().clone()).collect();
        let answer = right.commit(all).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(addresses);
        Ok(answer)
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let hidden = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shown = move |one: &Result<(Address, Occupant)>| {
            let hide = one.as_ref().is_ok_and(|(at, _)| hidden.contains(at));
            future::ready(!hide)
        };
        right.list(space, how).filter(shown).boxed()
    }
}

#[async_trait]
impl Wrong for OnePartition {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let place = |one: &Mutation| (one.at().space, one.at().partition.clone());
        let places: HashSet<_> = all.iter().map(place).collect();
        match places.len() {
            0 | 1 => right.commit(all).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "the batch is of several partitions")),
        }
    }
}

#[async_trait]
impl Wrong for Refusals {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        Ok(match right.commit(all).await? {
            Committed::Refused(refusals) => Committed::Refused(self.0(refusals)),
            applied => applied,
        })
    }
}

#[async_trait]
impl Wrong for FirstPartOnly {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        if let Some(first) = all.first()
            && !is_stored(right, first).await?
        {
            let refused = refusals(right, &all).await?;
            if !refused.is_empty() {
                return Ok(Committed::Refused(refused));
            }
        }
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for RepeatsParts {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let mut left = Vec::new();
        for one in all {
            if !is_stored(right, &one).await? {
                left.push(one);
            }
        }
        match left.is_empty() {
            true => Ok(Committed::Applied),
            false => right.commit(left).await,
        }
    }
}

#[async_trait]
impl Wrong for ForgetsRemovals {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for one in &all {
            if matches!(one, Mutation::Remove { .. }) && is_stored(right, one).await? {
                return Ok(Committed::Refused(refusals(right, &all).await?));
            }
        }
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for Commits {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        right.commit(self.0(all)).await
    }
}

#[async_trait]
impl Wrong for NothingApplied {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        match all.is_empty() {
            true => Ok(Committed::Applied),
            false => right.commit(all).await,
        }
    }
}

#[async_trait]
impl Wrong for ChecksByWriting {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let checks = all.iter().filter(|one| one.rev().is_none());
        let checked: Vec<_> = checks.map(|one| one.at().clone()).collect();
        let answer = right.commit(all).await?;
        for at in checked {
            if let Some(item) = right.read(&at, Read::STRONG.without_body()).await? {
                right.put(&at, Occupant::Item(item)).await?;
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for ChecksExpired {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        self.0.note(at, &item);
        right.write(at, item, when).await
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for (index, one) in all.iter().enumerate() {
            let current = right.occupant(one.at()).await?;
            let expired = current.as_ref().is_some_and(|there| self.0.has(one.at(), there.rev()));
            if expired && one.rev().is_none() && one.when() == When::Absent {
                return Ok(Committed::Refused(vec![Refusal { index, current }]));
            }
        }
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for ChecksTombstones {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for (index, one) in all.iter().enumerate() {
            let current = right.occupant(one.at()).await?;
            if current.is_some() && one.rev().is_none() && one.when() == When::Absent {
                return Ok(Committed::Refused(vec![Refusal { index, current }]));
            }
        }
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for ChecksPinned {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for (index, one) in all.iter().enumerate() {
            let current = right.occupant(one.at()).await?;
            let pinned = current
                .as_ref()
                .and_then(Occupant::item)
                .is_some_and(|item| item.pinned);
            if pinned && one.rev().is_none() {
                return Ok(Committed::Refused(vec![Refusal { index, current }]));
            }
        }
        right.commit(all).await
    }
}

impl Wrong for Limits {
    fn builder(&self, declared: Builder) -> Builder {
        let limits = konserve_core::backend::Backend::capabilities(&declared.clone().build()).transactions;
        declared.transactions(limits.map(self.0))
    }
}

#[async_trait]
impl Wrong for CountsBodies {
    fn builder(&self, declared: Builder) -> Builder {
        declared.transactions(TransactionLimits {
            items: 8,
            bytes: usize::MAX,
        })
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let limit = right.declared.transactions.map_or(0, |limits| limits.bytes);
        let bodies = all.iter().map(|one| match one {
            Mutation::Write { item, .. } => item.body.as_ref().map_or(0, bytes::Bytes::len),
            _ => 0,
        });
        match bodies.sum::<usize>() {
            bytes if bytes > limit => {
                Err(Error::new(ErrorKind::TooLarge, "bytes of a commit").with_limit(limit as u64, bytes as u64))
            }
            _ => right.commit(all).await,
        }
    }
}

#[async_trait]
impl Wrong for NoItemLimit {
    fn builder(&self, declared: Builder) -> Builder {
        declared.item_limit(None)
    }
}

#[async_trait]
impl Wrong for NoPartitionLimit {
    fn builder(&self, declared: Builder) -> Builder {
        declared.longest_partition(usize::MAX)
    }
}

#[async_trait]
impl Wrong for NamesNoLimit {
    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        let answer = right.commit(all).await;
        answer.map_err(|error| Error::new(error.kind(), error.to_string()))
    }
}
