//! Mutants that declare something else than they can do.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use konserve_core::Result;
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, Item, Mutation, Read, TransactionLimits, When, Written,
};
use konserve_memory::Builder;

use crate::engine::{Right, Wrong, apply};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "capabilities.otherwise-than-expected",
            "capabilities.as-expected",
            "the declaration was copied from another engine",
            || Declares(|right| right.declared.with_longest_partition(1024)),
        ),
        Mutant::new(
            "capabilities.of-other-handles",
            "capabilities.as-expected",
            "the limits are asked of the server by the first connection, and others have the defaults",
            || {
                Declares(|right| match right.number {
                    0 => right.declared,
                    _ => right.declared.with_item_limit(400 * 1024),
                })
            },
        ),
        Mutant::new(
            "capabilities.that-change",
            "capabilities.as-expected",
            "the limits are known after the first request",
            || Learns(AtomicUsize::new(0)),
        ),
        Mutant::new(
            "capabilities.too-little",
            "capabilities.no-less-than-the-least",
            "an engine whose batches take three items",
            || {
                Declares(|right| {
                    right.declared.with_transactions(TransactionLimits {
                        items: 3,
                        bytes: 8 * 1024,
                    })
                })
            },
        ),
        Mutant::new(
            "capabilities.transactions-all-the-same",
            "capabilities.without-transactions",
            "`commit` was not refused where it is not declared, and does what it can, one by one",
            || CommitsAllTheSame,
        )
        .set_up(|builder| builder.transactions(None)),
        Mutant::new(
            "capabilities.strong-reads-that-are-not",
            "capabilities.without-strong-reads",
            "the flag is ignored where the engine has no strong reads, and callers believe what they get",
            || ReadsAllTheSame,
        )
        .set_up(|builder| builder.strong_reads(false)),
    ]
}

struct Declares(fn(&Right) -> Capabilities);
struct Learns(AtomicUsize);
struct CommitsAllTheSame;
struct ReadsAllTheSame;

impl Wrong for Declares {
    fn capabilities(&self, right: &Right) -> Capabilities {
        self.0(right)
    }
}

#[async_trait]
impl Wrong for Learns {
    fn capabilities(&self, right: &Right) -> Capabilities {
        match self.0.load(Ordering::Relaxed) {
            0 => right.declared,
            _ => right.declared.with_item_limit(400 * 1024),
        }
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        self.0.fetch_add(1, Ordering::Relaxed);
        right.write(at, item, when).await
    }
}

#[async_trait]
impl Wrong for CommitsAllTheSame {
    fn builder(&self, declared: Builder) -> Builder {
        declared.transactions(TransactionLimits {
            items: 8,
            bytes: 8 * 1024,
        })
    }

    async fn commit(&self, right: &Right, all: Vec<Mutation>) -> Result<Committed> {
        for one in all {
            apply(right, one).await?;
        }
        Ok(Committed::Applied)
    }
}

#[async_trait]
impl Wrong for ReadsAllTheSame {
    async fn read(&self, right: &Right, at: &Address, how: Read) -> Result<Option<Item>> {
        right.memory.read(at, Read { strong: false, ..how }).await
    }
}
