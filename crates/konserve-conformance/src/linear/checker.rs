//! Whether a history is linearizable: the search of Wing and Gong, with the memory of Lowe.
//!
//! An object is linearizable if each operation took effect at one moment between its call and its answer: if the operations
//! can be put in an order that keeps real time and in which a sequential [`Model`] gives every answer. An open operation took
//! effect at any moment from its call on, or never. The search takes, again and again, an operation that nothing else
//! must precede and that the model admits, and goes back where there is none. It has been everywhere only once: a set of
//! operations that leads to a state leads on in the same ways whatever their order.
//!
//! What keeps it short besides, each without changing the verdict:
//!
//! - A completed operation that changes nothing is taken as soon as it can be: whatever can follow can follow it as well.
//! - Open operations are tried last; never when they change nothing; and of several of the same call that are at hand only the
//!   earliest. A configuration is dropped when it was met with fewer open operations used up, since those that are left over
//!   need not be used.
//! - A model may say that an operation has been passed: that no state from here on admits it ([`Model::passed`]).
//! - A model may say what an open operation that nobody saw comes to ([`Model::reduce`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Write};
use std::hash::Hash;

use super::bits::{Bits, Window};
use super::history::{End, History, Operation};

/// How many configurations a search visits before it gives up. A few seconds in a test build.
pub(super) const WORK: usize = 500_000;

/// How many operations of the longest order that was found are shown.
const SHOWN: usize = 12;

/// A sequential object.
pub(crate) trait Model {
    type State: Clone + Eq + Hash;
    type Call: Clone + Eq;
    type Answer;

    /// The state in the beginning.
    fn initial(&self) -> Self::State;

    /// The state after a call in this state, if it can be made here and have this answer. Without an answer, the call has taken
    /// effect; nobody knows the answer.
    ///
    /// A call with an answer that leaves one state as it is must leave every state as it is that can follow and admits it: the
    /// search takes such an operation at once, and never asks what it would have done later.
    fn step(&self, state: &Self::State, call: &Self::Call, answer: Option<&Self::Answer>) -> Option<Self::State>;

    /// Whether neither this state nor any that can follow admits the call with this answer. `false` is always right.
    fn passed(&self, state: &Self::State, call: &Self::Call, answer: &Self::Answer) -> bool {
        let _ = (state, call, answer);
        false
    }

    /// What to try instead of an open call, `None` if it need not be tried. To be sound, whenever the history has an order
    /// with the call it has one with what is returned; and the other way round. The call itself is always right.
    fn reduce(&self, open: &Self::Call) -> Option<Self::Call> {
        Some(open.clone())
    }

    /// A call and its answer, for people.
    fn tell(&self, call: &Self::Call, answer: Option<&Self::Answer>) -> String;

    /// A state, for people.
    fn tell_state(&self, state: &Self::State) -> String;
}

/// Why a history does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There is no order. The longest order that was found, and where it ends.
    Violation(String),
    /// The search was given up after this many configurations. Not a pass: nothing is known.
    NotDecided(usize),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(report) => f.write_str(report),
            Self::NotDecided(work) => write!(
                f,
                "not decided: the search for an order was given up after {work} configurations"
            ),
        }
    }
}

/// Whether a history is linearizable.
pub(crate) fn check<M: Model>(model: &M, history: &History<M::Call, M::Answer>) -> Result<(), Finding> {
    check_within(WORK, model, history).map(|_| ())
}

/// The same with a bound of one's own; how many configurations were visited.
pub(crate) fn check_within<M: Model>(
    bound: usize,
    model: &M,
    history: &History<M::Call, M::Answer>,
) -> Result<usize, Finding> {
    let mut search = Search::new(model, history);
    search.run(bound)
}

/// An operation that was answered.
struct Completed<'a, M: Model> {
    operation: &'a Operation<M::Call, M::Answer>,
    answer: &'a M::Answer,
    returned: u64,
}

/// An operation that is open.
struct Open<'a, M: Model> {
    operation: &'a Operation<M::Call, M::Answer>,
    /// What is tried.
    call: M::Call,
    /// The latest one before it of the same call.
    same_before: Option<usize>,
}

/// What is taken next: an index into the completed or the open operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Completed(usize),
    Open(usize),
}

/// A state on the way: what is left to be tried from there.
struct Frame<S> {
    /// How it was reached; `None` in the beginning.
    by: Option<Choice>,
    /// The last one first.
    options: Vec<(Choice, S)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    completed: Vec<Completed<'a, M>>,
    open: Vec<Open<'a, M>>,
    /// Which are taken.
    done: Bits,
    used: Bits,
    count: usize,
    /// The completed operations that are not taken, in the order of their calls: for each the one before and the one behind.
    /// The last entry is both ends.
    before: Vec<usize>,
    behind: Vec<usize>,
    /// Where the search has been: the completed operations that were taken and the state, with the open ones that were used.
    seen: HashMap<(Window, M::State), Vec<Bits>>,
    /// The longest order so far.
    longest: Vec<Choice>,
    longest_count: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, history: &'a History<M::Call, M::Answer>) -> Self {
        let mut completed = Vec::new();
        let mut open: Vec<Open<'a, M>> = Vec::new();
        for operation in history.operations() {
            match &operation.end {
                End::Returned { at, answer } => completed.push(Completed {
                    operation,
                    answer,
                    returned: *at,
                }),
                End::Failed => {}
                End::Open => {
                    if let Some(call) = model.reduce(&operation.call) {
                        let same_before = open.iter().rposition(|other| other.call == call);
                        open.push(Open {
                            operation,
                            call,
                            same_before,
                        });
                    }
                }
            }
        }
        let ends = completed.len();
        Self {
            model,
            done: Bits::new(completed.len()),
            used: Bits::new(open.len()),
            count: 0,
            before: (0..=ends).map(|index| index.checked_sub(1).unwrap_or(ends)).collect(),
            behind: (0..=ends)
                .map(|index| if index == ends { 0 } else { index + 1 })
                .collect(),
            seen: HashMap::new(),
            longest: Vec::new(),
            longest_count: 0,
            completed,
            open,
        }
    }

    fn run(&mut self, bound: usize) -> Result<usize, Finding> {
        if self.completed.is_empty() {
            return Ok(0);
        }
        let mut work = 0;
        let state = self.model.initial();
        let mut way = vec![Frame {
            by: None,
            options: self.options(&state),
        }];
        while let Some(frame) = way.last_mut() {
            let Some((choice, state)) = frame.options.pop() else {
                if let Some(by) = frame.by {
                    self.put_back(by);
                }
                way.pop();
                continue;
            };
            self.take(choice);
            if self.count == self.completed.len() {
                return Ok(work);
            }
            if !self.is_new(&state) {
                self.put_back(choice);
                continue;
            }
            work += 1;
            if work > bound {
                return Err(Finding::NotDecided(bound));
            }
            way.push(Frame {
                by: Some(choice),
                options: self.options(&state),
            });
            if self.count > self.longest_count {
                self.longest_count = self.count;
                self.longest.clear();
                self.longest.extend(way.iter().filter_map(|frame| frame.by));
            }
        }
        Err(Finding::Violation(self.report()))
    }

    fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Open(index) => self.used.set(index),
            Choice::Completed(index) => {
                self.done.set(index);
                self.count += 1;
                let (before, behind) = (self.before[index], self.behind[index]);
                self.behind[before] = behind;
                self.before[behind] = before;
            }
        }
    }

    /// Undoes what was taken last.
    fn put_back(&mut self, choice: Choice) {
        match choice {
            Choice::Open(index) => self.used.clear(index),
            Choice::Completed(index) => {
                self.done.clear(index);
                self.count -= 1;
                let (before, behind) = (self.before[index], self.behind[index]);
                self.behind[before] = index;
                self.before[behind] = index;
            }
        }
    }

    /// Whether the search has not been here, nor anywhere that leads at least as far.
    fn is_new(&mut self, state: &M::State) -> bool {
        match self.seen.entry((self.done.window(), state.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(vec![self.used.clone()]);
                true
            }
            Entry::Occupied(mut entry) => {
                let uses = entry.get_mut();
                if uses.iter().any(|used| used.is_subset(&self.used)) {
                    return false;
                }
                uses.retain(|used| !self.used.is_subset(used));
                uses.push(self.used.clone());
                true
            }
        }
    }

    /// The completed operations that no other must precede, and the moment by which the first of them is over.
    fn candidates(&self) -> (Vec<usize>, u64) {
        let ends = self.completed.len();
        let (mut found, mut over) = (Vec::new(), u64::MAX);
        let mut index = self.behind[ends];
        while index != ends && self.completed[index].operation.invoked < over {
            over = over.min(self.completed[index].returned);
            found.push(index);
            index = self.behind[index];
        }
        (found, over)
    }

    /// What can be taken in a state, the last one first.
    fn options(&self, state: &M::State) -> Vec<(Choice, M::State)> {
        let (candidates, over) = self.candidates();
        let mut options = Vec::new();
        let mut for_nothing = None;
        for index in candidates {
            let Completed { operation, answer, .. } = &self.completed[index];
            match self.model.step(state, &operation.call, Some(answer)) {
                Some(next) if next == *state => for_nothing = Some((Choice::Completed(index), next)),
                Some(next) => options.push((index, next)),
                None if self.model.passed(state, &operation.call, answer) => return Vec::new(),
                None => {}
            }
        }
        if let Some(option) = for_nothing {
            return vec![option];
        }
        // Whoever was answered first was probably served first.
        options.sort_by_key(|(index, _)| self.completed[*index].returned);
        let mut options: Vec<_> = options
            .into_iter()
            .map(|(index, next)| (Choice::Completed(index), next))
            .collect();
        for (index, open) in self.open.iter().enumerate() {
            if open.operation.invoked > over {
                break;
            }
            let in_turn = open.same_before.is_none_or(|same| self.used.get(same));
            if self.used.get(index) || !in_turn {
                continue;
            }
            match self.model.step(state, &open.call, None) {
                Some(next) if next != *state => options.push((Choice::Open(index), next)),
                _ => {}
            }
        }
        options.reverse();
        options
    }

    /// The end of the longest order, and what cannot follow it. After the search, when everything is put back.
    fn report(&mut self) -> String {
        let mut state = self.model.initial();
        let mut lines = Vec::new();
        for choice in std::mem::take(&mut self.longest) {
            lines.push(self.line(choice));
            let next = match choice {
                Choice::Completed(index) => {
                    let Completed { operation, answer, .. } = &self.completed[index];
                    self.model.step(&state, &operation.call, Some(answer))
                }
                Choice::Open(index) => self.model.step(&state, &self.open[index].call, None),
            };
            state = next.unwrap_or(state);
            self.take(choice);
        }
        let mut report = format!(
            "not linearizable: {} of {} answered operations can be put in order, and no more\n",
            self.count,
            self.completed.len()
        );
        let left_out = lines.len().saturating_sub(SHOWN);
        let _ = match left_out {
            0 => writeln!(report, "  in this order:"),
            _ => writeln!(report, "  in this order, {left_out} before these:"),
        };
        for line in &lines[left_out..] {
            let _ = writeln!(report, "    {line}");
        }
        let _ = writeln!(report, "  which leads to: {}", self.model.tell_state(&state));
        let _ = write!(report, "  one of these must follow, and none can:");
        for index in self.candidates().0 {
            let _ = write!(report, "\n    {}", self.line(Choice::Completed(index)));
        }
        report
    }

    /// Who did what from when to when.
    fn line(&self, choice: Choice) -> String {
        match choice {
            Choice::Completed(index) => {
                let Completed {
                    operation,
                    answer,
                    returned,
                } = &self.completed[index];
                let told = self.model.tell(&operation.call, Some(answer));
                format!("[{}..{returned}] task {}: {told}", operation.invoked, operation.task)
            }
            Choice::Open(index) => {
                let operation = self.open[index].operation;
                let told = self.model.tell(&operation.call, None);
                format!("[{}..] task {}: {told}", operation.invoked, operation.task)
            }
        }
    }
}
