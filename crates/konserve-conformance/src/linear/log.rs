//! A log, as a sequential object: what was read gives the order, so that the state is where it begins and its length.

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
    /// Of all entries before this position, at which there is an entry, or the end, when this is called. In a history with
    /// trims all readings have positions.
    Trim {
        /// The position.
        before: u64,
    },
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogAnswer {
    /// The position of the first entry.
    Appended(u64),
    /// What was read, in order, of a log that is not trimmed.
    Entries(Vec<u64>),
    /// What was read, in order, each entry behind its position. A reading that goes on finds the beginning at one moment, and the end
    /// at another.
    Positioned(Vec<(u64, u64)>),
    /// Where the log begins.
    Trimmed(u64),
}

/// Whether the history of a log that was empty in the beginning is linearizable. To be told of lost entries, the history
/// ends with a reading of all of it.
///
/// # Errors
///
/// Why it is not, or that this could not be decided.
pub fn check_log(history: &History<LogCall, LogAnswer>) -> Result<(), Finding> {
    let order = Order::of(history).map_err(Finding::Violation)?;
    let extents = order.extents(history).map_err(Finding::Violation)?;
    check(&Log::new(&order), &extents)
}

/// Where a log begins, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Extent {
    first: u64,
    length: u64,
}

/// How far a log reaches.
#[derive(Debug)]
struct Log {
    /// Of each position, whether it is known which entry is there.
    known: Vec<bool>,
}

/// A call, as far as it concerns the extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExtentCall {
    /// An append that put its entries here.
    AppendAt {
        position: u64,
        count: u64,
    },
    /// An append of which nothing was seen: it is where nobody looked.
    AppendUnseen {
        count: u64,
    },
    /// Of the length.
    ReadLength,
    /// Of the position at which the log begins: exactly, or it begins there or before.
    ReadFirst {
        exactly: bool,
    },
    /// Of a log without entries.
    ReadNothing,
    Trim {
        before: u64,
    },
}

impl Log {
    fn new(order: &Order) -> Self {
        Self {
            known: order.entries.iter().map(Option::is_some).collect(),
        }
    }

    fn is_known(&self, position: u64) -> bool {
        let position = usize::try_from(position).ok();
        position.and_then(|position| self.known.get(position)).copied() == Some(true)
    }
}

impl Model for Log {
    type State = Extent;
    type Call = ExtentCall;
    /// A length or a position; `None` of an append, which says nothing that is not in the call, and where nothing was told.
    type Answer = Option<u64>;

    fn initial(&self) -> Extent {
        Extent { first: 0, length: 0 }
    }

    fn step(&self, state: &Extent, call: &ExtentCall, answer: Option<&Option<u64>>) -> Option<Extent> {
        let Extent { first, length } = *state;
        let grown = |count| Extent {
            first,
            length: length + count,
        };
        let answer = answer.copied().flatten();
        match *call {
            ExtentCall::AppendAt { position, count } => (position == length).then(|| grown(count)),
            ExtentCall::AppendUnseen { count } => {
                let is_unseen = !(length..length + count).any(|position| self.is_known(position));
                is_unseen.then(|| grown(count))
            }
            ExtentCall::ReadLength => answer.is_none_or(|seen| seen == length).then_some(*state),
            ExtentCall::ReadFirst { exactly: true } => answer.is_none_or(|seen| seen == first).then_some(*state),
            ExtentCall::ReadFirst { exactly: false } => answer.is_none_or(|seen| seen >= first).then_some(*state),
            ExtentCall::ReadNothing => (first == length).then_some(*state),
            ExtentCall::Trim { before } => {
                let first = first.max(before.min(length));
                let is_right = answer.is_none_or(|told| told == first);
                is_right.then_some(Extent { first, length })
            }
        }
    }

    fn passed(&self, state: &Extent, call: &ExtentCall, answer: &Option<u64>) -> bool {
        match call {
            ExtentCall::AppendAt { position, .. } => *position < state.length,
            ExtentCall::AppendUnseen { .. } | ExtentCall::ReadNothing => false,
            ExtentCall::ReadLength => answer.is_some_and(|seen| seen < state.length),
            ExtentCall::ReadFirst { .. } | ExtentCall::Trim { .. } => answer.is_some_and(|seen| seen < state.first),
        }
    }

    fn reduce(&self, open: &ExtentCall) -> Option<ExtentCall> {
        match open {
            ExtentCall::AppendAt { .. } | ExtentCall::AppendUnseen { .. } | ExtentCall::Trim { .. } => Some(*open),
            ExtentCall::ReadLength | ExtentCall::ReadFirst { .. } | ExtentCall::ReadNothing => None,
        }
    }

    fn tell(&self, call: &ExtentCall, answer: Option<&Option<u64>>) -> String {
        let known = if answer.is_some() { "" } else { ", answer unknown" };
        let answer = answer.copied().flatten();
        match (call, answer) {
            (ExtentCall::AppendAt { position, count }, _) => format!("append {count} at position {position}{known}"),
            (ExtentCall::AppendUnseen { count }, _) => {
                let seen = self.known.len();
                format!("append {count} that were not seen among the first {seen}{known}")
            }
            (ExtentCall::ReadLength, Some(length)) => format!("read up to position {length}"),
            (ExtentCall::ReadFirst { exactly: true }, Some(first)) => {
                format!("read from position {first} on, the first one")
            }
            (ExtentCall::ReadFirst { exactly: false }, Some(first)) => format!("read from position {first} on"),
            (ExtentCall::ReadNothing, _) => "read nothing".to_owned(),
            (ExtentCall::ReadLength | ExtentCall::ReadFirst { .. }, None) => "read".to_owned(),
            (ExtentCall::Trim { before }, Some(first)) => format!("trim before {before}, it begins at {first}"),
            (ExtentCall::Trim { before }, None) => format!("trim before {before}{known}"),
        }
    }

    fn tell_state(&self, state: &Extent) -> String {
        match state.first {
            0 => format!("a log of {} entries", state.length),
            first => format!("a log from position {first} up to {}", state.length),
        }
    }
}

/// The entries at their positions, as far as somebody saw them.
struct Order {
    entries: Vec<Option<u64>>,
    positions: HashMap<u64, usize>,
}

/// What a call and its answer say of the extent.
type Said = Vec<(ExtentCall, End<Option<u64>>)>;

impl Order {
    fn of(history: &History<LogCall, LogAnswer>) -> Result<Self, String> {
        let answers = || history.possible().filter_map(|(call, answer)| Some((call, answer?)));
        let whole = answers().filter_map(|(call, answer)| match (call, answer) {
            (LogCall::Read { last: None }, LogAnswer::Entries(entries)) => Some(entries),
            _ => None,
        });
        let longest = whole.max_by_key(|entries| entries.len()).cloned().unwrap_or_default();
        let mut order = Self {
            entries: longest.into_iter().map(Some).collect(),
            positions: HashMap::new(),
        };
        let is_trimmed = history.possible().any(|(call, _)| matches!(call, LogCall::Trim { .. }));
        for (_, answer) in answers() {
            match answer {
                LogAnswer::Positioned(entries) => order.see(entries)?,
                LogAnswer::Entries(_) if is_trimmed => {
                    return Err("a reading without positions, of a log that was trimmed".to_owned());
                }
                _ => {}
            }
        }
        order.fill(answers());
        for (position, entry) in order.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            if let Some(first) = order.positions.insert(*entry, position) {
                return Err(format!("entry {entry} is at position {first} and again at {position}"));
            }
        }
        let appended = history.possible().filter_map(|(call, _)| match call {
            LogCall::Append(entries) => Some(entries),
            _ => None,
        });
        let appended: usize = appended
            .flatten()
            .filter(|entry| order.positions.contains_key(entry))
            .count();
        if appended < order.positions.len() {
            let strange = order.strange(history);
            return Err(format!(
                "there is an entry that nobody appended, or whose append failed: {strange}"
            ));
        }
        Ok(order)
    }

    /// Takes in what a reading shows.
    fn see(&mut self, entries: &[(u64, u64)]) -> Result<(), String> {
        let first = entries.first().map_or(0, |entry| entry.0);
        for (expected, (position, entry)) in (first..).zip(entries) {
            if expected != *position {
                return Err(format!(
                    "a reading has position {position} where {expected} should be, with entry {entry}"
                ));
            }
            let index = usize::try_from(*position).map_err(|_| format!("there is a position {position}"))?;
            if self.entries.len() <= index {
                self.entries.resize(index + 1, None);
            }
            match self.entries[index].replace(*entry) {
                Some(other) if other != *entry => {
                    return Err(format!(
                        "position {position} has entry {entry} in one reading and {other} in another"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What nobody saw before it was trimmed is what was acknowledged.
    fn fill<'a>(&mut self, answers: impl Iterator<Item = (&'a LogCall, &'a LogAnswer)>) {
        for (call, answer) in answers {
            if let (LogCall::Append(entries), LogAnswer::Appended(position)) = (call, answer) {
                let from = usize::try_from(*position).unwrap_or(usize::MAX);
                for (slot, entry) in self.entries.iter_mut().skip(from).zip(entries) {
                    slot.get_or_insert(*entry);
                }
            }
        }
    }

    /// An entry that there should not be.
    fn strange(&self, history: &History<LogCall, LogAnswer>) -> String {
        let appended: Vec<_> = history.possible().map(|(call, _)| call).collect();
        let known = |entry: &u64| {
            appended.iter().any(|call| match call {
                LogCall::Append(entries) => entries.contains(entry),
                _ => false,
            })
        };
        let mut all = self.entries.iter().enumerate();
        let strange = all.find_map(|(position, entry)| Some((position, entry.filter(|entry| !known(entry))?)));
        strange.map_or_else(String::new, |(position, entry)| {
            format!("{entry} at position {position}")
        })
    }

    /// What the history says of extents, or why its entries do not fit together.
    fn extents(&self, history: &History<LogCall, LogAnswer>) -> Result<History<ExtentCall, Option<u64>>, String> {
        let mut operations = Vec::new();
        for operation in history.operations() {
            let said = match &operation.call {
                LogCall::Append(entries) => self.append(entries, &operation.end)?,
                LogCall::Read { last } => self.read(*last, &operation.end)?,
                LogCall::Trim { before } => vec![trim(*before, &operation.end)?],
            };
            operations.extend(said.into_iter().map(|(call, end)| Operation {
                task: operation.task,
                invoked: operation.invoked,
                call,
                end,
            }));
        }
        Ok(History::new(operations))
    }

    /// Where entries that were appended together begin, if any of them was seen.
    fn place(&self, entries: &[u64]) -> Result<Option<usize>, String> {
        let mut all = entries.iter().enumerate();
        let seen = all.find_map(|(index, entry)| Some((index, *entry, *self.positions.get(entry)?)));
        let Some((index, entry, position)) = seen else {
            return Ok(None);
        };
        let first = position.checked_sub(index);
        let found = first.and_then(|first| self.entries.get(first..first + entries.len()));
        let fits = found.is_some_and(|found| {
            let mut both = found.iter().zip(entries);
            both.all(|(found, entry)| found.is_none_or(|found| found == *entry))
        });
        match (first, index) {
            (Some(first), _) if fits => Ok(Some(first)),
            (Some(first), 0) => Err(format!(
                "{entries:?} were appended together, but from position {first} on there are {:?}",
                self.around(first, entries.len())
            )),
            _ => Err(format!(
                "of entries that were appended together, {entry} is there without the first"
            )),
        }
    }

    fn append(&self, entries: &[u64], end: &End<LogAnswer>) -> Result<Said, String> {
        let count = entries.len() as u64;
        let first = self.place(entries)?.map(|first| first as u64);
        let said = match end {
            End::Failed => (ExtentCall::ReadLength, End::Failed),
            End::Open => {
                let call = match first {
                    Some(position) => ExtentCall::AppendAt { position, count },
                    None => ExtentCall::AppendUnseen { count },
                };
                (call, End::Open)
            }
            End::Returned {
                at,
                answer: LogAnswer::Appended(position),
            } => {
                let beyond = *position >= self.entries.len() as u64;
                if first != Some(*position) && !(beyond && first.is_none()) {
                    return Err(format!(
                        "{entries:?} were acknowledged at position {position}, where there are {:?}",
                        self.around(usize::try_from(*position).unwrap_or(usize::MAX), entries.len())
                    ));
                }
                let call = ExtentCall::AppendAt {
                    position: *position,
                    count,
                };
                (call, End::Returned { at: *at, answer: None })
            }
            End::Returned { answer, .. } => return Err(format!("an append was answered with {answer:?}")),
        };
        Ok(vec![said])
    }

    fn read(&self, last: Option<u64>, end: &End<LogAnswer>) -> Result<Said, String> {
        let (at, entries) = match end {
            End::Failed => return Ok(vec![(ExtentCall::ReadLength, End::Failed)]),
            End::Open => return Ok(vec![(ExtentCall::ReadLength, End::Open)]),
            End::Returned {
                at,
                answer: LogAnswer::Entries(entries),
            } => (*at, entries),
            End::Returned {
                at,
                answer: LogAnswer::Positioned(entries),
            } => return read_positioned(last, *at, entries),
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
        let expected: Vec<_> = expected.iter().flatten().collect();
        let differs = |at: &usize| expected.get(*at).copied() != entries.get(*at);
        if let Some(position) = (0..expected.len().max(entries.len())).find(differs) {
            return Err(format!(
                "a reading up to position {length} has {:?} where a longer one has {:?}",
                entries.get(position),
                expected.get(position)
            ));
        }
        let answer = match last {
            // Nothing was asked for, so nothing was told.
            Some(0) => None,
            _ => Some(length as u64),
        };
        Ok(vec![(ExtentCall::ReadLength, End::Returned { at, answer })])
    }

    fn around(&self, position: usize, count: usize) -> Vec<u64> {
        let start = position.min(self.entries.len());
        let around = &self.entries[start..self.entries.len().min(start.saturating_add(count))];
        around.iter().flatten().copied().collect()
    }
}

/// What a reading says that shows positions: where it begins and where it ends, each at a moment of its own.
fn read_positioned(last: Option<u64>, at: u64, entries: &[(u64, u64)]) -> Result<Said, String> {
    let count = entries.len() as u64;
    if last.is_some_and(|last| last < count) {
        return Err(format!("of the last {last:?} entries came {count}"));
    }
    let returned = |answer| End::Returned { at, answer };
    Ok(match (entries.first(), entries.last()) {
        (Some((first, _)), Some((end, _))) => {
            // Those that were asked for may not be all that there are.
            let exactly = last != Some(count);
            vec![
                (ExtentCall::ReadFirst { exactly }, returned(Some(*first))),
                (ExtentCall::ReadLength, returned(Some(end + 1))),
            ]
        }
        // Nothing was asked for, so nothing was told.
        _ if last == Some(0) => vec![(ExtentCall::ReadLength, returned(None))],
        _ => vec![(ExtentCall::ReadNothing, returned(None))],
    })
}

fn trim(before: u64, end: &End<LogAnswer>) -> Result<(ExtentCall, End<Option<u64>>), String> {
    let call = ExtentCall::Trim { before };
    Ok(match end {
        End::Failed => (call, End::Failed),
        End::Open => (call, End::Open),
        End::Returned {
            at,
            answer: LogAnswer::Trimmed(first),
        } => {
            let answer = Some(*first);
            (call, End::Returned { at: *at, answer })
        }
        End::Returned { answer, .. } => return Err(format!("a trim was answered with {answer:?}")),
    })
}
