//! The model, the semantics and the protocols of konserve, over any storage engine.

#[cfg(test)]
extern crate self as konserve_core;

pub mod backend;
mod environment;
mod error;
mod instant;
mod key;
pub mod nested;
mod path;
pub mod record;
mod rev;
pub mod value;

pub use self::backend::Backend;
pub use self::environment::{Clock, Entropy, Environment, SystemClock, SystemEntropy};
pub use self::error::{Error, ErrorKind, Outcome, Result};
pub use self::instant::Instant;
pub use self::key::Key;
pub use self::path::Path;
pub use self::rev::{Rev, Revision};
pub use self::value::{Keyword, Value};
