//! What an engine has sent, in figures.

use std::collections::BTreeMap;

use crate::ErrorKind;

/// What one handle of an engine has sent since it was opened, by the engine's own names of its operations.
///
/// Of an engine that sends no requests, nothing.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct EngineStats {
    /// The requests of each operation, such as `GetItem` of DynamoDB.
    pub operations: BTreeMap<&'static str, RequestStats>,
}

/// The requests of one operation. One request may take several attempts.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct RequestStats {
    /// Requests that have ended, however they did.
    pub requests: u64,
    /// How often they were sent, the first time included.
    pub attempts: u64,
    /// Attempts after the first, by what was wrong with the attempt before.
    pub retries: BTreeMap<ErrorKind, u64>,
    /// Requests that ended with an error. A condition that does not hold is none.
    pub failures: BTreeMap<ErrorKind, u64>,
    /// Requests that were dropped before their end: by a time-out of their caller, or with the task they belonged to.
    pub cancelled: u64,
    /// The capacity units that the engine says were consumed. What an attempt took that was not answered is not known.
    pub capacity: f64,
    /// How many items one attempt asked for or sent, of operations that take several.
    pub batch_items: Distribution,
    /// Mutations some attempt of which may or may not have been applied, and which found out.
    pub outcomes_resolved: u64,
    /// Mutations some attempt of which may or may not have been applied, and which did not find out: they ended with
    /// `unknown_outcome`, or were dropped while they tried.
    pub outcomes_unresolved: u64,
}

/// How many there were of something that has a size, and how large they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// All sizes together.
    pub sum: u64,
    /// The smallest; 0 when there were none.
    pub min: u64,
    /// The largest; 0 when there were none.
    pub max: u64,
}

impl EngineStats {
    /// The figures of one operation; all 0 when it was never sent.
    #[must_use]
    pub fn of(&self, operation: &str) -> RequestStats {
        self.operations.get(operation).cloned().unwrap_or_default()
    }

    /// All operations together.
    #[must_use]
    pub fn total(&self) -> RequestStats {
        let mut total = RequestStats::default();
        for one in self.operations.values() {
            total.requests += one.requests;
            total.attempts += one.attempts;
            add(&mut total.retries, &one.retries);
            add(&mut total.failures, &one.failures);
            total.cancelled += one.cancelled;
            total.capacity += one.capacity;
            total.batch_items.merge(one.batch_items);
            total.outcomes_resolved += one.outcomes_resolved;
            total.outcomes_unresolved += one.outcomes_unresolved;
        }
        total
    }
}

impl Distribution {
    /// Counts one more of this size.
    pub fn record(&mut self, size: u64) {
        self.merge(Self {
            count: 1,
            sum: size,
            min: size,
            max: size,
        });
    }

    /// The size of one on average; `None` when there were none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    fn merge(&mut self, other: Self) {
        self.min = match (self.count, other.count) {
            (0, _) => other.min,
            (_, 0) => self.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

fn add(total: &mut BTreeMap<ErrorKind, u64>, more: &BTreeMap<ErrorKind, u64>) {
    for (kind, count) in more {
        *total.entry(*kind).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_the_sum_of_its_operations() {
        let mut stats = EngineStats::default();
        assert_eq!(stats.total(), RequestStats::default());
        for (operation, sizes) in [("a", [3, 9]), ("b", [2, 4])] {
            let one = stats.operations.entry(operation).or_default();
            one.requests = 2;
            one.attempts = 3;
            one.retries.insert(ErrorKind::Throttled, 1);
            one.failures.insert(ErrorKind::Denied, 1);
            one.capacity = 1.5;
            sizes.into_iter().for_each(|size| one.batch_items.record(size));
        }
        stats.operations.entry("c").or_default().cancelled = 1;
        let total = stats.total();
        assert_eq!((total.requests, total.attempts, total.cancelled), (4, 6, 1));
        assert_eq!(
            (total.retries[&ErrorKind::Throttled], total.failures[&ErrorKind::Denied]),
            (2, 2)
        );
        assert_eq!(total.capacity, 3.0);
        let sizes = total.batch_items;
        assert_eq!((sizes.count, sizes.sum, sizes.min, sizes.max), (4, 18, 2, 9));
        assert_eq!(sizes.mean(), Some(4.5));
        assert_eq!(stats.of("d"), RequestStats::default());
    }
}
