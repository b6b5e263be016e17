//! The envelope: what stands between plain bytes and the record that is stored.

use super::codec::{Codec, TYPICAL_LENGTH};
use super::header::{HEADER_LENGTH, Header};
use crate::{Error, ErrorKind, Result, Value};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the plain bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// Bytes as they are: binaries.
    Raw,
    /// A value in this codec.
    Encoded(Codec),
}

/// How new records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
}

/// How new records are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encryption {
    /// Not at all.
    #[default]
    None,
}

/// What new records are written with. Records are read by what their own header says.
///
/// ```
/// use konserve_core::record::{Content, Envelope};
///
/// let envelope = Envelope::default();
/// let record = envelope.seal(Content::Raw, b"some bytes")?;
/// let opened = envelope.open(record)?;
/// assert_eq!(opened.content, Content::Raw);
/// assert_eq!(opened.plain, "some bytes");
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    compression: Compression,
    encryption: Encryption,
}

/// What was in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What the plain bytes are.
    pub content: Content,
    /// The plain bytes. A slice of the record where there was nothing to undo.
    pub plain: Bytes,
}

impl Envelope {
    /// An envelope with these settings.
    pub fn new(compression: Compression, encryption: Encryption) -> Self {
        Self {
            compression,
            encryption,
        }
    }

    /// The record of these plain bytes.
    ///
    /// # Errors
    ///
    /// None with the settings that there are today.
    pub fn seal(&self, content: Content, plain: &[u8]) -> Result<Bytes> {
        self.seal_with(content, plain.len(), |buffer| {
            buffer.extend_from_slice(plain);
            Ok(())
        })
    }

    /// The record of the plain bytes that `encode` appends to the buffer it is given, without copying them again.
    ///
    /// `capacity` is a guess at how many bytes that will be. What is in the buffer already must be left alone.
    ///
    /// # Errors
    ///
    /// What `encode` returns.
    pub fn seal_with(
        &self,
        content: Content,
        capacity: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Bytes> {
        let mut buffer = Vec::with_capacity(capacity.saturating_add(HEADER_LENGTH));
        buffer.resize(HEADER_LENGTH, 0);
        encode(&mut buffer)?;
        let Some(plain_length) = buffer.len().checked_sub(HEADER_LENGTH) else {
            return Err(Error::new(ErrorKind::Codec, "the room for the header was taken away"));
        };
        let mut buffer = self.encrypt(self.compress(buffer)?)?;
        let header = Header {
            content: content.id(),
            compression: self.compression.id(),
            encryption: self.encryption.id(),
            flags: 0,
            key_id: 0,
            plain_length: plain_length as u64,
            payload_length: (buffer.len() - HEADER_LENGTH) as u64,
        };
        header.write(&mut buffer);
        Ok(Bytes::from(buffer))
    }

    /// The record of a value.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::encode`].
    pub fn seal_value(&self, codec: Codec, value: &Value) -> Result<Bytes> {
        self.seal_with(Content::Encoded(codec), TYPICAL_LENGTH, |buffer| {
            codec.encode_into(value, buffer)
        })
    }

    /// The record of anything that serializes.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::encode_typed`].
    pub fn seal_typed<T: Serialize + ?Sized>(&self, codec: Codec, it: &T) -> Result<Bytes> {
        self.seal_with(Content::Encoded(codec), TYPICAL_LENGTH, |buffer| {
            codec.encode_typed_into(it, buffer)
        })
    }

    /// What is in a record.
    ///
    /// # Errors
    ///
    /// `corrupt` when any bit or the length is not what was written; `unsupported` when the record is whole but this build
    /// cannot read it: a newer format version, or a codec, compression, encryption or flag that it does not know.
    pub fn open(&self, record: Bytes) -> Result<Opened> {
        let header = Header::read(&record)?;
        let content = Content::from_id(header.content)?;
        let compression = Compression::from_id(header.compression)?;
        let encryption = Encryption::from_id(header.encryption)?;
        if header.flags != 0 {
            return Err(unknown("flags", format_args!("{:#x}", header.flags)));
        }
        if encryption == Encryption::None && header.key_id != 0 {
            return Err(corrupt("the record names a key but is not encrypted"));
        }
        let payload = record.slice(HEADER_LENGTH..);
        let plain = decompress(compression, decrypt(encryption, payload)?)?;
        if header.plain_length != plain.len() as u64 {
            return Err(corrupt("the length of the plain bytes is not what the header says"));
        }
        Ok(Opened { content, plain })
    }

    // The stages. Each gets the buffer whose first `HEADER_LENGTH` bytes are room for the header, and returns such a one.
    //
    // Encryption binds a record to its place: the associated data will be the header up to the checksum, the id of the store
    // and the logical place, which `seal` and `open` are then to be told; and it brings the key ring, which says `key_id`.

    fn compress(&self, buffer: Vec<u8>) -> Result<Vec<u8>> {
        match self.compression {
            Compression::None => Ok(buffer),
        }
    }

    fn encrypt(&self, buffer: Vec<u8>) -> Result<Vec<u8>> {
        match self.encryption {
            Encryption::None => Ok(buffer),
        }
    }
}

fn decrypt(encryption: Encryption, payload: Bytes) -> Result<Bytes> {
    match encryption {
        Encryption::None => Ok(payload),
    }
}

fn decompress(compression: Compression, compressed: Bytes) -> Result<Bytes> {
    match compression {
        Compression::None => Ok(compressed),
    }
}

impl Opened {
    /// The value in the record.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::decode`], and `wrong_kind` when the record holds raw bytes.
    pub fn decode(&self) -> Result<Value> {
        self.codec()?.decode(&self.plain)
    }

    /// What the value in the record is as a type of the program.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::decode_typed`], and `wrong_kind` when the record holds raw bytes.
    pub fn decode_typed<T: DeserializeOwned>(&self) -> Result<T> {
        self.codec()?.decode_typed(&self.plain)
    }

    fn codec(&self) -> Result<Codec> {
        match self.content {
            Content::Encoded(codec) => Ok(codec),
            Content::Raw => Err(Error::new(
                ErrorKind::WrongKind,
                "the record holds raw bytes, not a value",
            )),
        }
    }
}

impl Content {
    fn id(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Encoded(Codec::Cbor) => 1,
            Self::Encoded(Codec::Json) => 2,
            Self::Encoded(Codec::Bincode) => 3,
        }
    }

    fn from_id(id: u8) -> Result<Self> {
        match id {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Encoded(Codec::Cbor)),
            2 => Ok(Self::Encoded(Codec::Json)),
            3 => Ok(Self::Encoded(Codec::Bincode)),
            _ => Err(unknown("content", id)),
        }
    }
}

impl Compression {
    fn id(self) -> u8 {
        match self {
            Self::None => 0,
        }
    }

    fn from_id(id: u8) -> Result<Self> {
        match id {
            0 => Ok(Self::None),
            _ => Err(unknown("compression", id)),
        }
    }
}

impl Encryption {
    fn id(self) -> u8 {
        match self {
            Self::None => 0,
        }
    }

    fn from_id(id: u8) -> Result<Self> {
        match id {
            0 => Ok(Self::None),
            _ => Err(unknown("encryption", id)),
        }
    }
}

fn unknown(what: &str, given: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("this build does not know {what} {given} of the record"),
    )
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
