//! A plan that follows from a seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::disturbance::{
    Asked, CANCELLATIONS, Course, Delay, Disturbance, Loss, Plan, Refusal, SERVER_ERRORS, THROTTLING,
};
use crate::random::Random;

/// Lets some requests in a hundred suffer, each kind of request what can happen to it, all as the seed says.
#[derive(Debug)]
pub struct Chance {
    random: Mutex<Random>,
    percent: u64,
    /// How long a request takes to arrive, and its answer, at most.
    latency: Duration,
    /// How much later what is late arrives, at most.
    lateness: Duration,
}

impl Chance {
    /// With this seed, so many requests in a hundred.
    pub fn new(seed: u64, percent: u64) -> Self {
        Self {
            random: Mutex::new(Random::new(seed)),
            percent,
            latency: Duration::ZERO,
            lateness: Duration::from_secs(2),
        }
    }

    /// Every request takes its time, up to this long in either direction.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// What is late by time is so at most this much; without this, 2 seconds.
    #[must_use]
    pub fn lateness(mut self, lateness: Duration) -> Self {
        self.lateness = lateness;
        self
    }
}

impl Plan for Chance {
    fn decide(&self, asked: Asked<'_>) -> Course {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let before = random.duration(self.latency);
        let after = random.duration(self.latency);
        let hit = random.below(100) < self.percent;
        let disturbance = match hit {
            // A stale answer is no fault, but as frequent.
            false if asked.is_eventual && random.below(3) == 0 => Some(Disturbance::Stale(1 + random.index(8))),
            false => None,
            true => Some(self.pick(asked, &mut random)),
        };
        Course {
            before,
            after,
            disturbance,
        }
    }
}

impl Chance {
    fn pick(&self, asked: Asked<'_>, random: &mut Random) -> Disturbance {
        let is_transaction = asked.operation == "TransactWriteItems";
        let loss = |random: &mut Random| match random.below(12) {
            0..3 => Loss::Reset,
            3..5 => Loss::Timeout,
            5 => Loss::Silence,
            6..8 if is_transaction => Loss::InProgress,
            _ => Loss::Server(random.index(SERVER_ERRORS.len())),
        };
        let delay = |random: &mut Random| match random.below(2) {
            0 => Delay::Requests(1 + random.below(60)),
            _ => Delay::Time(random.duration(self.lateness)),
        };
        let throttled = |random: &mut Random| Refusal::Throttled(random.index(THROTTLING.len()));
        if !asked.mutates() {
            return match random.below(10) {
                0 | 1 => Disturbance::NoConnection,
                2 | 3 => Disturbance::ReplyLost(loss(random)),
                4 | 5 => Disturbance::Refused(throttled(random)),
                _ => Disturbance::Partly,
            };
        }
        match random.below(20) {
            0..2 => Disturbance::NoConnection,
            2..8 => Disturbance::ReplyLost(loss(random)),
            8..10 => Disturbance::RequestLost(loss(random)),
            10..13 => Disturbance::Late(loss(random), delay(random)),
            13..15 => Disturbance::Again(delay(random)),
            15..17 => Disturbance::Refused(Refusal::Conflict),
            17 if is_transaction => {
                Disturbance::Refused(Refusal::Cancelled(random.index(CANCELLATIONS.len()), random.index(100)))
            }
            _ => Disturbance::Refused(throttled(random)),
        }
    }
}
