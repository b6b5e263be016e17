//! A part of the data under one lock, and the order in which it is listed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use konserve_core::Instant;
use konserve_core::backend::{Address, Occupant, Order, Partition, Space};

use crate::past::Past;

/// Where an address is kept and where it comes in a listing: both follow from the address and the seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The index of the shard.
    pub(crate) shard: usize,
    /// The position within the listing of the shard, before partition and row decide between equals.
    pub(crate) position: u64,
}

/// A position in the listing of a space of a shard. Compares as it is listed.
pub(crate) type Listed = (u64, Partition, u64);

/// What is stored at the addresses whose partitions fall to one lock.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    spaces: [Contents; Space::ALL.len()],
    /// What was there before, where that is of interest.
    past: Option<Past>,
}

#[derive(Debug, Default)]
struct Contents {
    partitions: HashMap<Partition, BTreeMap<u64, Arc<Occupant>>>,
    listed: BTreeSet<Listed>,
}

impl Shard {
    /// A shard that remembers what was replaced.
    pub(crate) fn with_past() -> Self {
        Self {
            past: Some(Past::default()),
            ..Self::default()
        }
    }

    /// What is at an address, expired items as the tombstones that they count as by `now`, which is asked only if it matters.
    pub(crate) fn get(&self, at: &Address, now: impl FnOnce() -> Instant) -> Option<Occupant> {
        Some(as_of(self.stored(at)?, now))
    }

    /// What is stored at an address.
    pub(crate) fn stored(&self, at: &Address) -> Option<&Occupant> {
        let rows = self.contents(at.space).partitions.get(&at.partition)?;
        rows.get(&at.row).map(Arc::as_ref)
    }

    pub(crate) fn put(&mut self, at: Address, place: Place, occupant: Occupant) {
        let Address { space, partition, row } = at;
        let contents = &mut self.spaces[space as usize];
        let rows = contents.partitions.entry(partition.clone()).or_default();
        let replaced = rows.insert(row, Arc::new(occupant));
        let listed = (place.position, partition, row);
        if replaced.is_none() {
            contents.listed.insert(listed.clone());
        }
        if let Some(past) = &mut self.past {
            past.push(space, listed, replaced);
        }
    }

    pub(crate) fn erase(&mut self, at: &Address, place: Place) {
        let contents = &mut self.spaces[at.space as usize];
        let Some(rows) = contents.partitions.get_mut(&at.partition) else {
            return;
        };
        let Some(replaced) = rows.remove(&at.row) else {
            return;
        };
        if rows.is_empty() {
            contents.partitions.remove(&at.partition);
        }
        let listed = (place.position, at.partition.clone(), at.row);
        contents.listed.remove(&listed);
        if let Some(past) = &mut self.past {
            past.push(at.space, listed, Some(replaced));
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Some state of an address, now or before: `choose` gets their number, and the last one is the present.
    pub(crate) fn once(&self, at: &Address, choose: impl FnOnce(usize) -> usize) -> Option<&Occupant> {
        let past = self.past.as_ref().map_or(&[][..], |past| past.of(at));
        match past.get(choose(past.len() + 1)) {
            Some(state) => state.as_deref(),
            None => self.stored(at),
        }
    }

    /// The first row of a range, in this order, that is or ever was occupied.
    pub(crate) fn row_ever(
        &self,
        space: Space,
        partition: &Partition,
        range: RangeInclusive<u64>,
        order: Order,
    ) -> Option<u64> {
        let present = self.rows(space, partition, range.clone(), order, 1);
        let present = present.first().map(|(row, _)| *row);
        let past = self.past.as_ref().filter(|_| !range.is_empty());
        let past = past.and_then(|past| past.row(space, partition, range, order));
        match order {
            Order::Ascending => present.into_iter().chain(past).min(),
            Order::Descending => present.into_iter().chain(past).max(),
        }
    }

    /// The first address listed behind `after` that is or ever was occupied.
    pub(crate) fn listed_ever(&self, space: Space, after: Option<&Listed>) -> Option<Listed> {
        let present = self.list(space, after, 1).into_iter().map(|(listed, _)| listed);
        let past = self.past.as_ref().and_then(|past| past.listed(space, after));
        present.chain(past.cloned()).min()
    }

    /// Up to `count` occupants of the rows of a partition.
    pub(crate) fn rows(
        &self,
        space: Space,
        partition: &Partition,
        range: RangeInclusive<u64>,
        order: Order,
        count: usize,
    ) -> Vec<(u64, Arc<Occupant>)> {
        let Some(rows) = self.contents(space).partitions.get(partition) else {
            return Vec::new();
        };
        if range.is_empty() {
            return Vec::new();
        }
        let share = |(row, occupant): (&u64, &Arc<Occupant>)| (*row, Arc::clone(occupant));
        match order {
            Order::Ascending => rows.range(range).take(count).map(share).collect(),
            Order::Descending => rows.range(range).rev().take(count).map(share).collect(),
        }
    }

    /// Up to `count` occupants of a space, listed behind `after`.
    pub(crate) fn list(&self, space: Space, after: Option<&Listed>, count: usize) -> Vec<(Listed, Arc<Occupant>)> {
        let contents = self.contents(space);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        contents
            .listed
            .range((start, Bound::Unbounded))
            .filter_map(|listed| {
                let occupant = contents.partitions.get(&listed.1)?.get(&listed.2)?;
                Some((listed.clone(), Arc::clone(occupant)))
            })
            .take(count)
            .collect()
    }

    fn contents(&self, space: Space) -> &Contents {
        &self.spaces[space as usize]
    }
}

/// What is stored, or the tombstone that it counts as.
pub(crate) fn as_of(stored: &Occupant, now: impl FnOnce() -> Instant) -> Occupant {
    match stored {
        Occupant::Item(item) if item.expires.is_some() => stored.clone().as_of(now()),
        _ => stored.clone(),
    }
}
