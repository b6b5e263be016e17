//! The table's own expiry: DynamoDB erases by itself what ended, some time after it may.

use std::time::Duration;

use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use konserve_core::{Error, ErrorKind, Result, backend};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::layout;

/// How long a store is kept waiting for something that it can do without.
const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    /// Switches it on. Whoever uses the table gets the same answers without it, so that it cannot be is no failure of the store
    /// that is being made: it is logged.
    pub(crate) async fn switch_time_to_live_on(&self) {
        let update = Box::pin(self.update_time_to_live());
        let switched = backend::until(Instant::now() + PATIENCE, update).await;
        let table = self.layout.table();
        match switched {
            Ok(()) => tracing::debug!(table, "time to live was switched on"),
            // So DynamoDB answers where it is on already: another creator was faster.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                tracing::debug!(table, %error, "time to live was not switched on, which it may be already");
            }
            Err(error) => tracing::warn!(
                table,
                kind = error.kind().as_str(),
                %error,
                "time to live could not be switched on: what has ended stays in the table until it is collected"
            ),
        }
    }

    async fn update_time_to_live(&self) -> Result<()> {
        let incomplete = |error| Error::new(ErrorKind::Config, "incomplete settings of a table").with_source(error);
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(layout::ERASABLE)
            .enabled(true)
            .build()
            .map_err(incomplete)?;
        let update = self
            .client
            .update_time_to_live()
            .table_name(self.layout.table())
            .time_to_live_specification(specification);
        self.ask("UpdateTimeToLive", || update.clone().send()).await?;
        Ok(())
    }
}
