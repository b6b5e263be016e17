//! Many tasks that change one key at the same time: what each success costs, and whether anybody starves.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use konserve_core::layer::{Fault, Layer};
use konserve_core::{Entropy, Environment, ErrorKind, Result, Store, path};
use konserve_memory::Memory;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::quiet;
use tokio::time::Instant;

const HANDLES: usize = 16;
const TASKS: usize = 32;

/// How long the tasks are at it, by a clock that goes only while all wait.
const LONG: Duration = Duration::from_secs(30);

/// In any time as long as this, nobody may do much better than others.
const WINDOW: Duration = Duration::from_secs(5);

/// What one request takes on average.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// What the tasks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Update,
    Append,
}

impl Work {
    async fn once(self, store: &Store) -> Result<()> {
        match self {
            Self::Update => increment(store).await.map(drop),
            Self::Append => store.append("log", &1).await.map(drop),
        }
    }
}

async fn increment(store: &Store) -> Result<u64> {
    let updated = store.update_in(path!["counter", "n"], |n: Option<u64>| n.unwrap_or(0) + 1);
    Ok(updated.await?.new)
}

/// Handles on one store, on which requests take time, and how many requests they made.
struct Handles {
    memory: Memory,
    stores: Vec<Store>,
    requests: Arc<AtomicUsize>,
}

impl Handles {
    fn open(count: usize, shared_locks: bool) -> Self {
        let memory = Memory::new();
        let requests = Arc::new(AtomicUsize::new(0));
        let stores = (0..count).map(|number| {
            let counted = Arc::clone(&requests);
            let random = Random::new(number);
            let slow = Layer::new(memory.handle(), move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Some(Fault::Takes(ROUND_TRIP.mul_f64(0.5 + random.next())))
            });
            let environment = Environment {
                entropy: Arc::new(Random::new(count + number)),
                ..Environment::default()
            };
            let store = Store::builder(slow).options(quiet()).environment(environment);
            store.shared_locks(shared_locks).build()
        });
        Self {
            stores: stores.collect(),
            memory,
            requests,
        }
    }

    /// When each task had a success, while all of them do this again and again.
    async fn work(&self, work: Work) -> Successes {
        let began = Instant::now();
        let tasks = (0..TASKS).map(|task| {
            let store = self.stores[task % self.stores.len()].clone();
            tokio::spawn(async move {
                let mut successes = Vec::new();
                while began.elapsed() < LONG {
                    work.once(&store).await.expect("it succeeds");
                    successes.push(began.elapsed());
                }
                successes
            })
        });
        Successes(try_join_all(tasks).await.expect("no task panics"))
    }

    fn requests_for_each(&self, successes: &Successes) -> f64 {
        self.requests.load(Ordering::Relaxed) as f64 / successes.total() as f64
    }
}

/// When each task had a success.
struct Successes(Vec<Vec<Duration>>);

impl Successes {
    fn total(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    fn within(&self, time: &Range<Duration>) -> impl Iterator<Item = usize> {
        self.0.iter().map(|times| {
            let before = |end: Duration| times.partition_point(|time| *time < end);
            before(time.end) - before(time.start)
        })
    }

    /// The successes of the unluckiest and the luckiest task in each window, those of beginning and end left out, when not
    /// all are at it.
    fn extremes(&self) -> impl Iterator<Item = (Range<Duration>, usize, usize)> {
        let starts = (1..).map(|number| Duration::from_millis(100) * number);
        let windows = starts.map(|start| start..start + WINDOW);
        windows.take_while(|window| window.end < LONG).map(|window| {
            let least = self.within(&window).min().unwrap_or(0);
            let most = self.within(&window).max().unwrap_or(0);
            (window, least, most)
        })
    }
}

/// Numbers that look random and follow from a seed.
#[derive(Debug)]
struct Random(AtomicU64);

impl Random {
    fn new(seed: usize) -> Self {
        Self(AtomicU64::new(seed as u64))
    }

    /// From 0 to 1.
    fn next(&self) -> f64 {
        self.bits() as f64 / u64::MAX as f64
    }

    fn bits(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for Random {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_through_16_contending_handles_takes_at_most_3_requests_on_average() {
    const TIMES: usize = 25;
    let engine = Embedded::start();
    let handles = (0..HANDLES).map(|_| engine.counted(quiet()));
    let handles = futures::future::join_all(handles).await;
    let tasks = handles.iter().map(|(store, _)| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..TIMES {
                increment(&store).await?;
            }
            Ok::<_, konserve_core::Error>(())
        })
    });
    for result in try_join_all(tasks).await.expect("no task panics") {
        result.expect("every increment succeeds");
    }
    let requests: u64 = handles
        .iter()
        .map(|(_, counter)| counter.take().values().sum::<u64>())
        .sum();
    let each = requests as f64 / (HANDLES * TIMES) as f64;
    println!("{each:.2} requests for each update");
    assert!(each <= 3.0, "{each:.2} requests for each update");
    let sum = increment(&handles[0].0).await.expect("succeeds");
    assert_eq!(sum, (HANDLES * TIMES) as u64 + 1);
}

#[tokio::test(start_paused = true)]
async fn of_32_tasks_on_one_key_nobody_does_twice_as_much_as_another_in_any_5_seconds() {
    for work in [Work::Update, Work::Append] {
        for count in [1, HANDLES] {
            let handles = Handles::open(count, true);
            let successes = handles.work(work).await;
            for (window, least, most) in successes.extremes() {
                assert!(least > 0, "{work:?}, {count} handles: somebody starves in {window:?}");
                assert!(
                    most <= 2 * least,
                    "{work:?}, {count} handles: between {least} and {most} in {window:?}"
                );
            }
            let requests = handles.requests_for_each(&successes);
            let most = if work == Work::Update { 3.0 } else { 1.5 };
            println!("{work:?}, {count} handles: {requests:.2} requests each");
            assert!(
                requests <= most,
                "{work:?}, {count} handles: {requests:.2} requests each"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_locks_in_common_nobody_starves_and_nothing_is_lost() {
    for count in [2, 4, HANDLES] {
        let handles = Handles::open(count, false);
        let successes = handles.work(Work::Update).await;
        let ratios = successes.extremes().map(|(_, least, most)| most as f64 / least as f64);
        let worst = ratios.fold(0.0, f64::max);
        let requests = handles.requests_for_each(&successes);
        println!("{count} handles: {requests:.2} requests each, 1 : {worst:.2} at worst");
        assert!(worst <= 5.0, "{count} handles: 1 : {worst:.2} in some window");
        let sum = Store::new(handles.memory)
            .get_in::<usize>(path!["counter", "n"])
            .consistent();
        assert_eq!(sum.await.expect("reads"), Some(successes.total()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_hangs_keeps_nobody_from_the_key_for_ever() {
    let memory = Memory::new();
    let hung = Store::new(Layer::new(memory.handle(), |_| Some(Fault::Hangs)));
    let store = Store::new(memory);
    let hung = tokio::spawn(async move { increment(&hung).await });
    tokio::task::yield_now().await;

    let began = Instant::now();
    let update = store.update("counter", |n: Option<u64>| n.unwrap_or(0) + 1);
    let error = update.timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(began.elapsed(), Duration::from_secs(1));

    let began = Instant::now();
    let patient = tokio::time::timeout(Duration::from_secs(3600), increment(&store));
    let updated = patient.await.expect("it does not wait for ever");
    assert_eq!(updated.expect("it goes on without the lock"), 1);
    assert_eq!(began.elapsed(), Duration::from_millis(quiet().contention_timeout_ms));

    hung.abort();
    assert!(hung.await.unwrap_err().is_cancelled());
    let began = Instant::now();
    assert_eq!(increment(&store).await.expect("the lock was given back"), 2);
    assert_eq!(began.elapsed(), Duration::ZERO);
}
