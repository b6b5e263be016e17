//! What was at the addresses of a shard before, for eventual reads that lag.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use konserve_core::backend::{Address, Occupant, Order, Partition, Space};

use crate::shard::Listed;

/// What an address held at one time, `None` when it was vacant.
pub(crate) type State = Option<Arc<Occupant>>;

/// Every state that was replaced. Nothing is ever forgotten: this is for tests.
///
/// Invariant: a state comes here in the step that replaces it, under the lock of the shard, and from nowhere else. So
/// these are exactly the states that a strong read could have seen, in their order.
#[derive(Debug, Default)]
pub(crate) struct Past {
    spaces: [Replaced; Space::ALL.len()],
}

#[derive(Debug, Default)]
struct Replaced {
    partitions: HashMap<Partition, BTreeMap<u64, Vec<State>>>,
    listed: BTreeSet<Listed>,
}

impl Past {
    /// Keeps what was at an address. To be called in the step that replaces it.
    pub(crate) fn push(&mut self, space: Space, listed: Listed, replaced: State) {
        let Replaced {
            partitions,
            listed: all,
        } = &mut self.spaces[space as usize];
        let rows = partitions.entry(listed.1.clone()).or_default();
        rows.entry(listed.2).or_default().push(replaced);
        all.insert(listed);
    }

    /// What was at an address, the oldest first. Always begins with vacancy, unless it is empty.
    pub(crate) fn of(&self, at: &Address) -> &[State] {
        let rows = self.spaces[at.space as usize].partitions.get(&at.partition);
        rows.and_then(|rows| rows.get(&at.row)).map_or(&[], Vec::as_slice)
    }

    /// The first row of a range, in this order, at which anything was replaced. The range is not empty.
    pub(crate) fn row(
        &self,
        space: Space,
        partition: &Partition,
        range: RangeInclusive<u64>,
        order: Order,
    ) -> Option<u64> {
        let mut rows = self.spaces[space as usize].partitions.get(partition)?.range(range);
        let first = match order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        first.map(|(row, _)| *row)
    }

    /// The first address listed behind `after` at which anything was replaced.
    pub(crate) fn listed(&self, space: Space, after: Option<&Listed>) -> Option<&Listed> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = &self.spaces[space as usize].listed;
        all.range((start, Bound::Unbounded)).next()
    }
}
