//! The suite on the adversary: what works there needs nothing but the contract.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use konserve_conformance::{FaultControl, Harness, LayerFaults, ManualClock, Namespace, Page, Suite, run_all};
use konserve_core::backend::{Backend, Capabilities, Durability, Reach, TransactionLimits};
use konserve_core::{Instant, Result};
use konserve_memory::{Adversary, Builder, Memory};

fn main() -> ExitCode {
    let suite = |name, builder, capabilities| {
        Suite::new(AdversaryHarness {
            name,
            builder,
            capabilities,
        })
    };
    let bare = Capabilities::new(Reach::Process, Durability::Memory);
    let least = bare
        .with_item_limit(4096)
        .with_transactions(TransactionLimits { items: 4, bytes: 4096 });
    let roomy = bare
        .with_item_limit(400 * 1024)
        .with_longest_partition(1024)
        .with_transactions(TransactionLimits {
            items: 100,
            bytes: 4 * 1024 * 1024,
        });
    run_all([
        suite("adversary", Memory::builder().least_limits(), least),
        suite("adversary-roomy", Memory::builder().late_arrivals(true), roomy),
        suite(
            "adversary-no-transactions",
            Memory::builder().least_limits().transactions(None).item_limit(None),
            bare,
        ),
        suite(
            "adversary-small-values",
            Memory::builder().least_limits().transactions(None),
            bare.with_item_limit(4096),
        ),
        suite(
            "adversary-no-strong-reads",
            Memory::builder().least_limits().strong_reads(false),
            least.with_strong_reads(false),
        ),
    ])
}

/// Every namespace is a store of its own, with a clock of its own. All have the same seed, so that each trial alone does what
/// it does among the others.
struct AdversaryHarness {
    name: &'static str,
    builder: Builder,
    capabilities: Capabilities,
}

#[async_trait]
impl Harness for AdversaryHarness {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        self.open_seeded(0).await
    }

    async fn open_seeded(&self, seed: u64) -> Result<Box<dyn Namespace>> {
        let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
        let builder = self.builder.clone().seed(seed).environment(clock.environment());
        let adversary = builder.adversary();
        let faults = LayerFaults::default();
        Ok(Box::new(Store {
            backend: Arc::new(faults.around(adversary.clone())),
            adversary,
            clock,
            faults,
        }))
    }

    /// A page is one item. There are some more all the same, so that there is something to shuffle.
    fn page(&self) -> Page {
        Page { items: 12, bytes: 64 }
    }

    fn has_clock(&self) -> bool {
        true
    }

    fn has_faults(&self) -> bool {
        true
    }
}

struct Store {
    backend: Arc<dyn Backend>,
    adversary: Adversary,
    clock: ManualClock,
    faults: LayerFaults,
}

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.faults.around(self.adversary.handle())))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.faults.around(self.adversary.handle())))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        Some(Arc::new(self.faults.clone()))
    }
}
