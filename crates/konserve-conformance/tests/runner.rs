//! The suite says what it must of known deviations, of missing environments, and of stores that cannot be opened.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use konserve_conformance::{Deviation, Harness, Missing, Namespace, Page, Suite};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Purge,
    Read, RowQuery, Space, When, Written,
};
use konserve_core::{ErrorKind, Result, Rev};
use konserve_memory::Memory;
use libtest_mimic::{Arguments, Conclusion};

/// An engine that ignores the limit of `rows`, or does not.
#[derive(Debug)]
struct Engine {
    limits: bool,
    memory: Memory,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Backend for Engine {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn identity(&self) -> Option<String> {
        self.memory.identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.memory.read(at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.memory.read_many(at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.memory.write(at, item, when).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.memory.remove(at, rev, when).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        self.memory.commit(all).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        self.memory.purge(what).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let limit = query.limit.filter(|_| self.limits);
        self.memory.rows(RowQuery { limit, ..query })
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

#[derive(Debug, Clone)]
struct EngineHarness {
    limits: bool,
    deviations: Vec<Deviation>,
    missing: bool,
}

impl EngineHarness {
    fn new(limits: bool) -> Self {
        Self {
            limits,
            deviations: Vec::new(),
            missing: false,
        }
    }
}

#[async_trait]
impl Harness for EngineHarness {
    fn name(&self) -> String {
        "engine".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Memory::new().capabilities()
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        Ok(Box::new(Store {
            limits: self.limits,
            memory: Memory::new(),
        }))
    }

    fn page(&self) -> Page {
        Page { items: 64, bytes: 64 }
    }

    fn deviations(&self) -> Vec<Deviation> {
        self.deviations.clone()
    }

    fn environment(&self) -> Result<(), Missing> {
        match self.missing {
            true => Err(Missing::new("a server")),
            false => Ok(()),
        }
    }
}

struct Store {
    limits: bool,
    memory: Memory,
}

impl Store {
    fn over(&self, memory: Memory) -> Arc<dyn Backend> {
        let limits = self.limits;
        Arc::new(Engine { limits, memory })
    }
}

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        self.over(self.memory.clone())
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(self.over(self.memory.handle()))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        Ok(self.over(self.memory.handle()))
    }
}

/// Runs the trials whose ids contain this, or the one that has it.
fn run(suite: Suite, filter: &str, exact: bool) -> Conclusion {
    let arguments = Arguments {
        filter: Some(filter.to_owned()),
        exact,
        ..Arguments::default()
    };
    run_quietly(arguments, suite.allow_missing(false))
}

/// Runs trials that are meant to fail, away from the output of the tests that run them.
fn run_quietly(mut arguments: Arguments, suite: Suite) -> Conclusion {
    let log = tempfile::NamedTempFile::new().unwrap();
    arguments.logfile = Some(log.path().to_str().unwrap().to_owned());
    libtest_mimic::run(&arguments, suite.seed(1).thorough(1).trials())
}

#[test]
fn a_known_deviation_is_tolerated_and_an_unexpected_pass_is_not() {
    let trial = "rows.limit";
    let mut harness = EngineHarness::new(false);
    harness.deviations = vec![Deviation {
        trial,
        reason: "limits are not implemented",
        link: "https://example.com/1",
    }];
    assert_eq!(run(Suite::new(harness.clone()), trial, true).num_passed, 1);

    harness.limits = true;
    assert_eq!(run(Suite::new(harness.clone()), trial, true).num_failed, 1);

    harness.deviations[0].trial = "rows.no-such-trial";
    assert_eq!(run(Suite::new(harness), "suite.deviations", true).num_failed, 1);
}

#[test]
fn a_missing_environment_fails_unless_that_is_allowed() {
    let mut harness = EngineHarness::new(true);
    harness.missing = true;
    let conclusion = run(Suite::new(harness.clone()), "", false);
    assert_eq!((conclusion.num_failed, conclusion.num_passed), (1, 0));
    assert!(conclusion.num_ignored > 300);

    let conclusion = run_quietly(Arguments::default(), Suite::new(harness).allow_missing(true));
    assert_eq!((conclusion.num_failed, conclusion.num_passed), (0, 0));
}

#[test]
fn what_cannot_be_opened_fails() {
    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Harness for Broken {
        fn name(&self) -> String {
            "broken".to_owned()
        }

        fn capabilities(&self) -> Capabilities {
            Memory::new().capabilities()
        }

        async fn open(&self) -> Result<Box<dyn Namespace>> {
            Err(konserve_core::Error::new(ErrorKind::Unavailable, "no such server"))
        }
    }

    let conclusion = run(Suite::new(Broken), "read.", false);
    assert!(conclusion.num_failed > 5);
    assert_eq!(conclusion.num_passed, 0);
}
