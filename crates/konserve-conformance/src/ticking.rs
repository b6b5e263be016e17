//! A clock for the stores of a trial that take turns at the same keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use konserve_core::{Clock, Environment, Instant, SystemClock};

/// A clock that goes on by a millisecond whenever somebody looks. So no two stores make a revision at the same time, and no
/// write is made twice because the other one was ahead.
#[derive(Debug)]
pub(crate) struct Ticking {
    start: Instant,
    looks: AtomicU64,
}

impl Ticking {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: SystemClock.now(),
            looks: AtomicU64::new(0),
        })
    }

    /// The system's environment with this clock.
    pub(crate) fn environment(self: &Arc<Self>) -> Environment {
        Environment {
            clock: self.clone(),
            ..Environment::default()
        }
    }
}

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.looks.fetch_add(1, Ordering::Relaxed))
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }
}
