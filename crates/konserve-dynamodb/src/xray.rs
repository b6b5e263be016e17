//! Segments for AWS X-Ray, and the header that carries the trace.
//!
//! Spans of OpenTelemetry beside those of `tracing`, made by a tracer of the store's own: nothing is installed for the process,
//! and whoever sets `x_ray` sees segments at the daemon without doing anything else. Times and ids are those of OpenTelemetry,
//! which are no part of any protocol here.

use std::env;
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use konserve_core::{Error, ErrorKind, Result};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_aws::trace::XrayIdGenerator;
use opentelemetry_aws::trace::xray_propagator::{span_context_from_str, span_context_to_string};
use opentelemetry_aws::xray_exporter::SegmentTranslator;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor};
use serde_json::json;

const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";
const USUAL_DAEMON: &str = "127.0.0.1:2000";
/// What the segment is called that a request without a context is put into: the name of the service, by either convention.
const SERVICE: [&str; 2] = ["AWS_XRAY_TRACING_NAME", "OTEL_SERVICE_NAME"];
/// Where Lambda says which invocation this is.
const INVOCATION: &str = "_X_AMZN_TRACE_ID";
const TRACE_HEADER: &str = "x-amzn-trace-id";
/// What each datagram begins with.
const DATAGRAM: &[u8] = b"{\"format\": \"json\", \"version\": 1}\n";
const RETRIES: &str = "annotation.retries";

tokio::task_local! {
    /// The trace header of the request that is being sent.
    static HEADER: Option<String>;
}

/// A tracer whose spans go to the daemon.
#[derive(Debug)]
pub(crate) struct XRay {
    tracer: SdkTracer,
    service: String,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Subsegment {
    span: Span,
    /// The segment that was made for this request alone.
    segment: Option<Span>,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) attempts: u32,
    pub(crate) capacity: f64,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) code: Option<&'a str>,
    pub(crate) failure: Option<ErrorKind>,
    pub(crate) cancelled: bool,
}

impl XRay {
    /// # Errors
    ///
    /// `config` when the address of the daemon is none, or leads nowhere. Whether a daemon listens there cannot be known.
    pub(crate) async fn new(daemon: Option<&str>) -> Result<Self> {
        let daemon = match daemon {
            Some(daemon) => daemon.to_owned(),
            None => env::var(DAEMON).unwrap_or_else(|_| USUAL_DAEMON.to_owned()),
        };
        let refuse = |source| {
            let message =
                "no address of an X-Ray daemon, such as 127.0.0.1:2000, in x_ray_daemon or AWS_XRAY_DAEMON_ADDRESS";
            Error::new(ErrorKind::Config, message).with_source(source)
        };
        // A name may have to be looked up.
        let socket = tokio::task::spawn_blocking(move || connected(udp_part(&daemon)));
        let socket = socket.await.map_err(|error| refuse(std::io::Error::other(error)));
        let socket = socket?.map_err(refuse)?;
        let service = SERVICE.iter().find_map(|name| env::var(name).ok());
        let service = segment_name(service.as_deref().unwrap_or("konserve"));
        let provider = SdkTracerProvider::builder()
            .with_id_generator(XrayIdGenerator::default())
            .with_resource(Resource::builder_empty().with_service_name(service.clone()).build())
            .with_span_processor(Daemon {
                // X-Ray takes trace ids of OpenTelemetry as well, which hold no time.
                translator: SegmentTranslator::new().skip_timestamp_validation(),
                socket,
            })
            .build();
        let tracer = provider.tracer("konserve-dynamodb");
        Ok(Self { tracer, service })
    }

    /// A request begins: under the current span of OpenTelemetry, the invocation of Lambda, or a segment of its own.
    pub(crate) fn begin(&self, operation: &'static str, table: &str, region: Option<&str>) -> Subsegment {
        let (parent, segment) = match current() {
            Some(parent) => (parent, None),
            None => {
                let segment = SpanBuilder::from_name(self.service.clone()).with_kind(SpanKind::Server);
                let segment = self.tracer.build_with_context(segment, &Context::new());
                (segment.span_context().clone(), Some(segment))
            }
        };
        let tables = Array::String(vec![StringValue::from(table.to_owned())]);
        let mut attributes = vec![
            KeyValue::new("rpc.system", "aws-api"),
            KeyValue::new("rpc.service", "DynamoDB"),
            KeyValue::new("rpc.method", operation),
            KeyValue::new("db.system.name", "aws.dynamodb"),
            KeyValue::new("aws.dynamodb.table_names", Value::Array(tables)),
        ];
        attributes.extend(region.map(|region| KeyValue::new("cloud.region", region.to_owned())));
        let span = SpanBuilder::from_name(format!("DynamoDB.{operation}"))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(parent);
        Subsegment {
            span: self.tracer.build_with_context(span, &parent),
            segment,
        }
    }
}

impl Subsegment {
    pub(crate) fn end(mut self, end: &End<'_>) {
        let span = &mut self.span;
        span.set_attribute(KeyValue::new(RETRIES, i64::from(end.attempts.saturating_sub(1))));
        span.set_attribute(KeyValue::new("annotation.capacity_units", end.capacity));
        if let Some(id) = end.request_id {
            span.set_attribute(KeyValue::new("aws.request_id", id.to_owned()));
        }
        let error = match end.failure {
            Some(kind) => kind.as_str(),
            None if end.cancelled => "cancelled",
            None => {
                span.end();
                return; // and the segment with itself
            }
        };
        let status = end.failure.and_then(status);
        let status = status.map(|status| KeyValue::new("http.response.status_code", status));
        span.set_attributes(status.clone());
        let exception = [
            KeyValue::new("exception.type", end.code.unwrap_or(error).to_owned()),
            KeyValue::new("exception.message", error),
        ];
        span.add_event("exception", exception.to_vec());
        span.set_status(Status::error(error));
        span.end();
        if let Some(segment) = &mut self.segment {
            segment.set_attributes(status);
            segment.set_status(Status::error(error));
        }
    }
}

/// Sends a request with the trace header of its subsegment.
pub(crate) fn with_header<F: Future>(
    subsegment: Option<&Subsegment>,
    send: F,
) -> impl Future<Output = F::Output> + use<F> {
    let header = subsegment.and_then(|subsegment| span_context_to_string(subsegment.span.span_context()));
    HEADER.scope(header, send)
}

/// Puts the trace header on requests. It is not signed.
#[derive(Debug)]
pub(crate) struct TraceHeader;

#[dyn_dispatch_hint]
impl Intercept for TraceHeader {
    fn name(&self) -> &'static str {
        "TraceHeader"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        let _ = HEADER.try_with(|header| {
            if let Some(header) = header {
                headers.insert(TRACE_HEADER, header.clone());
            }
        });
        Ok(())
    }
}

/// Sends each span to the daemon as it ends, without waiting: what does not fit into the socket is lost, as is what nobody
/// receives.
#[derive(Debug)]
struct Daemon {
    translator: SegmentTranslator,
    socket: UdpSocket,
}

impl SpanProcessor for Daemon {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let retries = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == RETRIES);
        let retries = match retries.map(|attribute| &attribute.value) {
            Some(Value::I64(retries)) => Some(*retries),
            _ => None,
        };
        for document in self.translator.translate_spans(std::slice::from_ref(&span)) {
            let mut datagram = DATAGRAM.to_vec();
            let document = document.to_string();
            match retries {
                None => datagram.extend(document.into_bytes()),
                Some(retries) => datagram.extend(with_retries(document, retries).into_bytes()),
            }
            if let Err(error) = self.socket.send(&datagram) {
                tracing::trace!(%error, "a segment was not sent to the X-Ray daemon");
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.translator.set_resource(resource);
    }
}

/// The translator does not know the place where the console looks for the number of retries.
fn with_retries(document: String, retries: i64) -> String {
    match serde_json::from_str::<serde_json::Value>(&document) {
        Ok(mut content) if content["aws"].is_object() => {
            content["aws"]["retries"] = json!(retries);
            content.to_string()
        }
        _ => document,
    }
}

/// What a request that begins now belongs to.
fn current() -> Option<SpanContext> {
    let context = Context::current();
    let active = context.has_active_span().then(|| context.span().span_context().clone());
    active
        .filter(SpanContext::is_valid)
        .or_else(|| span_context_from_str(&env::var(INVOCATION).ok()?))
        .filter(SpanContext::is_valid)
}

/// The status by which X-Ray tells throttling (429) and errors of the caller (4xx) from faults, which are the rest. DynamoDB
/// answers 400 to what is throttled.
fn status(kind: ErrorKind) -> Option<i64> {
    match kind {
        ErrorKind::Throttled => Some(429),
        ErrorKind::Unavailable | ErrorKind::UnknownOutcome => None,
        _ => Some(400),
    }
}

/// The address for UDP. The variable may name one for TCP as well: `tcp:127.0.0.1:2000 udp:127.0.0.2:2001`.
fn udp_part(daemon: &str) -> &str {
    let udp = daemon.split_whitespace().find_map(|part| part.strip_prefix("udp:"));
    udp.unwrap_or(daemon.trim())
}

fn connected(daemon: &str) -> std::io::Result<UdpSocket> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in daemon.to_socket_addrs()? {
        let own = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(own).and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.connect(address)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A name that X-Ray accepts.
fn segment_name(service: &str) -> String {
    let accepted = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/%&#=+\\-@".contains(c);
    let name: String = service
        .chars()
        .take(200)
        .map(|c| if accepted(c) { c } else { '_' })
        .collect();
    match name.is_empty() {
        true => "konserve".to_owned(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_daemon_comes_in_two_forms() {
        for (daemon, udp) in [
            ("127.0.0.1:2000", "127.0.0.1:2000"),
            (" xray:2000 ", "xray:2000"),
            ("tcp:127.0.0.1:2000 udp:127.0.0.2:2001", "127.0.0.2:2001"),
            ("udp:[::1]:2001 tcp:[::1]:2000", "[::1]:2001"),
        ] {
            assert_eq!(udp_part(daemon), udp);
        }
    }

    #[test]
    fn any_name_of_a_service_names_a_segment() {
        assert_eq!(segment_name("orders (staging)!"), "orders _staging__");
        assert_eq!(segment_name(""), "konserve");
        assert_eq!(segment_name(&"ä".repeat(300)).chars().count(), 200);
    }
}
