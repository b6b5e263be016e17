//! Processes that are killed while they write large values.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use konserve_core::backend::Space;
use konserve_core::{Result, Store};
use konserve_tests::cut::{Cut, CutProxy};
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::{Fixture, many_chunks};
use konserve_tests::random::Random;
use konserve_tests::versions::{BINARY, DOCUMENT, TOGETHER, Version};

use crate::child::Child;

/// How many processes are killed.
const KILLS: usize = 200;

/// How many stores they share, each with an engine of its own, at the same time.
const LANES: usize = 2;

/// How many kills lie between two looks at what is left.
const BETWEEN_LOOKS: usize = 20;

/// More than connecting takes on the wire: a process that cannot connect writes nothing.
const CONNECTED: u64 = 5_000;

/// More than the first write of a process takes on the wire, and part of the second.
const MOST_BYTES: u64 = 300_000;

/// What a store holds: the version of the document, of the binary, and of those that are written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Versions {
    document: u64,
    binary: u64,
    together: u64,
}

impl Versions {
    async fn write(store: &Store, number: u64) -> Result<Self> {
        store.assoc(DOCUMENT, &Version::large(number)).await?;
        store.bassoc(BINARY, Version::large(number).into_bytes()).await?;
        store.multi_assoc(Version::together(number)).await?;
        Ok(Self {
            document: number,
            binary: number,
            together: number,
        })
    }

    /// Panics when a value is a mix.
    async fn read(store: &Store, candidates: RangeInclusive<u64>) -> Result<Self> {
        let document = store.get::<Version>(DOCUMENT).consistent().await?;
        let binary = store.bget(BINARY).consistent().await?.expect("it is never absent");
        let binary = binary.bytes().await?;
        let together = store.multi_get::<Version>(TOGETHER).consistent().await?;
        let together: Vec<u64> = together.values().map(Version::number).collect();
        assert!(
            together.len() == 3 && together.iter().all(|number| *number == together[0]),
            "{together:?}"
        );
        Ok(Self {
            document: document.expect("it is never absent").number(),
            binary: Version::of_bytes(&binary, candidates.rev()),
            together: together[0],
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_processes_killed_at_any_byte_leave_old_or_new_and_nothing_that_cannot_be_collected() {
    let mut random = Random::from_environment();
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let random = Random::new(random.number());
            tokio::spawn(lane(random, KILLS / LANES))
        })
        .collect();
    for lane in lanes {
        lane.await.expect("no panic").expect("reads and collects");
    }
}

/// Where a process is killed: mostly at some byte, sometimes around a commit.
fn cut(random: &mut Random) -> Cut {
    match random.below(10) {
        0 => Cut::BeforeCommit(random.below(3) as usize),
        1 => Cut::AfterCommit(random.below(3) as usize),
        _ => Cut::Bytes((CONNECTED + random.below(MOST_BYTES)) as usize),
    }
}

async fn lane(mut random: Random, kills: usize) -> Result<()> {
    let engine = Embedded::start();
    let (store, _) = engine.counted(many_chunks()).await;
    let mut before = Versions::write(&store, 0).await?;
    let mut number = 0;
    let mut left_behind = 0;
    for kill in 1..=kills {
        let cut = cut(&mut random);
        number += 1;
        let proxy = CutProxy::start(engine.endpoint(), cut).await;
        let first = number.to_string();
        let start = || Child::writer(&["overwrite", proxy.endpoint(), &first]);
        let mut writer = tokio::task::block_in_place(start);
        writer.begin();
        proxy.wait_for_cut().await;
        let printed = tokio::task::block_in_place(|| writer.kill());
        proxy.drain().await;

        let mut acknowledged = before;
        for line in &printed {
            let (what, version) = line.split_once(' ').expect("two words");
            let version = version.parse().expect("a number");
            match what {
                "begun" => number = version,
                "document" => acknowledged.document = version,
                "binary" => acknowledged.binary = version,
                "together" => acknowledged.together = version,
                other => panic!("{other}"),
            }
        }
        let now = Versions::read(&store, 0..=number).await?;
        let allowed = |acknowledged: u64, now: u64| now == acknowledged || now == number;
        assert!(
            allowed(acknowledged.document, now.document)
                && allowed(acknowledged.binary, now.binary)
                && allowed(acknowledged.together, now.together),
            "{cut:?}: acknowledged {acknowledged:?}, found {now:?}"
        );
        match cut {
            Cut::BeforeCommit(_) => assert_eq!(now, acknowledged, "{cut:?}"),
            Cut::AfterCommit(_) => assert_ne!(now, acknowledged, "{cut:?}: the commit had reached the engine"),
            Cut::Bytes(_) => {}
        }
        before = now;
        if kill % BETWEEN_LOOKS == 0 || kill == kills {
            left_behind += collect(&engine, &store).await?;
            assert_eq!(Versions::read(&store, 0..=number).await?, before);
        }
    }
    assert!(
        left_behind > kills / 4,
        "the kills left {left_behind} generations to collect"
    );
    let keys = [DOCUMENT, BINARY].into_iter().chain(TOGETHER);
    store.multi_dissoc(keys).await?;
    store.collect().without_waiting().await?;
    assert_eq!(Fixture::DynamoDb(engine).items().await, BTreeMap::new());
    Ok(())
}

/// Collects, and looks at the table: it holds what can be reached and nothing else. Says how many generations were removed.
async fn collect(engine: &Embedded, store: &Store) -> Result<usize> {
    let report = store.collect().without_waiting().await?;
    assert_eq!((report.waiting, report.unreadable), (0, 0), "{report:?}");
    // A document, a binary and two large ones of one generation. All of them can be read, so that nothing that they need is
    // missing, and a number of items that is right says that there is no other.
    let chunks = |bytes: u64| bytes.div_ceil(many_chunks().chunk_size as u64) as usize;
    let mut expected = 0;
    for key in [DOCUMENT, BINARY, TOGETHER[0], TOGETHER[2]] {
        let meta = store.get_meta(key).consistent().await?;
        expected += chunks(meta.expect("it is there").size);
    }
    let live = BTreeMap::from([(Space::Document, 5), (Space::Generation, 3), (Space::Chunk, expected)]);
    assert_eq!(Fixture::DynamoDb(engine.clone()).items().await, live);
    Ok(report.generations_removed as usize)
}
