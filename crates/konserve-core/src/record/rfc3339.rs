//! Instants as text, for the codecs that people read.

use jiff::Timestamp;

use crate::Instant;

/// The instant in UTC as RFC 3339 has it, with as many digits of the second as it needs. Years beyond 0 to 9999 have a sign
/// and six digits, as ISO 8601 has it.
pub(super) fn print(instant: Instant) -> String {
    // Every `Instant` is a `Timestamp`; the nearest one stands in so that nothing here can panic.
    Timestamp::from_nanosecond(instant.as_nanos())
        .unwrap_or(Timestamp::MIN)
        .to_string()
}

/// The instant that the text names, in whatever offset; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Instant> {
    let timestamp: Timestamp = text.parse().ok()?;
    Instant::from_nanos(timestamp.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_comes_back_from_its_text() {
        let min = Timestamp::MIN.as_nanosecond();
        let max = Timestamp::MAX.as_nanosecond();
        for nanos in [
            0,
            1,
            -1,
            999_999_999,
            -999_999_999,
            1_700_000_000_123_456_789,
            min,
            min + 1,
            max,
            max - 1,
        ] {
            let instant = Instant::from_nanos(nanos).unwrap();
            assert_eq!(parse(&print(instant)), Some(instant), "{nanos}");
        }
    }
}
