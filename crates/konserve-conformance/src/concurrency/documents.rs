//! Documents of a store: one key at a time, and several at once.

use std::sync::Arc;

use konserve_core::{Error, ErrorKind, Key, Revision, Store};

use super::{Extent, call_id, crowd, filler, judged, linger};
use crate::arena::{Arena, Random};
use crate::failure::{Verdict, check, same};
use crate::linear::{self, DocumentsAnswer, DocumentsCall, Only, Pending, Recorder, ValueId, check_documents};

/// Small and large values.
type Value = (ValueId, String);

/// Whether each of a few keys, stored, removed and read by tasks on two stores, with and without conditions, small and
/// large, is a linearizable register. Uses keys named `document-…`, which must be absent.
pub(crate) async fn documents(arena: &Arc<Arena>, stores: [Store; 2], extent: Extent) -> Verdict {
    const KEYS: usize = 3;
    let history = run(arena, stores, extent, KEYS, "document", 1).await?;
    let of = |call: &DocumentsCall| match call {
        DocumentsCall::Get { key } | DocumentsCall::Update { key, .. } => *key,
        DocumentsCall::Assoc { keys, .. } | DocumentsCall::Dissoc { keys, .. } => keys.first().copied().unwrap_or(0),
    };
    for (key, history) in history.split(of) {
        judged(&format!("document {key}"), check_documents(KEYS, &history))?;
    }
    Ok(())
}

/// Whether a group of keys that `multi_assoc` and `multi_dissoc` change together, and single calls one by one, is one
/// linearizable object: all or nothing for whoever reads. Uses keys named `member-…`, which must be absent.
pub(crate) async fn multi_keys(arena: &Arc<Arena>, stores: [Store; 2], extent: Extent) -> Verdict {
    const KEYS: usize = 3;
    let history = run(arena, stores, extent, KEYS, "member", KEYS).await?;
    judged("a group of keys", check_documents(KEYS, &history))
}

type Calls = Recorder<DocumentsCall, DocumentsAnswer>;

/// Lets tasks work with keys, up to `most` of them at once.
async fn run(
    arena: &Arc<Arena>,
    stores: [Store; 2],
    extent: Extent,
    keys: usize,
    name: &'static str,
    most: usize,
) -> Verdict<linear::History<DocumentsCall, DocumentsAnswer>> {
    let recorder = Calls::new();
    let client = |task: usize| Client {
        store: stores[task % 2].clone(),
        recorder: recorder.clone(),
        task,
        name,
    };
    let large = arena.capabilities.transactions.is_some();
    crowd(arena, extent, |task, random| {
        work(client(task), extent.calls, keys, most, large, random)
    })
    .await?;
    for number in 0..2 {
        let client = client(extent.tasks + number);
        for key in 0..keys {
            while client.get(key).await?.is_none() {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(recorder.history())
}

async fn work(client: Client, calls: usize, keys: usize, most: usize, large: bool, mut random: Random) -> Verdict {
    let mut known: Vec<Option<Revision>> = vec![None; keys];
    for call in 0..calls {
        linger(&mut random).await;
        let first = random.below(keys);
        let some: Vec<_> = match most {
            1 => vec![first],
            most => (first..first + 2 + random.below(most - 1))
                .map(|key| key % keys)
                .collect(),
        };
        let only = match (random.below(6), known[first]) {
            (0, _) => Only::IfAbsent,
            (1 | 2, Some(revision)) => Only::IfRevision(revision),
            _ => Only::Always,
        };
        let mut id = call_id(client.task, 8 * call);
        if !large || random.below(6) > 0 {
            id += 1 + random.below(7) as u64;
        }
        let answer = match random.below(100) {
            0..40 => client.get(first).await?,
            40..60 => {
                client
                    .dissoc(vec![first], if only == Only::IfAbsent { Only::Always } else { only })
                    .await?
            }
            60..80 if most > 1 => client.assoc(some, id, Only::Always).await?,
            80..90 if most > 1 => client.dissoc(some, Only::Always).await?,
            _ => client.assoc(vec![first], id, only).await?,
        };
        match answer {
            Some(DocumentsAnswer::Found(found)) => known[first] = found.map(|found| found.1),
            Some(DocumentsAnswer::Stored(revision)) => known[first] = Some(revision),
            _ => {}
        }
    }
    Ok(())
}

/// A task's view of a store, which records what it does. Answers are `None` where there was none.
struct Client {
    store: Store,
    recorder: Calls,
    task: usize,
    name: &'static str,
}

impl Client {
    fn key(&self, key: usize) -> Key {
        Key::from(format!("{}-{key}", self.name))
    }

    async fn get(&self, key: usize) -> Verdict<Option<DocumentsAnswer>> {
        let pending = self.recorder.invoke(self.task, DocumentsCall::Get { key });
        let answer = self.store.get::<Value>(self.key(key)).consistent().with_meta().await;
        let found = answer.as_ref().ok().cloned().flatten();
        let told = pending.read(answer.map(|found| {
            let found = found.map(|((id, _), meta)| (id, meta.revision));
            DocumentsAnswer::Found(found)
        }))?;
        if let Some(((id, text), _)) = found {
            same!(
                text.len(),
                filler(id).len(),
                "the length of value {id} at {}",
                self.key(key)
            );
        }
        Ok(told)
    }

    async fn assoc(&self, keys: Vec<usize>, value: ValueId, only: Only) -> Verdict<Option<DocumentsAnswer>> {
        let stored = (value, filler(value));
        let names: Vec<_> = keys.iter().map(|key| self.key(*key)).collect();
        let call = DocumentsCall::Assoc { keys, value, only };
        let pending = self.recorder.invoke(self.task, call);
        let answer = match &names[..] {
            [name] => {
                let assoc = self.store.assoc(name.clone(), &stored);
                match only {
                    Only::Always => assoc.await,
                    Only::IfAbsent => assoc.if_absent().await,
                    Only::IfRevision(revision) => assoc.if_revision(revision).await,
                }
            }
            _ => {
                let pairs = names.into_iter().map(|name| (name, &stored));
                self.store.multi_assoc(pairs).await
            }
        };
        ended(pending, answer.map(DocumentsAnswer::Stored))
    }

    async fn dissoc(&self, keys: Vec<usize>, only: Only) -> Verdict<Option<DocumentsAnswer>> {
        let names: Vec<_> = keys.iter().map(|key| self.key(*key)).collect();
        let call = DocumentsCall::Dissoc { keys, only };
        let pending = self.recorder.invoke(self.task, call);
        let answer = match &names[..] {
            [name] => {
                let dissoc = self.store.dissoc(name.clone());
                let existed = match only {
                    Only::IfRevision(revision) => dissoc.if_revision(revision).await,
                    Only::Always | Only::IfAbsent => dissoc.await,
                };
                existed.map(|existed| vec![existed])
            }
            _ => {
                let existed = self.store.multi_dissoc(names.clone()).await;
                if let Ok(existed) = &existed {
                    check!(
                        names.iter().all(|name| existed.contains_key(name)) && existed.len() == names.len(),
                        "multi_dissoc told of other keys: {existed:?}"
                    );
                }
                existed.map(|existed| names.iter().map(|name| existed.get(name) == Some(&true)).collect())
            }
        };
        ended(pending, answer.map(DocumentsAnswer::Removed))
    }
}

/// A condition that does not hold is an answer.
#[track_caller]
fn ended(
    pending: Pending<DocumentsCall, DocumentsAnswer>,
    answer: Result<DocumentsAnswer, Error>,
) -> Verdict<Option<DocumentsAnswer>> {
    pending.changed(match answer {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(DocumentsAnswer::Conflict),
        answer => answer,
    })
}
