//! Mutants that take different addresses for the same one.

use async_trait::async_trait;
use konserve_core::backend::{Address, Backend, Item, Partition, Read, Space, When, Written};
use konserve_core::{Result, Rev};

use crate::engine::{Right, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "addresses.case-folded",
            "address.any-text",
            "a file system or a collation that does not tell upper from lower case",
            || Texts(str::to_lowercase),
        ),
        Mutant::new(
            "addresses.accents-ignored",
            "address.any-text",
            "the default collation of a database compares base letters only",
            || Texts(|text| text.replace('á', "a")),
        ),
        Mutant::new(
            "addresses.normalised",
            "address.any-text",
            "a file system that stores names composed or decomposed",
            || Texts(|text| text.replace("a\u{301}", "á")),
        ),
        Mutant::new(
            "addresses.trailing-spaces-trimmed",
            "address.any-text",
            "a column of type CHAR pads with spaces and compares without them",
            || Texts(|text| text.trim_end_matches(' ').to_owned()),
        ),
        Mutant::new(
            "addresses.cut-at-nul",
            "address.any-text",
            "a library in C takes the text for one that ends at the first zero byte",
            || Texts(|text| text.split('\0').next().unwrap_or_default().to_owned()),
        ),
        Mutant::new(
            "addresses.paths-cleaned",
            "address.any-text",
            "an object store behind a proxy that merges slashes in paths",
            || Texts(|text| text.replace("//", "/")),
        ),
        Mutant::new(
            "addresses.percent-decoded",
            "address.any-text",
            "a key is put into a URL without being encoded and decoded by the server",
            || Texts(|text| text.replace("%00", "\0").replace("%2F", "/")),
        ),
        Mutant::new(
            "addresses.text-truncated",
            "address.any-text",
            "a column of 255 characters that cuts off without a word",
            || Texts(|text| text.chars().take(255).collect()),
        ),
        Mutant::new(
            "addresses.spaces-mixed",
            "address.parts-all-count",
            "one table for all spaces and no column for the space in its key",
            || {
                Whole(|at| Address {
                    space: Space::Document,
                    ..at.clone()
                })
            },
        ),
        Mutant::new(
            "addresses.joined-with-slashes",
            "address.parts-all-count",
            "partition and row are joined to one key by a separator that a partition may contain",
            || {
                Whole(|at| match at.row {
                    0 => at.clone(),
                    row => Address::new(at.space, Partition::new(format!("{}/{row}", at.partition)), 0),
                })
            },
        ),
        Mutant::new(
            "addresses.joined-without-separator",
            "address.parts-all-count",
            "partition and row are written one behind the other, digits behind digits",
            || Whole(|at| Address::new(at.space, Partition::new(format!("{}{}", at.partition, at.row)), 0)),
        ),
        Mutant::new(
            "addresses.rows-as-floats",
            "address.any-row",
            "the protocol is JSON and numbers are doubles: 53 bits",
            || {
                Whole(|at| Address {
                    row: at.row as f64 as u64,
                    ..at.clone()
                })
            },
        ),
        Mutant::new(
            "addresses.rows-as-32-bits",
            "address.any-row",
            "an INTEGER column, and a driver that wraps around",
            || {
                Whole(|at| Address {
                    row: at.row & u64::from(u32::MAX),
                    ..at.clone()
                })
            },
        ),
        Mutant::new(
            "addresses.rows-saturate-at-63-bits",
            "address.any-row",
            "a BIGINT column is signed, and the conversion saturates",
            || {
                Whole(|at| Address {
                    row: at.row.min(i64::MAX as u64),
                    ..at.clone()
                })
            },
        ),
        Mutant::new(
            "addresses.removals-take-the-partition",
            "write.concerns-one-address",
            "a DELETE whose WHERE clause forgot the row",
            || RemovesNeighbours,
        ),
    ]
}

/// Partition texts are changed before they are used.
struct Texts(fn(&str) -> String);

/// Addresses are changed before they are used.
struct Whole(fn(&Address) -> Address);

struct RemovesNeighbours;

impl Texts {
    fn change(&self, at: &Address) -> Address {
        let partition = Partition::new((self.0)(at.partition.as_str()));
        Address {
            partition,
            ..at.clone()
        }
    }
}

#[async_trait]
impl Wrong for Texts {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        right.read(&self.change(at), how).await
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(&self.change(at), item, when).await
    }
}

#[async_trait]
impl Wrong for Whole {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        right.read(&(self.0)(at), how).await
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(&(self.0)(at), item, when).await
    }
}

#[async_trait]
impl Wrong for RemovesNeighbours {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let answer = right.remove(at, rev, when).await?;
        for row in (0..3).filter(|row| *row != at.row) {
            right.remove(&Address { row, ..at.clone() }, rev, When::Exists).await?;
        }
        Ok(answer)
    }
}
