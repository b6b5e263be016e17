//! The suite that tells whether an engine of konserve is right.
//!
//! An engine's whole test file, as a test target with `harness = false`:
//!
//! ```no_run
//! # use async_trait::async_trait;
//! # use konserve_conformance::{Harness, Namespace};
//! # use konserve_core::{Result, backend::{Capabilities, Durability, Reach}};
//! # struct MyHarness;
//! # #[async_trait]
//! # impl Harness for MyHarness {
//! #     fn name(&self) -> String { "mine".into() }
//! #     fn capabilities(&self) -> Capabilities { Capabilities::new(Reach::Machine, Durability::Disk) }
//! #     async fn open(&self) -> Result<Box<dyn Namespace>> { unreachable!() }
//! # }
//! fn main() -> std::process::ExitCode {
//!     konserve_conformance::run(MyHarness)
//! }
//! ```
//!
//! [`Harness`] is what the author writes: how to get at a fresh store, how to reopen it, what the engine is expected to be
//! able to do. [`run`] is the whole program; [`Suite`] gives the trials to other runners. `docs/contract.md` states what is
//! tested, in clauses; [`catalogue`] tells which trial stands for which clause. `docs/backend-guide.md` leads from an
//! empty crate to a green suite.
//!
//! A trial for something that the engine does not declare is listed as ignored; another one then checks that it is refused
//! and that the refusal changes nothing.

mod arena;
mod backend;
mod clock;
mod concurrency;
mod crashes;
mod failure;
mod faults;
mod faulty;
mod harness;
pub mod linear;
mod model;
mod polls;
mod report;
mod reproduce;
mod store;
mod suite;
mod ticking;
mod trial;

pub use self::clock::ManualClock;
pub use self::faults::{Fault, FaultControl, FaultScript, LayerFaults};
pub use self::harness::{Deviation, Harness, Missing, Namespace, Page};
pub use self::report::{Declared, DeclaredTransactions, Finding, Package, Recorder, Report, TrialReport};
pub use self::suite::{Outcome, Suite, run, run_all};
pub use self::trial::{Capability, Entry, catalogue};
