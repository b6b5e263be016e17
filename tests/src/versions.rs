//! Large values of which every part tells which version it is of: old, new or a mix is plain to see.

use serde::{Deserialize, Serialize};

/// The key of a large document.
pub const DOCUMENT: &str = "document";
/// The key of a large binary.
pub const BINARY: &str = "binary";
/// The keys that are always written together: two large documents and a small one.
pub const TOGETHER: [&str; 3] = ["large", "small", "large as well"];

/// A value of some version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    number: u64,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl Version {
    /// The large value of a version: of three or four chunks with [`small_items`](crate::fixture::small_items).
    pub fn large(number: u64) -> Self {
        Self {
            number,
            bytes: vec![Self::byte(number); 90_000 + 20_000 * (number % 3) as usize],
        }
    }

    /// The small value of a version.
    pub fn small(number: u64) -> Self {
        Self {
            number,
            bytes: vec![Self::byte(number); 100],
        }
    }

    /// What goes under the keys of [`TOGETHER`].
    pub fn together(number: u64) -> [(&'static str, Self); 3] {
        let [first, second, third] = TOGETHER;
        [
            (first, Self::large(number)),
            (second, Self::small(number)),
            (third, Self::large(number)),
        ]
    }

    /// The bytes of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The number of the version, after a look at every byte. Panics when it is a mix.
    pub fn number(&self) -> u64 {
        let whole = *self == Self::large(self.number) || *self == Self::small(self.number);
        assert!(whole, "version {} is not whole", self.number);
        self.number
    }

    /// The version out of those given that these are the bytes of. Panics when it is none.
    pub fn of_bytes(bytes: &[u8], candidates: impl IntoIterator<Item = u64>) -> u64 {
        let mut candidates = candidates.into_iter();
        let found = candidates.find(|number| Self::large(*number).bytes == bytes);
        found.expect("the bytes are those of one of the versions")
    }

    /// The version up to a last one that these are the bytes of, large or small. Panics when they are those of none.
    pub fn of_any_bytes(bytes: &[u8], last: u64) -> u64 {
        let of = |number: &u64| Self::large(*number).bytes == bytes || Self::small(*number).bytes == bytes;
        (0..=last).find(of).expect("the bytes are those of one of the versions")
    }

    /// Panics when these bytes are of several versions.
    pub fn check_part(bytes: &[u8]) {
        let whole = bytes.iter().all(|byte| *byte == bytes[0]);
        assert!(whole, "{} bytes of several versions", bytes.len());
    }

    /// Panics when these are not the bytes of one version, whichever it is.
    pub fn check_bytes(bytes: &[u8]) {
        Self::check_part(bytes);
        let byte = bytes.first().copied().unwrap_or_default();
        let of = |number: &u64| Self::byte(*number) == byte;
        let sizes = (0..3 * 251).filter(of).map(|number| Self::large(number).bytes.len());
        assert!(
            bytes.len() == 100 || sizes.into_iter().any(|size| size == bytes.len()),
            "{} bytes are not all of a version",
            bytes.len()
        );
    }

    fn byte(number: u64) -> u8 {
        (number % 251) as u8
    }
}
