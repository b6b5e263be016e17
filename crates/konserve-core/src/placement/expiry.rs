//! When a record ends.

use std::time::Duration;

use crate::{Error, ErrorKind, Instant, Result};

/// The longest life that can be asked for: a hundred years. What is longer was meant in another unit.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// When a record ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    #[default]
    Never,
    /// So long after it is written: after the attempt that succeeds, not after the request was made.
    After(Duration),
    /// As what it replaces.
    At(Instant),
}

impl Expiry {
    /// That of a record with this time to live.
    ///
    /// # Errors
    ///
    /// `invalid_input` for none, and for more than a hundred years.
    pub(crate) fn after(ttl: Duration) -> Result<Self> {
        match ttl {
            Duration::ZERO => Err(Error::new(ErrorKind::InvalidInput, "a time to live of zero")),
            ttl if ttl > LONGEST => {
                let error = Error::new(ErrorKind::InvalidInput, "seconds of a time to live");
                Err(error.with_limit(LONGEST.as_secs(), ttl.as_secs()))
            }
            ttl => Ok(Self::After(ttl)),
        }
    }

    /// The expiry of what has this one; `None` for what has none.
    pub(crate) fn kept(expires: Option<Instant>) -> Self {
        expires.map_or(Self::Never, Self::At)
    }

    /// The expiry of the item when it is written now. Engines keep whole milliseconds, so it is the next one: nothing ends
    /// before its time.
    pub(crate) fn at(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::At(instant) => Some(instant),
            Self::After(ttl) => {
                let end = now + ttl;
                let whole = Instant::from_millis(end.as_millis());
                Some(if whole < end {
                    whole + Duration::from_millis(1)
                } else {
                    whole
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_at_the_first_whole_millisecond_that_is_not_too_early() {
        let now = Instant::from_nanos(5_000_001).unwrap();
        for (ttl, expected) in [
            (Duration::from_nanos(1), 6),
            (Duration::from_nanos(999_999), 6),
            (Duration::from_millis(1), 7),
            (Duration::from_secs(1), 1006),
        ] {
            let expires = Expiry::after(ttl).unwrap().at(now);
            assert_eq!(expires, Some(Instant::from_millis(expected)), "{ttl:?}");
        }
        assert_eq!(
            Expiry::After(Duration::from_millis(3)).at(Instant::from_millis(5)),
            Some(Instant::from_millis(8))
        );
    }

    #[test]
    fn no_time_and_absurd_times_are_refused() {
        for ttl in [Duration::ZERO, LONGEST + Duration::from_nanos(1), Duration::MAX] {
            let error = Expiry::after(ttl).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{ttl:?}");
        }
        assert!(Expiry::after(LONGEST).is_ok());
    }
}
