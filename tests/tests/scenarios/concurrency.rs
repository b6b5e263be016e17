//! Writers and readers of one key at the same time, each with a handle of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use futures::future::try_join_all;
use konserve_core::{Store, Value, kw, path};
use konserve_tests::fixture::{Fixture, small_items};
use serde::{Deserialize, Serialize};

konserve_tests::on_both_engines!(
    increments_of_32_tasks_over_4_handles_are_all_counted,
    entries_of_many_writers_over_several_handles_are_all_there_in_order,
    readers_see_a_large_value_old_or_new_and_never_a_mix,
);

async fn handles(fixture: &Fixture, count: usize) -> Vec<Store> {
    let mut handles = Vec::new();
    for _ in 0..count {
        handles.push(fixture.handle_with(small_items()).await);
    }
    handles
}

async fn increments_of_32_tasks_over_4_handles_are_all_counted(fixture: Fixture) {
    const TASKS: usize = 32;
    const TIMES: usize = 50;
    let counter = path!["counters", kw!("clicks")];
    let handles = handles(&fixture, 4).await;
    let tasks = (0..TASKS).map(|task| {
        let (store, counter) = (handles[task % handles.len()].clone(), counter.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..TIMES {
                let increment = |n: Option<u64>| n.unwrap_or(0) + 1;
                let updated = store.update_in(counter.clone(), increment).await?;
                assert_eq!(updated.old.unwrap_or(0) + 1, updated.new);
                seen.push(updated.new);
            }
            Ok::<_, konserve_core::Error>(seen)
        })
    });
    let mut seen = Vec::new();
    for result in try_join_all(tasks).await.expect("no task panics") {
        let results = result.expect("every increment succeeds");
        assert!(results.is_sorted(), "a task saw the counter run backwards: {results:?}");
        seen.extend(results);
    }
    seen.sort_unstable();
    let all: Vec<u64> = (1..=(TASKS * TIMES) as u64).collect();
    assert_eq!(seen, all, "each number was reached once");
    let end = fixture.handle().await.get_in::<u64>(counter).consistent().await;
    assert_eq!(end.expect("reads"), Some(1600));
}

async fn entries_of_many_writers_over_several_handles_are_all_there_in_order(fixture: Fixture) {
    const WRITERS: u64 = 8;
    const ENTRIES: u64 = 25;
    let handles = handles(&fixture, 4).await;
    let writers = (0..WRITERS).map(|writer| {
        let store = handles[writer as usize % handles.len()].clone();
        tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..ENTRIES {
                positions.push(store.append("log", &(writer, number)).await?);
            }
            Ok::<_, konserve_core::Error>(positions)
        })
    });
    let positions = try_join_all(writers).await.expect("no writer panics");
    let log = fixture.handle().await.log::<(u64, u64)>("log");
    let log: Vec<_> = log.try_collect().await.expect("the log can be read");
    assert_eq!(log.len() as u64, WRITERS * ENTRIES);
    for (writer, positions) in (0..).zip(positions) {
        let positions = positions.expect("every append succeeds");
        assert!(positions.is_sorted(), "writer {writer} was overtaken by itself");
        for (number, position) in (0..).zip(positions) {
            assert_eq!(log[position as usize], (writer, number), "position {position}");
        }
    }
}

/// Every part of it tells which version it is of.
#[derive(Serialize, Deserialize)]
struct Page {
    version: u8,
    #[serde(with = "serde_bytes")]
    text: Vec<u8>,
}

impl Page {
    fn new(version: u8) -> Self {
        // Large ones of different numbers of chunks, and small ones in between.
        let size = match version % 4 {
            3 => 1_000,
            number => 60_000 + 40_000 * usize::from(number),
        };
        Self {
            version,
            text: vec![version; size],
        }
    }

    fn check(&self) -> u8 {
        assert_eq!(self.text.len(), Self::new(self.version).text.len());
        assert!(self.text.iter().all(|byte| *byte == self.version), "a mix of versions");
        self.version
    }
}

async fn readers_see_a_large_value_old_or_new_and_never_a_mix(fixture: Fixture) {
    const VERSIONS: u8 = 30;
    let store = fixture.handle_with(small_items()).await;
    store.assoc("document", &Page::new(0)).await.expect("writes");
    store.bassoc("binary", Page::new(0).text).await.expect("writes");
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for store in handles(&fixture, 2).await {
        let done = done.clone();
        readers.push(tokio::spawn(async move {
            let mut versions = Vec::new();
            while !done.load(Ordering::Acquire) {
                let document = store.get::<Page>("document").await?.expect("it is never absent");
                let blob = store.bget("binary").await?.expect("it is never absent");
                let text = blob.bytes().await?;
                let version = text[0];
                Page {
                    version,
                    text: text.to_vec(),
                }
                .check();
                versions.push((document.check(), version));
            }
            Ok::<_, konserve_core::Error>(versions)
        }));
    }
    // The chunks of old versions are removed while there are readers, as soon as the grace for them is over.
    let overwrite = async {
        for version in 1..VERSIONS {
            store.assoc("document", &Page::new(version)).await?;
            store.bassoc("binary", Page::new(version).text).await?;
            store.collect().await?;
        }
        Ok::<_, konserve_core::Error>(())
    };
    let overwritten = overwrite.await;
    done.store(true, Ordering::Release);
    overwritten.expect("every overwrite succeeds");
    for reader in readers {
        let versions = reader.await.expect("no reader panics").expect("every read succeeds");
        assert!(
            versions.is_sorted(),
            "a reader saw an older version again: {versions:?}"
        );
    }
    assert_eq!(
        store
            .get_in::<Value>(path!["document", "version"])
            .await
            .expect("reads"),
        Some(Value::from(i64::from(VERSIONS) - 1))
    );
}
