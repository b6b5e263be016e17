//! How addresses and items lie in the table: key texts, attribute names, sizes.
//!
//! | attribute | type | what |
//! |---|---|---|
//! | `pk` | S | partition key: `namespace/space letter/partition text`; the namespace may be empty and has no slash |
//! | `sk` | N | sort key: the row |
//! | `r` | B | revision of what is stored |
//! | `r1` to `r12` | B | lineage: the revisions before it, the latest first; empty where there was none |
//! | `c1` to `c12` | N | what each of these was: when the item was created; empty (B) for a tombstone and where there was none |
//! | `x1` to `x12` | N | when the item of each of these expired or would have; empty (B) where it did not, or was none |
//! | `m` | B | meta. Only items have it: what lacks it is a tombstone |
//! | `b` | B | body |
//! | `c` | N | created, milliseconds since the Unix epoch |
//! | `p` | BOOL | there and true when pinned |
//! | `x` | N | expires, nanoseconds since the Unix epoch |
//! | `t` | N | when the table's own expiry may erase it, seconds since the Unix epoch |
//! | `z` | B | barred: a revision that must not be applied any more, because its write was reported as refused. To bar one where nothing is, a tombstone is made of the revision just below it, which no mutation had |
//! | `l` | S | listing shard, for items of the document space: `namespace/space letter/shard` |
//!
//! All of it is one format: code that reads it must know every attribute that code which writes it sets.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use konserve_core::backend::{Address, Item, Occupant, Partition, Space};
use konserve_core::{Error, ErrorKind, Instant, Result, Rev};
use sha2::{Digest, Sha256};

/// The attributes of one item in the table.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// Something that was stored before what is stored now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) rev: Rev,
    /// It was no tombstone.
    pub(crate) was_item: bool,
    pub(crate) expires: Option<Instant>,
}

/// The attributes of an item without its body, and without what no reader needs.
pub(crate) const WITHOUT_BODY: &str = "pk, sk, r, m, c, p, x";

/// The attributes that tell which mutations were applied.
pub(crate) const REVISIONS: &str = "pk, r, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12";

/// The attribute that the table's own expiry goes by.
pub(crate) const ERASABLE: &str = "t";

/// The attributes that hold the revisions before the stored one, the latest first: each with those of its creation and its end.
///
/// As many as a busy item may have while one attempt waits for its answer. Where there was nothing they cost their names only.
pub(crate) const LINEAGE: [[&str; 3]; 12] = [
    ["r1", "c1", "x1"],
    ["r2", "c2", "x2"],
    ["r3", "c3", "x3"],
    ["r4", "c4", "x4"],
    ["r5", "c5", "x5"],
    ["r6", "c6", "x6"],
    ["r7", "c7", "x7"],
    ["r8", "c8", "x8"],
    ["r9", "c9", "x9"],
    ["r10", "c10", "x10"],
    ["r11", "c11", "x11"],
    ["r12", "c12", "x12"],
];

/// DynamoDB takes 400 KB in an item, names and keys included. What is not meta or body stays below the difference:
/// 2,048 bytes of key, 14 revisions, 28 numbers, the listing shard, and their names.
pub(crate) const ITEM_LIMIT: usize = 400 * 1024 - ITEM_OVERHEAD;
const ITEM_OVERHEAD: usize = 4 * 1024;

/// The most items and the most bytes of meta and body in one transaction; DynamoDB takes 4 MB, overhead included.
pub(crate) const TRANSACTION_ITEMS: usize = 100;
pub(crate) const TRANSACTION_BYTES: usize = 4 * 1024 * 1024 - TRANSACTION_ITEMS * ITEM_OVERHEAD;

/// The most bytes of a partition key.
const LONGEST_PK: usize = 2048;

/// Over how many partitions of a listing index the documents of one store spread.
pub(crate) const LISTING_SHARDS: u8 = 16;

/// Where the items of one store lie.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    table: String,
    /// The namespace with its slash, which every partition key of the store begins with.
    prefix: String,
}

impl Layout {
    pub(crate) fn new(table: &str, namespace: Option<&str>) -> Self {
        Self {
            table: table.to_owned(),
            prefix: format!("{}/", namespace.unwrap_or_default()),
        }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// What every partition key of the store begins with, and no partition key of another store of the table.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every partition key of the space begins with, and no other.
    pub(crate) fn space_prefix(&self, space: Space) -> String {
        format!("{}{}/", self.prefix, space.letter())
    }

    /// The key of the item that says that the store exists. It lies in no space: those have a slash after one letter.
    pub(crate) fn mark(&self) -> Attributes {
        key(format!("{}store", self.prefix), 0)
    }

    /// The most bytes of a partition's text.
    pub(crate) fn longest_partition(&self) -> usize {
        LONGEST_PK - self.prefix.len() - "d/".len()
    }

    pub(crate) fn partition_key(&self, space: Space, partition: &Partition) -> Result<String> {
        let (given, limit) = (partition.as_str().len(), self.longest_partition());
        if given == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the text of a partition must not be empty",
            ));
        }
        if given > limit {
            return Err(
                Error::new(ErrorKind::TooLarge, "bytes of a partition's text").with_limit(limit as u64, given as u64)
            );
        }
        Ok(self.space_prefix(space) + partition.as_str())
    }

    pub(crate) fn key(&self, at: &Address) -> Result<Attributes> {
        Ok(key(self.partition_key(at.space, &at.partition)?, at.row))
    }

    /// The listing shard of a partition key. Part of the format: it must never change.
    pub(crate) fn listing_shard(&self, space: Space, partition: &Partition) -> AttributeValue {
        self.listing_shard_of(space, listing_shard(partition))
    }

    /// The listing shard of this number.
    pub(crate) fn listing_shard_of(&self, space: Space, shard: u8) -> AttributeValue {
        AttributeValue::S(format!("{}{shard:x}", self.space_prefix(space)))
    }

    /// The address of an item of the table.
    pub(crate) fn address(&self, attributes: &Attributes) -> Result<Address> {
        let pk = attributes.get("pk").and_then(|value| value.as_s().ok());
        let rest = pk.and_then(|pk| pk.strip_prefix(&self.prefix)).unwrap_or_default();
        let mut letters = rest.chars();
        match (letters.next().and_then(Space::from_letter), letters.next()) {
            (Some(space), Some('/')) => Ok(Address::new(space, Partition::new(letters.as_str()), row(attributes)?)),
            _ => Err(corrupt("pk")),
        }
    }
}

/// The number of the listing shard that a partition is in. Part of the format: it must never change.
pub(crate) fn listing_shard(partition: &Partition) -> u8 {
    Sha256::digest(partition.as_str())[0] % LISTING_SHARDS
}

/// The revision of an item of the table.
pub(crate) fn rev(attributes: &Attributes) -> Result<Rev> {
    let bytes = attributes.get("r").and_then(|value| value.as_b().ok());
    bytes
        .and_then(|bytes| bytes.as_ref().try_into().ok())
        .map(Rev::from_bytes)
        .ok_or_else(|| corrupt("r"))
}

/// What was stored before, the latest first, as far as the item knows it: `None` where there was nothing.
pub(crate) fn stored_before(attributes: &Attributes) -> Result<Vec<Option<Before>>> {
    let mut all = Vec::with_capacity(LINEAGE.len());
    for [rev, created, expires] in LINEAGE {
        let Some(value) = attributes.get(rev) else { break };
        all.push(match value.as_b().map(Blob::as_ref) {
            Ok([]) => None,
            Ok(bytes) => Some(Before {
                rev: Rev::from_bytes(bytes.try_into().map_err(|_| corrupt(rev))?),
                was_item: attributes.get(created).is_some_and(AttributeValue::is_n),
                expires: match attributes.get(expires) {
                    Some(AttributeValue::N(_)) => Some(instant(attributes, expires)?),
                    _ => None,
                },
            }),
            Err(_) => return Err(corrupt(rev)),
        });
    }
    Ok(all)
}

/// What an item of the table holds.
pub(crate) fn occupant(mut attributes: Attributes) -> Result<Occupant> {
    let rev = rev(&attributes)?;
    let Some(meta) = bytes(&mut attributes, "m")? else {
        return Ok(Occupant::Tombstone(rev));
    };
    let expires = match attributes.contains_key("x") {
        true => Some(instant(&attributes, "x")?),
        false => None,
    };
    Ok(Occupant::Item(Item {
        rev,
        pinned: attributes.contains_key("p"),
        expires,
        created: Instant::from_millis(number(&attributes, "c")?.ok_or_else(|| corrupt("c"))?),
        meta,
        body: bytes(&mut attributes, "b")?,
    }))
}

pub(crate) fn binary(bytes: Bytes) -> AttributeValue {
    AttributeValue::B(Blob::from_maybe_shared(bytes))
}

pub(crate) fn revision(rev: Rev) -> AttributeValue {
    AttributeValue::B(Blob::new(rev.to_bytes()))
}

pub(crate) fn decimal(number: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn row(attributes: &Attributes) -> Result<u64> {
    number(attributes, "sk")?.ok_or_else(|| corrupt("sk"))
}

fn key(pk: String, row: u64) -> Attributes {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk)),
        ("sk".to_owned(), decimal(row)),
    ])
}

fn bytes(attributes: &mut Attributes, name: &str) -> Result<Option<Bytes>> {
    match attributes.remove(name) {
        None => Ok(None),
        Some(AttributeValue::B(blob)) => Ok(Some(blob.into_bytes())),
        Some(_) => Err(corrupt(name)),
    }
}

fn number<N: std::str::FromStr>(attributes: &Attributes, name: &str) -> Result<Option<N>> {
    match attributes.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(text)) => text.parse().map(Some).map_err(|_| corrupt(name)),
        Some(_) => Err(corrupt(name)),
    }
}

fn instant(attributes: &Attributes, name: &str) -> Result<Instant> {
    let nanos = number(attributes, name)?;
    nanos.and_then(Instant::from_nanos).ok_or_else(|| corrupt(name))
}

fn corrupt(attribute: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("attribute `{attribute}` of the item is missing or not what it must be"),
    )
}
