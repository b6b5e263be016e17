//! A clock that trials set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use konserve_core::{Clock, Environment, Instant};

/// A clock that stands still until it is told to go on. Clones show the same time.
///
/// ```
/// use std::time::Duration;
///
/// use konserve_conformance::ManualClock;
/// use konserve_core::{Clock, Instant};
///
/// let clock = ManualClock::new(Instant::from_millis(1_000));
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(clock.now(), Instant::from_millis(1_005));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    start: Instant,
    elapsed: Arc<Mutex<Duration>>,
}

impl ManualClock {
    /// A clock that shows this.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            elapsed: Arc::default(),
        }
    }

    /// Lets this much time pass.
    pub fn advance(&self, duration: Duration) {
        let mut elapsed = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
        *elapsed = elapsed.saturating_add(duration);
    }

    /// The system's environment with this clock.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment {
            clock: Arc::new(self.clone()),
            ..Environment::default()
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.uptime()
    }

    fn uptime(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
