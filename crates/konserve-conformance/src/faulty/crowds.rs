//! Many tasks at once, while requests fail now and then: what the trials `concurrency.*` check, checked with unknown outcomes.

use std::sync::Arc;

use super::control::Control;
use crate::arena::Arena;
use crate::concurrency::{self, Extent, handles, stores};
use crate::failure::Verdict;
use crate::trial::{Capability, Trial};

/// One request in so many suffers.
const ONE_IN: usize = 10;

/// Little, for there are many seeds.
const EXTENT: Extent = Extent {
    tasks: 6,
    calls: 8,
    failures: true,
};

pub(super) fn trials() -> Vec<Trial> {
    let engine = &["B-ERROR-10"];
    let store = &["S-FAULT-8"];
    let trials = vec![
        Trial::new("faults.registers-at-random", engine, |arena| async move {
            let handles = handles(&arena).await?;
            disturbed(&arena, concurrency::registers(&arena, handles, EXTENT)).await
        }),
        Trial::new("faults.transfers-at-random", engine, |arena| async move {
            let handles = handles(&arena).await?;
            disturbed(&arena, concurrency::transfers(&arena, handles, EXTENT)).await
        })
        .needs(Capability::Transactions),
        Trial::new("faults.documents-at-random", store, |arena| async move {
            let stores = stores(&arena).await?;
            disturbed(&arena, concurrency::documents(&arena, stores, EXTENT)).await
        }),
        Trial::new("faults.counters-at-random", store, |arena| async move {
            let stores = stores(&arena).await?;
            disturbed(&arena, concurrency::counters(&arena, stores, EXTENT)).await
        }),
        Trial::new("faults.logs-at-random", store, |arena| async move {
            let stores = stores(&arena).await?;
            disturbed(&arena, concurrency::logs(&arena, stores, EXTENT)).await
        }),
        Trial::new("faults.multi-keys-at-random", store, |arena| async move {
            let stores = stores(&arena).await?;
            disturbed(&arena, concurrency::multi_keys(&arena, stores, EXTENT)).await
        })
        .needs(Capability::Transactions),
    ];
    let trials = trials.into_iter().map(|trial| trial.needs(Capability::Faults).seeded());
    trials.collect()
}

async fn disturbed(arena: &Arc<Arena>, trial: impl Future<Output = Verdict>) -> Verdict {
    Control::of(arena)?.now_and_then(arena.seed, ONE_IN, trial).await
}
