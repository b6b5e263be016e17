//! `keys`: everything in a store, as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;

use super::Store;
use super::listing::{Parts, Place};
use super::request::impl_consistent;
use crate::backend::{Listing, Occupant, Space};
use crate::head::{Head, Kind, Meta};
use crate::{Error, Result, Value};

impl Store {
    /// What is known of each key, as a stream, in no particular order.
    ///
    /// Every key that is there during the whole listing comes, once; one that comes or goes meanwhile may or may not. All
    /// pages of the engine are read, as the stream is consumed, and where the engine says so in several parts side by side, of
    /// which no more than a page each is held in memory. Reads no values, but an engine may charge for them: on DynamoDB it is a
    /// scan, unless there is a listing index.
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
    ///
    /// let mut first = store.keys();
    /// let one = first.try_next().await?.expect("three keys are there");
    /// let position = first.position().expect("behind the first key");
    /// let rest: Vec<_> = store.keys().resume(position).try_collect().await?;
    /// assert!(rest.len() == 2 && rest.iter().all(|meta| meta.key != one.key));
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(&self) -> Keys {
        Keys {
            store: self.clone(),
            filter: Filter::default(),
            consistent: false,
            state: State::At(None),
        }
    }
}

/// The request and the stream of [`Store::keys`]. After an error it ends.
#[must_use = "a stream does nothing until it is polled"]
pub struct Keys {
    store: Store,
    filter: Filter,
    consistent: bool,
    state: State,
}

enum State {
    /// Not begun: from this position on, or from the beginning.
    At(Option<String>),
    /// Something may have been delivered.
    Under(Parts),
    /// After an error, with the position that was reached.
    Over(Option<String>),
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
    ///
    /// The stream ends with `invalid_input` at what is no position of this store. On DynamoDB, a position in a listing that goes
    /// through the listing index can neither be [`consistent`](Self::consistent) nor outlive the index.
    pub fn resume(mut self, position: impl Into<String>) -> Self {
        self.state = State::At(Some(position.into()));
        self
    }

    /// Where the stream is: behind every key that it delivered, and before all others. `None` before the first.
    ///
    /// It holds the last key of each part that the engine reads side by side.
    #[must_use]
    pub fn position(&self) -> Option<String> {
        match &self.state {
            State::At(position) | State::Over(position) => position.clone(),
            State::Under(parts) => parts.position(),
        }
    }

    /// Blocks this thread for each key.
    #[cfg(feature = "blocking")]
    pub fn call(self) -> crate::blocking::Blocking<Self> {
        crate::blocking::Blocking::new(self)
    }

    fn start(&self, position: Option<&str>) -> Result<Parts> {
        let store = &self.store.inner;
        store.check_open()?;
        let listing = Listing::all(store.how(self.consistent).without_body());
        match position {
            None => Ok(Parts::all(&store.backend, Space::Document, listing)),
            Some(position) => Parts::resume(&store.backend, Space::Document, listing, position),
        }
    }

    /// What is known of a key that was listed, if it is wanted.
    fn meta(&self, place: &Place, occupant: Occupant) -> Result<Option<Meta>> {
        let Occupant::Item(item) = occupant else {
            return Ok(None);
        };
        let envelope = &self.store.inner.envelope;
        Head::decode(envelope, &item.meta)
            .and_then(|head| head.into_meta(item.rev, item.expires))
            .map(|meta| self.filter.admits(&meta).then_some(meta))
            .map_err(|error| error.with_key(&place.at.partition))
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Meta>>> {
        self.state = State::Over(self.position());
        Poll::Ready(Some(Err(error.with_operation("keys"))))
    }
}

impl_consistent!([] Keys);

impl Stream for Keys {
    type Item = Result<Meta>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let State::At(position) = &self.state {
            match self.start(position.as_deref()) {
                Ok(parts) => self.state = State::Under(parts),
                Err(error) => return self.fail(error),
            }
        }
        loop {
            let State::Under(parts) = &mut self.state else {
                return Poll::Ready(None);
            };
            let next = match parts.poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            };
            let (place, occupant) = match next {
                None => return Poll::Ready(None),
                Some(Ok(listed)) => listed,
                Some(Err(error)) => return self.fail(error),
            };
            let meta = self.meta(&place, occupant);
            // What is not wanted, or cannot be read, is behind the position as well: whoever resumes goes on.
            if let State::Under(parts) = &mut self.state {
                parts.delivered(place);
            }
            match meta {
                Ok(None) => {}
                Ok(Some(meta)) => return Poll::Ready(Some(Ok(meta))),
                Err(error) => return self.fail(error),
            }
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("filter", &self.filter)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
