//! Trials of calls that are broken off: because the process dies, or because nobody waits for them any longer.
//!
//! What a call does is a sequence of mutations of the engine. A process that dies leaves what a number of them have done:
//! which reads came in between leaves no trace, and neither does whether the last answer was still heard. So the trials stop
//! each call before its first mutation, before its second one, and so on. A call whose future is dropped can be anywhere, so
//! those trials drop it after each poll, with requests on their way that are carried out all the same, or not.
//!
//! All attempts of one trial are made in one namespace, each with keys of its own. What they left is then looked at
//! through a handle that is opened anew ([`aftermath`]).

mod aftermath;
mod cancellation;
mod census;
mod operations;
mod wire;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{Either, select};
use konserve_core::backend::Backend;
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::store::Options;
use konserve_core::{Error, Store};
use tokio::sync::Notify;

use self::aftermath::{Attempt, Late};
use self::operations::{CHUNK, INLINE, OPERATIONS, Operation, Scene};
use self::wire::{Fate, Wire};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check};
use crate::ticking::Ticking;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let crashes = OPERATIONS.iter().map(|operation| {
        let id = format!("crashes.{}", operation.name);
        let clauses = &["S-CRASH-1", "S-CRASH-2", "S-CRASH-3"];
        let trial = Trial::new(id, clauses, move |arena| crashes(arena, operation));
        with_needs(trial, operation)
    });
    let cancellations = OPERATIONS.iter().map(|operation| {
        let id = format!("cancellation.{}", operation.name);
        let clauses = &["S-CANCEL-1", "S-CANCEL-2"];
        let trial = Trial::new(id, clauses, move |arena| cancellation::cancellations(arena, operation));
        with_needs(trial.seeded(), operation)
    });
    crashes.chain(cancellations).collect()
}

fn with_needs(trial: Trial, operation: &Operation) -> Trial {
    let needs = operation.needs.iter();
    needs.fold(trial, |trial, capability| trial.needs(*capability))
}

/// More mutations than any of the operations takes.
const ENOUGH: usize = 1000;

/// Where the attempts of a trial are made.
pub(super) struct Stage {
    arena: Arc<Arena>,
    operation: &'static Operation,
    /// The handle that the attempts are made on.
    handle: Arc<dyn Backend>,
    clock: Arc<Ticking>,
}

impl Stage {
    async fn open(arena: Arc<Arena>, operation: &'static Operation) -> Verdict<Self> {
        Ok(Self {
            handle: arena.namespace.another().await?,
            arena,
            operation,
            clock: Ticking::new(),
        })
    }

    /// A store of a process that makes an attempt. Its locks are gone with it.
    fn store(&self, attempt: u32, backend: impl Backend) -> Store {
        let mut options = Options::default();
        options.consistent_read = true;
        // What is left behind is looked at, so nothing may clean up meanwhile.
        options.background_cleanup = false;
        options.chunk_size = CHUNK;
        // Without transactions there are no chunks.
        options.inline_limit = self.arena.capabilities.transactions.map(|_| INLINE);
        let environment = census::environment(&self.clock, attempt);
        Store::builder(backend)
            .options(options)
            .environment(environment)
            .shared_locks(false)
            .build()
    }

    fn scene(&self, attempt: u32, backend: impl Backend) -> Scene {
        Scene {
            store: self.store(attempt, backend),
            attempt,
        }
    }

    /// What is there before an attempt.
    async fn prepare(&self, attempt: u32) -> Verdict {
        let prepared = (self.operation.prepare)(self.scene(attempt, Arc::clone(&self.handle))).await;
        prepared.map_err(|error| self.failed("what is there before it could not be made", &error))
    }

    /// What comes after an attempt that concerns the whole store.
    async fn recover(&self, attempt: u32) -> Verdict {
        if self.operation.alone {
            operations::collect(&self.store(attempt, Arc::clone(&self.handle))).await?;
        }
        Ok(())
    }

    /// Lets a process make so many mutations of the call and then die. Says whether the call had ended before.
    async fn die(&self, attempt: u32, mutations: usize) -> Verdict<bool> {
        let wire = Wire::new(Arc::clone(&self.handle), Fate::Arrives);
        let (begun, dead) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let dies = Arc::clone(&dead);
        let dying = Layer::new(wire.clone(), move |call: Call| {
            let before = begun.fetch_add(usize::from(call.is_mutation()), Ordering::SeqCst);
            let is_dead = before > mutations || (before == mutations && call.is_mutation());
            is_dead.then(|| {
                dies.notify_one();
                Fault::Hangs
            })
        });
        let call = (self.operation.call)(self.scene(attempt, dying));
        let ended = match select(call, pin!(dead.notified())).await {
            Either::Left((result, _)) => {
                result
                    .map_err(|error| self.failed(&format!("it failed, with {mutations} mutations allowed"), &error))?;
                true
            }
            Either::Right(_) => false,
        };
        // Those that had begun side by side are carried out.
        wire.quiet().await;
        Ok(ended)
    }

    fn failed(&self, what: &str, error: &Error) -> Failure {
        Failure::new(format!("{}: {what}: {error}: {error:?}", self.operation.name))
    }
}

async fn crashes(arena: Arc<Arena>, operation: &'static Operation) -> Verdict {
    let stage = Stage::open(arena, operation).await?;
    let mut attempts = Vec::new();
    for (number, mutations) in (0_u32..).zip(0..=ENOUGH) {
        stage.prepare(number).await?;
        let ended = stage.die(number, mutations).await?;
        attempts.push(Attempt {
            number,
            story: format!("{} died after {mutations} mutations", operation.name),
            ended,
            late: false,
        });
        stage.recover(number).await?;
        if ended {
            break;
        }
    }
    check!(
        attempts.last().is_some_and(|last| last.ended),
        "{} makes more than {ENOUGH} mutations",
        operation.name
    );
    aftermath::examine(stage, attempts, Late::new()).await
}
