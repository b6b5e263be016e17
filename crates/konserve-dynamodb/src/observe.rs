//! What is told of each request: a span, figures, and, if that is wanted, a subsegment of X-Ray.
//!
//! All of it comes from here, and nothing of what was asked or answered goes in: no key, no value, no condition, and no text of
//! DynamoDB, which may repeat them.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use konserve_core::backend::EngineStats;
use konserve_core::{Environment, Error, ErrorKind};
use metrics::SharedString;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::answer::Answer;
use crate::fault;
#[cfg(feature = "xray")]
use crate::xray::{Subsegment, XRay};

/// What all requests of one handle have in common, and their figures.
#[derive(Debug)]
pub(crate) struct Observer {
    table: Arc<str>,
    region: Option<String>,
    environment: Environment,
    /// Known from the first request on.
    server: OnceLock<Server>,
    stats: Mutex<EngineStats>,
    #[cfg(feature = "xray")]
    x_ray: Option<XRay>,
}

/// Where requests are sent.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    address: String,
    /// If it is not that of the scheme.
    port: Option<u16>,
}

/// One request, as it is told. Its end is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Observation<'a> {
    observer: &'a Observer,
    operation: &'static str,
    span: Span,
    began: Duration,
    attempts: u32,
    capacity: f64,
    batch: Option<u64>,
    /// An attempt is under way, or the next one is waited for.
    pending: bool,
    in_doubt: bool,
    /// What the request ended with, if that is an error.
    failure: OnceLock<ErrorKind>,
    /// Of the last answer that had one.
    request_id: Option<String>,
    /// Of the last answer, if it was an error.
    code: Option<String>,
    #[cfg(feature = "xray")]
    subsegment: Option<Subsegment>,
}

impl Observer {
    pub(crate) fn new(table: &str, region: Option<String>, environment: Environment) -> Self {
        describe_metrics();
        Self {
            table: table.into(),
            region,
            environment,
            server: OnceLock::new(),
            stats: Mutex::default(),
            #[cfg(feature = "xray")]
            x_ray: None,
        }
    }

    #[cfg(feature = "xray")]
    pub(crate) fn with_x_ray(self, x_ray: Option<XRay>) -> Self {
        Self { x_ray, ..self }
    }

    /// The figures so far.
    pub(crate) fn stats(&self) -> EngineStats {
        self.lock().clone()
    }

    /// A request is about to be made.
    pub(crate) fn begin(&self, operation: &'static str) -> Observation<'_> {
        let table = &*self.table;
        // The subsegment first: what is current now is what both belong to.
        #[cfg(feature = "xray")]
        let subsegment = self
            .x_ray
            .as_ref()
            .map(|x_ray| x_ray.begin(operation, table, self.region.as_deref()));
        let span = tracing::info_span!(
            "request",
            "otel.name" = format!("DynamoDB.{operation}"),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "db.system.name" = "aws.dynamodb",
            "db.operation.name" = operation,
            "db.collection.name" = table,
            "db.operation.batch.size" = Empty,
            "db.response.status_code" = Empty,
            "aws.dynamodb.table_names" = ?[table],
            "aws.dynamodb.consumed_capacity" = Empty,
            "aws.request_id" = Empty,
            "cloud.region" = self.region.as_deref(),
            // Deprecated, but exporters to X-Ray know a request to AWS by them.
            "rpc.system" = "aws-api",
            "rpc.service" = "DynamoDB",
            "rpc.method" = operation,
            "server.address" = Empty,
            "server.port" = Empty,
            "error.type" = Empty,
            "konserve.attempts" = Empty,
            "konserve.capacity_units" = Empty,
            "konserve.throttling_reason" = Empty,
        );
        Observation {
            observer: self,
            operation,
            span,
            began: self.environment.clock.uptime(),
            attempts: 0,
            capacity: 0.0,
            batch: None,
            pending: true,
            in_doubt: false,
            failure: OnceLock::new(),
            request_id: None,
            code: None,
            #[cfg(feature = "xray")]
            subsegment,
        }
    }

    fn lock(&self) -> MutexGuard<'_, EngineStats> {
        self.stats.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn table(&self) -> SharedString {
        SharedString::from_shared(Arc::clone(&self.table))
    }
}

impl Observation<'_> {
    /// One attempt asks for so many items, or sends them.
    pub(crate) fn batch(&mut self, items: usize) {
        self.batch = Some(items as u64);
        if items > 1 {
            self.span.record("db.operation.batch.size", items as u64);
        }
    }

    /// An attempt, within the span of the request. It goes out with the trace header if there is to be one.
    pub(crate) fn attempt<F: Future>(&mut self, send: F) -> impl Future<Output = F::Output> + use<F> {
        self.attempts += 1;
        self.pending = true;
        if let Some(items) = self.batch {
            let (table, operation) = (self.observer.table(), self.operation);
            metrics::histogram!("konserve.dynamodb.batch.items", "table" => table, "operation" => operation)
                .record(items as f64);
            let mut stats = self.observer.lock();
            stats.operations.entry(operation).or_default().batch_items.record(items);
        }
        #[cfg(feature = "xray")]
        let send = crate::xray::with_header(self.subsegment.as_ref(), send);
        send.instrument(self.span.clone())
    }

    /// The last attempt was answered with what was asked for.
    pub(crate) fn answered(&mut self, answer: &impl Answer) {
        self.pending = false;
        self.code = None;
        self.capacity += answer.capacity();
        if let Some(id) = answer.request_id() {
            self.request_id = Some(id.to_owned());
        }
    }

    /// The last attempt came to something else: an error, or an answer that some requests make sense of.
    pub(crate) fn refused<E: ProvideErrorMetadata>(&mut self, error: &SdkError<E, HttpResponse>) {
        self.pending = false;
        let meta = error.meta();
        self.code = meta.code().map(str::to_owned);
        if let Some(id) = meta.extra("aws_request_id") {
            self.request_id = Some(id.to_owned());
        }
    }

    /// It is open whether an attempt was applied.
    pub(crate) fn doubted(&mut self) {
        self.in_doubt = true;
    }

    /// There will be another attempt, after a pause.
    pub(crate) fn repeated(&mut self, error: &Error, pause: Duration) {
        self.pending = true;
        let (operation, reason) = (self.operation, error.kind());
        let answer = fault::answer(error);
        let throttled = fault::throttling(error);
        if let Some(throttled) = &throttled {
            self.span.record("konserve.throttling_reason", throttled);
        }
        tracing::debug!(
            parent: &self.span,
            attempt = self.attempts,
            reason = reason.as_str(),
            code = answer.and_then(|answer| answer.code.as_deref()),
            throttled,
            pause_ms = pause.as_millis() as u64,
            "the request is repeated"
        );
        let labels = [
            ("table", self.observer.table()),
            ("operation", operation.into()),
            ("reason", reason.as_str().into()),
        ];
        metrics::counter!("konserve.dynamodb.retries", &labels).increment(1);
        let mut stats = self.observer.lock();
        let retries = &mut stats.operations.entry(operation).or_default().retries;
        *retries.entry(reason).or_default() += 1;
    }

    /// It ends with this error. What comes later does not change that.
    pub(crate) fn failed(&self, error: &Error) {
        if self.failure.set(error.kind()).is_err() {
            return;
        }
        // Not its text: an error about what is stored names the key.
        if let Some(throttled) = fault::throttling(error) {
            self.span.record("konserve.throttling_reason", throttled);
        }
    }

    fn outcome(&self) -> &'static str {
        match self.failure.get() {
            Some(kind) => kind.as_str(),
            None if self.pending => "cancelled",
            None => "ok",
        }
    }

    fn finish_span(&self) {
        let span = &self.span;
        span.record("konserve.attempts", self.attempts);
        span.record("konserve.capacity_units", self.capacity);
        if self.capacity > 0.0 {
            // An array of JSON texts by the conventions, which a field cannot be.
            let (table, units) = (&self.observer.table, self.capacity);
            let consumed = format!(r#"[{{"TableName":"{table}","CapacityUnits":{units}}}]"#);
            span.record("aws.dynamodb.consumed_capacity", consumed);
        }
        if let Some(id) = &self.request_id {
            span.record("aws.request_id", id);
        }
        if let Some(code) = &self.code {
            span.record("db.response.status_code", code);
        }
        if let Some(server) = self.observer.server.get() {
            span.record("server.address", &server.address);
            server.port.map(|port| span.record("server.port", port));
        }
        match self.outcome() {
            "ok" => {}
            outcome => {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", outcome);
            }
        }
    }

    fn finish_metrics(&self, took: Duration) {
        let labels = [("table", self.observer.table()), ("operation", self.operation.into())];
        let outcome = [labels[0].clone(), labels[1].clone(), ("outcome", self.outcome().into())];
        metrics::counter!("konserve.dynamodb.requests", &outcome).increment(1);
        metrics::counter!("konserve.dynamodb.attempts", &labels).increment(self.attempts.into());
        metrics::histogram!("konserve.dynamodb.duration", &labels).record(took);
        if self.capacity > 0.0 {
            metrics::histogram!("konserve.dynamodb.capacity", &labels).record(self.capacity);
        }
        if self.in_doubt {
            let [table, operation] = labels;
            let resolved = if self.is_resolved() { "true" } else { "false" };
            let labels = [table, operation, ("resolved", resolved.into())];
            metrics::counter!("konserve.dynamodb.unknown_outcomes", &labels).increment(1);
        }
    }

    fn finish_stats(&self) {
        let mut stats = self.observer.lock();
        let stats = stats.operations.entry(self.operation).or_default();
        stats.requests += 1;
        stats.attempts += u64::from(self.attempts);
        stats.capacity += self.capacity;
        match self.failure.get() {
            Some(kind) => *stats.failures.entry(*kind).or_default() += 1,
            None => stats.cancelled += u64::from(self.pending),
        }
        match (self.in_doubt, self.is_resolved()) {
            (true, true) => stats.outcomes_resolved += 1,
            (true, false) => stats.outcomes_unresolved += 1,
            (false, _) => {}
        }
    }

    /// Whether somebody gets to know what became of it.
    fn is_resolved(&self) -> bool {
        self.failure.get().is_none() && !self.pending
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        let took = self.observer.environment.clock.uptime().saturating_sub(self.began);
        self.finish_span();
        self.finish_metrics(took);
        self.finish_stats();
        #[cfg(feature = "xray")]
        if let Some(subsegment) = self.subsegment.take() {
            subsegment.end(&crate::xray::End {
                attempts: self.attempts,
                capacity: self.capacity,
                request_id: self.request_id.as_deref(),
                code: self.code.as_deref(),
                failure: self.failure.get().copied(),
                cancelled: self.pending && self.failure.get().is_none(),
            });
        }
    }
}

/// Looks where requests go.
#[derive(Debug)]
pub(crate) struct ServerLookout(pub(crate) Arc<Observer>);

#[dyn_dispatch_hint]
impl Intercept for ServerLookout {
    fn name(&self) -> &'static str {
        "ServerLookout"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.server.get_or_init(|| Server::of(context.request().uri()));
        Ok(())
    }
}

impl Server {
    /// Never what is in front of the host: that can be a password.
    fn of(uri: &str) -> Self {
        let (scheme, rest) = uri.split_once("://").unwrap_or(("", uri));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) if !port.contains(']') => (address, port.parse().ok()),
            _ => (host, None),
        };
        let usual = match scheme {
            "http" => 80,
            _ => 443,
        };
        Self {
            address: address.to_owned(),
            port: port.filter(|port| *port != usual),
        }
    }
}

fn describe_metrics() {
    use metrics::Unit;
    metrics::describe_counter!("konserve.dynamodb.requests", "Requests to DynamoDB that have ended");
    metrics::describe_counter!("konserve.dynamodb.attempts", "Times that requests were sent");
    metrics::describe_counter!("konserve.dynamodb.retries", "Attempts after the first of a request");
    metrics::describe_counter!(
        "konserve.dynamodb.unknown_outcomes",
        "Mutations some attempt of which may or may not have been applied"
    );
    metrics::describe_histogram!(
        "konserve.dynamodb.duration",
        Unit::Seconds,
        "Time from a request's first attempt to its end"
    );
    metrics::describe_histogram!("konserve.dynamodb.capacity", "Capacity units of a request");
    metrics::describe_histogram!("konserve.dynamodb.batch.items", "Items of one attempt of a batch");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host_and_an_unusual_port() {
        for (uri, address, port) in [
            (
                "https://dynamodb.us-west-1.amazonaws.com/",
                "dynamodb.us-west-1.amazonaws.com",
                None,
            ),
            ("https://example.org:443", "example.org", None),
            ("http://127.0.0.1:8000/path?query", "127.0.0.1", Some(8000)),
            ("http://user:xyzzy@host:80/", "host", None),
            ("http://[::1]:8000/", "[::1]", Some(8000)),
            ("http://[::1]/", "[::1]", None),
            ("", "", None),
        ] {
            let address = address.to_owned();
            assert_eq!(Server::of(uri), Server { address, port }, "{uri}");
        }
    }
}
