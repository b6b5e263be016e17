//! Readers and writers of large values who are overtaken at a chosen call of theirs: by another writer, by a collector, or
//! by both. Which call that is decides the test, so that nothing depends on chance.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use konserve_core::backend::Space;
use konserve_core::layer::{Call, Fault};
use konserve_core::store::{Body, Options};
use konserve_core::{ErrorKind, Result, Store};
use konserve_tests::fixture::{Fixture, small_items};
use konserve_tests::random::Random;
use konserve_tests::versions::{BINARY, DOCUMENT, TOGETHER, Version};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

konserve_tests::on_both_engines!(
    readers_overtaken_at_any_call_return_old_or_new,
    readers_overtaken_again_and_again_return_one_version,
    writers_overtaken_by_a_collector_at_any_call_write_all_or_nothing_and_leave_nothing,
    writers_that_fail_after_a_collector_gave_them_up_leave_nothing,
);

/// The key that nobody overtakes a reader at.
const UNTOUCHED: &str = "untouched";

/// Chunks of one at a time, so that there are several requests for them to be overtaken between.
fn one_by_one() -> Options {
    let mut options = small_items();
    options.chunks_in_flight = 1;
    options
}

/// What somebody else does to all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Overwrite,
    Shrink,
    Remove,
    WriteTogether,
}

const ACTS: [Act; 4] = [Act::Overwrite, Act::Shrink, Act::Remove, Act::WriteTogether];

impl Act {
    /// Does it with values of this version, and then takes away what nobody can find any more.
    async fn perform(self, store: &Store, version: u64, collects: bool) -> Result<()> {
        let all = [DOCUMENT, BINARY].into_iter().chain(TOGETHER);
        match self {
            Self::Overwrite | Self::Shrink => {
                let value = || match self {
                    Self::Shrink => Version::small(version),
                    _ => Version::large(version),
                };
                for key in [DOCUMENT].into_iter().chain(TOGETHER) {
                    store.assoc(key, &value()).await?;
                }
                store.bassoc(BINARY, value().into_bytes()).await?;
            }
            Self::Remove => drop(store.multi_dissoc(all).await?),
            Self::WriteTogether => {
                let keys = [DOCUMENT].into_iter().chain(TOGETHER);
                store
                    .multi_assoc(keys.map(|key| (key, Version::large(version))))
                    .await?;
            }
        }
        if collects {
            store.collect().without_waiting().await?;
        }
        Ok(())
    }
}

/// What a reader does.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Document,
    Binary,
    Stream,
    Range,
    Together,
    Update,
}

const READINGS: [Reading; 6] = [
    Reading::Document,
    Reading::Binary,
    Reading::Stream,
    Reading::Range,
    Reading::Together,
    Reading::Update,
];

impl Reading {
    /// Reads, and gives the versions that were seen. Panics at anything that is not whole.
    async fn perform(self, store: &Store, versions: u64) -> Result<Vec<u64>> {
        const RANGE: Range<u64> = 30_000..85_000;
        let blob = || async { store.bget(BINARY).await };
        Ok(match self {
            Self::Document => {
                let document = store.get::<Version>(DOCUMENT).await?;
                document.iter().map(Version::number).collect()
            }
            Self::Together => {
                let together = store.multi_get::<Version>(TOGETHER).await?;
                together.values().map(Version::number).collect()
            }
            Self::Update => {
                // What an update is told is as whole as what a reader is. What it writes is small: nobody can give that up.
                let shrink = |old: Option<Version>| Version::small(old.map_or(0, |old| old.number()));
                let updated = store.update(DOCUMENT, shrink).await?;
                updated.old.iter().map(Version::number).collect()
            }
            Self::Binary => match blob().await? {
                Some(blob) => vec![Version::of_any_bytes(&blob.bytes().await?, versions)],
                None => Vec::new(),
            },
            Self::Stream => match blob().await? {
                Some(blob) => {
                    let bytes = blob.stream().map_ok(|piece| piece.to_vec()).try_concat().await?;
                    vec![Version::of_any_bytes(&bytes, versions)]
                }
                None => Vec::new(),
            },
            Self::Range => match blob().await? {
                Some(blob) => {
                    let part = blob.range(RANGE);
                    let bytes = part.stream().map_ok(|piece| piece.to_vec()).try_concat().await?;
                    assert_eq!(bytes.len() as u64, part.len());
                    Version::check_part(&bytes);
                    Vec::new()
                }
                None => Vec::new(),
            },
        })
    }
}

/// Versions 0 under all keys.
async fn reset(store: &Store) -> Result<()> {
    Act::Overwrite.perform(store, 0, false).await?;
    store.assoc(UNTOUCHED, &Version::large(0)).await?;
    store.collect().without_waiting().await.map(drop)
}

/// Does things one after the other, each at a certain call that the reader's engine gets.
async fn overtaken(fixture: &Fixture, reading: Reading, acts: &[(usize, Act, bool)]) -> (Result<Vec<u64>>, usize) {
    let writer = fixture.handle_with(small_items()).await;
    reset(&writer).await.expect("resets");
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, acts) = (calls.clone(), acts.to_vec());
    let versions = acts.len() as u64;
    let reader = fixture.watched(one_by_one(), move |_| {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        for (version, (at, act, collects)) in (1..).zip(&acts) {
            if *at == call {
                let done = act.perform(&writer, version, *collects);
                block_in_place(|| Handle::current().block_on(done)).expect("the other one is not disturbed");
            }
        }
        None
    });
    let read = reading.perform(&reader.await, versions).await;
    (read, calls.load(Ordering::SeqCst))
}

/// A reader sees one of the versions that there were, or is told that a binary went from under it.
#[track_caller]
fn check(reading: Reading, acts: &[(usize, Act, bool)], read: Result<Vec<u64>>) {
    let is_bound = matches!(reading, Reading::Binary | Reading::Stream | Reading::Range);
    match read {
        Ok(seen) => assert!(
            seen.iter().all(|version| *version <= acts.len() as u64),
            "{reading:?}, {acts:?}: {seen:?}"
        ),
        Err(error) => assert!(
            is_bound && error.kind() == ErrorKind::Contended && error.is_retryable(),
            "{reading:?}, {acts:?}: {error:?}"
        ),
    }
}

async fn readers_overtaken_at_any_call_return_old_or_new(fixture: Fixture) {
    for reading in READINGS {
        let (read, calls) = overtaken(&fixture, reading, &[]).await;
        assert!(read.expect("nobody is in the way").iter().all(|version| *version == 0));
        assert!(calls > 1, "{reading:?} takes several calls");
        for call in 0..calls {
            for act in ACTS {
                let acts = [(call, act, true)];
                let (read, _) = overtaken(&fixture, reading, &acts).await;
                // Who is overtaken before the first call sees nothing but the new.
                let is_new = |seen: &Vec<u64>| seen.iter().all(|version| *version == 1);
                let touches = act != Act::WriteTogether || matches!(reading, Reading::Document | Reading::Together);
                if call == 0 && touches && !matches!(reading, Reading::Range) {
                    assert!(read.as_ref().is_ok_and(is_new), "{reading:?}, {act:?}: {read:?}");
                }
                check(reading, &acts, read);
            }
        }
    }
}

async fn readers_overtaken_again_and_again_return_one_version(fixture: Fixture) {
    let mut random = Random::from_environment();
    let times = match fixture {
        Fixture::Memory(_) => 100,
        Fixture::DynamoDb(_) => 5,
    };
    for _ in 0..times {
        for reading in READINGS {
            let acts: Vec<_> = (0..1 + random.below(4))
                .map(|_| {
                    let act = ACTS[random.below(4) as usize];
                    (random.below(9) as usize, act, random.below(3) > 0)
                })
                .collect();
            let (read, _) = overtaken(&fixture, reading, &acts).await;
            check(reading, &acts, read);
        }
    }
}

/// What a writer does.
#[derive(Debug, Clone, Copy)]
enum Writing {
    Document,
    Binary,
    Stream,
    Together,
    Update,
    Entry,
}

impl Writing {
    async fn perform(self, store: &Store) -> Result<()> {
        let new = || Version::large(1);
        match self {
            Self::Document => store.assoc(DOCUMENT, &new()).await.map(drop),
            Self::Binary => store.bassoc(BINARY, new().into_bytes()).await.map(drop),
            Self::Stream => {
                let body = Body::reader(std::io::Cursor::new(new().into_bytes()));
                store.bassoc(BINARY, body).await.map(drop)
            }
            Self::Together => store.multi_assoc(Version::together(1)).await.map(drop),
            Self::Update => store.update(DOCUMENT, move |_: Option<Version>| new()).await.map(drop),
            Self::Entry => store.append("log", &new()).await.map(drop),
        }
    }

    /// The version that is there now.
    async fn read(self, store: &Store) -> Result<u64> {
        Ok(match self {
            Self::Document | Self::Update => {
                let document = store.get::<Version>(DOCUMENT).consistent().await?;
                document.expect("is there").number()
            }
            Self::Binary | Self::Stream => {
                let blob = store.bget(BINARY).consistent().await?.expect("is there");
                Version::of_any_bytes(&blob.bytes().await?, 1)
            }
            Self::Together => {
                let together = store.multi_get::<Version>(TOGETHER).consistent().await?;
                let numbers: Vec<_> = together.values().map(Version::number).collect();
                assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
                numbers[0]
            }
            Self::Entry => {
                store
                    .log::<Version>("log")
                    .consistent()
                    .try_collect::<Vec<_>>()
                    .await?
                    .len() as u64
                    - 1
            }
        })
    }
}

async fn writers_overtaken_by_a_collector_at_any_call_write_all_or_nothing_and_leave_nothing(fixture: Fixture) {
    use Writing::{Binary, Document, Entry, Stream, Together, Update};
    let other = fixture.handle_with(small_items()).await;
    for writing in [Document, Binary, Stream, Together, Update, Entry] {
        let mut given_up = 0;
        for call in 0.. {
            let keys = [DOCUMENT, BINARY, UNTOUCHED].into_iter().chain(TOGETHER);
            other.multi_dissoc(keys).await.expect("removes");
            other.dissoc("log").await.expect("removes");
            other.assoc(DOCUMENT, &Version::large(0)).await.expect("writes");
            other
                .bassoc(BINARY, Version::large(0).into_bytes())
                .await
                .expect("writes");
            other.multi_assoc(Version::together(0)).await.expect("writes");
            other.append("log", &Version::small(0)).await.expect("appends");
            other.collect().without_waiting().await.expect("collects");

            let calls = Arc::new(AtomicUsize::new(0));
            let (counter, collector) = (calls.clone(), other.clone());
            let writer = fixture.watched(small_items(), move |_| {
                if counter.fetch_add(1, Ordering::SeqCst) == call {
                    let collected = async { collector.collect().without_waiting().await };
                    block_in_place(|| Handle::current().block_on(collected)).expect("collects");
                }
                None
            });
            let written = writing.perform(&writer.await).await;
            let now = writing.read(&other).await.expect("reads");
            match written {
                Ok(()) => assert_eq!(now, 1, "{writing:?}, {call}"),
                Err(error) => {
                    given_up += 1;
                    assert_eq!(
                        (error.kind(), now),
                        (ErrorKind::Unavailable, 0),
                        "{writing:?}, {call}: {error:?}"
                    );
                    assert!(error.is_retryable());
                }
            }
            other.collect().without_waiting().await.expect("collects");
            let mut live = fixture.items().await;
            // Its head, its state, and its entries.
            let entries = if matches!(writing, Entry) && now == 1 { 2 } else { 1 };
            assert_eq!(live.remove(&Space::Log), Some(1 + entries), "{writing:?}, {call}");
            let generations = 3 + entries - 1;
            let expected = BTreeMap::from([
                (Space::Document, 6),
                (Space::Generation, generations),
                (Space::Chunk, chunks(&other, entries == 2).await),
            ]);
            assert_eq!(live, expected, "{writing:?}, {call}: nothing that cannot be reached");
            if calls.load(Ordering::SeqCst) <= call {
                break;
            }
        }
        assert!(given_up > 2, "{writing:?} was given up {given_up} times");
    }
}

/// What fails of a writer that a collector has overtaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// The chunk that it was at, with others on their way, or the commit.
    AtOnce(Fault),
    /// The commit behind it.
    TheCommit(Fault),
    /// Nothing: it is refused.
    Nothing,
}

/// A writer that took so long that its generation is gone, and one of whose requests then fails.
async fn writers_that_fail_after_a_collector_gave_them_up_leave_nothing(fixture: Fixture) {
    let other = fixture.handle_with(small_items()).await;
    let new = || Version::large(1);
    let throttled = Fault::Fails(ErrorKind::Throttled);
    let lost = Failing::AtOnce(Fault::ReplyLost);
    for failing in [
        lost,
        Failing::AtOnce(throttled),
        Failing::TheCommit(throttled),
        Failing::Nothing,
    ] {
        let mut options = small_items();
        if failing != Failing::Nothing {
            // By its own clock, it always took that long.
            options.abandoned_after_ms = 0;
        }
        for what in ["document", "stream", "together", "entry", "log"] {
            // On the network, the forms of it that differ most.
            if matches!(fixture, Fixture::DynamoDb(_)) && (failing != lost || !["document", "log"].contains(&what)) {
                continue;
            }
            let mut failed = 0;
            for call in 0.. {
                if what == "entry" {
                    other.append("log", &Version::small(0)).await.expect("appends");
                }
                let calls = Arc::new(AtomicUsize::new(0));
                let (counter, collector) = (calls.clone(), other.clone());
                let writer = fixture.watched(options.clone(), move |asked| {
                    let number = counter.fetch_add(1, Ordering::SeqCst);
                    if number == call {
                        let collected = async { collector.collect().without_waiting().await };
                        block_in_place(|| Handle::current().block_on(collected)).expect("collects");
                    }
                    match (asked, failing) {
                        (Call::Write(Space::Chunk) | Call::Commit, Failing::AtOnce(fault)) if number == call => {
                            Some(fault)
                        }
                        (Call::Commit, Failing::TheCommit(fault)) => Some(fault),
                        (Call::Write(Space::Chunk), _) => Some(Fault::Slow),
                        _ => None,
                    }
                });
                let writer = writer.await;
                let written = match what {
                    "document" => writer.assoc(DOCUMENT, &new()).await.map(drop),
                    "stream" => {
                        let body = Body::reader(std::io::Cursor::new(new().into_bytes()));
                        writer.bassoc(BINARY, body).await.map(drop)
                    }
                    "together" => writer.multi_assoc(Version::together(1)).await.map(drop),
                    _ => writer.append("log", &new()).await.map(drop),
                };
                failed += u32::from(written.is_err());
                // All that can be reached goes, and so what is left could not.
                let keys = [DOCUMENT, BINARY].into_iter().chain(TOGETHER);
                other.multi_dissoc(keys).await.expect("removes");
                other.dissoc("log").await.expect("removes");
                other.collect().without_waiting().await.expect("collects");
                let left = fixture.items().await;
                assert_eq!(left, BTreeMap::new(), "{what}, {failing:?} at {call}: {written:?}");
                if calls.load(Ordering::SeqCst) <= call {
                    break;
                }
            }
            assert!(failed > 2, "{what} failed {failed} times");
        }
    }
}

/// How many chunks the values have, and a large entry of the log.
async fn chunks(store: &Store, entry: bool) -> usize {
    let chunks = |bytes: u64| bytes.div_ceil(small_items().chunk_size as u64) as usize;
    let mut all = 0;
    for key in [DOCUMENT, BINARY, TOGETHER[0], TOGETHER[2]] {
        all += chunks(
            store
                .get_meta(key)
                .consistent()
                .await
                .expect("reads")
                .expect("is there")
                .size,
        );
    }
    all + if entry { chunks(110_000) } else { 0 }
}
