//! The engine: a handle on a store in DynamoDB.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, Durability, EngineStats, Item, Listing, ListingPart, Mutation, Occupant,
    Purge, Reach, Read, RowQuery, Space, TransactionLimits, When, Written,
};
use konserve_core::{Result, Rev};

use crate::builder::DynamoDbBuilder;
use crate::config::DynamoConfig;
use crate::connection::{Connection, Slot};
use crate::layout::{ITEM_LIMIT, TRANSACTION_BYTES, TRANSACTION_ITEMS};
use crate::observe::Observer;
use crate::pages;

/// A store in Amazon DynamoDB, as an engine of konserve.
///
/// # Requests
///
/// | method | requests |
/// |---|---|
/// | `read` | 1 `GetItem` |
/// | `read_many` | 1 `BatchGetItem` for each 100 addresses and each 16 MB; as a snapshot 1 `TransactGetItems` |
/// | `write`, `remove` | 1 `UpdateItem` |
/// | `commit` | 1 `TransactWriteItems` |
/// | `purge` | 1 `BatchWriteItem` for each 25 rows, 1 `DeleteItem` for each tombstone |
/// | `rows` | 1 `Query` for each 1 MB, filtered tombstones included |
/// | `list` | 1 `Scan` for each 1 MB of the table, other stores and other spaces included; of documents through the listing index 1 `Query` for each of 16 shards and each 1 MB |
///
/// `parts` names no more than [`DynamoConfig::scan_segments`], of which each has about 1 MB or more, as far as the handle knows: from the
/// size of the table when it connects, which DynamoDB brings up to date every six hours, and from the scans that it has made. With
/// [`DynamoConfig::listing_index`], they are parts of the index once it is complete. A handle that finds it incomplete looks again with
/// 1 `DescribeTable` when documents are listed, once a minute at most.
///
/// A snapshot that DynamoDB refuses for its size is `too_large`. Its answer has the same code for other reasons, so the items are
/// read once more, with `BatchGetItem`, and added up.
///
/// Connecting takes 1 `DescribeTable`, and 1 `GetItem` for the mark of a namespace; a table that is missing takes 1
/// `CreateTable`, further `DescribeTable` until it is active and 1 `UpdateTimeToLive`, a missing mark 1 `PutItem`. A managed
/// table is not described.
///
/// # Rights
///
/// | for | rights on the table |
/// |---|---|
/// | items | `GetItem`, `BatchGetItem`, `Query`, `Scan`, `UpdateItem`, `ConditionCheckItem`, `DeleteItem`, `BatchWriteItem` |
/// | a namespace or a managed table | `PutItem` as well, until its mark is there |
/// | connecting to a table that is not managed | `DescribeTable` as well |
/// | creating a table | `CreateTable`; `UpdateTimeToLive` for [`ttl`](DynamoConfig::ttl), `TagResource` for [`tags`](DynamoConfig::tags) as well |
/// | deleting a table | `DeleteTable` as well |
/// | listing through the index | `Query` on the index as well, and `UpdateTable` on a table that has none |
///
/// # Outcomes
///
/// Requests are repeated with growing, random pauses when DynamoDB asks to slow down, when another transaction is at the same item,
/// and when no answer came: until the deadline of the caller ([`backend::deadline`]) or for
/// [`request_timeout_ms`](DynamoConfig::request_timeout_ms), and as long as the budget of the handle lasts, which failures use up and
/// successes fill again. The error is that of the last attempt: `throttled`, `contended`, `unavailable`.
///
/// A mutation whose answer was lost finds out whether it was applied, also when others have overwritten it since (up to four times),
/// and is then a success or a refusal like any other; a removal still tells whether there was something, unless it was overwritten. `unknown_outcome` says
/// that this could not be found out in time. Every other error says that nothing was changed, nor will be by a request that is still
/// on its way; except by `purge`, of which a part may be done.
///
/// [`backend::deadline`]: konserve_core::backend::deadline
pub struct DynamoDb {
    slot: Slot,
    capabilities: Capabilities,
    table: String,
    namespace: Option<String>,
    identity: Option<String>,
    observer: Arc<Observer>,
}

impl DynamoDb {
    /// Settings beyond the configuration: a client, credentials, a clock.
    pub fn builder(config: DynamoConfig) -> DynamoDbBuilder {
        DynamoDbBuilder::new(config)
    }

    /// Creates a store; see [`DynamoDbBuilder::create`].
    ///
    /// # Errors
    ///
    /// `already_exists` when there is one, and as [`connect`](Self::connect).
    pub async fn create(config: DynamoConfig) -> Result<Self> {
        Self::builder(config).create().await
    }

    /// Opens a store, creating it when it is missing unless told not to; see [`DynamoDbBuilder::connect`].
    ///
    /// # Errors
    ///
    /// `not_found`, `config`, `denied`, `unavailable`, `throttled`.
    pub async fn connect(config: DynamoConfig) -> Result<Self> {
        Self::builder(config).connect().await
    }

    /// Whether there is such a store; see [`DynamoDbBuilder::exists`].
    ///
    /// # Errors
    ///
    /// `config`, `denied`, `unavailable`, `throttled`.
    pub async fn exists(config: DynamoConfig) -> Result<bool> {
        Self::builder(config).exists().await
    }

    /// Deletes a store with everything in it; see [`DynamoDbBuilder::delete`].
    ///
    /// # Errors
    ///
    /// `not_found` when there is none, and as [`connect`](Self::connect).
    pub async fn delete(config: DynamoConfig) -> Result<()> {
        Self::builder(config).delete().await
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The namespace in the table.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(crate) fn new(connection: Connection, config: &DynamoConfig, identity: Option<String>) -> Self {
        let capabilities = Capabilities::new(Reach::Everywhere, Durability::Replicated)
            .with_transactions(TransactionLimits {
                items: TRANSACTION_ITEMS,
                bytes: TRANSACTION_BYTES,
            })
            .with_item_limit(ITEM_LIMIT)
            .with_longest_partition(connection.layout.longest_partition());
        Self {
            observer: Arc::clone(&connection.observer),
            slot: Slot::new(connection),
            capabilities,
            table: config.table.clone(),
            namespace: config.namespace.clone(),
            identity,
        }
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb")
            .field("table", &self.table)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for DynamoDb {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn identity(&self) -> Option<String> {
        self.identity.clone()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.slot.get()?.read(at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.slot.get()?.read_many(at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.slot.get()?.write(at, item, when).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.slot.get()?.remove(at, rev, when).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.slot.get()?.commit(all).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.slot.get()?.purge(what).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        pages::rows(self.slot.clone(), query)
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        pages::list(self.slot.clone(), space, how)
    }

    /// Of all requests of this handle, those of connecting included.
    fn stats(&self) -> EngineStats {
        self.observer.stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        match self.slot.get() {
            Ok(connection) => connection.parts.name(space, how),
            Err(_) => vec![ListingPart::whole()],
        }
    }

    async fn close(&self) -> Result<()> {
        self.slot.close();
        Ok(())
    }
}
