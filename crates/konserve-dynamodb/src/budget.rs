//! How many repetitions a store can afford: a token bucket that failures empty and successes fill.
//!
//! Without it, a service that is overloaded gets a multiple of its load from everybody who repeats. The figures are those of the
//! AWS SDKs' standard retry mode ("Retry behavior", AWS SDKs and Tools Reference Guide).

use std::sync::atomic::{AtomicU32, Ordering};

/// What a full bucket holds.
const CAPACITY: u32 = 500;

/// What a success puts back that needed no repetition.
const REFILL: u32 = 1;

/// The tokens of one store.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) fn full() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }

    /// Takes the price of a repetition, if it is there.
    pub(crate) fn take(&self, price: u32) -> bool {
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(price));
        taken.is_ok()
    }

    /// A request succeeded: what its last repetition took comes back, or a little if it needed none.
    pub(crate) fn put_back(&self, paid: u32) {
        let put = |left: u32| Some(left.saturating_add(paid.max(REFILL)).min(CAPACITY));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, put); // `put` never declines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_empty_it_and_successes_fill_it_up_to_its_capacity() {
        let budget = Budget::full();
        assert!((0..CAPACITY / 5).all(|_| budget.take(5)));
        assert!(!budget.take(5), "empty");
        budget.put_back(0);
        assert!(!budget.take(5), "one success pays for no repetition");
        budget.put_back(5);
        assert!(budget.take(5), "a repetition that succeeded costs nothing");
        (0..2 * CAPACITY).for_each(|_| budget.put_back(0));
        assert!((0..CAPACITY / 5).all(|_| budget.take(5)));
        assert!(!budget.take(1));
    }
}
