//! Counting what is in an engine, by the attempt that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use konserve_core::backend::{Address, Backend, Listing, Occupant, Read, Space};
use konserve_core::{Entropy, Environment, Key, SystemEntropy};

use crate::failure::{Failure, Verdict};
use crate::ticking::Ticking;

/// How often what is in an engine belongs to one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Heads: documents, binaries and logs.
    pub(super) heads: usize,
    pub(super) tombstones: usize,
    pub(super) generations: usize,
    pub(super) chunks: usize,
    /// Rows of logs, state rows included.
    pub(super) rows: usize,
}

/// The counts of each attempt of which there is anything.
pub(super) type Census = BTreeMap<u32, Counts>;

/// Counts everything, tombstones included, but for these addresses.
pub(super) async fn take(backend: &dyn Backend, but_for: &BTreeSet<Address>) -> Verdict<Census> {
    let mut census = Census::new();
    for space in [Space::Document, Space::Chunk, Space::Generation, Space::Log] {
        let mut how = Listing::all(Read::STRONG.without_body());
        how.tombstones = true;
        let mut listed = backend.list(space, how);
        while let Some((at, occupant)) = listed.try_next().await? {
            if but_for.contains(&at) {
                continue;
            }
            let Some(attempt) = attempt_of(&at) else {
                return Err(Failure::new(format!(
                    "something that nothing here has written is at {at}"
                )));
            };
            let counts = census.entry(attempt).or_default();
            let count = match (occupant, space) {
                (Occupant::Tombstone(_), _) => &mut counts.tombstones,
                (_, Space::Document) => &mut counts.heads,
                (_, Space::Chunk) => &mut counts.chunks,
                (_, Space::Generation) => &mut counts.generations,
                (_, Space::Log) => &mut counts.rows,
            };
            *count += 1;
        }
    }
    Ok(census)
}

/// A key of an attempt.
pub(super) fn key(attempt: u32, name: &str) -> Key {
    Key::from(format!("{attempt}/{name}"))
}

/// The attempt that a key, a generation or a log belongs to: the first by its text, the others by the first four bytes of
/// their names, which [`environment`] gives them.
fn attempt_of(at: &Address) -> Option<u32> {
    let text = at.partition.as_str();
    match at.space {
        Space::Document => text.strip_prefix('"')?.split_once('/')?.0.parse().ok(),
        Space::Chunk | Space::Generation | Space::Log => u32::from_str_radix(text.get(..8)?, 16).ok(),
    }
}

/// The environment of stores that make an attempt. Their clock is the one of all attempts of a trial.
pub(super) fn environment(clock: &Arc<Ticking>, attempt: u32) -> Environment {
    Environment {
        clock: clock.clone(),
        entropy: Arc::new(Stamp(attempt)),
    }
}

/// Random bytes, but the names of generations and logs, which are sixteen bytes, begin with the number of the attempt.
#[derive(Debug)]
struct Stamp(u32);

impl Entropy for Stamp {
    fn fill(&self, buffer: &mut [u8]) {
        SystemEntropy.fill(buffer);
        if buffer.len() == 16 {
            buffer[..4].copy_from_slice(&self.0.to_be_bytes());
        }
    }
}
