//! Mutations whose callers gave up, and which arrive all the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use konserve_core::Instant;
use konserve_core::backend::{Address, Mutation, Occupant, When};

use super::chance::Chance;
use crate::Memory;

/// How long a mutation can be on its way, by the engine's clock. Far less than any caller allows for.
const LONGEST: Duration = Duration::from_secs(10);

/// A mutation that was sent and has not arrived yet.
#[derive(Debug)]
pub(super) enum Sent {
    /// A write or a removal.
    One { at: Address, when: When, new: Occupant },
    /// A commit.
    Many(Vec<Mutation>),
}

/// What is still on its way though nobody waits for it any more. Shared by the handles of a store.
#[derive(Debug)]
pub(super) struct Late {
    /// A handle that nobody closes: what was sent arrives whatever becomes of the sender.
    memory: Memory,
    sent: Mutex<Vec<(Instant, Sent)>>,
}

impl Late {
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            memory,
            sent: Mutex::default(),
        }
    }

    /// Lets some of it arrive now. What was on its way for too long never does.
    pub(super) fn arrive(&self, chance: &Chance) {
        let Ok(data) = self.memory.data() else {
            return;
        };
        let next = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let now = data.now();
            sent.retain(|(since, _)| now.since(*since) <= LONGEST);
            if sent.is_empty() || !chance.one_in(3) {
                return;
            }
            let next = chance.below(sent.len());
            sent.swap_remove(next).1
        };
        // Nobody waits for the answer.
        match next {
            Sent::One { at, when, new } => drop(data.mutate(&at, new.rev(), when, new)),
            Sent::Many(all) => drop(data.commit(all)),
        }
    }

    fn push(&self, sent: Sent) {
        let Ok(data) = self.memory.data() else {
            return;
        };
        let now = data.now();
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((now, sent));
    }
}

/// A mutation on its way while its caller waits. Dropped before it has arrived, it arrives late or never.
#[derive(Debug)]
pub(super) struct OnItsWay {
    late: Arc<Late>,
    chance: Arc<Chance>,
    sent: Option<Sent>,
}

impl OnItsWay {
    pub(super) fn new(late: &Arc<Late>, chance: &Arc<Chance>, sent: Sent) -> Self {
        Self {
            late: Arc::clone(late),
            chance: Arc::clone(chance),
            sent: Some(sent),
        }
    }

    /// It has arrived in time.
    pub(super) fn arrived(mut self) {
        self.sent = None;
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take()
            && !self.chance.one_in(4)
        {
            self.late.push(sent);
        }
    }
}
