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

/// Runs a future of whose end somebody waits until then, or until the [`deadline`] that there is already, if that is sooner. It is
/// told, and not cut off.
///
/// Stores call it for each request with a time-out. For engines, around requests that no store makes (connecting), and for tests.
pub async fn until<F: Future>(deadline: Instant, request: F) -> F::Output {
    let sooner = self::deadline().map_or(deadline, |before| before.min(deadline));
    DEADLINE.scope(sooner, request).await
}
