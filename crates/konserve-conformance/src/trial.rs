//! Trials: what they are called, what they stand for, what they need, and what they do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::arena::Arena;
use crate::failure::Verdict;
use crate::{Harness, backend, concurrency, crashes, faulty, model, store};

/// What a trial can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Strong reads.
    StrongReads,
    /// Atomic commits.
    Transactions,
    /// A largest item.
    ItemLimit,
    /// Values above the largest item: transactions, or no such limit.
    LargeValues,
    /// A clock that can be set.
    Clock,
    /// Failures on demand.
    Faults,
}

impl Capability {
    /// Whether the harness says that it is there.
    pub(crate) fn is_declared(self, harness: &dyn Harness) -> bool {
        let capabilities = harness.capabilities();
        match self {
            Self::StrongReads => capabilities.strong_reads,
            Self::Transactions => capabilities.transactions.is_some(),
            Self::ItemLimit => capabilities.item_limit.is_some(),
            Self::LargeValues => capabilities.item_limit.is_none() || capabilities.transactions.is_some(),
            Self::Clock => harness.has_clock(),
            Self::Faults => harness.has_faults(),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StrongReads => "strong reads",
            Self::Transactions => "transactions",
            Self::ItemLimit => "an item limit",
            Self::LargeValues => "values above the largest item",
            Self::Clock => "a clock that can be set",
            Self::Faults => "failures on demand",
        })
    }
}

/// What is known of a trial without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its stable id.
    pub id: String,
    /// The clauses of `docs/contract.md` that it stands for.
    pub clauses: &'static [&'static str],
    /// What it needs. Ignored for an engine that does not have all of it.
    pub needs: Vec<Capability>,
    /// What must not be there. A trial of a refusal, which is left out for an engine that has this.
    pub without: Option<Capability>,
    /// Whether its course follows from the seed, so that another seed tries something else.
    pub seeded: bool,
}

/// All trials, whatever the engine.
#[must_use]
pub fn catalogue() -> Vec<Entry> {
    all().into_iter().map(|trial| trial.entry).collect()
}

pub(crate) fn all() -> Vec<Trial> {
    [
        backend::trials(),
        store::trials(),
        model::trials(),
        concurrency::trials(),
        crashes::trials(),
        faulty::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) type Run = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A trial.
pub(crate) struct Trial {
    pub(crate) entry: Entry,
    pub(crate) run: Box<dyn Fn(Arc<Arena>) -> Run + Send + Sync>,
}

impl Trial {
    /// A trial that needs strong reads, as nearly all do: without them nothing that was written need ever be seen.
    pub(crate) fn new<F, R>(id: impl Into<String>, clauses: &'static [&'static str], run: F) -> Self
    where
        F: Fn(Arc<Arena>) -> R + Send + Sync + 'static,
        R: Future<Output = Verdict> + Send + 'static,
    {
        Self {
            entry: Entry {
                id: id.into(),
                clauses,
                needs: vec![Capability::StrongReads],
                without: None,
                seeded: false,
            },
            run: Box::new(move |arena| Box::pin(run(arena))),
        }
    }

    /// It needs this as well.
    pub(crate) fn needs(mut self, capability: Capability) -> Self {
        self.entry.needs.push(capability);
        self
    }

    /// Its course follows from the seed: it is worth running for several. One run of it is short.
    pub(crate) fn seeded(mut self) -> Self {
        self.entry.seeded = true;
        self
    }

    /// It needs nothing.
    pub(crate) fn needs_nothing(mut self) -> Self {
        self.entry.needs.clear();
        self
    }

    /// It is for engines that do not have this.
    pub(crate) fn without(mut self, capability: Capability) -> Self {
        self.entry.needs.retain(|needed| *needed != capability);
        self.entry.without = Some(capability);
        self
    }
}
