//! Several processes on one store: nothing is lost between them, and one that is killed leaves old or new.
//!
//! The engine is in this process; the program `writer` of this package is the others.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use futures::TryStreamExt;
use konserve_core::backend::Space;
use konserve_core::{Store, path};
use konserve_tests::cut::{Cut, CutProxy};
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::{Fixture, small_items};
use konserve_tests::versions::{BINARY, DOCUMENT, TOGETHER, Version};

/// A process that works on the store.
struct Writer {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts a process and returns when it is ready to begin.
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_writer"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process starts");
        let input = process.stdin.take().expect("its input");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("it says something").expect("text");
        assert_eq!(first, "ready");
        Self { process, input, lines }
    }

    fn begin(&mut self) {
        self.input.write_all(b"begin\n").expect("it listens");
    }

    /// What it printed until its end, which must be a good one.
    fn finish(mut self) -> Vec<String> {
        let lines = self.lines.by_ref().map(|line| line.expect("text")).collect();
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}");
        lines
    }

    /// What it printed until it is killed, which happens now.
    fn kill(mut self) -> Vec<String> {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
        self.lines.map(|line| line.expect("text")).collect()
    }
}

/// Runs processes at the same time and gives what each printed.
fn run(all: &[&[&str]]) -> Vec<Vec<String>> {
    let mut writers: Vec<_> = all.iter().map(|arguments| Writer::start(arguments)).collect();
    writers.iter_mut().for_each(Writer::begin);
    // Each on a thread of its own, so that none waits for its output to be read.
    let threads: Vec<_> = writers
        .into_iter()
        .map(|writer| std::thread::spawn(|| writer.finish()))
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .collect()
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_8_writers_from_2_processes_are_in_the_log_once_and_in_order() {
    const ENTRIES: u64 = 100;
    let engine = Embedded::start();
    let (store, _) = engine.counted(small_items()).await;
    let endpoint = engine.endpoint();
    let printed = tokio::task::block_in_place(|| {
        run(&[
            &["append", endpoint, "0", "4", "100"],
            &["append", endpoint, "4", "4", "100"],
        ])
    });
    let log: Vec<(u64, u64)> = store.log::<(u64, u64)>("log").try_collect().await.expect("reads");
    assert_eq!(log.len() as u64, 8 * ENTRIES);
    let mut next = BTreeMap::new();
    for (writer, number) in &log {
        let next = next.entry(*writer).or_insert(0);
        assert_eq!(number, next, "writer {writer} is in order, without gaps or repetitions");
        *next += 1;
    }
    assert_eq!(next, (0..8).map(|writer| (writer, ENTRIES)).collect());
    // Each is where its writer was told that it is.
    for line in printed.iter().flatten() {
        let [writer, number, position] = numbers(line)[..] else {
            panic!("{line}");
        };
        assert_eq!(log[position as usize], (writer, number), "position {position}");
    }
    // They did work at the same time.
    let changes = log.windows(2).filter(|pair| pair[0].0 / 4 != pair[1].0 / 4).count();
    assert!(changes > 4, "one process after the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_of_2_processes_are_all_counted() {
    let engine = Embedded::start();
    let (store, _) = engine.counted(small_items()).await;
    let work = ["increment", engine.endpoint(), "4", "50"];
    let printed = tokio::task::block_in_place(|| run(&[&work, &work]));
    let mut reached: Vec<u64> = printed.iter().flatten().flat_map(|line| numbers(line)).collect();
    reached.sort_unstable();
    assert_eq!(reached, (1..=400).collect::<Vec<_>>(), "each number was reached once");
    let end = store.get_in::<u64>(path!["counter", "n"]).consistent().await;
    assert_eq!(end.expect("reads"), Some(400));
}

/// What a store holds: the version of the document, of the binary, and of those that are written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Versions {
    document: u64,
    binary: u64,
    together: u64,
}

impl Versions {
    async fn read(store: &Store, candidates: std::ops::RangeInclusive<u64>) -> Self {
        let document = store.get::<Version>(DOCUMENT).consistent().await;
        let document = document.expect("reads").expect("it is never absent");
        let binary = store.bget(BINARY).consistent().await.expect("reads");
        let binary = binary.expect("it is never absent").bytes().await.expect("reads");
        let together = store.multi_get::<Version>(TOGETHER).consistent().await.expect("reads");
        let together: Vec<u64> = together.values().map(Version::number).collect();
        assert!(
            together.len() == 3 && together.iter().all(|number| *number == together[0]),
            "{together:?}"
        );
        Self {
            document: document.number(),
            binary: Version::of_bytes(&binary, candidates),
            together: together[0],
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_byte_leaves_old_or_new_and_nothing_that_cannot_be_collected() {
    let engine = Embedded::start();
    let (store, _) = engine.counted(small_items()).await;
    store.assoc(DOCUMENT, &Version::large(0)).await.expect("writes");
    store
        .bassoc(BINARY, Version::large(0).into_bytes())
        .await
        .expect("writes");
    store.multi_assoc(Version::together(0)).await.expect("writes");
    let mut before = Versions::read(&store, 0..=0).await;
    let mut number = 0;

    // One version takes some 600,000 bytes on the wire, and three commits.
    let bytes = (0..8).map(|part| Cut::Bytes(77_777 * part + 5_000));
    let commits = (0..3).flat_map(|commit| [Cut::BeforeCommit(commit), Cut::AfterCommit(commit)]);
    for cut in bytes.chain(commits) {
        number += 1;
        let proxy = CutProxy::start(engine.endpoint(), cut).await;
        let first = number.to_string();
        let start = || Writer::start(&["overwrite", proxy.endpoint(), &first]);
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
        let now = Versions::read(&store, 0..=number).await;
        let allowed = |acknowledged: u64, now: u64| now == acknowledged || now == number;
        assert!(
            allowed(acknowledged.document, now.document)
                && allowed(acknowledged.binary, now.binary)
                && allowed(acknowledged.together, now.together),
            "{cut:?}: acknowledged {acknowledged:?}, found {now:?}"
        );
        match cut {
            Cut::BeforeCommit(_) => assert_eq!(now, acknowledged, "{cut:?}"),
            Cut::AfterCommit(_) => assert!(now > acknowledged, "{cut:?}: the commit had reached the engine"),
            Cut::Bytes(_) => {}
        }
        before = now;
    }

    let fixture = Fixture::DynamoDb(engine);
    let left = fixture.items().await;
    let report = store.collect().without_waiting().await.expect("collects");
    assert_eq!(report.waiting, 0, "{report:?}");
    assert!(
        left[&Space::Generation] > 3,
        "the test left something to collect: {left:?}"
    );
    // A document, a binary and two large ones of one generation.
    let chunks = |bytes: u64| bytes.div_ceil(small_items().chunk_size as u64) as usize;
    let mut expected = 0;
    for key in [DOCUMENT, BINARY, TOGETHER[0], TOGETHER[2]] {
        expected += chunks(store.get_meta(key).await.expect("reads").expect("is there").size);
    }
    let live = BTreeMap::from([(Space::Document, 5), (Space::Generation, 3), (Space::Chunk, expected)]);
    assert_eq!(fixture.items().await, live);
    assert_eq!(Versions::read(&store, 0..=number).await, before);
    store
        .multi_dissoc([DOCUMENT, BINARY].into_iter().chain(TOGETHER))
        .await
        .expect("removes");
    store.collect().without_waiting().await.expect("collects");
    assert_eq!(fixture.items().await, BTreeMap::new());
}
