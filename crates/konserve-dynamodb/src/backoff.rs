//! Waiting between the rounds of a request that DynamoDB answers in parts.

use std::time::Duration;

use konserve_core::Environment;

const FIRST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that grow, with full jitter, up to a total without progress.
#[derive(Debug)]
pub(crate) struct Backoff {
    environment: Environment,
    next: Duration,
    left: Duration,
    patience: Duration,
}

impl Backoff {
    pub(crate) fn new(environment: &Environment, patience: Duration) -> Self {
        Self {
            environment: environment.clone(),
            next: FIRST,
            left: patience,
            patience,
        }
    }

    /// There was progress: patience starts again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
        self.left = self.patience;
    }

    /// Waits a while, or says `false` when patience is over.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        let mut random = [0; 4];
        self.environment.entropy.fill(&mut random);
        let part = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        // The growing pause, not the random one, is taken off, so that the number of rounds has a bound.
        tokio::time::sleep(self.next.mul_f64(part).min(self.left)).await;
        self.left = self.left.saturating_sub(self.next);
        self.next = (self.next * 2).min(LONGEST);
        true
    }
}
