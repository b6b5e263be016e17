//! Items at several addresses that change together: what engines promise, as a sequential object.

use std::collections::{BTreeMap, BTreeSet};

use konserve_core::Rev;
use konserve_core::backend::When;

use super::checker::Model;
use super::history::{End, History};

/// Some addresses, each of which is a register; with one address, one register.
///
/// Every revision is given to one call only. Nothing is pinned, expires or is purged. A tombstone that no call left shows itself in
/// the answers to mutations alone, so where there may be some ([`Items::after_failures`]), one is there once it is told of.
#[derive(Debug)]
pub(crate) struct Items {
    initial: Vec<Place>,
    /// What revisions are called: their rank.
    names: BTreeMap<Rev, usize>,
    /// What was told by answers or demanded by calls.
    named: BTreeSet<Rev>,
    members: Vec<Member>,
    /// What calls store, and what was there before.
    stored: BTreeSet<Rev>,
    after_failures: bool,
}

/// What the calls of a history mean for one address.
#[derive(Debug, Clone, Copy)]
struct Member {
    /// Revisions only grow here: nothing is written whatever is there.
    grows: bool,
    /// Somebody found an item here, and does not know which.
    item_seen: bool,
    /// Somebody found no item here, and does not know what instead.
    absence_seen: bool,
}

/// What is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Vacant,
    Tombstone(Rev),
    Item(Rev),
}

/// A call. Addresses are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemsCall {
    /// A strong read.
    Read { member: usize },
    /// A write, a removal or a commit.
    Change(Vec<Part>),
}

/// A part of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) member: usize,
    pub(crate) action: Action,
    pub(crate) when: When,
}

/// What a part of a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Write(Rev),
    Remove(Rev),
    Check,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemsAnswer {
    /// Of a read.
    Found(Option<Rev>),
    /// What was replaced, if that is told.
    Applied(Option<Place>),
    /// Some of the parts whose conditions do not hold, by index, and what is there.
    Refused(Vec<(usize, Place)>),
}

impl Items {
    /// The model for a history that begins with this.
    pub(crate) fn new(initial: Vec<Place>, history: &History<ItemsCall, ItemsAnswer>) -> Self {
        let untouched = Member {
            grows: true,
            item_seen: false,
            absence_seen: false,
        };
        let mut items = Self {
            members: vec![untouched; initial.len()],
            names: BTreeMap::new(),
            named: BTreeSet::new(),
            initial,
            stored: BTreeSet::new(),
            after_failures: false,
        };
        let mut all: BTreeSet<Rev> = items.initial.iter().filter_map(|place| place.rev()).collect();
        for operation in history.operations() {
            if let ItemsCall::Change(parts) = &operation.call {
                all.extend(parts.iter().filter_map(|part| part.rev()));
            }
            if !matches!(operation.end, End::Failed) {
                items.note(&operation.call, operation.end.answer());
            }
        }
        items.stored.clone_from(&all);
        all.extend(&items.named);
        items.names = all.into_iter().zip(1..).collect();
        items
    }

    /// For histories in which requests failed: a mutation that is refused over a vacant address may leave a tombstone there.
    pub(crate) fn after_failures(mut self, failures: bool) -> Self {
        self.after_failures = failures;
        self
    }

    /// Whether an answer may tell of this though no call left it.
    fn may_be_left(&self, there: Place, told: Place) -> bool {
        let of_nobody = matches!(told, Place::Tombstone(rev) if !self.stored.contains(&rev));
        self.after_failures && there == Place::Vacant && of_nobody
    }

    fn note(&mut self, call: &ItemsCall, answer: Option<&ItemsAnswer>) {
        match (call, answer) {
            (ItemsCall::Read { .. }, Some(ItemsAnswer::Found(Some(rev)))) => {
                self.named.insert(*rev);
            }
            (ItemsCall::Read { member }, Some(ItemsAnswer::Found(None))) => self.members[*member].absence_seen = true,
            (ItemsCall::Read { .. }, _) => {}
            (ItemsCall::Change(parts), answer) => {
                let told = match answer {
                    Some(ItemsAnswer::Applied(Some(place))) => vec![*place],
                    Some(ItemsAnswer::Refused(places)) => places.iter().map(|(_, place)| *place).collect(),
                    _ => Vec::new(),
                };
                self.named.extend(told.iter().filter_map(|place| place.rev()));
                let untold = told.is_empty();
                for part in parts {
                    let member = &mut self.members[part.member];
                    match part.when {
                        When::Always => member.grows = false,
                        When::Exists => member.item_seen |= untold,
                        When::Absent => member.absence_seen |= untold,
                        When::Matches(rev) => {
                            self.named.insert(rev);
                        }
                        When::Newer => {}
                    }
                }
            }
        }
    }

    fn name(&self, rev: Rev) -> String {
        self.names
            .get(&rev)
            .map_or_else(|| rev.to_string(), |name| format!("r{name}"))
    }

    fn tell_place(&self, place: Place) -> String {
        match place {
            Place::Vacant => "nothing".to_owned(),
            Place::Tombstone(rev) => format!("tombstone {}", self.name(rev)),
            Place::Item(rev) => format!("item {}", self.name(rev)),
        }
    }

    fn tell_part(&self, part: Part) -> String {
        let what = match part.action {
            Action::Write(rev) => format!("write {} at {}", self.name(rev), part.member),
            Action::Remove(rev) => format!("remove as {} at {}", self.name(rev), part.member),
            Action::Check => format!("check {}", part.member),
        };
        let when = match part.when {
            When::Always => "always".to_owned(),
            When::Absent => "if absent".to_owned(),
            When::Exists => "if there".to_owned(),
            When::Matches(rev) => format!("if {}", self.name(rev)),
            When::Newer => "if newer".to_owned(),
        };
        format!("{what} {when}")
    }
}

impl Place {
    pub(crate) fn rev(self) -> Option<Rev> {
        match self {
            Self::Vacant => None,
            Self::Tombstone(rev) | Self::Item(rev) => Some(rev),
        }
    }

    /// The revision of the item.
    pub(crate) fn item(self) -> Option<Rev> {
        match self {
            Self::Item(rev) => Some(rev),
            Self::Vacant | Self::Tombstone(_) => None,
        }
    }
}

impl Part {
    pub(crate) fn write(member: usize, rev: Rev, when: When) -> Self {
        let action = Action::Write(rev);
        Self { member, action, when }
    }

    pub(crate) fn remove(member: usize, rev: Rev, when: When) -> Self {
        let action = Action::Remove(rev);
        Self { member, action, when }
    }

    pub(crate) fn check(member: usize, when: When) -> Self {
        let action = Action::Check;
        Self { member, action, when }
    }

    /// The revision that it stores.
    pub(crate) fn rev(&self) -> Option<Rev> {
        match self.action {
            Action::Write(rev) | Action::Remove(rev) => Some(rev),
            Action::Check => None,
        }
    }

    fn result(&self) -> Option<Place> {
        match self.action {
            Action::Write(rev) => Some(Place::Item(rev)),
            Action::Remove(rev) => Some(Place::Tombstone(rev)),
            Action::Check => None,
        }
    }

    /// The table of conditions, as `docs/contract.md` has it. On purpose not asked of konserve's own code.
    fn admitted_by(&self, place: Place) -> bool {
        let mine_is_higher = match (self.rev(), place.rev()) {
            (Some(mine), Some(there)) => mine > there,
            _ => true,
        };
        match self.when {
            When::Always => true,
            When::Absent => place.item().is_none() && mine_is_higher,
            When::Exists => place.item().is_some() && mine_is_higher,
            When::Matches(rev) => place.item() == Some(rev) && mine_is_higher,
            When::Newer => mine_is_higher,
        }
    }
}

impl Model for Items {
    type State = Vec<Place>;
    type Call = ItemsCall;
    type Answer = ItemsAnswer;

    fn initial(&self) -> Vec<Place> {
        self.initial.clone()
    }

    fn step(&self, state: &Vec<Place>, call: &ItemsCall, answer: Option<&ItemsAnswer>) -> Option<Vec<Place>> {
        let parts = match call {
            ItemsCall::Read { member } => {
                let right = match answer {
                    None => true,
                    Some(ItemsAnswer::Found(found)) => *found == state[*member].item(),
                    Some(_) => false,
                };
                return right.then(|| state.clone());
            }
            ItemsCall::Change(parts) => parts,
        };
        let mut state = state.clone();
        let told: &[(usize, Place)] = match answer {
            Some(ItemsAnswer::Applied(Some(previous))) => &[(0, *previous)],
            Some(ItemsAnswer::Refused(places)) => places,
            _ => &[],
        };
        for (index, told) in told {
            if let Some(part) = parts.get(*index)
                && self.may_be_left(state[part.member], *told)
            {
                state[part.member] = *told;
            }
        }
        let all_hold = parts.iter().all(|part| part.admitted_by(state[part.member]));
        let right = match answer {
            None => all_hold,
            Some(ItemsAnswer::Applied(None)) => all_hold,
            Some(ItemsAnswer::Applied(Some(previous))) => all_hold && *previous == state[parts.first()?.member],
            Some(ItemsAnswer::Refused(places)) => {
                let told_rightly = |(index, place): &(usize, Place)| {
                    let part = parts.get(*index);
                    part.is_some_and(|part| state[part.member] == *place && !part.admitted_by(*place))
                };
                let right = !places.is_empty() && places.iter().all(told_rightly);
                return right.then_some(state);
            }
            Some(ItemsAnswer::Found(_)) => false,
        };
        right.then(|| {
            for part in parts {
                if let Some(result) = part.result() {
                    state[part.member] = result;
                }
            }
            state
        })
    }

    /// Where revisions only grow, what is lower than what is there was before.
    fn passed(&self, state: &Vec<Place>, call: &ItemsCall, answer: &ItemsAnswer) -> bool {
        let below =
            |member: usize, rev: Option<Rev>| self.members[member].grows && rev.is_some() && rev < state[member].rev();
        match (call, answer) {
            (ItemsCall::Read { member }, ItemsAnswer::Found(found)) => below(*member, *found),
            (ItemsCall::Change(parts), ItemsAnswer::Applied(previous)) => {
                let previous = previous.and_then(Place::rev);
                parts
                    .iter()
                    .any(|part| below(part.member, part.rev()) || below(part.member, previous))
            }
            (ItemsCall::Change(parts), ItemsAnswer::Refused(places)) => places.iter().any(|(index, place)| {
                let part = parts.get(*index);
                part.is_some_and(|part| below(part.member, place.rev()))
            }),
            _ => false,
        }
    }

    /// A change that nobody saw may as well not have happened, unless somebody found an item, or none, and does not know which:
    /// revisions grow over it as they grow over what was there before.
    fn reduce(&self, open: &ItemsCall) -> Option<ItemsCall> {
        let ItemsCall::Change(parts) = open else { return None };
        let unseen = |part: &Part| {
            let member = self.members[part.member];
            match part.action {
                Action::Write(rev) => member.grows && !member.item_seen && !self.named.contains(&rev),
                Action::Remove(rev) => member.grows && !member.absence_seen && !self.named.contains(&rev),
                Action::Check => true,
            }
        };
        (!parts.iter().all(unseen)).then(|| open.clone())
    }

    fn tell(&self, call: &ItemsCall, answer: Option<&ItemsAnswer>) -> String {
        let call = match call {
            ItemsCall::Read { member } => format!("read {member}"),
            ItemsCall::Change(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.tell_part(*part)).collect();
                parts.join(", ")
            }
        };
        let answer = match answer {
            None => "unknown".to_owned(),
            Some(ItemsAnswer::Found(None)) => "nothing".to_owned(),
            Some(ItemsAnswer::Found(Some(rev))) => self.name(*rev),
            Some(ItemsAnswer::Applied(None)) => "applied".to_owned(),
            Some(ItemsAnswer::Applied(Some(place))) => format!("applied over {}", self.tell_place(*place)),
            Some(ItemsAnswer::Refused(places)) => {
                let places: Vec<_> = places
                    .iter()
                    .map(|(index, place)| format!("{index} by {}", self.tell_place(*place)))
                    .collect();
                format!("refused: {}", places.join(", "))
            }
        };
        format!("{call} -> {answer}")
    }

    fn tell_state(&self, state: &Vec<Place>) -> String {
        let occupied = state.iter().enumerate().filter(|(_, place)| **place != Place::Vacant);
        let places: Vec<_> = occupied
            .map(|(member, place)| format!("{member}: {}", self.tell_place(*place)))
            .collect();
        match places.is_empty() {
            true => "nothing".to_owned(),
            false => places.join(", "),
        }
    }
}
