//! Trials of what an engine, and a `Store` over it, say and do when requests fail.
//!
//! Each operation is run once as it is, which tells how many requests it takes, what it answers and what is there
//! afterwards. Then one request after the other suffers one fault after the other, and for a while all of them. What
//! comes out is compared with the plain course: done exactly once, or an error that tells the truth.

mod binaries;
mod changes;
mod collect;
mod control;
mod crowds;
mod documents;
mod logs;
mod multi;
mod random;
mod reads;
mod store;
mod sweep;

use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let groups = [
        changes::trials(),
        reads::trials(),
        documents::trials(),
        multi::trials(),
        binaries::trials(),
        logs::trials(),
        collect::trials(),
        random::trials(),
        crowds::trials(),
    ];
    groups.into_iter().flatten().collect()
}
