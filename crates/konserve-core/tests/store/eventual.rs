//! Reads that lag, on the adversary: what they deliver was once there, whole, however far behind it is.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;

use futures::TryStreamExt;
use konserve_core::{ErrorKind, Key, Revision, Store};
use konserve_memory::{Adversary, Memory};

use crate::support::quiet;

const SEEDS: u64 = 3;
const KEYS: usize = 3;

/// A store over a handle whose reads may lag, as users get it, and which competes with others as if in a process of its own.
fn over(adversary: &Adversary) -> Store {
    let store = Store::builder(adversary.handle()).options(quiet());
    store.shared_locks(false).build()
}

/// A value that is small or takes several chunks.
fn text(number: usize) -> String {
    let length = [5, 9000, 4000, 17_000][number % 4];
    let letter = char::from(b'a' + (number % 26) as u8);
    format!("{number}:{}", String::from(letter).repeat(length))
}

/// Everything that a key ever held: the values with their revisions, and absence.
type Past = BTreeMap<Revision, String>;

#[tokio::test]
async fn a_document_that_lags_is_one_that_was_there_whole() {
    let mut stale = 0;
    for seed in 0..SEEDS {
        let adversary = Adversary::new(seed);
        let (writer, reader) = (over(&adversary), over(&adversary));
        let mut past: [Past; KEYS] = Default::default();
        for step in 0..40_usize {
            let key = step * 7 % KEYS;
            let (name, value) = (format!("key-{key}"), text(step));
            if step % 5 == 4 {
                writer.dissoc(name.as_str()).await.unwrap();
            } else {
                let revision = writer.assoc(name.as_str(), &value).await.unwrap();
                past[key].insert(revision, value.clone());
            }
            if step % 11 == 10 {
                // Chunks that a reader who lags still looks for are gone.
                for _ in 0..3 {
                    writer.collect().without_waiting().await.unwrap();
                }
            }
            for (key, past) in past.iter().enumerate() {
                let name = format!("key-{key}");
                let found = reader.get::<String>(name.as_str()).with_meta().await.unwrap();
                if let Some((found, meta)) = found {
                    let stored = past.get(&meta.revision);
                    assert_eq!(Some(&found), stored, "seed {seed}, step {step}");
                    stale += usize::from(past.keys().next_back() != Some(&meta.revision));
                }
                if let Some(meta) = reader.get_meta(name.as_str()).await.unwrap() {
                    assert!(past.contains_key(&meta.revision), "seed {seed}, step {step}");
                }
                reader.exists(name.as_str()).await.unwrap();
            }
            let names: Vec<_> = (0..KEYS).map(|key| format!("key-{key}")).collect();
            let found = reader.multi_get::<String>(names).await.unwrap();
            for (key, past) in past.iter().enumerate() {
                if let Some(found) = found.get(&Key::from(format!("key-{key}"))) {
                    assert!(past.values().any(|value| value == found), "seed {seed}, step {step}");
                }
            }
            let listed: Vec<_> = reader.keys().try_collect().await.unwrap();
            let names: BTreeSet<_> = listed.iter().map(|meta| &meta.key).collect();
            assert_eq!(
                names.len(),
                listed.len(),
                "a key was listed twice, seed {seed}, step {step}"
            );
        }
    }
    assert!(stale > 20, "only {stale} reads lagged");
}

#[tokio::test]
async fn a_binary_that_lags_is_one_that_was_there_whole() {
    for seed in 0..SEEDS {
        let adversary = Adversary::new(seed);
        let (writer, reader) = (over(&adversary), over(&adversary));
        let mut past = BTreeSet::new();
        for step in 0..30_usize {
            let value = text(step);
            writer.bassoc("binary", value.clone()).await.unwrap();
            past.insert(value);
            let Some(blob) = reader.bget("binary").await.unwrap() else {
                continue;
            };
            let bytes = blob.bytes().await.unwrap();
            let found = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(past.contains(&found), "seed {seed}, step {step}");
            let part = blob.range(3..5000).bytes().await.unwrap();
            assert_eq!(part, bytes.slice(3.min(bytes.len())..5000.min(bytes.len())));
        }
    }
}

/// Whether these are entries of a log that counts, from a position on without a gap.
fn is_run(entries: &[u64], start: u64) -> bool {
    entries.iter().copied().eq(start..start + entries.len() as u64)
}

#[tokio::test]
async fn a_log_that_lags_is_the_log_as_it_was() {
    let mut short = 0;
    for seed in 0..SEEDS {
        let adversary = Adversary::new(seed);
        let (writer, reader) = (over(&adversary), over(&adversary));
        let mut next = 0_u64;
        for step in 0..20_u64 {
            let count = 1 + step % 3;
            assert_eq!(writer.append_all("log", next..next + count).await.unwrap(), next);
            next += count;

            let all: Vec<u64> = reader.log::<u64>("log").try_collect().await.unwrap();
            assert!(is_run(&all, 0), "all: {all:?} of {next}, seed {seed}");
            short += usize::from((all.len() as u64) < next);

            let start = next / 2;
            let range: Vec<u64> = reader
                .log::<u64>("log")
                .range(start..next - 1)
                .try_collect()
                .await
                .unwrap();
            assert!(is_run(&range, start), "from {start}: {range:?} of {next}, seed {seed}");

            for count in [1, 2, 5, 100] {
                let last: Vec<u64> = reader.log::<u64>("log").last(count).try_collect().await.unwrap();
                let start = last.first().copied().unwrap_or(0);
                assert!(
                    is_run(&last, start),
                    "the last {count}: {last:?} of {next}, seed {seed}"
                );
                // Fewer than asked for are all that there were.
                let whole = last.len() as u64 == count || start == 0;
                assert!(whole, "the last {count}: {last:?} of {next}, seed {seed}");
            }
        }
    }
    assert!(short > 5, "only {short} reads lagged");
}

#[tokio::test]
async fn a_log_that_was_begun_again_is_never_mixed_with_its_predecessor() {
    for seed in 0..SEEDS {
        let adversary = Adversary::new(seed);
        let (writer, reader) = (over(&adversary), over(&adversary));
        for round in 0..8_u64 {
            for entry in 0..5 {
                writer.append("log", &(round * 100 + entry)).await.unwrap();
            }
            for _ in 0..5 {
                let all: Vec<u64> = reader.log::<u64>("log").try_collect().await.unwrap();
                let start = all.first().copied().unwrap_or(0);
                assert!(start % 100 == 0 && is_run(&all, start), "{all:?}, seed {seed}");
                let last: Vec<u64> = reader.log::<u64>("log").last(3).try_collect().await.unwrap();
                assert!(
                    is_run(&last, last.first().copied().unwrap_or(0)),
                    "{last:?}, seed {seed}"
                );
            }
            writer.dissoc("log").await.unwrap();
            if round % 2 == 1 {
                writer.collect().without_waiting().await.unwrap();
            }
        }
    }
}

/// Nobody waits for readers here, so they may be told that they were overtaken, but never something wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_lag_behind_racing_writers_and_collectors_get_what_was_there_or_contended() {
    for seed in 0..SEEDS {
        let adversary = Adversary::new(seed);
        let writing: Vec<_> = (0..2)
            .map(|writer| {
                let store = over(&adversary);
                tokio::spawn(async move {
                    for step in 0..25_usize {
                        store.assoc("document", &text(2 * step + writer)).await.unwrap();
                        store.append("log", &text(step)).await.unwrap();
                        if step % 6 == 5 {
                            store.dissoc("log").await.unwrap();
                        }
                    }
                })
            })
            .collect();
        let mut impatient = quiet();
        impatient.read_grace_ms = 0;
        impatient.max_clock_drift_ms = 0;
        impatient.request_horizon_ms = 0;
        let collector = Store::builder(adversary.handle()).options(impatient).build();
        let all: BTreeSet<_> = (0..50).map(text).collect();
        let mut read = 0;
        while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
            let reader = over(&adversary);
            for _ in 0..5 {
                let fine = |error: konserve_core::Error| {
                    assert_eq!(error.kind(), ErrorKind::Contended, "seed {seed}: {error:?}");
                };
                match reader.get::<String>("document").await {
                    Ok(found) => read += usize::from(found.inspect(|found| assert!(all.contains(found))).is_some()),
                    Err(error) => fine(error),
                }
                for count in [1, 4, u64::MAX] {
                    match reader.log::<String>("log").last(count).try_collect::<Vec<_>>().await {
                        Ok(found) => assert!(found.iter().all(|entry| all.contains(entry)), "seed {seed}"),
                        Err(error) => fine(error),
                    }
                }
                match reader.log::<String>("log").try_collect::<Vec<_>>().await {
                    Ok(found) => assert!(found.iter().all(|entry| all.contains(entry)), "seed {seed}"),
                    Err(error) => fine(error),
                }
            }
            collector.collect().await.unwrap();
        }
        for writer in writing {
            writer.await.unwrap();
        }
        assert!(read > 0, "seed {seed}");
    }
}

/// What was given up may still arrive, but what was acknowledged after it stays.
#[tokio::test]
async fn what_was_given_up_never_undoes_what_was_acknowledged_later() {
    for seed in 0..20 * SEEDS {
        let adversary = Memory::builder()
            .seed(seed)
            .least_limits()
            .late_arrivals(true)
            .adversary();
        let store = over(&adversary);
        let mut entries = Vec::new();
        for step in 0..6_usize {
            // Polled a few times, then dropped.
            give_up(store.assoc("document", &text(step)).into_future(), step).await;
            give_up(store.dissoc("document").into_future(), step).await;
            give_up(store.append("log", &"given up").into_future(), step).await;
            let acknowledged = match step % 3 {
                2 => {
                    store.dissoc("document").await.unwrap();
                    None
                }
                _ => {
                    store.assoc("document", &text(100 + step)).await.unwrap();
                    Some(text(100 + step))
                }
            };
            let entry = format!("entry {step}");
            store.append("log", &entry).await.unwrap();
            entries.push(entry);
            for _ in 0..5 {
                let found = store.get::<String>("document").consistent().await.unwrap();
                assert_eq!(found, acknowledged, "seed {seed}, step {step}");
            }
            let mut log: Vec<String> = store.log::<String>("log").consistent().try_collect().await.unwrap();
            log.retain(|entry| entry != "given up");
            assert_eq!(log, entries, "seed {seed}, step {step}");
        }
    }
}

async fn give_up<T>(request: impl Future<Output = T>, polls: usize) {
    let mut request = std::pin::pin!(request);
    for _ in 0..polls {
        if futures::poll!(request.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
