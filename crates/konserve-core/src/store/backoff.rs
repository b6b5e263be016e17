//! Waiting between attempts.

use std::time::Duration;

use crate::{Environment, Error, ErrorKind, Result};

/// Waits between attempts: exponential with full jitter, from 5 ms to at most 250 ms, until a deadline.
///
/// The deadline counts from when this is made and is met by tokio's clock, so that tests can hold it.
#[derive(Debug)]
pub(crate) struct Backoff {
    environment: Environment,
    deadline: tokio::time::Instant,
    total: Duration,
    attempts: u32,
}

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);

impl Backoff {
    pub(crate) fn new(environment: Environment, total: Duration) -> Self {
        Self {
            environment,
            deadline: tokio::time::Instant::now() + total,
            total,
            attempts: 0,
        }
    }

    /// Waits after a lost attempt.
    ///
    /// # Errors
    ///
    /// `contended` when the deadline has passed, naming the number of attempts.
    pub(crate) async fn lost(&mut self) -> Result<()> {
        self.attempts += 1;
        let now = tokio::time::Instant::now();
        if now >= self.deadline {
            let message = format!("other writers won {} times within {:?}", self.attempts, self.total);
            return Err(Error::new(ErrorKind::Contended, message));
        }
        let ceiling = LONGEST.min(FIRST * 2_u32.saturating_pow(self.attempts.min(10) - 1));
        let pause = self.environment.random_part(ceiling);
        tokio::time::sleep_until((now + pause).min(self.deadline)).await;
        Ok(())
    }
}
