//! What the X-Ray daemon gets from a store, and what DynamoDB gets of the trace.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use konserve_core::ErrorKind;
use konserve_core::backend::{Backend, Read, When};
use konserve_dynamodb::DynamoDb;
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt as _, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use serde_json::Value;

use crate::observability::impatience;
use crate::support::{Engine, Reply, Script, check_kind, document, item};

/// A daemon on loopback.
struct Daemon(UdpSocket);

/// Looks at the trace header of each request.
#[derive(Debug, Clone, Default)]
struct Headers(Arc<Mutex<Vec<Option<String>>>>);

impl Daemon {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time-out");
        Self(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    /// The next document. They are sent before the request returns.
    fn next(&self) -> Value {
        let mut datagram = vec![0; 65_536];
        let length = self.0.recv(&mut datagram).expect("a segment");
        let text = std::str::from_utf8(&datagram[..length]).expect("text");
        let (header, document) = text.split_once('\n').expect("two lines");
        assert_eq!(header, r#"{"format": "json", "version": 1}"#);
        serde_json::from_str(document).expect("a document")
    }

    fn nothing_more(&self) {
        self.0.set_nonblocking(true).expect("a mode");
        let mut datagram = vec![0; 65_536];
        assert!(self.0.recv(&mut datagram).is_err(), "nothing more was sent");
        self.0.set_nonblocking(false).expect("a mode");
    }
}

impl Intercept for Headers {
    fn name(&self) -> &'static str {
        "Headers"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.request().headers().get("x-amzn-trace-id").map(str::to_owned);
        self.0.lock().expect("lock").push(header);
        Ok(())
    }
}

impl Headers {
    fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.0.lock().expect("lock"))
    }
}

/// A store that reports to this daemon, and its headers and answers. What connecting reported is taken away.
async fn traced(engine: &Engine, daemon: &Daemon) -> (DynamoDb, Headers, Script) {
    let (headers, script) = (Headers::default(), Script::default());
    let mut config = engine.config("table");
    config.x_ray = true;
    config.x_ray_daemon = Some(daemon.address());
    let client = engine.client(script.clone());
    let client = client.config().to_builder().interceptor(headers.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(client);
    let builder = DynamoDb::builder(config).client(client).environment(impatience());
    let store = builder.connect().await.expect("connects");
    for header in headers.take() {
        assert!(header.is_some(), "requests of connecting are traced as well");
        let (subsegment, segment) = (daemon.next(), daemon.next());
        assert_eq!(subsegment["parent_id"], segment["id"]);
    }
    daemon.nothing_more();
    (store, headers, script)
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_request_is_a_subsegment_that_the_console_understands_in_a_segment_of_its_own() {
    let (engine, daemon) = (Engine::start().await, Daemon::start());
    let (store, headers, script) = traced(&engine, &daemon).await;
    script.push(Reply::error("UpdateItem", 400, "ThrottlingException"));
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    let (subsegment, segment) = (daemon.next(), daemon.next());
    daemon.nothing_more();

    assert_eq!(text(&subsegment, "name"), "DynamoDB");
    assert_eq!(text(&subsegment, "type"), "subsegment");
    assert_eq!(text(&subsegment, "namespace"), "aws");
    let aws = &subsegment["aws"];
    assert_eq!(text(aws, "operation"), "UpdateItem");
    assert_eq!(text(aws, "region"), "us-west-1");
    assert_eq!(text(aws, "table_name"), "table");
    assert_eq!(aws["table_names"], serde_json::json!(["table"]));
    assert!(!text(aws, "request_id").is_empty(), "{subsegment}");
    assert_eq!(aws["retries"], 1);
    assert!(
        subsegment["error"].is_null() && subsegment["fault"].is_null(),
        "{subsegment}"
    );
    assert!(
        subsegment["sql"].is_null(),
        "the console shows SQL otherwise: {subsegment}"
    );
    let (start, end) = (subsegment["start_time"].as_f64(), subsegment["end_time"].as_f64());
    assert!(start < end && start > Some(1.6e9), "{subsegment}");

    assert_eq!(text(&segment, "name"), "konserve");
    assert!(segment["type"].is_null() && segment["parent_id"].is_null(), "{segment}");
    assert_eq!(subsegment["parent_id"], segment["id"], "the link");
    assert_eq!(subsegment["trace_id"], segment["trace_id"]);
    assert!(text(&segment, "trace_id").starts_with("1-"), "{segment}");

    let header = format!(
        "Root={};Parent={};Sampled=1",
        text(&segment, "trace_id"),
        text(&subsegment, "id")
    );
    assert_eq!(headers.take(), [Some(header.clone()), Some(header)], "on each attempt");
}

#[tokio::test]
async fn a_request_within_a_span_belongs_to_it_and_follows_its_sampling() {
    let (engine, daemon) = (Engine::start().await, Daemon::start());
    let (store, headers, _) = traced(&engine, &daemon).await;
    // Of OpenTelemetry: no time is in it, which X-Ray takes.
    let (trace, span) = (
        TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128),
        SpanId::from(7_u64),
    );
    for sampled in [true, false] {
        let flags = TraceFlags::default().with_sampled(sampled);
        let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
        let context = Context::new().with_remote_span_context(parent);
        let at = document("a");
        let read = store.read(&at, Read::STRONG).with_context(context);
        read.await.expect("reads");
        let trace_id = "1-4bf92f35-77b34da6a3ce929d0e0e4736";
        let header = headers.take().pop().flatten().expect("a header");
        assert!(header.starts_with(&format!("Root={trace_id};Parent=")), "{header}");
        assert!(
            header.ends_with(if sampled { "Sampled=1" } else { "Sampled=0" }),
            "{header}"
        );
        if sampled {
            let subsegment = daemon.next();
            assert_eq!(text(&subsegment, "trace_id"), trace_id);
            assert_eq!(text(&subsegment, "parent_id"), "0000000000000007");
            assert!(header.contains(text(&subsegment, "id")), "{header} of {subsegment}");
        }
        daemon.nothing_more();
    }
}

#[tokio::test]
async fn a_failed_request_is_throttled_an_error_or_a_fault() {
    let (engine, daemon) = (Engine::start().await, Daemon::start());
    let (store, _, script) = traced(&engine, &daemon).await;
    let flags = ["error", "throttle", "fault"];
    // The second takes all that the store has for repetitions, and the third is sent once.
    for (times, status, code, kind, expected) in [
        (1, 400, "AccessDeniedException", ErrorKind::Denied, [true, false, false]),
        (
            101,
            400,
            "ThrottlingException",
            ErrorKind::Throttled,
            [true, true, false],
        ),
        (
            1,
            500,
            "InternalServerError",
            ErrorKind::Unavailable,
            [false, false, true],
        ),
    ] {
        (0..times).for_each(|_| script.push(Reply::error("GetItem", status, code)));
        check_kind(store.read(&document("a"), Read::STRONG).await, kind);
        assert!(script.is_done(), "{code}");
        let (subsegment, segment) = (daemon.next(), daemon.next());
        for document in [&subsegment, &segment] {
            assert_eq!(flags.map(|flag| document[flag] == true), expected, "{code}: {document}");
            assert!(
                !document.to_string().contains("xyzzy"),
                "no text of DynamoDB: {document}"
            );
        }
        assert_eq!(subsegment["aws"]["retries"], times - 1);
        let cause = &subsegment["cause"]["exceptions"][0];
        assert_eq!(text(cause, "type"), code, "{subsegment}");
    }
}

/// Runs this test once more with variables set, which a process cannot do to itself.
#[tokio::test]
async fn the_environment_names_the_daemon_and_the_service() {
    let engine = Engine::start().await;
    const INNER: &str = "KONSERVE_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        let mut config = engine.config("table");
        config.x_ray = true;
        DynamoDb::connect(config).await.expect("connects");
        return;
    }
    let daemon = Daemon::start();
    let inner = Command::new(std::env::current_exe().expect("a program"))
        .args(["--exact", "xray::the_environment_names_the_daemon_and_the_service"])
        .env(INNER, "1")
        .env(
            "AWS_XRAY_DAEMON_ADDRESS",
            format!("tcp:127.0.0.1:1 udp:{}", daemon.address()),
        )
        .env("AWS_XRAY_TRACING_NAME", "orders")
        .env_remove("_X_AMZN_TRACE_ID")
        .output()
        .expect("runs");
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    let (subsegment, segment) = (daemon.next(), daemon.next());
    assert_eq!(text(&subsegment["aws"], "operation"), "DescribeTable");
    assert_eq!(text(&segment, "name"), "orders");
}

#[tokio::test]
async fn without_x_ray_no_header_is_sent_and_an_address_that_is_none_is_refused() {
    let engine = Engine::start().await;
    let headers = Headers::default();
    let client = engine.client(Script::default());
    let client = client.config().to_builder().interceptor(headers.clone()).build();
    let store = DynamoDb::builder(engine.config("table")).client(aws_sdk_dynamodb::Client::from_conf(client));
    store.connect().await.expect("connects");
    let sent = headers.take();
    assert!(sent.len() > 1 && sent.iter().all(Option::is_none), "{sent:?}");

    let mut config = engine.config("table");
    config.x_ray_daemon = Some("nowhere".into());
    check_kind(DynamoDb::connect(config.clone()).await, ErrorKind::Config);
    config.x_ray = true;
    let error = check_kind(DynamoDb::connect(config).await, ErrorKind::Config);
    assert!(error.to_string().contains("x_ray_daemon"), "{error}");
}
