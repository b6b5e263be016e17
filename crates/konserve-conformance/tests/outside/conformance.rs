//! The suite on the engine of this crate.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use konserve_conformance::{Harness, Namespace};
use konserve_core::Result;
use konserve_core::backend::{Backend, Capabilities};
use shelf::Shelf;

fn main() -> ExitCode {
    konserve_conformance::run(ShelfHarness)
}

struct ShelfHarness;

#[async_trait]
impl Harness for ShelfHarness {
    fn name(&self) -> String {
        "shelf".to_owned()
    }

    fn version(&self) -> Option<String> {
        Some(format!("shelf {}", env!("CARGO_PKG_VERSION")))
    }

    fn settings(&self) -> Vec<&'static str> {
        vec!["SHELF_ROOM"]
    }

    fn capabilities(&self) -> Capabilities {
        shelf::capabilities()
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        Ok(Box::new(Store(Shelf::default())))
    }
}

struct Store(Shelf);

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.0.clone())
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.0.handle()))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        self.another().await
    }
}
