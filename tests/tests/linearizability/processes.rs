//! Runs of two processes over sockets, in real time: histories are put together by the clock that they share.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use konserve_tests::embedded::Embedded;
use konserve_tests::recorded::{Histories, Share, Work, read_at_last};

/// Enough that one per cent of what suffers is more than bad luck.
const RUNS: u64 = 10;
const PROCESSES: usize = 2;
const WRITERS: usize = 4;
const CALLS: u64 = 40;

/// Lets the processes work at the same time, and gives what came of each.
fn run(shares: &[Share]) -> Vec<Work> {
    let mut processes = Vec::new();
    for share in shares {
        let mut process = Command::new(env!("CARGO_BIN_EXE_recorded"))
            .arg(serde_json::to_string(share).expect("no maps"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        assert_eq!(lines.next().expect("it says something").expect("text"), "ready");
        processes.push((process, lines));
    }
    for (process, _) in &mut processes {
        let input = process.stdin.as_mut().expect("its input");
        input.write_all(b"begin\n").expect("it listens");
    }
    let threads: Vec<_> = processes
        .into_iter()
        .map(|(mut process, mut lines)| {
            std::thread::spawn(move || {
                let line = lines.next().expect("it says what came of it").expect("text");
                assert!(process.wait().expect("it ends").success());
                serde_json::from_str(&line).expect("what came of it")
            })
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_two_processes_are_linearizable_while_one_request_in_ten_fails() {
    let (mut unknown, mut faulted) = (0, 0);
    for seed in 0..RUNS {
        let engine = Embedded::start();
        let shares: Vec<_> = (0..PROCESSES)
            .map(|process| Share {
                endpoint: engine.endpoint().to_owned(),
                seed,
                first: process * WRITERS,
                writers: WRITERS,
                calls: CALLS,
            })
            .collect();
        let work = tokio::task::block_in_place(|| run(&shares));
        let reasons: Vec<_> = work.iter().flat_map(|work| work.unknown.clone()).collect();
        let suffered: u64 = work.iter().map(|work| work.faulted).sum();
        let mut histories: Vec<_> = work.into_iter().map(|work| work.histories).collect();
        histories.push(read_at_last(engine.endpoint(), PROCESSES * WRITERS).await);
        let all = Histories::merged(histories);
        let summary = all.summary();
        println!("run {seed}: {summary:?}, unknown {}, faulted {suffered}", reasons.len());
        reasons.iter().for_each(|reason| println!("  unknown: {reason}"));
        assert!(suffered > 0, "run {seed}: nothing failed");
        unknown += reasons.len() as u64;
        faulted += suffered;
        assert!(
            all.changed_hands(WRITERS) > 20,
            "run {seed}: one process after the other"
        );
        if let Err(finding) = all.check() {
            panic!("run {seed}: {finding}");
        }
    }
    println!("{unknown} unknown outcomes of {faulted} mutations that suffered");
    assert!(unknown * 100 < faulted, "{unknown} of {faulted}");
}
