//! Histories: what tasks asked for, when, and what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use konserve_core::{Error, Outcome};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Verdict};

/// Records what tasks on any number of threads do. Clones record the same history.
///
/// Real time is one counter that every call and every answer advances: what was answered at a lower count than another was
/// called at was over before that one began. Histories of several processes need a clock that they share instead
/// ([`Recorder::timed`]).
pub struct Recorder<C, A>(Arc<Shared<C, A>>);

struct Shared<C, A> {
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    operations: Mutex<Vec<Operation<C, A>>>,
}

impl<C, A> Recorder<C, A> {
    /// Nothing is recorded as yet.
    #[must_use]
    #[allow(clippy::new_without_default)] // it records something from now on: not a value to begin with
    pub fn new() -> Self {
        let counter = AtomicU64::new(0);
        Self::timed(move || counter.fetch_add(1, Ordering::SeqCst))
    }

    /// Takes times from this clock, which must never run backwards.
    #[must_use]
    pub fn timed(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            clock: Box::new(clock),
            operations: Mutex::new(Vec::new()),
        }))
    }

    /// Notes that a task makes a call. To be followed by the call at once, and by a word about its end.
    pub fn invoke(&self, task: usize, call: C) -> Pending<C, A> {
        let mut operations = self.0.operations.lock().unwrap_or_else(PoisonError::into_inner);
        operations.push(Operation {
            task,
            call,
            invoked: self.now(),
            end: End::Open,
        });
        Pending {
            recorder: self.clone(),
            index: operations.len() - 1,
        }
    }

    /// What has been recorded. Operations that have not ended are open, and stay so here.
    #[must_use]
    pub fn history(&self) -> History<C, A>
    where
        C: Clone,
        A: Clone,
    {
        let operations = self.0.operations.lock().unwrap_or_else(PoisonError::into_inner);
        History::new(operations.clone())
    }

    fn now(&self) -> u64 {
        (self.0.clock)()
    }
}

impl<C, A> Clone for Recorder<C, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A call without an answer as yet. Dropped without a word, as when its task is cancelled, it stays open.
#[must_use = "dropping it says that nobody knows what came of the call"]
pub struct Pending<C, A> {
    recorder: Recorder<C, A>,
    index: usize,
}

impl<C, A> Pending<C, A> {
    /// It happened, and this is the answer.
    pub fn returned(self, answer: A) {
        let at = self.recorder.now();
        self.end(End::Returned { at, answer });
    }

    /// It certainly did not happen and will not.
    pub fn failed(self) {
        self.end(End::Failed);
    }

    /// It may have happened, may happen later, or never.
    pub fn unknown(self) {
        drop(self);
    }

    /// What an answer of konserve says about a call that may change something: an error after which it is known that nothing
    /// was applied, and that is worth another try, is a call that failed; one that says that it does not know leaves the call
    /// open. The answer comes back if there was one.
    ///
    /// # Errors
    ///
    /// Fails on every other error: none is due in a trial.
    #[track_caller]
    pub(crate) fn changed(self, answer: Result<A, Error>) -> Verdict<Option<A>>
    where
        A: Clone,
    {
        match answer {
            Ok(answer) => {
                self.returned(answer.clone());
                Ok(Some(answer))
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                self.unknown();
                Ok(None)
            }
            Err(error) => self.refused(error),
        }
    }

    /// The same of a call that changes nothing: without an answer it is as if it had not been made.
    ///
    /// # Errors
    ///
    /// Fails on errors that are not worth another try.
    #[track_caller]
    pub(crate) fn read(self, answer: Result<A, Error>) -> Verdict<Option<A>>
    where
        A: Clone,
    {
        match answer {
            Ok(answer) => {
                self.returned(answer.clone());
                Ok(Some(answer))
            }
            Err(error) => self.refused(error),
        }
    }

    #[track_caller]
    fn refused(self, error: Error) -> Verdict<Option<A>> {
        let worth_another_try = error.is_retryable();
        self.failed();
        match worth_another_try {
            true => Ok(None),
            false => Err(Failure::from(error)),
        }
    }

    fn end(self, end: End<A>) {
        let operations = &self.recorder.0.operations;
        let mut operations = operations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operation) = operations.get_mut(self.index) {
            operation.end = end;
        }
    }
}

/// A call and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation<C, A> {
    /// Who made it, for people.
    pub task: usize,
    /// What was asked for.
    pub call: C,
    /// When it was made.
    pub invoked: u64,
    /// What came of it.
    pub end: End<A>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End<A> {
    /// It happened, between the call and `at`.
    Returned {
        /// When it was answered.
        at: u64,
        /// The answer.
        answer: A,
    },
    /// It did not happen.
    Failed,
    /// It may have happened, at any time from the call on, or not.
    Open,
}

impl<A> End<A> {
    pub(crate) fn answer(&self) -> Option<&A> {
        match self {
            Self::Returned { answer, .. } => Some(answer),
            Self::Failed | Self::Open => None,
        }
    }
}

/// Operations in the order in which they were called.
#[derive(Debug, Clone)]
pub struct History<C, A>(Vec<Operation<C, A>>);

impl<C, A> History<C, A> {
    /// Of operations in any order.
    #[must_use]
    pub fn new(mut operations: Vec<Operation<C, A>>) -> Self {
        operations.sort_by_key(|operation| operation.invoked);
        Self(operations)
    }

    /// The operations, in that order.
    #[must_use]
    pub fn operations(&self) -> &[Operation<C, A>] {
        &self.0
    }

    /// The operations that happened or may happen, with their answers if there are any.
    pub(crate) fn possible(&self) -> impl Iterator<Item = (&C, Option<&A>)> {
        let possible = self.0.iter().filter(|operation| !matches!(operation.end, End::Failed));
        possible.map(|operation| (&operation.call, operation.end.answer()))
    }

    /// The histories of independent objects, each of which is linearizable if and only if the whole is.
    pub fn split<K: Ord>(self, object: impl Fn(&C) -> K) -> BTreeMap<K, Self> {
        let mut parts = BTreeMap::new();
        for operation in self.0 {
            let part = parts.entry(object(&operation.call)).or_insert_with(|| Self(Vec::new()));
            part.0.push(operation);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use konserve_core::ErrorKind;

    use super::*;

    #[test]
    fn what_was_answered_before_another_was_called_has_a_lower_time() {
        let recorder = Recorder::<&str, i32>::new();
        let first = recorder.invoke(0, "first");
        let second = recorder.invoke(1, "second");
        first.returned(1);
        recorder.invoke(0, "third").returned(3);
        second.returned(2);
        let history = recorder.history();
        let times: Vec<_> = history
            .operations()
            .iter()
            .map(|operation| match operation.end {
                End::Returned { at, answer } => (operation.invoked, at, answer),
                _ => panic!("{operation:?}"),
            })
            .collect();
        assert_eq!(times, [(0, 2, 1), (1, 5, 2), (3, 4, 3)]);
    }

    #[test]
    fn a_call_that_was_dropped_stays_open() {
        let recorder = Recorder::<&str, i32>::new();
        drop(recorder.invoke(0, "cancelled"));
        recorder.invoke(0, "unknown").unknown();
        recorder.invoke(0, "failed").failed();
        let ends: Vec<_> = recorder
            .history()
            .0
            .into_iter()
            .map(|operation| operation.end)
            .collect();
        assert!(matches!(ends[..], [End::Open, End::Open, End::Failed]), "{ends:?}");
    }

    #[test]
    fn errors_of_konserve_are_failed_open_or_failures_of_the_trial() {
        let end = |read: bool, error: Error| {
            let recorder = Recorder::<&str, i32>::new();
            let pending = recorder.invoke(0, "call");
            let verdict = match read {
                true => pending.read(Err(error)),
                false => pending.changed(Err(error)),
            };
            verdict.map(|_| recorder.history().0.remove(0).end)
        };
        let unknown = || Error::new(ErrorKind::UnknownOutcome, "lost");
        assert!(matches!(end(false, unknown()), Ok(End::Open)));
        let throttled = || Error::new(ErrorKind::Throttled, "slowly").with_outcome(Outcome::NotApplied);
        assert!(matches!(end(false, throttled()), Ok(End::Failed)));
        assert!(matches!(end(true, throttled()), Ok(End::Failed)));
        let lost = Error::new(ErrorKind::Unavailable, "lost").with_outcome(Outcome::Unknown);
        assert!(matches!(end(true, lost.with_retryable(true)), Ok(End::Failed)));
        for read in [true, false] {
            assert!(end(read, Error::new(ErrorKind::Denied, "no")).is_err());
        }
    }
}
