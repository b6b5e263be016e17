//! `trim`.

use super::request::{Common, impl_request};
use super::{Operation, Store};
use crate::log::{self, Position};
use crate::{Key, Result};

impl Store {
    /// Removes the entries of the log at a key that are before a position. Positions stay what they are: the log begins later, and
    /// the next entry goes where it would have gone. Says at which position the log begins now; `None` for an absent key.
    ///
    /// All entries can be trimmed, but not those to come: a position behind the end counts as the end. A log that begins behind the
    /// position already stays as it is.
    ///
    /// From one moment on nobody sees the entries any more (within seconds where reads are not
    /// [`consistent`](super::Log::consistent)); a reader that is in the midst of them goes on for a while, and then ends with
    /// `trimmed`, never with a gap. Their items are removed [half an hour](super::Options::log_lease_ms) after that, in the background
    /// or by [`collect`](Self::collect), as whole items: one that holds entries to be kept stays, and so does the last one. The chunks
    /// of entries that were larger than an item are removed by `collect`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// use futures::TryStreamExt;
    ///
    /// store.append_all("events", ["a", "b", "c"]).await?;
    /// assert_eq!(store.trim("events", 2).await?, Some(2));
    /// let rest: Vec<(u64, String)> = store.log("events").with_positions().try_collect().await?;
    /// assert_eq!(rest, [(2, "c".to_owned())]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Five requests: where the log ends, which item holds the position, and the announcement.
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a document or a binary; `contended`; `unknown_outcome`: trimming again is harmless.
    pub fn trim(&self, key: impl Into<Key>, before: Position) -> Trim {
        Trim {
            common: Common::new(self),
            key: key.into(),
            before,
        }
    }
}

/// The request of [`Store::trim`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Trim {
    common: Common,
    key: Key,
    before: Position,
}

impl Trim {
    async fn run(self) -> Result<Option<Position>> {
        let Self { common, key, before } = self;
        let trim = async |operation| log::trim(&operation, &key, before).await;
        Operation::run(common.store.inner, "trim", Some(&key), common.timeout, trim).await
    }
}

impl_request!([] Trim => Result<Option<Position>>);
