//! Records: how values and binaries become the bytes that an engine stores, and back.
//!
//! A record is a fixed header and a payload. [`Codec`] turns values into plain bytes, [`Envelope`] turns plain bytes into
//! records, in the order *encode, compress, encrypt* and in no other. The header of each record says how it is read, so the
//! settings of a store can change at any time. `docs/format.md` describes every byte.
//!
//! Nothing here knows where a record is stored, or how a large one is cut into chunks.

mod bincode;
mod cbor;
mod checksum;
mod codec;
mod envelope;
mod header;
mod json;

pub use self::checksum::Checksum;
pub use self::codec::Codec;
pub use self::envelope::{Compression, Content, Encryption, Envelope, Opened};
pub use self::header::HEADER_LENGTH;
