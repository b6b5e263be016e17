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
use futures::TryStreamExt;

use super::chunks::{SHARDS, chunk_address, generation_name, shard};
use crate::backend::{Address, Item, Partition, Purge, Read, RowQuery, Space, When, Written};
use crate::head::{self, Fields, GenerationId, Head, address_from_value, address_to_value};
use crate::record::{Codec, Envelope};
use crate::store::{Inner, Operation};
use crate::value::Map;
use crate::{Error, ErrorKind, Result, Value};

/// What a generation row says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) state: State,
    /// How many chunks there are; unknown until the last one is written.
    pub(super) chunks: Option<u64>,
    /// The addresses whose heads named this generation when it became live.
    pub(super) heads: Vec<Address>,
}

/// How far a generation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Live,
    Dead,
    Purged,
}

/// Where the row of a generation lives.
pub(super) fn row_address(id: GenerationId) -> Address {
    Address::new(Space::Generation, Partition::new(generation_name(id)), 0)
}

impl Row {
    pub(super) fn encode(&self, envelope: &Envelope) -> Result<Bytes> {
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

    pub(super) fn decode(envelope: &Envelope, meta: &Bytes) -> Result<Self> {
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
        let chunks = fields.take_u64_if_there("chunks")?;
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

impl Patience {
    /// From when it is announced that rows of a log go until they do: no writer believes any more that they are the end of the log,
    /// and no request of one that did is on its way.
    pub(crate) fn until_log_rows_go(&self) -> Duration {
        self.log_lease + self.request_horizon
    }
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

pub(super) async fn purge_chunks(operation: &Operation, id: GenerationId, chunks: Option<u64>) -> Result<u64> {
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
