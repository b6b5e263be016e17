//! The fault control of a store, and the transports of its handles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector as HttpsConnector};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use konserve_conformance::{Fault, FaultControl, FaultScript};

use super::answers::Answer;
use super::disturbance::{Asked, Course, Disturbance, Loss, Plan, Refusal};
use super::engine::InProcess;
use super::figures::{Counters, Figures, Tally};
use super::late::Late;
use super::past::Past;

/// The requests about items. The others concern the table, and are never disturbed.
const DISTURBED: [&str; 10] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];

/// What a request becomes instead of what it is, by its body.
pub type Defect = fn(&str) -> String;

/// The fault control of a store: what all its transports ask, and where everything is counted.
///
/// Until a plan is given ([`disturb`](Self::disturb), or [`FaultControl::set`]) every request passes.
#[derive(Debug, Clone, Default)]
pub struct TransportFaults(Arc<State>);

#[derive(Default)]
pub(super) struct State {
    /// Without a socket, if there is one.
    engine: Option<InProcess>,
    pub(super) past: Option<Past>,
    defect: OnceLock<Defect>,
    plan: Mutex<Option<Arc<dyn Plan>>>,
    /// How many requests about items there were, of handles that are open.
    pub(super) numbers: AtomicU64,
    /// How many faults of the suite there were: the forms that a fault has come in turn.
    turns: Arc<AtomicUsize>,
    pub(super) late: Late,
    pub(super) counters: Counters,
    /// Whoever changes something while there is a past, so that both get it in the same order.
    pub(super) order: tokio::sync::Mutex<()>,
}

impl TransportFaults {
    /// In front of whatever the SDK's ordinary client reaches.
    pub fn over_network() -> Self {
        Self::default()
    }

    /// In front of this engine, without a socket.
    pub fn in_process(database: Database) -> Self {
        Self(Arc::new(State {
            engine: Some(InProcess(database)),
            ..State::default()
        }))
    }

    /// The same with a replica beside it, for [`Disturbance::Stale`]. All changes, those of the table included, must come
    /// through this; over the network they come one after the other.
    #[must_use]
    pub fn with_past(self) -> Self {
        let engine = self.0.engine.clone();
        Self(Arc::new(State {
            engine,
            past: Some(Past::new()),
            ..State::default()
        }))
    }

    /// Plants a defect, to see whether it is found: every request is another one than the store asked for. Only where nobody
    /// checks signatures.
    #[must_use]
    pub fn with_defect(self, defect: Defect) -> Self {
        let _ = self.0.defect.set(defect); // the first one stays
        self
    }

    /// A transport for one handle, with connections of its own.
    pub fn transport(&self) -> Transport {
        let network = match &self.0.engine {
            Some(engine) => {
                let engine = SharedHttpConnector::new(engine.clone());
                http_client_fn(move |_, _| engine.clone())
            }
            None => ordinary_client(),
        };
        let nobody = client_that_finds_nobody();
        let (opened, state) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.0));
        let transport = Arc::clone(&opened);
        let client = http_client_fn(move |settings, components| {
            SharedHttpConnector::new(Connector {
                network: network.http_connector(settings, components),
                nobody: nobody.http_connector(settings, components),
                opened: Arc::clone(&transport),
                state: Arc::clone(&state),
            })
        });
        Transport { client, opened }
    }

    /// Lets this plan decide on the requests that begin from now on.
    pub fn disturb(&self, plan: impl Plan + 'static) {
        self.put(Some(Arc::new(plan)));
    }

    /// Lets all requests pass from now on. What is late stays on its way.
    pub fn calm(&self) {
        self.put(None);
    }

    /// Lets everything arrive now that is late, and says how many requests that was. The answers go nowhere.
    pub async fn deliver(&self) -> usize {
        self.0.late.deliver_all(&self.0).await
    }

    /// The requests of an operation through all transports since the last time, and starts again at zero.
    pub fn take(&self, operation: &str) -> Tally {
        self.take_figures(operation).into()
    }

    /// The same with everything that is counted.
    pub fn take_figures(&self, operation: &str) -> Figures {
        self.0.counters.take(operation)
    }

    /// The figures of all operations that there were.
    pub fn figures(&self) -> BTreeMap<String, Figures> {
        self.0.counters.all()
    }

    fn put(&self, plan: Option<Arc<dyn Plan>>) {
        *self.0.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

impl FaultControl for TransportFaults {
    fn set(&self, script: Option<FaultScript>) {
        let turns = Arc::clone(&self.0.turns);
        let plan = script.map(|script| {
            let plan = move |asked: Asked<'_>| {
                let fault = script();
                fault.map_or(Course::default(), |fault| {
                    in_turn(fault, turns.fetch_add(1, Ordering::Relaxed), asked.operation)
                })
            };
            Arc::new(plan) as Arc<dyn Plan>
        });
        self.put(plan);
    }
}

/// A fault of the suite in one of the forms that it has, which come in turn.
fn in_turn(fault: Fault, turn: usize, operation: &str) -> Course {
    let disturbance = match fault {
        Fault::BeforeDispatch => Disturbance::NoConnection,
        Fault::ReplyLost => Disturbance::ReplyLost(match turn % 5 {
            0 => Loss::Reset,
            1 => Loss::Timeout,
            2 => Loss::Server(0),
            3 => Loss::Server(4),
            _ => Loss::Server(5),
        }),
        Fault::Throttled if operation == "TransactWriteItems" => {
            Disturbance::Refused(Refusal::Cancelled((turn + 1) % 2, turn))
        }
        Fault::Throttled => Disturbance::Refused(Refusal::Throttled(turn)),
        Fault::PartialBatch => Disturbance::Partly,
        Fault::Slow => {
            return Course {
                before: Duration::from_millis(1 + turn as u64 % 4),
                ..Course::default()
            };
        }
        other => panic!("the transport knows no fault {other:?}"),
    };
    Some(disturbance).into()
}

/// How the requests of one handle go.
#[derive(Debug)]
pub struct Transport {
    /// For the builder of the handle.
    pub client: SharedHttpClient,
    opened: Arc<AtomicBool>,
}

impl Transport {
    /// Lets the plan decide from now on. Until then the handle is being opened.
    pub fn opened(&self) {
        self.opened.store(true, Ordering::Release);
    }
}

/// The connections of one handle.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) network: SharedHttpConnector,
    /// Never reaches anybody.
    pub(super) nobody: SharedHttpConnector,
    opened: Arc<AtomicBool>,
    pub(super) state: Arc<State>,
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation_of(&request);
        if let Some(defect) = self.state.defect.get() {
            let asked = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
            let other = defect(&asked);
            *request.body_mut() = SdkBody::from(other);
        }
        let course = self.decide(&operation, &request);
        let bytes = request.body().bytes().map_or(0, <[u8]>::len) as u64;
        self.state.counters.count(&operation, |figures| {
            figures.asked += 1;
            figures.bytes_sent += bytes;
            figures.faulted += u64::from(course.disturbance.is_some_and(Disturbance::is_fault));
        });
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.go(course, &operation, request).await })
    }
}

impl Connector {
    fn decide(&self, operation: &str, request: &HttpRequest) -> Course {
        if !self.opened.load(Ordering::Acquire) || !DISTURBED.contains(&operation) {
            return Course::default();
        }
        let number = self.state.numbers.fetch_add(1, Ordering::Relaxed);
        let plan = self.state.plan.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plan.map_or(Course::default(), |plan| {
            plan.decide(Asked {
                operation,
                number,
                is_eventual: is_eventual(operation, request),
            })
        })
    }

    async fn go(&self, course: Course, operation: &str, request: HttpRequest) -> Answer {
        pass(course.before).await;
        self.state
            .late
            .deliver_due(&self.state, self.state.numbers.load(Ordering::Relaxed))
            .await;
        let answer = match course.disturbance {
            None => self.send(operation, request).await,
            Some(disturbance) => self.suffer(disturbance, operation, request).await,
        };
        pass(course.after).await;
        let answer = answer?;
        self.state.counters.count(operation, |figures| {
            figures.bytes_received += answer.body().bytes().map_or(0, <[u8]>::len) as u64;
        });
        Ok(answer)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// Which of DynamoDB's operations a request asks for.
pub(super) fn operation_of(request: &HttpRequest) -> String {
    let target = request.headers().get("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Whether a request reads, and not strongly. What others have stored has its quotes escaped, and is not mistaken for it.
fn is_eventual(operation: &str, request: &HttpRequest) -> bool {
    let reads = matches!(operation, "GetItem" | "BatchGetItem" | "Query" | "Scan");
    let body = request.body().bytes().unwrap_or_default();
    reads && !String::from_utf8_lossy(body).contains("\"ConsistentRead\":true")
}

/// Lets time pass.
pub(super) async fn pass(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
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

/// Fails as the ordinary client does when there is no connection, and without asking the system.
fn client_that_finds_nobody() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = HttpsConnector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build_with_resolver(Nobody)
    })
}

/// Knows no host.
#[derive(Debug, Clone)]
struct Nobody;

impl ResolveDns for Nobody {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
        DnsFuture::ready(Err(ResolveDnsError::new("there is no such host")))
    }
}
