//! The part of one process in a run of several, over sockets and in real time.
//!
//! The seed fixes calls and faults; how the processes interleave it does not.

use std::time::Duration;

use konserve_core::{Clock, Environment, SystemClock};
use serde::{Deserialize, Serialize};

use super::histories::{Histories, Recorders};
use super::world::{faulted, open};
use super::writer::{Outcomes, Writer};
use crate::random::Random;
use crate::transport::{Chance, TransportFaults};

/// How many requests in a hundred suffer.
const PERCENT: u64 = 10;

/// How long an attempt of a request may take: time enough on a machine that is busy.
const ATTEMPT: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Where the engine listens.
    pub endpoint: String,
    /// What calls and faults follow from.
    pub seed: u64,
    /// The number of its first writer among those of all processes,
    pub first: usize,
    /// how many it has,
    pub writers: usize,
    /// and how many calls each of them makes.
    pub calls: u64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    /// What its writers saw, by a clock that all processes of the machine share.
    pub histories: Histories,
    /// Why calls ended without anybody knowing whether they happened, each.
    pub unknown: Vec<String>,
    /// How many requests to change something under a condition suffered a fault.
    pub faulted: u64,
}

impl Share {
    /// Opens a handle, waits for `begin`, and works. What is late arrives before this ends.
    ///
    /// # Panics
    ///
    /// When a call is answered by what is never due.
    pub async fn work(&self, begin: impl Future<Output = ()>) -> Work {
        let faults = TransportFaults::over_network();
        let store = open(&faults, &self.endpoint, ATTEMPT, Environment::default()).await;
        let (recorders, outcomes) = (by_the_machines_clock(), Outcomes::default());
        let mut random = Random::new(self.seed.wrapping_mul(1_000).wrapping_add(self.first as u64));
        begin.await;
        let chance = Chance::new(random.number(), PERCENT);
        faults.disturb(chance.lateness(Duration::from_millis(300)));
        let mut writers = tokio::task::JoinSet::new();
        for number in self.first..self.first + self.writers {
            let mut writer = Writer::new(store.clone(), recorders.clone(), outcomes.clone(), number);
            let (calls, mut random) = (self.calls, Random::new(random.number()));
            writers.spawn(async move { writer.work(calls, &mut random).await });
        }
        writers.join_all().await;
        faults.calm();
        faults.deliver().await;
        Work {
            histories: recorders.histories(),
            unknown: outcomes.reasons(),
            faulted: faulted(&faults),
        }
    }
}

/// What is there in the end, as one more writer of this number reads it.
pub async fn read_at_last(endpoint: &str, number: usize) -> Histories {
    let faults = TransportFaults::over_network();
    let store = open(&faults, endpoint, ATTEMPT, Environment::default()).await;
    let recorders = by_the_machines_clock();
    Writer::new(store, recorders.clone(), Outcomes::default(), number)
        .read_all()
        .await;
    recorders.histories()
}

fn by_the_machines_clock() -> Recorders {
    Recorders::timed(|| SystemClock.uptime().as_nanos() as u64)
}
