//! The SDK's ordinary HTTP client, whose requests a script disturbs as the network and DynamoDB do on a bad day.
//!
//! What is sent is never altered where its signature matters, so that this works on the real DynamoDB as well.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector as HttpsConnector};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use konserve_conformance::{Fault, FaultControl, FaultScript};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

/// The requests about items. The others concern the table, and are never disturbed.
const DISTURBED: [&str; 9] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactWriteItems",
    "UpdateItem",
];

/// The fault control of a store: what all its transports ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransportFaults(Arc<State>);

#[derive(Default)]
struct State {
    script: Mutex<Option<FaultScript>>,
    /// How many faults there were. The forms that a fault has come in turn.
    faults: AtomicUsize,
    tallies: Mutex<BTreeMap<String, Tally>>,
}

/// The requests of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many the engine wanted to send.
    pub(crate) asked: u64,
    /// How many of them reached DynamoDB and were answered, whether or not the engine got the answer.
    pub(crate) answered: u64,
}

impl TransportFaults {
    /// A transport for one handle, with connections of its own.
    pub(crate) fn transport(&self) -> Transport {
        let (network, plain) = (ordinary_client(), Builder::new().build_http());
        let (opened, state) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.0));
        let transport = Arc::clone(&opened);
        let client = http_client_fn(move |settings, components| {
            SharedHttpConnector::new(Connector {
                network: network.http_connector(settings, components),
                plain: plain.http_connector(settings, components),
                opened: Arc::clone(&transport),
                state: Arc::clone(&state),
            })
        });
        Transport { client, opened }
    }

    /// The requests of an operation through all transports since the last time, and starts again at zero.
    pub(crate) fn take(&self, operation: &str) -> Tally {
        let mut tallies = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.remove(operation).unwrap_or_default()
    }
}

impl FaultControl for TransportFaults {
    fn set(&self, script: Option<FaultScript>) {
        *self.0.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }
}

/// How the requests of one handle go.
#[derive(Debug)]
pub(crate) struct Transport {
    /// For the builder of the handle.
    pub(crate) client: SharedHttpClient,
    opened: Arc<AtomicBool>,
}

impl Transport {
    /// Lets the script decide from now on. Until then the handle is being opened.
    pub(crate) fn opened(&self) {
        self.opened.store(true, Ordering::Release);
    }
}

#[derive(Debug, Clone)]
struct Connector {
    network: SharedHttpConnector,
    /// Without a proxy.
    plain: SharedHttpConnector,
    opened: Arc<AtomicBool>,
    state: Arc<State>,
}

type Answer = Result<HttpResponse, ConnectorError>;

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let fault = self.decide(&operation);
        self.state.tally(&operation, |tally| tally.asked += 1);
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                None => this.send(&operation, request).await,
                Some((fault, turn)) => this.suffer(fault, turn, &operation, request).await,
            }
        })
    }
}

impl Connector {
    fn decide(&self, operation: &str) -> Option<(Fault, usize)> {
        if !self.opened.load(Ordering::Acquire) || !DISTURBED.contains(&operation) {
            return None;
        }
        let script = self.state.script.lock().unwrap_or_else(PoisonError::into_inner);
        let script = script.clone()?;
        let fault = script()?;
        Some((fault, self.state.faults.fetch_add(1, Ordering::Relaxed)))
    }

    async fn send(&self, operation: &str, request: HttpRequest) -> Answer {
        let answer = self.network.call(request).await?;
        self.state.tally(operation, |tally| tally.answered += 1);
        Ok(answer)
    }

    async fn suffer(&self, fault: Fault, turn: usize, operation: &str, mut request: HttpRequest) -> Answer {
        match fault {
            Fault::BeforeDispatch => {
                // Bound, but not listening: the system refuses, and nobody else gets the port meanwhile.
                let port = TcpSocket::new_v4().and_then(|socket| {
                    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
                    Ok((socket.local_addr()?, socket))
                });
                let (nobody, _socket) = port.map_err(|error| ConnectorError::user(error.into()))?;
                request
                    .set_uri(format!("http://{nobody}/"))
                    .map_err(|error| ConnectorError::user(error.into()))?;
                self.plain.call(request).await
            }
            Fault::ReplyLost => {
                self.send(operation, request).await?;
                lost(turn)
            }
            Fault::Throttled => Ok(throttled(operation, &request, turn)),
            Fault::Slow => {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(1 + turn as u64 % 4)).await;
                self.send(operation, request).await
            }
            Fault::PartialBatch => self.send_partly(operation, request, turn).await,
            fault => Err(ConnectorError::user(
                format!("the transport knows no fault {fault:?}").into(),
            )),
        }
    }

    async fn send_partly(&self, operation: &str, mut request: HttpRequest, turn: usize) -> Answer {
        let asked = content(request.body().bytes().unwrap_or_default());
        let Some((table, parts)) = parts(operation, &asked) else {
            return match operation {
                "Query" | "Scan" => altered(self.send(operation, request).await?, shorten_page).await,
                _ => Ok(throttled(operation, &request, turn)),
            };
        };
        let (first, rest) = parts.split_at(parts.len() / 2);
        if operation == "BatchGetItem" {
            // All is read, and half of it withheld: a reader cannot tell, and the request stays as it was signed.
            let left = |answer: &mut Value| withhold(answer, table, &asked, first, rest);
            return altered(self.send(operation, request).await?, left).await;
        }
        if request.uri().starts_with("https:") {
            return Ok(throttled(operation, &request, turn)); // a part would need a signature of its own
        }
        let half = json!({ "RequestItems": { table: first } }).to_string();
        request.headers_mut().insert("content-length", half.len().to_string());
        *request.body_mut() = SdkBody::from(half);
        let left = |answer: &mut Value| {
            let mut left = list(&answer["UnprocessedItems"][table]).to_vec();
            left.extend_from_slice(rest);
            answer["UnprocessedItems"] = json!({ table: left });
        };
        altered(self.send(operation, request).await?, left).await
    }
}

impl State {
    fn tally(&self, operation: &str, count: impl FnOnce(&mut Tally)) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        count(tallies.entry(operation.to_owned()).or_default());
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// As the SDK makes its own.
fn ordinary_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = HttpsConnector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

/// The request was carried out, and this is all that is heard of it.
fn lost(turn: usize) -> Answer {
    match turn % 5 {
        0 => Err(ConnectorError::io(io::Error::from(ErrorKind::ConnectionReset).into())),
        1 => Err(ConnectorError::timeout("no answer in time".into())),
        2 => Ok(error(
            500,
            "com.amazonaws.dynamodb.v20120810#InternalServerError",
            json!({}),
        )),
        // From who stands between.
        3 => Ok(response(502, "")),
        _ => Ok(response(503, "<html><body>Service Unavailable</body></html>")),
    }
}

/// DynamoDB asks to slow down.
fn throttled(operation: &str, request: &HttpRequest, turn: usize) -> HttpResponse {
    if operation != "TransactWriteItems" {
        let types = [
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "com.amazon.coral.availability#ThrottlingException",
            "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
        ];
        return error(400, types[turn % types.len()], json!({}));
    }
    let asked = content(request.body().bytes().unwrap_or_default());
    let mut reasons = vec![json!({ "Code": "None" }); list(&asked["TransactItems"]).len()];
    let code = ["ThrottlingError", "TransactionConflict"][turn % 2];
    let at = turn % reasons.len().max(1);
    if let Some(reason) = reasons.get_mut(at) {
        *reason = json!({ "Code": code, "Message": "made up" });
    }
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    error(400, kind, json!({ "CancellationReasons": reasons }))
}

/// The table that a batch is about, and what it asks for there, if that is more than one thing.
fn parts<'a>(operation: &str, asked: &'a Value) -> Option<(&'a str, &'a [Value])> {
    let (table, wanted) = asked["RequestItems"].as_object()?.iter().next()?;
    let parts = match operation {
        "BatchGetItem" => list(&wanted["Keys"]),
        _ => list(wanted),
    };
    (parts.len() > 1).then_some((table, parts))
}

/// Leaves some of the keys that a batch asked for unprocessed.
fn withhold(answer: &mut Value, table: &str, asked: &Value, first: &[Value], rest: &[Value]) {
    let mut left = list(&answer["UnprocessedKeys"][table]["Keys"]).to_vec();
    left.retain(|key| first.contains(key));
    left.extend_from_slice(rest);
    let mut wanted = asked["RequestItems"][table].clone();
    wanted["Keys"] = json!(left);
    answer["UnprocessedKeys"] = json!({ table: wanted });
    if let Some(items) = answer["Responses"][table].as_array_mut() {
        items.retain(|item| !rest.contains(&key(item)));
    }
}

/// Ends a page early, at least one item after its beginning.
fn shorten_page(page: &mut Value) {
    let Some(items) = page["Items"].as_array_mut() else {
        return;
    };
    items.truncate(items.len().div_ceil(2));
    let count = items.len();
    if let Some(last) = items.last().map(key) {
        page["LastEvaluatedKey"] = last;
        page["Count"] = json!(count);
    }
}

fn key(item: &Value) -> Value {
    json!({ "pk": item["pk"], "sk": item["sk"] })
}

/// This answer with other content, if it is one of success.
async fn altered(answer: HttpResponse, alter: impl FnOnce(&mut Value)) -> Answer {
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let mut whole = content(&body(answer).await?);
    alter(&mut whole);
    Ok(response(status, whole.to_string()))
}

async fn body(answer: HttpResponse) -> Result<Bytes, ConnectorError> {
    let body = ByteStream::new(answer.into_body()).collect().await;
    Ok(body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes())
}

fn error(status: u16, kind: &str, mut content: Value) -> HttpResponse {
    content["__type"] = json!(kind);
    content["message"] = json!("made up");
    response(status, content.to_string())
}

fn response(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    HttpResponse::new(status, body.into())
}

fn content(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
