//! Amazon DynamoDB as an engine of konserve.
//!
//! ```no_run
//! use konserve_dynamodb::{DynamoConfig, DynamoDb};
//!
//! # async fn example() -> konserve_core::Result<()> {
//! let mut config = DynamoConfig::new("orders");
//! config.region = Some("us-west-1".into());
//! let engine = DynamoDb::connect(config).await?; // creates the table when it is missing
//! # drop(engine);
//! # Ok(()) }
//! ```
//!
//! Credentials and region come from the configuration or from the default chains of the AWS SDK. How items lie in the
//! table, and how every mutation is one conditional request that can be repeated, is described in the modules of the
//! source; what callers can rely on, in [`DynamoDb`].

mod answer;
mod budget;
mod builder;
mod call;
mod config;
mod connection;
mod dynamo;
mod expression;
mod fault;
mod index;
mod layout;
mod lineage;
mod mutate;
mod observe;
mod pages;
mod parts;
mod purge;
mod read;
mod requests;
mod setup;
mod table;
mod time_to_live;
mod verdict;
#[cfg(feature = "xray")]
mod xray;

pub use self::builder::DynamoDbBuilder;
pub use self::config::{Billing, DynamoConfig};
pub use self::dynamo::DynamoDb;
pub use self::requests::RequestCounter;
pub use self::setup::TableWait;
