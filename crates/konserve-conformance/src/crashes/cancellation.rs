//! Dropping the futures of calls, after each poll.

use std::collections::BTreeSet;
use std::sync::Arc;

use konserve_core::backend::Reach;
use konserve_core::layer::{Fault, Layer};

use super::Stage;
use super::aftermath::{self, Attempt, Late};
use super::operations::Operation;
use super::wire::{Fate, Wire};
use crate::arena::{Arena, Random};
use crate::failure::{Verdict, check};
use crate::polls;

/// Up to how many polls are tried one by one, on an engine in this process, where an attempt takes microseconds, and on
/// others.
const ALL_HERE: usize = 60;
const ALL_ELSEWHERE: usize = 8;

/// Of more than that, so many: some at the beginning, some at the end, and some in between.
const SOME: usize = 8;

pub(super) async fn cancellations(arena: Arc<Arena>, operation: &'static Operation) -> Verdict {
    let mut random = arena.random();
    let all = match arena.capabilities.reach {
        Reach::Process => ALL_HERE,
        _ => ALL_ELSEWHERE,
    };
    let stage = Stage::open(arena, operation).await?;
    let mut late = Late::new();
    // As a measure, once to the end.
    stage.prepare(0).await?;
    let (ended, total) = stage.give_up(0, usize::MAX, Fate::Arrives, &mut late).await?;
    check!(ended, "{} was not done", operation.name);
    stage.recover(0).await?;

    let mut attempts = Vec::new();
    for (number, (polls, fate)) in (1..).zip(plan(total, all, &mut random)) {
        stage.prepare(number).await?;
        let (ended, _) = stage.give_up(number, polls, fate, &mut late).await?;
        attempts.push(Attempt {
            number,
            story: match fate {
                Fate::Arrives => format!("{} was given up after {polls} polls", operation.name),
                Fate::Dropped => format!("{} was dropped with its requests after {polls} polls", operation.name),
            },
            ended,
            late: !ended && (fate == Fate::Dropped || operation.carried_on),
        });
        stage.recover(number).await?;
    }
    attempts.push(Attempt {
        number: 0,
        story: format!("{} was done", operation.name),
        ended: true,
        late: false,
    });
    aftermath::examine(stage, attempts, late).await
}

/// After how many polls of so many to give up, and what then becomes of the requests. Begins with giving up at once.
fn plan(total: usize, all: usize, random: &mut Random) -> Vec<(usize, Fate)> {
    let fates = [Fate::Arrives, Fate::Dropped];
    if total <= all {
        return (0..total).flat_map(|polls| fates.map(|fate| (polls, fate))).collect();
    }
    let mut polls = BTreeSet::from([0, 1, 2, total - 2, total - 1]);
    while polls.len() < SOME {
        polls.insert(random.below(total));
    }
    let first = random.below(2);
    polls.into_iter().zip(fates.into_iter().cycle().skip(first)).collect()
}

impl Stage {
    /// Polls the call so often at most and then drops it. Says whether it had ended before, and how often it was polled.
    async fn give_up(&self, attempt: u32, most: usize, fate: Fate, late: &mut Late) -> Verdict<(bool, usize)> {
        let wire = Wire::new(Arc::clone(&self.handle), fate);
        // On engines that answer at once there would be nothing in between.
        let slow = Layer::new(wire.clone(), |_| Some(Fault::Slow));
        let call = (self.operation.call)(self.scene(attempt, slow));
        let (ended, polls) = polls::up_to(most, call).await;
        let ended = ended.transpose();
        let ended = ended.map_err(|error| self.failed(&format!("it failed, with {most} polls allowed"), &error))?;
        wire.quiet().await;
        late.extend(wire.late_chunks());
        Ok((ended.is_some(), polls))
    }
}
