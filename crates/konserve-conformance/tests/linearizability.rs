//! The trials of concurrency find engines that are right one call at a time and wrong when several come at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use konserve_conformance::{Harness, Namespace, Outcome, Suite};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Previous,
    Purge, Read, RowQuery, Space, When, Written,
};
use konserve_core::{Error, ErrorKind, Result, Rev};
use konserve_memory::Memory;

/// What is wrong with an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Nothing: answers are lost, now after the engine did what it was asked for, now before, and reads fail.
    AnswersLost,
    /// The condition is checked before the write, not with it.
    CheckedBefore,
    /// `Matches` is taken for `Newer`.
    UpdatesUnconditional,
    /// A handle answers strong reads from what it read last, for a while.
    StaleReads,
    /// Now and then a write is acknowledged and forgotten.
    WriteForgotten,
    /// Now and then a write that was applied is said to have failed.
    FailureClaimed,
    /// Whoever comes second to a row of a log overwrites it.
    RowsOverwritten,
    /// The parts of a commit are applied one by one.
    CommitOneByOne,
    /// A part of a commit is seen later than the rest of it.
    CommitSeenInParts,
    /// The checks of a commit are not made.
    ChecksIgnored,
    /// Eventual reads bring what was refused.
    RefusedIsSeen,
}

#[derive(Debug)]
struct Wrong {
    flaw: Flaw,
    memory: Memory,
    calls: AtomicUsize,
    /// What was read last, or is still seen.
    read: Mutex<HashMap<Address, Option<Item>>>,
    refused: Mutex<HashMap<Address, Item>>,
}

impl Wrong {
    fn new(flaw: Flaw, memory: Memory) -> Arc<Self> {
        Arc::new(Self {
            flaw,
            memory,
            calls: AtomicUsize::default(),
            read: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Whether the flaw shows in this call: in one of so many.
    fn once_in(&self, times: usize) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) % times == times - 1
    }

    /// An error in place of an answer, and whether the call is made all the same.
    fn lost(&self) -> Option<(Error, bool)> {
        if self.flaw != Flaw::AnswersLost {
            return None;
        }
        match self.calls.fetch_add(1, Ordering::Relaxed) % 30 {
            7 => Some((Error::new(ErrorKind::UnknownOutcome, "lost on the way back"), true)),
            17 => Some((Error::new(ErrorKind::UnknownOutcome, "lost on the way"), false)),
            27 => Some((Error::new(ErrorKind::Throttled, "too many requests"), false)),
            _ => None,
        }
    }

    fn condition(&self, at: &Address, when: When) -> When {
        match (self.flaw, when) {
            (Flaw::UpdatesUnconditional, When::Matches(_)) => When::Newer,
            (Flaw::RowsOverwritten, When::Absent) if at.space == Space::Log => When::Newer,
            _ => when,
        }
    }

    /// The refusal of a write or a removal, if it is found before anything is done.
    async fn checked_before(&self, at: &Address, rev: Rev, when: When) -> Result<Option<Written>> {
        let current = self.memory.read(at, Read::STRONG).await?.map(Occupant::Item);
        tokio::task::yield_now().await;
        let refused = !when.admits(rev, current.as_ref());
        Ok(refused.then_some(Written::Refused { current }))
    }
}

#[async_trait]
impl Backend for Wrong {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.memory.identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        if self.lost().is_some() {
            return Err(Error::new(ErrorKind::Unavailable, "no answer"));
        }
        let found = self.memory.read(at, how).await?;
        match self.flaw {
            Flaw::StaleReads if how.body => {
                let mut read = self.read.lock().unwrap();
                let last = read.insert(at.clone(), found.clone());
                Ok(last.filter(|_| self.once_in(20)).unwrap_or(found))
            }
            Flaw::CommitSeenInParts => {
                let before = self.read.lock().unwrap().get(at).cloned();
                Ok(before.unwrap_or(found))
            }
            Flaw::RefusedIsSeen if !how.strong => {
                let refused = self.refused.lock().unwrap().get(at).cloned();
                Ok(refused.or(found))
            }
            _ => Ok(found),
        }
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.memory.read_many(at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        if let Some((error, made)) = self.lost() {
            if made {
                self.memory.write(at, item, when).await?;
            }
            return Err(error);
        }
        match self.flaw {
            Flaw::CheckedBefore if matches!(when, When::Absent | When::Exists | When::Matches(_)) => {
                if let Some(refused) = self.checked_before(at, item.rev, when).await? {
                    return Ok(refused);
                }
                self.memory.write(at, item, When::Always).await
            }
            Flaw::WriteForgotten if self.once_in(25) => {
                let there = self.memory.read(at, Read::STRONG).await?.map(Occupant::Item);
                match when.admits(item.rev, there.as_ref()) {
                    true => Ok(Written::Applied {
                        previous: Previous::Unknown,
                    }),
                    false => self.memory.write(at, item, when).await,
                }
            }
            Flaw::FailureClaimed if self.once_in(25) => {
                self.memory.write(at, item, when).await?;
                Err(konserve_core::Error::new(
                    konserve_core::ErrorKind::Throttled,
                    "too many requests",
                ))
            }
            Flaw::RefusedIsSeen => {
                let written = self.memory.write(at, item.clone(), when).await?;
                if matches!(written, Written::Refused { .. }) {
                    self.refused.lock().unwrap().insert(at.clone(), item);
                }
                Ok(written)
            }
            _ => self.memory.write(at, item, self.condition(at, when)).await,
        }
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        if let Some((error, made)) = self.lost() {
            if made {
                self.memory.remove(at, rev, when).await?;
            }
            return Err(error);
        }
        self.memory.remove(at, rev, self.condition(at, when)).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        if let Some((error, made)) = self.lost() {
            if made {
                self.memory.commit(all).await?;
            }
            return Err(error);
        }
        match self.flaw {
            Flaw::CommitOneByOne => {
                for one in all {
                    let answer = self.memory.commit(vec![one]).await?;
                    if answer != Committed::Applied {
                        return Ok(answer);
                    }
                    tokio::task::yield_now().await;
                }
                Ok(Committed::Applied)
            }
            Flaw::CommitSeenInParts => {
                let late = all.last().map(|one| one.at().clone());
                if let Some(late) = &late {
                    let before = self.memory.read(late, Read::STRONG).await?;
                    self.read.lock().unwrap().insert(late.clone(), before);
                }
                let answer = self.memory.commit(all).await;
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                late.and_then(|late| self.read.lock().unwrap().remove(&late));
                answer
            }
            Flaw::ChecksIgnored => {
                let is_check = |one: &Mutation| matches!(one, Mutation::Check { .. });
                let others: Vec<_> = all.into_iter().filter(|one| !is_check(one)).collect();
                match others.is_empty() {
                    true => Ok(Committed::Applied),
                    false => self.memory.commit(others).await,
                }
            }
            _ => self.memory.commit(all).await,
        }
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.memory.purge(what).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        self.memory.rows(query)
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        self.memory.list(space, how)
    }

    fn stats(&self) -> EngineStats {
        self.memory.stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.memory.parts(space, how)
    }

    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
}

struct WrongHarness(Flaw);

#[async_trait]
impl Harness for WrongHarness {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    fn capabilities(&self) -> Capabilities {
        Memory::new().capabilities()
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let memory = Memory::builder().seed(1).build();
        let first = Wrong::new(self.0, memory.clone());
        Ok(Box::new(WrongStore { first, memory }))
    }
}

struct WrongStore {
    first: Arc<Wrong>,
    memory: Memory,
}

#[async_trait]
impl Namespace for WrongStore {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.first) as Arc<dyn Backend>
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Wrong::new(self.first.flaw, self.memory.handle()))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        self.another().await
    }
}

/// What comes of it when two writers of a log get the same place: a reader meets the gap, or the history shows it.
const LOG_BROKEN: &[&str] = &["a log with a gap", "the history of log"];
/// What comes of a commit that is not one step. Which of it is met first depends on who comes in between.
const COMMIT_BROKEN: &[&str] = &["the sum of", "nobody wrote it", "not linearizable"];
const UNORDERED: &[&str] = &["not linearizable"];

/// Every trial, every flaw that it must find, and what the report says, one of these.
const FOUND: [(&str, Flaw, &[&str]); 18] = [
    ("concurrency.registers", Flaw::CheckedBefore, UNORDERED),
    ("concurrency.registers", Flaw::StaleReads, UNORDERED),
    ("concurrency.registers", Flaw::WriteForgotten, UNORDERED),
    ("concurrency.registers", Flaw::FailureClaimed, UNORDERED),
    ("concurrency.registers", Flaw::RefusedIsSeen, &["never stored"]),
    ("concurrency.documents", Flaw::CheckedBefore, UNORDERED),
    ("concurrency.documents", Flaw::UpdatesUnconditional, UNORDERED),
    ("concurrency.documents", Flaw::StaleReads, UNORDERED),
    ("concurrency.counters", Flaw::CheckedBefore, UNORDERED),
    ("concurrency.counters", Flaw::UpdatesUnconditional, UNORDERED),
    ("concurrency.logs", Flaw::CheckedBefore, LOG_BROKEN),
    ("concurrency.logs", Flaw::RowsOverwritten, LOG_BROKEN),
    // Of a log, only where it begins is read that way.
    ("concurrency.logs", Flaw::StaleReads, UNORDERED),
    ("concurrency.multi-keys", Flaw::CommitSeenInParts, UNORDERED),
    ("concurrency.multi-keys", Flaw::StaleReads, UNORDERED),
    ("concurrency.transfers", Flaw::CommitSeenInParts, UNORDERED),
    ("concurrency.transfers", Flaw::CommitOneByOne, COMMIT_BROKEN),
    ("concurrency.transfers", Flaw::ChecksIgnored, COMMIT_BROKEN),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trial_finds_what_goes_wrong_only_at_the_same_time() {
    for (trial, flaw, told) in FOUND {
        let suite = Suite::new(WrongHarness(flaw)).seed(1).thorough(20);
        match suite.outcome(trial).await {
            Some(Outcome::Failed(report)) => {
                // What the suite had to put an end to is no finding of the trial, and neither is a search that was given up.
                let no_finding = ["a panic:", "not finished", "not decided"];
                let is_finding = !no_finding.iter().any(|text| report.contains(text));
                assert!(
                    is_finding && told.iter().any(|text| report.contains(text)),
                    "{trial} says of {flaw:?}: {report}"
                );
            }
            outcome => panic!("{flaw:?} survives {trial}: {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trial_passes_where_nothing_is_wrong_even_if_answers_are_lost() {
    let trials: BTreeSet<_> = FOUND.iter().map(|(trial, ..)| *trial).collect();
    for trial in trials {
        for (flaw, seeds) in [(Flaw::None, 1), (Flaw::AnswersLost, 5)] {
            let suite = Suite::new(WrongHarness(flaw)).seed(1).thorough(seeds);
            assert_eq!(
                suite.outcome(trial).await,
                Some(Outcome::Passed),
                "{trial} with {flaw:?}"
            );
        }
    }
}
