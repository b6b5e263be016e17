//! A thin layer around a handle that records calls and looks at what they bring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use konserve_core::Rev;
use konserve_core::backend::{
    Address, Backend, Committed, Item, Mutation, Occupant, Previous, Read, Refusal, When, Written,
};

use crate::arena::shows;
use crate::failure::{Failure, Verdict, brief, check, same};
use crate::linear::{History, ItemsAnswer, ItemsCall, Part, Place, Recorder};

/// What is known of some addresses by all who work with them.
pub(super) struct Scene {
    addresses: Vec<Address>,
    recorder: Recorder<ItemsCall, ItemsAnswer>,
    /// What was or is being written, by address and revision.
    written: Mutex<HashMap<(usize, Rev), Item>>,
    /// What eventual reads brought.
    glances: Mutex<Vec<(usize, Rev)>>,
}

impl Scene {
    pub(super) fn new(addresses: Vec<Address>) -> Arc<Self> {
        Arc::new(Self {
            addresses,
            recorder: Recorder::new(),
            written: Mutex::default(),
            glances: Mutex::default(),
        })
    }

    /// A task's view of a handle.
    pub(super) fn watch(self: &Arc<Self>, backend: &Arc<dyn Backend>, task: usize) -> Watched {
        Watched {
            scene: Arc::clone(self),
            backend: Arc::clone(backend),
            task,
        }
    }

    pub(super) fn history(&self) -> History<ItemsCall, ItemsAnswer> {
        self.recorder.history()
    }

    /// Says that something is being written.
    pub(super) fn announce(&self, member: usize, item: &Item) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert((member, item.rev), item.clone());
    }

    fn announced(&self, member: usize, rev: Rev) -> Verdict<Item> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written
            .get(&(member, rev))
            .cloned()
            .ok_or_else(|| Failure::new(format!("{rev} is at address {member}, where nobody wrote it")))
    }

    /// Whether eventual reads brought only what was stored at some time: nothing of writes that were refused or failed.
    pub(super) fn check_glances(&self) -> Verdict {
        let history = self.history();
        let mut stored = Vec::new();
        for (call, answer) in history.possible() {
            if let (ItemsCall::Change(parts), None | Some(ItemsAnswer::Applied(_))) = (call, answer) {
                stored.extend(parts.iter().map(|part| (part.member, part.rev())));
            }
        }
        for (member, rev) in self.glances.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            check!(
                stored.contains(&(*member, Some(*rev))),
                "an eventual read brought {rev} at {}, which was never stored",
                self.addresses[*member]
            );
        }
        Ok(())
    }
}

/// A task's view of a handle. Answers are `None` where there was none.
pub(super) struct Watched {
    scene: Arc<Scene>,
    backend: Arc<dyn Backend>,
    task: usize,
}

impl Watched {
    /// A strong read.
    pub(super) async fn read(&self, member: usize) -> Verdict<Option<Option<Item>>> {
        let pending = self.scene.recorder.invoke(self.task, ItemsCall::Read { member });
        let answer = self.backend.read(&self.scene.addresses[member], Read::STRONG).await;
        let found = answer.as_ref().ok().cloned().flatten();
        let told = pending.read(answer.map(|item| ItemsAnswer::Found(item.map(|item| item.rev))))?;
        self.check_whole(member, found.as_ref())?;
        Ok(told.map(|_| found))
    }

    /// A strong read, until there is an answer.
    pub(super) async fn read_at_last(&self, member: usize) -> Verdict<Option<Item>> {
        loop {
            if let Some(found) = self.read(member).await? {
                return Ok(found);
            }
            tokio::task::yield_now().await;
        }
    }

    /// An eventual read, which may bring anything that was stored.
    pub(super) async fn glance(&self, member: usize) -> Verdict {
        match self.backend.read(&self.scene.addresses[member], Read::EVENTUAL).await {
            Ok(None) => Ok(()),
            Ok(Some(item)) => {
                self.check_whole(member, Some(&item))?;
                let mut glances = self.scene.glances.lock().unwrap_or_else(PoisonError::into_inner);
                glances.push((member, item.rev));
                Ok(())
            }
            Err(error) if error.is_retryable() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn write(&self, member: usize, item: Item, when: When) -> Verdict<Option<ItemsAnswer>> {
        self.scene.announce(member, &item);
        let part = Part::write(member, item.rev, when);
        let pending = self.scene.recorder.invoke(self.task, ItemsCall::Change(vec![part]));
        let answer = self.backend.write(&self.scene.addresses[member], item, when).await;
        let wrong = answer.as_ref().ok().map(|written| self.check_told(member, written));
        let told = pending.changed(answer.map(written))?;
        wrong.unwrap_or(Ok(()))?;
        Ok(told)
    }

    pub(super) async fn remove(&self, member: usize, rev: Rev, when: When) -> Verdict<Option<ItemsAnswer>> {
        let part = Part::remove(member, rev, when);
        let pending = self.scene.recorder.invoke(self.task, ItemsCall::Change(vec![part]));
        let answer = self.backend.remove(&self.scene.addresses[member], rev, when).await;
        let wrong = answer.as_ref().ok().map(|written| self.check_told(member, written));
        let told = pending.changed(answer.map(written))?;
        wrong.unwrap_or(Ok(()))?;
        Ok(told)
    }

    /// Writes, with their items, and checks, without, as one commit.
    pub(super) async fn commit(&self, parts: Vec<(Part, Option<Item>)>) -> Verdict<Option<ItemsAnswer>> {
        let mut all = Vec::new();
        for (part, item) in &parts {
            let (at, when) = (self.scene.addresses[part.member].clone(), part.when);
            all.push(match item {
                Some(item) => {
                    self.scene.announce(part.member, item);
                    let item = item.clone();
                    Mutation::Write { at, item, when }
                }
                None => match part.rev() {
                    Some(rev) => Mutation::Remove { at, rev, when },
                    None => Mutation::Check { at, when },
                },
            });
        }
        let members: Vec<_> = parts.iter().map(|(part, _)| part.member).collect();
        let call = ItemsCall::Change(parts.into_iter().map(|(part, _)| part).collect());
        let pending = self.scene.recorder.invoke(self.task, call);
        let answer = self.backend.commit(all).await;
        let refusals = match &answer {
            Ok(Committed::Refused(refusals)) => refusals.clone(),
            _ => Vec::new(),
        };
        let told = pending.changed(answer.map(|committed| match committed {
            Committed::Applied => ItemsAnswer::Applied(None),
            Committed::Refused(refusals) => {
                let told = |refusal: Refusal| (refusal.index, place(refusal.current.as_ref()));
                ItemsAnswer::Refused(refusals.into_iter().map(told).collect())
            }
        }))?;
        for Refusal { index, current } in &refusals {
            let Some(member) = members.get(*index) else {
                return Err(Failure::new(format!(
                    "mutation {index} was refused, which there is not"
                )));
            };
            self.check_shown(*member, current.as_ref())?;
        }
        Ok(told)
    }

    /// What a read brought is what was written.
    fn check_whole(&self, member: usize, item: Option<&Item>) -> Verdict {
        if let Some(item) = item {
            same!(
                *item,
                self.scene.announced(member, item.rev)?,
                "what was read at {member}"
            );
        }
        Ok(())
    }

    /// What the answer to a mutation shows is what was written.
    fn check_told(&self, member: usize, written: &Written) -> Verdict {
        match written {
            Written::Applied {
                previous: Previous::Known(occupant),
            }
            | Written::Refused { current: occupant } => self.check_shown(member, occupant.as_ref()),
            Written::Applied {
                previous: Previous::Existed(_) | Previous::Unknown,
            } => Ok(()),
        }
    }

    fn check_shown(&self, member: usize, occupant: Option<&Occupant>) -> Verdict {
        if let Some(Occupant::Item(item)) = occupant {
            let truth = Occupant::Item(self.scene.announced(member, item.rev)?);
            check!(
                shows(occupant, Some(&truth)),
                "the answer to a mutation shows {} at {member}, where {} was written",
                brief(item),
                brief(&truth)
            );
        }
        Ok(())
    }
}

fn written(written: Written) -> ItemsAnswer {
    match written {
        Written::Applied { previous } => ItemsAnswer::Applied(match previous {
            Previous::Known(occupant) => Some(place(occupant.as_ref())),
            Previous::Existed(_) | Previous::Unknown => None,
        }),
        Written::Refused { current } => ItemsAnswer::Refused(vec![(0, place(current.as_ref()))]),
    }
}

fn place(occupant: Option<&Occupant>) -> Place {
    match occupant {
        None => Place::Vacant,
        Some(Occupant::Tombstone(rev)) => Place::Tombstone(*rev),
        Some(Occupant::Item(item)) => Place::Item(item.rev),
    }
}
