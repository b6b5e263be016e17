//! Random histories: the verdict is that of a naive search, and comes soon.

use super::super::checker::{Model, WORK, check_within};
use super::super::documents::Documents;
use super::super::history::{End, Operation};
use super::super::*;
use super::worlds::{CounterWorld, Course, DocumentsWorld, ItemsWorld, LogWorld, World, history};
use crate::arena::Random;

/// Tries every order, and remembers nothing.
fn naive<M: Model>(model: &M, history: &History<M::Call, M::Answer>) -> bool {
    let operations = history.operations().iter();
    let left: Vec<_> = operations
        .filter(|operation| !matches!(operation.end, End::Failed))
        .collect();
    naive_from(model, &model.initial(), &left)
}

fn naive_from<M: Model>(model: &M, state: &M::State, left: &[&Operation<M::Call, M::Answer>]) -> bool {
    let over = |operation: &Operation<M::Call, M::Answer>| match operation.end {
        End::Returned { at, .. } => at,
        End::Failed | End::Open => u64::MAX,
    };
    if left.iter().all(|operation| over(operation) == u64::MAX) {
        return true;
    }
    left.iter().enumerate().any(|(index, operation)| {
        let first = left.iter().all(|other| over(other) > operation.invoked);
        let next = first
            .then(|| model.step(state, &operation.call, operation.end.answer()))
            .flatten();
        next.is_some_and(|next| {
            let mut left = left.to_vec();
            left.remove(index);
            naive_from(model, &next, &left)
        })
    })
}

/// A log, entry by entry, and where it begins.
struct NaiveLog;

/// What of a reading is meant: all that it says, at which position it begins, or what there is from there on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    All,
    First,
    Rest,
}

/// What is to be put in order: a reading that shows positions finds the first one at one moment, and the end at another.
fn in_moments(history: &History<LogCall, LogAnswer>) -> History<(LogCall, Said), LogAnswer> {
    let mut operations = Vec::new();
    for operation in history.operations() {
        let parts = match operation.end.answer() {
            Some(LogAnswer::Positioned(entries)) if !entries.is_empty() => vec![Said::First, Said::Rest],
            _ => vec![Said::All],
        };
        operations.extend(parts.into_iter().map(|said| Operation {
            task: operation.task,
            invoked: operation.invoked,
            call: (operation.call.clone(), said),
            end: operation.end.clone(),
        }));
    }
    History::new(operations)
}

impl Model for NaiveLog {
    type State = (u64, Vec<u64>);
    type Call = (LogCall, Said);
    type Answer = LogAnswer;

    fn initial(&self) -> (u64, Vec<u64>) {
        (0, Vec::new())
    }

    fn step(
        &self,
        state: &(u64, Vec<u64>),
        (call, said): &(LogCall, Said),
        answer: Option<&LogAnswer>,
    ) -> Option<(u64, Vec<u64>)> {
        let (first, entries) = state;
        let length = entries.len() as u64;
        match (call, answer) {
            (LogCall::Append(more), answer) => {
                let right = answer.is_none_or(|answer| *answer == LogAnswer::Appended(length));
                right.then(|| (*first, [&entries[..], more].concat()))
            }
            (LogCall::Trim { before }, answer) => {
                let first = *first.max(before.min(&length));
                let right = answer.is_none_or(|answer| *answer == LogAnswer::Trimmed(first));
                right.then(|| (first, entries.clone()))
            }
            (LogCall::Read { last }, Some(LogAnswer::Positioned(found))) => {
                let right = match (said, found.first()) {
                    (Said::First, Some((position, _))) if *last == Some(found.len() as u64) => first <= position,
                    (Said::First, Some((position, _))) => first == position,
                    (Said::Rest, Some((position, _))) => {
                        let all = (0..).zip(entries.iter().copied());
                        let few = last.is_none_or(|last| found.len() as u64 <= last);
                        few && all.skip(*position as usize).eq(found.iter().copied())
                    }
                    _ => *last == Some(0) || *first == length,
                };
                right.then(|| state.clone())
            }
            (LogCall::Read { last }, Some(answer)) => {
                let skipped = last.map_or(0, |last| entries.len().saturating_sub(last as usize));
                let right = *answer == LogAnswer::Entries(entries[skipped..].to_vec());
                right.then(|| state.clone())
            }
            (LogCall::Read { .. }, None) => Some(state.clone()),
        }
    }

    fn tell(&self, _: &(LogCall, Said), _: Option<&LogAnswer>) -> String {
        String::new()
    }

    fn tell_state(&self, _: &(u64, Vec<u64>)) -> String {
        String::new()
    }
}

/// Compares the verdicts on many small histories, good and bad. `judge` gives ours and the naive one.
fn compare<W: World>(
    world: impl Fn(&mut Random) -> W,
    judge: impl Fn(&History<W::Call, W::Answer>) -> (Result<(), Finding>, bool),
) where
    History<W::Call, W::Answer>: std::fmt::Debug,
{
    const CASES: u64 = 10_000;
    let (mut good, mut bad) = (0, 0);
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let course = Course {
            tasks: 1 + random.below(4),
            operations: 2 + random.below(6),
            open: [0, 30, 60][random.below(3)],
            distorted: [0, 0, 15, 40][random.below(4)],
        };
        let history = history(&mut world(&mut random), &course, &mut random);
        let (ours, naive) = judge(&history);
        assert!(!matches!(ours, Err(Finding::NotDecided(_))), "seed {seed}");
        assert_eq!(ours.is_ok(), naive, "seed {seed}: {ours:?} {history:#?}");
        assert!(
            naive || course.distorted > 0,
            "seed {seed}: what happened cannot have happened"
        );
        if naive { good += 1 } else { bad += 1 }
    }
    assert!(good > CASES / 4 && bad > CASES / 20, "{good} good ones, {bad} bad ones");
}

#[test]
fn the_verdict_on_items_is_that_of_a_naive_search() {
    for always in [false, true] {
        compare(
            |random| ItemsWorld::new(1 + random.below(3), always),
            |history| {
                let model = Items::new(vec![Place::Vacant; 3], history);
                (check(&model, history), naive(&model, history))
            },
        );
    }
}

#[test]
fn the_verdict_on_documents_is_that_of_a_naive_search() {
    compare(
        |random| DocumentsWorld::new(1 + random.below(3)),
        |history| match Documents::new(3, history) {
            Ok(model) => (check(&model, history), naive(&model, history)),
            Err(finding) => (Err(finding), false),
        },
    );
}

#[test]
fn the_verdict_on_counters_is_that_of_a_naive_search() {
    compare(
        |_| CounterWorld::default(),
        |history| {
            let model = Counter::new(history);
            (check(&model, history), naive(&model, history))
        },
    );
}

#[test]
fn the_verdict_on_logs_is_that_of_a_naive_search() {
    compare(
        |_| LogWorld::default(),
        |history| (check_log(history), naive(&NaiveLog, &in_moments(history))),
    );
}

#[test]
fn the_verdict_on_logs_that_are_trimmed_is_that_of_a_naive_search() {
    compare(
        |_| LogWorld::trimmed(),
        |history| (check_log(history), naive(&NaiveLog, &in_moments(history))),
    );
}

/// Sixteen tasks, eight hundred operations, some thirty of them unknown.
const LONG: Course = Course {
    tasks: 16,
    operations: 800,
    open: 5,
    distorted: 0,
};

/// How many configurations may be visited for one such history: a fraction of a second.
const SOON: usize = 20_000;

/// Good histories are found good soon, and bad ones bad in the end.
fn decided<W: World>(
    world: impl Fn() -> W,
    judge: impl Fn(usize, &History<W::Call, W::Answer>) -> Result<usize, Finding>,
) {
    for seed in 0..5 {
        let history = history(&mut world(), &LONG, &mut Random::new(seed));
        if let Err(finding) = judge(SOON, &history) {
            panic!("seed {seed}: {finding}");
        }
    }
    for seed in 0..1 {
        let course = Course { distorted: 1, ..LONG };
        let history = history(&mut world(), &course, &mut Random::new(seed));
        let verdict = judge(WORK, &history);
        assert!(
            matches!(verdict, Err(Finding::Violation(_))),
            "seed {seed}: {verdict:?}"
        );
    }
}

#[test]
fn long_histories_are_decided() {
    for (members, always) in [(1, false), (1, true), (4, false), (4, true)] {
        decided(
            || ItemsWorld::new(members, always),
            |work, history| check_within(work, &Items::new(vec![Place::Vacant; members], history), history),
        );
    }
    for keys in [1, 4] {
        decided(
            || DocumentsWorld::new(keys),
            |work, history| {
                let model = Documents::new(keys, history)?;
                check_within(work, &model, history)
            },
        );
    }
    decided(CounterWorld::default, |work, history| {
        check_within(work, &Counter::new(history), history)
    });
    for world in [LogWorld::default, LogWorld::trimmed] {
        decided(world, |_, history| check_log(history).map(|()| 0));
    }
}
