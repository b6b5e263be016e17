//! The checksum of records and of whole values.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// XXH3-64 with seed 0 over bytes that come in pieces: how the pieces are cut does not matter.
///
/// It finds damage, not forgery.
///
/// ```
/// use konserve_core::record::Checksum;
///
/// let mut checksum = Checksum::new();
/// checksum.update(b"hello ");
/// checksum.update(b"world");
/// assert_eq!(checksum.finish(), Checksum::of(b"hello world"));
/// ```
#[derive(Clone)]
pub struct Checksum(Box<Xxh3>); // boxed: the state is half a kilobyte, and futures hold it

impl Checksum {
    /// The checksum of nothing yet.
    pub fn new() -> Self {
        Self(Box::default())
    }

    /// The checksum of bytes that are all there.
    pub fn of(bytes: &[u8]) -> u64 {
        xxh3_64(bytes)
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of everything so far. More may follow.
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({:016x})", self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // From the reference implementation: `xxhsum -H3`.
        assert_eq!(Checksum::of(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(Checksum::new().finish(), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn how_the_bytes_are_cut_does_not_matter() {
        let bytes: Vec<u8> = (0..5000_u32).map(|i| (i * 7) as u8).collect();
        for cut in [0, 1, 17, 240, 256, 1024, 4999, 5000] {
            let mut checksum = Checksum::new();
            checksum.update(&bytes[..cut]);
            checksum.update(&bytes[cut..]);
            assert_eq!(checksum.finish(), Checksum::of(&bytes), "cut at {cut}");
        }
    }
}
