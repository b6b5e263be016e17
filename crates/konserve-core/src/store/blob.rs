//! What `bget` gives: bytes that are read when they are asked for, as a whole, as a stream, or in part.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::request::{Common, impl_request};
use super::{Operation, Store};
use crate::backend::{Address, Item, Read};
use crate::head::{Head, Manifest, Meta};
use crate::placement::{assemble, fetch_chunks, windows};
use crate::{Error, ErrorKind, Result};

/// A binary, or a range of it, as it was when it was opened.
///
/// It stays readable for [`read_grace_ms`](super::Options::read_grace_ms) after it was replaced, removed or expired; later reads of a
/// large one end with an error of kind `contended`, never with other bytes.
#[derive(Debug, Clone)]
pub struct Blob {
    common: Common,
    operation: Operation,
    at: Address,
    strong: bool,
    meta: Meta,
    source: Held,
    /// The bytes of the whole binary.
    size: u64,
    start: u64,
    end: u64,
}

#[derive(Debug, Clone)]
enum Held {
    Inline(Bytes),
    Chunks(Manifest),
}

impl Blob {
    /// The binary of a head that was read.
    pub(crate) fn open(operation: Operation, at: Address, strong: bool, item: &Item, head: Head) -> Result<Self> {
        let source = match (&item.body, head.manifest()) {
            (Some(body), _) => Held::Inline(operation.store.envelope.open(body.clone())?.plain),
            (None, Some(manifest)) => Held::Chunks(manifest.clone()),
            (None, None) => return Err(Error::new(ErrorKind::Corrupt, "a binary without bytes")),
        };
        let size = head.size;
        Ok(Self {
            common: Common::new(&Store {
                inner: operation.store.clone(),
            }),
            operation,
            at,
            strong,
            meta: head.into_meta(item.rev, item.expires)?,
            source,
            size,
            start: 0,
            end: size,
        })
    }

    /// How many bytes this has.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of the whole binary.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// A range of the bytes of this, cut off at its end; reads nothing yet. Only the chunks that it touches will be read.
    #[must_use]
    pub fn range(&self, range: impl RangeBounds<u64>) -> Self {
        let from = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let start = self.start.saturating_add(from).min(self.end);
        let end = self.start.saturating_add(to).clamp(start, self.end);
        Self {
            start,
            end,
            ..self.clone()
        }
    }

    /// All bytes, in memory. Of a whole large binary, the checksum over all of it is verified as well.
    ///
    /// They come in requests of up to 15 MiB, four at a time: beside the bytes, 60 MiB of them and their text on the wire are in
    /// memory at most. [`stream`](Self::stream) takes less.
    ///
    /// # Errors
    ///
    /// `corrupt` when what is stored is damaged; `contended` when the binary was replaced or removed too long ago; `too_large`
    /// when there is not as much memory.
    pub fn bytes(&self) -> BlobBytes {
        BlobBytes {
            common: self.common.clone(),
            blob: self.clone(),
        }
    }

    /// The bytes as a stream, which reads ahead while the consumer works.
    ///
    /// At most [`chunks_in_flight`](super::Options::chunks_in_flight) chunks are on their way or in memory, the one that the
    /// consumer holds not counted. They are asked for in requests of a quarter of that, side by side. When nobody takes
    /// them, no more are asked for.
    ///
    /// Errors as [`bytes`](Self::bytes), but the checksum is verified of each chunk, not over all of them; after an error
    /// the stream ends. It can be dropped at any time.
    pub fn stream(&self) -> BlobStream {
        BlobStream(match &self.source {
            Held::Inline(bytes) => stream::iter([Ok(self.part_of_inline(bytes))]).boxed(),
            Held::Chunks(manifest) => ReadAhead::new(self, manifest).boxed(),
        })
    }

    fn part_of_inline(&self, bytes: &Bytes) -> Bytes {
        // The size in the head and the body come from one write; a head that says otherwise still cannot cause a panic.
        let length = bytes.len();
        let start = usize::try_from(self.start).unwrap_or(length).min(length);
        let end = usize::try_from(self.end).unwrap_or(length).clamp(start, length);
        bytes.slice(start..end)
    }

    /// The indexes of the chunks that this touches.
    fn indexes(&self, manifest: &Manifest) -> Range<u64> {
        if self.is_empty() {
            return 0..0;
        }
        self.start / manifest.chunk_size..(self.end - 1) / manifest.chunk_size + 1
    }

    /// The bytes of this that are in some of its chunks.
    async fn window(&self, indexes: Range<u64>) -> Result<Vec<Bytes>> {
        let Held::Chunks(manifest) = &self.source else {
            return Ok(Vec::new());
        };
        let named = |error: Error| error.with_operation("bget").with_key(&self.meta.key);
        let fetch = async |strong| {
            fetch_chunks(&self.operation, manifest, self.size, indexes.clone(), strong)
                .await
                .map_err(named)
        };
        let mut chunks = fetch(self.strong).await?;
        if chunks.is_none() && !self.strong {
            chunks = fetch(true).await?;
        }
        let Some(mut chunks) = chunks else {
            return Err(named(self.why_missing().await?));
        };
        let first = indexes.start * manifest.chunk_size;
        for (number, chunk) in chunks.iter_mut().enumerate() {
            let from = first + number as u64 * manifest.chunk_size;
            let start = self.start.saturating_sub(from).min(chunk.len() as u64);
            let end = self.end.saturating_sub(from).min(chunk.len() as u64);
            *chunk = chunk.slice(start as usize..end.max(start) as usize);
        }
        Ok(chunks)
    }

    /// Chunks that cannot be read are damaged, unless the head no longer names them.
    async fn why_missing(&self) -> Result<Error> {
        let item = self.operation.read(&self.at, Read::STRONG.without_body()).await?;
        Ok(match item {
            Some(item) if item.rev == self.meta.revision => {
                Error::new(ErrorKind::Corrupt, "chunks are missing or damaged")
            }
            _ => Error::new(
                ErrorKind::Contended,
                "the binary was replaced or removed while it was read",
            ),
        })
    }
}

/// The request of [`Blob::bytes`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct BlobBytes {
    common: Common,
    blob: Blob,
}

impl BlobBytes {
    async fn run(self) -> Result<Bytes> {
        let Self { common, blob } = self;
        let key = blob.meta.key.clone();
        Operation::run(common.store.inner, "bget", Some(&key), common.timeout, async |_| {
            let manifest = match &blob.source {
                Held::Inline(bytes) => return Ok(blob.part_of_inline(bytes)),
                Held::Chunks(manifest) => manifest,
            };
            let fetch = |window| blob.window(window).map(|pieces| pieces.map(Some));
            let found = assemble(manifest, blob.indexes(manifest), blob.len(), fetch).await?;
            let (bytes, checksum) = found.unwrap_or_default();
            let whole = blob.start == 0 && blob.end == blob.size;
            if whole && checksum != manifest.checksum {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "the checksum over all chunks does not match",
                ));
            }
            Ok(bytes)
        })
        .await
    }
}

impl_request!([] BlobBytes => Result<Bytes>);

/// The stream of [`Blob::stream`].
#[must_use = "a stream does nothing until it is polled"]
pub struct BlobStream(BoxStream<'static, Result<Bytes>>);

impl BlobStream {
    /// Blocks this thread for each piece.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_next_unpin(context);
        if let Poll::Ready(Some(Err(_))) = next {
            self.0 = stream::empty().boxed();
        }
        next
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobStream")
    }
}

/// Chunks that are read before they are asked for, a bounded number of them.
struct ReadAhead {
    blob: Blob,
    /// The chunks that nobody has asked for yet.
    rest: Range<u64>,
    /// How many chunks may be here or on their way.
    most: u64,
    /// How many chunks one request asks for.
    window: u64,
    /// What is on its way, in order.
    on_their_way: VecDeque<Window>,
    /// What is here, in order.
    here: VecDeque<Bytes>,
}

/// Chunks on their way.
struct Window {
    chunks: u64,
    fetch: Fetch,
}

enum Fetch {
    /// By a task of its own, so that they come while nobody polls the stream. Dropping it aborts the task.
    Task(JoinSet<Result<Vec<Bytes>>>),
    /// By whoever polls the stream, where there is no runtime to run a task.
    InPlace(BoxFuture<'static, Result<Vec<Bytes>>>),
}

impl ReadAhead {
    fn new(blob: &Blob, manifest: &Manifest) -> Self {
        let most = blob.operation.store.options.chunks_in_flight.max(1) as u64;
        Self {
            rest: blob.indexes(manifest),
            blob: blob.clone(),
            most,
            window: most.div_ceil(4),
            on_their_way: VecDeque::new(),
            here: VecDeque::new(),
        }
    }

    /// Asks for as much as there is room for.
    fn ask(&mut self) {
        let asked: u64 = self.on_their_way.iter().map(|window| window.chunks).sum();
        let mut held = asked + self.here.len() as u64;
        while let Some(indexes) = windows(self.rest.clone(), self.window).next() {
            let chunks = indexes.end - indexes.start;
            if held + chunks > self.most {
                return;
            }
            held += chunks;
            self.rest.start = indexes.end;
            let blob = self.blob.clone();
            let fetch = async move { blob.window(indexes).await }.in_current_span();
            let fetch = match Handle::try_current() {
                Ok(runtime) => {
                    let mut task = JoinSet::new();
                    task.spawn_on(fetch, &runtime);
                    Fetch::Task(task)
                }
                Err(_) => Fetch::InPlace(fetch.boxed()),
            };
            self.on_their_way.push_back(Window { chunks, fetch });
        }
    }
}

impl Stream for ReadAhead {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let piece = self.here.pop_front();
            self.ask();
            if let Some(piece) = piece {
                return Poll::Ready(Some(Ok(piece)));
            }
            let Some(next) = self.on_their_way.front_mut() else {
                return Poll::Ready(None);
            };
            let fetched = std::task::ready!(next.fetch.poll(context));
            self.on_their_way.pop_front();
            match fetched {
                Ok(pieces) => self.here = pieces.into(),
                Err(error) => {
                    self.rest = 0..0;
                    self.on_their_way.clear();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Fetch {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<Bytes>>> {
        let task = match self {
            Self::InPlace(fetch) => return fetch.poll_unpin(context),
            Self::Task(task) => task,
        };
        Poll::Ready(match std::task::ready!(task.poll_join_next(context)) {
            Some(Ok(fetched)) => fetched,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(Error::new(ErrorKind::Unavailable, "the runtime that was reading ended")),
        })
    }
}
