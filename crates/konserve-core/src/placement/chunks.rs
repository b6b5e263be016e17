//! Cutting bytes into chunks, and where chunks live.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

use crate::Result;
use crate::backend::{Address, Partition, Space};
use crate::head::GenerationId;

/// Over how many partitions the chunks of a generation are spread: one partition of DynamoDB takes about 1 MB/s.
pub(crate) const SHARDS: u64 = 8;

/// Where the chunk of this index lives.
pub(crate) fn chunk_address(generation: GenerationId, index: u64) -> Address {
    Address::new(Space::Chunk, shard(generation, index % SHARDS), index)
}

/// One of the partitions of a generation's chunks.
pub(crate) fn shard(generation: GenerationId, shard: u64) -> Partition {
    Partition::new(format!("{}/{shard}", generation_name(generation)))
}

/// The text of a generation: 32 hexadecimal digits.
pub(crate) fn generation_name(generation: GenerationId) -> String {
    format!("{:032x}", u128::from_be_bytes(generation))
}

/// Bytes in memory as a stream of chunks, without copying.
#[derive(Debug)]
pub(crate) struct Chunks {
    rest: Bytes,
    size: usize,
}

impl Chunks {
    pub(crate) fn of(bytes: Bytes, size: usize) -> Self {
        Self { rest: bytes, size }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let length = self.rest.len().min(self.size);
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }
}
