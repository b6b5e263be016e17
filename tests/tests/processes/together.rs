//! Processes that write to one log and to one counter.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use konserve_core::path;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::small_items;

use crate::child::run;

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
