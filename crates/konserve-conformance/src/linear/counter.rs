//! A counter that names who counted last, as a sequential object.

use std::collections::BTreeSet;

use super::checker::Model;
use super::history::History;

/// A counter that is absent in the beginning. Every call that counts has a number of its own, which is stored with the count.
#[derive(Debug)]
pub(crate) struct Counter {
    /// Whose counting somebody saw.
    seen: BTreeSet<u64>,
}

/// The count, and the call that made it so; calls are numbered from 1. Absence is 0 by nobody.
pub(crate) type Count = (u64, u64);

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CounterCall {
    /// One more, by the call of this number.
    Add(u64),
    Get,
}

/// The answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CounterAnswer {
    Updated { old: Count, new: Count },
    Found(Count),
}

impl Counter {
    pub(crate) fn new(history: &History<CounterCall, CounterAnswer>) -> Self {
        let told = history.possible().filter_map(|(_, answer)| answer);
        let seen = told.flat_map(|answer| match answer {
            CounterAnswer::Updated { old, new } => [old.1, new.1],
            CounterAnswer::Found(count) => [count.1; 2],
        });
        Self { seen: seen.collect() }
    }
}

impl Model for Counter {
    type State = Count;
    type Call = CounterCall;
    type Answer = CounterAnswer;

    fn initial(&self) -> Count {
        (0, 0)
    }

    fn step(&self, state: &Count, call: &CounterCall, answer: Option<&CounterAnswer>) -> Option<Count> {
        let next = match call {
            CounterCall::Add(by) => (state.0 + 1, *by),
            CounterCall::Get => *state,
        };
        let right = match answer {
            None => true,
            Some(CounterAnswer::Updated { old, new }) => {
                matches!(call, CounterCall::Add(_)) && old == state && *new == next
            }
            Some(CounterAnswer::Found(count)) => *call == CounterCall::Get && count == state,
        };
        right.then_some(next)
    }

    fn passed(&self, state: &Count, _: &CounterCall, answer: &CounterAnswer) -> bool {
        match answer {
            CounterAnswer::Updated { old, .. } => old.0 < state.0,
            CounterAnswer::Found(count) => count.0 < state.0,
        }
    }

    /// Who counted matters to nobody where nobody saw it; that somebody counted does.
    fn reduce(&self, open: &CounterCall) -> Option<CounterCall> {
        match open {
            CounterCall::Add(by) if self.seen.contains(by) => Some(*open),
            CounterCall::Add(_) => Some(CounterCall::Add(0)),
            CounterCall::Get => None,
        }
    }

    fn tell(&self, call: &CounterCall, answer: Option<&CounterAnswer>) -> String {
        let call = match call {
            CounterCall::Add(by) => format!("add as {by}"),
            CounterCall::Get => "get".to_owned(),
        };
        match answer {
            None => format!("{call} -> unknown"),
            Some(CounterAnswer::Updated { old, new }) => {
                format!("{call} -> from {} by {} to {} by {}", old.0, old.1, new.0, new.1)
            }
            Some(CounterAnswer::Found(count)) => format!("{call} -> {} by {}", count.0, count.1),
        }
    }

    fn tell_state(&self, state: &Count) -> String {
        format!("{} by {}", state.0, state.1)
    }
}
