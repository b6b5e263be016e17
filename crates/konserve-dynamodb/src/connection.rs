//! What every request needs: the client, the layout, the clock, and a word to the log.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use konserve_core::backend::{Address, Occupant, Read};
use konserve_core::{Environment, Error, ErrorKind, Instant, Result};

use crate::fault::Request;
use crate::layout::{self, Attributes, Layout};

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) layout: Layout,
    pub(crate) environment: Environment,
    /// How long a request that DynamoDB answers in parts may make no progress.
    pub(crate) patience: Duration,
}

/// The connection until it is closed, shared by a handle and its streams.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Arc<RwLock<Option<Arc<Connection>>>>);

impl Slot {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Arc::new(RwLock::new(Some(Arc::new(connection)))))
    }

    pub(crate) fn get(&self) -> Result<Arc<Connection>> {
        let slot = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        slot.clone()
            .ok_or_else(|| Error::new(ErrorKind::Closed, "the store was closed"))
    }

    pub(crate) fn close(&self) {
        *self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }
}

impl Connection {
    /// For naming a request that reads, or that may be repeated blindly.
    pub(crate) fn reads(&self, operation: &'static str) -> Request<'_> {
        self.request(operation, false)
    }

    /// For naming a request that must not be repeated blindly. Send it with [`once`].
    pub(crate) fn mutates(&self, operation: &'static str) -> Request<'_> {
        self.request(operation, true)
    }

    pub(crate) fn now(&self) -> Instant {
        self.environment.clock.now()
    }

    /// What an item of the table counts as now. What is damaged is named by its partition, which for a document is its
    /// key.
    pub(crate) fn occupant(&self, at: &Address, attributes: Attributes, now: Instant) -> Result<Occupant> {
        match layout::occupant(attributes) {
            Ok(occupant) => Ok(occupant.as_of(now)),
            Err(error) => Err(error.with_key(&at.partition)),
        }
    }

    fn request(&self, operation: &'static str, mutates: bool) -> Request<'_> {
        Request {
            operation,
            table: self.layout.table(),
            mutates,
        }
    }
}

impl Request<'_> {
    /// Tells the log that the request was answered. Never what was in it.
    pub(crate) fn log<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let units: f64 = capacity.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
            let (operation, table) = (self.operation, self.table);
            tracing::debug!(operation, table, consumed_capacity = units, "DynamoDB answered");
        }
    }
}

/// Settings of a request that the SDK must not repeat: a repetition whose predecessor was applied would be refused.
pub(crate) fn once() -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled())
}

/// The projection of a read, `None` for everything: leaving out only the lineage would make reads slower, not cheaper.
pub(crate) fn projection(how: Read) -> Option<String> {
    (!how.body).then(|| layout::WITHOUT_BODY.to_owned())
}
