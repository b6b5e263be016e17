//! `keys`: everything in a store, as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};

use super::Store;
use super::request::impl_consistent;
use crate::backend::{Address, Listing, Occupant, Partition, Space};
use crate::head::{Head, Kind, Meta};
use crate::{Result, Value};

impl Store {
    /// What is known of each key, as a stream, in no particular order.
    ///
    /// Every key that is there during the whole listing comes, once; one that comes or goes meanwhile may or may not. All
    /// pages of the engine are read, as the stream is consumed. Reads no values, but an engine may charge for them: on DynamoDB it
    /// is a scan.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// use futures::TryStreamExt;
    ///
    /// store.multi_assoc([("user:1", "Ada"), ("user:2", "Bob"), ("other", "?")]).await?;
    /// let users: Vec<_> = store.keys().prefix("user:").try_collect().await?;
    /// assert_eq!(users.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(&self) -> Keys {
        Keys {
            store: self.clone(),
            filter: Filter::default(),
            consistent: false,
            position: None,
            stream: None,
        }
    }
}

/// The request and the stream of [`Store::keys`]. After an error it ends.
#[must_use = "a stream does nothing until it is polled"]
pub struct Keys {
    store: Store,
    filter: Filter,
    consistent: bool,
    position: Option<Partition>,
    stream: Option<BoxStream<'static, Result<(Partition, Meta)>>>,
}

#[derive(Debug, Clone, Default)]
struct Filter {
    prefix: Option<String>,
    kind: Option<Kind>,
}

impl Filter {
    fn admits(&self, meta: &Meta) -> bool {
        let prefixed = match (&self.prefix, meta.key.as_value()) {
            (None, _) => true,
            (Some(prefix), Value::Text(text)) => text.starts_with(prefix),
            (Some(_), _) => false,
        };
        prefixed && self.kind.is_none_or(|kind| kind == meta.kind)
    }
}

impl Keys {
    /// Only keys that are text and start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.filter.prefix = Some(prefix.into());
        self
    }

    /// Only keys that hold this.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.filter.kind = Some(kind);
        self
    }

    /// Goes on where another stream of the same store was, by its [`position`](Self::position), also in another process.
    pub fn resume(mut self, position: impl Into<String>) -> Self {
        self.position = Some(Partition::new(position.into()));
        self
    }

    /// Where the stream is: behind the last key that it delivered. `None` before the first.
    pub fn position(&self) -> Option<&str> {
        self.position.as_ref().map(Partition::as_str)
    }

    /// Blocks this thread for each key.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }

    fn start(&self) -> BoxStream<'static, Result<(Partition, Meta)>> {
        if let Err(error) = self.store.inner.check_open() {
            return futures::stream::once(async { Err(error) }).boxed();
        }
        let store = self.store.inner.clone();
        let mut listing = Listing::all(store.how(self.consistent).without_body());
        listing.after = self
            .position
            .clone()
            .map(|partition| Address::new(Space::Document, partition, 0));
        let filter = self.filter.clone();
        let listed = store.backend.list(Space::Document, listing);
        listed
            .try_filter_map(move |(at, occupant)| {
                let meta = match occupant {
                    Occupant::Tombstone(_) => Ok(None),
                    Occupant::Item(item) => Head::decode(&store.envelope, &item.meta)
                        .and_then(|head| head.into_meta(item.rev, item.expires))
                        .map(|meta| filter.admits(&meta).then_some((at.partition.clone(), meta)))
                        .map_err(|error| error.with_key(&at.partition)),
                };
                futures::future::ready(meta)
            })
            .boxed()
    }
}

impl_consistent!([] Keys);

impl Stream for Keys {
    type Item = Result<Meta>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.start(),
        };
        let next = stream.poll_next_unpin(context);
        self.stream = Some(stream);
        next.map(|next| match next? {
            Ok((partition, meta)) => {
                self.position = Some(partition);
                Some(Ok(meta))
            }
            Err(error) => {
                self.stream = Some(futures::stream::empty().boxed());
                Some(Err(error.with_operation("keys")))
            }
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("filter", &self.filter)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
