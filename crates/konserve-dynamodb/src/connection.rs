//! What every request needs: the client, the layout, the clock, and what it may cost.

use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use konserve_core::backend::{Address, Occupant, Read};
use konserve_core::{Environment, Error, ErrorKind, Instant, Result};

use crate::budget::Budget;
use crate::layout::{self, Attributes, Layout};
use crate::observe::Observer;
use crate::parts::Parts;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) layout: Layout,
    pub(crate) environment: Environment,
    /// How long a request may go on without progress, unless its caller's deadline comes first.
    pub(crate) patience: Duration,
    /// How long an attempt may wait for a connection.
    pub(crate) connect_timeout: Duration,
    /// How often a request is sent at most.
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// What repetitions are paid from.
    pub(crate) budget: Budget,
    pub(crate) observer: Arc<Observer>,
    /// How listings are best read.
    pub(crate) parts: Parts,
    /// Whether nothing may be asked about the table.
    pub(crate) managed_table: bool,
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
}

/// The projection of a read, `None` for everything: leaving out only the lineage would make reads slower, not cheaper.
pub(crate) fn projection(how: Read) -> Option<String> {
    (!how.body).then(|| layout::WITHOUT_BODY.to_owned())
}
