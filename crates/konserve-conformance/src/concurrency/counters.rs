//! Counters, counted up by updates inside of documents.

use std::sync::Arc;

use konserve_core::{Path, Store, path};

use super::{Extent, call_id, crowd, judged, linger};
use crate::arena::{Arena, Random};
use crate::failure::Verdict;
use crate::linear::{self, Counter, CounterAnswer, CounterCall, Recorder};

const COUNTERS: usize = 2;

/// A call, and on which counter.
type Call = (usize, CounterCall);

/// Whether counters that tasks on two stores count up by `update_in` are linearizable: each update happens once, between
/// what it says was there and what it says is there. Uses keys named `counter-…`, which must be absent.
pub(crate) async fn counters(arena: &Arc<Arena>, stores: [Store; 2], extent: Extent) -> Verdict {
    let recorders: Vec<_> = (0..COUNTERS).map(|_| Recorder::new()).collect();
    crowd(arena, extent, |task, random| {
        let client = Client {
            store: stores[task % 2].clone(),
            recorders: recorders.clone(),
            task,
        };
        work(client, extent.calls, random)
    })
    .await?;
    for (number, store) in stores.iter().enumerate() {
        let client = Client {
            store: store.clone(),
            recorders: recorders.clone(),
            task: extent.tasks + number,
        };
        for counter in 0..COUNTERS {
            while client.call((counter, CounterCall::Get)).await?.is_none() {
                tokio::task::yield_now().await;
            }
        }
    }
    for (counter, recorder) in recorders.iter().enumerate() {
        let history = recorder.history();
        judged(
            &format!("counter {counter}"),
            linear::check(&Counter::new(&history), &history),
        )?;
    }
    Ok(())
}

async fn work(client: Client, calls: usize, mut random: Random) -> Verdict {
    for number in 0..calls {
        linger(&mut random).await;
        let call = match random.below(4) {
            0 => CounterCall::Get,
            _ => CounterCall::Add(call_id(client.task, number)),
        };
        client.call((random.below(COUNTERS), call)).await?;
    }
    Ok(())
}

/// A task's view of a store, which records what it does.
struct Client {
    store: Store,
    recorders: Vec<Recorder<CounterCall, CounterAnswer>>,
    task: usize,
}

impl Client {
    /// The answer, `None` where there was none.
    async fn call(&self, (counter, call): Call) -> Verdict<Option<CounterAnswer>> {
        let pending = self.recorders[counter].invoke(self.task, call);
        let at: Path = path![format!("counter-{counter}"), "count"];
        match call {
            CounterCall::Add(by) => {
                let one_more = move |old: Option<(u64, u64)>| (old.unwrap_or_default().0 + 1, by);
                let updated = self.store.update_in(at, one_more).await;
                pending.changed(updated.map(|updated| CounterAnswer::Updated {
                    old: updated.old.unwrap_or_default(),
                    new: updated.new,
                }))
            }
            CounterCall::Get => {
                let found = self.store.get_in::<(u64, u64)>(at).consistent().await;
                pending.read(found.map(|count| CounterAnswer::Found(count.unwrap_or_default())))
            }
        }
    }
}
