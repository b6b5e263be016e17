//! Every condition over every occupant, in single mutations and in commits, by a table written out here.

use std::sync::Arc;

use konserve_core::Rev;
use konserve_core::backend::{Address, Committed, Item, Mutation, Occupant, When, Written};

use crate::arena::{Arena, expired, item, shows, tells};
use crate::failure::{Failure, Verdict, brief, check, same};
use crate::trial::{Capability, Trial};

/// What the mutation finds. "Lower" and "higher" compare its revision with that of the mutation; "mine" is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Vacant,
    Tombstone(Compared),
    Live(Compared),
    Pinned(Compared),
    Expired(Compared),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Lower,
    Higher,
    Mine,
}

/// The condition, `Matches` with the revision that is there or with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Always,
    Absent,
    Exists,
    MatchesIt,
    MatchesOther,
    Newer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write,
    Remove,
}

impl Over {
    const ALL: [Self; 13] = {
        use Compared::*;
        [
            Self::Vacant,
            Self::Tombstone(Lower),
            Self::Tombstone(Higher),
            Self::Tombstone(Mine),
            Self::Live(Lower),
            Self::Live(Higher),
            Self::Live(Mine),
            Self::Pinned(Lower),
            Self::Pinned(Higher),
            Self::Pinned(Mine),
            Self::Expired(Lower),
            Self::Expired(Higher),
            Self::Expired(Mine),
        ]
    };

    fn compared(self) -> Option<Compared> {
        match self {
            Self::Vacant => None,
            Self::Tombstone(compared) | Self::Live(compared) | Self::Pinned(compared) | Self::Expired(compared) => {
                Some(compared)
            }
        }
    }

    fn name(self) -> String {
        let what = match self {
            Self::Vacant => return "vacant".to_owned(),
            Self::Tombstone(_) => "tombstone",
            Self::Live(_) => "live",
            Self::Pinned(_) => "pinned",
            Self::Expired(_) => "expired",
        };
        let compared = match self.compared() {
            Some(Compared::Higher) => "higher",
            Some(Compared::Mine) => "mine",
            Some(Compared::Lower) | None => "lower",
        };
        format!("{what}-{compared}")
    }

    /// Brings it about.
    async fn prepare(self, arena: &Arena, at: &Address, rev: Rev) -> Verdict {
        match self {
            Self::Vacant => Ok(()),
            Self::Tombstone(_) => arena.bury(at, rev).await,
            Self::Live(_) => arena.put(at, &item(rev)).await,
            Self::Pinned(_) => {
                let pinned = Item {
                    pinned: true,
                    ..item(rev)
                };
                arena.put(at, &pinned).await
            }
            Self::Expired(_) => arena.put(at, &expired(rev)).await,
        }
    }

    /// What is then there.
    fn occupant(self, rev: Rev) -> Option<Occupant> {
        match self {
            Self::Vacant => None,
            Self::Tombstone(_) | Self::Expired(_) => Some(Occupant::Tombstone(rev)),
            Self::Live(_) => Some(Occupant::Item(item(rev))),
            Self::Pinned(_) => Some(Occupant::Item(Item {
                pinned: true,
                ..item(rev)
            })),
        }
    }
}

impl Demand {
    const ALL: [Self; 6] = [
        Self::Always,
        Self::Absent,
        Self::Exists,
        Self::MatchesIt,
        Self::MatchesOther,
        Self::Newer,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Absent => "absent",
            Self::Exists => "exists",
            Self::MatchesIt => "matches-it",
            Self::MatchesOther => "matches-other",
            Self::Newer => "newer",
        }
    }

    fn clause(self) -> &'static str {
        match self {
            Self::Always => "B-WHEN-1",
            Self::Absent => "B-WHEN-2",
            Self::Exists => "B-WHEN-3",
            Self::MatchesIt | Self::MatchesOther => "B-WHEN-4",
            Self::Newer => "B-WHEN-5",
        }
    }

    fn when(self, there: Rev, other: Rev) -> When {
        match self {
            Self::Always => When::Always,
            Self::Absent => When::Absent,
            Self::Exists => When::Exists,
            Self::MatchesIt => When::Matches(there),
            Self::MatchesOther => When::Matches(other),
            Self::Newer => When::Newer,
        }
    }

    /// The table of `docs/contract.md`, for an occupant that is not of the mutation's own revision.
    fn applies(self, over: Over) -> bool {
        use Compared::Lower;
        match self {
            Self::Always => !matches!(over, Over::Pinned(_)),
            Self::Absent => matches!(over, Over::Vacant | Over::Tombstone(Lower) | Over::Expired(Lower)),
            Self::Exists => matches!(over, Over::Live(Lower)),
            Self::MatchesIt => matches!(over, Over::Live(Lower) | Over::Pinned(Lower)),
            Self::MatchesOther => false,
            Self::Newer => matches!(
                over,
                Over::Vacant | Over::Tombstone(Lower) | Over::Expired(Lower) | Over::Live(Lower)
            ),
        }
    }
}

/// One row of the table, ready to be tried.
struct Case {
    operation: Operation,
    demand: Demand,
    over: Over,
    at: Address,
    before: Option<Occupant>,
    mine: Rev,
    when: When,
}

impl Case {
    async fn prepare(arena: &Arena, operation: Operation, demand: Demand, over: Over) -> Verdict<Self> {
        let (lower, mine, higher, other) = (arena.rev(), arena.rev(), arena.rev(), arena.rev());
        let there = match over.compared() {
            Some(Compared::Mine) => mine,
            Some(Compared::Higher) => higher,
            Some(Compared::Lower) | None => lower,
        };
        let at = arena.at("case");
        over.prepare(arena, &at, there).await?;
        Ok(Self {
            operation,
            demand,
            over,
            at,
            before: over.occupant(there),
            mine,
            when: demand.when(there, other),
        })
    }

    fn repeats(&self) -> bool {
        self.over.compared() == Some(Compared::Mine)
    }

    fn applies(&self) -> bool {
        self.repeats() || self.demand.applies(self.over)
    }

    /// What must be there in the end.
    fn after(&self) -> Option<Occupant> {
        if self.repeats() || !self.applies() {
            return self.before.clone();
        }
        Some(match self.operation {
            Operation::Write => Occupant::Item(item(self.mine)),
            Operation::Remove => Occupant::Tombstone(self.mine),
        })
    }

    fn mutation(&self) -> Mutation {
        let (at, when) = (self.at.clone(), self.when);
        match self.operation {
            Operation::Write => Mutation::Write {
                at,
                item: item(self.mine),
                when,
            },
            Operation::Remove => Mutation::Remove {
                at,
                rev: self.mine,
                when,
            },
        }
    }

    fn check_current(&self, current: Option<&Occupant>) -> Verdict {
        check!(
            shows(current, self.before.as_ref()),
            "refused, but told of {} where {} is",
            brief(&current),
            brief(&self.before)
        );
        Ok(())
    }

    async fn check_after(&self, arena: &Arena) -> Verdict {
        same!(
            arena.occupant(&self.at).await?,
            self.after(),
            "what is there afterwards"
        );
        Ok(())
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for demand in Demand::ALL {
        for over in Over::ALL {
            if over == Over::Vacant && demand == Demand::MatchesIt {
                continue; // nothing is there that could match
            }
            for operation in [Operation::Write, Operation::Remove] {
                trials.push(single(operation, demand, over));
                trials.push(committed(operation, demand, over));
            }
        }
    }
    trials.extend(checks());
    trials.push(Trial::new(
        "when.revisions-compare-whole",
        &["B-WHEN-8"],
        revisions_compare_whole,
    ));
    trials.push(Trial::new(
        "when.matches-compares-whole",
        &["B-WHEN-4", "B-WHEN-8"],
        matches_compares_whole,
    ));
    trials
}

fn id(operation: &str, demand: Demand, over: Over) -> String {
    let verdict = match over.compared() {
        Some(Compared::Mine) => "repeated-over",
        _ if demand.applies(over) => "applied-over",
        _ => "refused-by",
    };
    format!("{operation}.when-{}.{verdict}-{}", demand.name(), over.name())
}

/// The clauses that a row of the table stands for.
fn clauses(demand: Demand, over: Over, more: [&'static str; 2]) -> &'static [&'static str] {
    let special = match over {
        _ if over.compared() == Some(Compared::Mine) => "B-WHEN-7",
        Over::Expired(_) => "B-WHEN-6",
        _ => demand.clause(),
    };
    // A few hundred small lists that live as long as the program that runs the trials.
    Box::leak(Box::new([special, more[0], more[1]]))
}

fn single(operation: Operation, demand: Demand, over: Over) -> Trial {
    let (name, more) = match operation {
        Operation::Write => ("write", ["B-WRITE-2", "B-WRITE-3"]),
        Operation::Remove => ("remove", ["B-REMOVE-3", "B-REMOVE-4"]),
    };
    let run = move |arena: Arc<Arena>| async move {
        let case = Case::prepare(&arena, operation, demand, over).await?;
        let answer = match operation {
            Operation::Write => arena.backend.write(&case.at, item(case.mine), case.when).await?,
            Operation::Remove => arena.backend.remove(&case.at, case.mine, case.when).await?,
        };
        match (&answer, case.applies()) {
            (Written::Applied { .. }, true) if case.repeats() => {} // what it once replaced is open
            (Written::Applied { previous }, true) => {
                let unknown_allowed = operation == Operation::Write;
                check!(
                    tells(previous, case.before.as_ref(), unknown_allowed),
                    "applied, but told of having replaced {} where {} was",
                    brief(previous),
                    brief(&case.before)
                );
            }
            (Written::Refused { current }, false) => case.check_current(current.as_ref())?,
            (_, applies) => return Err(wrong(applies, &answer)),
        }
        case.check_after(&arena).await
    };
    Trial::new(id(name, demand, over), clauses(demand, over, more), run)
}

fn committed(operation: Operation, demand: Demand, over: Over) -> Trial {
    let name = match operation {
        Operation::Write => "commit.write",
        Operation::Remove => "commit.remove",
    };
    let run = move |arena: Arc<Arena>| async move {
        let case = Case::prepare(&arena, operation, demand, over).await?;
        let companion = (arena.at("companion"), item(arena.rev()));
        let all = vec![
            Mutation::Write {
                at: companion.0.clone(),
                item: companion.1.clone(),
                when: When::Newer,
            },
            case.mutation(),
        ];
        let answer = arena.backend.commit(all).await?;
        match (&answer, case.applies()) {
            (Committed::Applied, true) => {}
            (Committed::Refused(refusals), false) => {
                same!(
                    refusals.iter().map(|refusal| refusal.index).collect::<Vec<_>>(),
                    [1],
                    "the mutations that were refused"
                );
                case.check_current(refusals[0].current.as_ref())?;
            }
            (_, applies) => return Err(wrong(applies, &answer)),
        }
        case.check_after(&arena).await?;
        // A repetition happened as a whole before, and so the companion must not come now.
        let came = (case.applies() && !case.repeats()).then_some(companion.1);
        same!(arena.get(&companion.0).await?, came, "the other item of the commit");
        Ok(())
    };
    let clauses = clauses(demand, over, ["B-COMMIT-2", "B-COMMIT-3"]);
    Trial::new(id(name, demand, over), clauses, run).needs(Capability::Transactions)
}

/// Checks of a commit over every occupant.
fn checks() -> Vec<Trial> {
    let mut trials = Vec::new();
    for demand in [Demand::Absent, Demand::Exists, Demand::MatchesIt, Demand::MatchesOther] {
        for over in Over::ALL {
            if over.compared().is_some_and(|compared| compared != Compared::Lower)
                || (over == Over::Vacant && demand == Demand::MatchesIt)
            {
                continue; // a check has no revision of its own to compare with
            }
            let live = matches!(over, Over::Live(_) | Over::Pinned(_));
            let holds = match demand {
                Demand::Absent => !live,
                Demand::Exists | Demand::MatchesIt => live,
                Demand::MatchesOther | Demand::Always | Demand::Newer => false,
            };
            let verdict = if holds { "holds-over" } else { "fails-over" };
            let state = over.name().replace("-lower", "");
            let id = format!("commit.check-{}.{verdict}-{state}", demand.name());
            let run = move |arena: Arc<Arena>| check_over(arena, demand, over, holds);
            let trial = Trial::new(id, &["B-COMMIT-4", "B-COMMIT-2", "B-COMMIT-3"], run);
            trials.push(trial.needs(Capability::Transactions));
        }
    }
    trials
}

async fn check_over(arena: Arc<Arena>, demand: Demand, over: Over, holds: bool) -> Verdict {
    let case = Case::prepare(&arena, Operation::Write, demand, over).await?;
    let companion = (arena.at("companion"), item(arena.rev()));
    let all = vec![
        Mutation::Check {
            at: case.at.clone(),
            when: case.when,
        },
        Mutation::Write {
            at: companion.0.clone(),
            item: companion.1.clone(),
            when: When::Absent,
        },
    ];
    let answer = arena.backend.commit(all).await?;
    match (&answer, holds) {
        (Committed::Applied, true) => {}
        (Committed::Refused(refusals), false) => {
            same!(
                refusals.iter().map(|refusal| refusal.index).collect::<Vec<_>>(),
                [0],
                "the mutations that were refused"
            );
            case.check_current(refusals[0].current.as_ref())?;
        }
        (_, applies) => return Err(wrong(applies, &answer)),
    }
    same!(arena.occupant(&case.at).await?, case.before, "what was only checked");
    let came = holds.then_some(companion.1);
    same!(arena.get(&companion.0).await?, came, "the other item of the commit");
    Ok(())
}

/// Pairs of revisions, lower first, each of which an engine that compares a part, or signed, takes for the reverse.
async fn revisions_compare_whole(arena: Arc<Arena>) -> Verdict {
    let rev = |bytes: [u8; 16]| Rev::from_bytes(bytes);
    let at_byte = |index: usize, value: u8| {
        let mut bytes = [0x40; 16];
        bytes[index] = value;
        rev(bytes)
    };
    let mut pairs = vec![
        (rev([0x7F; 16]), rev([0x80; 16])),
        (at_byte(0, 0x01), at_byte(0, 0xFE)),
        (at_byte(8, 0x7F), at_byte(8, 0x80)),
    ];
    pairs.extend((0..16).map(|index| (at_byte(index, 0x3F), at_byte(index, 0x41))));
    // The first difference decides, whatever comes after.
    pairs.extend((0..15).map(|index| {
        let (mut low, mut high) = ([0xFF; 16], [0x00; 16]);
        low[..=index].fill(0x40);
        high[..=index].fill(0x40);
        low[index] = 0x3F;
        (rev(low), rev(high))
    }));
    for (number, (low, high)) in pairs.into_iter().enumerate() {
        let at = arena.at(&format!("pair-{number}"));
        arena.put(&at, &item(low)).await?;
        let rises = arena.backend.write(&at, item(high), When::Newer).await?;
        check!(
            matches!(rises, Written::Applied { .. }),
            "{high} over {low} was refused as not newer"
        );
        let falls = arena.backend.write(&at, item(low), When::Newer).await?;
        check!(
            matches!(falls, Written::Refused { .. }),
            "{low} over {high} was applied as newer"
        );
        same!(arena.get(&at).await?, Some(item(high)), "what is there afterwards");
    }
    Ok(())
}

/// A revision that differs in one byte is another one.
async fn matches_compares_whole(arena: Arc<Arena>) -> Verdict {
    let (at, there, mine) = (arena.at("a"), [0x40; 16], Rev::from_bytes([0xF0; 16]));
    arena.put(&at, &item(Rev::from_bytes(there))).await?;
    for index in 0..16 {
        let mut bytes = there;
        bytes[index] ^= 1;
        let other = Rev::from_bytes(bytes);
        let written = arena.backend.write(&at, item(mine), When::Matches(other)).await?;
        check!(
            matches!(written, Written::Refused { .. }),
            "a write that demands {other} was applied over {}",
            Rev::from_bytes(there)
        );
        let removed = arena.backend.remove(&at, mine, When::Matches(other)).await?;
        check!(
            matches!(removed, Written::Refused { .. }),
            "a removal that demands {other} was applied over {}",
            Rev::from_bytes(there)
        );
    }
    let demand = When::Matches(Rev::from_bytes(there));
    let written = arena.backend.write(&at, item(mine), demand).await?;
    check!(
        matches!(written, Written::Applied { .. }),
        "a write that demands what is there: {written:?}"
    );
    Ok(())
}

#[track_caller]
fn wrong(applies: bool, answer: &impl std::fmt::Debug) -> Failure {
    let should = if applies { "applied" } else { "refused" };
    Failure::new(format!("should be {should}, but the answer is {}", brief(answer)))
}
