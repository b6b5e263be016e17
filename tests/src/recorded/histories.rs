//! The histories of a few objects of one store.

use std::fmt::Write;

use konserve_conformance::linear::{
    DocumentsAnswer, DocumentsCall, End, History, LogAnswer, LogCall, Operation, Recorder, check_documents, check_log,
};
use serde::{Deserialize, Serialize};

/// How many pairs of documents there are. Calls on several keys at once stay in one pair, which is one object.
pub(super) const PAIRS: usize = 4;

/// How many documents belong together.
pub(super) const PAIR: usize = 2;

/// How many logs there are.
pub(super) const LOGS: usize = 2;

/// The recorders of all objects.
#[derive(Clone)]
pub(super) struct Recorders {
    pub(super) pairs: Vec<Recorder<DocumentsCall, DocumentsAnswer>>,
    pub(super) logs: Vec<Recorder<LogCall, LogAnswer>>,
}

impl Recorders {
    pub(super) fn timed(clock: impl Fn() -> u64 + Clone + Send + Sync + 'static) -> Self {
        Self {
            pairs: (0..PAIRS).map(|_| Recorder::timed(clock.clone())).collect(),
            logs: (0..LOGS).map(|_| Recorder::timed(clock.clone())).collect(),
        }
    }

    pub(super) fn histories(&self) -> Histories {
        Histories {
            pairs: self
                .pairs
                .iter()
                .map(|pair| pair.history().operations().to_vec())
                .collect(),
            logs: self
                .logs
                .iter()
                .map(|log| log.history().operations().to_vec())
                .collect(),
        }
    }
}

/// What was recorded of all objects, by one process or by several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histories {
    pairs: Vec<Vec<Operation<DocumentsCall, DocumentsAnswer>>>,
    logs: Vec<Vec<Operation<LogCall, LogAnswer>>>,
}

/// What a history is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Two documents.
    Pair(usize),
    /// A log.
    Log(usize),
}

/// How many operations there are, and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// All.
    pub operations: usize,
    /// With an answer.
    pub returned: usize,
    /// Certainly not.
    pub failed: usize,
    /// Nobody knows.
    pub open: usize,
}

impl Histories {
    /// The operations of several processes on the same objects, whose times come from one clock.
    #[must_use]
    pub fn merged(all: Vec<Self>) -> Self {
        let mut merged = Self::default();
        for histories in all {
            merge(&mut merged.pairs, histories.pairs);
            merge(&mut merged.logs, histories.logs);
        }
        merged
    }

    /// Whether each of the objects is linearizable.
    ///
    /// # Errors
    ///
    /// Which are not, and why; or that this could not be decided.
    pub fn check(&self) -> Result<(), String> {
        let mut found = String::new();
        for (number, pair) in self.pairs.iter().enumerate() {
            if let Err(finding) = check_documents(PAIR, &History::new(pair.clone())) {
                let _ = writeln!(found, "{:?}: {finding}", Object::Pair(number));
            }
        }
        for (number, log) in self.logs.iter().enumerate() {
            if let Err(finding) = check_log(&History::new(log.clone())) {
                let _ = writeln!(found, "{:?}: {finding}", Object::Log(number));
            }
        }
        match found.is_empty() {
            true => Ok(()),
            false => Err(found),
        }
    }

    /// How many operations there are.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        self.pairs
            .iter()
            .flatten()
            .for_each(|operation| summary.count(&operation.end));
        self.logs
            .iter()
            .flatten()
            .for_each(|operation| summary.count(&operation.end));
        summary
    }

    /// How often an operation on a pair began after one of another process, where each has so many writers.
    pub fn changed_hands(&self, writers: usize) -> usize {
        let pairs = self.pairs.iter().map(|pair| History::new(pair.clone()));
        let pairs = pairs.map(|pair| changes(pair.operations().iter().map(|operation| operation.task / writers)));
        pairs.sum()
    }

    /// Everything as text, the same for the same histories.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("histories have no maps")
    }

    /// What was such text.
    ///
    /// # Errors
    ///
    /// It was not.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Summary {
    fn count<A>(&mut self, end: &End<A>) {
        self.operations += 1;
        match end {
            End::Returned { .. } => self.returned += 1,
            End::Failed => self.failed += 1,
            End::Open => self.open += 1,
        }
    }
}

fn changes(processes: impl Iterator<Item = usize>) -> usize {
    let processes: Vec<_> = processes.collect();
    processes.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn merge<T>(into: &mut Vec<Vec<T>>, from: Vec<Vec<T>>) {
    into.resize_with(into.len().max(from.len()), Vec::new);
    for (into, from) in into.iter_mut().zip(from) {
        into.extend(from);
    }
}
