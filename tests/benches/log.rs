//! What an append takes in logs of several lengths, on the embedded engine: it must not grow with the length. And what it takes
//! where processes compete.
//!
//! The report, with a plot over the length, is in `target/criterion/log append/report/index.html`.

use std::cell::Cell;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use criterion::{AxisScale, BenchmarkId, Criterion, PlotConfiguration, criterion_group, criterion_main};
use konserve_core::Store;
use konserve_core::store::Options;
use konserve_dynamodb::RequestCounter;
use konserve_tests::embedded::Embedded;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const LENGTHS: [u64; 3] = [100, 10_000, 1_000_000];

/// The most that are appended together.
const TOGETHER: u64 = 65_536;

const PROCESSES: usize = 8;
const ENTRIES: u64 = 200;

/// A log that is kept at about one length.
struct Log {
    store: Store,
    length: u64,
    /// Its name, and how many entries it has; another one takes its place when it has grown too long.
    now: Cell<(u64, u64)>,
}

impl Log {
    async fn ready(&self) -> String {
        let (number, grown) = self.now.get();
        let key = |number| format!("log-{}-{number}", self.length);
        if number > 0 && grown <= self.length + self.length / 2 {
            return key(number);
        }
        for start in (0..self.length).step_by(TOGETHER as usize) {
            let entries = start..self.length.min(start + TOGETHER);
            self.store
                .append_all(key(number + 1), entries)
                .await
                .expect("a new log");
        }
        self.now.set((number + 1, self.length));
        key(number + 1)
    }

    async fn append(&self, times: u64, counter: &RequestCounter, requests: &Cell<(u64, u64)>) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..times {
            let key = self.ready().await;
            counter.take();
            let began = Instant::now();
            black_box(self.store.append(key, &self.length).await.expect("the tail is free"));
            spent += began.elapsed();
            let (appends, sent) = requests.get();
            requests.set((appends + 1, sent + counter.take().values().sum::<u64>()));
            let (number, grown) = self.now.get();
            self.now.set((number, grown + 1));
        }
        spent
    }
}

fn lengths(criterion: &mut Criterion) {
    let engine = Embedded::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = &runtime.expect("a runtime");
    let (store, counter) = &runtime.block_on(engine.counted(Options::default()));
    let mut group = criterion.benchmark_group("log append");
    group.plot_config(PlotConfiguration::default().summary_scale(AxisScale::Logarithmic));
    let mut figures = Vec::new();
    for length in LENGTHS {
        let log = &Log {
            store: store.clone(),
            length,
            now: Cell::new((0, 0)),
        };
        let requests = &Cell::new((0, 0));
        group.bench_with_input(BenchmarkId::from_parameter(length), &length, |bencher, _| {
            bencher
                .to_async(runtime)
                .iter_custom(|times| log.append(times, counter, requests));
        });
        figures.push((length, requests.get()));
    }
    group.finish();
    for (length, (appends, sent)) in figures {
        if appends > 0 {
            println!("log append/{length}: {:.3} requests each", sent as f64 / appends as f64);
        }
    }
}

/// Not a matter of time: what processes take from each other, in requests.
fn contention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log contention");
    group.bench_function(format!("{PROCESSES} processes, {ENTRIES} entries each"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                spent += contend();
            }
            spent
        });
    });
    group.finish();
}

/// One round: what it took, after its requests have been printed.
fn contend() -> Duration {
    let runtime = Runtime::new().expect("a runtime");
    let engine = Embedded::start();
    let (store, _) = runtime.block_on(engine.counted(Options::default()));
    let mut children: Vec<Child> = (0..PROCESSES).map(|writer| start(engine.endpoint(), writer)).collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("its output")).lines())
        .collect();
    for output in &mut outputs {
        assert_eq!(output.next().expect("a line").expect("text"), "ready");
    }
    let began = Instant::now();
    for child in &mut children {
        let input = child.stdin.as_mut().expect("its input");
        input.write_all(b"begin\n").expect("it listens");
    }
    let counts = outputs.into_iter().map(|lines| {
        let lines = lines.map(|line| line.expect("text"));
        let counted = lines.filter_map(|line| line.strip_prefix("requests ")?.parse::<u64>().ok());
        counted.sum::<u64>()
    });
    let requests: u64 = counts.collect::<Vec<_>>().into_iter().sum();
    let spent = began.elapsed();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let entries = runtime.block_on(async { store.log::<(u64, u64)>("log").len().await });
    assert_eq!(entries.expect("an answer"), PROCESSES as u64 * ENTRIES);
    println!(
        "{:.2} requests for each entry",
        requests as f64 / (PROCESSES as u64 * ENTRIES) as f64
    );
    spent
}

fn start(endpoint: &str, writer: usize) -> Child {
    Command::new(env!("CARGO_BIN_EXE_writer"))
        .args(["contend", endpoint, &writer.to_string(), &ENTRIES.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process starts")
}

criterion_group! {
    name = over_lengths;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4));
    targets = lengths
}
criterion_group! {
    name = among_processes;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1));
    targets = contention
}
criterion_main!(over_lengths, among_processes);
