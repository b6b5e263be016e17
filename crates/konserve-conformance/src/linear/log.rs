//! A log, as a sequential object: its longest reading gives the order, so that the state is a length.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::checker::{Finding, Model, check};
use super::history::{End, History, Operation};

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogCall {
    /// Of these entries together, at least one. No entry is appended twice.
    Append(Vec<u64>),
    /// Of all entries, or of the last so many.
    Read {
        /// How many.
        last: Option<u64>,
    },
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogAnswer {
    /// The position of the first entry.
    Appended(u64),
    /// What was read, in order.
    Entries(Vec<u64>),
}

/// Whether the history of a log that was empty in the beginning is linearizable. To be told of lost entries, the history
/// ends with a reading of all of it.
///
/// # Errors
///
/// Why it is not, or that this could not be decided.
pub fn check_log(history: &History<LogCall, LogAnswer>) -> Result<(), Finding> {
    let lengths = lengths(history).map_err(Finding::Violation)?;
    check(&Log, &lengths)
}

/// The length of a log.
#[derive(Debug)]
struct Log;

/// A call, as far as it concerns the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LengthCall {
    /// An append that put its entries here.
    AppendAt {
        position: u64,
        count: u64,
    },
    /// An append of which nothing was seen in a log of this length.
    AppendBehind {
        length: u64,
        count: u64,
    },
    Read,
}

impl Model for Log {
    type State = u64;
    type Call = LengthCall;
    /// Of a reading, the length.
    type Answer = Option<u64>;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, length: &u64, call: &LengthCall, answer: Option<&Option<u64>>) -> Option<u64> {
        match call {
            LengthCall::AppendAt { position, count } => (position == length).then_some(length + count),
            LengthCall::AppendBehind { length: seen, count } => (seen <= length).then_some(length + count),
            LengthCall::Read => {
                let right = answer.copied().flatten().is_none_or(|seen| seen == *length);
                right.then_some(*length)
            }
        }
    }

    fn passed(&self, length: &u64, call: &LengthCall, answer: &Option<u64>) -> bool {
        match call {
            LengthCall::AppendAt { position, .. } => position < length,
            LengthCall::AppendBehind { .. } => false,
            LengthCall::Read => answer.is_some_and(|seen| seen < *length),
        }
    }

    fn reduce(&self, open: &LengthCall) -> Option<LengthCall> {
        (*open != LengthCall::Read).then_some(*open)
    }

    fn tell(&self, call: &LengthCall, answer: Option<&Option<u64>>) -> String {
        let known = if answer.is_some() { "" } else { ", answer unknown" };
        match call {
            LengthCall::AppendAt { position, count } => format!("append {count} at position {position}{known}"),
            LengthCall::AppendBehind { length, count } => {
                format!("append {count} that were not seen among the first {length}{known}")
            }
            LengthCall::Read => match answer.copied().flatten() {
                Some(length) => format!("read up to position {length}"),
                None => "read".to_owned(),
            },
        }
    }

    fn tell_state(&self, length: &u64) -> String {
        format!("a log of {length} entries")
    }
}

type Lengths = History<LengthCall, Option<u64>>;

/// What the history says of lengths, or why its entries do not fit together.
fn lengths(history: &History<LogCall, LogAnswer>) -> Result<Lengths, String> {
    let order = Order::of(history)?;
    let mut operations = Vec::new();
    for operation in history.operations() {
        let place = match &operation.call {
            LogCall::Append(entries) => order.append(entries, &operation.end)?,
            LogCall::Read { last } => order.read(*last, &operation.end)?,
        };
        let (call, end) = place;
        operations.push(Operation {
            task: operation.task,
            invoked: operation.invoked,
            call,
            end,
        });
    }
    Ok(History::new(operations))
}

/// The entries in their order, from the longest reading.
struct Order {
    entries: Vec<u64>,
    positions: HashMap<u64, usize>,
}

impl Order {
    fn of(history: &History<LogCall, LogAnswer>) -> Result<Self, String> {
        let readings =
            history
                .operations()
                .iter()
                .filter_map(|operation| match (&operation.call, operation.end.answer()) {
                    (LogCall::Read { last: None }, Some(LogAnswer::Entries(entries))) => Some(entries),
                    _ => None,
                });
        let entries = readings
            .max_by_key(|entries| entries.len())
            .cloned()
            .unwrap_or_default();
        let mut positions = HashMap::new();
        for (position, entry) in entries.iter().enumerate() {
            if let Some(first) = positions.insert(*entry, position) {
                return Err(format!("entry {entry} is at position {first} and again at {position}"));
            }
        }
        let order = Self { entries, positions };
        let appended = history.possible().filter_map(|(call, _)| match call {
            LogCall::Append(entries) => Some(entries),
            LogCall::Read { .. } => None,
        });
        let appended: usize = appended
            .flatten()
            .filter(|entry| order.positions.contains_key(entry))
            .count();
        if appended < order.entries.len() {
            let strange = order.strange(history);
            return Err(format!(
                "there is an entry that nobody appended, or whose append failed: {strange}"
            ));
        }
        Ok(order)
    }

    /// An entry that there should not be.
    fn strange(&self, history: &History<LogCall, LogAnswer>) -> String {
        let appended: Vec<_> = history.possible().map(|(call, _)| call).collect();
        let known = |entry: &u64| {
            appended.iter().any(|call| match call {
                LogCall::Append(entries) => entries.contains(entry),
                LogCall::Read { .. } => false,
            })
        };
        let strange = self.entries.iter().position(|entry| !known(entry));
        strange.map_or_else(String::new, |position| {
            format!("{} at position {position}", self.entries[position])
        })
    }

    fn append(&self, entries: &[u64], end: &End<LogAnswer>) -> Result<(LengthCall, End<Option<u64>>), String> {
        let count = entries.len() as u64;
        let first = entries.first().and_then(|entry| self.positions.get(entry)).copied();
        let seen_alone = entries.iter().find(|entry| self.positions.contains_key(entry));
        if let (None, Some(entry)) = (first, seen_alone) {
            return Err(format!(
                "of entries that were appended together, {entry} is there without the first"
            ));
        }
        if let Some(first) = first {
            let together = self.entries.get(first..first + entries.len()) == Some(entries);
            if !together {
                return Err(format!(
                    "{entries:?} were appended together, but from position {first} on there are {:?}",
                    self.around(first, entries.len())
                ));
            }
        }
        Ok(match end {
            End::Failed => (LengthCall::Read, End::Failed),
            End::Open => {
                let call = match first {
                    Some(first) => LengthCall::AppendAt {
                        position: first as u64,
                        count,
                    },
                    None => LengthCall::AppendBehind {
                        length: self.entries.len() as u64,
                        count,
                    },
                };
                (call, End::Open)
            }
            End::Returned {
                at,
                answer: LogAnswer::Appended(position),
            } => {
                let should = first.map(|first| first as u64);
                let beyond = *position >= self.entries.len() as u64;
                if should != Some(*position) && !(beyond && should.is_none()) {
                    return Err(format!(
                        "{entries:?} were acknowledged at position {position}, where there are {:?}",
                        self.around(usize::try_from(*position).unwrap_or(usize::MAX), entries.len())
                    ));
                }
                let call = LengthCall::AppendAt {
                    position: *position,
                    count,
                };
                (call, End::Returned { at: *at, answer: None })
            }
            End::Returned { answer, .. } => return Err(format!("an append was answered with {answer:?}")),
        })
    }

    fn read(&self, last: Option<u64>, end: &End<LogAnswer>) -> Result<(LengthCall, End<Option<u64>>), String> {
        let (at, entries) = match end {
            End::Failed => return Ok((LengthCall::Read, End::Failed)),
            End::Open => return Ok((LengthCall::Read, End::Open)),
            End::Returned {
                at,
                answer: LogAnswer::Entries(entries),
            } => (*at, entries),
            End::Returned { answer, .. } => return Err(format!("a reading was answered with {answer:?}")),
        };
        let length = match entries.last() {
            Some(entry) => match self.positions.get(entry) {
                Some(position) => position + 1,
                None => {
                    return Err(format!(
                        "a reading ended with entry {entry}, which a longer one does not have"
                    ));
                }
            },
            None => 0,
        };
        let wanted = last.map_or(length, |last| length.min(usize::try_from(last).unwrap_or(usize::MAX)));
        let expected = self.entries.get(length - wanted..length).unwrap_or_default();
        if let Some(position) = (0..expected.len().max(entries.len())).find(|at| expected.get(*at) != entries.get(*at))
        {
            return Err(format!(
                "a reading up to position {length} has {:?} where a longer one has {:?}",
                entries.get(position..).unwrap_or_default().first(),
                expected.get(position..).unwrap_or_default().first()
            ));
        }
        let answer = match last {
            // Nothing was asked for, so nothing was told.
            Some(0) => None,
            _ => Some(length as u64),
        };
        Ok((LengthCall::Read, End::Returned { at, answer }))
    }

    fn around(&self, position: usize, count: usize) -> &[u64] {
        let start = position.min(self.entries.len());
        &self.entries[start..self.entries.len().min(start.saturating_add(count))]
    }
}
