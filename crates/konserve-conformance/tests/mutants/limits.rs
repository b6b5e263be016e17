//! Mutants that take too much, too little, or cut it off.

use async_trait::async_trait;
use bytes::Bytes;
use konserve_core::backend::{Address, Backend, Item, Partition, When, Written};
use konserve_core::{Error, ErrorKind, Outcome, Result, Rev};
use konserve_memory::Builder;

use crate::engine::{Right, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "limits.one-byte-too-many",
            "limits.item-above-the-limit",
            "`>` where `>=` was meant",
            || Builders(|declared| declared.item_limit(4097)),
        ),
        Mutant::new(
            "limits.one-byte-too-few",
            "limits.item-at-the-limit",
            "`>=` where `>` was meant",
            || LargestBody(|_, item| item.size() < 4096),
        ),
        Mutant::new(
            "limits.address-counted",
            "limits.item-at-the-limit",
            "the engine's limit is for the whole record, its key included, and is declared as it is",
            || LargestBody(|at, item| item.size() + at.partition.as_str().len() <= 4096 + 1),
        ),
        Mutant::new(
            "limits.cut-off",
            "limits.item-above-the-limit",
            "a column that cuts off what it has no room for, with a warning that nobody reads",
            || CutsOff,
        ),
        Mutant::new(
            "limits.error-names-no-limit",
            "limits.item-above-the-limit",
            "the engine's own error is passed on",
            || Errors(|error| Error::new(error.kind(), "the record is too large")),
        ),
        Mutant::new(
            "limits.error-with-an-unknown-outcome",
            "limits.item-above-the-limit",
            "the limit is found out by sending, and the error is taken for one that says nothing",
            || Errors(|error| error.with_outcome(Outcome::Unknown)),
        ),
        Mutant::new(
            "limits.error-that-invites-to-retry",
            "limits.item-above-the-limit",
            "every answer of the class 4xx or 5xx is retried",
            || Errors(|error| error.with_retryable(true)),
        ),
        Mutant::new(
            "limits.error-of-another-kind",
            "limits.item-above-the-limit",
            "the server closes the connection on a request that is too large",
            || Errors(|_| Error::new(ErrorKind::Unavailable, "connection reset")),
        ),
        Mutant::new(
            "limits.stored-before-measured",
            "limits.item-above-the-limit",
            "the body is streamed, and when it turns out to be too large, the row is there",
            || StoresFirst,
        ),
        Mutant::new(
            "limits.partition-in-characters",
            "limits.partition-above-the-limit",
            "the limit of the column counts characters and is declared in bytes",
            || CountsCharacters,
        ),
        Mutant::new(
            "limits.partition-in-code-units",
            "limits.partition-at-the-limit",
            "the name is stored in UTF-16 and takes twice the bytes",
            || CountsCodeUnits,
        ),
        Mutant::new(
            "limits.partition-of-removals-forgotten",
            "limits.partition-above-the-limit",
            "the check is in the method that writes",
            || RemovesUnderHash,
        ),
        Mutant::new(
            "limits.message-of-a-megabyte",
            "limits.without-item-limit",
            "nothing is declared, and the protocol has a largest message",
            || LargestBody(|_, item| item.size() <= 1024 * 1024),
        )
        .set_up(|builder| builder.item_limit(None)),
    ]
}

struct Builders(fn(Builder) -> Builder);
/// Which items there is room for.
struct LargestBody(fn(&Address, &Item) -> bool);
struct CutsOff;
/// What becomes of the error of a write.
struct Errors(fn(Error) -> Error);
struct StoresFirst;
struct CountsCharacters;
struct CountsCodeUnits;
struct RemovesUnderHash;

impl Wrong for Builders {
    fn builder(&self, declared: Builder) -> Builder {
        self.0(declared)
    }
}

#[async_trait]
impl Wrong for LargestBody {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match self.0(at, &item) {
            true => right.write(at, item, when).await,
            false => Err(Error::new(ErrorKind::TooLarge, "no room for the record")),
        }
    }
}

#[async_trait]
impl Wrong for CutsOff {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let room = 4096 - item.meta.len().min(4096);
        let cut = |body: Bytes| body.slice(..body.len().min(room));
        let body = item.body.map(cut);
        right.write(at, Item { body, ..item }, when).await
    }
}

#[async_trait]
impl Wrong for Errors {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        right.write(at, item, when).await.map_err(self.0)
    }
}

#[async_trait]
impl Wrong for StoresFirst {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        let answer = right.write(at, item.clone(), when).await;
        if answer.is_err() {
            right.write(at, Item { body: None, ..item }, when).await?;
        }
        answer
    }
}

#[async_trait]
impl Wrong for CountsCharacters {
    fn builder(&self, declared: Builder) -> Builder {
        declared.longest_partition(4 * 256)
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match at.partition.as_str().chars().count() {
            given if given > 256 => Err(Error::new(ErrorKind::TooLarge, "name").with_limit(256, given as u64)),
            _ => right.write(at, item, when).await,
        }
    }
}

#[async_trait]
impl Wrong for CountsCodeUnits {
    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        match 2 * at.partition.as_str().encode_utf16().count() {
            given if given > 256 => Err(Error::new(ErrorKind::TooLarge, "name").with_limit(256, given as u64)),
            _ => right.write(at, item, when).await,
        }
    }
}

#[async_trait]
impl Wrong for RemovesUnderHash {
    async fn remove(&self, right: &Right, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let text = at.partition.as_str();
        let cut = text
            .char_indices()
            .map(|(end, _)| end)
            .rfind(|end| *end <= 256)
            .unwrap_or(0);
        match text.len() > 256 {
            true => {
                let partition = Partition::new(&text[..cut]);
                right
                    .remove(
                        &Address {
                            partition,
                            ..at.clone()
                        },
                        rev,
                        when,
                    )
                    .await
            }
            false => right.remove(at, rev, when).await,
        }
    }
}
