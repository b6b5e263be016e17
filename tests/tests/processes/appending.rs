//! Processes that append to one log at the same time, and some that are killed while they do.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::Store;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::quiet;
use konserve_tests::random::Random;
use tokio::time::{Instant, sleep_until};

use crate::child::{Child, Talker, run};

/// An entry: its writer, and how many that one wrote before.
type Entry = (u64, u64);

/// The entries of the log by position, after a look at each: none is there twice, and those of each writer are in order, without
/// gaps.
async fn entries(store: &Store) -> Vec<Entry> {
    let log = store.log::<Entry>("log").consistent().with_positions();
    let found: Vec<(u64, Entry)> = log.try_collect().await.expect("reads");
    assert!(
        found.iter().map(|entry| entry.0).eq(0..found.len() as u64),
        "positions are dense"
    );
    let mut next = BTreeMap::new();
    for (position, (writer, number)) in &found {
        let next = next.entry(*writer).or_insert(0);
        assert_eq!(number, next, "writer {writer} at position {position}");
        *next += 1;
    }
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// The entry that a line acknowledges, and its position. Each line is one write, so that none is broken off within a number.
fn acknowledged(line: &str) -> Option<(Entry, usize)> {
    let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [writer, number, position] => Some(((writer, number), position as usize)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_hundred_entries_of_8_processes_are_there_once() {
    const PROCESSES: u64 = 8;
    const ENTRIES: u64 = 200;
    let engine = Embedded::start();
    let (store, _) = engine.counted(quiet()).await;
    let endpoint = engine.endpoint();
    let writers: Vec<String> = (0..PROCESSES).map(|writer| writer.to_string()).collect();
    let work: Vec<[&str; 4]> = writers
        .iter()
        .map(|writer| ["contend", endpoint, writer.as_str(), "200"])
        .collect();
    let work: Vec<&[&str]> = work.iter().map(|work| work.as_slice()).collect();
    let printed = tokio::task::block_in_place(|| run(&work));
    let log = entries(&store).await;
    assert_eq!(log.len() as u64, PROCESSES * ENTRIES);
    let mut requests = 0;
    for line in printed.iter().flatten() {
        match line.strip_prefix("requests ") {
            Some(count) => requests += count.parse::<u64>().expect("a number"),
            None => {
                let (entry, position) = acknowledged(line).expect("three numbers");
                assert_eq!(log[position], entry);
            }
        }
    }
    let each = requests as f64 / log.len() as f64;
    println!("8 processes, 200 entries each: {each:.2} requests for each");
    // Between 2 and 3, but for a machine that has other things to do.
    assert!(each < 5.0, "{each} requests for each entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_there_though_a_process_is_killed_each_second() {
    const PROCESSES: usize = 4;
    const SECONDS: u64 = 30;
    let mut random = Random::from_environment();
    let engine = Embedded::start();
    let (store, _) = engine.counted(quiet()).await;
    let endpoint = engine.endpoint();
    let mut first = 0;
    let mut start = || -> Talker {
        // Each has three writers of its own, who go on until they are killed.
        let writer = first.to_string();
        first += 3;
        let mut child = Child::writer(&["append", endpoint, &writer, "3", "1000000"]);
        child.begin();
        child.listened_to()
    };
    let mut printed = Vec::new();
    let mut running: Vec<Talker> = tokio::task::block_in_place(|| (0..PROCESSES).map(|_| start()).collect());
    let began = Instant::now();
    for second in 1..=SECONDS {
        sleep_until(began + Duration::from_secs(second)).await;
        let victim = running.swap_remove(random.below(PROCESSES as u64) as usize);
        tokio::task::block_in_place(|| {
            printed.extend(victim.kill());
            running.push(start());
        });
    }
    tokio::task::block_in_place(|| running.into_iter().for_each(|child| printed.extend(child.kill())));
    let log = entries(&store).await;
    let mut count = 0;
    for (entry, position) in printed.iter().filter_map(|line| acknowledged(line)) {
        assert_eq!(log.get(position), Some(&entry), "at position {position}");
        count += 1;
    }
    let items = engine.scan().await.len();
    println!(
        "{SECONDS} kills: {count} acknowledged, {} in the log, {items} items",
        log.len()
    );
    // Each writer that was killed may have appended one more than it could say.
    assert!(count > 1000 && log.len() - count <= 3 * (PROCESSES + SECONDS as usize));
}
