//! Until when the caller of a request waits, for engines that can make use of it.

use std::future::Future;

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Until when the caller of the request that this task works on waits; `None` when it gave no time-out.
///
/// An engine that repeats what failed ends in time with an error that says what was wrong (`throttled`, `unavailable`), where the
/// store could only say that time was up. Using it is optional: the store drops the engine's future at this very moment, after it
/// polled it once more. A task that an engine spawns does not see it.
#[must_use]
pub fn deadline() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// Runs the future of a request whose caller waits until then.
pub(crate) async fn until<F: Future>(deadline: Instant, request: F) -> F::Output {
    DEADLINE.scope(deadline, request).await
}
