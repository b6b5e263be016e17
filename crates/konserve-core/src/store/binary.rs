//! `bassoc`, `bget`: bytes of any size, from any source. What `bget` gives is in [`blob`](super::blob).

use std::fmt;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::io::AsyncRead;

use super::request::{Common, impl_conditions, impl_consistent, impl_request, impl_ttl};
use super::write::{Condition, is_a_log, put};
use super::{Blob, Operation, Store, document};
use crate::head::{Head, HeadKind};
use crate::placement::{self, Expiry};
use crate::record::Content;
use crate::value::Map;
use crate::{Error, ErrorKind, Key, Result, Revision};

impl Store {
    /// Stores bytes at a key, of any size and from any source, whatever is there, a log excepted.
    ///
    /// Without [`ttl`](Bassoc::ttl) the binary stays for good, whatever it replaces.
    ///
    /// Small ones are one conditional write. Larger ones are cut into chunks and become visible all at once at the end: a
    /// reader sees the old value or the new one. Of a file, a reader or a stream,
    /// [`chunks_in_flight`](super::Options::chunks_in_flight) chunks are in memory at a time, and no more is taken from it before
    /// one of them is stored. While less than an item of the engine has come, all of that is in memory.
    ///
    /// # Errors
    ///
    /// `wrong_kind` over a log; `invalid_input` when the source fails, with its error as the source, and for a time to live of
    /// zero or above a hundred years; `unsupported` above the
    /// item limit of an engine without transactions. Nothing is changed then.
    pub fn bassoc(&self, key: impl Into<Key>, body: impl Into<Body>) -> Bassoc {
        Bassoc {
            common: Common::new(self),
            key: key.into(),
            body: body.into(),
            condition: Condition::None,
            user: Ok(Map::new()),
            expiry: Ok(Expiry::Never),
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

    /// The pieces of a stream, in order. It is not polled again after its end.
    pub fn stream<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Self(Origin::Stream(pieces.map_err(Into::into).fuse().boxed()))
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
    expiry: Result<Expiry>,
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
            expiry,
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
                let expiry = expiry?;
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
                let at = operation.store.address(&key);
                put(&operation, &at, placed.expiring(expiry), condition).await
            },
        )
        .await
    }
}

impl_conditions!(Bassoc);
impl_ttl!(Bassoc);
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

/// Cuts pieces of any size into chunks of this size, the last one excepted. Of the pieces, one is in memory at a time.
fn cut(pieces: BoxStream<'static, Result<Bytes, Source>>, size: usize) -> impl Stream<Item = Result<Bytes>> {
    stream::try_unfold((pieces, Bytes::new()), move |(mut pieces, mut piece)| async move {
        let mut chunk = BytesMut::new();
        while chunk.len() < size {
            if piece.is_empty() {
                let next = pieces.try_next().await.map_err(|error| {
                    Error::new(ErrorKind::InvalidInput, "the source of the bytes failed").with_source(error)
                })?;
                match next {
                    Some(next) => piece = next,
                    None => break,
                }
            } else if chunk.is_empty() && piece.len() >= size {
                return Ok(Some((piece.split_to(size), (pieces, piece))));
            } else {
                if chunk.is_empty() {
                    // Exactly, for a chunk on its way takes all the memory that was reserved for it.
                    chunk.reserve(size);
                }
                let some = piece.len().min(size - chunk.len());
                chunk.extend_from_slice(&piece.split_to(some));
            }
        }
        Ok((!chunk.is_empty()).then(|| (chunk.freeze(), (pieces, piece))))
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
                Blob::open(operation, at, how.strong, &item, head).map(Some)
            },
        )
        .await
    }
}

impl_consistent!([] Bget);
impl_request!([] Bget => Result<Option<Blob>>);
