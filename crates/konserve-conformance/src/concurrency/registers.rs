//! Writes and removals under every condition, and strong reads, at a few addresses.

use std::sync::Arc;

use konserve_core::Rev;
use konserve_core::backend::{Backend, When};

use super::watched::{Scene, Watched};
use super::{Extent, crowd, judged, linger};
use crate::arena::{Arena, Random, item};
use crate::failure::Verdict;
use crate::linear::{self, Items, ItemsAnswer, ItemsCall, Place};

const REGISTERS: usize = 3;

/// Whether each of a few items, written, removed and read by tasks on two handles, is a linearizable register with
/// conditions. Eventual reads go beside. Uses addresses of documents named `register-…`, which must be vacant.
pub(crate) async fn registers(arena: &Arc<Arena>, handles: [Arc<dyn Backend>; 2], extent: Extent) -> Verdict {
    let addresses = (0..REGISTERS).map(|number| arena.at(&format!("register-{number}")));
    let scene = Scene::new(addresses.collect());
    crowd(arena, extent, |task, random| {
        let watched = scene.watch(&handles[task % 2], task);
        run(Arc::clone(arena), watched, extent.calls, random)
    })
    .await?;
    for (number, handle) in handles.iter().enumerate() {
        let watched = scene.watch(handle, extent.tasks + number);
        for register in 0..REGISTERS {
            watched.read_at_last(register).await?;
        }
    }
    let of = |call: &ItemsCall| match call {
        ItemsCall::Read { member } => *member,
        ItemsCall::Change(parts) => parts.first().map_or(0, |part| part.member),
    };
    for (register, history) in scene.history().split(of) {
        let model = Items::new(vec![Place::Vacant; REGISTERS], &history).after_failures(extent.failures);
        judged(&format!("register {register}"), linear::check(&model, &history))?;
    }
    scene.check_glances()
}

async fn run(arena: Arc<Arena>, watched: Watched, calls: usize, mut random: Random) -> Verdict {
    let mut known = [None; REGISTERS];
    let mut early = None;
    for _ in 0..calls {
        linger(&mut random).await;
        let register = random.below(REGISTERS);
        let kind = random.below(100);
        if kind < 25 {
            if let Some(found) = watched.read(register).await? {
                known[register] = found.map(|item| item.rev);
            }
            continue;
        }
        if kind < 33 {
            watched.glance(register).await?;
            continue;
        }
        // Now and then a revision that was made a while ago: others may have overtaken it.
        let rev = early.take().unwrap_or_else(|| arena.rev());
        if random.below(4) == 0 {
            early = Some(arena.rev());
        }
        let when = condition(register, known[register], &mut random);
        let (answer, place) = match kind < 50 {
            true => (watched.remove(register, rev, when).await?, Place::Tombstone(rev)),
            false => (watched.write(register, item(rev), when).await?, Place::Item(rev)),
        };
        match answer {
            Some(ItemsAnswer::Applied(_)) => known[register] = place.item(),
            Some(ItemsAnswer::Refused(places)) => known[register] = places.first().and_then(|told| told.1.item()),
            Some(ItemsAnswer::Found(_)) | None => {}
        }
    }
    Ok(())
}

/// `Always` knows no revisions, so it gets a register where they need not grow.
fn condition(register: usize, known: Option<Rev>, random: &mut Random) -> When {
    match (random.below(10), known) {
        (0 | 1, _) => When::Absent,
        (2 | 3, _) => When::Exists,
        (4 | 5, _) => When::Newer,
        (6, _) if register == 0 => When::Always,
        (_, Some(rev)) => When::Matches(rev),
        (_, None) => When::Newer,
    }
}
