//! How an engine is made to fail on purpose.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use konserve_core::layer::{self, Call, Layer};
use konserve_core::{Backend, ErrorKind};

/// What happens to a request of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It is never sent.
    BeforeDispatch,
    /// It is carried out, and its answer is lost.
    ReplyLost,
    /// The engine asks to slow down, and does not carry it out.
    Throttled,
    /// It takes longer than others.
    Slow,
    /// Of many parts, some are carried out or delivered, and the rest is left to be asked for again. What has no parts is
    /// throttled.
    PartialBatch,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BeforeDispatch,
        Self::ReplyLost,
        Self::Throttled,
        Self::Slow,
        Self::PartialBatch,
    ];
}

/// Decides on each request when it begins.
pub type FaultScript = Arc<dyn Fn() -> Option<Fault> + Send + Sync>;

/// Makes the requests of a namespace fail, through whatever handle.
///
/// A request is what can fail by itself: for an engine behind a network one message, for one in the process one call. An
/// engine that asks again after a failure makes another request, which the script decides on anew.
pub trait FaultControl: Debug + Send + Sync {
    /// Lets this script decide from now on; with `None` nothing fails any longer.
    fn set(&self, script: Option<FaultScript>);
}

/// A fault control for engines that have no transport to disturb: it puts a [`Layer`] around each handle.
///
/// ```
/// use std::sync::Arc;
///
/// use konserve_conformance::{Fault, FaultControl, LayerFaults};
/// use konserve_core::Store;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> konserve_core::Result<()> {
/// let faults = LayerFaults::default();
/// let store = Store::new(faults.around(konserve_memory::Memory::new()));
/// faults.set(Some(Arc::new(|| Some(Fault::Throttled))));
/// assert!(store.assoc("key", &1).await.is_err());
/// faults.set(None);
/// store.assoc("key", &1).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct LayerFaults {
    script: Arc<RwLock<Option<FaultScript>>>,
}

impl LayerFaults {
    /// This handle, under this control.
    pub fn around(&self, backend: impl Backend) -> Layer {
        let script = Arc::clone(&self.script);
        Layer::new(backend, move |_: Call| {
            let script = script.read().unwrap_or_else(PoisonError::into_inner).clone();
            script.and_then(|decide| decide()).map(as_call_fault)
        })
    }
}

impl Debug for LayerFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerFaults").finish_non_exhaustive()
    }
}

impl FaultControl for LayerFaults {
    fn set(&self, script: Option<FaultScript>) {
        *self.script.write().unwrap_or_else(PoisonError::into_inner) = script;
    }
}

fn as_call_fault(fault: Fault) -> layer::Fault {
    match fault {
        Fault::BeforeDispatch => layer::Fault::Fails(ErrorKind::Unavailable),
        Fault::ReplyLost => layer::Fault::ReplyLost,
        Fault::Throttled => layer::Fault::Fails(ErrorKind::Throttled),
        Fault::Slow => layer::Fault::Slow,
        Fault::PartialBatch => layer::Fault::Partial,
    }
}
