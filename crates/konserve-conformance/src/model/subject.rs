//! The subject: two stores over the engine, which do what the model does and are compared with it after each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use konserve_core::backend::{Backend, Listing, Read, Space};
use konserve_core::store::Options;
use konserve_core::{Clock, Instant, Key, Kind, Revision, Store, SystemClock};

use super::answer::{Answer, Reply};
use super::perform::perform;
use super::reference::{Content, Model, Stamp};
use super::step::{Abilities, Call, Handle, How, Name, Part, Setup, Step, Steps, When, step};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, brief, check};
use crate::trial::Capability;

/// What a condition names that is about a write that there never was.
const NEVER: Revision = Revision::from_bytes([0; 16]);

/// How often a collector is called until it must have removed everything that it can.
const COLLECTIONS: usize = 5;

/// Two stores over the same data, and the model of it.
pub(super) struct Subject {
    arena: Arc<Arena>,
    setup: Setup,
    /// The engine under the first store.
    engine: Arc<dyn Backend>,
    first: Store,
    second: Store,
    model: Model,
    /// What the stores call the writes of the model.
    revisions: BTreeMap<Stamp, Revision>,
    /// The highest revision of each key.
    highest: BTreeMap<Key, Revision>,
    /// When the sequence began, by the clock of the stores.
    start: Instant,
}

impl Subject {
    pub(super) async fn open(arena: Arc<Arena>, setup: Setup) -> Verdict<Self> {
        let engine = Arc::clone(&arena.backend);
        let second = arena.namespace.another().await?;
        Ok(Self {
            first: over(&arena, setup, Handle::First, Arc::clone(&engine)),
            second: over(&arena, setup, Handle::Second, second),
            engine,
            model: Model::new(abilities(&arena), setup),
            start: match arena.namespace.clock() {
                Some(clock) => clock.now(),
                None => SystemClock.now(),
            },
            revisions: BTreeMap::new(),
            highest: BTreeMap::new(),
            setup,
            arena,
        })
    }

    /// Does a step with a store and with the model, and compares what comes of it.
    pub(super) async fn step(&mut self, step: &Step) -> Verdict {
        // Before the model takes the step: a condition is about what was written until then.
        let named = step
            .call
            .condition()
            .and_then(|(key, when)| self.model.named(key, when));
        let revision = named
            .and_then(|stamp| self.revisions.get(&stamp))
            .copied()
            .unwrap_or(NEVER);
        let (store, other) = match step.by {
            Handle::First => (&self.first, &self.second),
            Handle::Second => (&self.second, &self.first),
        };
        let reply = match &step.call {
            Call::Wait { .. } | Call::Replace | Call::Restart => self.intervene(&step.call).await?,
            call => match perform(store, other, call, revision, self.model.abilities, self.start).await {
                Ok(reply) => reply,
                Err(error) => Reply::new(Answer::Failed(error.kind())),
            },
        };
        let expected = self.model.apply(step);
        if step.call.may_lag() {
            let is_stamp = |revision, stamp| self.revisions.get(&stamp).is_none_or(|known| *known == revision);
            check!(
                self.model.allows(&step.call, &reply, is_stamp),
                "this was the answer at no time: {}; now it is {}",
                brief(&reply.answer),
                brief(&expected.answer)
            );
            return Ok(());
        }
        check!(
            reply.answer == expected.answer,
            "expected {}, got {}",
            brief(&expected.answer),
            brief(&reply.answer)
        );
        self.learn(&step.call, &expected, &reply)?;
        if let Answer::Failed(_) | Answer::Declined = reply.answer {
            self.unchanged(step).await?;
        }
        Ok(())
    }

    /// What must be so at the end of every sequence: everything is there, also after a restart, also when all that nobody can
    /// read any more was collected; and when everything is removed, nothing is left.
    pub(super) async fn end(&mut self) -> Verdict {
        let at = |when: &'static str| move |failure: Failure| Failure::new(format!("{when}: {failure}"));
        self.intervene(&Call::Restart).await?;
        self.everything(Handle::First).await.map_err(at("after a restart"))?;
        self.collect_all().await?;
        self.everything(Handle::Second)
            .await
            .map_err(at("after a collection"))?;
        let keys: Vec<_> = self.model.entries().map(|(key, _)| Name(key.clone())).collect();
        for key in keys {
            let when = When::Always;
            let removal = self.step(&step(Handle::First, Call::Dissoc { key, when })).await;
            removal.map_err(at("removing everything"))?;
        }
        self.collect_all().await?;
        for space in [Space::Document, Space::Chunk, Space::Generation, Space::Log] {
            let mut how = Listing::all(Read::STRONG.without_body());
            how.tombstones = true;
            let left: Vec<_> = self.engine.list(space, how).try_collect().await?;
            check!(
                left.is_empty(),
                "everything was removed and collected, and this is left: {}",
                brief(&left)
            );
        }
        Ok(())
    }

    /// Reads everything through a handle.
    async fn everything(&mut self, by: Handle) -> Verdict {
        let how = How::Consistent;
        let mut reads = vec![Call::Keys { kind: None, how }];
        for (key, entry) in self.model.entries() {
            let key = Name(key.clone());
            reads.push(match entry.content {
                Content::Document(_) => Call::Get {
                    path: Steps(key.0.into()),
                    how,
                },
                Content::Binary(_) => Call::Bget { key, range: None, how },
                Content::Log(_) => Call::ReadLog {
                    key,
                    part: Part::All,
                    how,
                },
            });
        }
        for call in reads {
            let step = step(by, call);
            let read = self.step(&step).await;
            read.map_err(|failure| Failure::new(format!("{step:?}: {failure}")))?;
        }
        Ok(())
    }

    /// Nobody else is there, and what is there was written a moment ago: nothing has to wait.
    async fn collect_all(&self) -> Verdict {
        for _ in 0..COLLECTIONS {
            let report = self.first.collect().without_waiting().await?;
            check!(
                report.unreadable == 0,
                "a collector could not read everything: {report:?}"
            );
            if report.waiting == 0 {
                return Ok(());
            }
        }
        Err(Failure::new(format!(
            "a collector is not done after {COLLECTIONS} times"
        )))
    }

    /// What is no call of a store.
    async fn intervene(&mut self, call: &Call) -> Verdict<Reply<Revision>> {
        let namespace = &self.arena.namespace;
        match call {
            Call::Wait { minutes } => {
                if let Some(clock) = namespace.clock() {
                    clock.advance(std::time::Duration::from_secs(60 * minutes));
                }
            }
            Call::Replace => {
                self.second.close().await?;
                self.second = over(&self.arena, self.setup, Handle::Second, namespace.another().await?);
            }
            _ => {
                self.first.close().await?;
                self.second.close().await?;
                self.engine = namespace.reopen().await?;
                let second = namespace.reopen().await?;
                self.first = over(&self.arena, self.setup, Handle::First, Arc::clone(&self.engine));
                self.second = over(&self.arena, self.setup, Handle::Second, second);
            }
        }
        Ok(Reply::new(Answer::Done))
    }

    /// Compares the revisions of two answers that are the same otherwise, and remembers new ones.
    fn learn(&mut self, call: &Call, expected: &Reply<Stamp>, reply: &Reply<Revision>) -> Verdict {
        // A write that does not tell its revision shows it when it is read for the first time.
        let written = match &reply.answer {
            Answer::Written | Answer::Updated { .. } => call.written(),
            Answer::Known(Some(known)) if known.kind != Kind::Log => vec![&known.key],
            _ => Vec::new(),
        };
        for (stamp, revision) in expected.revisions.iter().zip(&reply.revisions) {
            if let Some(known) = self.revisions.get(stamp) {
                check!(known == revision, "expected revision {known}, got {revision}");
                continue;
            }
            let taken = self.revisions.values().any(|known| known == revision);
            check!(!taken, "revision {revision} is that of an earlier write");
            self.revisions.insert(*stamp, *revision);
            for key in &written {
                let before = self.highest.insert((*key).clone(), *revision);
                check!(
                    before.is_none_or(|before| before < *revision),
                    "{key} was written under revision {revision}, which is not above {before:?}"
                );
            }
        }
        Ok(())
    }

    /// What failed changed nothing, as the other handle sees it.
    async fn unchanged(&mut self, failed: &Step) -> Verdict {
        let by = match failed.by {
            Handle::First => Handle::Second,
            Handle::Second => Handle::First,
        };
        for key in failed.call.written() {
            let key = Name(key.clone());
            let step = step(
                by,
                Call::GetMeta {
                    key,
                    how: How::Consistent,
                },
            );
            let seen = Box::pin(self.step(&step)).await;
            seen.map_err(|failure| Failure::new(format!("after the failure, {step:?}: {failure}")))?;
        }
        Ok(())
    }
}

/// What decides which answers are right.
pub(super) fn abilities(arena: &Arena) -> Abilities {
    Abilities::of(&arena.capabilities, arena.declares(Capability::Clock))
}

/// A store over a handle. What is left behind is collected when a sequence says so, and by nobody else.
fn over(arena: &Arena, setup: Setup, by: Handle, backend: Arc<dyn Backend>) -> Store {
    let mut options = Options::default();
    options.background_cleanup = false;
    options.codec = setup.codec(by);
    if setup.tiny && by == Handle::Second && arena.capabilities.transactions.is_some() {
        options.inline_limit = Some(200);
        options.chunk_size = 1024;
        options.chunks_in_flight = 2;
    }
    let builder = Store::builder(backend).options(options);
    match arena.namespace.clock() {
        Some(clock) => builder.environment(clock.environment()).build(),
        None => builder.build(),
    }
}
