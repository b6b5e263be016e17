//! Stores and environments for these tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use konserve_core::store::Options;
use konserve_core::{Clock, Environment, Instant, Store};
use konserve_memory::Memory;

/// A clock that goes only where it is told to.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn advance(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// Undoes that: what was done meanwhile was done by somebody whose clock is ahead.
    pub(crate) fn turn_back(&self, time: Duration) {
        self.0.fetch_sub(time.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(1_800_000_000_000) + self.uptime()
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn manual() -> (Arc<ManualClock>, Environment) {
    let clock = Arc::new(ManualClock::default());
    let environment = Environment {
        clock: clock.clone(),
        ..Environment::default()
    };
    (clock, environment)
}

/// A store over memory whose items are small, so that values of a few kilobytes are large.
pub(crate) fn small_items() -> (Memory, Store) {
    let memory = Memory::builder().item_limit(4096).build();
    let store = Store::builder(memory.handle()).options(quiet()).build();
    (memory, store)
}

/// A store over a handle of its own, whose tasks wait for no others: they compete in the engine.
pub(crate) fn competing(memory: &Memory) -> Store {
    let store = Store::builder(memory.handle()).options(quiet());
    store.shared_locks(false).build()
}

pub(crate) fn store() -> Store {
    Store::new(Memory::new())
}

/// Nothing happens but what the test does.
pub(crate) fn quiet() -> Options {
    let mut options = Options::default();
    options.background_cleanup = false;
    options
}
