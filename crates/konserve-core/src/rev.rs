//! Revisions: a hybrid logical clock with randomness, the identity and the fence of every write.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::environment::Environment;
use crate::{Error, ErrorKind, Instant, Result};

/// The revision of an item: made for each write and each removal, ordered, unique.
///
/// 16 bytes, compared as bytes: 48 bits of milliseconds since the Unix epoch, a 16-bit counter (together the hybrid
/// logical clock), 64 random bits. It is at once the token of optimistic locking, the identity of the write, and the
/// fence: revisions of one address only grow, so a late retry can never overwrite a newer write.
///
/// Its text form is 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev([u8; 16]);

/// What the methods of [`Store`](crate::Store) call a [`Rev`].
pub type Revision = Rev;

impl Rev {
    /// The revision of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of this revision, in the order in which revisions compare.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The physical part: when the write was made, to the millisecond. Never runs backwards for one address.
    pub fn instant(self) -> Instant {
        Instant::from_millis((self.logical() >> 16) as i64)
    }

    /// The hybrid logical clock: milliseconds and counter.
    fn logical(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rev({self})")
    }
}

impl FromStr for Rev {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(number) if plain => Ok(Self(number.to_be_bytes())),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "a revision is 32 hexadecimal digits",
            )),
        }
    }
}

impl Serialize for Rev {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rev {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes revisions, each higher than every one it made or was shown.
#[derive(Debug)]
pub(crate) struct RevisionClock {
    environment: Environment,
    /// The highest hybrid logical clock made or seen.
    last: Mutex<u64>,
    /// How far ahead of the wall clock a stored revision may be.
    max_drift: Duration,
}

impl RevisionClock {
    pub(crate) fn new(environment: Environment, max_drift: Duration) -> Self {
        Self {
            environment,
            last: Mutex::new(0),
            max_drift,
        }
    }

    /// A new revision.
    pub(crate) fn next(&self) -> Rev {
        let wall = (self.environment.clock.now().as_millis().max(0) as u64) << 16;
        let logical = {
            let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *last = wall.max(*last + 1);
            *last
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&logical.to_be_bytes());
        self.environment.entropy.fill(&mut bytes[8..]);
        Rev(bytes)
    }

    /// Sees to it that every later revision is higher than `stored`.
    ///
    /// # Errors
    ///
    /// `unavailable` when `stored` is further ahead of the wall clock than accepted: following it would carry one
    /// machine's wrong clock to every key that is touched.
    pub(crate) fn advance_past(&self, stored: Rev) -> Result<()> {
        let ahead = stored.instant().since(self.environment.clock.now());
        if ahead > self.max_drift {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("the stored revision {stored} is {ahead:?} ahead of this machine's clock"),
            )
            .with_limit(self.max_drift.as_secs(), ahead.as_secs()));
        }
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *last = (*last).max(stored.logical());
        Ok(())
    }

    /// A new revision, higher than `stored`.
    pub(crate) fn next_after(&self, stored: Rev) -> Result<Rev> {
        self.advance_past(stored)?;
        Ok(self.next())
    }
}
