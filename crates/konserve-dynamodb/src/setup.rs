//! Bringing a store up or down: what was asked for, by whom it is watched, and until when it may take.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use konserve_core::{Error, ErrorKind, Result, backend};
use tokio::time::Instant;

use crate::config::DynamoConfig;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A table that is waited for, as [`DynamoDbBuilder::on_wait`](crate::DynamoDbBuilder::on_wait) is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableWait {
    /// The table.
    pub table: String,
    /// What DynamoDB says of it: `CREATING`, `DELETING`, `UPDATING`; `None` while it is not to be seen yet.
    pub status: Option<String>,
    /// How long it was waited for until now.
    pub waited: Duration,
    /// How long it will be waited for at most.
    pub timeout: Duration,
}

type CustomizeTable = dyn Fn(CreateTableFluentBuilder) -> CreateTableFluentBuilder + Send + Sync;
type TellWait = dyn Fn(&TableWait) + Send + Sync;

/// What a program wants to do about a table beyond the configuration.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) create_table: Option<Arc<CustomizeTable>>,
    pub(crate) wait: Option<Arc<TellWait>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("create_table", &self.create_table.is_some())
            .field("wait", &self.wait.is_some())
            .finish()
    }
}

/// What was asked for, and until when it may take.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: DynamoConfig,
    pub(crate) hooks: Hooks,
    started: Instant,
}

impl Setup {
    /// Time runs from now on.
    pub(crate) fn new(config: DynamoConfig, hooks: Hooks) -> Self {
        Self {
            config,
            hooks,
            started: Instant::now(),
        }
    }

    /// Does something that ends within the time for tables, with the error of the request that was under way. Requests mind it
    /// as they mind the deadline of a caller.
    pub(crate) async fn in_time<F: Future>(&self, what: F) -> F::Output {
        // The futures of requests are large, and would be here several times.
        let what = Box::pin(what);
        match self.deadline() {
            Some(deadline) => backend::until(deadline, what).await,
            None => what.await,
        }
    }

    /// Begins to wait.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait {
            setup: self,
            next: FIRST_PAUSE,
        }
    }

    /// `None` in times that no clock of this machine will show.
    fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(self.config.table_timeout())
    }
}

/// Pauses that grow, within the time for tables.
pub(crate) struct Wait<'a> {
    setup: &'a Setup,
    next: Duration,
}

impl Wait<'_> {
    /// Pauses, and tells who wants to know. `status` is what DynamoDB says of the table, if it says anything.
    ///
    /// # Errors
    ///
    /// `unavailable` when time is up.
    pub(crate) async fn pause(&mut self, status: Option<&str>) -> Result<()> {
        let Self { setup, .. } = *self;
        let (table, timeout) = (&setup.config.table, setup.config.table_timeout());
        let waited = setup.started.elapsed();
        let left = timeout.saturating_sub(waited);
        if left.is_zero() {
            let state = status.unwrap_or("not to be seen");
            let message = format!("table {table} is still {state} after {timeout:?}");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        tracing::debug!(table, status, waited = ?waited, "waiting for a table of DynamoDB");
        if let Some(tell) = &setup.hooks.wait {
            tell(&TableWait {
                table: table.clone(),
                status: status.map(str::to_owned),
                waited,
                timeout,
            });
        }
        tokio::time::sleep(self.next.min(left)).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
