//! The past of a table, for reads that are not strong.

use std::sync::{Mutex, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use dynoxide::Database;

use super::answers::response;
use super::engine;

/// A replica that receives every change of the table, in order, as late as is asked for.
///
/// Right only where all changes pass this transport.
pub(super) struct Past {
    replica: Database,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// What was carried out and is not in the replica: operation and body.
    waiting: std::collections::VecDeque<(String, Bytes)>,
}

impl Past {
    pub(super) fn new() -> Self {
        Self {
            replica: Database::memory().expect("a database"),
            changes: Mutex::default(),
        }
    }

    /// This was carried out, after all of which that was said before.
    pub(super) fn note(&self, operation: &str, body: &[u8]) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .waiting
            .push_back((operation.to_owned(), Bytes::copy_from_slice(body)));
    }

    /// The answer as of so many changes ago, if there was such a table then.
    pub(super) fn answer(&self, operation: &str, body: &[u8], behind: usize) -> Option<HttpResponse> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        while changes.waiting.len() > behind {
            if let Some((operation, body)) = changes.waiting.pop_front() {
                // What was refused is refused again.
                engine::answer(&self.replica, &operation, &body);
            }
        }
        let (status, body) = engine::answer(&self.replica, operation, body);
        (status == 200).then(|| response(status, body))
    }
}

impl std::fmt::Debug for Past {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Past").finish_non_exhaustive()
    }
}
