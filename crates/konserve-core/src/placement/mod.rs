//! Placement: how a record becomes items, whatever its size, and how it is read back.
//!
//! A record below the inline limit is the body of its head. A larger one is a *generation* of chunks that the head names in
//! a manifest:
//!
//! ```text
//! generation row: pending ──► chunks ──► one commit { head := manifest, row: pending → live }
//! ```
//!
//! The row lives until its chunks are gone, so every chunk can be reached from a row, whenever the writer dies
//! (see [`generation`]). Nothing here knows of documents or logs: a head is bytes, a record is bytes.

mod chunks;
mod expiry;
mod fetch;
pub(crate) mod generation;
mod pending;

use bytes::Bytes;
use futures::Stream;

pub(crate) use self::chunks::Chunks;
pub(crate) use self::expiry::Expiry;
pub(crate) use self::fetch::{Fetched, RESTARTS, assemble, fetch, fetch_chunks, fetch_exactly, windows};
pub(crate) use self::pending::{PendingGeneration, given_up};
use crate::backend::{Address, Committed, Item, Mutation, Previous, When, Written};
use crate::head::{Head, HeadKind, Manifest, Placement};
use crate::record::Content;
use crate::store::Operation;
use crate::{Error, ErrorKind, Instant, Result, Revision};

/// A record that is ready to be stored: everything but its head has been written, and its head names no revision, so that it
/// can be tried under one revision after the other.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) meta: Bytes,
    pub(crate) body: Option<Bytes>,
    pub(crate) pinned: bool,
    pub(crate) expiry: Expiry,
    /// The generation of its chunks, if it has chunks.
    pub(crate) generation: Option<PendingGeneration>,
}

impl Placed {
    /// A record without a body.
    pub(crate) fn bare(operation: &Operation, kind: HeadKind) -> Result<Self> {
        let pinned = matches!(kind, HeadKind::Log { .. });
        let head = Head {
            kind,
            size: 0,
            placement: Placement::Inline,
        };
        Ok(Self {
            meta: head.encode(&operation.store.envelope)?,
            body: None,
            pinned,
            expiry: Expiry::Never,
            generation: None,
        })
    }

    /// The same, with an end.
    pub(crate) fn expiring(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Lets its head say something else of what it is. What it takes more than before is not checked again.
    pub(crate) fn set_kind(&mut self, operation: &Operation, kind: HeadKind) -> Result<()> {
        let envelope = &operation.store.envelope;
        let head = Head {
            kind,
            ..Head::decode(envelope, &self.meta)?
        };
        self.meta = head.encode(envelope)?;
        Ok(())
    }

    /// The bytes of its item.
    pub(crate) fn size(&self) -> usize {
        self.meta.len() + self.body.as_ref().map_or(0, Bytes::len)
    }

    /// Its item under a revision.
    pub(crate) fn item(&self, operation: &Operation, rev: Revision) -> Item {
        self.item_of(operation.store.now(), rev)
    }

    /// Its item under a revision, written at this moment.
    pub(crate) fn item_of(&self, now: Instant, rev: Revision) -> Item {
        Item {
            rev,
            pinned: self.pinned,
            expires: self.expiry.at(now),
            created: now,
            meta: self.meta.clone(),
            body: self.body.clone(),
        }
    }
}

/// Places a record that is in memory: inline if it fits, otherwise in chunks of a generation of its own.
pub(crate) async fn place(operation: &Operation, kind: HeadKind, content: Content, plain: Bytes) -> Result<Placed> {
    match inline(operation, kind, content, plain)? {
        Fit::Inline(placed) => Ok(placed),
        Fit::TooLarge { kind, plain } => {
            let chunks = Chunks::of(plain, operation.store.chunk_size);
            place_stream(operation, kind, content, chunks).await
        }
    }
}

/// Places a record in chunks of a generation of its own. The stream yields chunks of the store's chunk size, the last one
/// excepted.
pub(crate) async fn place_stream(
    operation: &Operation,
    kind: HeadKind,
    content: Content,
    chunks: impl Stream<Item = Result<Bytes>>,
) -> Result<Placed> {
    let mut generation = PendingGeneration::begin(operation).await?;
    let placed = async {
        let (manifest, size) = generation.upload(operation, content, chunks).await?;
        chunked(operation, kind, manifest, size)
    };
    match placed.await {
        Ok(mut placed) => {
            placed.generation = Some(generation);
            Ok(placed)
        }
        Err(error) => {
            generation::retire(operation, generation.id());
            Err(error)
        }
    }
}

/// A record whose chunks were written in a generation. Whoever shares the generation with others commits it himself.
pub(crate) fn chunked(operation: &Operation, kind: HeadKind, manifest: Manifest, size: u64) -> Result<Placed> {
    let head = Head {
        kind,
        size,
        placement: Placement::Chunked(manifest),
    };
    let meta = head.encode(&operation.store.envelope)?;
    operation.store.check_item_size(meta.len())?;
    Ok(Placed {
        meta,
        body: None,
        pinned: false,
        expiry: Expiry::Never,
        generation: None,
    })
}

/// A record that is one item, or the parts again.
pub(crate) enum Fit {
    Inline(Placed),
    TooLarge { kind: HeadKind, plain: Bytes },
}

/// Places a record in its head, if it fits.
pub(crate) fn inline(operation: &Operation, kind: HeadKind, content: Content, plain: Bytes) -> Result<Fit> {
    let store = &operation.store;
    let head = Head {
        size: plain.len() as u64,
        kind,
        placement: Placement::Inline,
    };
    let meta = head.encode(&store.envelope)?;
    let body = store.envelope.seal(content, &plain)?;
    if meta.len() + body.len() > store.inline_limit {
        return Ok(Fit::TooLarge { kind: head.kind, plain });
    }
    Ok(Fit::Inline(Placed {
        meta,
        body: Some(body),
        pinned: false,
        expiry: Expiry::Never,
        generation: None,
    }))
}

/// Stores a placed record at its address under a revision: one write, or the commit that also makes its generation live.
///
/// # Errors
///
/// `unavailable` when a collector gave up the generation: the upload paused for too long.
pub(crate) async fn settle(
    operation: &Operation,
    at: &Address,
    placed: &Placed,
    rev: Revision,
    when: When,
) -> Result<Written> {
    let Some(generation) = &placed.generation else {
        return operation.decisive_write(at, placed.item(operation, rev), when).await;
    };
    let all = mutations(operation, at, placed, rev, when)?;
    let committed = match operation.decisive_commit(all).await {
        Ok(committed) => committed,
        Err(error) => return Err(generation.end_failed(operation, error).await),
    };
    match committed {
        Committed::Applied => Ok(Written::Applied {
            previous: Previous::Unknown,
        }),
        Committed::Refused(refusals) => {
            let mut current = None;
            for refusal in refusals {
                if refusal.index == 0 {
                    current = Some(refusal.current);
                } else {
                    return Err(generation.end_given_up(operation).await);
                }
            }
            current.map(|current| Written::Refused { current }).ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    "the engine refused a commit without naming a mutation",
                )
            })
        }
    }
}

/// Ends with the error that a collector gave up the generation of a placed record, whose chunks it then removes.
pub(crate) async fn end_given_up(operation: &Operation, placed: &Placed) -> Error {
    match &placed.generation {
        Some(generation) => generation.end_given_up(operation).await,
        None => given_up(),
    }
}

/// What stores a placed record at its address under a revision: the write of its head, and behind it, if it has chunks, what
/// makes its generation live.
pub(crate) fn mutations(
    operation: &Operation,
    at: &Address,
    placed: &Placed,
    rev: Revision,
    when: When,
) -> Result<Vec<Mutation>> {
    let mut all = vec![Mutation::Write {
        at: at.clone(),
        item: placed.item(operation, rev),
        when,
    }];
    if let Some(generation) = &placed.generation {
        all.push(generation.make_live(operation, std::slice::from_ref(at), rev)?);
    }
    Ok(all)
}

/// Gives up a record that was placed but is not going to be stored.
pub(crate) fn discard(operation: &Operation, placed: &Placed) {
    if let Some(generation) = &placed.generation {
        generation::retire(operation, generation.id());
    }
}
