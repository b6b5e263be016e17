//! One operation, of which one request after the other suffers one fault after the other.

use std::time::Duration;

use konserve_core::{Error, ErrorKind, Outcome, Result};

use super::control::{Control, Plan};
use crate::Fault;
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, brief, check, same};

/// What part of the time of a trial an operation may take whose requests fail.
const SHARE: u32 = 4;

/// Of how many of its requests most operations suffer, one after the other.
pub(super) const MOST: usize = 12;

/// What fails for good. What is only slow, or done in parts, comes to an end by itself.
const OUTAGES: [Fault; 3] = [Fault::BeforeDispatch, Fault::ReplyLost, Fault::Throttled];

/// Something that an engine or a store can be asked to do.
///
/// What it answers and what is there afterwards are told in words that are the same in every place.
pub(super) trait Operation: Send + Sync {
    /// Where it is done.
    type Place: Send + Sync;

    fn nature(&self) -> Nature;

    /// Makes a place ready that nobody else uses.
    fn prepare(&self, number: usize, outage: bool) -> impl Future<Output = Verdict<Self::Place>> + Send;

    /// Does it. With `outage`, by a handle that does not try for long.
    fn run(&self, place: &Self::Place, outage: bool) -> impl Future<Output = Result<String>> + Send;

    /// What is there, by another handle.
    fn look(&self, place: &Self::Place) -> impl Future<Output = Verdict<String>> + Send;
}

/// What is expected of an operation that fails.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    pub(super) effect: Effect,
    /// The operation that its errors name, and whether they name a key.
    pub(super) names: Option<(&'static str, bool)>,
    /// The most requests of it that suffer, chosen by the seed where there are more.
    pub(super) most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes nothing. One place serves for all of its courses.
    None,
    /// It happens as a whole or not at all.
    Whole,
    /// The same, and asking again with the same words is the same mutation arriving again.
    Identified,
    /// After an error a part may be done, and the error knows; doing it again does the rest.
    Parts,
    /// After an error some of many steps may be done, of which users see nothing; doing it again does the rest.
    Steps,
}

/// What came out when nothing failed.
struct Plain {
    requests: usize,
    before: String,
    answer: String,
    after: String,
}

/// Runs an operation plainly, and then under each fault.
pub(super) async fn sweep<O: Operation>(arena: &Arena, operation: &O) -> Verdict {
    let control = Control::of(arena)?;
    let nature = operation.nature();
    let first = operation.prepare(0, false).await?;
    let before = operation.look(&first).await?;
    let ran = control.during(Plan::Nothing, operation.run(&first, false)).await;
    let plain = Plain {
        requests: ran.requests,
        before,
        answer: ran.answer?,
        after: operation.look(&first).await?,
    };
    check!(plain.requests > 0, "the fault control is not asked about any request");
    check!(
        nature.effect != Effect::Whole || plain.before != plain.after,
        "nothing is to be seen of what was done: {}",
        brief(&plain.after)
    );
    let tested = Tested {
        longest: arena.patience() / SHARE,
        operation,
        control,
        nature,
        plain,
    };
    let mut places = vec![(first, None)];
    for (number, plan) in tested.plans(arena).into_iter().enumerate() {
        let within = |failure: Failure| failure.within(format!("when {plan} of {}", tested.plain.requests));
        if nature.effect == Effect::None {
            tested.suffer(plan, &places[0].0).await.map_err(within)?;
        } else {
            let place = operation.prepare(number + 1, plan.is_outage()).await?;
            let left = tested.suffer(plan, &place).await.map_err(within)?;
            places.push((place, left.map(|left| (left, plan))));
        }
    }
    // Nothing that was known to be over happens later.
    for (place, left) in &places {
        if let Some((left, plan)) = left {
            same!(
                operation.look(place).await?,
                *left,
                "what is there in the end where {plan}"
            );
        }
    }
    Ok(())
}

struct Tested<'a, O> {
    longest: Duration,
    operation: &'a O,
    control: Control,
    nature: Nature,
    plain: Plain,
}

impl<O: Operation> Tested<'_, O> {
    fn plans(&self, arena: &Arena) -> Vec<Plan> {
        let requests = self.plain.requests;
        let last = requests - 1;
        let mut random = arena.random();
        let mut plans = Vec::new();
        for fault in Fault::ALL {
            let mut chosen: Vec<_> = (0..requests).collect();
            while chosen.len() > self.nature.most.max(2) {
                // Never the first one, and never the last.
                chosen.remove(1 + random.below(chosen.len() - 2));
            }
            plans.extend(chosen.into_iter().map(|hit| Plan::One(hit, fault)));
        }
        for fault in OUTAGES {
            plans.push(Plan::From(0, fault));
            if last > 0 {
                plans.push(Plan::From(1 + random.below(last), fault));
            }
        }
        plans
    }

    /// Does it once under a plan, and again after an error. Says what is there in the end, where that is known.
    async fn suffer(&self, plan: Plan, place: &O::Place) -> Verdict<Option<String>> {
        let outage = plan.is_outage();
        let run = tokio::time::timeout(self.longest, self.operation.run(place, outage));
        let ran = self.control.during(plan, run).await;
        let answer = ran
            .answer
            .map_err(|_| Failure::new(format!("it did not come to an end within {:?}", self.longest)))?;
        let seen = self.operation.look(place).await?;
        let error = match answer {
            Ok(answer) => {
                same!(answer, self.plain.answer, "the answer");
                same!(seen, self.plain.after, "what is there after an answer");
                check!(
                    ran.suffered == 0 || !matches!(plan, Plan::From(0, _)),
                    "there was an answer, though none can have come: {answer}"
                );
                return Ok(Some(seen));
            }
            Err(error) => error,
        };
        check!(ran.suffered > 0, "it failed though no request did: {error}: {error:?}");
        self.judge(plan, &error, &seen)?;
        self.again(plan, place, &error, &seen).await
    }

    /// Asks once more, now that nothing fails, and says what is there in the end if nothing can be on its way any more.
    async fn again(&self, plan: Plan, place: &O::Place, error: &Error, seen: &String) -> Verdict<Option<String>> {
        let Plain {
            before, answer, after, ..
        } = &self.plain;
        let is_undone = seen == before;
        // Whoever does not know whether it happened may do it twice, or be told that it was done before.
        let is_known = error.outcome() == Outcome::NotApplied || self.nature.effect != Effect::Whole;
        let again = self.operation.run(place, plan.is_outage()).await;
        let seen = self.operation.look(place).await?;
        match again {
            Ok(again) => {
                if is_known {
                    same!(again, *answer, "the answer to the same call again, after {error}");
                }
                if is_known || is_undone {
                    same!(seen, *after, "what is there after the same call again, after {error}");
                }
            }
            Err(conflict) if conflict.kind() == ErrorKind::Conflict && !is_known && !is_undone => {}
            Err(again) => {
                return Err(Failure::new(format!(
                    "after {error} the same call fails though nothing does any longer: {again}: {again:?}"
                )));
            }
        }
        // What is on its way after an unknown outcome may still arrive.
        Ok((error.outcome() == Outcome::NotApplied).then_some(seen))
    }

    /// Whether an error tells the truth, and all that there is to tell.
    fn judge(&self, plan: Plan, error: &Error, seen: &String) -> Verdict {
        let told = format!("{error}: {error:?}");
        check!(
            is_of_failures(error.kind()),
            "an error of kind {} for a request that failed: {told}",
            error.kind()
        );
        if let Some((operation, has_key)) = self.nature.names {
            check!(
                error.operation() == Some(operation),
                "the error does not name {operation}: {told}"
            );
            check!(
                error.key().is_some() || !has_key,
                "the error does not name the key: {told}"
            );
        }
        let Plain { before, after, .. } = &self.plain;
        let effect = self.nature.effect;
        if effect == Effect::Steps {
            return Ok(());
        }
        if effect == Effect::Parts {
            // Repeating it does no harm, so that any failure will do; but none that says that nothing was done when some was.
            let is_true = error.outcome() != Outcome::NotApplied || seen == before;
            check!(
                is_true,
                "the error says that nothing was changed, but a part was: {told}"
            );
            return Ok(());
        }
        match error.outcome() {
            Outcome::NotApplied => {
                check!(
                    error.kind() != ErrorKind::UnknownOutcome,
                    "an unknown outcome that is known: {told}"
                );
                check!(
                    error.is_retryable(),
                    "not retryable, though it is only a failure: {told}"
                );
                check!(
                    seen == before,
                    "the error says that nothing was changed, but instead of {} there is {}: {told}",
                    brief(before),
                    brief(seen)
                );
            }
            Outcome::Unknown => {
                check!(effect != Effect::None, "a read whose outcome is unknown: {told}");
                check!(
                    error.kind() == ErrorKind::UnknownOutcome,
                    "the outcome is unknown, and the kind is {}: {told}",
                    error.kind()
                );
                check!(!error.is_retryable(), "an unknown outcome that is retryable: {told}");
                check!(
                    plan != Plan::From(0, Fault::Throttled),
                    "whatever was asked was turned down, and so the outcome is known: {told}"
                );
                check!(
                    seen == before || seen == after,
                    "there is neither {} nor {}, but {}: {told}",
                    brief(before),
                    brief(after),
                    brief(seen)
                );
            }
        }
        Ok(())
    }
}

/// Whether errors of this kind say that a request failed, and not something about what is stored or was asked for.
pub(super) fn is_of_failures(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Contended | ErrorKind::UnknownOutcome
    )
}
