//! Bytes of any length that are never in memory at once, of which every place is different.

use std::io;

use bytes::Bytes;
use futures::stream::{self, Stream};

/// The bytes of one piece.
const PIECE: usize = 64 * 1024;

/// Bytes that follow from their place.
#[derive(Debug)]
pub struct Pattern {
    block: Vec<u8>,
    place: u64,
}

impl Default for Pattern {
    fn default() -> Self {
        let block = (0..PIECE as u64).map(|index| (index * index / 7 + index) as u8);
        Self {
            block: block.collect(),
            place: 0,
        }
    }
}

impl Pattern {
    /// From this place on.
    pub fn at(place: u64) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// So many bytes from the start.
    pub fn stream(length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold(Self::default(), move |mut pattern| async move {
            let rest = length.saturating_sub(pattern.place).min(PIECE as u64);
            let mut piece = vec![0; rest as usize];
            pattern.fill(&mut piece);
            (rest > 0).then(|| (Ok(piece.into()), pattern))
        })
    }

    /// Whether these are the next bytes.
    pub fn is_next(&mut self, bytes: &[u8]) -> bool {
        let mut expected = vec![0; bytes.len()];
        self.fill(&mut expected);
        expected == bytes
    }

    /// How many bytes there were until now.
    pub fn place(&self) -> u64 {
        self.place
    }

    fn fill(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let (number, start) = (self.place / PIECE as u64, (self.place % PIECE as u64) as usize);
            let some = bytes.len().min(PIECE - start);
            let (now, rest) = std::mem::take(&mut bytes).split_at_mut(some);
            now.copy_from_slice(&self.block[start..start + some]);
            // Its first bytes say which piece it is.
            for (place, byte) in (start..8.min(start + some)).zip(&mut *now) {
                *byte = number.to_le_bytes()[place];
            }
            bytes = rest;
            self.place += some as u64;
        }
    }
}
