//! Mutants that give items back otherwise than they were written.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::StreamExt;
use konserve_core::backend::{Address, Backend, Item, Listing, Occupant, Read, RowQuery, Space, When, Written};
use konserve_core::{Instant, Result};

use crate::engine::{Listed, Right, Rows, Wrong, pause, rejected};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "items.expiry-lost",
            "item.comes-back-whole",
            "the time to live is given to the engine, which keeps it to itself",
            || Spoils(|item| Item { expires: None, ..item }),
        ),
        Mutant::new(
            "items.expiry-in-seconds",
            "item.comes-back-whole",
            "the engine's attribute for the time to live counts seconds, and nothing else keeps the rest",
            || {
                Spoils(|item| Item {
                    expires: item.expires.map(to_seconds),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.creation-in-seconds",
            "item.comes-back-whole",
            "a DATETIME column without fractions",
            || {
                Spoils(|item| Item {
                    created: to_seconds(item.created),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.pinned-lost",
            "item.comes-back-whole",
            "the column for it is written and never read",
            || Spoils(|item| Item { pinned: false, ..item }),
        ),
        Mutant::new(
            "items.last-byte-lost",
            "item.comes-back-whole",
            "a frame whose length counts one byte too few, or cuts off a terminator that is not there",
            || {
                Spoils(|item| Item {
                    body: item.body.map(|body| body.slice(..body.len().saturating_sub(1))),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.trailing-zeros-trimmed",
            "item.any-bytes",
            "a column of type BINARY pads with zeros and returns without them",
            || {
                Spoils(|item| {
                    with_body(item, |body| {
                        body[..body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)].to_vec()
                    })
                })
            },
        ),
        Mutant::new(
            "items.bytes-as-text",
            "item.any-bytes",
            "bytes go through a text column, and what is not UTF-8 is replaced",
            || Spoils(|item| with_body(item, |body| String::from_utf8_lossy(body).into_owned().into_bytes())),
        ),
        Mutant::new(
            "items.line-ends-changed",
            "item.any-bytes",
            "a file that is opened in text mode",
            || {
                Spoils(|item| Item {
                    meta: Bytes::from(
                        item.meta
                            .iter()
                            .copied()
                            .filter(|byte| *byte != b'\r')
                            .collect::<Vec<_>>(),
                    ),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.empty-body-is-none",
            "item.empty-is-not-none",
            "a database for which the empty string is NULL",
            || {
                Spoils(|item| Item {
                    body: item.body.filter(|body| !body.is_empty()),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.no-body-is-empty",
            "item.empty-is-not-none",
            "a column that is NOT NULL with an empty default",
            || {
                Spoils(|item| Item {
                    body: Some(item.body.unwrap_or_default()),
                    ..item
                })
            },
        ),
        Mutant::new(
            "items.empty-bytes-refused",
            "item.empty-is-not-none",
            "an engine whose attributes must not be empty, as those of DynamoDB once were",
            || RefusesEmpty,
        ),
        Mutant::new(
            "items.fields-of-the-predecessor-stay",
            "item.replaced-whole",
            "an update sets what the new item has and removes nothing that it does not have",
            || Merges,
        ),
        Mutant::new(
            "items.creation-of-the-predecessor-stays",
            "item.replaced-whole",
            "an upsert whose creation time is set on insert and not on update",
            || FirstCreation,
        ),
        Mutant::new(
            "items.meta-and-body-of-different-writes",
            "item.one-write-one-answer",
            "meta and body are kept in two places and read by two requests",
            || TwoReads,
        ),
    ]
}

/// What is read is changed on its way to the reader.
struct Spoils(fn(Item) -> Item);
struct RefusesEmpty;
struct Merges;
struct FirstCreation;
struct TwoReads;

fn to_seconds(instant: Instant) -> Instant {
    Instant::from_millis(instant.as_millis().div_euclid(1000) * 1000)
}

fn with_body(item: Item, change: fn(&[u8]) -> Vec<u8>) -> Item {
    let body = item.body.map(|body| Bytes::from(change(&body)));
    Item { body, ..item }
}

#[async_trait]
impl Wrong for Spoils {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        Ok(right.read(at, how).await?.map(self.0))
    }

    async fn read_many(&self, right: &Right, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let found = right.read_many(at, how).await?;
        Ok(found.into_iter().map(|item| item.map(self.0)).collect())
    }

    fn rows(&self, right: &Right, query: RowQuery) -> Rows {
        let spoil = self.0;
        right.rows(query).map_ok(move |(row, item)| (row, spoil(item))).boxed()
    }

    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let spoil = self.0;
        let listed = right.list(space, how);
        listed
            .map_ok(move |(at, occupant)| match occupant {
                Occupant::Item(item) => (at, Occupant::Item(spoil(item))),
                tombstone => (at, tombstone),
            })
            .boxed()
    }
}

#[async_trait]
impl Wrong for RefusesEmpty {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        if item.meta.is_empty() {
            return rejected("an attribute may not contain an empty value");
        }
        right.write(at, item, when).await
    }
}

#[async_trait]
impl Wrong for Merges {
    async fn write(&self, right: &Right, at: &Address, mut item: Item, when: When) -> Result<Written> {
        if let Some(Occupant::Item(there)) = right.occupant(at).await? {
            item.body = item.body.or(there.body);
            item.expires = item.expires.or(there.expires);
        }
        right.write(at, item, when).await
    }
}

#[async_trait]
impl Wrong for FirstCreation {
    async fn write(&self, right: &Right, at: &Address, mut item: Item, when: When) -> Result<Written> {
        if let Some(Occupant::Item(there)) = right.occupant(at).await? {
            item.created = there.created;
        }
        right.write(at, item, when).await
    }
}

#[async_trait]
impl Wrong for TwoReads {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        let Some(meta) = right.read(at, how.without_body()).await? else {
            return Ok(None);
        };
        pause().await;
        let body = right.read(at, how).await?.and_then(|item| item.body);
        Ok(Some(Item { body, ..meta }))
    }
}
