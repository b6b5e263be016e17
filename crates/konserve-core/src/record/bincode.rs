//! bincode 2, where this build has it.

#[cfg(feature = "bincode")]
mod enabled;

#[cfg(feature = "bincode")]
pub(super) use self::enabled::{check_available, decode, encode};

#[cfg(not(feature = "bincode"))]
pub(super) use self::disabled::{check_available, decode, encode};

#[cfg(not(feature = "bincode"))]
mod disabled {
    use crate::{Error, ErrorKind, Result, Value};

    pub(in crate::record) fn check_available() -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this build is without the feature `bincode`",
        ))
    }

    pub(in crate::record) fn encode(_: &Value, _: &mut Vec<u8>) -> Result<()> {
        check_available()
    }

    pub(in crate::record) fn decode(_: &[u8]) -> Result<Value> {
        check_available().map(|()| Value::Null)
    }
}
