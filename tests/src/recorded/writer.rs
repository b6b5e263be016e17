//! One writer: random calls on a few keys, each recorded.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use konserve_conformance::linear::{DocumentsAnswer, DocumentsCall, LogAnswer, LogCall, Only, Pending, ValueId};
use konserve_core::{Error, ErrorKind, Key, Outcome, Path, Revision, Store, path};
use serde::{Deserialize, Serialize};

use super::histories::{LOGS, PAIR, PAIRS, Recorders};
use crate::random::Random;

/// A document above this many bytes takes chunks.
pub(super) const LARGE: usize = 1_500;

/// What the calls of all writers came to that nobody can read from the histories.
#[derive(Debug, Clone, Default)]
pub struct Outcomes(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Why, each.
    unknown: Mutex<Vec<String>>,
    refused: AtomicU64,
}

impl Outcomes {
    /// How many calls ended without anybody knowing whether they happened.
    pub fn unknown(&self) -> u64 {
        self.0.unknown.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// What was said of each of these.
    pub fn reasons(&self) -> Vec<String> {
        self.0.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls ended with an error after which it is certain that nothing happened.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

/// One writer on a handle.
pub struct Writer {
    store: Store,
    recorders: Recorders,
    outcomes: Outcomes,
    /// Its number among all writers of all processes.
    number: usize,
    /// What it knows of the documents.
    known: [[Option<Revision>; PAIR]; PAIRS],
    calls: u64,
}

/// What is stored under a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Document {
    id: ValueId,
    /// Begins with the number of the call that stored it, which an update of the id leaves alone; its length follows from that.
    #[serde(default)]
    text: String,
}

impl Document {
    fn new(id: ValueId) -> Self {
        Self { id, text: text(id) }
    }

    fn is_whole(&self) -> bool {
        let origin = self.text.split(':').next().and_then(|number| number.parse().ok());
        self.text.is_empty() || origin.is_some_and(|origin| self.text == text(origin))
    }
}

/// Some take chunks.
fn text(id: ValueId) -> String {
    let length = match id % 12 {
        0 => 2 * LARGE + 100,
        short => 3 * short as usize,
    };
    format!("{id}:{}", "f".repeat(length))
}

impl Writer {
    pub(super) fn new(store: Store, recorders: Recorders, outcomes: Outcomes, number: usize) -> Self {
        Self {
            store,
            recorders,
            outcomes,
            number,
            known: [[None; PAIR]; PAIRS],
            calls: 0,
        }
    }

    /// Makes so many calls.
    ///
    /// # Panics
    ///
    /// On an answer or an error that is never due.
    pub async fn work(&mut self, calls: u64, random: &mut Random) {
        for _ in 0..calls {
            self.one(random).await;
        }
    }

    /// Reads every object until there is an answer.
    pub async fn read_all(&mut self) {
        for pair in 0..PAIRS {
            for key in 0..PAIR {
                while !self.get(pair, key).await {}
            }
        }
        for log in 0..LOGS {
            while !self.read(log, None).await {}
        }
    }

    async fn one(&mut self, random: &mut Random) {
        let (pair, key, log) = (random.index(PAIRS), random.index(PAIR), random.index(LOGS));
        let both = || vec![key, (key + 1) % PAIR];
        let only = match (random.below(6), self.known[pair][key]) {
            (0 | 1, _) => Only::IfAbsent,
            (2 | 3, Some(revision)) => Only::IfRevision(revision),
            _ => Only::Always,
        };
        match random.below(100) {
            0..18 => drop(self.get(pair, key).await),
            18..22 => self.glance(pair, key).await,
            22..47 => self.assoc(pair, vec![key], only).await,
            47..60 => self.update(pair, key).await,
            60..69 => {
                let only = if only == Only::IfAbsent { Only::Always } else { only };
                self.dissoc(pair, vec![key], only).await;
            }
            69..76 => self.assoc(pair, both(), Only::Always).await,
            76..81 => self.dissoc(pair, both(), Only::Always).await,
            81..94 => {
                let count = if random.below(3) == 0 { 1 + random.below(3) } else { 1 };
                self.append(log, count).await;
            }
            94..98 => drop(self.read(log, Some(random.below(6))).await),
            _ => drop(self.read(log, None).await),
        }
    }

    /// Ids of values, and so many entries behind it, that no other call has.
    fn fresh(&mut self) -> u64 {
        self.calls += 1;
        (self.number as u64 + 1) * 1_000_000 + 4 * self.calls
    }

    fn key(pair: usize, key: usize) -> Key {
        Key::from(format!("pair-{pair}-{key}"))
    }

    async fn get(&mut self, pair: usize, key: usize) -> bool {
        let pending = self.recorders.pairs[pair].invoke(self.number, DocumentsCall::Get { key });
        let name = Self::key(pair, key);
        let answer = self.store.get::<Document>(name).consistent().with_meta().await;
        let found = answer.map(|found| {
            found.map(|(document, meta)| {
                assert!(document.is_whole(), "a mix was read: {document:?}");
                (document.id, meta.revision)
            })
        });
        let found = self.read_ended(pending, found.map(DocumentsAnswer::Found));
        if let Some(DocumentsAnswer::Found(found)) = &found {
            self.known[pair][key] = found.map(|found| found.1);
        }
        found.is_some()
    }

    /// A read that may lag is no part of the history: it is whole, or an error.
    async fn glance(&mut self, pair: usize, key: usize) {
        match self.store.get::<Document>(Self::key(pair, key)).await {
            Ok(found) => assert!(
                found.as_ref().is_none_or(Document::is_whole),
                "a mix was read: {found:?}"
            ),
            Err(error) => assert!(error.is_retryable(), "a read ended with {error:?}"),
        }
    }

    async fn assoc(&mut self, pair: usize, keys: Vec<usize>, only: Only) {
        let value = self.fresh();
        let document = Document::new(value);
        let names: Vec<_> = keys.iter().map(|key| Self::key(pair, *key)).collect();
        let first = keys[0];
        let call = DocumentsCall::Assoc { keys, value, only };
        let pending = self.recorders.pairs[pair].invoke(self.number, call);
        let answer = match &names[..] {
            [name] => {
                let assoc = self.store.assoc(name.clone(), &document);
                match only {
                    Only::Always => assoc.await,
                    Only::IfAbsent => assoc.if_absent().await,
                    Only::IfRevision(revision) => assoc.if_revision(revision).await,
                }
            }
            _ => {
                self.store
                    .multi_assoc(names.into_iter().map(|name| (name, &document)))
                    .await
            }
        };
        if let Ok(revision) = &answer {
            self.known[pair][first] = Some(*revision);
        }
        self.change_ended(pending, or_conflict(answer.map(DocumentsAnswer::Stored)));
    }

    async fn update(&mut self, pair: usize, key: usize) {
        let value = self.fresh();
        let pending = self.recorders.pairs[pair].invoke(self.number, DocumentsCall::Update { key, value });
        let path: Path = path![Self::key(pair, key), "id"];
        let answer = self.store.update_in(path, move |_: Option<ValueId>| value).await;
        if let Ok(updated) = &answer {
            self.known[pair][key] = Some(updated.revision);
        }
        let answer = answer.map(|updated| DocumentsAnswer::Updated(updated.old, updated.revision));
        self.change_ended(pending, answer);
    }

    async fn dissoc(&mut self, pair: usize, keys: Vec<usize>, only: Only) {
        let names: Vec<_> = keys.iter().map(|key| Self::key(pair, *key)).collect();
        let pending = self.recorders.pairs[pair].invoke(self.number, DocumentsCall::Dissoc { keys, only });
        let answer = match &names[..] {
            [name] => {
                let dissoc = self.store.dissoc(name.clone());
                let existed = match only {
                    Only::IfRevision(revision) => dissoc.if_revision(revision).await,
                    _ => dissoc.await,
                };
                existed.map(|existed| vec![existed])
            }
            _ => {
                let existed = self.store.multi_dissoc(names.clone()).await;
                existed.map(|existed| names.iter().map(|name| existed.get(name) == Some(&true)).collect())
            }
        };
        self.change_ended(pending, or_conflict(answer.map(DocumentsAnswer::Removed)));
    }

    async fn append(&mut self, log: usize, count: u64) {
        let first = self.fresh();
        let entries: Vec<u64> = (first..first + count).collect();
        let pending = self.recorders.logs[log].invoke(self.number, LogCall::Append(entries.clone()));
        let key = format!("log-{log}");
        let answer = match &entries[..] {
            [one] => self.store.append(key, one).await,
            all => self.store.append_all(key, all).await,
        };
        self.change_ended(pending, answer.map(LogAnswer::Appended));
    }

    async fn read(&mut self, log: usize, last: Option<u64>) -> bool {
        let mut stream = self.store.log::<u64>(format!("log-{log}")).consistent();
        if let Some(last) = last {
            stream = stream.last(last);
        }
        let pending = self.recorders.logs[log].invoke(self.number, LogCall::Read { last });
        let answer: Result<Vec<u64>, _> = stream.try_collect().await;
        self.read_ended(pending, answer.map(LogAnswer::Entries)).is_some()
    }

    fn change_ended<C, A: Debug>(&self, pending: Pending<C, A>, answer: Result<A, Error>) {
        match answer {
            Ok(answer) => pending.returned(answer),
            Err(error) if error.outcome() == Outcome::Unknown => {
                assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error:?}");
                let unknown = &self.outcomes.0.unknown;
                let mut unknown = unknown.lock().unwrap_or_else(PoisonError::into_inner);
                unknown.push(format!("{error}; {error:?}"));
                pending.unknown();
            }
            Err(error) => {
                assert!(error.is_retryable(), "a change ended with {error:?}");
                self.outcomes.0.refused.fetch_add(1, Ordering::Relaxed);
                pending.failed();
            }
        }
    }

    fn read_ended<C, A: Clone>(&self, pending: Pending<C, A>, answer: Result<A, Error>) -> Option<A> {
        match answer {
            Ok(answer) => {
                pending.returned(answer.clone());
                Some(answer)
            }
            Err(error) => {
                assert!(error.is_retryable(), "a read ended with {error:?}");
                self.outcomes.0.refused.fetch_add(1, Ordering::Relaxed);
                pending.failed();
                None
            }
        }
    }
}

/// A condition that does not hold is an answer.
fn or_conflict(answer: Result<DocumentsAnswer, Error>) -> Result<DocumentsAnswer, Error> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(DocumentsAnswer::Conflict),
        answer => answer,
    }
}
