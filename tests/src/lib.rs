//! Scenarios that cross crates, processes and crashes, under `tests/`; benchmarks, under `benches/`.
//!
//! What tests of several packages share is here as well: the [`transport`] that disturbs requests to DynamoDB.
//!
//! The code in the README, in the description of the architecture and in those of logs and of what can be watched is compiled and run
//! as doc tests of this package; their other blocks are checked by the test `documents`.

pub mod cut;
pub mod document;
pub mod embedded;
pub mod fixture;
pub mod memory;
pub mod pattern;
pub mod random;
pub mod recorded;
pub mod transport;
pub mod versions;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../ARCHITECTURE.md")]
mod architecture {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/logs.md")]
mod logs {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/observability.md")]
mod observability {}
