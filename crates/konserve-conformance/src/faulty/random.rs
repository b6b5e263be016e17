//! A course of operations that follows from the seed, with faults that follow from it as well.
//!
//! After an unknown outcome several things can be there. All of them are kept in mind, and every answer must fit one.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use konserve_core::{Error, ErrorKind, Outcome, Result, Store};

use super::control::Control;
use super::store::{large, over};
use super::sweep::is_of_failures;
use crate::arena::{Arena, Random};
use crate::failure::{Failure, Verdict, brief, check};
use crate::ticking::Ticking;
use crate::trial::{Capability, Trial};

const STEPS: usize = 30;
const DOCUMENTS: usize = 3;
const LOGS: usize = 2;

/// One request in so many suffers.
const ONE_IN: usize = 6;

/// More than so many possibilities are cleared up before it goes on.
const MOST: usize = 64;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("faults.at-random", &["S-FAULT-8"], at_random)
            .needs(Capability::Faults)
            .seeded(),
    ]
}

async fn at_random(arena: Arc<Arena>) -> Verdict {
    let control = Control::of(&arena)?;
    let clock = Ticking::new();
    let mut course = Course {
        tested: over(Arc::clone(&arena.backend), &clock, 1_000),
        other: over(arena.namespace.another().await?, &clock, 1_000),
        random: arena.random(),
        next: 0,
        possible: BTreeSet::from([(State::default(), BTreeSet::new())]),
        pending: Vec::new(),
        settling: false,
    };
    for step in 0..STEPS {
        let seed = arena.seed.wrapping_mul(STEPS as u64).wrapping_add(step as u64);
        control.now_and_then(seed, ONE_IN, course.step()).await?;
        if course.possible.len() > MOST {
            course.settle().await?;
        }
    }
    course.settle().await
}

/// What is there, as the user sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    documents: [Option<u64>; DOCUMENTS],
    logs: [Vec<u64>; LOGS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Document(usize),
    Log(usize),
}

impl Place {
    fn key(self) -> String {
        match self {
            Self::Document(number) => format!("document {number}"),
            Self::Log(number) => format!("log {number}"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Assoc(usize, u64),
    IfAbsent(usize, u64),
    Update(usize),
    Dissoc(usize),
    /// Two documents at once.
    Both(usize, u64),
    Append(usize, u64),
}

/// What a change answered.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    Updated(Option<u64>, u64),
    Existed(bool),
    Position(u64),
}

impl Change {
    fn applied(self, state: &State) -> State {
        let mut state = state.clone();
        let documents = &mut state.documents;
        match self {
            Self::Assoc(at, value) => documents[at] = Some(value),
            Self::IfAbsent(at, value) => documents[at] = documents[at].or(Some(value)),
            Self::Update(at) => documents[at] = Some(documents[at].unwrap_or(0) + 1),
            Self::Dissoc(at) => documents[at] = None,
            Self::Both(at, value) => {
                documents[at] = Some(value);
                documents[(at + 1) % DOCUMENTS] = Some(value);
            }
            Self::Append(at, entry) => state.logs[at].push(entry),
        }
        state
    }

    /// Whether it can answer so in this state.
    fn fits(self, answer: Answer, state: &State) -> bool {
        match (self, answer) {
            (Self::Update(at), Answer::Updated(old, new)) => state.documents[at] == old && new == old.unwrap_or(0) + 1,
            (Self::Dissoc(at), Answer::Existed(existed)) => state.documents[at].is_some() == existed,
            (Self::Append(at, _), Answer::Position(position)) => state.logs[at].len() as u64 == position,
            (Self::IfAbsent(at, _), Answer::Done) => state.documents[at].is_none(),
            (Self::Assoc(..) | Self::Both(..), Answer::Done) => true,
            _ => false,
        }
    }

    fn concerns(self, place: Place) -> bool {
        match self {
            Self::Assoc(at, _) | Self::IfAbsent(at, _) | Self::Update(at) | Self::Dissoc(at) => {
                place == Place::Document(at)
            }
            Self::Both(at, _) => place == Place::Document(at) || place == Place::Document((at + 1) % DOCUMENTS),
            Self::Append(at, _) => place == Place::Log(at),
        }
    }

    async fn run(self, store: &Store) -> Result<Answer> {
        // Without transactions no value may take chunks.
        let with_chunks = store.capabilities().transactions.is_some();
        let key = |at| Place::Document(at).key();
        match self {
            Self::Assoc(at, value) => store.assoc(key(at), &stored(value, with_chunks)).await?,
            Self::IfAbsent(at, value) => store.assoc(key(at), &stored(value, with_chunks)).if_absent().await?,
            Self::Update(at) => {
                let next = move |old: Option<Stored>| stored(old.map_or(0, |old| old.0) + 1, with_chunks);
                let updated = store.update(key(at), next).await?;
                return Ok(Answer::Updated(updated.old.map(|old| old.0), updated.new.0));
            }
            Self::Dissoc(at) => return store.dissoc(key(at)).await.map(Answer::Existed),
            Self::Both(at, value) => {
                let pair = [at, (at + 1) % DOCUMENTS].map(|at| (key(at), stored(value, with_chunks)));
                store.multi_assoc(pair).await?
            }
            Self::Append(at, entry) => {
                let appended = store.append(Place::Log(at).key(), &entry).await;
                return appended.map(Answer::Position);
            }
        };
        Ok(Answer::Done)
    }
}

/// A number, and for some numbers so much text that it takes chunks.
type Stored = (u64, String);

fn stored(number: u64, with_chunks: bool) -> Stored {
    let text = if with_chunks && number % 3 == 2 {
        large("t")
    } else {
        String::new()
    };
    (number, text)
}

struct Course {
    tested: Store,
    other: Store,
    random: Random,
    /// What was written last.
    next: u64,
    /// What can be there, and which of `pending` have happened then.
    possible: BTreeSet<(State, BTreeSet<u64>)>,
    /// What had an unknown outcome and may still happen, once, by its number, in the order in which it was asked for.
    pending: Vec<(u64, Change)>,
    /// Nothing fails any longer.
    settling: bool,
}

impl Course {
    async fn step(&mut self) -> Verdict {
        let (document, log) = (self.random.below(DOCUMENTS), self.random.below(LOGS));
        let (value, has_transactions) = (self.fresh(), self.tested.capabilities().transactions.is_some());
        match self.random.below(10) {
            0 | 1 => self.change(Change::Assoc(document, value)).await,
            2 => self.change(Change::IfAbsent(document, value)).await,
            3 | 4 => self.change(Change::Update(document)).await,
            5 => self.change(Change::Dissoc(document)).await,
            6 if has_transactions => self.change(Change::Both(document, value)).await,
            6 | 7 => self.change(Change::Append(log, value)).await,
            8 => self.read(Place::Log(log)).await,
            _ => self.read(Place::Document(document)).await,
        }
    }

    /// Far enough from the last one for what updates make of that.
    fn fresh(&mut self) -> u64 {
        self.next += 100;
        self.next
    }

    async fn change(&mut self, change: Change) -> Verdict {
        match change.run(&self.tested).await {
            Ok(answer) => {
                let told = format!("{change:?} answered {answer:?}");
                self.only(&told, |state| change.fits(answer, state))?;
                // What came before under a lower revision can no longer happen.
                self.pending.retain(|(_, pending)| !overlap(*pending, change));
                let still: BTreeSet<u64> = self.pending.iter().map(|(number, _)| *number).collect();
                let possible = self.possible.iter();
                self.possible = possible
                    .map(|(state, happened)| (change.applied(state), happened & &still))
                    .collect();
                Ok(())
            }
            Err(error) => self.failed(change, &error),
        }
    }

    fn failed(&mut self, change: Change, error: &Error) -> Verdict {
        let told = format!("{change:?} failed with {error}: {error:?}");
        check!(!self.settling, "nothing fails any longer, but {told}");
        match (change, error.kind(), error.outcome()) {
            (_, ErrorKind::UnknownOutcome, Outcome::Unknown) => {
                let number = self.fresh();
                self.pending.push((number, change));
                self.happen(number, change);
                Ok(())
            }
            (Change::IfAbsent(at, _), ErrorKind::Conflict, Outcome::NotApplied) => {
                self.only(&told, |state| state.documents[at].is_some())?;
                self.more_may_happen();
                Ok(())
            }
            (_, kind, Outcome::NotApplied) if is_of_failures(kind) && kind != ErrorKind::UnknownOutcome => Ok(()),
            _ => Err(Failure::new(told)),
        }
    }

    /// What is there, through one handle or the other.
    async fn read(&mut self, place: Place) -> Verdict {
        let store = [&self.tested, &self.other][self.random.below(2)].clone();
        let answer = match place {
            Place::Document(at) => {
                let got = store
                    .get::<Stored>(place.key())
                    .await
                    .map(|found| found.map(|found| found.0));
                let told = format!("{} is {got:?}", place.key());
                got.map(|found| self.only(&told, |state| state.documents[at] == found))
            }
            Place::Log(at) => {
                let got: Result<Vec<u64>> = store.log::<u64>(place.key()).try_collect().await;
                let told = format!("{} is {got:?}", place.key());
                got.map(|found| self.only(&told, |state| state.logs[at] == found))
            }
        };
        match answer {
            Ok(verdict) => verdict?,
            Err(error) => check!(
                !self.settling && is_of_failures(error.kind()) && error.outcome() == Outcome::NotApplied,
                "reading {} failed with {error}: {error:?}",
                place.key()
            ),
        }
        self.more_may_happen();
        Ok(())
    }

    fn more_may_happen(&mut self) {
        for (number, change) in self.pending.clone() {
            self.happen(number, change);
        }
    }

    /// Leaves only the possibilities of which something holds.
    fn only(&mut self, told: &str, holds: impl Fn(&State) -> bool) -> Verdict {
        let possible: BTreeSet<_> = self
            .possible
            .iter()
            .filter(|(state, _)| holds(state))
            .cloned()
            .collect();
        check!(
            !possible.is_empty(),
            "{told}, but what can be there is {}",
            brief(&self.possible)
        );
        self.possible = possible;
        Ok(())
    }

    /// Something may happen now, if it has not.
    fn happen(&mut self, number: u64, change: Change) {
        let yet = self.possible.iter().filter(|(_, happened)| !happened.contains(&number));
        let then: Vec<_> = yet
            .map(|(state, happened)| (change.applied(state), happened | &BTreeSet::from([number])))
            .collect();
        self.possible.extend(then);
    }

    /// Nothing fails, so everything is there to be read and written. Leaves one possibility.
    async fn settle(&mut self) -> Verdict {
        self.settling = true;
        let places = (0..DOCUMENTS).map(Place::Document).chain((0..LOGS).map(Place::Log));
        for place in places {
            self.read(place).await?;
            let change = match place {
                Place::Document(at) => Change::Assoc(at, self.fresh()),
                Place::Log(at) => Change::Append(at, self.fresh()),
            };
            self.change(change).await?;
            self.read(place).await?;
        }
        check!(
            self.possible.len() == 1 && self.pending.is_empty(),
            "nothing fails any longer, but what is there is not known: {}",
            brief(&self.possible)
        );
        Ok(())
    }
}

fn overlap(one: Change, other: Change) -> bool {
    let mut places = (0..DOCUMENTS).map(Place::Document).chain((0..LOGS).map(Place::Log));
    places.any(|place| one.concerns(place) && other.concerns(place))
}
