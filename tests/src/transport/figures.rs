//! What requests there were.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

/// The requests of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// How many the engine wanted to send.
    pub asked: u64,
    /// How many of them reached DynamoDB and were answered, whether or not the engine got the answer. What arrives once more
    /// is not among them.
    pub answered: u64,
    /// How many suffered something that is a fault ([`Disturbance::is_fault`](super::Disturbance::is_fault)).
    pub faulted: u64,
    /// How many requests arrived late or once more.
    pub late: u64,
    /// The bytes of the bodies that the engine wanted to send,
    pub bytes_sent: u64,
    /// and of the answers that it got.
    pub bytes_received: u64,
    /// The capacity units that all these answers tell of.
    pub capacity: f64,
}

/// The requests of one operation, as far as their number goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many the engine wanted to send.
    pub asked: u64,
    /// How many of them reached DynamoDB and were answered, whether or not the engine got the answer.
    pub answered: u64,
}

impl From<Figures> for Tally {
    fn from(figures: Figures) -> Self {
        Self {
            asked: figures.asked,
            answered: figures.answered,
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.faulted += other.faulted;
        self.late += other.late;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.capacity += other.capacity;
    }
}

/// The figures of all operations.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<BTreeMap<String, Figures>>);

impl Counters {
    pub(super) fn count(&self, operation: &str, change: impl FnOnce(&mut Figures)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(operation) {
            Some(figures) => change(figures),
            None => change(all.entry(operation.to_owned()).or_default()),
        }
    }

    pub(super) fn take(&self, operation: &str) -> Figures {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(operation).unwrap_or_default()
    }

    pub(super) fn all(&self) -> BTreeMap<String, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The capacity units that an answer tells of. Text that somebody stored has its quotes escaped, and is not mistaken for it.
pub(super) fn capacity(answer: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(answer);
    let told = text.split("\"CapacityUnits\":").skip(1);
    let numbers = told.filter_map(|rest| rest.split([',', '}']).next()?.parse::<f64>().ok());
    numbers.sum()
}
