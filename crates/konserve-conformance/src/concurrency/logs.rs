//! Logs, appended to and read.

use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::join_all;
use konserve_core::Store;

use super::{Extent, call_id, crowd, filler, judged, linger};
use crate::arena::{Arena, Random};
use crate::failure::{Verdict, check};
use crate::linear::{LogAnswer, LogCall, Recorder, check_log};

const LOGS: usize = 2;

/// The most entries that are appended together.
const TOGETHER: usize = 4;

/// Whether logs to which tasks on two stores append, single entries and several together, small and large, and which they read
/// forwards and backwards and trim, are linearizable: one order without gaps, in which every entry is once, at the position that
/// was acknowledged, and a beginning that moves on. The tasks of a store share items. Uses keys named `log-…`, which must be
/// absent.
pub(crate) async fn logs(arena: &Arc<Arena>, stores: [Store; 2], extent: Extent) -> Verdict {
    let recorders: Vec<_> = (0..LOGS).map(|_| Recorder::new()).collect();
    let client = |task: usize| Client {
        store: stores[task % 2].clone(),
        recorders: recorders.clone(),
        task,
    };
    let large = arena.capabilities.transactions.is_some();
    crowd(arena, extent, |task, random| {
        // What the task knows to be there, of each log.
        let known = vec![0; LOGS];
        work(client(task), known, extent.calls, large, random)
    })
    .await?;
    for number in 0..2 {
        let client = client(extent.tasks + number);
        for log in 0..LOGS {
            while client.read(log, None, number == 1).await?.is_none() {
                tokio::task::yield_now().await;
            }
        }
    }
    for (log, recorder) in recorders.iter().enumerate() {
        judged(&format!("log {log}"), check_log(&recorder.history()))?;
    }
    Ok(())
}

async fn work(client: Client, mut known: Vec<u64>, calls: usize, large: bool, mut random: Random) -> Verdict {
    for call in 0..calls {
        linger(&mut random).await;
        let log = random.below(LOGS);
        match random.below(100) {
            0..6 => drop(client.read(log, None, random.below(2) == 0).await?),
            6..20 => {
                let last = Some(random.below(6) as u64);
                drop(client.read(log, last, random.below(2) == 0).await?);
            }
            20..26 => {
                // Some way back, so that others are reading there.
                let before = known[log].saturating_sub(random.below(8) as u64);
                drop(client.trim(log, before).await?);
            }
            26..40 => {
                // At the same time, so that they are sure to meet in one item.
                let first = call_id(client.task, 16 * call) + 1;
                let appends = [0, 1, 2].map(|number| client.append(log, vec![first + number]));
                for answer in join_all(appends).await {
                    if let Some(LogAnswer::Appended(position)) = answer? {
                        known[log] = position + 1;
                    }
                }
            }
            kind => {
                let count = if kind < 58 { 1 + random.below(TOGETHER) } else { 1 };
                let mut first = call_id(client.task, 16 * call);
                if !large || random.below(16) > 0 {
                    first += 1;
                }
                let entries = (first..first + count as u64).collect();
                if let Some(LogAnswer::Appended(position)) = client.append(log, entries).await? {
                    known[log] = position + count as u64;
                }
            }
        }
    }
    Ok(())
}

/// A task's view of a store, which records what it does. Answers are `None` where there was none.
struct Client {
    store: Store,
    recorders: Vec<Recorder<LogCall, LogAnswer>>,
    task: usize,
}

impl Client {
    async fn append(&self, log: usize, entries: Vec<u64>) -> Verdict<Option<LogAnswer>> {
        let key = format!("log-{log}");
        let whole: Vec<_> = entries.iter().map(|entry| (*entry, filler(*entry))).collect();
        let pending = self.recorders[log].invoke(self.task, LogCall::Append(entries));
        let answer = match &whole[..] {
            [one] => self.store.append(key, one).await,
            all => self.store.append_all(key, all).await,
        };
        pending.changed(answer.map(LogAnswer::Appended))
    }

    async fn trim(&self, log: usize, before: u64) -> Verdict<Option<LogAnswer>> {
        let pending = self.recorders[log].invoke(self.task, LogCall::Trim { before });
        let answer = self.store.trim(format!("log-{log}"), before).await;
        // Of an absent key nothing is known to be there.
        pending.changed(answer.map(|first| LogAnswer::Trimmed(first.unwrap_or(0))))
    }

    async fn read(&self, log: usize, last: Option<u64>, reverse: bool) -> Verdict<Option<LogAnswer>> {
        let mut stream = self.store.log::<(u64, String)>(format!("log-{log}")).consistent();
        if let Some(last) = last {
            stream = stream.last(last);
        }
        if reverse {
            stream = stream.reverse();
        }
        let pending = self.recorders[log].invoke(self.task, LogCall::Read { last });
        let answer: Result<Vec<_>, _> = stream.with_positions().try_collect().await;
        let whole = answer.as_ref().map_or(true, |entries| {
            let mut entries = entries.iter();
            entries.all(|(_, (entry, text))| text.len() == filler(*entry).len())
        });
        let told = pending.read(answer.map(|entries| {
            let mut entries: Vec<_> = entries
                .into_iter()
                .map(|(position, (entry, _))| (position, entry))
                .collect();
            if reverse {
                entries.reverse();
            }
            LogAnswer::Positioned(entries)
        }))?;
        check!(
            whole,
            "an entry of log {log} has a text of another length than it was given"
        );
        Ok(told)
    }
}
