//! The suite on the example engine: a directory of files.

mod engine;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use konserve_conformance::{FaultControl, Harness, LayerFaults, ManualClock, Namespace, Page};
use konserve_core::backend::{Backend, Capabilities, Durability, Reach};
use konserve_core::{Error, ErrorKind, Instant, Result};
use tempfile::TempDir;

use self::engine::Directory;

fn main() -> ExitCode {
    konserve_conformance::run(DirectoryHarness)
}

struct DirectoryHarness;

#[async_trait]
impl Harness for DirectoryHarness {
    fn name(&self) -> String {
        "directory".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Reach::Machine, Durability::Disk).with_longest_partition(512)
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let folder = TempDir::new();
        let folder = folder.map_err(|error| Error::new(ErrorKind::Unavailable, "no folder").with_source(error))?;
        let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
        let faults = LayerFaults::default();
        let first = faults.around(Directory::new(folder.path().to_owned(), clock.environment()));
        Ok(Box::new(Store {
            folder,
            clock,
            faults,
            first: Arc::new(first),
        }))
    }

    fn page(&self) -> Page {
        Page { items: 10, bytes: 64 } // it knows no pages
    }

    fn has_clock(&self) -> bool {
        true
    }

    fn has_faults(&self) -> bool {
        true
    }
}

/// A temporary folder, which is deleted when this is dropped.
struct Store {
    folder: TempDir,
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
        let root = self.folder.path().to_owned();
        let handle = Directory::new(root, self.clock.environment());
        Ok(Arc::new(self.faults.around(handle)))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        self.another().await
    }

    fn clock(&self) -> Option<ManualClock> {
        Some(self.clock.clone())
    }

    fn faults(&self) -> Option<Arc<dyn FaultControl>> {
        Some(Arc::new(self.faults.clone()))
    }
}
