//! The writer's side of a generation: its row, its chunks, and the commit that makes it live.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, FuturesUnordered};
use futures::{Stream, StreamExt, TryStreamExt};

use super::chunks::{Chunks, chunk_address};
use super::generation::{Row, State, purge_chunks, row_address};
use crate::backend::{Address, Mutation, Read, When, Written};
use crate::head::{self, GenerationId, Manifest};
use crate::record::{Checksum, Content};
use crate::store::Operation;
use crate::{Error, ErrorKind, Outcome, Result, Revision};

/// A generation that is being written.
#[derive(Debug)]
pub(crate) struct PendingGeneration {
    id: GenerationId,
    /// The revision of its row.
    rev: Revision,
    /// The index of the next chunk.
    next: u64,
    /// When the row was written last, by the clock that counts suspends.
    refreshed: Duration,
}

impl PendingGeneration {
    /// Writes the row, before any chunk.
    ///
    /// # Errors
    ///
    /// `unsupported` on an engine without transactions.
    pub(crate) async fn begin(operation: &Operation) -> Result<Self> {
        let store = &operation.store;
        if store.capabilities.transactions.is_none() {
            let message = "a value above the engine's item limit takes transactions, which this engine has not";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_limit(store.inline_limit as u64, store.inline_limit as u64 + 1));
        }
        let refreshed = store.environment.clock.uptime();
        let (id, rev) = (store.environment.random_id(), store.revisions.next());
        match write_row(operation, id, rev, When::Absent).await? {
            Written::Applied { .. } => Ok(Self {
                id,
                rev,
                next: 0,
                refreshed,
            }),
            Written::Refused { .. } => Err(given_up()),
        }
    }

    pub(crate) fn id(&self) -> GenerationId {
        self.id
    }

    /// Writes the chunks of one value, several at a time, and says where they are and how many bytes they hold.
    ///
    /// # Errors
    ///
    /// Those of the source and of the engine; `unavailable` when a collector gave the generation up.
    ///
    /// # Cancellation
    ///
    /// Leaves a pending generation, which a collector removes.
    pub(crate) async fn upload(
        &mut self,
        operation: &Operation,
        content: Content,
        chunks: impl Stream<Item = Result<Bytes>>,
    ) -> Result<(Manifest, u64)> {
        let first = self.next;
        let mut checksum = Checksum::new();
        let mut size = 0;
        let chunks = chunks.inspect_ok(|chunk| {
            checksum.update(chunk);
            size += chunk.len() as u64;
        });
        self.write_chunks(operation, chunks).await?;
        let count = self.next - first;
        Ok((self.manifest(operation, content, first, count, &checksum), size))
    }

    /// Writes the chunks of values that are in memory, several at a time, of whichever value they are, and says where they are.
    ///
    /// Errors and cancellation as [`upload`](Self::upload).
    pub(crate) async fn upload_all(
        &mut self,
        operation: &Operation,
        content: Content,
        values: Vec<Bytes>,
    ) -> Result<Vec<Manifest>> {
        let chunk_size = operation.store.chunk_size;
        let mut first = self.next;
        let mut manifests = Vec::with_capacity(values.len());
        for plain in &values {
            let mut checksum = Checksum::new();
            checksum.update(plain);
            let count = plain.len().div_ceil(chunk_size) as u64;
            manifests.push(self.manifest(operation, content, first, count, &checksum));
            first += count;
        }
        let chunks = stream::iter(values).flat_map(|plain| Chunks::of(plain, chunk_size));
        self.write_chunks(operation, chunks).await?;
        Ok(manifests)
    }

    /// The part of the commit that makes the generation live, together with the heads that name it.
    pub(crate) fn make_live(&self, operation: &Operation, heads: &[Address], rev: Revision) -> Result<Mutation> {
        let store = &operation.store;
        let row = Row {
            state: State::Live,
            chunks: Some(self.next),
            heads: heads.to_vec(),
        };
        Ok(Mutation::Write {
            at: row_address(self.id),
            item: head::item(rev, store.now(), row.encode(&store.envelope)?, None),
            when: When::Matches(self.rev),
        })
    }

    /// Ends an upload that a collector gave up: removes the chunks that this writer wrote after the collector had gone through
    /// them, and gives the error to end with. No write of a chunk may be on its way any more.
    pub(crate) async fn end_given_up(&self, operation: &Operation) -> Error {
        self.remove_if_given_up(operation, false).await;
        given_up()
    }

    /// Ends an upload that failed with this error, and gives the error to end with. One that nobody gave up is left to collectors.
    /// No write of a chunk may be on its way any more, as far as that is known.
    pub(crate) async fn end_failed(&self, operation: &Operation, error: Error) -> Error {
        let in_doubt = error.outcome() == Outcome::Unknown;
        if self.may_be_given_up(operation) && self.remove_if_given_up(operation, in_doubt).await && error.is_retryable()
        {
            return given_up().with_source(error);
        }
        error
    }

    /// Whether the row has not been written for so long that a collector may have taken it away, and what is written now could be
    /// reached from nowhere.
    fn may_be_given_up(&self, operation: &Operation) -> bool {
        let store = &operation.store;
        let age = store.environment.clock.uptime().saturating_sub(self.refreshed);
        age >= store.options.abandoned_after()
    }

    /// Removes the chunks if the generation was given up, and says whether it was. One whose commit is in doubt may have been live, and
    /// have readers still.
    async fn remove_if_given_up(&self, operation: &Operation, in_doubt: bool) -> bool {
        let removed = async {
            let row = operation.read(&row_address(self.id), Read::STRONG).await?;
            let row = row.map(|row| Row::decode(&operation.store.envelope, &row.meta));
            match row.transpose()?.map(|row| row.state) {
                // A collector will go through it once more.
                Some(State::Dead) if in_doubt => Ok(false),
                None | Some(State::Dead | State::Purged) => {
                    purge_chunks(operation, self.id, Some(self.next)).await?;
                    Ok(true)
                }
                // Nobody gave it up, whatever a refusal said.
                Some(State::Pending | State::Live) => Ok::<_, Error>(false),
            }
        };
        removed.await.unwrap_or_else(|error| {
            tracing::debug!(kind = %error.kind(), "chunks of an upload that was given up may be left");
            false
        })
    }

    /// Writes chunks one behind the other, as many at a time as the options say. The next one is asked for only when there is
    /// room for it.
    async fn write_chunks(&mut self, operation: &Operation, chunks: impl Stream<Item = Result<Bytes>>) -> Result<()> {
        let id = self.id;
        let most = operation.store.options.chunks_in_flight.max(1);
        let mut chunks = std::pin::pin!(chunks.fuse());
        let mut writes = FuturesUnordered::new();
        let failed = loop {
            tokio::select! {
                biased;
                Some(written) = writes.next() => if let Err(error) = written {
                    break error;
                },
                chunk = chunks.next(), if !chunks.is_done() && writes.len() < most => {
                    let chunk = match chunk.transpose() {
                        Ok(Some(chunk)) => chunk,
                        Ok(None) => continue,
                        Err(error) => break error,
                    };
                    match self.is_kept(operation).await {
                        Ok(true) => {}
                        Ok(false) => {
                            while writes.next().await.is_some() {}
                            return Err(self.end_given_up(operation).await);
                        }
                        Err(error) => break error,
                    }
                    writes.push(write_chunk(operation, id, self.next, chunk));
                    self.next += 1;
                }
                else => return Ok(()),
            }
        };
        // What is still on its way is of no use, but for a collector that was there before it, it would be out of reach.
        if self.may_be_given_up(operation) {
            while writes.next().await.is_some() {}
        }
        Err(self.end_failed(operation, failed).await)
    }

    /// Tells collectors from time to time that the writer is alive; `false` when one gave it up.
    async fn is_kept(&mut self, operation: &Operation) -> Result<bool> {
        let store = &operation.store;
        let now = store.environment.clock.uptime();
        if now.saturating_sub(self.refreshed) <= store.options.abandoned_after() / 4 {
            return Ok(true);
        }
        let rev = store.revisions.next_after(self.rev)?;
        match write_row(operation, self.id, rev, When::Matches(self.rev)).await? {
            Written::Applied { .. } => {
                (self.rev, self.refreshed) = (rev, now);
                Ok(true)
            }
            Written::Refused { .. } => Ok(false),
        }
    }

    fn manifest(
        &self,
        operation: &Operation,
        content: Content,
        first: u64,
        count: u64,
        checksum: &Checksum,
    ) -> Manifest {
        Manifest {
            generation: self.id,
            first,
            count,
            chunk_size: operation.store.chunk_size as u64,
            checksum: checksum.finish(),
            content,
        }
    }
}

/// What a flip says whose generation a collector has given up.
pub(crate) fn given_up() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the upload paused for so long that a collector gave it up; nothing was changed",
    )
}

async fn write_row(operation: &Operation, id: GenerationId, rev: Revision, when: When) -> Result<Written> {
    let store = &operation.store;
    let row = Row {
        state: State::Pending,
        chunks: None,
        heads: Vec::new(),
    };
    let item = head::item(rev, store.now(), row.encode(&store.envelope)?, None);
    operation.preparing_write(&row_address(id), item, when).await
}

async fn write_chunk(operation: &Operation, id: GenerationId, index: u64, chunk: Bytes) -> Result<()> {
    let store = &operation.store;
    let body = store.envelope.seal(Content::Raw, &chunk)?;
    // While it is on its way it is in memory once, not twice.
    drop(chunk);
    let item = head::item(store.revisions.next(), store.now(), Bytes::new(), Some(body));
    match operation
        .preparing_write(&chunk_address(id, index), item, When::Always)
        .await?
    {
        Written::Applied { .. } => Ok(()),
        Written::Refused { .. } => Err(Error::new(
            ErrorKind::Corrupt,
            "an engine refused an unconditional write",
        )),
    }
}
