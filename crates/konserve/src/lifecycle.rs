//! Stores by configuration: created, opened, looked for, deleted.

use konserve_core::{Result, Store};

use crate::config::not_built;
use crate::{Config, Engine};

/// Opens the store, and creates it when it is missing: on DynamoDB the table, unless `create_table = false`.
///
/// Takes a [`Config`] or its URL form.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve::Result<()> {
/// let store = konserve::connect("memory:").await?;
/// store.assoc("greeting", "hello").await?;
/// assert_eq!(store.get::<String>("greeting").await?.as_deref(), Some("hello"));
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `config` for settings that make no sense, and for a DynamoDB table with other keys; `not_found` when the store is missing
/// and must not be created; `denied` without valid credentials; `unavailable` when the endpoint does not answer;
/// `unsupported` for an engine that this build lacks.
///
/// Dropping the future can leave a table that was being created.
pub async fn connect(config: impl IntoConfig) -> Result<Store> {
    open(config.into_config(), false)
        .await
        .map_err(|error| error.with_operation("connect"))
}

/// Creates the store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve::Result<()> {
/// let url = "memory:created";
/// konserve::create(url).await?;
/// assert!(konserve::exists(url).await?);
/// assert_eq!(konserve::create(url).await.unwrap_err().kind(), konserve::ErrorKind::AlreadyExists);
/// konserve::delete(url).await?;
/// assert!(!konserve::exists(url).await?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `already_exists` when there is one, `unknown_outcome` when the answer was lost, and as [`connect`].
pub async fn create(config: impl IntoConfig) -> Result<Store> {
    open(config.into_config(), true)
        .await
        .map_err(|error| error.with_operation("create"))
}

/// Whether there is such a store.
///
/// # Errors
///
/// As [`connect`], but for `not_found`.
pub async fn exists(config: impl IntoConfig) -> Result<bool> {
    is_there(config.into_config())
        .await
        .map_err(|error| error.with_operation("exists"))
}

/// Deletes the store with everything in it, and returns when it is gone.
///
/// On DynamoDB a store without a namespace is the table, which is dropped, the stores of all namespaces in it included.
///
/// # Errors
///
/// `not_found` when there is none; `denied` for a table that is protected against deletion; and as [`connect`]. When dropped
/// or failed in the middle, part of the store may be gone; doing it again goes on.
pub async fn delete(config: impl IntoConfig) -> Result<()> {
    erase(config.into_config())
        .await
        .map_err(|error| error.with_operation("delete"))
}

/// What a store can be opened by: a [`Config`], the configuration of an engine, or a URL.
pub trait IntoConfig: Send {
    /// The configuration.
    ///
    /// # Errors
    ///
    /// `config` for a URL that is none of a store.
    fn into_config(self) -> Result<Config>;
}

impl IntoConfig for Config {
    fn into_config(self) -> Result<Config> {
        Ok(self)
    }
}

impl IntoConfig for &Config {
    fn into_config(self) -> Result<Config> {
        Ok(self.clone())
    }
}

impl IntoConfig for Engine {
    fn into_config(self) -> Result<Config> {
        Ok(Config::new(self))
    }
}

impl IntoConfig for &str {
    fn into_config(self) -> Result<Config> {
        Config::from_url(self)
    }
}

impl IntoConfig for &String {
    fn into_config(self) -> Result<Config> {
        Config::from_url(self)
    }
}

impl IntoConfig for String {
    fn into_config(self) -> Result<Config> {
        Config::from_url(&self)
    }
}

#[cfg(feature = "dynamodb")]
impl IntoConfig for konserve_dynamodb::DynamoConfig {
    fn into_config(self) -> Result<Config> {
        Ok(Config::new(self))
    }
}

#[cfg(feature = "memory")]
impl IntoConfig for crate::MemoryConfig {
    fn into_config(self) -> Result<Config> {
        Ok(Config::new(self))
    }
}

async fn open(config: Result<Config>, must_be_new: bool) -> Result<Store> {
    let Config { engine, store: options } = config?;
    #[cfg(not(any(feature = "dynamodb", feature = "memory")))]
    let _ = (must_be_new, options);
    match engine {
        #[cfg(feature = "dynamodb")]
        Engine::DynamoDb(config) => {
            let engine = match must_be_new {
                true => konserve_dynamodb::DynamoDb::create(config).await?,
                false => konserve_dynamodb::DynamoDb::connect(config).await?,
            };
            Ok(Store::builder(engine).options(options).build())
        }
        #[cfg(feature = "memory")]
        Engine::Memory(config) => {
            let engine = match config.name {
                None => konserve_memory::Memory::new(),
                Some(name) if must_be_new => konserve_memory::Memory::create(&name)?,
                Some(name) => konserve_memory::Memory::builder().open(&name),
            };
            Ok(Store::builder(engine).options(options).build())
        }
        Engine::NotBuilt { feature } => Err(not_built(feature)),
    }
}

async fn is_there(config: Result<Config>) -> Result<bool> {
    match config?.engine {
        #[cfg(feature = "dynamodb")]
        Engine::DynamoDb(config) => konserve_dynamodb::DynamoDb::exists(config).await,
        #[cfg(feature = "memory")]
        Engine::Memory(config) => Ok(config.name.is_some_and(|name| konserve_memory::Memory::exists(&name))),
        Engine::NotBuilt { feature } => Err(not_built(feature)),
    }
}

async fn erase(config: Result<Config>) -> Result<()> {
    match config?.engine {
        #[cfg(feature = "dynamodb")]
        Engine::DynamoDb(config) => konserve_dynamodb::DynamoDb::delete(config).await,
        #[cfg(feature = "memory")]
        Engine::Memory(config) => match config.name {
            Some(name) => konserve_memory::Memory::delete(&name),
            None => {
                let message = "a store in memory without a name cannot be found again: it ends with its last handle";
                let kind = konserve_core::ErrorKind::NotFound;
                Err(konserve_core::Error::new(kind, message))
            }
        },
        Engine::NotBuilt { feature } => Err(not_built(feature)),
    }
}
