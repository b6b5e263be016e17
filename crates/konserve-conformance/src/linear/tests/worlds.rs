//! Objects that really are sequential, with random calls on them.

use konserve_core::Rev;
use konserve_core::backend::When;

use super::super::history::{End, Operation};
use super::super::*;
use crate::arena::Random;

/// An object, and what is called on it.
pub(super) trait World {
    type Call: Clone;
    type Answer: Clone;

    /// A call that makes sense now.
    fn call(&mut self, random: &mut Random) -> Self::Call;

    /// Makes the call happen.
    fn apply(&mut self, call: &Self::Call, random: &mut Random) -> Self::Answer;

    /// Hears an answer that callers got.
    fn told(&mut self, _answer: &Self::Answer) {}

    /// A call that ends every history.
    fn last_call(&self) -> Option<Self::Call> {
        None
    }

    /// Another answer, which may be wrong.
    fn distort(&mut self, answer: Self::Answer, random: &mut Random) -> Self::Answer;
}

/// How a random history is made.
pub(super) struct Course {
    pub(super) tasks: usize,
    pub(super) operations: usize,
    /// How many in a hundred operations end without an answer, though some of them happen, now or later.
    pub(super) open: usize,
    /// How many in a hundred answers are distorted.
    pub(super) distorted: usize,
}

enum Step<C, A> {
    Idle,
    Called(u64, C),
    Happened(u64, C, A),
}

/// A history of an object that tasks call at random.
pub(super) fn history<W: World>(world: &mut W, course: &Course, random: &mut Random) -> History<W::Call, W::Answer> {
    let mut tasks: Vec<Step<W::Call, W::Answer>> = (0..course.tasks).map(|_| Step::Idle).collect();
    let (mut operations, mut late, mut called) = (Vec::new(), Vec::new(), 0);
    for now in 0.. {
        let busy = tasks.iter().any(|task| !matches!(task, Step::Idle));
        if called == course.operations && !busy {
            if let Some(call) = world.last_call() {
                let answer = world.apply(&call, random);
                let end = End::Returned { at: now + 1, answer };
                operations.push(Operation {
                    task: 0,
                    call,
                    invoked: now,
                    end,
                });
            }
            break;
        }
        if !late.is_empty() && random.below(8) == 0 {
            let call: W::Call = late.swap_remove(random.below(late.len()));
            world.apply(&call, random);
        }
        let task = random.below(tasks.len());
        tasks[task] = match std::mem::replace(&mut tasks[task], Step::Idle) {
            Step::Idle if called == course.operations => Step::Idle,
            Step::Idle => {
                called += 1;
                Step::Called(now, world.call(random))
            }
            Step::Called(invoked, call) if random.below(100) < course.open => {
                let end = match random.below(5) {
                    0 => End::Failed,
                    1 => End::Open,
                    2 => {
                        late.push(call.clone());
                        End::Open
                    }
                    _ => {
                        world.apply(&call, random);
                        End::Open
                    }
                };
                operations.push(Operation {
                    task,
                    call,
                    invoked,
                    end,
                });
                Step::Idle
            }
            Step::Called(invoked, call) => {
                let answer = world.apply(&call, random);
                Step::Happened(invoked, call, answer)
            }
            Step::Happened(invoked, call, mut answer) => {
                if random.below(100) < course.distorted {
                    answer = world.distort(answer, random);
                }
                world.told(&answer);
                let end = End::Returned { at: now, answer };
                operations.push(Operation {
                    task,
                    call,
                    invoked,
                    end,
                });
                Step::Idle
            }
        };
    }
    History::new(operations)
}

pub(super) fn rev(number: u64) -> Rev {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Rev::from_bytes(bytes)
}

pub(super) struct ItemsWorld {
    places: Vec<Place>,
    /// Whether writes may go over what is newer.
    always: bool,
    last: u64,
}

impl ItemsWorld {
    pub(super) fn new(members: usize, always: bool) -> Self {
        Self {
            places: vec![Place::Vacant; members],
            always,
            last: 10,
        }
    }

    fn part(&mut self, member: usize, random: &mut Random) -> Part {
        self.last += 1;
        // Now and then one that may be too low.
        let mine = match random.below(4) {
            0 => rev(self.last * 16 - 16 * random.below(6) as u64 + random.below(15) as u64),
            _ => rev(self.last * 16 + 15),
        };
        let when = match random.below(if self.always { 6 } else { 5 }) {
            0 => When::Absent,
            1 => When::Exists,
            2 => When::Newer,
            3 | 4 => When::Matches(self.places[member].rev().unwrap_or(rev(3))),
            _ => When::Always,
        };
        match random.below(6) {
            0 | 1 => Part::remove(member, mine, when),
            2 if !matches!(when, When::Newer | When::Always) => Part::check(member, when),
            _ => Part::write(member, mine, when),
        }
    }

    fn admits(&self, part: &Part) -> bool {
        let there = self.places[part.member];
        let higher = part.rev().is_none() || part.rev() > there.rev();
        match (part.when, there) {
            (When::Always, _) => true,
            (When::Newer, _) => higher,
            (When::Absent, Place::Vacant | Place::Tombstone(_)) => higher,
            (When::Exists, Place::Item(_)) => higher,
            (When::Matches(rev), Place::Item(there)) => rev == there && higher,
            _ => false,
        }
    }
}

impl World for ItemsWorld {
    type Call = ItemsCall;
    type Answer = ItemsAnswer;

    fn call(&mut self, random: &mut Random) -> ItemsCall {
        let member = random.below(self.places.len());
        match random.below(3) {
            0 => ItemsCall::Read { member },
            1 => {
                let mut part = self.part(member, random);
                while part.rev().is_none() {
                    part = self.part(member, random);
                }
                ItemsCall::Change(vec![part])
            }
            _ => ItemsCall::Change((0..self.places.len()).map(|member| self.part(member, random)).collect()),
        }
    }

    fn apply(&mut self, call: &ItemsCall, random: &mut Random) -> ItemsAnswer {
        let parts = match call {
            ItemsCall::Read { member } => return ItemsAnswer::Found(self.places[*member].item()),
            ItemsCall::Change(parts) => parts,
        };
        let mut refused = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if !self.admits(part) && (refused.is_empty() || random.below(2) == 0) {
                refused.push((index, self.places[part.member]));
            }
        }
        if !refused.is_empty() {
            return ItemsAnswer::Refused(refused);
        }
        let previous = match parts[..] {
            [part] if random.below(2) == 0 => Some(self.places[part.member]),
            _ => None,
        };
        for part in parts {
            match part.action {
                super::super::items::Action::Write(rev) => self.places[part.member] = Place::Item(rev),
                super::super::items::Action::Remove(rev) => self.places[part.member] = Place::Tombstone(rev),
                super::super::items::Action::Check => {}
            }
        }
        ItemsAnswer::Applied(previous)
    }

    fn distort(&mut self, answer: ItemsAnswer, random: &mut Random) -> ItemsAnswer {
        let place = self.places[random.below(self.places.len())];
        match answer {
            ItemsAnswer::Found(_) => ItemsAnswer::Found(place.item()),
            ItemsAnswer::Applied(None) => ItemsAnswer::Refused(vec![(0, place)]),
            ItemsAnswer::Applied(Some(_)) => ItemsAnswer::Applied(Some(place)),
            ItemsAnswer::Refused(_) => ItemsAnswer::Applied(None),
        }
    }
}

pub(super) struct DocumentsWorld {
    slots: Vec<Option<(ValueId, Rev)>>,
    /// Revisions that callers know.
    known: Vec<Rev>,
    last: u64,
}

impl DocumentsWorld {
    pub(super) fn new(keys: usize) -> Self {
        Self {
            slots: vec![None; keys],
            known: vec![rev(1)],
            last: 1,
        }
    }

    fn admits(&self, keys: &[usize], only: Only) -> bool {
        keys.iter().all(|key| match (only, self.slots[*key]) {
            (Only::Always, _) => true,
            (Only::IfAbsent, slot) => slot.is_none(),
            (Only::IfRevision(revision), slot) => slot.is_some_and(|slot| slot.1 == revision),
        })
    }
}

impl World for DocumentsWorld {
    type Call = DocumentsCall;
    type Answer = DocumentsAnswer;

    fn call(&mut self, random: &mut Random) -> DocumentsCall {
        let key = random.below(self.slots.len());
        let keys = match random.below(2) {
            0 => vec![key],
            _ => (0..self.slots.len()).collect(),
        };
        let only = match random.below(4) {
            0 => Only::IfAbsent,
            1 => {
                let latest = self.known.len().saturating_sub(4);
                Only::IfRevision(self.known[latest + random.below(self.known.len() - latest)])
            }
            _ => Only::Always,
        };
        match random.below(5) {
            0 => DocumentsCall::Get { key },
            1 => DocumentsCall::Dissoc { keys, only },
            kind => {
                self.last += 1;
                let value = self.last;
                match kind {
                    2 => DocumentsCall::Update { key, value },
                    _ => DocumentsCall::Assoc { keys, value, only },
                }
            }
        }
    }

    fn apply(&mut self, call: &DocumentsCall, _: &mut Random) -> DocumentsAnswer {
        match call {
            DocumentsCall::Get { key } => DocumentsAnswer::Found(self.slots[*key]),
            DocumentsCall::Assoc { keys, only, .. } | DocumentsCall::Dissoc { keys, only }
                if !self.admits(keys, *only) =>
            {
                DocumentsAnswer::Conflict
            }
            DocumentsCall::Assoc { keys, value, .. } => {
                self.last += 1;
                let revision = rev(self.last);
                keys.iter().for_each(|key| self.slots[*key] = Some((*value, revision)));
                DocumentsAnswer::Stored(revision)
            }
            DocumentsCall::Update { key, value } => {
                self.last += 1;
                let revision = rev(self.last);
                let old = self.slots[*key].replace((*value, revision));
                DocumentsAnswer::Updated(old.map(|old| old.0), revision)
            }
            DocumentsCall::Dissoc { keys, .. } => {
                let existed = keys.iter().map(|key| self.slots[*key].take().is_some());
                DocumentsAnswer::Removed(existed.collect())
            }
        }
    }

    fn told(&mut self, answer: &DocumentsAnswer) {
        match answer {
            DocumentsAnswer::Stored(revision)
            | DocumentsAnswer::Updated(_, revision)
            | DocumentsAnswer::Found(Some((_, revision))) => self.known.push(*revision),
            _ => {}
        }
    }

    fn distort(&mut self, answer: DocumentsAnswer, random: &mut Random) -> DocumentsAnswer {
        match answer {
            DocumentsAnswer::Found(_) => DocumentsAnswer::Found(self.slots[random.below(self.slots.len())]),
            DocumentsAnswer::Stored(_) => DocumentsAnswer::Conflict,
            // What is there now was not there before.
            DocumentsAnswer::Updated(_, revision) => {
                let now = self.slots.iter().flatten().find(|slot| slot.1 == revision);
                DocumentsAnswer::Updated(now.map(|slot| slot.0), revision)
            }
            DocumentsAnswer::Removed(mut existed) => {
                let key = random.below(existed.len());
                existed[key] = !existed[key];
                DocumentsAnswer::Removed(existed)
            }
            DocumentsAnswer::Conflict => DocumentsAnswer::Stored(rev(self.last + 1)),
        }
    }
}

#[derive(Default)]
pub(super) struct CounterWorld {
    count: (u64, u64),
    last: u64,
}

impl World for CounterWorld {
    type Call = CounterCall;
    type Answer = CounterAnswer;

    fn call(&mut self, random: &mut Random) -> CounterCall {
        if random.below(3) == 0 {
            return CounterCall::Get;
        }
        self.last += 1;
        CounterCall::Add(self.last)
    }

    fn apply(&mut self, call: &CounterCall, _: &mut Random) -> CounterAnswer {
        let old = self.count;
        match call {
            CounterCall::Get => CounterAnswer::Found(old),
            CounterCall::Add(by) => {
                self.count = (old.0 + 1, *by);
                CounterAnswer::Updated { old, new: self.count }
            }
        }
    }

    fn distort(&mut self, answer: CounterAnswer, _: &mut Random) -> CounterAnswer {
        match answer {
            CounterAnswer::Updated { new, .. } => {
                let old = (self.count.0, self.count.1);
                let new = (old.0 + 1, new.1);
                CounterAnswer::Updated { old, new }
            }
            CounterAnswer::Found(_) => CounterAnswer::Found(self.count),
        }
    }
}

#[derive(Default)]
pub(super) struct LogWorld {
    entries: Vec<u64>,
    /// Where it begins. Without trims, readings have no positions.
    first: u64,
    trims: bool,
    last: u64,
}

impl LogWorld {
    pub(super) fn trimmed() -> Self {
        Self {
            trims: true,
            ..Self::default()
        }
    }
}

impl World for LogWorld {
    type Call = LogCall;
    type Answer = LogAnswer;

    fn call(&mut self, random: &mut Random) -> LogCall {
        if self.trims && random.below(5) == 0 {
            let before = random.below(self.entries.len() + 1) as u64;
            return LogCall::Trim { before };
        }
        match random.below(5) {
            0 => LogCall::Read { last: None },
            1 => LogCall::Read {
                last: Some(random.below(3) as u64),
            },
            kind => {
                let count = if kind == 2 { 2 } else { 1 };
                let entries = (self.last..self.last + count).collect();
                self.last += count;
                LogCall::Append(entries)
            }
        }
    }

    fn apply(&mut self, call: &LogCall, _: &mut Random) -> LogAnswer {
        match call {
            LogCall::Append(entries) => {
                self.entries.extend(entries);
                LogAnswer::Appended((self.entries.len() - entries.len()) as u64)
            }
            LogCall::Read { last } => {
                let skipped = last.map_or(0, |last| self.entries.len().saturating_sub(last as usize));
                if !self.trims {
                    return LogAnswer::Entries(self.entries[skipped..].to_vec());
                }
                let all = (0..).zip(self.entries.iter().copied());
                LogAnswer::Positioned(all.skip(skipped.max(self.first as usize)).collect())
            }
            LogCall::Trim { before } => {
                self.first = self.first.max((*before).min(self.entries.len() as u64));
                LogAnswer::Trimmed(self.first)
            }
        }
    }

    fn last_call(&self) -> Option<LogCall> {
        Some(LogCall::Read { last: None })
    }

    fn distort(&mut self, answer: LogAnswer, random: &mut Random) -> LogAnswer {
        match answer {
            LogAnswer::Appended(position) => {
                LogAnswer::Appended(position + 1 - 2 * (random.below(2) as u64).min(position))
            }
            LogAnswer::Entries(mut entries) => {
                match random.below(4) {
                    0 => drop(entries.pop()),
                    1 => entries.reverse(),
                    2 if !entries.is_empty() => drop(entries.remove(0)),
                    _ => entries.extend(self.entries.last()),
                }
                LogAnswer::Entries(entries)
            }
            LogAnswer::Positioned(mut entries) => {
                let end = self.entries.len() as u64;
                match random.below(5) {
                    0 => drop(entries.pop()),
                    1 if !entries.is_empty() => drop(entries.remove(0)),
                    2 => entries.clear(),
                    3 => entries.extend(self.entries.last().map(|last| (end - 1, *last))),
                    _ => {
                        let before = entries.first().map_or(end, |entry| entry.0).checked_sub(1);
                        let more = before.map(|before| (before, self.entries[before as usize]));
                        entries.splice(0..0, more);
                    }
                }
                LogAnswer::Positioned(entries)
            }
            LogAnswer::Trimmed(first) => LogAnswer::Trimmed(first + 1 - 2 * (random.below(2) as u64).min(first)),
        }
    }
}
