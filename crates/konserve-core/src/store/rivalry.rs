//! How those take turns who change one document at the same time, and whom no lock keeps apart.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Environment, Error, ErrorKind, Result};

/// Paces the attempts at one document, until a deadline.
///
/// The first conflict is answered at once, for it seldom has a second one. Who loses again steps aside for as long as a few
/// attempts take, then makes two in a row, steps aside for longer, makes four in a row, and so on: the longer somebody has been
/// at it, the more persistent. If only the pauses grew, whoever has just come would win over those who have been waiting, and
/// some would starve.
///
/// The deadline counts from when this is made and is met by tokio's clock, so that tests can hold it.
#[derive(Debug)]
pub(crate) struct Rivalry {
    environment: Environment,
    deadline: Instant,
    total: Duration,
    lost: u32,
    /// How many attempts are made before the next pause.
    left: u32,
    /// How many are made after it.
    persistence: u32,
}

/// What a pause grows to, in attempts.
const ASIDE: u32 = 16;
/// Where attempts take no time to speak of.
const SHORTEST: Duration = Duration::from_millis(5);
/// Where they take very long.
const LONGEST: Duration = Duration::from_secs(1);
/// What the number of attempts in a row grows to.
const MOST: u32 = 32;

impl Rivalry {
    pub(crate) fn new(environment: Environment, total: Duration) -> Self {
        Self {
            environment,
            deadline: Instant::now() + total,
            total,
            lost: 0,
            left: 1,
            persistence: 2,
        }
    }

    /// After an attempt that somebody else came before, and that took this long. Says whether time has passed, so that what the
    /// refusal told is old.
    ///
    /// # Errors
    ///
    /// `contended` when the deadline has passed, naming the number of attempts.
    pub(crate) async fn lost(&mut self, attempt: Duration) -> Result<bool> {
        self.lost += 1;
        let now = Instant::now();
        if now >= self.deadline {
            let message = format!("other writers won {} times within {:?}", self.lost, self.total);
            return Err(Error::new(ErrorKind::Contended, message));
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return Ok(false);
        }
        let aside = (self.persistence * 2).min(ASIDE);
        self.left = self.persistence - 1;
        self.persistence = (self.persistence * 2).min(MOST);
        let longest = (attempt * aside).clamp(SHORTEST, LONGEST);
        let pause = longest / 2 + self.environment.random_part(longest / 2);
        tokio::time::sleep_until((now + pause).min(self.deadline)).await;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_longer_makes_more_attempts_in_a_row_until_the_deadline() {
        const ATTEMPT: Duration = Duration::from_millis(10);
        let began = Instant::now();
        let mut rivalry = Rivalry::new(Environment::default(), Duration::from_secs(2));
        let mut in_a_row = vec![1];
        let error = loop {
            let before = Instant::now();
            match rivalry.lost(ATTEMPT).await {
                Ok(true) => {
                    let pause = before.elapsed();
                    let longest = ATTEMPT * (4 << in_a_row.len().min(3) >> 1);
                    let is_cut = began.elapsed() >= Duration::from_secs(2);
                    assert!(pause <= longest && (pause >= longest / 2 || is_cut), "{pause:?}");
                    in_a_row.push(1);
                }
                Ok(false) => *in_a_row.last_mut().unwrap() += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Contended);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert_eq!(in_a_row[..6], [2, 2, 4, 8, 16, 32]);
    }
}
