//! The data of one store, shared by its handles: shards, their locks, and the atomic steps on them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use konserve_core::backend::{
    Address, Capabilities, Committed, Mutation, Occupant, Order, Partition, Previous, Purge, Refusal, Space, When,
    Written,
};
use konserve_core::{Environment, Error, ErrorKind, Instant, Result, Rev};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::shard::{Listed, Place, Shard};

/// How many locks a store has.
pub(crate) const SHARDS: usize = 64;

/// The data of one store.
///
/// Invariants: locks are taken in ascending order of their shards; `deleted` changes only while all of them are held,
/// so that whoever holds one knows whether there still is a store to write to.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) capabilities: Capabilities,
    /// No other data of this process ever has it.
    pub(crate) number: u64,
    environment: Environment,
    seed: u64,
    shards: Box<[RwLock<Shard>]>,
    deleted: AtomicBool,
}

impl Data {
    pub(crate) fn new(capabilities: Capabilities, environment: Environment, seed: u64) -> Self {
        Self::over(Shard::default, capabilities, environment, seed)
    }

    /// The same, but what is replaced is remembered.
    pub(crate) fn with_past(capabilities: Capabilities, environment: Environment, seed: u64) -> Self {
        Self::over(Shard::with_past, capabilities, environment, seed)
    }

    fn over(shard: fn() -> Shard, capabilities: Capabilities, environment: Environment, seed: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            capabilities,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            environment,
            seed,
            shards: (0..SHARDS).map(|_| RwLock::new(shard())).collect(),
            deleted: AtomicBool::new(false),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn now(&self) -> Instant {
        self.environment.clock.now()
    }

    pub(crate) fn get(&self, at: &Address) -> Result<Option<Occupant>> {
        Ok(self.shared(self.place(at).shard)?.get(at, || self.now()))
    }

    /// What is stored at an address, whether or not it has expired.
    pub(crate) fn stored(&self, at: &Address) -> Result<Option<Occupant>> {
        Ok(self.shared(self.place(at).shard)?.stored(at).cloned())
    }

    /// What was or is stored at an address: `choose` gets the number of its states, and the last one is the present.
    pub(crate) fn once(&self, at: &Address, choose: impl FnOnce(usize) -> usize) -> Result<Option<Occupant>> {
        Ok(self.shared(self.place(at).shard)?.once(at, choose).cloned())
    }

    /// What is at these addresses, all at one moment.
    pub(crate) fn snapshot(&self, at: &[Address]) -> Result<HashMap<Address, Occupant>> {
        let places: Vec<Place> = at.iter().map(|at| self.place(at)).collect();
        let shards = self.lock_all(places.iter().map(|place| place.shard))?;
        let now = self.now();
        let found = at.iter().zip(&places);
        Ok(found
            .filter_map(|(at, place)| Some((at.clone(), shards.of(place).get(at, || now)?)))
            .collect())
    }

    /// Puts an occupant of revision `rev` at an address, if the condition holds. The answer has the body.
    pub(crate) fn mutate(&self, at: &Address, rev: Rev, when: When, new: Occupant) -> Result<Written> {
        let place = self.place(at);
        let mut shard = self.exclusive(place.shard)?;
        let current = shard.get(at, || self.now());
        let repeated = current.as_ref().is_some_and(|occupant| occupant.rev() == rev);
        if repeated {
            // The same write, arriving again: what it replaced is no longer known.
            return Ok(Written::Applied {
                previous: Previous::Unknown,
            });
        }
        if !when.admits(rev, current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        shard.put(at.clone(), place, new);
        Ok(Written::Applied {
            previous: Previous::Known(current),
        })
    }

    /// Applies all or none. Shapes and limits are checked by the caller. The answer has the bodies.
    pub(crate) fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        let places: Vec<Place> = all.iter().map(|mutation| self.place(mutation.at())).collect();
        let mut shards = self.lock_all(places.iter().map(|place| place.shard))?;

        let now = self.now();
        let mut refusals = Vec::new();
        for (index, (mutation, place)) in all.iter().zip(&places).enumerate() {
            let current = shards.of(place).get(mutation.at(), || now);
            let Some(rev) = mutation.rev() else {
                if mutation.when().holds(current.as_ref()) != Some(true) {
                    refusals.push(Refusal { index, current });
                }
                continue;
            };
            if current.as_ref().is_some_and(|occupant| occupant.rev() == rev) {
                // One of them is stored, so all of them were, and some may have been replaced since.
                return Ok(Committed::Applied);
            }
            if !mutation.when().admits(rev, current.as_ref()) {
                refusals.push(Refusal { index, current });
            }
        }
        if !refusals.is_empty() {
            return Ok(Committed::Refused(refusals));
        }

        for (mutation, place) in all.into_iter().zip(places) {
            match mutation {
                Mutation::Write { at, item, .. } => shards.of_mut(place).put(at, place, Occupant::Item(item)),
                Mutation::Remove { at, rev, .. } => shards.of_mut(place).put(at, place, Occupant::Tombstone(rev)),
                Mutation::Check { .. } => {}
            }
        }
        Ok(Committed::Applied)
    }

    pub(crate) fn purge(&self, what: &Purge) -> Result<()> {
        let place = self.place(what.at());
        let mut shard = self.exclusive(place.shard)?;
        let doomed = match what {
            Purge::Row(_) => true,
            Purge::Tombstone(at, rev) => shard.get(at, || self.now()) == Some(Occupant::Tombstone(*rev)),
        };
        if doomed {
            shard.erase(what.at(), place);
        }
        Ok(())
    }

    /// Up to `count` occupants of the rows of a partition.
    pub(crate) fn rows(
        &self,
        space: Space,
        partition: &Partition,
        range: RangeInclusive<u64>,
        order: Order,
        count: usize,
    ) -> Result<Vec<(u64, Arc<Occupant>)>> {
        let shard = self.shared(self.hash(space, partition).1)?;
        Ok(shard.rows(space, partition, range, order, count))
    }

    /// Up to `count` occupants of a space in a shard, listed behind `after`.
    pub(crate) fn list(
        &self,
        shard: usize,
        space: Space,
        after: Option<&Listed>,
        count: usize,
    ) -> Result<Vec<(Listed, Arc<Occupant>)>> {
        Ok(self.shared(shard)?.list(space, after, count))
    }

    /// The first row of a range, in this order, that is or ever was occupied.
    pub(crate) fn row_ever(
        &self,
        space: Space,
        partition: &Partition,
        range: RangeInclusive<u64>,
        order: Order,
    ) -> Result<Option<u64>> {
        let shard = self.shared(self.hash(space, partition).1)?;
        Ok(shard.row_ever(space, partition, range, order))
    }

    /// The first address of a space in a shard, listed behind `after`, that is or ever was occupied.
    pub(crate) fn listed_ever(&self, shard: usize, space: Space, after: Option<&Listed>) -> Result<Option<Listed>> {
        Ok(self.shared(shard)?.listed_ever(space, after))
    }

    /// Drops everything; whoever still has a handle gets errors from now on.
    pub(crate) fn delete(&self) -> Result<()> {
        let mut shards = self.lock_all(0..SHARDS)?;
        self.deleted.store(true, Ordering::Release);
        for (_, shard) in &mut shards.0 {
            shard.clear();
        }
        Ok(())
    }

    /// Where an address is kept and listed.
    pub(crate) fn place(&self, at: &Address) -> Place {
        let (hash, shard) = self.hash(at.space, &at.partition);
        Place {
            shard,
            position: xxh3_64_with_seed(&at.row.to_be_bytes(), hash),
        }
    }

    /// The hash of a partition and the shard it falls to. All rows of a partition are in one shard.
    fn hash(&self, space: Space, partition: &Partition) -> (u64, usize) {
        let hash = xxh3_64_with_seed(
            partition.as_str().as_bytes(),
            self.seed ^ u64::from(u32::from(space.letter())),
        );
        (hash, (hash % SHARDS as u64) as usize)
    }

    fn shared(&self, shard: usize) -> Result<RwLockReadGuard<'_, Shard>> {
        let guard = self.shards[shard].read().unwrap_or_else(PoisonError::into_inner);
        self.still_there().map(|()| guard)
    }

    fn exclusive(&self, shard: usize) -> Result<RwLockWriteGuard<'_, Shard>> {
        let guard = self.shards[shard].write().unwrap_or_else(PoisonError::into_inner);
        self.still_there().map(|()| guard)
    }

    /// Locks several shards, in the one order in which that never ends in a deadlock.
    fn lock_all(&self, shards: impl Iterator<Item = usize>) -> Result<Locked<'_>> {
        let mut wanted: Vec<usize> = shards.collect();
        wanted.sort_unstable();
        wanted.dedup();
        let guards = wanted.into_iter().map(|shard| Ok((shard, self.exclusive(shard)?)));
        guards.collect::<Result<_>>().map(Locked)
    }

    /// To be asked with a lock in hand.
    fn still_there(&self) -> Result<()> {
        if self.deleted.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::NotFound, "the store was deleted"));
        }
        Ok(())
    }
}

/// Locked shards, ascending.
struct Locked<'a>(Vec<(usize, RwLockWriteGuard<'a, Shard>)>);

impl Locked<'_> {
    fn of(&self, place: &Place) -> &Shard {
        &self.0[self.index(place)].1
    }

    fn of_mut(&mut self, place: Place) -> &mut Shard {
        let index = self.index(&place);
        &mut self.0[index].1
    }

    fn index(&self, place: &Place) -> usize {
        // Every place that is asked for is among those that were locked.
        self.0.partition_point(|(shard, _)| *shard < place.shard)
    }
}
