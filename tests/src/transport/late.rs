//! Requests that are on their way longer than their callers know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::disturbance::Delay;
use super::faults::State;
use super::suffer::carry_out;

/// What is late, in the order in which it was sent.
#[derive(Default)]
pub(super) struct Late(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    operation: String,
    request: HttpRequest,
    network: SharedHttpConnector,
    /// Before the request of this number; otherwise a task waits for the time.
    due: Option<u64>,
}

impl Late {
    /// Lets a request arrive later. `number` requests have come so far.
    pub(super) fn put(
        &self,
        state: &Arc<State>,
        network: &SharedHttpConnector,
        operation: &str,
        request: HttpRequest,
        delay: Delay,
        number: u64,
    ) {
        let due = match delay {
            Delay::Requests(count) => Some(number + count),
            Delay::Time(_) => None,
        };
        let id = {
            let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let id = queue.next;
            queue.next += 1;
            let waiting = Waiting {
                operation: operation.to_owned(),
                request,
                network: network.clone(),
                due,
            };
            queue.waiting.insert(id, waiting);
            id
        };
        if let Delay::Time(time) = delay {
            let state = Arc::clone(state);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                if let Some(waiting) = state.late.take(id) {
                    waiting.arrive(&state).await;
                }
            });
        }
    }

    /// What must arrive before the request of this number does.
    pub(super) async fn deliver_due(&self, state: &Arc<State>, number: u64) {
        let due = |waiting: &Waiting| waiting.due.is_some_and(|due| due <= number);
        while let Some(waiting) = self.take_first(due) {
            waiting.arrive(state).await;
        }
    }

    pub(super) async fn deliver_all(&self, state: &Arc<State>) -> usize {
        let mut count = 0;
        while let Some(waiting) = self.take_first(|_| true) {
            waiting.arrive(state).await;
            count += 1;
        }
        count
    }

    fn take(&self, id: u64) -> Option<Waiting> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.remove(&id)
    }

    fn take_first(&self, which: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = queue
            .waiting
            .iter()
            .find(|(_, waiting)| which(waiting))
            .map(|(id, _)| *id)?;
        queue.waiting.remove(&id)
    }
}

impl Waiting {
    async fn arrive(self, state: &State) {
        state.counters.count(&self.operation, |figures| figures.late += 1);
        // Nobody hears the answer.
        let _ = carry_out(state, &self.network, &self.operation, self.request).await;
    }
}
