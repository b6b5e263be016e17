//! Mutants by whose clock items expire too early, too late, or in some places only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future;
use futures::stream::{self, StreamExt};
use konserve_core::backend::{
    Address, Backend, Committed, Item, Listing, Mutation, Occupant, Previous, Purge, Read, RowQuery, Space, When,
    Written,
};
use konserve_core::{Clock, Instant, Result, Rev};

use crate::engine::{Listed, Right, Rows, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "expiry.judged-by-seconds",
            "expiry.at-its-moment",
            "the clock of the engine counts seconds, and items expire up to one too early",
            || Expires(|expires| Instant::from_millis(expires.as_millis().div_euclid(1000) * 1000)),
        ),
        Mutant::new(
            "expiry.one-moment-late",
            "expiry.at-its-moment",
            "`<` where `<=` was meant",
            || Expires(|expires| expires + Duration::from_millis(1)),
        ),
        Mutant::new(
            "expiry.far-away-is-past",
            "expiry.far-away",
            "seconds in 32 bits wrap around in 2106",
            || Expires(|expires| Instant::from_millis(expires.as_millis() % (1_000 << 32))),
        ),
        Mutant::new(
            "expiry.ignored",
            "expiry.long-past",
            "the time to live is stored and nobody acts on it",
            || Expires(|_| Instant::from_millis(64_060_588_800_000)),
        ),
        Mutant::new(
            "expiry.leaves-nothing",
            "expiry.long-past",
            "the engine deletes what has expired, and with it the revision that fences off late writes",
            Vanishes::default,
        ),
        Mutant::new(
            "expiry.seen-by-single-reads",
            "expiry.at-its-moment",
            "the filter is in the method for single reads and was forgotten in the batch",
            || Until::new(Where::Many),
        ),
        Mutant::new(
            "expiry.forgotten-by-rows",
            "rows.no-tombstones",
            "the range query has no filter for what has expired",
            || Until::new(Where::Rows),
        ),
        Mutant::new(
            "expiry.forgotten-by-listings",
            "expiry.long-past",
            "the scan has no filter for what has expired",
            || Until::new(Where::List),
        ),
        Mutant::new(
            "expiry.listed-as-tombstones",
            "list.tombstones-on-request",
            "a collector is told what counts as a tombstone by the clock of this machine, and not when it ended",
            || ListedAsTombstones,
        ),
        Mutant::new(
            "expiry.listed-as-tombstones-to-collectors",
            "store.ttl-is-collected",
            "what has ended is collected as if it had ended when it was written",
            || ListedAsTombstones,
        ),
        Mutant::new(
            "expiry.of-meta-forgotten",
            "expiry.long-past",
            "reads without the body fetch some attributes only, and the expiry is not among them",
            || Until::new(Where::Meta),
        ),
        Mutant::new(
            "expiry.lost-in-commits",
            "store.ttl-of-several-keys",
            "the expiry is stored by single writes and was forgotten in transactions",
            || LostInCommits,
        ),
        Mutant::new(
            "expiry.of-the-predecessor",
            "store.ttl-follows-writes",
            "the attribute is set where there is an expiry and not removed where there is none",
            || OfThePredecessor,
        ),
        Mutant::new(
            "expiry.left-out-of-meta",
            "store.ttl-follows-writes",
            "reads without the body do not bring the expiry",
            || LeftOutOfMeta,
        ),
        Mutant::new(
            "expiry.matches-what-has-ended",
            "store.ttl-in-the-middle-of-an-update",
            "a condition on the revision compares the revision and nothing else",
            || MatchesWhatHasEnded,
        ),
    ]
}

struct ListedAsTombstones;
struct LostInCommits;
struct OfThePredecessor;
struct LeftOutOfMeta;
struct MatchesWhatHasEnded;
/// When items expire instead.
struct Expires(fn(Instant) -> Instant);
/// What expires, and when.
#[derive(Default)]
struct Vanishes(Mutex<HashMap<Address, (Rev, Instant)>>);
/// What was written, found again where the clock is not looked at.
struct Until {
    place: Where,
    written: Arc<Mutex<HashMap<Address, Item>>>,
}

/// Where the clock is not looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Meta,
    Many,
    Rows,
    List,
}

#[async_trait]
impl Wrong for Expires {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let expires = item.expires.map(self.0);
        right.write(at, Item { expires, ..item }, when).await
    }
}

#[async_trait]
impl Wrong for ListedAsTombstones {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let now = right.clock.now();
        let listed = right.list(space, how);
        listed
            .map(move |one| one.map(|(at, there)| (at, there.as_of(now))))
            .boxed()
    }
}

#[async_trait]
impl Wrong for LostInCommits {
    async fn commit(&self, right: &Right, mut all: Vec<Mutation>) -> Result<Committed> {
        for mutation in &mut all {
            if let Mutation::Write { item, .. } = mutation {
                item.expires = None;
            }
        }
        right.commit(all).await
    }
}

#[async_trait]
impl Wrong for OfThePredecessor {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let before = right.read(at, Read::STRONG).await?.and_then(|before| before.expires);
        let expires = item.expires.or(before);
        right.write(at, Item { expires, ..item }, when).await
    }
}

#[async_trait]
impl Wrong for LeftOutOfMeta {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = right.read(at, how).await?;
        Ok(found.map(|item| Item {
            expires: item.expires.filter(|_| how.body),
            ..item
        }))
    }
}

#[async_trait]
impl Wrong for MatchesWhatHasEnded {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match (when, right.occupant(at).await?) {
            (When::Matches(rev), Some(Occupant::Tombstone(is))) if rev == is && item.rev > is => {
                right.put(at, Occupant::Item(item)).await?;
                Ok(Written::Applied {
                    previous: Previous::Unknown,
                })
            }
            _ => right.write(at, item, when).await,
        }
    }
}

#[async_trait]
impl Wrong for Vanishes {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        if let Some(expires) = item.expires {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(at.clone(), (item.rev, expires));
        }
        right.write(at, item, when).await
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = right.clock.now();
        let swept = move |one: &Result<(Address, Occupant)>| {
            let expired = |at: &Address| known.get(at).is_some_and(|(_, expires)| *expires <= now);
            future::ready(!one.as_ref().is_ok_and(|(at, _)| expired(at)))
        };
        right.list(space, how).filter(swept).boxed()
    }

    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let expired = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .get(at)
                .filter(|(_, expires)| *expires <= right.clock.now())
                .copied()
        };
        if let Some((rev, _)) = expired {
            right.purge(&[Purge::Tombstone(at.clone(), rev)]).await?;
        }
        right.remove(at, rev, when).await
    }
}

impl Until {
    fn new(place: Where) -> Self {
        Self {
            place,
            written: Arc::default(),
        }
    }

    fn known(&self) -> HashMap<Address, Item> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Wrong for Until {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        if item.expires.is_some() {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(at.clone(), item.clone());
        }
        right.write(at, item, when).await
    }

    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = right.read(at, how).await?;
        let forgets = self.place == Where::Meta && !how.body;
        let known = self.known().remove(at).filter(|_| forgets);
        Ok(found.or(known.map(|item| Item { body: None, ..item })))
    }

    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let known = self.known();
        let found = at.iter().zip(right.read_many(at, how).await?);
        let forgets = self.place == Where::Many;
        Ok(found
            .map(|(at, found)| found.or_else(|| known.get(at).filter(|_| forgets).cloned()))
            .collect())
    }

    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let known = self.known().into_iter();
        let forgets = self.place == Where::Rows;
        let more = known.filter(move |_| forgets).map(|(at, item)| Ok((at.row, item)));
        right.rows(query).chain(stream::iter(more.collect::<Vec<_>>())).boxed()
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let (known, forgets) = (self.known(), self.place == Where::List);
        let tombstones = how.tombstones;
        let all = right.list(
            space,
            Listing {
                tombstones: tombstones || forgets,
                ..how
            },
        );
        let shown = all.filter_map(move |one| {
            let one = one.map(|(at, occupant)| {
                let still = known.get(&at).filter(|item| forgets && item.rev == occupant.rev());
                let occupant = still.map_or(occupant, |item| Occupant::Item(item.clone()));
                (at, occupant)
            });
            let wanted = one
                .as_ref()
                .map_or(true, |(_, occupant)| tombstones || occupant.item().is_some());
            future::ready(wanted.then_some(one))
        });
        shown.boxed()
    }
}
