//! For synchronous programs: every request ends in `.call()` instead of `.await`, streams become iterators, and what is not a
//! request is here as a function.
//!
//! ```
//! use konserve::{blocking, kw, path};
//!
//! fn main() -> konserve::Result<()> {
//!     let store = blocking::connect("memory:")?;
//!     store.assoc_in(path!["foo", kw!("bar")], &42).call()?;
//!     assert_eq!(store.get_in::<i64>(path!["foo", kw!("bar")]).call()?, Some(42));
//!
//!     store.append("visits", "Ada").call()?;
//!     for visitor in store.log::<String>("visits").call() {
//!         println!("{}", visitor?);
//!     }
//!     blocking::close(&store)
//! }
//! ```
//!
//! Everything runs on one small runtime of the process. It works inside an asynchronous program as well, where it blocks a
//! thread of that program's runtime: better await there.

pub use konserve_core::blocking::{Blocking, wait};

use konserve_core::{Result, Store};

use crate::IntoConfig;

/// [`connect`](crate::connect), blocking this thread until it is done.
///
/// # Errors
///
/// The same.
pub fn connect(config: impl IntoConfig) -> Result<Store> {
    wait(crate::connect(config))
}

/// [`create`](crate::create), blocking this thread until it is done.
///
/// # Errors
///
/// The same.
pub fn create(config: impl IntoConfig) -> Result<Store> {
    wait(crate::create(config))
}

/// [`exists`](crate::exists), blocking this thread until it is done.
///
/// # Errors
///
/// The same.
pub fn exists(config: impl IntoConfig) -> Result<bool> {
    wait(crate::exists(config))
}

/// [`delete`](crate::delete), blocking this thread until it is done.
///
/// # Errors
///
/// The same.
pub fn delete(config: impl IntoConfig) -> Result<()> {
    wait(crate::delete(config))
}

/// [`close`](Store::close), blocking this thread until it is done.
///
/// # Errors
///
/// The same.
pub fn close(store: &Store) -> Result<()> {
    wait(store.close())
}
