//! Mutants that store something else than they acknowledge, or answer with something else than the truth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use konserve_core::Result;
use konserve_core::backend::{Address, Backend, Item, Occupant, Previous, When, Written};

use crate::engine::{Right, Wrong, applied};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "writes.acknowledged-before-stored",
            "write.applied-is-stored",
            "writes are queued and acknowledged, and stored with the next one",
            Queues::default,
        ),
        Mutant::new(
            "writes.late-duplicate-stored-again",
            "write.applied-is-stored",
            "a request that was sent twice, of which the second copy arrives after the next write",
            ArrivesTwice::default,
        ),
        Mutant::new(
            "writes.retry-meets-itself",
            "write.when-absent.applied-over-vacant",
            "the client sends again after a lost answer, and the condition now fails because of the first attempt",
            || SendsTwice,
        ),
        Mutant::new(
            "writes.chunks-of-a-kilobyte-lost",
            "limits.item-at-the-limit",
            "a body is written in pieces, and the last piece, which is not full, is not flushed",
            || LosesTail,
        ),
        Mutant::new(
            "writes.previous-is-the-new-one",
            "write.tells-what-it-replaced",
            "the statement returns the row as it is after the update",
            || Previously(|_, new| Some(Occupant::Item(new))),
        ),
        Mutant::new(
            "writes.previous-without-meta",
            "write.tells-what-it-replaced",
            "what was replaced is told from the index, which has the revision alone",
            || Previously(|old, _| old.map(without_meta)),
        ),
        Mutant::new(
            "writes.tombstone-told-as-nothing",
            "write.tells-what-it-replaced",
            "a tombstone is hidden from the answer as it is from readers",
            || Previously(|old, _| old.and_then(Occupant::into_item).map(Occupant::Item)),
        ),
        Mutant::new(
            "writes.previous-unknown-is-nothing",
            "write.tells-what-it-replaced",
            "the engine does not tell what was there, and that is passed on as nothing",
            || Previously(|_, _| None),
        ),
        Mutant::new(
            "writes.refused-without-what-is-there",
            "write.refused-tells-what-is-there",
            "the engine says that the condition failed, and not why",
            || Refusing(|_, _| None),
        ),
        Mutant::new(
            "writes.refused-without-meta",
            "write.refused-tells-what-is-there",
            "what is there is told from the index, which has the revision alone",
            || Refusing(|there, _| there.map(without_meta)),
        ),
        Mutant::new(
            "writes.refused-tells-the-rejected-item",
            "write.refused-tells-what-is-there",
            "the answer echoes the item of the request, which nobody has stored",
            || Refusing(|_, new| Some(Occupant::Item(new))),
        ),
        Mutant::new(
            "writes.refused-with-a-wrong-body",
            "write.refused-tells-what-is-there",
            "the body in the answer is that of the request",
            || {
                Refusing(|there, new| {
                    there
                        .and_then(Occupant::into_item)
                        .map(|item| Occupant::Item(Item { body: new.body, ..item }))
                })
            },
        ),
        Mutant::new(
            "writes.refused-write-leaves-its-body",
            "write.refused-tells-what-is-there",
            "the body is stored first, in its place, and then the row is refused",
            || BodyFirst,
        ),
        Mutant::new(
            "writes.fenced-off-and-acknowledged",
            "remove.fences-off-what-is-late",
            "a write that a tombstone refuses is acknowledged, as the item is not there in the end either way",
            || AcknowledgesFenced,
        ),
    ]
}

/// The last write at each address.
type Last = Mutex<HashMap<Address, Item>>;

#[derive(Default)]
struct Queues(Mutex<Option<(Address, Item)>>);
#[derive(Default)]
struct ArrivesTwice(Last);
struct SendsTwice;
struct LosesTail;
struct BodyFirst;
struct AcknowledgesFenced;
/// What an applied write says that it replaced, given what it did replace and what it stored.
struct Previously(fn(Option<Occupant>, Item) -> Option<Occupant>);
/// What a refused write says that is there, given what is and what was not stored.
struct Refusing(fn(Option<Occupant>, Item) -> Option<Occupant>);

fn without_meta(occupant: Occupant) -> Occupant {
    match occupant {
        Occupant::Item(item) => Occupant::Item(Item {
            meta: Bytes::new(),
            ..item
        }),
        tombstone => tombstone,
    }
}

#[async_trait]
impl Wrong for Queues {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let current = right.occupant(at).await?;
        if !when.admits(item.rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        let next = Some((at.clone(), item));
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some((at, item)) = before {
            right.put(&at, Occupant::Item(item)).await?;
        }
        let previous = Previous::Unknown;
        Ok(Written::Applied { previous })
    }
}

#[async_trait]
impl Wrong for ArrivesTwice {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let answer = right.write(at, item.clone(), when).await?;
        let mut last = HashMap::new();
        std::mem::swap(&mut last, &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(before) = last.insert(at.clone(), item) {
            right.put(at, Occupant::Item(before)).await?;
        }
        std::mem::swap(&mut last, &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for SendsTwice {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(at, item.clone(), when).await?;
        let current = right.occupant(at).await?;
        match when.admits(item.rev, current.as_ref()) {
            true => right.write(at, item, when).await,
            false => Ok(Written::Refused { current }),
        }
    }
}

#[async_trait]
impl Wrong for LosesTail {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let flushed = |body: Bytes| match body.len() / 1024 {
            0 => body,
            full => body.slice(..full * 1024),
        };
        let body = item.body.map(flushed);
        right.write(at, Item { body, ..item }, when).await
    }
}

#[async_trait]
impl Wrong for BodyFirst {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let answer = right.write(at, item.clone(), when).await?;
        if let (Written::Refused { .. }, Some(there)) =
            (&answer, right.read(at, konserve_core::backend::Read::STRONG).await?)
        {
            right
                .put(
                    at,
                    Occupant::Item(Item {
                        body: item.body,
                        ..there
                    }),
                )
                .await?;
        }
        Ok(answer)
    }
}

#[async_trait]
impl Wrong for AcknowledgesFenced {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match right.write(at, item, when).await? {
            Written::Refused {
                current: Some(Occupant::Tombstone(rev)),
            } => Ok(applied(Some(Occupant::Tombstone(rev)))),
            answer => Ok(answer),
        }
    }
}

#[async_trait]
impl Wrong for Previously {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match right.write(at, item.clone(), when).await? {
            Written::Applied {
                previous: Previous::Known(old),
            } => Ok(applied(self.0(old, item))),
            answer => Ok(answer),
        }
    }
}

#[async_trait]
impl Wrong for Refusing {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match right.write(at, item.clone(), when).await? {
            Written::Refused { current } => {
                let current = self.0(current, item);
                Ok(Written::Refused { current })
            }
            answer => Ok(answer),
        }
    }
}
