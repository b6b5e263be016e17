//! Reading records back: from their head, or from the chunks that it names.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::chunks::chunk_address;
use crate::backend::{Address, Item, Read};
use crate::head::{Head, HeadKind, Manifest};
use crate::record::{Checksum, Content};
use crate::store::Operation;
use crate::{Error, ErrorKind, Instant, Result, Revision};

/// How many bytes of a whole value are asked for in one request: a little less than one answer of DynamoDB holds.
const ANSWER: u64 = 15 << 20;

/// The most chunks that are asked for in one request: as many as one request of DynamoDB names.
const MOST_CHUNKS: u64 = 100;

/// How many requests for one value are on their way at the same time.
const ANSWERS: usize = 4;

/// How often a reader starts over because the value was replaced meanwhile.
pub(crate) const RESTARTS: usize = 10;

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) rev: Revision,
    /// The meta part of its item, which [`Head::decode`] reads.
    pub(crate) meta: Bytes,
    pub(crate) expires: Option<Instant>,
    pub(crate) content: Content,
    pub(crate) plain: Bytes,
}

/// What a head that was read leads to.
pub(crate) enum Body {
    /// The bytes themselves.
    Inline { content: Content, plain: Bytes },
    /// A head that names chunks, or that has no bytes.
    Head(Head),
}

/// What the item of a head holds.
pub(crate) fn open(operation: &Operation, item: &Item) -> Result<Body> {
    let envelope = &operation.store.envelope;
    match &item.body {
        Some(body) => {
            let opened = envelope.open(body.clone())?;
            Ok(Body::Inline {
                content: opened.content,
                plain: opened.plain,
            })
        }
        None => Ok(Body::Head(Head::decode(envelope, &item.meta)?)),
    }
}

/// The record whose head was read: as it was then, or as it is now when it was replaced before all of it was read, never a
/// mix. `None` when it was removed meanwhile.
///
/// # Errors
///
/// `corrupt` for a record that is damaged or whose chunks are missing; `contended` when it was replaced again and again;
/// `wrong_kind` for a head without bytes: a log.
pub(crate) async fn fetch(operation: &Operation, at: &Address, item: Item, strong: bool) -> Result<Option<Fetched>> {
    let mut item = item;
    for _ in 0..RESTARTS {
        if let Some(fetched) = fetch_exactly(operation, &item, strong).await? {
            return Ok(Some(fetched));
        }
        let Some(now) = operation.read(at, Read::STRONG).await? else {
            return Ok(None);
        };
        if now.rev == item.rev {
            return Err(Error::new(ErrorKind::Corrupt, "chunks are missing or damaged"));
        }
        item = now;
    }
    let message = format!("the value was replaced {RESTARTS} times while it was read");
    Err(Error::new(ErrorKind::Contended, message))
}

/// The record whose head was read, exactly as it was then. `None` when chunks of it are gone: it was replaced meanwhile, or it is
/// damaged.
///
/// # Errors
///
/// As [`fetch`], but for `contended`.
pub(crate) async fn fetch_exactly(operation: &Operation, item: &Item, strong: bool) -> Result<Option<Fetched>> {
    let fetched = |content, plain| Fetched {
        rev: item.rev,
        meta: item.meta.clone(),
        expires: item.expires,
        content,
        plain,
    };
    let head = match open(operation, item)? {
        Body::Inline { content, plain } => return Ok(Some(fetched(content, plain))),
        Body::Head(head) => head,
    };
    let manifest = manifest(&head)?;
    let mut plain = whole(operation, manifest, head.size, strong).await?;
    if plain.is_none() && !strong {
        plain = whole(operation, manifest, head.size, true).await?;
    }
    Ok(plain.map(|plain| fetched(manifest.content, plain)))
}

/// The chunks that a head names.
fn manifest(head: &Head) -> Result<&Manifest> {
    head.manifest().ok_or_else(|| match head.kind {
        HeadKind::Log { .. } => Error::new(ErrorKind::WrongKind, "a log, not a value"),
        _ => Error::new(ErrorKind::Corrupt, "a value without its bytes"),
    })
}

/// Some chunks of a value, by their indexes within it. `None` when one is missing or damaged.
pub(crate) async fn fetch_chunks(
    operation: &Operation,
    manifest: &Manifest,
    size: u64,
    indexes: Range<u64>,
    strong: bool,
) -> Result<Option<Vec<Bytes>>> {
    let at: Vec<_> = indexes
        .clone()
        .map(|index| chunk_address(manifest.generation, manifest.first + index))
        .collect();
    let how = if strong { Read::STRONG } else { Read::EVENTUAL };
    let items = operation.read_many(&at, how).await?;
    let mut chunks = Vec::with_capacity(items.len());
    for (index, item) in indexes.zip(items) {
        let Some(body) = item.and_then(|item| item.body) else {
            return Ok(None);
        };
        let opened = match operation.store.envelope.open(body) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(None),
            Err(error) => return Err(error),
        };
        let start = index * manifest.chunk_size;
        let expected = manifest.chunk_size.min(size.saturating_sub(start));
        if opened.content != Content::Raw || opened.plain.len() as u64 != expected {
            return Ok(None);
        }
        chunks.push(opened.plain);
    }
    Ok(Some(chunks))
}

/// Indexes of chunks, so many at a time.
pub(crate) fn windows(indexes: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let end = indexes.end;
    let starts = indexes.step_by(usize::try_from(size.max(1)).unwrap_or(usize::MAX));
    starts.map(move |start| start..end.min(start.saturating_add(size.max(1))))
}

/// The bytes of some chunks of a value in one piece of so many bytes, and their checksum. They are read in as few requests as
/// there can be, some of them side by side. `None` as soon as there is none for some.
///
/// # Errors
///
/// `too_large` for what does not fit into memory.
pub(crate) async fn assemble<F>(
    manifest: &Manifest,
    indexes: Range<u64>,
    length: u64,
    fetch: impl Fn(Range<u64>) -> F,
) -> Result<Option<(Bytes, u64)>>
where
    F: Future<Output = Result<Option<Vec<Bytes>>>>,
{
    let window = (ANSWER / manifest.chunk_size.max(1)).clamp(1, MOST_CHUNKS);
    let mut answers = stream::iter(windows(indexes, window)).map(fetch).buffered(ANSWERS);
    let mut checksum = Checksum::new();
    let mut whole: Vec<u8> = Vec::new();
    while let Some(chunks) = answers.try_next().await? {
        let Some(mut chunks) = chunks else {
            return Ok(None);
        };
        chunks.iter().for_each(|chunk| checksum.update(chunk));
        if whole.capacity() == 0 {
            if chunks.len() == 1 && chunks[0].len() as u64 == length {
                return Ok(Some((chunks.swap_remove(0), checksum.finish())));
            }
            let fits = usize::try_from(length).is_ok_and(|length| whole.try_reserve_exact(length).is_ok());
            if !fits {
                let message = format!("{length} bytes do not fit into the memory of this process");
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    }
    Ok(Some((whole.into(), checksum.finish())))
}

async fn whole(operation: &Operation, manifest: &Manifest, size: u64, strong: bool) -> Result<Option<Bytes>> {
    let fetch = |window| fetch_chunks(operation, manifest, size, window, strong);
    let found = assemble(manifest, 0..manifest.count, size, fetch).await?;
    Ok(found
        .filter(|(plain, checksum)| plain.len() as u64 == size && *checksum == manifest.checksum)
        .map(|(plain, _)| plain))
}
