//! The codecs: how a value becomes bytes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{bincode, cbor, json};
use crate::value::{from_value, to_value};
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

/// The room that is made for a value whose length nobody knows, in bytes.
pub(super) const TYPICAL_LENGTH: usize = 512;

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
        let mut buffer = Vec::with_capacity(TYPICAL_LENGTH);
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

    /// The bytes of anything that serializes: those of its [`to_value`].
    ///
    /// # Errors
    ///
    /// Those of [`to_value`] and of [`encode`](Self::encode).
    ///
    /// ```
    /// use konserve_core::record::Codec;
    ///
    /// let bytes = Codec::Cbor.encode_typed(&("a", 1))?;
    /// assert_eq!(Codec::Cbor.decode_typed::<(String, u8)>(&bytes)?, ("a".to_owned(), 1));
    /// # Ok::<(), konserve_core::Error>(())
    /// ```
    pub fn encode_typed<T: Serialize + ?Sized>(self, it: &T) -> Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(TYPICAL_LENGTH);
        self.encode_typed_into(it, &mut buffer)?;
        Ok(buffer)
    }

    /// Appends the bytes of anything that serializes to a buffer. After an error the buffer may hold a part of them.
    ///
    /// # Errors
    ///
    /// As [`encode_typed`](Self::encode_typed).
    pub fn encode_typed_into<T: Serialize + ?Sized>(self, it: &T, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Cbor => cbor::encode_typed(it, buffer),
            Self::Json | Self::Bincode => self.encode_into(&to_value(it)?, buffer),
        }
    }

    /// What the bytes are as a type of the program: [`from_value`] of their value.
    ///
    /// CBOR gets there without the value; what the type ignores is then passed over without a look at what it means.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode), and `codec`, with the path inside the value, when it does not fit the type.
    pub fn decode_typed<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T> {
        match self {
            Self::Cbor => cbor::decode_typed(bytes),
            Self::Json | Self::Bincode => from_value(self.decode(bytes)?),
        }
    }
}
