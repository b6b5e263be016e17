//! `bassoc`, `bget`: bytes of any size.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::io::AsyncRead;

use super::request::{Common, impl_conditions, impl_consistent, impl_request};
use super::write::{Condition, is_a_log, put};
use super::{Operation, Store, document};
use crate::backend::{Address, Read};
use crate::head::{Head, HeadKind, Manifest, Meta};
use crate::placement::{self, fetch_chunks};
use crate::record::{Checksum, Content};
use crate::value::Map;
use crate::{Error, ErrorKind, Key, Result, Revision};

impl Store {
    /// Stores bytes at a key, of any size and from any source, whatever is there, a log excepted.
    ///
    /// Small ones are one conditional write. Larger ones are cut into chunks, of which a bounded number is in memory at a time,
    /// and become visible all at once at the end: a reader sees the old value or the new one.
    ///
    /// # Errors
    ///
    /// `wrong_kind` over a log; `invalid_input` when the source fails, with its error as the source; `unsupported` above the
    /// item limit of an engine without transactions. Nothing is changed then.
    pub fn bassoc(&self, key: impl Into<Key>, body: impl Into<Body>) -> Bassoc {
        Bassoc {
            common: Common::new(self),
            key: key.into(),
            body: body.into(),
            condition: Condition::None,
            user: Ok(Map::new()),
        }
    }

    /// The bytes at a key; `None` when it is absent.
    ///
    /// One read, which brings the bytes of small binaries along. Those of larger ones are read by the methods of [`Blob`].
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a document or a log.
    pub fn bget(&self, key: impl Into<Key>) -> Bget {
        Bget {
            common: Common::new(self),
            key: key.into(),
            consistent: false,
        }
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Where the bytes of a binary come from: bytes, a file, a reader or a stream.
///
/// ```no_run
/// use konserve_core::store::Body;
///
/// let _ = Body::from(vec![1, 2, 3]);
/// let _ = Body::from("text");
/// let _ = Body::file("/var/log/messages");
/// let _ = Body::read(std::io::stdin());
/// let _ = Body::stream(futures::stream::iter([Ok::<_, std::io::Error>("text".into())]));
/// ```
pub struct Body(Origin);

enum Origin {
    Bytes(Bytes),
    File(PathBuf),
    Stream(BoxStream<'static, Result<Bytes, Source>>),
}

impl Body {
    /// The content of a file, read when the request runs.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(path.into()))
    }

    /// What an asynchronous reader gives.
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::stream(tokio_util::io::ReaderStream::with_capacity(reader, READ_SIZE))
    }

    /// What a reader of the standard library gives. It is read on threads for blocking work.
    pub fn read(reader: impl std::io::Read + Send + 'static) -> Self {
        let pieces = stream::try_unfold(reader, |mut reader| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; READ_SIZE];
                let length = loop {
                    match reader.read(&mut buffer) {
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        result => break result?,
                    }
                };
                buffer.truncate(length);
                Ok::<_, std::io::Error>((Bytes::from(buffer), reader))
            });
            let (piece, reader) = read.await.map_err(std::io::Error::other)??;
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, reader)))
        });
        Self::stream(pieces)
    }

    /// The pieces of a stream, in order.
    pub fn stream<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Self(Origin::Stream(pieces.map_err(Into::into).boxed()))
    }
}

const READ_SIZE: usize = 64 * 1024;

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Origin::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Bytes::copy_from_slice(bytes).into()
    }
}

impl<const N: usize> From<&[u8; N]> for Body {
    fn from(bytes: &[u8; N]) -> Self {
        Bytes::copy_from_slice(bytes).into()
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<tokio::fs::File> for Body {
    fn from(file: tokio::fs::File) -> Self {
        Self::reader(file)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Origin::File(path) => write!(f, "Body(file {})", path.display()),
            Origin::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

/// The request of [`Store::bassoc`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Bassoc {
    common: Common,
    key: Key,
    body: Body,
    condition: Condition,
    user: Result<Map>,
}

impl Bassoc {
    /// Stores these fields with the binary, for [`get_meta`](Store::get_meta): anything that serializes as a map.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = document::user_fields(&fields);
        self
    }

    async fn run(self) -> Result<Revision> {
        let Self {
            common,
            key,
            body,
            condition,
            user,
        } = self;
        Operation::run(
            common.store.inner,
            "bassoc",
            Some(&key),
            common.timeout,
            async |operation| {
                let kind = HeadKind::Binary {
                    key: key.clone(),
                    user: user?,
                };
                let placed = match body.0 {
                    Origin::Bytes(bytes) => placement::place(&operation, kind, Content::Raw, bytes).await?,
                    Origin::Stream(pieces) => place_pieces(&operation, kind, pieces).await?,
                    Origin::File(path) => {
                        let file = tokio::fs::File::open(&path).await.map_err(|error| {
                            Error::new(ErrorKind::InvalidInput, format!("cannot open {}", path.display()))
                                .with_source(error)
                        })?;
                        let Body(Origin::Stream(pieces)) = Body::reader(file) else {
                            return Err(Error::new(ErrorKind::InvalidInput, "a reader is a stream"));
                        };
                        place_pieces(&operation, kind, pieces).await?
                    }
                };
                put(&operation, &operation.store.address(&key), placed, condition).await
            },
        )
        .await
    }
}

impl_conditions!(Bassoc);
impl_request!([] Bassoc => Result<Revision>);

async fn place_pieces(
    operation: &Operation,
    kind: HeadKind,
    pieces: BoxStream<'static, Result<Bytes, Source>>,
) -> Result<placement::Placed> {
    let mut chunks = cut(pieces, operation.store.chunk_size).boxed();
    let mut read = Vec::new();
    let mut size = 0;
    // Whether it fits into one item shows only when it has ended, or has not.
    while size <= operation.store.inline_limit {
        match chunks.try_next().await? {
            Some(chunk) => {
                size += chunk.len();
                read.push(chunk);
            }
            None => return placement::place(operation, kind, Content::Raw, join(read, size)).await,
        }
    }
    let chunks = stream::iter(read.into_iter().map(Ok)).chain(chunks);
    placement::place_stream(operation, kind, Content::Raw, chunks).await
}

fn join(mut pieces: Vec<Bytes>, size: usize) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(size);
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}

/// Cuts pieces of any size into chunks of this size, the last one excepted.
fn cut(pieces: BoxStream<'static, Result<Bytes, Source>>, size: usize) -> impl Stream<Item = Result<Bytes>> {
    stream::try_unfold((pieces, BytesMut::new()), move |(mut pieces, mut buffer)| async move {
        while buffer.len() < size {
            let piece = pieces.try_next().await.map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "the source of the bytes failed").with_source(error)
            })?;
            match piece {
                Some(piece) => buffer.extend_from_slice(&piece),
                None if buffer.is_empty() => return Ok(None),
                None => return Ok(Some((buffer.split().freeze(), (pieces, buffer)))),
            }
        }
        let chunk = buffer.split_to(size).freeze();
        Ok(Some((chunk, (pieces, buffer))))
    })
}

/// The request of [`Store::bget`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Bget {
    common: Common,
    key: Key,
    consistent: bool,
}

impl Bget {
    async fn run(self) -> Result<Option<Blob>> {
        let Self {
            common,
            key,
            consistent,
        } = self;
        Operation::run(
            common.store.inner,
            "bget",
            Some(&key),
            common.timeout,
            async |operation| {
                let how = operation.store.how(consistent);
                let at = operation.store.address(&key);
                let Some(item) = operation.read(&at, how).await? else {
                    return Ok(None);
                };
                let head = Head::decode(&operation.store.envelope, &item.meta)?;
                match head.kind {
                    HeadKind::Binary { .. } => {}
                    HeadKind::Log { .. } => return Err(is_a_log()),
                    _ => {
                        return Err(Error::new(
                            ErrorKind::WrongKind,
                            "a document, not a binary: read it with `get`",
                        ));
                    }
                }
                let source = match (&item.body, head.manifest()) {
                    (Some(body), _) => Held::Inline(operation.store.envelope.open(body.clone())?.plain),
                    (None, Some(manifest)) => Held::Chunks(manifest.clone()),
                    (None, None) => return Err(Error::new(ErrorKind::Corrupt, "a binary without bytes")),
                };
                let size = head.size;
                let meta = head.into_meta(item.rev)?;
                Ok(Some(Blob {
                    common: Common::new(&Store {
                        inner: operation.store.clone(),
                    }),
                    operation,
                    at,
                    strong: how.strong,
                    meta,
                    source,
                    size,
                    start: 0,
                    end: size,
                }))
            },
        )
        .await
    }
}

impl_consistent!([] Bget);
impl_request!([] Bget => Result<Option<Blob>>);

/// A binary, or a range of it, as it was when it was opened.
///
/// It stays readable for [`read_grace_ms`](super::Options::read_grace_ms) after it was replaced or removed; later reads of a
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
    /// # Errors
    ///
    /// `corrupt` when what is stored is damaged; `contended` when the binary was replaced or removed too long ago.
    pub fn bytes(&self) -> BlobBytes {
        BlobBytes {
            common: self.common.clone(),
            blob: self.clone(),
        }
    }

    /// The bytes as a stream, of which two windows of
    /// [`chunks_in_flight`](super::Options::chunks_in_flight) chunks are in memory at most. Errors as [`bytes`](Self::bytes);
    /// after one it ends.
    pub fn stream(&self) -> BlobStream {
        let blob = self.clone();
        let stream = match &self.source {
            Held::Inline(bytes) => stream::iter([Ok(self.part_of_inline(bytes))]).boxed(),
            Held::Chunks(manifest) => {
                let (indexes, window) = (
                    self.indexes(manifest),
                    self.operation.store.options.chunks_in_flight.max(1),
                );
                let windows = indexes.clone().step_by(window);
                stream::iter(windows)
                    .map(move |first| {
                        let blob = blob.clone();
                        let last = indexes.end.min(first + window as u64);
                        async move { blob.window(first..last).await }
                    })
                    .buffered(2)
                    .map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok)))
                    .try_flatten()
                    .boxed()
            }
        };
        BlobStream(stream)
    }

    fn part_of_inline(&self, bytes: &Bytes) -> Bytes {
        // The size in the head and the body come from one write; a head that says otherwise still cannot cause a panic.
        let length = bytes.len();
        let start = usize::try_from(self.start).unwrap_or(length).min(length);
        let end = usize::try_from(self.end).unwrap_or(length).clamp(start, length);
        bytes.slice(start..end)
    }

    /// The indexes of the chunks that this touches.
    fn indexes(&self, manifest: &Manifest) -> std::ops::Range<u64> {
        if self.is_empty() {
            return 0..0;
        }
        self.start / manifest.chunk_size..(self.end - 1) / manifest.chunk_size + 1
    }

    /// The bytes of this that are in some of its chunks.
    async fn window(&self, indexes: std::ops::Range<u64>) -> Result<Vec<Bytes>> {
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
            let pieces = blob.window(blob.indexes(manifest)).await?;
            let whole = blob.start == 0 && blob.end == blob.size;
            let mut checksum = Checksum::new();
            pieces.iter().for_each(|piece| checksum.update(piece));
            if whole && checksum.finish() != manifest.checksum {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "the checksum over all chunks does not match",
                ));
            }
            let size = pieces.iter().map(Bytes::len).sum();
            Ok(join(pieces, size))
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
