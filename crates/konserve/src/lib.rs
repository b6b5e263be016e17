//! A document store with nested paths, logs and binaries over interchangeable engines, Amazon DynamoDB above all.
//!
//! A store maps keys to documents, and its operations reach *into* documents by path. Which engine keeps them is said by
//! a [`Config`], as a table of settings or as a URL, and changes cost and durability, never a result.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> konserve::Result<()> {
//! use konserve::{Value, kw, path};
//!
//! let store = konserve::connect("memory:").await?; // or "dynamodb://my-table?region=us-west-1"
//!
//! store.assoc_in(path!["foo", kw!("bar")], &Value::from(42)).await?;
//! let updated = store.update_in(path!["foo", kw!("bar")], |n: Option<i64>| n.unwrap_or(0) + 1).await?;
//! assert_eq!((updated.old, updated.new), (Some(42), 43));
//! assert_eq!(store.get::<Value>("foo").await?, Some("{:bar 43}".parse()?));
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Reads are eventually consistent unless asked otherwise**: on DynamoDB a read may miss a write that was acknowledged
//! just before, one's own included. `.consistent()` on a read, or [`consistent_read`](Options::consistent_read) for the whole
//! store, makes reads strong. Updates, appends and conditions are never affected.
//!
//! Synchronous programs use the feature `blocking`: see the module `blocking`.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `memory` | yes | the engine `memory` |
//! | `dynamodb` | yes | the engine `dynamodb` and the AWS SDK |
//! | `blocking` | | `.call()` on every request, and the module `blocking` |
//! | `bincode` | | the codec bincode 2 |

#[cfg(feature = "blocking")]
pub mod blocking;
mod config;
#[cfg(any(feature = "dynamodb", feature = "memory"))]
mod fields;
mod lifecycle;
mod text;
mod url;

pub use konserve_core::store::{Blob, Body, CollectReport, Options, Stats, UpdateError, Updated};
pub use konserve_core::{
    Backend, Error, ErrorKind, Instant, Key, Keyword, Kind, LogMeta, Meta, Outcome, Path, Position, Result, Revision,
    Store, Value,
};
pub use konserve_core::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
pub use konserve_core::{backend, record, store, value};
pub use konserve_core::{kw, path};

pub use self::config::{Config, Engine, MemoryConfig};
pub use self::lifecycle::{IntoConfig, connect, create, delete, exists};

/// Amazon DynamoDB as an engine, for settings beyond the configuration: a client, credentials, counting requests.
#[cfg(feature = "dynamodb")]
pub use konserve_dynamodb as dynamodb;

/// The engine in memory, for settings beyond the configuration.
#[cfg(feature = "memory")]
pub use konserve_memory as memory;
