//! A mutant: an engine with one defect, and the trial that must catch it.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use konserve_conformance::{FaultControl, Harness, ManualClock, Namespace, Outcome, Page, Suite, catalogue};
use konserve_core::backend::{Backend, Capabilities, TransactionLimits};
use konserve_core::{Instant, Result};
use konserve_memory::{Builder, Memory};
use tokio::runtime::Runtime;

use crate::engine::{Engine, Nothing, Right, Wrong};

/// How long a trial may take on a mutant. A healthy one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the defect anew for each namespace, so that what it remembers is of that one.
type Make = Arc<dyn Fn() -> Arc<dyn Wrong> + Send + Sync>;

/// How the store is set up that the defect is in.
type SetUp = fn(Builder) -> Builder;

/// An engine with one defect, and the trial that must catch it.
#[derive(Clone)]
pub(crate) struct Mutant {
    name: &'static str,
    trial: &'static str,
    why: &'static str,
    make: Make,
    set_up: SetUp,
}

impl Mutant {
    /// A mutant, the trial that must catch it, and how real engines come by this defect.
    pub(crate) fn new<W: Wrong>(
        name: &'static str,
        trial: &'static str,
        why: &'static str,
        make: impl Fn() -> W + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            trial,
            why,
            make: Arc::new(move || Arc::new(make())),
            set_up: |builder| builder,
        }
    }

    /// The store is set up like this instead.
    pub(crate) fn set_up(mut self, set_up: SetUp) -> Self {
        self.set_up = set_up;
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn trial(&self) -> &'static str {
        self.trial
    }

    pub(crate) fn why(&self) -> &'static str {
        self.why
    }

    /// The trial that this mutant names passes on the engine without the defect, and fails on the one with it.
    pub(crate) fn must_be_caught(&self) -> Result<(), String> {
        match outcome(self.healthy(), self.trial) {
            Some(Outcome::Passed) => {}
            Some(Outcome::Failed(why)) => return Err(format!("{} fails without the defect: {why}", self.trial)),
            _ => return Err(format!("{} does not apply to this set-up", self.trial)),
        }
        match outcome(self.clone(), self.trial) {
            Some(Outcome::Failed(why)) if is_clean(&why) => Ok(()),
            Some(Outcome::Failed(why)) => Err(format!("{} is no clean verdict: {why}", self.trial)),
            _ => Err(self.survived()),
        }
    }

    /// The same set-up without the defect.
    fn healthy(&self) -> Self {
        Self {
            make: Arc::new(|| Arc::new(Nothing)),
            ..self.clone()
        }
    }

    /// Says which trials, other than the one that was named, catch the mutant.
    fn survived(&self) -> String {
        let fails = |mutant: Self, id: &str| matches!(outcome(mutant, id), Some(Outcome::Failed(_)));
        let ids = catalogue().into_iter().map(|entry| entry.id);
        let caught: Vec<_> = ids
            .filter(|id| fails(self.clone(), id) && !fails(self.healthy(), id))
            .collect();
        let (name, trial, why) = (self.name, self.trial, self.why);
        let killers = match &caught[..] {
            [] => "no other trial catches it either: a hole in the suite".to_owned(),
            all => {
                let first: Vec<_> = all.iter().take(12).map(String::as_str).collect();
                format!(
                    "it is killed only by others, {} of them: {}",
                    all.len(),
                    first.join(", ")
                )
            }
        };
        format!("{name} survives {trial}, and {killers}\n  the defect: {why}")
    }

    /// What the engine declares, rightly or not.
    fn declared(&self, environment: &ManualClock) -> Builder {
        let small = Memory::builder()
            .seed(1)
            .environment(environment.environment())
            .item_limit(4096)
            .longest_partition(256)
            .transactions(TransactionLimits {
                items: 8,
                bytes: 8 * 1024,
            });
        (self.set_up)(small)
    }
}

/// Whether a failure is one that the trial found, and not one that the suite had to put an end to.
fn is_clean(failure: &str) -> bool {
    !failure.starts_with("a panic:") && !failure.starts_with("not finished after")
}

/// What one trial says of an engine; `None` when it does not apply.
fn outcome(mutant: Mutant, trial: &str) -> Option<Outcome> {
    static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
    });
    match &*RUNTIME {
        Ok(runtime) => runtime.block_on(Suite::new(mutant).seed(1).thorough(1).outcome(trial)),
        Err(error) => Some(Outcome::Failed(format!("no runtime: {error}"))),
    }
}

#[async_trait]
impl Harness for Mutant {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        let clock = ManualClock::new(Instant::from_millis(0));
        self.declared(&clock).build().capabilities()
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
        let (wrong, declared) = ((self.make)(), self.declared(&clock));
        let right = Right::new(wrong.builder(declared.clone()), declared.build().capabilities(), clock);
        Ok(Box::new(Store { wrong, right }))
    }

    fn page(&self) -> Page {
        Page { items: 64, bytes: 64 }
    }

    fn has_clock(&self) -> bool {
        true
    }

    fn has_faults(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// A store of a mutant, with a clock of its own.
struct Store {
    wrong: Arc<dyn Wrong>,
    right: Right,
}

impl Store {
    fn over(&self, right: Right) -> Arc<dyn Backend> {
        Arc::new(Engine::new(Arc::clone(&self.wrong), right))
    }
}

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        self.over(self.right.clone())
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(self.over(self.right.another(self.right.memory.handle())))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        // The suite has closed the handles that it had.
        let right = self.right.another(self.right.memory.handle());
        let reopened = self.wrong.reopen(&right).await?;
        Ok(self.over(self.right.another(reopened)))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.right.clock.clone())
    }

    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        Some(Arc::new(self.right.faults.clone()))
    }
}
