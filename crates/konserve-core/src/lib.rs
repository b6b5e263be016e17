//! The model, the semantics and the protocols of konserve, over any storage engine.

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
pub use self::head::{Kind, Meta};
pub use self::instant::Instant;
pub use self::key::Key;
pub use self::log::Position;
pub use self::path::Path;
pub use self::rev::{Rev, Revision};
pub use self::store::Store;
pub use self::value::{Keyword, Value};
