//! Collectors, writers and readers in processes of their own.

use std::collections::BTreeMap;

use konserve_core::backend::Space;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::{Fixture, many_chunks};
use konserve_tests::versions::{BINARY, DOCUMENT, TOGETHER, Version};

use crate::child::{Child, finish};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impatient_collectors_take_nothing_from_writers_and_readers_and_leave_nothing() {
    let engine = Embedded::start();
    let (store, _) = engine.counted(many_chunks()).await;
    store.assoc(DOCUMENT, &Version::large(0)).await.expect("writes");
    let binary = store.bassoc(BINARY, Version::large(0).into_bytes());
    binary.await.expect("writes");
    store.multi_assoc(Version::together(0)).await.expect("writes");

    let endpoint = engine.endpoint();
    let [written, read, collected] = tokio::task::block_in_place(|| {
        let writers = ["1", "2"].map(|first| Child::writer(&["replace", endpoint, first, "2", "12"]));
        let readers = [(); 2].map(|()| Child::writer(&["read", endpoint]));
        let collectors = [(); 2].map(|()| Child::writer(&["collect", endpoint]));
        let mut all = [writers, readers, collectors].map(Vec::from);
        all.iter_mut().flatten().for_each(Child::begin);
        let [writers, mut readers, mut collectors] = all;
        let written = finish(writers);
        readers.iter_mut().chain(&mut collectors).for_each(Child::end);
        [written, finish(readers), finish(collectors)]
    });
    let lines: Vec<_> = written.iter().flatten().collect();
    let given_up = lines.iter().filter(|line| line.starts_with("given up")).count();
    println!("{given_up} uploads were given up; read and overtaken {read:?}; generations and chunks {collected:?}");
    assert_eq!(lines.len() - given_up, 24, "every write succeeds in the end");
    let first = |lines: &[Vec<String>]| -> Vec<u64> {
        let first = |line: &String| line.split(' ').next().expect("a word").parse().expect("a number");
        lines.iter().flatten().map(first).collect()
    };
    assert!(first(&read).iter().all(|read| *read > 5), "readers got through");

    // Whatever was on its way has arrived.
    let report = store.collect().without_waiting().await.expect("collects");
    assert_eq!((report.waiting, report.unreadable), (0, 0), "{report:?}");
    let mut live = BTreeMap::from([(Space::Document, 5), (Space::Generation, 0), (Space::Chunk, 0)]);
    for (key, generations) in [(DOCUMENT, 1), (BINARY, 1), (TOGETHER[0], 1), (TOGETHER[2], 0)] {
        let size = store
            .get_meta(key)
            .consistent()
            .await
            .expect("reads")
            .expect("is there")
            .size;
        if size > 8_000 {
            *live.entry(Space::Generation).or_default() += generations;
            *live.entry(Space::Chunk).or_default() += size.div_ceil(many_chunks().chunk_size as u64) as usize;
        }
    }
    assert_eq!(Fixture::DynamoDb(engine).items().await, live);
    let document = store.get::<Version>(DOCUMENT).consistent().await.expect("reads");
    document.expect("is there").number();
}
