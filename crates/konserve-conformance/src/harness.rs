//! What the author of an engine tells the suite.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use konserve_core::Result;
use konserve_core::backend::{Backend, Capabilities};

use crate::{FaultControl, ManualClock};

/// How the suite gets at an engine.
///
/// Shared by all trials, which run in parallel, on one `tokio` runtime.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// What the engine, as it is set up here, is called in reports: `memory`, `dynamodb`.
    fn name(&self) -> String;

    /// What stands behind the engine, with its version, for reports: `dynoxide-rs 3.2.0`.
    fn version(&self) -> Option<String> {
        None
    }

    /// The environment variables that decide what is tested: which endpoint, which file. Those that are set are part of
    /// reports, and of the command that repeats a failed trial; so no secrets.
    fn settings(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What the engine is expected to declare. Compared with what it does declare; decides which trials apply.
    fn capabilities(&self) -> Capabilities;

    /// Opens a store that is empty and concerns nobody else.
    ///
    /// # Errors
    ///
    /// Whatever the engine says. The trial that needed it fails.
    async fn open(&self) -> Result<Box<dyn Namespace>>;

    /// The same, for engines that do something by chance: whatever they do follows from this seed.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    async fn open_seeded(&self, seed: u64) -> Result<Box<dyn Namespace>> {
        let _ = seed;
        self.open().await
    }

    /// How much fills a page of the engine. Trials that need several pages write a little more than twice as much.
    fn page(&self) -> Page {
        Page { items: 100, bytes: 64 }
    }

    /// Whether the namespaces have a clock that the suite can set ([`Namespace::clock`]).
    fn has_clock(&self) -> bool {
        false
    }

    /// Whether the namespaces can be made to fail ([`Namespace::faults`]).
    fn has_faults(&self) -> bool {
        false
    }

    /// Trials that are known to fail. One that passes all the same is reported as a failure.
    fn deviations(&self) -> Vec<Deviation> {
        Vec::new()
    }

    /// What the tests need and this machine does not have: a server, credentials. Asked once, before all trials.
    ///
    /// # Errors
    ///
    /// What is missing. The suite then fails, unless `KONSERVE_CONFORMANCE_ALLOW_MISSING=1` is set or
    /// [`Suite::allow_missing`](crate::Suite::allow_missing) was called: then every trial is listed as ignored.
    fn environment(&self) -> Result<(), Missing> {
        Ok(())
    }

    /// How long one trial may take before it counts as hanging.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

/// A store of its own, for one trial.
///
/// Owns what [`Harness::open`] created, and nothing else: [`clean_up`](Self::clean_up) and dropping it may delete only that.
#[async_trait]
pub trait Namespace: Send + Sync + 'static {
    /// The first handle, always the same one.
    fn backend(&self) -> Arc<dyn Backend>;

    /// Another handle on the same data, as independent of the first as the engine's reach allows: with its own connections,
    /// files and caches.
    ///
    /// # Errors
    ///
    /// Whatever the engine says.
    async fn another(&self) -> Result<Arc<dyn Backend>>;

    /// A handle as a new process would get it after a restart. Handles that were there before may be closed, or open, as those
    /// of processes that live on are.
    ///
    /// # Errors
    ///
    /// Whatever the engine says.
    async fn reopen(&self) -> Result<Arc<dyn Backend>>;

    /// The engine's clock, if [`Harness::has_clock`].
    fn clock(&self) -> Option<ManualClock> {
        None
    }

    /// What makes the engine fail, if [`Harness::has_faults`].
    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        None
    }

    /// Deletes what [`Harness::open`] created. Called after each trial, failed or not; dropping is the second chance.
    ///
    /// # Errors
    ///
    /// Whatever the engine says. The trial fails.
    async fn clean_up(&self) -> Result<()> {
        Ok(())
    }
}

/// How much fills a page of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// So many items
    pub items: usize,
    /// of bodies of so many bytes each.
    pub bytes: usize,
}

/// A trial that an engine is known to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The id of the trial.
    pub trial: &'static str,
    /// Why it fails.
    pub reason: &'static str,
    /// Where that is tracked.
    pub link: &'static str,
}

/// What the tests need and this machine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(String);

impl Missing {
    /// Names it, and says how to get it.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
