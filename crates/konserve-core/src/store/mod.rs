//! The store: documents, binaries and logs by key, over any engine.
//!
//! What lives here: one file for each kind of call, which turns it into reads and conditional writes of whole records. What
//! must not: how records become items (`placement`), how logs keep their order (`log`), what a path means (`nested`).

mod append;
mod background;
mod backoff;
mod binary;
mod blob;
mod collect;
mod document;
mod keys;
mod listing;
mod locks;
mod log;
mod multi;
mod multi_get;
mod operation;
mod options;
mod read;
mod reduce;
mod request;
mod rivalry;
mod stats;
mod trim;
mod update;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

pub(crate) use self::backoff::Backoff;
pub(crate) use self::collect::{is_unreadable, report_unreadable};
pub(crate) use self::listing::everything;
pub(crate) use self::locks::KeyGuard;
pub(crate) use self::operation::{Answer, Operation};
pub(crate) use self::rivalry::Rivalry;

pub use self::append::Append;
pub use self::binary::{Bassoc, Bget, Body};
pub use self::blob::{Blob, BlobBytes, BlobStream};
pub use self::collect::{Collect, CollectReport};
pub use self::keys::Keys;
pub use self::log::{Log, LogFirst, LogLen, Plain, Positioned};
pub use self::multi::{MultiAssoc, MultiDissoc};
pub use self::multi_get::{GetMany, MultiGet};
pub use self::options::Options;
pub use self::read::{Exists, Get, GetMeta, GetWithMeta};
pub use self::reduce::{Checkpointed, ReduceLog};
pub use self::stats::Stats;
pub use self::trim::Trim;
pub use self::update::{TryUpdate, Update, UpdateError, Updated};
pub use self::write::{Assoc, AssocIn, Dissoc, DissocIn};

use self::background::Background;
use self::locks::KeyLocks;
use self::stats::Figures;
use crate::backend::{Address, Backend, Capabilities, Item, Partition, Read, Space};
use crate::log::{Groups, Tails, Trims};
use crate::record::Envelope;
use crate::rev::RevisionClock;
use crate::{Environment, Error, ErrorKind, Instant, Key, Result};

/// The most keys that one `multi_*` call takes, on every engine.
pub const MULTI_LIMIT: usize = 100;

/// What an item needs beside its body, when a chunk is cut to the largest item of an engine.
const CHUNK_OVERHEAD: usize = 512;

/// Chunks are no smaller than this, whatever the options say.
const SMALLEST_CHUNK: usize = 1024;

/// A document store over some engine. Cheap to clone; clones share everything.
///
/// Methods return requests, which own what they need. A request runs when it is awaited (or, with the feature `blocking`,
/// when `.call()` is called), and does nothing before. Options chain in front of that.
///
/// Unless its documentation says otherwise, dropping the future of a write leaves it applied or not applied as a whole.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve_core::Result<()> {
/// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
/// use konserve_core::{kw, path};
///
/// store.assoc_in(path!["foo", kw!("bar")], &42).await?;
/// let updated = store.update_in(path!["foo", kw!("bar")], |n: Option<i64>| n.unwrap_or(0) + 1).await?;
/// assert_eq!((updated.old, updated.new), (Some(42), 43));
/// assert_eq!(store.get_in::<i64>(path!["foo", kw!("bar")]).await?, Some(43));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones of a store share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) capabilities: Capabilities,
    pub(crate) options: Options,
    pub(crate) environment: Environment,
    pub(crate) revisions: RevisionClock,
    pub(crate) locks: KeyLocks,
    pub(crate) tails: Tails,
    pub(crate) groups: Groups,
    pub(crate) trims: Trims,
    pub(crate) envelope: Envelope,
    pub(crate) background: Background,
    pub(crate) figures: Figures,
    /// The most bytes of a record that is one item.
    pub(crate) inline_limit: usize,
    /// The bytes of a chunk, before compression.
    pub(crate) chunk_size: usize,
    closed: AtomicBool,
}

/// Builds a [`Store`] that is not all default.
#[derive(Debug)]
#[must_use]
pub struct StoreBuilder {
    backend: Arc<dyn Backend>,
    options: Options,
    environment: Environment,
    shared_locks: bool,
}

impl Store {
    /// A store over this engine with default options.
    pub fn new(backend: impl Backend) -> Self {
        Self::builder(backend).build()
    }

    /// Starts a store over this engine.
    pub fn builder(backend: impl Backend) -> StoreBuilder {
        StoreBuilder {
            backend: Arc::new(backend),
            options: Options::default(),
            environment: Environment::default(),
            shared_locks: true,
        }
    }

    /// What the engine can do.
    pub fn capabilities(&self) -> Capabilities {
        self.inner.capabilities
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Ends background work and lets go of the engine. Later calls on any clone answer `closed`.
    ///
    /// # Errors
    ///
    /// Those of the engine. Closing twice is harmless.
    pub async fn close(&self) -> Result<()> {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.background.abort();
        self.inner
            .backend
            .close()
            .await
            .map_err(|error| error.with_operation("close"))
    }
}

impl StoreBuilder {
    /// How the store behaves.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Where time and randomness come from.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Whether tasks that update one key wait for each other also when they do so through different handles of the store in
    /// this process, instead of competing in the engine. Default `true`, where the engine knows its handles by their
    /// [`identity`](Backend::identity). Otherwise only clones of this store wait for each other.
    ///
    /// That spares requests; answers are the same. For tests of what happens when writers do compete.
    pub fn shared_locks(mut self, shared: bool) -> Self {
        self.shared_locks = shared;
        self
    }

    /// The store.
    pub fn build(self) -> Store {
        let identity = self.shared_locks.then(|| self.backend.identity()).flatten();
        let capabilities = self.backend.capabilities();
        let item_limit = capabilities.item_limit.unwrap_or(usize::MAX);
        let largest_chunk = item_limit.saturating_sub(CHUNK_OVERHEAD).max(SMALLEST_CHUNK);
        Store {
            inner: Arc::new(Inner {
                inline_limit: self.options.inline_limit.unwrap_or(item_limit).min(item_limit),
                chunk_size: self.options.chunk_size.clamp(SMALLEST_CHUNK, largest_chunk),
                revisions: RevisionClock::new(self.environment.clone(), self.options.max_clock_drift()),
                backend: self.backend,
                capabilities,
                options: self.options,
                environment: self.environment,
                locks: identity.map_or_else(KeyLocks::default, KeyLocks::of),
                tails: Tails::default(),
                groups: Groups::default(),
                trims: Trims::default(),
                envelope: Envelope::default(),
                background: Background::default(),
                figures: Figures::default(),
                closed: AtomicBool::new(false),
            }),
        }
    }
}

impl Inner {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store was closed"));
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> Instant {
        self.environment.clock.now()
    }

    /// How long ago an item was made, by this clock and the stamps of whoever made it.
    pub(crate) fn age(&self, item: &Item) -> std::time::Duration {
        self.now().since(item.created.max(item.rev.instant()))
    }

    /// Where the head of a key lives. The text of the partition is the key in canonical EDN; when that is too long for the
    /// engine, a hash of it that no EDN text can be taken for. The key itself is in the head.
    pub(crate) fn address(&self, key: &Key) -> Address {
        let mut text = key.to_string();
        if text.len() > self.capabilities.longest_partition {
            let digest = Sha256::digest(text.as_bytes());
            text = digest.iter().fold(String::from("~sha256:"), |mut hash, byte| {
                use std::fmt::Write;
                let _ = write!(hash, "{byte:02x}"); // writing to a `String` cannot fail
                hash
            });
        }
        Address::new(Space::Document, Partition::new(text), 0)
    }

    /// How a read goes that does not decide a write.
    pub(crate) fn how(&self, consistent: bool) -> Read {
        if consistent || self.options.consistent_read {
            Read::STRONG
        } else {
            Read::EVENTUAL
        }
    }

    pub(crate) fn check_item_size(&self, size: usize) -> Result<()> {
        match self.capabilities.item_limit {
            Some(limit) if size > limit => {
                let message = "key and meta fields leave no room in an item of the engine";
                Err(Error::new(ErrorKind::TooLarge, message).with_limit(limit as u64, size as u64))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn lock(&self, at: &Address) -> KeyGuard {
        let patience = self.options.contention_timeout();
        self.locks.lock(&at.partition, patience).await
    }
}
