//! Which requests suffer, for how long, and how many there were.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::arena::{Arena, Random};
use crate::failure::{Failure, Verdict};
use crate::{Fault, FaultControl};

/// Which requests of an operation suffer what. Requests are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// None.
    Nothing,
    /// This one.
    One(usize, Fault),
    /// This one and all after it.
    From(usize, Fault),
}

impl Plan {
    /// Whether everything fails, from some moment on.
    pub(super) fn is_outage(self) -> bool {
        matches!(self, Self::From(..))
    }

    fn decide(self, request: usize) -> Option<Fault> {
        match self {
            Self::One(hit, fault) if request == hit => Some(fault),
            Self::From(first, fault) if request >= first => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing fails"),
            Self::One(hit, fault) => write!(f, "request {} suffers {fault:?}", hit + 1),
            Self::From(first, fault) => write!(f, "every request from the {}. on suffers {fault:?}", first + 1),
        }
    }
}

/// How something went under a plan.
pub(super) struct Ran<T> {
    pub(super) answer: T,
    /// How many requests there were,
    pub(super) requests: usize,
    /// and how many of them suffered.
    pub(super) suffered: usize,
}

/// The fault control of a namespace.
pub(super) struct Control(Arc<dyn FaultControl>);

impl Control {
    pub(super) fn of(arena: &Arena) -> Verdict<Self> {
        let faults = arena.namespace.faults();
        let faults = faults.ok_or_else(|| {
            Failure::new("the harness says that it has a fault control, but the namespace does not give one")
        })?;
        Ok(Self(faults))
    }

    /// Does something under a plan. Afterwards, however it ends, nothing fails any longer.
    pub(super) async fn during<T>(&self, plan: Plan, what: impl Future<Output = T>) -> Ran<T> {
        let requests = Arc::new(AtomicUsize::new(0));
        let suffered = Arc::new(AtomicUsize::new(0));
        let counts = (Arc::clone(&requests), Arc::clone(&suffered));
        let answer = self
            .under(what, move || {
                let fault = plan.decide(counts.0.fetch_add(1, Ordering::SeqCst));
                if fault.is_some() {
                    counts.1.fetch_add(1, Ordering::SeqCst);
                }
                fault
            })
            .await;
        Ran {
            answer,
            requests: requests.load(Ordering::SeqCst),
            suffered: suffered.load(Ordering::SeqCst),
        }
    }

    /// Does something while one request in so many suffers a fault, which follow from the seed.
    pub(super) async fn now_and_then<T>(&self, seed: u64, one_in: usize, what: impl Future<Output = T>) -> T {
        let random = Mutex::new(Random::new(seed));
        self.under(what, move || {
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            let hit = random.below(one_in) == 0;
            hit.then(|| Fault::ALL[random.below(Fault::ALL.len())])
        })
        .await
    }

    async fn under<T>(
        &self,
        what: impl Future<Output = T>,
        script: impl Fn() -> Option<Fault> + Send + Sync + 'static,
    ) -> T {
        let _over = Over(&self.0);
        self.0.set(Some(Arc::new(script)));
        what.await
    }
}

/// Ends all failures when it is dropped.
struct Over<'a>(&'a Arc<dyn FaultControl>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
