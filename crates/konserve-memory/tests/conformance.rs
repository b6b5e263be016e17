//! The suite on memory, as it is by default and with what it can be set up without.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use konserve_conformance::{FaultControl, Harness, LayerFaults, ManualClock, Namespace, Page, Suite, run_all};
use konserve_core::backend::{Backend, Capabilities, Durability, Reach, TransactionLimits};
use konserve_core::{Instant, Result};
use konserve_memory::{Builder, Memory};

fn main() -> ExitCode {
    let defaults = Capabilities::new(Reach::Process, Durability::Memory)
        .with_item_limit(400 * 1024)
        .with_longest_partition(1024)
        .with_transactions(TransactionLimits {
            items: 100,
            bytes: 4 * 1024 * 1024,
        });
    let tiny = TransactionLimits {
        items: 5,
        bytes: 8 * 1024,
    };
    let mut without_transactions = defaults;
    without_transactions.transactions = None;
    let small_values = without_transactions;
    without_transactions.item_limit = None;

    run_all([
        suite("memory", Memory::builder(), defaults),
        suite(
            "memory-tiny",
            Memory::builder()
                .item_limit(4096)
                .longest_partition(256)
                .transactions(tiny),
            defaults
                .with_item_limit(4096)
                .with_longest_partition(256)
                .with_transactions(tiny),
        ),
        suite(
            "memory-no-transactions",
            Memory::builder().transactions(None).item_limit(None),
            without_transactions,
        ),
        suite(
            "memory-small-values",
            Memory::builder().transactions(None),
            small_values,
        ),
        suite(
            "memory-no-strong-reads",
            Memory::builder().strong_reads(false),
            defaults.with_strong_reads(false),
        ),
    ])
}

fn suite(name: &'static str, builder: Builder, capabilities: Capabilities) -> Suite {
    Suite::new(MemoryHarness {
        name,
        builder,
        capabilities,
    })
}

/// Every namespace is a store of its own, with a clock of its own.
struct MemoryHarness {
    name: &'static str,
    builder: Builder,
    capabilities: Capabilities,
}

#[async_trait]
impl Harness for MemoryHarness {
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
        let memory = builder.build();
        let faults = match self.name {
            "memory-tiny" | "memory-no-transactions" => LayerFaults::unsure(),
            _ => LayerFaults::default(),
        };
        Ok(Box::new(Store {
            first: Arc::new(faults.around(memory.clone())),
            memory,
            clock,
            faults,
        }))
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
}

struct Store {
    memory: Memory,
    clock: ManualClock,
    faults: LayerFaults,
    first: Arc<dyn Backend>,
}

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.first)
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.faults.around(self.memory.handle())))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.faults.around(self.memory.handle())))
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        Some(Arc::new(self.faults.clone()))
    }
}
