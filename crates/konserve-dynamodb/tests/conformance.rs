//! The conformance suite on DynamoDB: the embedded engine, the endpoint in `KONSERVE_DYNAMODB_ENDPOINT`, or with
//! `KONSERVE_DYNAMODB_AWS=1` the real one. A fresh table for each run, a fresh namespace for each trial.
//!
//! For an endpoint and for AWS, credentials and region come from the default chains of the SDK; the table is deleted at
//! the end.

#[path = "dynamo/engine.rs"]
mod engine;

use std::env;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use konserve_conformance::{FaultControl, Harness, ManualClock, Missing, Namespace, Page, run};
use konserve_core::backend::{Backend, Capabilities, Durability, Reach, TransactionLimits};
use konserve_core::{Environment, Instant, Result};
use konserve_dynamodb::{DynamoConfig, DynamoDb};
use konserve_tests::transport::TransportFaults;
use tokio::runtime::Runtime;

use crate::engine::Engine;

/// Of the same length for every trial, so that the capabilities are.
const LONGEST_NAMESPACE: usize = "trial-000000".len();

/// What the embedded engine is called in reports.
const EMBEDDED: &str = "dynamodb";

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (name, config) = target(&runtime);
    let code = run(DynamoHarness {
        name,
        config: config.clone(),
        trials: AtomicU64::new(0),
    });
    let left = runtime.block_on(async {
        match DynamoDb::exists(config.clone()).await {
            Ok(true) => DynamoDb::delete(config).await,
            // Nothing was tried, or nothing can be reached, which the trials have said already.
            _ => Ok(()),
        }
    });
    match left {
        Ok(()) => code,
        Err(error) => {
            eprintln!("the table of this run is left: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is tested, and the table of this run.
fn target(runtime: &Runtime) -> (&'static str, DynamoConfig) {
    let (name, mut config) = place(runtime);
    // Trials make everything fail for good, again and again: whether that lasts a minute each time is not what they try.
    config.max_attempts = NonZeroU32::new(4);
    (name, config)
}

fn place(runtime: &Runtime) -> (&'static str, DynamoConfig) {
    let id = u128::from_be_bytes(Environment::default().random_id());
    let table = format!("konserve-conformance-{id:032x}");
    let endpoint = env::var("KONSERVE_DYNAMODB_ENDPOINT")
        .ok()
        .filter(|url| !url.is_empty());
    let is_aws = env::var("KONSERVE_DYNAMODB_AWS").is_ok_and(|value| value == "1");
    match endpoint {
        Some(_) => {
            let mut config = DynamoConfig::new(table);
            config.endpoint = endpoint;
            config.region = env::var("AWS_REGION").ok().or(Some("us-west-1".into()));
            ("dynamodb-endpoint", config)
        }
        None if is_aws => ("dynamodb-aws", DynamoConfig::new(table)),
        None => (EMBEDDED, runtime.block_on(Engine::start()).config(&table)),
    }
}

/// The embedded engine, in the version that this workspace is locked to.
fn embedded_version() -> Option<String> {
    let (_, rest) = include_str!("../../../Cargo.lock").split_once("name = \"dynoxide-rs\"\nversion = \"")?;
    let (version, _) = rest.split_once('"')?;
    Some(format!("dynoxide-rs {version}"))
}

struct DynamoHarness {
    name: &'static str,
    config: DynamoConfig,
    trials: AtomicU64,
}

#[async_trait]
impl Harness for DynamoHarness {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn version(&self) -> Option<String> {
        embedded_version().filter(|_| self.name == EMBEDDED)
    }

    fn settings(&self) -> Vec<&'static str> {
        match self.name {
            EMBEDDED => Vec::new(),
            _ => vec!["KONSERVE_DYNAMODB_ENDPOINT", "KONSERVE_DYNAMODB_AWS", "AWS_REGION"],
        }
    }

    fn capabilities(&self) -> Capabilities {
        // As documented, and not as the engine happens to compute it.
        Capabilities::new(Reach::Everywhere, Durability::Replicated)
            .with_item_limit(396 * 1024)
            .with_longest_partition(2048 - LONGEST_NAMESPACE - "/d/".len())
            .with_transactions(TransactionLimits {
                items: 100,
                bytes: 4 * 1024 * 1024 - 100 * 4 * 1024,
            })
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let mut config = self.config.clone();
        let trial = self.trials.fetch_add(1, Ordering::Relaxed);
        config.namespace = Some(format!("trial-{trial:06}"));
        let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
        let faults = TransportFaults::default();
        let transport = faults.transport();
        let builder = DynamoDb::builder(config.clone()).environment(clock.environment());
        let backend = Arc::new(builder.http_client(transport.client.clone()).create().await?);
        transport.opened();
        Ok(Box::new(Store {
            config,
            clock,
            faults,
            backend,
        }))
    }

    fn page(&self) -> Page {
        Page {
            items: 10,
            bytes: 100 * 1024,
        }
    }

    fn has_clock(&self) -> bool {
        true
    }

    fn has_faults(&self) -> bool {
        true
    }

    fn environment(&self) -> Result<(), Missing> {
        match env::var("KONSERVE_DYNAMODB_AWS").as_deref() {
            Ok("0" | "1" | "") | Err(_) => Ok(()),
            Ok(_) => Err(Missing::new("KONSERVE_DYNAMODB_AWS must be 1 or not be set")),
        }
    }
}

struct Store {
    config: DynamoConfig,
    clock: ManualClock,
    faults: TransportFaults,
    backend: Arc<DynamoDb>,
}

impl Store {
    async fn connect(&self) -> Result<Arc<dyn Backend>> {
        let transport = self.faults.transport();
        let builder = DynamoDb::builder(self.config.clone()).environment(self.clock.environment());
        let backend = builder.http_client(transport.client.clone()).connect().await?;
        transport.opened();
        Ok(Arc::new(backend))
    }
}

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        self.connect().await
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        self.connect().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        Some(Arc::new(self.faults.clone()))
    }

    async fn clean_up(&self) -> Result<()> {
        DynamoDb::delete(self.config.clone()).await
    }
}
