//! Mutants whose reads find what is not there, or do not find what is.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use konserve_core::backend::{Address, Backend, Item, Purge, Read, When, Written};
use konserve_core::{Error, ErrorKind, Result};

use crate::engine::{Right, Wrong, pause, rejected};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [ordinary(), snapshots()].into_iter().flatten().collect()
}

fn ordinary() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "reads.absence-is-an-error",
            "read.vacant-is-none",
            "the engine says `not found` as an error, and nobody turns that into an answer",
            || AbsenceIsAnError,
        ),
        Mutant::new(
            "reads.error-is-absence",
            "concurrency.increments-add-up",
            "a read that was throttled, and whose error is taken for absence",
            || FailsNowAndThen(AtomicUsize::new(0)),
        ),
        Mutant::new(
            "reads.large-is-absent",
            "read-many.complete",
            "an answer has room for so many bytes, and the keys that it leaves unprocessed are not asked for again",
            || DropsBytes,
        ),
        Mutant::new(
            "reads.keys-behind-the-first-hundred-dropped",
            "read-many.hundreds",
            "a request takes a hundred keys, and the rest is never asked for",
            || FirstHundred,
        ),
        Mutant::new(
            "reads.tombstone-is-an-empty-item",
            "read.tombstone-is-none",
            "a removal is marked in a column that readers do not look at",
            || ReadsTombstones,
        ),
        Mutant::new(
            "reads.repeated-keys-answered-once",
            "read-many.repeated",
            "the engine refuses repeated keys in one request, so they are made unique and the answers come unique",
            || AnswersOnce,
        ),
        Mutant::new(
            "reads.in-the-order-of-the-engine",
            "read-many.in-the-order-asked-for",
            "`WHERE key IN (…)` answers in the order of the index",
            || OrderOfTheIndex,
        ),
        Mutant::new(
            "reads.only-what-is-there",
            "read-many.in-the-order-asked-for",
            "a batch answers with the items that exist, and nobody puts the gaps back",
            || LeavesOutGaps,
        ),
        Mutant::new(
            "reads.no-keys-refused",
            "read-many.none",
            "a batch of nothing is a validation error of the engine, and is passed on",
            || RefusesNone,
        ),
        Mutant::new(
            "reads.stale-strong-read",
            "read.strong-sees-what-was-acknowledged",
            "each handle keeps what it read, and nobody tells it of the writes of others",
            Caches::default,
        ),
        Mutant::new(
            "reads.stale-strong-read-of-many",
            "read.strong-sees-what-was-acknowledged",
            "the flag for consistent reads is passed on by `read` and forgotten by `read_many`",
            CachesMany::default,
        ),
        Mutant::new(
            "reads.stale-strong-read-without-body",
            "read.strong-sees-what-was-acknowledged",
            "meta is answered from an index that follows the table by and by",
            CachesMeta::default,
        ),
        Mutant::new(
            "reads.eventual-mixes-two-writes",
            "read.eventual-is-whole",
            "eventual reads take meta from one replica and the body from another",
            MixesReplicas::default,
        ),
        Mutant::new(
            "reads.body-all-the-same",
            "read.without-body",
            "the flag for the body is ignored",
            || {
                Without(|item, whole| Item {
                    body: whole.body,
                    ..item
                })
            },
        ),
        Mutant::new(
            "reads.projection-forgets-pinned",
            "read.without-body",
            "the list of attributes to fetch was not extended with the attribute",
            || Without(|item, _| Item { pinned: false, ..item }),
        ),
        Mutant::new(
            "reads.projection-forgets-expiry",
            "read.without-body",
            "the list of attributes to fetch was not extended with the attribute",
            || Without(|item, _| Item { expires: None, ..item }),
        ),
        Mutant::new(
            "reads.bodies-of-many-all-the-same",
            "read-many.without-body",
            "the flag for the body is not passed on to the batch",
            || BodiesOfMany,
        ),
        Mutant::new(
            "reads.purge-what-expired",
            "read.changes-nothing",
            "a cache erases expired items when somebody looks at them, and the fence with them",
            || PurgesExpired,
        ),
    ]
}

struct FailsNowAndThen(AtomicUsize);
struct DropsBytes;
struct FirstHundred;
struct ReadsTombstones;
struct AnswersOnce;
struct OrderOfTheIndex;
struct LeavesOutGaps;
struct RefusesNone;
struct BodiesOfMany;
struct PurgesExpired;
/// What is done to an item that was asked for without its body, given the whole one.
struct Without(fn(Item, Item) -> Item);

/// What each handle, by its number, has read.
type Seen = Mutex<HashMap<(usize, Address), Option<Item>>>;
#[derive(Default)]
struct Caches(Seen);
#[derive(Default)]
struct CachesMany(Seen);
#[derive(Default)]
struct CachesMeta(Seen);
#[derive(Default)]
struct MixesReplicas(Seen);

/// What was remembered first.
fn remembered(seen: &Seen, right: &Right, at: &Address, found: Option<Item>) -> Option<Item> {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.entry((right.number, at.clone())).or_insert(found).clone()
}

fn forget(seen: &Seen, right: &Right, at: &Address) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.remove(&(right.number, at.clone()));
}

#[async_trait]
impl Wrong for FailsNowAndThen {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 25 {
            24 => Ok(None),
            _ => right.read(at, how).await,
        }
    }
}

#[async_trait]
impl Wrong for DropsBytes {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let mut room: usize = 64 * 1024;
        let found = right.read_many(at, how).await?.into_iter();
        let fits = found.map(|item| {
            let item = item?;
            room = room.checked_sub(item.size())?;
            Some(item)
        });
        Ok(fits.collect())
    }
}

#[async_trait]
impl Wrong for FirstHundred {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let mut found = right.read_many(&at[..at.len().min(100)], how).await?;
        found.resize(at.len(), None);
        Ok(found)
    }
}

#[async_trait]
impl Wrong for ReadsTombstones {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let Some(occupant) = right.occupant(at).await? else {
            return Ok(None);
        };
        let empty = Item {
            rev: occupant.rev(),
            pinned: false,
            expires: None,
            created: occupant.rev().instant(),
            meta: bytes::Bytes::new(),
            body: None,
        };
        Ok(Some(right.read(at, how).await?.unwrap_or(empty)))
    }
}

#[async_trait]
impl Wrong for AnswersOnce {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let mut unique: Vec<Address> = Vec::new();
        for at in at {
            if !unique.contains(at) {
                unique.push(at.clone());
            }
        }
        right.read_many(&unique, how).await
    }
}

#[async_trait]
impl Wrong for OrderOfTheIndex {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let found = at.iter().cloned().zip(right.read_many(at, how).await?);
        Ok(found.collect::<BTreeMap<_, _>>().into_values().collect())
    }
}

#[async_trait]
impl Wrong for LeavesOutGaps {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let found = right.read_many(at, how).await?;
        Ok(found.into_iter().filter(Option::is_some).collect())
    }
}

#[async_trait]
impl Wrong for RefusesNone {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        match at {
            [] => rejected("the list of keys must have at least one member"),
            some => right.read_many(some, how).await,
        }
    }
}

#[async_trait]
impl Wrong for Caches {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        Ok(remembered(&self.0, right, at, right.read(at, how).await?))
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        forget(&self.0, right, at);
        right.write(at, item, when).await
    }
}

#[async_trait]
impl Wrong for CachesMany {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let found = at.iter().zip(right.read_many(at, how).await?);
        Ok(found.map(|(at, found)| remembered(&self.0, right, at, found)).collect())
    }
}

#[async_trait]
impl Wrong for CachesMeta {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = right.read(at, how).await?;
        match how.body {
            true => Ok(found),
            false => Ok(remembered(&self.0, right, at, found)),
        }
    }
}

#[async_trait]
impl Wrong for MixesReplicas {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = right.read(at, how).await?;
        if how.strong {
            return Ok(found);
        }
        let first = remembered(&self.0, right, at, found.clone());
        let body = first.and_then(|item| item.body);
        Ok(found.map(|item| Item { body, ..item }))
    }
}

#[async_trait]
impl Wrong for Without {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let whole = right.read(at, Read { body: true, ..how }).await?;
        let found = right.read(at, how).await?;
        Ok(match (found, whole) {
            (Some(item), Some(whole)) if !how.body => Some(self.0(item, whole)),
            (found, _) => found,
        })
    }
}

#[async_trait]
impl Wrong for BodiesOfMany {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        right.read_many(at, Read { body: true, ..how }).await
    }
}

#[async_trait]
impl Wrong for PurgesExpired {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        // Whether it expired or was removed makes no difference to a cache.
        if let Some(konserve_core::backend::Occupant::Tombstone(_)) = right.occupant(at).await? {
            right.purge(&[Purge::Row(at.clone())]).await?;
        }
        right.read(at, how).await
    }
}

/// Fails where there is nothing at all.
struct AbsenceIsAnError;

#[async_trait]
impl Wrong for AbsenceIsAnError {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        match right.occupant(at).await? {
            Some(_) => right.read(at, how).await,
            None => Err(Error::new(ErrorKind::NotFound, "no such key")),
        }
    }
}

fn snapshots() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "reads.snapshot-one-by-one",
            "read-many.snapshot-is-of-one-moment",
            "the flag is ignored, and each address is read when its turn comes",
            || Snapshots(|right, at, how| Box::pin(one_by_one(right, at, how))),
        ),
        Mutant::new(
            "reads.snapshot-of-a-replica",
            "read-many.snapshot-sees-what-was-acknowledged",
            "a view that is consistent in itself, and older than what was acknowledged",
            OldView::default,
        ),
        Mutant::new(
            "reads.snapshot-of-one-address-once",
            "read-many.snapshot-as-each",
            "the engine refuses an address that is twice in one transaction, and that is passed on",
            || {
                Snapshots(|right, at, how| {
                    Box::pin(async move {
                        let different: std::collections::HashSet<_> = at.iter().collect();
                        match different.len() == at.len() {
                            true => right.read_many(at, how).await,
                            false => rejected("one item twice in a transaction"),
                        }
                    })
                })
            },
        ),
        Mutant::new(
            "reads.snapshot-with-the-body-always",
            "read-many.snapshot-as-each",
            "the transaction is built without the projection",
            || Snapshots(|right, at, how| Box::pin(right.read_many(at, Read { body: true, ..how }))),
        ),
        Mutant::new(
            "reads.snapshot-in-several-transactions",
            "read-many.snapshot-around-the-limits",
            "what does not fit into one transaction is read in two",
            || {
                Snapshots(|right, at, how| {
                    Box::pin(async move {
                        let mut found = Vec::new();
                        for some in at.chunks(8) {
                            found.extend(right.read_many(some, how).await?);
                        }
                        Ok(found)
                    })
                })
            },
        ),
        Mutant::new(
            "reads.snapshot-of-few-bytes",
            "read-many.snapshot-around-the-limits",
            "the limit of one answer is taken for that of a transaction",
            || {
                Snapshots(|right, at, how| {
                    Box::pin(async move {
                        let found = right.read_many(at, how).await?;
                        match found.iter().flatten().map(Item::size).sum::<usize>() {
                            0..=4096 => Ok(found),
                            more => Err(Error::new(ErrorKind::TooLarge, "bytes").with_limit(4096, more as u64)),
                        }
                    })
                })
            },
        ),
        Mutant::new(
            "reads.snapshot-all-the-same",
            "read-many.snapshot-without-transactions",
            "an engine without transactions does what it can",
            || Snapshots(|right, at, how| Box::pin(one_by_one(right, at, how))),
        )
        .set_up(|builder| builder.transactions(None)),
    ]
}

type Found<'a> = futures::future::BoxFuture<'a, Result<Vec<Option<Item>>>>;

/// Snapshots are something else.
struct Snapshots(for<'a> fn(&'a Right, &'a [Address], Read) -> Found<'a>);
#[derive(Default)]
struct OldView(Mutex<HashMap<Vec<Address>, Vec<Option<Item>>>>);

async fn one_by_one(right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
    let mut found = Vec::new();
    for at in at {
        found.push(right.read(at, how).await?);
        pause().await;
    }
    Ok(found)
}

#[async_trait]
impl Wrong for Snapshots {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        match how.snapshot {
            true => self.0(right, at, how).await,
            false => right.read_many(at, how).await,
        }
    }
}

#[async_trait]
impl Wrong for OldView {
    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let found = right.read_many(at, how).await?;
        if !how.snapshot {
            return Ok(found);
        }
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(views.insert(at.to_vec(), found.clone()).unwrap_or(found))
    }
}
