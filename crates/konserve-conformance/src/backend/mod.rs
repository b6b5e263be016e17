//! Trials of the `Backend` trait, clause by clause of part 1 of `docs/contract.md`.
//!
//! What an engine does to bytes at addresses, and nothing that needs a document.

mod cancellation;
mod capabilities;
mod commit;
mod concurrency;
mod conditions;
mod expiry;
mod identity;
mod items;
mod lifecycle;
mod limits;
mod list;
mod purge;
mod read;
mod remove;
mod rows;
mod stats;
mod write;

use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let groups = [
        capabilities::trials(),
        identity::trials(),
        items::trials(),
        read::trials(),
        conditions::trials(),
        write::trials(),
        remove::trials(),
        commit::trials(),
        purge::trials(),
        rows::trials(),
        list::trials(),
        limits::trials(),
        expiry::trials(),
        concurrency::trials(),
        cancellation::trials(),
        stats::trials(),
        lifecycle::trials(),
    ];
    groups.into_iter().flatten().collect()
}
