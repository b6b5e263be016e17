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
/// engine that asks again after a failure makes another request, which the script decides on anew. The requests of all
/// handles are counted together, so a script is asked about nothing else while it is set: what a handle does by itself in the
/// background (renewing leases, warming connections) should pass without asking.
pub trait FaultControl: Debug + Send + Sync {
    /// Lets this script decide on the requests that begin from now on; with `None` they all pass.
    fn set(&self, script: Option<FaultScript>);
}

/// A fault control for engines that have no transport to disturb: it puts a [`Layer`] around each handle.
///
/// Every call of the engine is one request, and the errors are the layer's. So it shows what konserve makes of an engine
/// that fails, and nothing of what the engine itself makes of its failures.
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
    is_unsure: bool,
}

impl LayerFaults {
    /// As of an engine that cannot tell a mutation that was never sent from one whose answer was lost: both are an
    /// `unknown_outcome`. Otherwise the first is `unavailable`, and not applied.
    #[must_use]
    pub fn unsure() -> Self {
        Self {
            is_unsure: true,
            ..Self::default()
        }
    }

    /// This handle, under this control.
    pub fn around(&self, backend: impl Backend) -> Layer {
        let (script, is_unsure) = (Arc::clone(&self.script), self.is_unsure);
        Layer::new(backend, move |_: Call| {
            let script = script.read().unwrap_or_else(PoisonError::into_inner).clone();
            let fault = script.and_then(|decide| decide())?;
            Some(as_call_fault(fault, is_unsure))
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

fn as_call_fault(fault: Fault, is_unsure: bool) -> layer::Fault {
    match fault {
        Fault::BeforeDispatch if is_unsure => layer::Fault::RequestLost,
        Fault::BeforeDispatch => layer::Fault::Fails(ErrorKind::Unavailable),
        Fault::ReplyLost => layer::Fault::ReplyLost,
        Fault::Throttled => layer::Fault::Fails(ErrorKind::Throttled),
        Fault::Slow => layer::Fault::Slow,
        Fault::PartialBatch => layer::Fault::Partial,
    }
}
