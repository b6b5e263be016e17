//! Generations: the life of the chunks of a large write, from before the first one to after the last.
//!
//! ```text
//!             commit with the head              head names another generation
//! pending ─────────────────────────────► live ──────────────────────────────► dead ──► purged ──► (row gone)
//!    └───────────── abandoned ───────────────────────────────────────────────► ▲
//! ```
//!
//! Each arrow is one conditional write on the row's revision, so of a collector and a writer exactly one wins, and any number
//! of collectors can work at once. `dead` waits for readers that have begun; `purged` waits for chunk writes that were still
//! on their way, and purges again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};

use super::chunks::{SHARDS, chunk_address, generation_name, shard};
use crate::backend::{Address, Item, Mutation, Partition, Purge, Read, RowQuery, Space, When, Written};
use crate::head::{self, Fields, GenerationId, Head, Manifest, address_from_value, address_to_value};
use crate::record::{Checksum, Codec, Content, Envelope};
use crate::store::{Inner, Operation};
use crate::value::Map;
use crate::{Error, ErrorKind, Result, Revision, Value};

/// What a generation row says.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    state: State,
    /// How many chunks there are; unknown until the last one is written.
    chunks: Option<u64>,
    /// The addresses whose heads named this generation when it became live.
    heads: Vec<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Live,
    Dead,
    Purged,
}

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
        let mut generation = Self {
            id: store.environment.random_id(),
            rev: store.revisions.next(),
            next: 0,
            refreshed: store.environment.clock.uptime(),
        };
        generation.write_row(operation, When::Absent).await?;
        Ok(generation)
    }

    pub(crate) fn id(&self) -> GenerationId {
        self.id
    }

    /// Writes the chunks of one value, several at a time, and says where they are and how many bytes they hold.
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
        let store = operation.store.clone();
        let (id, first) = (self.id, self.next);
        let mut checksum = Checksum::new();
        let mut size = 0;
        {
            let (checksum, size, next) = (&mut checksum, &mut size, &mut self.next);
            let writes = chunks.map_ok(|chunk| {
                checksum.update(&chunk);
                *size += chunk.len() as u64;
                let index = *next;
                *next += 1;
                write_chunk(operation, id, index, chunk)
            });
            let mut writes = std::pin::pin!(writes.try_buffer_unordered(store.options.chunks_in_flight.max(1)));
            while writes.try_next().await?.is_some() {
                if store.environment.clock.uptime().saturating_sub(self.refreshed) > store.options.abandoned_after() / 4
                {
                    // The row tells collectors that the writer is alive.
                    let rev = store.revisions.next_after(self.rev)?;
                    write_row(operation, id, rev, When::Matches(self.rev)).await?;
                    self.rev = rev;
                    self.refreshed = store.environment.clock.uptime();
                }
            }
        }
        let manifest = Manifest {
            generation: id,
            first,
            count: self.next - first,
            chunk_size: store.chunk_size as u64,
            checksum: checksum.finish(),
            content,
        };
        Ok((manifest, size))
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

    async fn write_row(&mut self, operation: &Operation, when: When) -> Result<()> {
        write_row(operation, self.id, self.rev, when).await
    }
}

/// What a flip says whose generation a collector has given up.
pub(crate) fn given_up() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the upload paused for so long that a collector gave it up; nothing was changed",
    )
}

async fn write_row(operation: &Operation, id: GenerationId, rev: Revision, when: When) -> Result<()> {
    let store = &operation.store;
    let row = Row {
        state: State::Pending,
        chunks: None,
        heads: Vec::new(),
    };
    let item = head::item(rev, store.now(), row.encode(&store.envelope)?, None);
    match operation.preparing_write(&row_address(id), item, when).await? {
        Written::Applied { .. } => Ok(()),
        Written::Refused { .. } => Err(given_up()),
    }
}

async fn write_chunk(operation: &Operation, id: GenerationId, index: u64, chunk: Bytes) -> Result<()> {
    let store = &operation.store;
    let body = store.envelope.seal(Content::Raw, &chunk)?;
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

/// Where the row of a generation lives.
fn row_address(id: GenerationId) -> Address {
    Address::new(Space::Generation, Partition::new(generation_name(id)), 0)
}

impl Row {
    fn encode(&self, envelope: &Envelope) -> Result<Bytes> {
        let state = match self.state {
            State::Pending => "pending",
            State::Live => "live",
            State::Dead => "dead",
            State::Purged => "purged",
        };
        let mut fields = Map::from([(Value::from("state"), Value::from(state))]);
        if let Some(chunks) = self.chunks {
            fields.insert(Value::from("chunks"), Value::from(chunks));
        }
        if !self.heads.is_empty() {
            let heads = self.heads.iter().map(address_to_value).collect();
            fields.insert(Value::from("heads"), Value::List(heads));
        }
        envelope.seal_value(Codec::Cbor, &Value::Map(fields))
    }

    fn decode(envelope: &Envelope, meta: &Bytes) -> Result<Self> {
        let mut fields = Fields::open(envelope, meta)?;
        let state = match fields.take_text("state")?.as_str() {
            "pending" => State::Pending,
            "live" => State::Live,
            "dead" => State::Dead,
            "purged" => State::Purged,
            other => {
                let message = format!("a generation in state {other:?}, which this version does not know");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        let chunks = match fields.take("chunks") {
            None => None,
            Some(Value::Integer(number)) if u64::try_from(number).is_ok() => u64::try_from(number).ok(),
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "a generation row without a valid number of chunks",
                ));
            }
        };
        let heads = fields
            .take_list("heads")?
            .iter()
            .map(address_from_value)
            .collect::<Result<_>>()?;
        Ok(Self { state, chunks, heads })
    }
}

/// How long to wait before what nobody names is removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) abandoned_after: Duration,
    pub(crate) read_grace: Duration,
    pub(crate) request_horizon: Duration,
    pub(crate) log_lease: Duration,
}

/// What one step of a collector did to a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It went to the next state; this many chunks were purged.
    Advanced { purged: u64 },
    /// It was removed altogether; this many chunks were purged.
    Gone { purged: u64 },
    /// A head still names it, or somebody else is at it.
    InUse,
    /// It has to wait.
    Waits(Duration),
}

/// Removes in the background what a writer replaced or gave up, where the store's options say so.
///
/// Nothing depends on it: whatever it does not finish, a collector does.
pub(crate) fn retire(operation: &Operation, id: GenerationId) {
    let store = &operation.store;
    if !store.options.background_cleanup {
        return;
    }
    let patience = Patience {
        // The writer itself says that nothing more is to be expected of a pending generation.
        abandoned_after: Duration::ZERO,
        ..store.patience()
    };
    let weak = Arc::downgrade(store);
    store.background.spawn(async move {
        loop {
            // A store that nobody uses any more is not kept alive for this.
            let Some(Ok(operation)) = weak.upgrade().map(Operation::background) else {
                return;
            };
            match advance(&operation, id, patience).await {
                Ok(Step::Advanced { .. }) => {}
                Ok(Step::Waits(time)) => {
                    drop(operation);
                    tokio::time::sleep(time).await;
                }
                Ok(Step::Gone { .. } | Step::InUse) => return,
                Err(error) => {
                    tracing::debug!(kind = %error.kind(), "a replaced value is left to the collector");
                    return;
                }
            }
        }
    });
}

/// Takes a generation one state further, if it is time.
///
/// # Errors
///
/// Those of the engine. A step whose outcome is unknown is found done or not done by the next.
pub(crate) async fn advance(operation: &Operation, id: GenerationId, patience: Patience) -> Result<Step> {
    let store = &operation.store;
    let at = row_address(id);
    let Some(item) = operation.read(&at, Read::STRONG).await? else {
        return Ok(Step::Gone { purged: 0 });
    };
    let row = Row::decode(&store.envelope, &item.meta)?;
    let age = store.age(&item);
    let wait = match row.state {
        State::Pending => patience.abandoned_after,
        State::Live => Duration::ZERO,
        State::Dead => patience.read_grace,
        State::Purged => patience.request_horizon,
    };
    if age < wait {
        return Ok(Step::Waits(wait - age));
    }
    match row.state {
        State::Pending => enter(operation, &at, &item, row, State::Dead, 0).await,
        State::Live => {
            for head in &row.heads {
                if names(operation, head, id).await? {
                    return Ok(Step::InUse);
                }
            }
            enter(operation, &at, &item, row, State::Dead, 0).await
        }
        State::Dead => {
            let purged = purge_chunks(operation, id, row.chunks).await?;
            enter(operation, &at, &item, row, State::Purged, purged).await
        }
        State::Purged => {
            let purged = purge_chunks(operation, id, row.chunks).await?;
            operation.purge(&[Purge::Row(at)]).await?;
            Ok(Step::Gone { purged })
        }
    }
}

/// The id that a generation row's address names.
pub(crate) fn id_of(at: &Address) -> Result<GenerationId> {
    u128::from_str_radix(at.partition.as_str(), 16)
        .map(u128::to_be_bytes)
        .map_err(|_| Error::new(ErrorKind::Corrupt, "a generation row under a name that is none").with_key(at))
}

async fn enter(
    operation: &Operation,
    at: &Address,
    item: &Item,
    mut row: Row,
    state: State,
    purged: u64,
) -> Result<Step> {
    let store = &operation.store;
    row.state = state;
    let rev = store.revisions.next_after(item.rev)?;
    let next = head::item(rev, store.now(), row.encode(&store.envelope)?, None);
    match operation.preparing_write(at, next, When::Matches(item.rev)).await? {
        Written::Applied { .. } => Ok(Step::Advanced { purged }),
        Written::Refused { .. } => Ok(Step::InUse),
    }
}

/// Whether the record at an address is made of chunks of this generation.
async fn names(operation: &Operation, at: &Address, id: GenerationId) -> Result<bool> {
    let Some(item) = operation.read(at, Read::STRONG.without_body()).await? else {
        return Ok(false);
    };
    let head = Head::decode(&operation.store.envelope, &item.meta)?;
    Ok(head.manifest().is_some_and(|manifest| manifest.generation == id))
}

async fn purge_chunks(operation: &Operation, id: GenerationId, chunks: Option<u64>) -> Result<u64> {
    if let Some(chunks) = chunks {
        let all = (0..chunks).map(|index| Ok(Purge::Row(chunk_address(id, index))));
        return operation.purge_all(futures::stream::iter(all)).await;
    }
    let mut purged = 0;
    for number in 0..SHARDS {
        let query = RowQuery::all(Space::Chunk, shard(id, number), Read::STRONG.without_body());
        let rows = operation.store.backend.rows(query);
        let rows = rows.map_ok(|(row, _)| Purge::Row(chunk_address(id, row)));
        purged += operation.purge_all(rows).await?;
    }
    Ok(purged)
}

impl Inner {
    /// How long this store waits before it removes what nobody names: as long as it has to by its own clock, and as much
    /// longer as the clock of whoever wrote the stamp may be behind.
    pub(crate) fn patience(&self) -> Patience {
        let drift = self.options.max_clock_drift();
        Patience {
            abandoned_after: self.options.abandoned_after() + drift,
            read_grace: self.options.read_grace() + drift,
            request_horizon: self.options.request_horizon() + drift,
            log_lease: self.options.log_lease(),
        }
    }
}
