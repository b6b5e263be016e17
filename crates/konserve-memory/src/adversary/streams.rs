//! Rows and listings of the adversary: one address at a time, with a pause wherever there is room for one.

use std::ops::{Range, RangeInclusive};

use konserve_core::Result;
use konserve_core::backend::{Address, Item, Listing, Occupant, Order, Read, RowQuery, Space};

use super::chance::Chance;
use crate::Memory;
use crate::memory::trimmed;
use crate::shard::{Listed, as_of};

/// What is, or for an eventual read ever was, at an address.
pub(super) fn look(memory: &Memory, chance: &Chance, at: &Address, how: Read) -> Result<Option<Occupant>> {
    let data = memory.readable(how)?;
    let found = stored(memory, chance, at, how)?;
    Ok(found.map(|found| as_of(&found, || data.now())))
}

/// The same as it is stored, whether or not it has expired.
fn stored(memory: &Memory, chance: &Chance, at: &Address, how: Read) -> Result<Option<Occupant>> {
    let data = memory.readable(how)?;
    if how.strong || chance.one_in(2) {
        return data.stored(at);
    }
    data.once(at, |states| chance.below(states))
}

/// A read of rows under way. It walks over all rows that ever were occupied and looks at each when it comes to it.
pub(super) struct Rows {
    memory: Memory,
    chance: Chance,
    query: RowQuery,
    /// What is left of the range; `None` when nothing is.
    range: Option<RangeInclusive<u64>>,
    /// How many items may still be delivered.
    wanted: usize,
}

impl Rows {
    pub(super) fn new(memory: Memory, chance: Chance, query: RowQuery) -> Self {
        Self {
            memory,
            chance,
            range: (!query.range.is_empty()).then_some(query.range.clone()),
            wanted: query.limit.unwrap_or(usize::MAX),
            query,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(u64, Item)>> {
        while self.wanted > 0 {
            self.chance.pause().await;
            let Some(row) = self.step()? else {
                break;
            };
            self.chance.pause().await;
            let at = Address::new(self.query.space, self.query.partition.clone(), row);
            let occupant = look(&self.memory, &self.chance, &at, self.query.how)?;
            if let Some(item) = occupant.and_then(Occupant::into_item) {
                self.wanted -= 1;
                self.chance.pause().await;
                return Ok(Some((row, trimmed(item, self.query.how))));
            }
        }
        Ok(None)
    }

    /// The next row to look at.
    fn step(&mut self) -> Result<Option<u64>> {
        let data = self.memory.readable(self.query.how)?;
        let Some(range) = self.range.take() else {
            return Ok(None);
        };
        let RowQuery {
            space,
            ref partition,
            order,
            ..
        } = self.query;
        let (start, end) = (*range.start(), *range.end());
        let Some(row) = data.row_ever(space, partition, range, order)? else {
            return Ok(None);
        };
        let rest = match order {
            Order::Ascending => row.checked_add(1).map(|next| next..=end),
            Order::Descending => row.checked_sub(1).map(|next| start..=next),
        };
        self.range = rest.filter(|rest| !rest.is_empty());
        Ok(Some(row))
    }
}

/// A listing under way. It walks over all addresses that ever were occupied and looks at each when it comes to it.
pub(super) struct Everything {
    memory: Memory,
    chance: Chance,
    space: Space,
    how: Listing,
    /// The ones that are left, the first of which is under way.
    shards: Range<usize>,
    after: Option<Listed>,
}

impl Everything {
    /// Goes through these shards, and begins behind this position.
    pub(super) fn new(
        memory: Memory,
        chance: Chance,
        space: Space,
        how: Listing,
        (shards, after): (Range<usize>, Option<Listed>),
    ) -> Self {
        Self {
            memory,
            chance,
            space,
            how,
            shards,
            after,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(Address, Occupant)>> {
        loop {
            self.chance.pause().await;
            let Some((_, partition, row)) = self.step()? else {
                return Ok(None);
            };
            self.chance.pause().await;
            let at = Address::new(self.space, partition, row);
            let found = match self.how.tombstones {
                true => stored(&self.memory, &self.chance, &at, self.how.how)?,
                false => look(&self.memory, &self.chance, &at, self.how.how)?,
            };
            let occupant = match found {
                Some(Occupant::Item(item)) => Occupant::Item(trimmed(item, self.how.how)),
                Some(tombstone) if self.how.tombstones => tombstone,
                _ => continue,
            };
            self.chance.pause().await;
            return Ok(Some((at, occupant)));
        }
    }

    /// The next position to look at.
    fn step(&mut self) -> Result<Option<Listed>> {
        let data = self.memory.readable(self.how.how)?;
        while !self.shards.is_empty() {
            self.after = data.listed_ever(self.shards.start, self.space, self.after.as_ref())?;
            if self.after.is_some() {
                return Ok(self.after.clone());
            }
            self.shards.start += 1;
        }
        Ok(None)
    }
}
