//! Operations of a `Store`, said in one line each.

use std::fmt::Debug;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::BoxFuture;
use konserve_core::backend::Backend;
use konserve_core::store::Options;
use konserve_core::{Result, Store, Value};

use super::sweep::{Effect, MOST, Nature, Operation, sweep};
use crate::failure::Verdict;
use crate::ticking::Ticking;
use crate::trial::{Capability, Trial};

/// A value that takes several chunks.
pub(super) const LARGE: usize = 2_600;

/// Larger records are written as chunks, which keeps large values small.
const INLINE: usize = 1_024;

const CHANGES: &[&str] = &[
    "S-FAULT-1",
    "S-FAULT-2",
    "S-FAULT-3",
    "S-FAULT-5",
    "S-ERROR-1",
    "S-FAULT-6",
];
const READS: &[&str] = &["S-FAULT-4", "S-FAULT-5", "S-ERROR-1", "S-FAULT-6"];

type Step<T> = Box<dyn Fn(Store, String) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// One operation of a store on a key: what goes before, the call, and how its effect is seen.
pub(super) struct Call {
    id: &'static str,
    operation: &'static str,
    has_key: bool,
    effect: Effect,
    before: Step<()>,
    /// Done by the store that is tested, so that it knows what it learns by it.
    begun: Step<()>,
    call: Step<String>,
    seen: Step<String>,
}

impl Call {
    /// A call that changes a key. Its errors name this operation, and the key.
    pub(super) fn change<F, R, T>(id: &'static str, operation: &'static str, call: F) -> Self
    where
        F: Fn(Store, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
        T: Debug,
    {
        Self {
            id,
            operation,
            has_key: true,
            effect: Effect::Whole,
            before: step(|_, _| async { Ok(()) }),
            begun: step(|_, _| async { Ok(()) }),
            call: shown(call),
            seen: shown(document),
        }
    }

    /// A call that changes nothing.
    pub(super) fn read<F, R, T>(id: &'static str, operation: &'static str, call: F) -> Self
    where
        F: Fn(Store, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
        T: Debug,
    {
        Self {
            effect: Effect::None,
            ..Self::change(id, operation, call)
        }
    }

    /// Before it, this is done through another handle.
    pub(super) fn after<F, R, T>(mut self, before: F) -> Self
    where
        F: Fn(Store, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
    {
        self.before = silent(before);
        self
    }

    /// After that, and before it, this is done through the same store.
    pub(super) fn begun_by<F, R, T>(mut self, begun: F) -> Self
    where
        F: Fn(Store, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
    {
        self.begun = silent(begun);
        self
    }

    /// Its effect is seen by this, instead of by reading the document.
    pub(super) fn seen_by<F, R, T>(mut self, seen: F) -> Self
    where
        F: Fn(Store, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
        T: Debug,
    {
        self.seen = shown(seen);
        self
    }

    /// Its errors name no key.
    pub(super) fn of_no_key(mut self) -> Self {
        self.has_key = false;
        self
    }

    /// The trial of it.
    pub(super) fn trial(self) -> Trial {
        let clauses = match self.effect {
            Effect::None => READS,
            _ => CHANGES,
        };
        let (id, call) = (format!("faults.store-{}", self.id), Arc::new(self));
        Trial::new(id, clauses, move |arena| {
            let call = Arc::clone(&call);
            async move {
                let clock = Ticking::new();
                let calling = Calling {
                    call,
                    tested: over(Arc::clone(&arena.backend), &clock, 10_000),
                    hasty: over(Arc::clone(&arena.backend), &clock, 100),
                    other: over(arena.namespace.another().await?, &clock, 10_000),
                };
                sweep(&arena, &calling).await
            }
        })
        .needs(Capability::Faults)
    }
}

fn step<F, R, T>(what: F) -> Step<T>
where
    F: Fn(Store, String) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T>> + Send + 'static,
{
    Box::new(move |store, key| Box::pin(what(store, key)))
}

fn silent<F, R, T>(what: F) -> Step<()>
where
    F: Fn(Store, String) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T>> + Send + 'static,
{
    step(move |store, key| {
        let what = what(store, key);
        async move { what.await.map(drop) }
    })
}

fn shown<F, R, T>(what: F) -> Step<String>
where
    F: Fn(Store, String) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T>> + Send + 'static,
    T: Debug,
{
    step(move |store, key| {
        let what = what(store, key);
        async move { what.await.map(|answer| format!("{answer:?}")) }
    })
}

/// The document at a key.
async fn document(store: Store, key: String) -> Result<Option<Value>> {
    store.get(key).await
}

/// Whether there is a log at a key, and its entries.
pub(super) async fn log(store: Store, key: String) -> Result<(bool, Vec<String>)> {
    let is_there = store.exists(&*key).await?;
    Ok((is_there, store.log(key).try_collect().await?))
}

/// A text that takes several chunks, of this letter.
pub(super) fn large(letter: &str) -> String {
    letter.repeat(LARGE)
}

/// A store that cleans up nothing by itself and goes on trying for so many milliseconds. Its clock is the one of all stores of
/// a trial; its locks are its own, for a store that looks at what another one left must not have to wait for that.
pub(super) fn over(backend: Arc<dyn Backend>, clock: &Arc<Ticking>, contention_timeout_ms: u64) -> Store {
    let mut options = Options::default();
    options.consistent_read = true;
    // Requests of its own would be taken for those of the operation.
    options.background_cleanup = false;
    options.inline_limit = Some(INLINE);
    options.chunk_size = INLINE;
    options.contention_timeout_ms = contention_timeout_ms;
    let store = Store::builder(backend).options(options);
    store.environment(clock.environment()).shared_locks(false).build()
}

/// A call, on the stores of a trial.
struct Calling {
    call: Arc<Call>,
    tested: Store,
    /// For outages: it does not try for long.
    hasty: Store,
    other: Store,
}

impl Calling {
    fn store(&self, outage: bool) -> Store {
        if outage {
            self.hasty.clone()
        } else {
            self.tested.clone()
        }
    }
}

impl Operation for Calling {
    type Place = String;

    fn nature(&self) -> Nature {
        Nature {
            effect: self.call.effect,
            names: Some((self.call.operation, self.call.has_key)),
            most: MOST,
        }
    }

    async fn prepare(&self, number: usize, outage: bool) -> Verdict<String> {
        let key = format!("place {number}");
        (self.call.before)(self.other.clone(), key.clone()).await?;
        (self.call.begun)(self.store(outage), key.clone()).await?;
        Ok(key)
    }

    async fn run(&self, key: &String, outage: bool) -> Result<String> {
        (self.call.call)(self.store(outage), key.clone()).await
    }

    async fn look(&self, key: &String) -> Verdict<String> {
        if self.call.effect == Effect::None {
            return Ok(String::new());
        }
        Ok((self.call.seen)(self.other.clone(), key.clone()).await?)
    }
}
