//! Trials of `Store` over the engine, clause by clause of part 2 of `docs/contract.md`.
//!
//! The same calls give the same answers on every engine: what is tested here is that none shines through.

mod binaries;
mod documents;
mod errors;
mod expiry;
mod log_reads;
mod log_streams;
mod log_trims;
mod logs;
mod multi;
mod paths;
mod restart;
mod sizes;
mod typed;
mod updates;
mod whole;

use std::sync::Arc;

use konserve_core::backend::Backend;
use konserve_core::store::Options;
use konserve_core::{Store, Value};

use crate::ManualClock;
use crate::arena::Arena;
use crate::failure::Verdict;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let groups = [
        documents::trials(),
        typed::trials(),
        paths::trials(),
        updates::trials(),
        expiry::trials(),
        multi::trials(),
        sizes::trials(),
        binaries::trials(),
        logs::trials(),
        log_reads::trials(),
        log_trims::trials(),
        log_streams::trials(),
        whole::trials(),
        restart::trials(),
        errors::trials(),
    ];
    groups.into_iter().flatten().collect()
}

/// A store over a handle, which reads strongly unless told otherwise. What is done through several competes in the engine.
fn over(backend: Arc<dyn Backend>) -> Store {
    Store::builder(backend).options(options()).shared_locks(false).build()
}

/// The same with this clock.
fn over_at(backend: Arc<dyn Backend>, clock: &ManualClock) -> Store {
    let store = Store::builder(backend).options(options());
    store.environment(clock.environment()).shared_locks(false).build()
}

fn options() -> Options {
    let mut options = Options::default();
    options.consistent_read = true;
    // What is left behind is looked at, so nothing may clean up meanwhile.
    options.background_cleanup = false;
    options
}

fn store(arena: &Arena) -> Store {
    over(Arc::clone(&arena.backend))
}

async fn another(arena: &Arena) -> Verdict<Store> {
    Ok(over(arena.namespace.another().await?))
}

/// A value from its text.
fn edn(text: &str) -> Verdict<Value> {
    Ok(text.parse()?)
}
