//! A run that follows from a seed, in one process and in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use konserve_core::store::Options;
use konserve_core::{Clock, Environment, Instant, Store};
use konserve_dynamodb::{DynamoConfig, DynamoDb};

use super::histories::{Histories, Recorders};
use super::writer::{LARGE, Outcomes, Writer};
use crate::random::{Random, Seeded};
use crate::transport::{Chance, Defect, Figures, TransportFaults, mutates};

/// How many writers there are, half of them on either handle.
const WRITERS: usize = 8;

/// How many calls each of them makes: about 2,000 together.
pub const CALLS: u64 = 250;

/// How many requests in a hundred suffer.
const PERCENT: u64 = 10;

/// How long an attempt of a request may take. Every key changes some 8 times in a second, and remembers its last 5 revisions:
/// who waits for much longer than it takes to overwrite them cannot find out what became of the attempt.
const ATTEMPT: Duration = Duration::from_millis(250);

/// How long a request or an answer is on its way, at most.
const LATENCY: Duration = Duration::from_millis(20);

/// What came of a seed.
#[derive(Debug)]
pub struct SeededRun {
    /// What the writers saw.
    pub histories: Histories,
    /// Why calls ended without anybody knowing whether they happened, each.
    pub unknown: Vec<String>,
    /// How many calls ended with an error, and certainly did not happen.
    pub refused: u64,
    /// How many requests to change something under a condition suffered a fault.
    pub faulted: u64,
    /// The requests of all kinds.
    pub figures: Figures,
    /// How much virtual time passed.
    pub took: Duration,
}

/// Lets eight writers on two handles make so many calls each, of whose requests one in ten suffers. Everything follows from the
/// seed: calls, faults, latencies, revisions, pauses. Nothing waits in real time.
///
/// # Panics
///
/// When a call is answered by what is never due.
pub fn run_seed(seed: u64, calls: u64) -> SeededRun {
    run_seed_with(seed, calls, None)
}

/// The same with a defect, which should be found.
///
/// # Panics
///
/// When a call is answered by what is never due.
pub fn run_seed_with(seed: u64, calls: u64, defect: Option<Defect>) -> SeededRun {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(run(seed, calls, defect))
}

async fn run(seed: u64, calls: u64, defect: Option<Defect>) -> SeededRun {
    let started = tokio::time::Instant::now();
    let database = dynoxide::Database::memory().expect("a database");
    let mut faults = TransportFaults::in_process(database).with_past();
    if let Some(defect) = defect {
        faults = faults.with_defect(defect);
    }
    let mut random = Random::new(seed);
    let mut stores = Vec::new();
    for _ in 0..2 {
        let environment = Environment {
            // The clocks of two machines are not the same.
            clock: Arc::new(VirtualClock::new(random.duration(Duration::from_millis(300)))),
            entropy: Arc::new(Seeded::new(random.number())),
        };
        stores.push(open(&faults, "http://engine.invalid", ATTEMPT, environment).await);
    }
    let counter = AtomicU64::new(0);
    let clock = Arc::new(move || counter.fetch_add(1, Ordering::Relaxed));
    let recorders = Recorders::timed(move || clock());
    let outcomes = Outcomes::default();
    let writer = |number: usize| Writer::new(stores[number % 2].clone(), recorders.clone(), outcomes.clone(), number);

    faults.disturb(Chance::new(random.number(), PERCENT).latency(LATENCY));
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..WRITERS {
        let (mut writer, mut random) = (writer(number), Random::new(random.number()));
        writers.spawn(async move { writer.work(calls, &mut random).await });
    }
    while let Some(ended) = writers.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    faults.calm();
    // What is seen before the last of the late ones arrive must be seen after.
    for handle in 0..2 {
        writer(WRITERS + handle).read_all().await;
    }
    faults.deliver().await;
    for handle in 0..2 {
        writer(WRITERS + handle).read_all().await;
    }
    let mut all = Figures::default();
    faults.figures().into_values().for_each(|figures| all += figures);
    SeededRun {
        histories: recorders.histories(),
        unknown: outcomes.reasons(),
        refused: outcomes.refused(),
        faulted: faulted(&faults),
        figures: all,
        took: started.elapsed(),
    }
}

/// A handle of its own, whose requests suffer from when it is open. One attempt of a request takes at most so long.
pub(super) async fn open(
    faults: &TransportFaults,
    endpoint: &str,
    attempt: Duration,
    environment: Environment,
) -> Store {
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-1"))
        .endpoint_url(endpoint)
        .build();
    let mut config = DynamoConfig::new("recorded");
    config.access_key_id = Some("id".into());
    config.secret_access_key = Some("secret".into());
    config.attempt_timeout_ms = attempt.as_millis() as u64;
    config.request_timeout_ms = 10_000;
    let transport = faults.transport();
    let builder = DynamoDb::builder(config)
        .sdk_config(sdk)
        .environment(environment.clone());
    let backend = builder.http_client(transport.client.clone()).connect().await;
    let backend = backend.expect("the store opens");
    transport.opened();
    Store::builder(backend)
        .environment(environment)
        .options(options())
        .build()
}

/// How many requests to change something under a condition suffered a fault.
pub(super) fn faulted(faults: &TransportFaults) -> u64 {
    let figures = faults.figures();
    let mutations = figures.iter().filter(|(operation, _)| mutates(operation));
    mutations.map(|(_, figures)| figures.faulted).sum()
}

/// Options of a store that splits what is above [`LARGE`], and does nothing by itself.
pub(super) fn options() -> Options {
    let mut options = crate::fixture::quiet();
    options.inline_limit = Some(LARGE);
    options.chunk_size = LARGE;
    options
}

/// Follows tokio's clock, which tests can pause.
#[derive(Debug)]
pub struct VirtualClock {
    began: tokio::time::Instant,
    ahead: Duration,
}

impl VirtualClock {
    /// A clock that is so far ahead of others.
    pub fn new(ahead: Duration) -> Self {
        Self {
            began: tokio::time::Instant::now(),
            ahead,
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(1_800_000_000_000) + self.ahead + self.uptime()
    }

    fn uptime(&self) -> Duration {
        self.began.elapsed()
    }
}
