//! Bringing a store up: from the configuration alone, or with a client, credentials or a clock of one's own.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, HttpClient, IntoShared, Region, SharedHttpClient};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_types::SdkConfig;
use konserve_core::{Environment, Error, ErrorKind, Result};

use crate::budget::Budget;
use crate::config::DynamoConfig;
use crate::connection::Connection;
use crate::dynamo::DynamoDb;
use crate::layout::Layout;
use crate::observe::{Observer, ServerLookout};
use crate::parts::Parts;
use crate::purge::partly;
use crate::requests::RequestCounter;
use crate::setup::{Hooks, Setup, TableWait};
#[cfg(feature = "xray")]
use crate::xray::{TraceHeader, XRay};

/// A store on DynamoDB that is not there yet: settings, and what to do with them.
///
/// Created by [`DynamoDb::builder`]. What is given here goes before the configuration.
#[derive(Debug)]
#[must_use]
pub struct DynamoDbBuilder {
    config: DynamoConfig,
    source: Source,
    credentials: Option<SharedCredentialsProvider>,
    http_client: Option<SharedHttpClient>,
    environment: Environment,
    counter: Option<RequestCounter>,
    hooks: Hooks,
}

/// Where the client comes from.
#[derive(Debug)]
enum Source {
    Config,
    Sdk(Box<SdkConfig>),
    Client(Client),
}

impl DynamoDbBuilder {
    pub(crate) fn new(config: DynamoConfig) -> Self {
        Self {
            config,
            source: Source::Config,
            credentials: None,
            http_client: None,
            environment: Environment::default(),
            counter: None,
            hooks: Hooks::default(),
        }
    }

    /// Sends requests through this client. Region, endpoint, credentials, profile and time-outs of the configuration are
    /// then not used; where the client sets no time-outs of its own, requests are bounded by the configured ones.
    pub fn client(mut self, client: Client) -> Self {
        self.source = Source::Client(client);
        self
    }

    /// Makes the client from this configuration of the SDK. Region, endpoint and credentials of the store's configuration
    /// go before it where they are set; a profile is for the configuration of the SDK to name.
    pub fn sdk_config(mut self, config: SdkConfig) -> Self {
        self.source = Source::Sdk(Box::new(config));
        self
    }

    /// Takes credentials from here.
    pub fn credentials_provider(mut self, provider: impl ProvideCredentials + 'static) -> Self {
        self.credentials = Some(SharedCredentialsProvider::new(provider));
        self
    }

    /// Sends requests to DynamoDB over this: a pool of connections, certificates or a proxy of one's own. How credentials are
    /// got is not changed by it.
    pub fn http_client(mut self, client: impl HttpClient + 'static) -> Self {
        self.http_client = Some(client.into_shared());
        self
    }

    /// The clock that items expire by, and the randomness of pauses.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Counts every request that is sent.
    pub fn request_counter(mut self, counter: RequestCounter) -> Self {
        self.counter = Some(counter);
        self
    }

    /// Changes how a table is made here, in whatever the configuration has no field for: encryption with a key of one's own, a
    /// stream, another table class, indexes. Gets what would be sent, with the settings of the configuration. The name and
    /// the key schema stay as they were; rights for what is added are the caller's to have.
    ///
    /// Only the request is changed: a table that is there already, or that somebody else makes first, is used as it is.
    ///
    /// ```
    /// use aws_sdk_dynamodb::types::{SseSpecification, SseType, TableClass};
    /// use konserve_dynamodb::{DynamoConfig, DynamoDb};
    ///
    /// let _ = DynamoDb::builder(DynamoConfig::new("orders")).customize_create_table(|create| {
    ///     let sse = SseSpecification::builder().enabled(true).sse_type(SseType::Kms);
    ///     create
    ///         .sse_specification(sse.kms_master_key_id("alias/orders").build())
    ///         .table_class(TableClass::StandardInfrequentAccess)
    /// });
    /// ```
    pub fn customize_create_table(
        mut self,
        customize: impl Fn(CreateTableFluentBuilder) -> CreateTableFluentBuilder + Send + Sync + 'static,
    ) -> Self {
        self.hooks.create_table = Some(Arc::new(customize));
        self
    }

    /// Calls this each time before it pauses because the table is not ready yet, or not gone yet: after 20 ms at first, then
    /// less and less often, every 2 s in the end. It must not block.
    ///
    /// ```
    /// use konserve_dynamodb::{DynamoConfig, DynamoDb};
    ///
    /// let _ = DynamoDb::builder(DynamoConfig::new("orders")).on_wait(|wait| {
    ///     let status = wait.status.as_deref().unwrap_or("not to be seen");
    ///     eprintln!("{} is {status}, for {:?} of {:?}", wait.table, wait.waited, wait.timeout);
    /// });
    /// ```
    pub fn on_wait(mut self, tell: impl Fn(&TableWait) + Send + Sync + 'static) -> Self {
        self.hooks.wait = Some(Arc::new(tell));
        self
    }

    /// Creates the store.
    ///
    /// Without a namespace, creates the table. With one, or in a managed table, marks the store in the table, which is
    /// created before when it is missing and the configuration allows it. Of several creators at once, one succeeds.
    ///
    /// # Errors
    ///
    /// `already_exists`; `unknown_outcome` when the answer was lost: then look whether it exists; otherwise as
    /// [`connect`](Self::connect).
    ///
    /// # Cancellation
    ///
    /// Leaves the store made, or not made, or a table that is not ready yet, which connecting waits for; perhaps without the
    /// [time to live](DynamoConfig::ttl) switched on, without which all works as well.
    pub async fn create(self) -> Result<DynamoDb> {
        let (setup, connection) = self.prepare().await?;
        let identity = setup.in_time(connection.create_store(&setup)).await?;
        // The store is made by now.
        setup
            .in_time(connection.open_index(&setup.config))
            .await
            .map_err(partly)?;
        Ok(DynamoDb::new(connection, &setup.config, identity))
    }

    /// Opens the store; creates it when it is missing, unless [`DynamoConfig::create_table`] is off. A table that is being made
    /// is waited for, one that is being updated is used. All of it takes
    /// [`table_timeout_ms`](DynamoConfig::table_timeout_ms) at most.
    ///
    /// # Errors
    ///
    /// `not_found` when it is missing and must not be created; `config` for a table with other keys, saying which, for one
    /// that was archived, and for what [`DynamoConfig::validate`] refuses; `denied` without valid credentials or rights, and
    /// while DynamoDB cannot use the key that the table is encrypted with; `unavailable` when the endpoint does not answer or
    /// the table is not ready in time; `throttled` when DynamoDB kept turning requests away; `unsupported` for a layout, or a
    /// status of the table, that this version does not know.
    pub async fn connect(self) -> Result<DynamoDb> {
        let (setup, connection) = self.prepare().await?;
        let identity = setup.in_time(connection.open_store(&setup)).await?;
        setup.in_time(connection.open_index(&setup.config)).await?;
        Ok(DynamoDb::new(connection, &setup.config, identity))
    }

    /// Whether there is such a store.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for `not_found`.
    pub async fn exists(self) -> Result<bool> {
        let (setup, connection) = self.prepare().await?;
        setup.in_time(connection.store_exists(&setup.config)).await
    }

    /// Deletes the store and everything in it, and returns when it is gone.
    ///
    /// Without a namespace, drops the table, the stores of all namespaces in it included. With one, or in a managed
    /// table, erases the items of the store; that reads the whole table until nothing is found, twice at least, and one
    /// that was interrupted is continued by doing it again.
    ///
    /// Close all handles before, and do not make a store of the same name in the same table for a quarter of an hour: an
    /// erasure that is still on its way is not fenced by revisions, and could hit what the new store has written.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none; `config` for a table with other keys, which is left alone; `denied` for a table
    /// that is protected against deletion.
    pub async fn delete(self) -> Result<()> {
        let (setup, connection) = self.prepare().await?;
        connection.delete_store(&setup).await
    }

    async fn prepare(self) -> Result<(Setup, Connection)> {
        let Self {
            config,
            source,
            credentials,
            http_client,
            environment,
            counter,
            hooks,
        } = self;
        config.validate()?;
        let credentials = credentials.or_else(|| explicit_credentials(&config));
        let (mut settings, region) = match source {
            Source::Client(client) => {
                let mut settings = client.config().to_builder();
                settings = settings.timeout_config(bounded(&config, client.config().timeout_config()));
                if let Some(credentials) = credentials {
                    settings = settings.credentials_provider(credentials);
                }
                (settings, client.config().region().cloned())
            }
            Source::Sdk(sdk) => {
                let sdk = override_sdk(&config, *sdk, credentials);
                require_region(sdk.region())?;
                (aws_sdk_dynamodb::config::Builder::from(&sdk), sdk.region().cloned())
            }
            Source::Config => {
                let sdk = load_sdk(&config, credentials).await;
                require_region(sdk.region())?;
                (aws_sdk_dynamodb::config::Builder::from(&sdk), sdk.region().cloned())
            }
        };
        if let Some(client) = http_client {
            settings = settings.http_client(client);
        }
        if let Some(counter) = counter {
            settings = settings.interceptor(counter);
        }
        #[cfg(feature = "xray")]
        let x_ray = match config.x_ray {
            true => Some(XRay::new(config.x_ray_daemon.as_deref()).await?),
            false => None,
        };
        #[cfg(feature = "xray")]
        if x_ray.is_some() {
            settings = settings.interceptor(TraceHeader);
        }
        let region = region.as_ref().map(Region::to_string);
        let observer = Observer::new(&config.table, region, environment.clone());
        #[cfg(feature = "xray")]
        let observer = observer.with_x_ray(x_ray);
        let observer = Arc::new(observer);
        settings = settings.interceptor(ServerLookout(Arc::clone(&observer)));
        // The SDK would repeat requests behind our back; see `call`.
        settings = settings.retry_config(RetryConfig::disabled());
        let connection = Connection {
            client: Client::from_conf(settings.build()),
            layout: Layout::new(&config.table, config.namespace.as_deref()),
            environment,
            patience: config.request_timeout(),
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            max_attempts: config.max_attempts,
            budget: Budget::full(),
            observer,
            parts: Parts::new(&config),
            managed_table: config.managed_table,
        };
        Ok((Setup::new(config, hooks), connection))
    }
}

fn explicit_credentials(config: &DynamoConfig) -> Option<SharedCredentialsProvider> {
    let (id, secret) = config.access_key_id.as_ref().zip(config.secret_access_key.as_ref())?;
    let token = config.session_token.clone();
    let credentials = Credentials::new(id, secret, token, None, "konserve configuration");
    Some(SharedCredentialsProvider::new(credentials))
}

fn timeouts(config: &DynamoConfig) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .operation_attempt_timeout(Duration::from_millis(config.attempt_timeout_ms))
        .operation_timeout(config.request_timeout())
        .build()
}

/// The time-outs of a client or of a configuration from elsewhere, and the store's where it sets none. The SDK always sets that
/// of connecting, which alone bounds nothing.
fn bounded(config: &DynamoConfig, own: Option<&TimeoutConfig>) -> TimeoutConfig {
    let mut own = own.cloned().unwrap_or_else(|| TimeoutConfig::builder().build());
    own.take_defaults_from(&timeouts(config));
    own
}

async fn load_sdk(config: &DynamoConfig, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts(config));
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    loader.load().await
}

fn override_sdk(config: &DynamoConfig, sdk: SdkConfig, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
    let timeouts = bounded(config, sdk.timeout_config());
    let version = sdk.behavior_version();
    let mut sdk = sdk.into_builder();
    // A configuration built by hand may lack it, and a client without one panics.
    sdk.set_behavior_version(Some(version.unwrap_or_else(BehaviorVersion::v2026_01_12)));
    if let Some(region) = &config.region {
        sdk = sdk.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &config.endpoint {
        sdk = sdk.endpoint_url(endpoint);
    }
    if let Some(credentials) = credentials {
        sdk = sdk.credentials_provider(credentials);
    }
    sdk.timeout_config(timeouts).build()
}

fn require_region(region: Option<&Region>) -> Result<()> {
    match region {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::Config,
            "no region: set region in the configuration, AWS_REGION, or the region of the profile",
        )),
    }
}
