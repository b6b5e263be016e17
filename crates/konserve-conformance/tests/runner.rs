//! The suite catches engines that are wrong, and says of deviations and missing environments what it must.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use konserve_conformance::{Deviation, Harness, Missing, Namespace, Page, Suite};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, Item, Listing, Mutation, Occupant, Purge, Read, RowQuery, Space, When,
    Written,
};
use konserve_core::{ErrorKind, Result, Rev};
use konserve_memory::Memory;
use libtest_mimic::{Arguments, Conclusion};

/// What is wrong with an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    ConditionIgnored,
    NewerIsAlways,
    RepetitionRefused,
    PinnedForgotten,
    EmptyBodyLost,
    ExpiryLost,
    StaleStrongRead,
    FirstHundredOfMany,
    CommitOneByOne,
    CommitReportsNothing,
    ItemLimitOffByOne,
    RowsUnordered,
    RowsFirstPage,
    LimitIgnored,
    TombstonesListed,
    ListBehindIncludes,
    PurgeIgnoresRevision,
    PurgeLeavesTombstone,
    CloseIgnored,
    ReopenEmpty,
}

#[derive(Debug)]
struct Wrong {
    flaw: Flaw,
    memory: Memory,
}

impl Wrong {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn condition(&self, when: When) -> When {
        match (self.flaw, when) {
            (Flaw::NewerIsAlways, When::Newer) | (Flaw::ConditionIgnored, _) => When::Always,
            (_, when) => when,
        }
    }
}

#[async_trait]
impl Backend for Wrong {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let item = self.memory.read(at, how).await?;
        Ok(item.map(|mut item| {
            if self.is(Flaw::EmptyBodyLost) {
                item.body = item.body.filter(|body| !body.is_empty());
            }
            if self.is(Flaw::ExpiryLost) {
                item.expires = None;
            }
            item
        }))
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let mut found = self.memory.read_many(at, how).await?;
        if self.is(Flaw::FirstHundredOfMany) {
            found.iter_mut().skip(100).for_each(|item| *item = None);
        }
        Ok(found)
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        if self.is(Flaw::RepetitionRefused) {
            let there = self.memory.read(at, Read::STRONG).await?;
            if there.as_ref().is_some_and(|there| there.rev == item.rev) {
                let current = there.map(Occupant::Item);
                return Ok(Written::Refused { current });
            }
        }
        let pinned = item.pinned && !self.is(Flaw::PinnedForgotten);
        if self.is(Flaw::StaleStrongRead) && self.memory.read(at, Read::STRONG).await?.is_some() {
            let (memory, at) = (self.memory.clone(), at.clone());
            let current = memory.read(&at, Read::STRONG).await?.map(Occupant::Item);
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                memory.write(&at, item, when).await
            });
            let previous = konserve_core::backend::Previous::Known(current);
            return Ok(Written::Applied { previous });
        }
        self.memory
            .write(at, Item { pinned, ..item }, self.condition(when))
            .await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.memory.remove(at, rev, self.condition(when)).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        if self.is(Flaw::CommitOneByOne) {
            for one in all {
                let answer = self.memory.commit(vec![one]).await?;
                if answer != Committed::Applied {
                    return Ok(answer);
                }
                tokio::task::yield_now().await;
            }
            return Ok(Committed::Applied);
        }
        match self.memory.commit(all).await? {
            Committed::Refused(_) if self.is(Flaw::CommitReportsNothing) => Ok(Committed::Refused(Vec::new())),
            answer => Ok(answer),
        }
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let purged = what.iter().map(|what| match (self.flaw, what) {
            (Flaw::PurgeIgnoresRevision, Purge::Tombstone(at, _)) => Purge::Row(at.clone()),
            (_, what) => what.clone(),
        });
        let purged: Vec<_> = purged.collect();
        if self.is(Flaw::PurgeLeavesTombstone) {
            for what in purged {
                let highest = Rev::from_bytes([0xFE; 16]);
                self.memory.remove(what.at(), highest, When::Always).await?;
            }
            return Ok(());
        }
        self.memory.purge(&purged).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let limit = query.limit.filter(|_| !self.is(Flaw::LimitIgnored));
        let rows = self.memory.rows(RowQuery { limit, ..query });
        match self.flaw {
            Flaw::RowsFirstPage => rows.take(64).boxed(),
            Flaw::RowsUnordered => rows
                .chunks(2)
                .flat_map(|pair| futures::stream::iter(pair.into_iter().rev()))
                .boxed(),
            _ => rows,
        }
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let (mut how, after) = (how.clone(), how.after);
        how.tombstones |= self.is(Flaw::TombstonesListed);
        let listing = self.memory.list(space, how);
        match after {
            Some(after) if self.is(Flaw::ListBehindIncludes) => {
                let again = Occupant::Tombstone(Rev::from_bytes([1; 16]));
                futures::stream::iter([Ok((after, again))]).chain(listing).boxed()
            }
            _ => listing,
        }
    }

    async fn close(&self) -> Result<()> {
        match self.flaw {
            Flaw::CloseIgnored => Ok(()),
            _ => self.memory.close().await,
        }
    }
}

#[derive(Debug, Clone)]
struct WrongHarness {
    flaw: Flaw,
    deviations: Vec<Deviation>,
    missing: bool,
}

impl WrongHarness {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            deviations: Vec::new(),
            missing: false,
        }
    }

    fn memory(&self) -> Memory {
        let more = usize::from(self.flaw == Flaw::ItemLimitOffByOne);
        Memory::builder().seed(1).item_limit(4096 + more).build()
    }
}

#[async_trait]
impl Harness for WrongHarness {
    fn name(&self) -> String {
        format!("{:?}", self.flaw)
    }

    fn capabilities(&self) -> Capabilities {
        Memory::new().capabilities().with_item_limit(4096)
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        let (flaw, memory) = (self.flaw, self.memory());
        Ok(Box::new(WrongStore { flaw, memory }))
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

struct WrongStore {
    flaw: Flaw,
    memory: Memory,
}

#[async_trait]
impl Namespace for WrongStore {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(Wrong {
            flaw: self.flaw,
            memory: self.memory.clone(),
        })
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Wrong {
            flaw: self.flaw,
            memory: self.memory.handle(),
        }))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        match self.flaw {
            Flaw::ReopenEmpty => Ok(Arc::new(Memory::builder().item_limit(4096).build())),
            _ => self.another().await,
        }
    }
}

/// Runs the trials whose ids contain this, or the one that has it.
fn run(suite: Suite, filter: &str, exact: bool) -> Conclusion {
    let arguments = Arguments {
        filter: Some(filter.to_owned()),
        exact,
        ..Arguments::default()
    };
    run_quietly(arguments, suite.seed(1).allow_missing(false))
}

/// Runs trials that are meant to fail, away from the output of the tests that run them.
fn run_quietly(mut arguments: Arguments, suite: Suite) -> Conclusion {
    let log = tempfile::NamedTempFile::new().unwrap();
    arguments.logfile = Some(log.path().to_str().unwrap().to_owned());
    libtest_mimic::run(&arguments, suite.trials())
}

#[test]
fn every_flaw_is_caught_by_the_trial_that_is_meant_to() {
    let flaws = [
        (Flaw::ConditionIgnored, "write.when-absent.refused-by-live-lower"),
        (Flaw::NewerIsAlways, "write.when-newer.refused-by-tombstone-higher"),
        (Flaw::RepetitionRefused, "write.when-absent.repeated-over-live-mine"),
        (Flaw::PinnedForgotten, "write.when-newer.refused-by-pinned-lower"),
        (Flaw::EmptyBodyLost, "item.empty-is-not-none"),
        (Flaw::ExpiryLost, "item.comes-back-whole"),
        (Flaw::StaleStrongRead, "read.strong-sees-what-was-acknowledged"),
        (Flaw::FirstHundredOfMany, "read-many.hundreds"),
        (Flaw::CommitOneByOne, "commit.many-refusals"),
        (Flaw::CommitOneByOne, "commit.readers-see-all-or-nothing"),
        (Flaw::CommitReportsNothing, "commit.many-refusals"),
        (Flaw::ItemLimitOffByOne, "limits.item-above-the-limit"),
        (Flaw::ItemLimitOffByOne, "capabilities.as-expected"),
        (Flaw::RowsUnordered, "rows.range-and-order"),
        (Flaw::RowsFirstPage, "rows.all-pages"),
        (Flaw::LimitIgnored, "rows.limit"),
        (Flaw::TombstonesListed, "list.tombstones-on-request"),
        (Flaw::ListBehindIncludes, "list.behind-an-address"),
        (Flaw::PurgeIgnoresRevision, "purge.tombstone-of-another-revision"),
        (Flaw::PurgeLeavesTombstone, "purge.row-whatever-is-there"),
        (Flaw::CloseIgnored, "close.everything-answers-closed"),
        (Flaw::ReopenEmpty, "restart.everything-is-there"),
    ];
    for (flaw, trial) in flaws {
        let conclusion = run(Suite::new(WrongHarness::new(flaw)), trial, true);
        assert_eq!(conclusion.num_failed, 1, "{flaw:?} survives {trial}");
        let conclusion = run(Suite::new(WrongHarness::new(Flaw::None)), trial, true);
        assert_eq!(conclusion.num_passed, 1, "{trial} fails without a flaw");
    }
}

#[test]
fn a_known_deviation_is_tolerated_and_an_unexpected_pass_is_not() {
    let trial = "rows.limit";
    let mut harness = WrongHarness::new(Flaw::LimitIgnored);
    harness.deviations = vec![Deviation {
        trial,
        reason: "limits are not implemented",
        link: "https://example.com/1",
    }];
    assert_eq!(run(Suite::new(harness.clone()), trial, true).num_passed, 1);

    harness.flaw = Flaw::None;
    assert_eq!(run(Suite::new(harness.clone()), trial, true).num_failed, 1);

    harness.deviations[0].trial = "rows.no-such-trial";
    assert_eq!(run(Suite::new(harness), "suite.deviations", true).num_failed, 1);
}

#[test]
fn a_missing_environment_fails_unless_that_is_allowed() {
    let mut harness = WrongHarness::new(Flaw::None);
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
