//! `append`, `append_all`.

use serde::Serialize;

use super::request::{Common, impl_request};
use super::{Operation, Store};
use crate::log::{self, Entries, Position, SEGMENT};
use crate::value::to_value;
use crate::{Error, ErrorKind, Key, Result, Value};

impl Store {
    /// Appends an entry to the log at a key, which is created if the key is absent, and says at which position it is.
    ///
    /// One write when this store appended to the log before; three reads more otherwise, or a read and a commit to create it. Any
    /// number of writers in any number of processes: positions are dense from 0, in one order for all readers.
    ///
    /// Appends that come while another one to the same log is under way go into one item together, so under load it takes fewer
    /// requests than there are entries (see [`Options::append_batch`](super::Options::append_batch)). They are in the log in the order
    /// in which their futures were first polled; what does not fit into an item comes when its chunks are stored.
    ///
    /// Requests are sent by a task of the store, within the span of `tracing` of the first of those who share them. A runtime of tokio
    /// has to have its timers enabled; without a runtime the append is carried out by its own future.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// assert_eq!(store.append("events", "opened").await?, 0);
    /// let (a, b) = tokio::join!(store.append("events", "a").into_future(), store.append("events", "b").into_future());
    /// assert_eq!((a?, b?), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a document or a binary; `contended` when other writers kept winning; `unknown_outcome` when the engine
    /// stopped answering: the entry is in the log once or not at all. An error reaches those whose entries it is about, and nobody
    /// else: all who shared the item, or who were waiting when the log could not be reached.
    ///
    /// # Cancellation
    ///
    /// Before its item is on its way, the entry is not appended; after that it may be. Appends that share the item go on.
    pub fn append<E: Serialize + ?Sized>(&self, key: impl Into<Key>, entry: &E) -> Append {
        self.append_values(key.into(), to_value(entry).map(|value| vec![value]), "append")
    }

    /// Appends entries together: they are in the log one behind the other, or not at all. Says at which position the first one
    /// is.
    ///
    /// As [`append`](Self::append) otherwise; entries that do not fit into one item together take chunks.
    ///
    /// # Errors
    ///
    /// `invalid_input` without entries; `too_many_items` above 65,536.
    pub fn append_all(&self, key: impl Into<Key>, entries: impl IntoIterator<Item = impl Serialize>) -> Append {
        let entries = entries.into_iter().map(|entry| to_value(&entry)).collect();
        self.append_values(key.into(), entries, "append_all")
    }

    fn append_values(&self, key: Key, entries: Result<Vec<Value>>, name: &'static str) -> Append {
        Append {
            common: Common::new(self),
            key,
            entries,
            name,
        }
    }
}

/// The request of [`Store::append`] and [`Store::append_all`].
///
/// Dropping its future leaves the entries in the log or not, all or none; appending again may then append twice.
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Append {
    common: Common,
    key: Key,
    entries: Result<Vec<Value>>,
    name: &'static str,
}

impl Append {
    async fn run(self) -> Result<Position> {
        let Self {
            common,
            key,
            entries,
            name,
        } = self;
        Operation::run(
            common.store.inner,
            name,
            Some(&key),
            common.timeout,
            async |operation| {
                let entries = entries?;
                match entries.len() as u64 {
                    0 => return Err(Error::new(ErrorKind::InvalidInput, "no entries to append")),
                    count if count > SEGMENT => {
                        let error = Error::new(ErrorKind::TooManyItems, "too many entries at once");
                        return Err(error.with_limit(SEGMENT, count));
                    }
                    _ => {}
                }
                let entries = Entries::place(&operation, entries).await?;
                log::append(&operation, &key, entries).await
            },
        )
        .await
    }
}

impl_request!([] Append => Result<Position>);
