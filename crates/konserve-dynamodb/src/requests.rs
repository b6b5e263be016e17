//! Counting requests on the wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// Counts the requests that are sent, repetitions by the SDK included, by the name of the DynamoDB operation.
///
/// A clone counts into the same figures.
///
/// ```
/// use konserve_dynamodb::{DynamoConfig, DynamoDb, RequestCounter};
///
/// let counter = RequestCounter::new();
/// let builder = DynamoDb::builder(DynamoConfig::new("orders")).request_counter(counter.clone());
/// // … connect, work …
/// # drop(builder);
/// for (operation, requests) in counter.take() {
///     println!("{operation}: {requests}");
/// }
/// assert_eq!(counter.total(), 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestCounter {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl RequestCounter {
    /// A counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All requests since the last [`take`](Self::take).
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// The requests of one operation, such as `GetItem`, since the last [`take`](Self::take).
    #[must_use]
    pub fn count(&self, operation: &str) -> u64 {
        self.counts().get(operation).copied().unwrap_or_default()
    }

    /// The requests by operation since the last time, and starts again at zero.
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts())
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[dyn_dispatch_hint]
impl Intercept for RequestCounter {
    fn name(&self) -> &'static str {
        "RequestCounter"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        *self.counts().entry(operation.to_owned()).or_default() += 1;
        Ok(())
    }
}
