//! The model, the semantics and the protocols of konserve, over any storage engine.
//!
//! Programs use the crate `konserve`, which connects stores by configuration and exports all of this again. Authors of engines
//! implement [`Backend`] and check it with `konserve-conformance`.
//!
//! | here | is |
//! |---|---|
//! | [`Store`] and [`store`] | what users call: documents by path, binaries, logs, several keys at once |
//! | [`Value`], [`Key`], [`Path`] and [`value`] | the data model, its text form (EDN), and serde |
//! | [`nested`] | what a path reads, writes and removes, as pure functions |
//! | [`record`] | how values become bytes: codecs, header, checksum |
//! | [`backend`] | what an engine is asked and what it answers |
//! | `layer` (feature `layer`) | an engine around an engine, which fails on demand |
//! | [`Environment`] | where time and randomness come from |
//!
//! Nothing here names an engine. A store over one takes one line:
//!
//! ```
//! use konserve_core::{Store, path};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> konserve_core::Result<()> {
//! let store = Store::new(konserve_memory::Memory::new());
//! store.assoc_in(path!["user:1", "name"], "Ada").await?;
//! assert_eq!(store.get_in::<String>(path!["user:1", "name"]).await?.as_deref(), Some("Ada"));
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
extern crate self as konserve_core;

pub mod backend;
#[cfg(feature = "blocking")]
pub mod blocking;
mod environment;
mod error;
mod head;
mod instant;
mod key;
#[cfg(feature = "layer")]
pub mod layer;
mod log;
pub mod nested;
mod path;
mod placement;
pub mod record;
mod rev;
pub mod store;
pub mod value;

pub use self::backend::Backend;
pub use self::environment::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
pub use self::error::{Error, ErrorKind, Outcome, Result};
pub use self::head::{Kind, LogMeta, Meta};
pub use self::instant::Instant;
pub use self::key::Key;
pub use self::log::Position;
pub use self::path::Path;
pub use self::rev::{Rev, Revision};
pub use self::store::Store;
pub use self::value::{Keyword, Value};
