//! `assoc`, `assoc_in`, `dissoc`, `dissoc_in`.

use bytes::Bytes;
use serde::Serialize;

use super::request::{Common, impl_conditions, impl_new_ttl, impl_request, impl_ttl};
use super::update::{Change, Modification, modify};
use super::{Backoff, Operation, Store, document};
use crate::backend::{Address, Occupant, Previous, Read, When, Written};
use crate::head::{GenerationId, Head, HeadKind};
use crate::placement::{self, Expiry, Placed, generation};
use crate::record::Content;
use crate::value::{Map, to_value};
use crate::{Error, ErrorKind, Key, Path, Result, Revision, Value, log, nested};

impl Store {
    /// Stores a document at a key, whatever is there, a log excepted. What was there is replaced as a whole, with its meta
    /// fields and its expiry: without [`ttl`](Assoc::ttl) the document stays for good.
    ///
    /// One conditional write, fenced by its revision: a late retry cannot undo a newer write. A value above the inline limit
    /// takes one request for each chunk and three more.
    ///
    /// # Errors
    ///
    /// `wrong_kind` over a log; `conflict` when a condition does not hold; `codec` for what cannot be encoded; `invalid_input`
    /// for a time to live of zero or above a hundred years.
    pub fn assoc<T: Serialize + ?Sized>(&self, key: impl Into<Key>, value: &T) -> Assoc {
        Assoc {
            common: Common::new(self),
            key: key.into(),
            encoded: self.inner.options.codec.encode_typed(value).map(Bytes::from),
            condition: Condition::None,
            user: Ok(Map::new()),
            expiry: Ok(Expiry::Never),
        }
    }

    /// Stores a value at a path of a document; missing levels, and nulls on the way, become maps.
    ///
    /// With steps, it is an [`update`](Self::update): a strong read and a conditional write, and other parts of the document
    /// and its meta fields and its expiry stay as they are. A path of a key alone is an [`assoc`](Self::assoc).
    ///
    /// # Errors
    ///
    /// `path`, naming where and what was found, for a step into a scalar or a set or a list index out of range; `wrong_kind`
    /// for a binary or a log; `conflict`; `contended`; `codec`.
    pub fn assoc_in<T: Serialize + ?Sized>(&self, path: impl Into<Path>, value: &T) -> AssocIn {
        AssocIn {
            common: Common::new(self),
            path: path.into(),
            value: to_value(value),
            condition: Condition::None,
            user: None,
            expiry: None,
        }
    }

    /// Removes a key and says whether it was there.
    ///
    /// One conditional write, which leaves a tombstone: a write that is still on its way cannot bring the key back. A log takes
    /// more.
    ///
    /// # Errors
    ///
    /// `conflict` when the condition does not hold.
    pub fn dissoc(&self, key: impl Into<Key>) -> Dissoc {
        Dissoc {
            common: Common::new(self),
            key: key.into(),
            revision: None,
        }
    }

    /// Removes what is at a path of a document and says whether it was there: an entry of a map, a member of a set, or an
    /// element of a list, whose later elements move down. An absent path, or one through a scalar, is `false`.
    ///
    /// An [`update`](Self::update) otherwise, which keeps the expiry. A path of a key alone removes the key.
    pub fn dissoc_in(&self, path: impl Into<Path>) -> DissocIn {
        DissocIn {
            common: Common::new(self),
            path: path.into(),
        }
    }
}

/// Under which condition the caller wants the write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition {
    None,
    Absent,
    Revision(Revision),
}

/// The request of [`Store::assoc`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Assoc {
    common: Common,
    key: Key,
    encoded: Result<Bytes>,
    condition: Condition,
    user: Result<Map>,
    expiry: Result<Expiry>,
}

impl Assoc {
    /// Stores these fields with the document, for [`get_meta`](Store::get_meta): anything that serializes as a map.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = document::user_fields(&fields);
        self
    }

    async fn run(self) -> Result<Revision> {
        let Self {
            common,
            key,
            encoded,
            condition,
            user,
            expiry,
        } = self;
        Operation::run(
            common.store.inner,
            "assoc",
            Some(&key),
            common.timeout,
            async |operation| {
                let kind = HeadKind::Document {
                    key: key.clone(),
                    user: user?,
                };
                let (content, expiry) = (Content::Encoded(operation.store.options.codec), expiry?);
                let placed = placement::place(&operation, kind, content, encoded?).await?;
                let at = operation.store.address(&key);
                put(&operation, &at, placed.expiring(expiry), condition).await
            },
        )
        .await
    }
}

impl_conditions!(Assoc);
impl_ttl!(Assoc);
impl_request!([] Assoc => Result<Revision>);

/// Stores a placed record at the address of a key, over anything but a log.
pub(crate) async fn put(operation: &Operation, at: &Address, placed: Placed, condition: Condition) -> Result<Revision> {
    match try_put(operation, at, &placed, condition).await {
        Ok(revision) => Ok(revision),
        Err(error) => {
            placement::discard(operation, &placed);
            Err(error)
        }
    }
}

async fn try_put(operation: &Operation, at: &Address, placed: &Placed, condition: Condition) -> Result<Revision> {
    let store = &operation.store;
    // A commit does not tell what it replaced, so that is asked before.
    let mut replaced = None;
    if placed.generation.is_some() {
        let item = operation.read(at, Read::STRONG.without_body()).await?;
        replaced = generation_of(operation, item.map(Occupant::Item));
    }
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    let (when, mut rev) = match condition {
        Condition::None => (When::Newer, store.revisions.next()),
        Condition::Absent => (When::Absent, store.revisions.next()),
        Condition::Revision(expected) => (When::Matches(expected), store.revisions.next_after(expected)?),
    };
    loop {
        let current = match placement::settle(operation, at, placed, rev, when).await? {
            Written::Applied { previous } => {
                if let Previous::Known(occupant) = previous {
                    replaced = replaced.or_else(|| generation_of(operation, occupant));
                }
                if let Some(replaced) = replaced {
                    generation::retire(operation, replaced);
                }
                return Ok(rev);
            }
            Written::Refused { current } => current,
        };
        check_kind(current.as_ref())?;
        check_condition(condition, current.as_ref())?;
        if let Some(current) = current {
            rev = store.revisions.next_after(current.rev())?;
            if placed.generation.is_some() {
                replaced = generation_of(operation, Some(current));
            }
        }
        backoff.lost().await?;
    }
}

/// A log is neither replaced nor removed like other keys.
pub(crate) fn check_kind(current: Option<&Occupant>) -> Result<()> {
    match current.and_then(Occupant::item) {
        Some(item) if item.pinned => Err(is_a_log()),
        _ => Ok(()),
    }
}

pub(crate) fn is_a_log() -> Error {
    Error::new(ErrorKind::WrongKind, "the key holds a log")
}

/// Whether a refusal means that the caller's condition does not hold.
pub(crate) fn check_condition(condition: Condition, current: Option<&Occupant>) -> Result<()> {
    let item = current.and_then(Occupant::item);
    match (condition, item) {
        (Condition::Absent, Some(_)) => Err(Error::new(ErrorKind::Conflict, "the key is not absent")),
        (Condition::Revision(expected), item) => check_revision(expected, item.map(|item| item.rev)),
        _ => Ok(()),
    }
}

/// Whether a key has the revision that it must have.
pub(crate) fn check_revision(expected: Revision, found: Option<Revision>) -> Result<()> {
    let message = match found {
        Some(found) if found == expected => return Ok(()),
        Some(found) => format!("the key has revision {found}, not {expected}"),
        None => format!("the key is absent, not at revision {expected}"),
    };
    Err(Error::new(ErrorKind::Conflict, message))
}

/// The generation that an occupant's chunks belong to. A head that cannot be read is left to the collector.
pub(crate) fn generation_of(operation: &Operation, occupant: Option<Occupant>) -> Option<GenerationId> {
    let item = occupant?.into_item()?;
    if item.body.is_some() {
        return None;
    }
    let head = Head::decode(&operation.store.envelope, &item.meta).ok()?;
    head.manifest().map(|manifest| manifest.generation)
}

/// The request of [`Store::assoc_in`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct AssocIn {
    common: Common,
    path: Path,
    value: Result<Value>,
    condition: Condition,
    user: Option<Result<Map>>,
    expiry: Option<Result<Expiry>>,
}

impl AssocIn {
    /// Only if there is nothing at the path; otherwise `conflict`.
    pub fn if_absent(mut self) -> Self {
        self.condition = Condition::Absent;
        self
    }

    /// Only if the key has exactly this revision; otherwise `conflict`.
    pub fn if_revision(mut self, revision: Revision) -> Self {
        self.condition = Condition::Revision(revision);
        self
    }

    /// Replaces the fields that are stored with the document.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = Some(document::user_fields(&fields));
        self
    }

    async fn run(self) -> Result<Revision> {
        let Self {
            common,
            path,
            value,
            condition,
            user,
            expiry,
        } = self;
        Operation::run(
            common.store.inner,
            "assoc_in",
            Some(&path),
            common.timeout,
            async |operation| {
                let (value, user, expiry) = (value?, user.transpose()?, expiry.transpose()?);
                let at = operation.store.address(path.key());
                if path.steps().is_empty() {
                    let kind = HeadKind::Document {
                        key: path.key().clone(),
                        user: user.unwrap_or_default(),
                    };
                    let codec = operation.store.options.codec;
                    let plain = codec.encode(&value)?.into();
                    let placed = placement::place(&operation, kind, Content::Encoded(codec), plain).await?;
                    let placed = placed.expiring(expiry.unwrap_or(Expiry::Never));
                    return put(&operation, &at, placed, condition).await;
                }
                let modification = Modification {
                    key: path.key(),
                    at: &at,
                    user,
                    expiry,
                    revision: match condition {
                        Condition::Revision(revision) => Some(revision),
                        _ => None,
                    },
                };
                let (applied, revision) = modify(&operation, modification, |document| {
                    let occupied = document
                        .as_ref()
                        .is_some_and(|document| nested::read(document, path.steps()).is_some());
                    if matches!(condition, Condition::Absent) && occupied {
                        return Ok(Change::Leave(()));
                    }
                    Ok(Change::Write(nested::write(document, path.steps(), value.clone())?, ()))
                })
                .await?;
                let () = applied;
                revision.ok_or_else(|| Error::new(ErrorKind::Conflict, "the path is not absent"))
            },
        )
        .await
    }
}

impl_new_ttl!([] AssocIn);
impl_request!([] AssocIn => Result<Revision>);

/// The request of [`Store::dissoc`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Dissoc {
    common: Common,
    key: Key,
    revision: Option<Revision>,
}

impl Dissoc {
    /// Only if the key has exactly this revision; otherwise `conflict`.
    pub fn if_revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    async fn run(self) -> Result<bool> {
        let Self { common, key, revision } = self;
        Operation::run(
            common.store.inner,
            "dissoc",
            Some(&key),
            common.timeout,
            async |operation| remove(&operation, &key, revision).await,
        )
        .await
    }
}

impl_request!([] Dissoc => Result<bool>);

async fn remove(operation: &Operation, key: &Key, revision: Option<Revision>) -> Result<bool> {
    let store = &operation.store;
    let at = store.address(key);
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    let (condition, when, mut rev) = match revision {
        None => (Condition::None, When::Newer, store.revisions.next()),
        Some(expected) => {
            let rev = store.revisions.next_after(expected)?;
            (Condition::Revision(expected), When::Matches(expected), rev)
        }
    };
    loop {
        let current = match operation.decisive_remove(&at, rev, when).await? {
            Written::Applied {
                previous: Previous::Known(previous),
            } => {
                let existed = previous.as_ref().is_some_and(|occupant| occupant.item().is_some());
                if let Some(replaced) = generation_of(operation, previous) {
                    generation::retire(operation, replaced);
                }
                return Ok(existed);
            }
            Written::Applied {
                previous: Previous::Existed(existed),
            } => return Ok(existed),
            Written::Applied {
                previous: Previous::Unknown,
            } => {
                let message = "the key is removed, but the engine cannot tell whether it was there";
                return Err(Error::new(ErrorKind::UnknownOutcome, message));
            }
            Written::Refused { current } => current,
        };
        if check_kind(current.as_ref()).is_err() {
            if revision.is_some() {
                return Err(is_a_log());
            }
            match log::remove(operation, key).await {
                // Somebody replaced the log by something else meanwhile, and that can be removed like anything else.
                Err(error) if error.kind() == ErrorKind::WrongKind => {}
                removed => return removed,
            }
        }
        check_condition(condition, current.as_ref())?;
        if let Some(current) = current {
            rev = store.revisions.next_after(current.rev())?;
        }
        backoff.lost().await?;
    }
}

/// The request of [`Store::dissoc_in`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct DissocIn {
    common: Common,
    path: Path,
}

impl DissocIn {
    async fn run(self) -> Result<bool> {
        let Self { common, path } = self;
        Operation::run(
            common.store.inner,
            "dissoc_in",
            Some(&path),
            common.timeout,
            async |operation| {
                if path.steps().is_empty() {
                    return remove(&operation, path.key(), None).await;
                }
                let at = operation.store.address(path.key());
                let modification = Modification {
                    key: path.key(),
                    at: &at,
                    user: None,
                    expiry: None,
                    revision: None,
                };
                let (existed, _) = modify(&operation, modification, |document| {
                    let Some(mut document) = document else {
                        return Ok(Change::Leave(false));
                    };
                    Ok(if nested::remove(&mut document, path.steps()) {
                        Change::Write(document, true)
                    } else {
                        Change::Leave(false)
                    })
                })
                .await?;
                Ok(existed)
            },
        )
        .await
    }
}

impl_request!([] DissocIn => Result<bool>);
