//! What calls that were broken off have left: seen through a handle that is opened anew, and cleaned up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use konserve_core::backend::{Address, Backend};
use konserve_core::{Error, Key, Kind, Store, Value};

use super::census::{self, Census, Counts};
use super::{Stage, operations};
use crate::failure::{Failure, Verdict, brief, check, same};

/// Where chunks may still arrive.
pub(super) type Late = BTreeSet<Address>;

/// For how long what is on its way may stay there: so often, with a pause of so long.
const ROUNDS: usize = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// The store of whoever looks at what is left, and is nobody's attempt.
const OBSERVER: u32 = u32::MAX;

/// One call that was broken off, or not.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    /// What happened, for whoever reads a failure.
    pub(super) story: String,
    /// Whether the call was acknowledged.
    pub(super) ended: bool,
    /// Whether parts of it may still be on their way.
    pub(super) late: bool,
}

/// What a key holds.
#[derive(Clone, PartialEq)]
enum Found {
    Document(Value),
    Binary(Bytes),
    Log(Vec<Value>),
}

/// What can be read of an attempt: its keys that are there.
type State = BTreeMap<&'static str, Found>;

/// Finds old or new after each attempt, goes on from there, and leaves nothing. The first attempt never began, so it shows
/// what is old; the last one was not broken off, so it shows what is new.
pub(super) async fn examine(stage: Stage, attempts: Vec<Attempt>, late: Late) -> Verdict {
    let Stage { arena, .. } = &stage;
    // The handle that the attempts were made on is not closed: the process died.
    arena.backend.close().await?;
    let aftermath = Aftermath {
        handle: arena.namespace.reopen().await?,
        stage,
        attempts,
        late,
    };
    aftermath.examine().await
}

struct Aftermath {
    stage: Stage,
    handle: Arc<dyn Backend>,
    attempts: Vec<Attempt>,
    late: Late,
}

/// A check that may have come too early, while something was still on its way.
type Soon = Verdict<Result<(), Failure>>;

impl Aftermath {
    async fn examine(&self) -> Verdict {
        let found = self.states().await?;
        let [Some(old), Some(new)] = [found.first(), found.last()] else {
            return Err(Failure::new("nothing was tried"));
        };
        let name = self.stage.operation.name;
        check!(
            (old != new) == self.stage.operation.changes(),
            "{name}, not broken off: {old:?} became {new:?}"
        );
        self.check_states(&found, old, new)?;
        let mut patience = self.patience();
        while !patience.is_enough(self.collected(old, new).await?).await? {}
        let before = self.again().await?;
        let mut patience = self.patience();
        while !patience.is_enough(self.settled(new, &before).await?).await? {}
        let mut patience = self.patience();
        while !patience.is_enough(self.emptied().await?).await? {}
        Ok(())
    }

    /// Everything is old or new, and new where the call was acknowledged.
    fn check_states(&self, found: &[State], old: &State, new: &State) -> Verdict {
        for (attempt, state) in self.attempts.iter().zip(found) {
            check!(
                state == old || state == new,
                "{}: expected {old:?} or {new:?}, found {state:?}",
                attempt.story
            );
            check!(
                !attempt.ended || state == new,
                "{}, and was acknowledged: expected {new:?}, found {state:?}",
                attempt.story
            );
        }
        Ok(())
    }

    /// Collecting changes nothing that can be read, and leaves what is needed for that and nothing else.
    async fn collected(&self, old: &State, new: &State) -> Soon {
        let operation = self.stage.operation;
        let before = self.states().await?;
        self.check_states(&before, old, new)?;
        operations::collect(&self.store(OBSERVER)).await?;
        let after = self.states().await?;
        self.check_states(&after, old, new)?;
        let can_end = operation.ended_by_others && self.stage.arena.capabilities.transactions.is_none();
        for (attempt, (before, after)) in self.attempts.iter().zip(before.iter().zip(&after)) {
            let went_on = (can_end || attempt.late) && after == new;
            check!(
                before == after || went_on,
                "{}, and then all was collected: {before:?} became {after:?}",
                attempt.story
            );
        }
        let census = self.census().await?;
        let count = |attempt: &Attempt| census.get(&attempt.number).copied().unwrap_or_default();
        let [Some(of_old), Some(of_new)] = [self.attempts.first().map(count), self.attempts.last().map(count)] else {
            return Err(Failure::new("nothing was tried"));
        };
        for (attempt, state) in self.attempts.iter().zip(&after) {
            let expected = if state == new { of_new } else { of_old };
            let found = count(attempt);
            // Without transactions, a seal stands at the end of a log until somebody meets it.
            let sealed = Counts {
                rows: expected.rows + 1,
                ..expected
            };
            if found != expected && !(can_end && state == old && found == sealed) {
                return Ok(Err(Failure::new(format!(
                    "{}: with {state:?}, expected {expected:?} after collecting, found {found:?}",
                    attempt.story
                ))));
            }
        }
        Ok(Ok(()))
    }

    /// The same call again, to its end, after each attempt. Says what could be read before.
    async fn again(&self) -> Verdict<Vec<State>> {
        let before = self.states().await?;
        for attempt in &self.attempts {
            let scene = self.stage.scene(attempt.number, Arc::clone(&self.handle));
            let call = (self.stage.operation.call)(scene).await;
            call.map_err(|error| {
                Failure::new(format!(
                    "{}, and then again: it failed: {error}: {error:?}",
                    attempt.story
                ))
            })?;
        }
        Ok(before)
    }

    /// What was old before the call was made again is new, and the rest is as if it had been made twice.
    async fn settled(&self, new: &State, before: &[State]) -> Soon {
        operations::collect(&self.store(OBSERVER)).await?;
        let after = self.states().await?;
        let census = self.census().await?;
        let Some((last, twice)) = self.attempts.last().zip(after.last()) else {
            return Err(Failure::new("nothing was tried"));
        };
        let count = |attempt: &Attempt| census.get(&attempt.number).copied().unwrap_or_default();
        let mut of_new = None;
        for (attempt, (before, after)) in self.attempts.iter().zip(before.iter().zip(&after)) {
            let expected = if before == new { twice } else { new };
            check!(
                after == expected || (attempt.late && after == twice),
                "{}, and then again: expected {expected:?}, found {after:?}",
                attempt.story
            );
            // The first one was not broken off this time, and the last one never was.
            let of_new = *of_new.get_or_insert_with(|| count(attempt));
            let expected = if after == twice { count(last) } else { of_new };
            let found = count(attempt);
            if found != expected {
                return Ok(Err(Failure::new(format!(
                    "{}, and then again: with {after:?}, expected {expected:?}, found {found:?}",
                    attempt.story
                ))));
            }
        }
        Ok(Ok(()))
    }

    /// When all keys are removed and all is collected, nothing is left.
    async fn emptied(&self) -> Soon {
        let store = self.store(OBSERVER);
        let keys: Vec<Key> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
        for key in keys {
            store.dissoc(key).await?;
        }
        operations::collect(&store).await?;
        let census = self.census().await?;
        let left = self.attempts.iter().filter_map(|attempt| {
            let counts = census.get(&attempt.number)?;
            Some(format!("{}: {counts:?}", attempt.story))
        });
        let left: Vec<_> = left.collect();
        if left.is_empty() && census.is_empty() {
            return Ok(Ok(()));
        }
        let left = if left.is_empty() {
            brief(&census)
        } else {
            left.join("; ")
        };
        Ok(Err(Failure::new(format!(
            "when everything was removed and collected, something was left of what {left}"
        ))))
    }

    fn patience(&self) -> Patience {
        let late = self.attempts.iter().any(|attempt| attempt.late);
        Patience(if late { ROUNDS } else { 0 })
    }

    fn store(&self, attempt: u32) -> Store {
        self.stage.store(attempt, Arc::clone(&self.handle))
    }

    async fn census(&self) -> Verdict<Census> {
        census::take(&*self.handle, &self.late).await
    }

    /// What can be read of each attempt; the same as is listed.
    async fn states(&self) -> Verdict<Vec<State>> {
        let store = self.store(OBSERVER);
        let mut states = Vec::new();
        let mut there = BTreeSet::new();
        for attempt in &self.attempts {
            let mut state = State::new();
            for name in self.stage.operation.keys {
                let key = census::key(attempt.number, name);
                let found = read(&store, &key).await.map_err(|error| {
                    Failure::new(format!("{}: {key} cannot be read: {error}: {error:?}", attempt.story))
                })?;
                if let Some(found) = found {
                    state.insert(name, found);
                    there.insert(key);
                }
            }
            states.push(state);
        }
        let listed: BTreeSet<Key> = store.keys().map_ok(|meta| meta.key).try_collect().await?;
        if !self.attempts.iter().any(|attempt| attempt.late) {
            same!(
                listed,
                there,
                "the keys that are listed, against those that can be read"
            );
        }
        Ok(states)
    }
}

/// How often a check that came too early is made again: while something may still be on its way.
struct Patience(usize);

impl Patience {
    /// Whether a check holds. Pauses when it does not hold yet.
    async fn is_enough(&mut self, check: Result<(), Failure>) -> Verdict<bool> {
        match check {
            Ok(()) => Ok(true),
            Err(failure) if self.0 == 0 => Err(failure),
            Err(_) => {
                self.0 -= 1;
                tokio::time::sleep(PAUSE).await;
                Ok(false)
            }
        }
    }
}

async fn read(store: &Store, key: &Key) -> Result<Option<Found>, Error> {
    let Some(meta) = store.get_meta(key).await? else {
        return Ok(None);
    };
    Ok(match meta.kind {
        Kind::Document => store.get(key).await?.map(|value| Found::Document(comparable(value))),
        Kind::Binary => match store.bget(key).await? {
            Some(blob) => Some(Found::Binary(blob.bytes().await?)),
            None => None,
        },
        Kind::Log => Some(Found::Log(store.log(key).try_collect().await?)),
    })
}

/// A document without what differs from attempt to attempt: a fold that is kept names its log.
fn comparable(value: Value) -> Value {
    match value {
        Value::Map(mut fields) if fields.contains_key(&Value::from("position")) => {
            fields.remove(&Value::from("log"));
            Value::Map(fields)
        }
        value => value,
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(value) => write!(f, "{}", outline(value)),
            Self::Binary(bytes) => write!(f, "{} bytes, the first {:?}", bytes.len(), bytes.first()),
            Self::Log(entries) => {
                let shown: Vec<_> = entries.iter().rev().take(3).map(outline).collect();
                write!(f, "{} entries, from the end {}", entries.len(), shown.join(", "))
            }
        }
    }
}

/// A value as it is shown: what matters is which it is, not all of it.
fn outline(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?} and so on, {} bytes", text.chars().next(), text.len()),
        value => brief(value).chars().take(60).collect(),
    }
}
