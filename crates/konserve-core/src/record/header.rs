//! The header of a record: its bytes, its checksum, and what of it can be trusted when.

use crate::{Error, ErrorKind, Result};

/// The length of the header of every record of format version 1, in bytes. The payload follows at once.
pub const HEADER_LENGTH: usize = 40;

/// The first bytes of every record of every version. The first is not UTF-8, so that no text begins like this.
const MAGIC: [u8; 4] = [0xAB, b'K', b'S', b'V'];

/// The version that is written, and the only one there is.
const VERSION: u8 = 1;

/// Where the version stands, in this version and in all to come.
const VERSION_AT: usize = 4;

/// Where the checksum stands: the last field, so that it covers what comes before it and the payload after it.
const CHECKSUM_AT: usize = 32;

/// The fields of a header whose checksum was right. Identifiers are still numbers: knowing them is up to the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) content: u8,
    pub(super) compression: u8,
    pub(super) encryption: u8,
    pub(super) flags: u32,
    pub(super) key_id: u32,
    /// Bytes before compression and encryption.
    pub(super) plain_length: u64,
    /// Bytes after the header.
    pub(super) payload_length: u64,
}

impl Header {
    /// Writes the header in front of the payload, into the first [`HEADER_LENGTH`] bytes of the record.
    pub(super) fn write(&self, record: &mut [u8]) {
        let (header, payload) = record.split_at_mut(HEADER_LENGTH);
        header[..4].copy_from_slice(&MAGIC);
        header[VERSION_AT] = VERSION;
        header[5] = self.content;
        header[6] = self.compression;
        header[7] = self.encryption;
        header[8..12].copy_from_slice(&self.flags.to_be_bytes());
        header[12..16].copy_from_slice(&self.key_id.to_be_bytes());
        header[16..24].copy_from_slice(&self.plain_length.to_be_bytes());
        header[24..32].copy_from_slice(&self.payload_length.to_be_bytes());
        let checksum = checksum(&header[..CHECKSUM_AT], payload);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Reads and checks the header of a whole record.
    ///
    /// Magic and version mean the same in every version and are looked at first; everything else only once the checksum
    /// has been found right.
    pub(super) fn read(record: &[u8]) -> Result<Self> {
        if record.len() <= VERSION_AT {
            return Err(
                corrupt("the record is shorter than any header").with_limit(HEADER_LENGTH as u64, record.len() as u64)
            );
        }
        if record[..4] != MAGIC {
            return Err(corrupt("this is not a record: it does not begin with the magic bytes"));
        }
        let version = record[VERSION_AT];
        if version != VERSION {
            return Err(other_version(record, version));
        }
        let Some((header, payload)) = record.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(corrupt("the record ends within its header"));
        };
        if checksum(&header[..CHECKSUM_AT], payload) != read_u64(header, CHECKSUM_AT) {
            return Err(corrupt("the checksum of the record is wrong"));
        }
        let read = Self {
            content: header[5],
            compression: header[6],
            encryption: header[7],
            flags: read_u32(header, 8),
            key_id: read_u32(header, 12),
            plain_length: read_u64(header, 16),
            payload_length: read_u64(header, 24),
        };
        if read.payload_length != payload.len() as u64 {
            return Err(corrupt("the length of the payload is not what the header says"));
        }
        Ok(read)
    }
}

/// What to say of a version that this build does not know. A flipped bit in the version of a record of version 1 is told
/// from a newer record by trying: only the former has the right checksum once the version is put back.
fn other_version(record: &[u8], version: u8) -> Error {
    let damaged = record
        .split_first_chunk::<HEADER_LENGTH>()
        .is_some_and(|(header, payload)| {
            let mut mended = *header;
            mended[VERSION_AT] = VERSION;
            checksum(&mended[..CHECKSUM_AT], payload) == read_u64(header, CHECKSUM_AT)
        });
    if damaged || version < VERSION {
        return corrupt("the version of the record is damaged");
    }
    Error::new(
        ErrorKind::Unsupported,
        format!("the record is of format version {version}; this build reads version {VERSION}"),
    )
}

fn checksum(header: &[u8], payload: &[u8]) -> u64 {
    let mut state = xxhash_rust::xxh3::Xxh3::new();
    state.update(header);
    state.update(payload);
    state.digest()
}

fn read_u64(header: &[u8; HEADER_LENGTH], at: usize) -> u64 {
    header[at..at + 8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn read_u32(header: &[u8; HEADER_LENGTH], at: usize) -> u32 {
    header[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
