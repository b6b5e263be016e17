//! Documents under several keys that change together: what a store promises, as a sequential object.

use std::collections::{BTreeMap, BTreeSet};

use konserve_core::Revision;
use serde::{Deserialize, Serialize};

use super::checker::{Finding, Model, check};
use super::history::{End, History};

/// Whether the history of keys that were all absent in the beginning is linearizable. Every call stores a value of its own.
///
/// # Errors
///
/// Why it is not, or that this could not be decided.
pub fn check_documents(keys: usize, history: &History<DocumentsCall, DocumentsAnswer>) -> Result<(), Finding> {
    check(&Documents::new(keys, history)?, history)
}

/// Some keys of a store, all absent in the beginning; with one key, one register.
///
/// Every call stores a value of its own, so that readers tell which call they see. A condition names only revisions that an
/// answer of the same history told.
#[derive(Debug)]
pub(super) struct Documents {
    keys: usize,
    /// Under which revision each value was stored, as far as anybody knows.
    revisions: BTreeMap<ValueId, Revision>,
    /// What somebody saw, under whatever revision.
    seen: BTreeSet<ValueId>,
    /// What revisions are called: their rank.
    names: BTreeMap<Revision, usize>,
}

/// Which call stored a value. Not 0.
pub type ValueId = u64;

/// A value that nobody saw: it makes no difference which.
const UNSEEN: ValueId = 0;

/// A call. Keys are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentsCall {
    /// A strong read.
    Get {
        /// Of which key.
        key: usize,
    },
    /// `assoc` or `multi_assoc`.
    Assoc {
        /// Under which keys.
        keys: Vec<usize>,
        /// What is stored.
        value: ValueId,
        /// The condition.
        only: Only,
    },
    /// `update` or `update_in`, to this value whatever was there.
    Update {
        /// Of which key.
        key: usize,
        /// What is stored.
        value: ValueId,
    },
    /// `dissoc` or `multi_dissoc`.
    Dissoc {
        /// Which keys.
        keys: Vec<usize>,
        /// The condition.
        only: Only,
    },
}

/// Under which condition a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Only {
    /// None.
    Always,
    /// The key must be absent.
    IfAbsent,
    /// The key must have this revision.
    IfRevision(Revision),
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentsAnswer {
    /// Of a read.
    Found(Option<(ValueId, Revision)>),
    /// Under this revision.
    Stored(Revision),
    /// Of an update: what was there, and the revision of what is there now.
    Updated(Option<ValueId>, Revision),
    /// For each key whether it was there.
    Removed(Vec<bool>),
    /// The condition does not hold.
    Conflict,
}

/// What is at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    value: Option<ValueId>,
    /// The highest revision that is known to have been stored.
    highest: Option<Revision>,
}

impl Documents {
    /// The model for a history.
    ///
    /// # Errors
    ///
    /// A violation when a value was stored under two revisions: then something was applied twice.
    pub(super) fn new(keys: usize, history: &History<DocumentsCall, DocumentsAnswer>) -> Result<Self, Finding> {
        let mut revisions = BTreeMap::new();
        for operation in history.operations() {
            let seen = match (&operation.call, operation.end.answer()) {
                (DocumentsCall::Assoc { value, .. }, Some(DocumentsAnswer::Stored(revision))) => (*value, *revision),
                (DocumentsCall::Update { value, .. }, Some(DocumentsAnswer::Updated(_, revision))) => {
                    (*value, *revision)
                }
                (_, Some(DocumentsAnswer::Found(Some(found)))) => *found,
                _ => continue,
            };
            let known = *revisions.entry(seen.0).or_insert(seen.1);
            if known != seen.1 {
                return Err(Finding::Violation(format!(
                    "value {} was stored under two revisions, {known} and {}: applied twice",
                    seen.0, seen.1
                )));
            }
        }
        let mut seen: BTreeSet<ValueId> = revisions.keys().copied().collect();
        seen.extend(
            history
                .operations()
                .iter()
                .filter_map(|operation| match operation.end.answer() {
                    Some(DocumentsAnswer::Updated(old, _)) => *old,
                    _ => None,
                }),
        );
        let mut all: BTreeSet<Revision> = revisions.values().copied().collect();
        for operation in history
            .operations()
            .iter()
            .filter(|operation| !matches!(operation.end, End::Failed))
        {
            match operation.call {
                DocumentsCall::Assoc {
                    only: Only::IfRevision(revision),
                    ..
                }
                | DocumentsCall::Dissoc {
                    only: Only::IfRevision(revision),
                    ..
                } => {
                    all.insert(revision);
                }
                _ => {}
            }
        }
        Ok(Self {
            keys,
            revisions,
            seen,
            names: all.into_iter().zip(1..).collect(),
        })
    }

    fn name(&self, revision: Revision) -> String {
        let name = self.names.get(&revision);
        name.map_or_else(|| revision.to_string(), |name| format!("r{name}"))
    }

    fn admits(&self, only: Only, slot: Slot) -> bool {
        match only {
            Only::Always => true,
            Only::IfAbsent => slot.value.is_none(),
            Only::IfRevision(revision) => slot
                .value
                .is_some_and(|value| self.revisions.get(&value) == Some(&revision)),
        }
    }

    /// The state with a value at these keys. Revisions only grow.
    fn store(&self, state: &[Slot], keys: &[usize], value: ValueId) -> Option<Vec<Slot>> {
        let revision = self.revisions.get(&value).copied();
        let mut next = state.to_vec();
        for key in keys {
            let highest = state[*key].highest;
            if revision.is_some() && revision <= highest {
                return None;
            }
            next[*key] = Slot {
                value: Some(value),
                highest: revision.or(highest),
            };
        }
        Some(next)
    }

    fn tell_only(&self, only: Only) -> String {
        match only {
            Only::Always => String::new(),
            Only::IfAbsent => " if absent".to_owned(),
            Only::IfRevision(revision) => format!(" if {}", self.name(revision)),
        }
    }
}

impl Model for Documents {
    type State = Vec<Slot>;
    type Call = DocumentsCall;
    type Answer = DocumentsAnswer;

    fn initial(&self) -> Vec<Slot> {
        let slot = Slot {
            value: None,
            highest: None,
        };
        vec![slot; self.keys]
    }

    fn step(&self, state: &Vec<Slot>, call: &DocumentsCall, answer: Option<&DocumentsAnswer>) -> Option<Vec<Slot>> {
        let (keys, only) = match call {
            DocumentsCall::Update { key, value } => {
                let slot = state[*key];
                let right = match answer {
                    None => true,
                    Some(DocumentsAnswer::Updated(old, _)) => *old == slot.value,
                    Some(_) => false,
                };
                return right.then(|| self.store(state, &[*key], *value)).flatten();
            }
            DocumentsCall::Get { key } => {
                let right = match answer {
                    None => true,
                    Some(DocumentsAnswer::Found(found)) => found.map(|found| found.0) == state[*key].value,
                    Some(_) => false,
                };
                return right.then(|| state.clone());
            }
            DocumentsCall::Assoc { keys, only, .. } | DocumentsCall::Dissoc { keys, only } => (keys, *only),
        };
        let admitted = keys.iter().all(|key| self.admits(only, state[*key]));
        if answer == Some(&DocumentsAnswer::Conflict) {
            return (!admitted).then(|| state.clone());
        }
        if !admitted {
            return None;
        }
        let mut next = state.clone();
        match (call, answer) {
            (DocumentsCall::Assoc { value, .. }, None | Some(DocumentsAnswer::Stored(_))) => {
                return self.store(state, keys, *value);
            }
            (DocumentsCall::Dissoc { .. }, answer) => {
                if let Some(answer) = answer {
                    let existed = keys.iter().map(|key| state[*key].value.is_some());
                    if *answer != DocumentsAnswer::Removed(existed.collect()) {
                        return None;
                    }
                }
                keys.iter().for_each(|key| next[*key].value = None);
            }
            _ => return None,
        }
        Some(next)
    }

    /// Revisions only grow.
    fn passed(&self, state: &Vec<Slot>, call: &DocumentsCall, answer: &DocumentsAnswer) -> bool {
        match (call, answer) {
            (DocumentsCall::Get { key }, DocumentsAnswer::Found(Some((_, revision)))) => {
                state[*key].highest > Some(*revision)
            }
            (DocumentsCall::Assoc { keys, .. }, DocumentsAnswer::Stored(revision)) => {
                keys.iter().any(|key| state[*key].highest >= Some(*revision))
            }
            (DocumentsCall::Update { key, .. }, DocumentsAnswer::Updated(_, revision)) => {
                state[*key].highest >= Some(*revision)
            }
            _ => false,
        }
    }

    /// Values that nobody saw are all alike. They may still be why a key was there, or a condition did not hold.
    fn reduce(&self, open: &DocumentsCall) -> Option<DocumentsCall> {
        match open {
            DocumentsCall::Get { .. } => None,
            DocumentsCall::Assoc { keys, value, only } if !self.seen.contains(value) => Some(DocumentsCall::Assoc {
                keys: keys.clone(),
                value: UNSEEN,
                only: *only,
            }),
            DocumentsCall::Update { key, value } if !self.seen.contains(value) => Some(DocumentsCall::Update {
                key: *key,
                value: UNSEEN,
            }),
            other => Some(other.clone()),
        }
    }

    fn tell(&self, call: &DocumentsCall, answer: Option<&DocumentsAnswer>) -> String {
        let call = match call {
            DocumentsCall::Get { key } => format!("get {key}"),
            DocumentsCall::Assoc { keys, value, only } => {
                format!("assoc value {value} at {keys:?}{}", self.tell_only(*only))
            }
            DocumentsCall::Update { key, value } => format!("update {key} to value {value}"),
            DocumentsCall::Dissoc { keys, only } => format!("dissoc {keys:?}{}", self.tell_only(*only)),
        };
        let answer = match answer {
            None => "unknown".to_owned(),
            Some(DocumentsAnswer::Found(None)) => "absent".to_owned(),
            Some(DocumentsAnswer::Found(Some((value, revision)))) => {
                format!("value {value}, {}", self.name(*revision))
            }
            Some(DocumentsAnswer::Stored(revision)) => format!("stored as {}", self.name(*revision)),
            Some(DocumentsAnswer::Updated(old, revision)) => {
                let old = old.map_or("absent".to_owned(), |old| format!("value {old}"));
                format!("stored as {}, it was {old}", self.name(*revision))
            }
            Some(DocumentsAnswer::Removed(existed)) => format!("removed, existed: {existed:?}"),
            Some(DocumentsAnswer::Conflict) => "conflict".to_owned(),
        };
        format!("{call} -> {answer}")
    }

    fn tell_state(&self, state: &Vec<Slot>) -> String {
        let present = state.iter().enumerate();
        let present = present.filter_map(|(key, slot)| slot.value.map(|value| (key, value)));
        let values: Vec<_> = present
            .map(|(key, value)| match value {
                UNSEEN => format!("{key}: a value that nobody saw"),
                value => format!("{key}: value {value}"),
            })
            .collect();
        match values.is_empty() {
            true => "nothing".to_owned(),
            false => values.join(", "),
        }
    }
}
