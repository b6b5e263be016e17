//! Writers and readers of one key at the same time, each with a handle of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use futures::future::try_join_all;
use konserve_core::{Error, ErrorKind, Store, kw, path};
use konserve_tests::fixture::{Fixture, small_items};
use konserve_tests::versions::{BINARY, DOCUMENT, Version};

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
            Ok::<_, Error>(seen)
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
            Ok::<_, Error>(positions)
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

async fn readers_see_a_large_value_old_or_new_and_never_a_mix(fixture: Fixture) {
    const VERSIONS: u64 = 8;
    // Nobody waits for readers: what was replaced goes from under them, so that they have to notice.
    let mut impatient = small_items();
    impatient.read_grace_ms = 0;
    let store = fixture.handle_with(impatient).await;
    store.assoc(DOCUMENT, &Version::large(0)).await.expect("writes");
    store
        .bassoc(BINARY, Version::large(0).into_bytes())
        .await
        .expect("writes");
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for store in handles(&fixture, 2).await {
        let done = done.clone();
        readers.push(tokio::spawn(async move {
            let mut documents = Vec::new();
            let mut binaries = Vec::new();
            while !done.load(Ordering::Acquire) {
                let document = store.get::<Version>(DOCUMENT).await?;
                documents.push(document.expect("it is never absent").number());
                // A blob is bound to the version that it was opened at, which may be gone by now.
                match store.bget(BINARY).await?.expect("it is never absent").bytes().await {
                    Ok(bytes) => binaries.push(Version::of_bytes(&bytes, 0..VERSIONS)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Contended, "{error:?}"),
                }
            }
            Ok::<_, Error>([documents, binaries])
        }));
    }
    let overwritten = async {
        for version in 1..VERSIONS {
            store.assoc(DOCUMENT, &Version::large(version)).await?;
            store.bassoc(BINARY, Version::large(version).into_bytes()).await?;
            store.collect().await?;
        }
        Ok::<_, Error>(())
    };
    let overwritten = overwritten.await;
    done.store(true, Ordering::Release);
    overwritten.expect("every overwrite succeeds");
    for reader in readers {
        for versions in reader.await.expect("no reader panics").expect("every read succeeds") {
            assert!(
                versions.is_sorted(),
                "a reader saw an older version again: {versions:?}"
            );
        }
    }
    let end = store.get::<Version>(DOCUMENT).await.expect("reads").expect("is there");
    assert_eq!(end.number(), VERSIONS - 1);
}
