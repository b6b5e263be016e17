//! A store whose requests are counted, and what they come to.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use konserve_core::{Result, Store};
use konserve_dynamodb::DynamoDb;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::quiet;
use konserve_tests::transport::{Figures, TransportFaults};

/// The requests of one call by their names, and the capacity units that they took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cost {
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

/// A store of its own.
pub(crate) struct Wire {
    pub(crate) store: Store,
    faults: TransportFaults,
}

impl Wire {
    pub(crate) async fn new() -> Result<Self> {
        Self::over(engine(), false).await
    }

    /// A store of its own that lists through an index.
    pub(crate) async fn indexed() -> Result<Self> {
        Self::over(engine(), true).await
    }

    /// Another handle on the same store, which knows nothing of what this one did.
    pub(crate) async fn cold(&self) -> Result<Self> {
        Self::over(self.faults.clone(), false).await
    }

    async fn over(faults: TransportFaults, listing_index: bool) -> Result<Self> {
        let transport = faults.transport();
        let mut config = Embedded::at("http://localhost").config();
        config.listing_index = listing_index;
        let backend = DynamoDb::builder(config)
            .http_client(transport.client.clone())
            .connect()
            .await?;
        transport.opened();
        let store = Store::builder(backend).options(quiet()).build();
        Ok(Self { store, faults })
    }

    /// What a call costs.
    pub(crate) async fn cost<T, R>(&self, call: impl FnOnce(Store) -> R) -> Result<Cost>
    where
        R: IntoFuture<Output = Result<T>>,
    {
        let before = self.faults.figures();
        call(self.store.clone()).await?;
        let mut cost = Cost {
            requests: BTreeMap::new(),
            read_units: 0.0,
            write_units: 0.0,
        };
        for (operation, after) in self.faults.figures() {
            let before = before.get(&operation).copied().unwrap_or_default();
            let Figures { asked, capacity, .. } = after;
            let (asked, capacity) = (asked - before.asked, capacity - before.capacity);
            if asked == 0 {
                continue;
            }
            match operation.as_str() {
                "GetItem" | "BatchGetItem" | "Query" | "Scan" | "TransactGetItems" => cost.read_units += capacity,
                _ => cost.write_units += capacity,
            }
            cost.requests.insert(operation, asked);
        }
        Ok(cost)
    }
}

fn engine() -> TransportFaults {
    TransportFaults::in_process(dynoxide::Database::memory().expect("a database"))
}
