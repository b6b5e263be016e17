//! The engine of a walkthrough: memory, a DynamoDB embedded in this process, or one at an endpoint.

use std::sync::mpsc;

use konserve::dynamodb::{DynamoConfig, DynamoDb, DynamoDbBuilder, RequestCounter};
use konserve::{Config, Engine, Environment, Error, ErrorKind, MemoryConfig, Options, Result, Store};

use super::{Arguments, Failure};

/// A store, and what was needed to get it.
pub(crate) struct Started {
    /// The store, empty.
    pub(crate) store: Store,
    /// What counts the requests that are sent; `None` in memory.
    pub(crate) counter: Option<RequestCounter>,
    config: Config,
}

impl Started {
    /// Deletes the store.
    pub(crate) async fn delete(&self) -> Result<()> {
        match self.counted() {
            Some(builder) => builder.delete().await,
            None => konserve::delete(&self.config).await,
        }
    }

    /// Whether there is such a store.
    pub(crate) async fn exists(&self) -> Result<bool> {
        match self.counted() {
            Some(builder) => builder.exists().await,
            None => konserve::exists(&self.config).await,
        }
    }

    /// A connection of its own, of which every request is counted as well.
    fn counted(&self) -> Option<DynamoDbBuilder> {
        match (&self.config.engine, &self.counter) {
            (Engine::DynamoDb(config), Some(counter)) => {
                Some(DynamoDb::builder(config.clone()).request_counter(counter.clone()))
            }
            _ => None,
        }
    }
}

/// Opens the store of the walkthrough.
pub(crate) async fn start(arguments: &Arguments) -> Result<Started, Failure> {
    let mut options = Options::default();
    // The embedded engine never lags. Others may, and what was just written must be there: for a request more here and there.
    options.consistent_read = arguments.endpoint.is_some();
    // What is removed in the background would count into requests of later calls.
    options.background_cleanup = false;
    if arguments.memory {
        let config = Config::new(MemoryConfig::named("konserve-demo")).options(options);
        println!("in memory");
        return Ok(Started {
            store: konserve::create(&config).await?,
            config,
            counter: None,
        });
    }
    let dynamo = match &arguments.endpoint {
        Some(endpoint) => at_endpoint(endpoint, arguments).await?,
        None => embedded(arguments)?,
    };
    println!(
        "on DynamoDB at {}, table {}{}",
        dynamo.endpoint.as_deref().unwrap_or("its default"),
        dynamo.table,
        dynamo
            .namespace
            .as_ref()
            .map(|namespace| format!(", namespace {namespace}"))
            .unwrap_or_default(),
    );
    // As `konserve::connect(&config)` does it, but every request is counted.
    let counter = RequestCounter::new();
    let engine = DynamoDb::builder(dynamo.clone()).request_counter(counter.clone());
    let engine = engine.connect().await?;
    println!("connected, which made the store{}", requests(&counter));
    Ok(Started {
        store: Store::builder(engine).options(options.clone()).build(),
        config: Config::new(Engine::DynamoDb(dynamo)).options(options),
        counter: Some(counter),
    })
}

/// How many requests were sent since the last time, for people.
pub(crate) fn requests(counter: &RequestCounter) -> String {
    let counts = counter.take();
    let total: u64 = counts.values().sum();
    let names: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    match total {
        0 => "   [0 requests]".to_owned(),
        1 => format!("   [1 request: {}]", names.join(", ")),
        _ => format!("   [{total} requests: {}]", names.join(", ")),
    }
}

/// The embedded engine accepts whatever credentials, but it must be given some.
fn embedded(arguments: &Arguments) -> Result<DynamoConfig, Failure> {
    let mut config = DynamoConfig::new(arguments.table.as_deref().unwrap_or("konserve-demo"));
    config.endpoint = Some(serve_in_this_process()?);
    config.region = Some("us-west-1".into());
    config.access_key_id = Some("dummy".into());
    config.secret_access_key = Some("dummy".into());
    Ok(config)
}

/// Starts an empty DynamoDB on a thread of its own, over loopback, for as long as this process lives.
fn serve_in_this_process() -> Result<String, Failure> {
    let (send, receive) = mpsc::channel::<Result<String, Failure>>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.map_err(Failure::from).map(|runtime| {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                let database = dynoxide::Database::memory().map_err(|error| Failure::new(error.to_string()))?;
                let _ = send.send(Ok(format!("http://{}", listener.local_addr()?)));
                dynoxide::server::serve_on(listener, database).await;
                Ok(())
            })
        });
        if let Err(failure) | Ok(Err(failure)) = served {
            let _ = send.send(Err(failure));
        }
    });
    let endpoint = receive.recv();
    endpoint.unwrap_or_else(|_| Err(Failure::new("the embedded engine did not start")))
}

/// Another's DynamoDB: nothing that is there may be touched.
async fn at_endpoint(endpoint: &str, arguments: &Arguments) -> Result<DynamoConfig, Failure> {
    let fresh = format!("konserve-demo-{}", random());
    let mut config = DynamoConfig::new(arguments.table.as_deref().unwrap_or(&fresh));
    config.endpoint = Some(endpoint.to_owned());
    let exists = match DynamoDb::exists(config.clone()).await {
        // Neither the environment nor a profile names a region.
        Err(error) if error.kind() == ErrorKind::Config => {
            config.region = Some("us-west-1".into());
            DynamoDb::exists(config.clone()).await
        }
        answer => answer,
    };
    if exists? {
        if !arguments.allow_existing {
            let message = format!(
                "there is a table {}: give another name, or --allow-existing",
                config.table
            );
            return Err(Failure::new(message));
        }
        // At the end the store is deleted, and without a namespace that would be the table.
        config.namespace = Some(fresh);
    }
    Ok(config)
}

fn random() -> String {
    let id = Environment::default().random_id();
    id[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error)
    }
}
