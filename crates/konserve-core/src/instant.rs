//! A point in time: a value that documents can hold, and the stamp of items.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::value::names;
use crate::{Error, ErrorKind, Result};

/// A point in time on the UTC time line, exact to the nanosecond, in the years −9999 to 9999.
///
/// Its text form is that of RFC 3339 in UTC, with as many decimals as needed, and years beyond four digits signed and of
/// six digits. Any offset is read. With serde, an instant inside a document stays an instant; other formats see the text.
///
/// ```
/// use konserve_core::Instant;
///
/// let instant: Instant = "2024-02-29T13:00:00.5+01:00".parse()?;
/// assert_eq!(instant.to_string(), "2024-02-29T12:00:00.5Z");
/// assert_eq!(instant.as_millis(), 1_709_208_000_500);
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Timestamp);

impl Instant {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(Timestamp::UNIX_EPOCH);

    /// The instant this many milliseconds after the Unix epoch; the nearest that there is, when it is out of range.
    pub fn from_millis(millis: i64) -> Self {
        Self(Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX }))
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub fn as_millis(self) -> i64 {
        self.as_nanos().div_euclid(1_000_000) as i64
    }

    /// The instant this many nanoseconds after the Unix epoch, if it is in range.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        Timestamp::from_nanosecond(nanos).ok().map(Self)
    }

    /// Nanoseconds since the Unix epoch.
    pub fn as_nanos(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = (self.as_nanos() - earlier.as_nanos()).max(0) as u128;
        Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the last instant that there is.
    fn add(self, duration: Duration) -> Self {
        let nanos = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        Self::from_nanos(self.as_nanos().saturating_add(nanos)).unwrap_or(Self(Timestamp::MAX))
    }
}

impl From<SystemTime> for Instant {
    /// Saturates at the first and the last instant that there are.
    fn from(time: SystemTime) -> Self {
        Self(Timestamp::try_from(time).unwrap_or(if time < SystemTime::UNIX_EPOCH {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        }))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `{}` of the formatter given: its precision would cut decimals off.
        write!(f, "{}", self.0)
    }
}

impl FromStr for Instant {
    type Err = Error;

    /// Reads a date and time with an offset, as in RFC 3339.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self).map_err(|error: jiff::Error| {
            let message = "an instant is a date and time with an offset, as in RFC 3339";
            Error::new(ErrorKind::InvalidInput, message).with_source(error)
        })
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(names::INSTANT, &format_args!("{self}"))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InstantVisitor;

        impl<'de> Visitor<'de> for InstantVisitor {
            type Value = Instant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Instant, D::Error> {
                deserializer.deserialize_str(self)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Instant, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_newtype_struct(names::INSTANT, InstantVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_at_both_ends_of_time() {
        for instant in [
            Instant(Timestamp::MIN),
            Instant(Timestamp::MAX),
            Instant::UNIX_EPOCH,
            Instant::from_nanos(-1).unwrap(),
            Instant::from_millis(i64::MIN),
        ] {
            assert_eq!(instant.to_string().parse::<Instant>().unwrap(), instant);
            assert_eq!(format!("{instant:.0}"), instant.to_string());
        }
        for bad in ["", "2024-02-29", "2024-02-29T12:00:00", "2023-02-29T12:00:00Z", "now"] {
            assert_eq!(
                bad.parse::<Instant>().unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad}"
            );
        }
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(Instant::from(late), Instant(Timestamp::MAX));
    }
}
