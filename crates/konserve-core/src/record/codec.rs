//! The codecs: how a value becomes bytes.

use serde::{Deserialize, Serialize};

use super::{bincode, cbor, json};
use crate::{Result, Value};

/// How a value becomes bytes. Each codec brings back every value exactly.
///
/// ```
/// use konserve_core::record::Codec;
/// use konserve_core::Value;
///
/// let bytes = Codec::Cbor.encode(&Value::Integer(-500))?;
/// assert_eq!(bytes, [0x39, 0x01, 0xF3]);
/// assert_eq!(Codec::Cbor.decode(&bytes)?, Value::Integer(-500));
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// CBOR (RFC 8949): compact, self-describing, readable from any language.
    #[default]
    Cbor,
    /// JSON: for people to read. A document that is plain JSON is stored as just that.
    Json,
    /// bincode 2, where this build has the feature `bincode`; otherwise everything but the name is `unsupported`.
    Bincode,
}

impl Codec {
    /// Whether this build has the codec.
    ///
    /// # Errors
    ///
    /// `unsupported` when it does not.
    pub fn check_available(self) -> Result<()> {
        match self {
            Self::Cbor | Self::Json => Ok(()),
            Self::Bincode => bincode::check_available(),
        }
    }

    /// The bytes of a value.
    ///
    /// # Errors
    ///
    /// `codec` when the value is nested deeper than [`MAX_DEPTH`](crate::value::MAX_DEPTH), which no codec would read back;
    /// `unsupported` when this build does not have the codec.
    pub fn encode(self, value: &Value) -> Result<Vec<u8>> {
        let mut buffer = Vec::new();
        self.encode_into(value, &mut buffer)?;
        Ok(buffer)
    }

    /// Appends the bytes of a value to a buffer. After an error the buffer may hold a part of them.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_into(self, value: &Value, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Cbor => cbor::encode(value, buffer),
            Self::Json => json::encode(value, buffer),
            Self::Bincode => bincode::encode(value, buffer),
        }
    }

    /// The value of these bytes, all of them.
    ///
    /// # Errors
    ///
    /// `corrupt` when the bytes are not the encoding of a value (malformed, nested too deep, the same key twice in a map, the
    /// same member twice in a set, something left over); `codec` when they are valid but mean what no value can hold;
    /// `unsupported` when this build does not have the codec. Never reserves memory for more than the bytes can hold.
    pub fn decode(self, bytes: &[u8]) -> Result<Value> {
        match self {
            Self::Cbor => cbor::decode(bytes),
            Self::Json => json::decode(bytes),
            Self::Bincode => bincode::decode(bytes),
        }
    }
}
