//! `update`, `update_in` and their fallible forms: lock, then read, apply, conditional write, again on conflict.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::request::{Common, impl_new_ttl, impl_request};
use super::rivalry::Rivalry;
use super::write::{check_kind, check_revision, is_a_log};
use super::{Operation, Store, document};
use crate::backend::{Address, Occupant, Read, When, Written};
use crate::head::{Head, HeadKind};
use crate::placement::{self, Expiry, generation};
use crate::record::Content;
use crate::value::{Map, from_value_ref, to_value};
use crate::{Error, ErrorKind, Key, Path, Result, Revision, Value, nested};

impl Store {
    /// Replaces a document by what a function makes of it, atomically across tasks, handles, processes and machines.
    ///
    /// The function gets `None` when the key is absent. It is called again when another writer comes first, so it should do
    /// nothing but compute. When it panics, nothing is written and the panic comes out. Meta fields and the expiry stay as they
    /// are unless given; a document that has expired is absent.
    ///
    /// A strong read and a conditional write, and one or two requests more for each time another writer comes first. Tasks of one
    /// process that update the same key wait for each other, in the order of arrival, and do not come before each other.
    ///
    /// # Errors
    ///
    /// `contended` when other writers kept winning for
    /// [`contention_timeout_ms`](super::Options::contention_timeout_ms); `wrong_kind` for a binary or a log; `codec` when the
    /// document does not fit `T`; `invalid_input` for a time to live of zero or above a hundred years.
    pub fn update<T, F>(&self, key: impl Into<Key>, function: F) -> Update<T, F>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        self.update_in(Path::new(key), function)
    }

    /// Replaces the part of a document at a path by what a function makes of it; otherwise as [`update`](Self::update).
    ///
    /// The function gets `None` when the path is absent; missing levels become maps, as in
    /// [`assoc_in`](Self::assoc_in).
    pub fn update_in<T, F>(&self, path: impl Into<Path>, function: F) -> Update<T, F>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        Update {
            common: Common::new(self),
            path: path.into(),
            function,
            user: None,
            expiry: None,
            revision: None,
            result: PhantomData,
        }
    }

    /// As [`update`](Self::update), with a function that can fail: then nothing is written, and its error comes out as
    /// [`UpdateError::Function`].
    pub fn try_update<T, E, F>(&self, key: impl Into<Key>, function: F) -> TryUpdate<T, E, F>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        self.try_update_in(Path::new(key), function)
    }

    /// As [`update_in`](Self::update_in), with a function that can fail: then nothing is written, and its error comes out as
    /// [`UpdateError::Function`].
    pub fn try_update_in<T, E, F>(&self, path: impl Into<Path>, function: F) -> TryUpdate<T, E, F>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
    {
        TryUpdate {
            common: Common::new(self),
            path: path.into(),
            function,
            user: None,
            expiry: None,
            revision: None,
            result: PhantomData,
        }
    }
}

/// What an update did at its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated<T> {
    /// What was there; `None` when nothing was.
    pub old: Option<T>,
    /// What is there now.
    pub new: T,
    /// The revision of the write.
    pub revision: Revision,
}

/// Why a fallible update did not happen.
#[derive(Debug)]
pub enum UpdateError<E> {
    /// The store's error.
    Store(Error),
    /// The function's error; nothing was written.
    Function(E),
}

impl<E: fmt::Display> fmt::Display for UpdateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the update failed in the store"),
            Self::Function(_) => f.write_str("the update's function failed, and nothing was written"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for UpdateError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Function(error) => Some(error),
        }
    }
}

impl<E> From<Error> for UpdateError<E> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// The request of [`Store::update`] and [`Store::update_in`].
#[must_use = "a request does nothing until it is awaited"]
pub struct Update<T, F> {
    common: Common,
    path: Path,
    function: F,
    user: Option<Result<Map>>,
    expiry: Option<Result<Expiry>>,
    revision: Option<Revision>,
    result: PhantomData<fn() -> T>,
}

impl<T, F> Update<T, F>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: FnMut(Option<T>) -> T + Send + 'static,
{
    /// Replaces the fields that are stored with the document.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = Some(document::user_fields(&fields));
        self
    }

    /// Only if the key has exactly this revision; otherwise `conflict`, and the function is not called.
    pub fn if_revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    async fn run(self) -> Result<Updated<T>> {
        let Self {
            common,
            path,
            mut function,
            user,
            expiry,
            revision,
            ..
        } = self;
        let function = move |old| Ok::<T, std::convert::Infallible>(function(old));
        match update(common, path, user, expiry, revision, function).await? {
            Ok(updated) => Ok(updated),
            Err(never) => match never {},
        }
    }
}

impl_new_ttl!([T, F] Update<T, F>);
impl_request!([T: Serialize + DeserializeOwned + Send + 'static, F: FnMut(Option<T>) -> T + Send + 'static]
    Update<T, F> => Result<Updated<T>>);

/// The request of [`Store::try_update`] and [`Store::try_update_in`].
#[must_use = "a request does nothing until it is awaited"]
pub struct TryUpdate<T, E, F> {
    common: Common,
    path: Path,
    function: F,
    user: Option<Result<Map>>,
    expiry: Option<Result<Expiry>>,
    revision: Option<Revision>,
    result: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E, F> TryUpdate<T, E, F>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Send + 'static,
    F: FnMut(Option<T>) -> Result<T, E> + Send + 'static,
{
    /// Replaces the fields that are stored with the document.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = Some(document::user_fields(&fields));
        self
    }

    /// Only if the key has exactly this revision; otherwise `conflict`, and the function is not called.
    pub fn if_revision(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    async fn run(self) -> Result<Updated<T>, UpdateError<E>> {
        let Self {
            common,
            path,
            function,
            user,
            expiry,
            revision,
            ..
        } = self;
        update(common, path, user, expiry, revision, function)
            .await?
            .map_err(UpdateError::Function)
    }
}

impl_new_ttl!([T, E, F] TryUpdate<T, E, F>);
impl_request!([T: Serialize + DeserializeOwned + Send + 'static, E: Send + 'static,
    F: FnMut(Option<T>) -> Result<T, E> + Send + 'static]
    TryUpdate<T, E, F> => Result<Updated<T>, UpdateError<E>>);

async fn update<T, E>(
    common: Common,
    path: Path,
    user: Option<Result<Map>>,
    expiry: Option<Result<Expiry>>,
    revision: Option<Revision>,
    mut function: impl FnMut(Option<T>) -> Result<T, E> + Send,
) -> Result<Result<Updated<T>, E>>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Send,
{
    let steps = path.steps();
    let (name, shown): (_, &(dyn fmt::Display + Sync)) = match steps {
        [] => ("update", path.key()),
        _ => ("update_in", &path),
    };
    Operation::run(
        common.store.inner,
        name,
        Some(shown),
        common.timeout,
        async |operation| {
            let at = operation.store.address(path.key());
            let modification = Modification {
                key: path.key(),
                at: &at,
                user: user.transpose()?,
                expiry: expiry.transpose()?,
                revision,
            };
            let (changed, revision) = modify(&operation, modification, |document| {
                let part = document.as_ref().and_then(|document| nested::read(document, steps));
                let read = || part.map(from_value_ref::<T>).transpose();
                let old = read()?;
                let new = match function(read()?) {
                    Ok(new) => new,
                    Err(error) => return Ok(Change::Leave(Err(error))),
                };
                let leaf = to_value(&new)?;
                Ok(Change::Write(nested::write(document, steps, leaf)?, Ok((old, new))))
            })
            .await?;
            Ok(match (changed, revision) {
                (Ok((old, new)), Some(revision)) => Ok(Updated { old, new, revision }),
                (Err(error), _) => Err(error),
                (Ok(_), None) => return Err(Error::new(ErrorKind::Corrupt, "a write without a revision")),
            })
        },
    )
    .await
}

/// Which document is modified, and what else is asked of the write.
pub(crate) struct Modification<'a> {
    pub(crate) key: &'a Key,
    pub(crate) at: &'a Address,
    /// The new meta fields; `None` leaves those that are there.
    pub(crate) user: Option<Map>,
    /// The new expiry; `None` leaves the one that is there.
    pub(crate) expiry: Option<Expiry>,
    /// The revision that the key must have.
    pub(crate) revision: Option<Revision>,
}

/// What becomes of a document.
pub(crate) enum Change<R> {
    /// It is replaced.
    Write(Value, R),
    /// It stays as it is.
    Leave(R),
}

/// Replaces a document by what `change` makes of it, and says under which revision, if it was replaced.
pub(crate) async fn modify<R: Send>(
    operation: &Operation,
    modification: Modification<'_>,
    mut change: impl FnMut(Option<Value>) -> Result<Change<R>> + Send,
) -> Result<(R, Option<Revision>)> {
    let store = &operation.store;
    let Modification {
        key,
        at,
        user,
        expiry,
        revision,
    } = modification;
    let _guard = store.lock(at).await;
    let mut rivalry = Rivalry::new(store.environment.clone(), store.options.contention_timeout());
    let mut item = operation.read(at, Read::STRONG).await?;
    loop {
        let began = Instant::now();
        let fetched = match item {
            Some(item) if item.pinned => return Err(is_a_log()),
            Some(item) => placement::fetch(operation, at, item, true).await?,
            None => None,
        };
        if let Some(expected) = revision {
            check_revision(expected, fetched.as_ref().map(|fetched| fetched.rev))?;
        }
        let when = match &fetched {
            Some(fetched) => {
                store.revisions.advance_past(fetched.rev)?;
                When::Matches(fetched.rev)
            }
            None => When::Absent,
        };
        let mut replaced = None;
        let mut kept = Map::new();
        if let Some(fetched) = &fetched {
            let head = Head::decode(&store.envelope, &fetched.meta)?;
            replaced = head.manifest().map(|manifest| manifest.generation);
            if let HeadKind::Document { user, .. } = head.kind {
                kept = user;
            }
        }
        let document = fetched.as_ref().map(document::decode_value).transpose()?;
        let (value, result) = match change(document)? {
            Change::Write(value, result) => (value, result),
            Change::Leave(result) => return Ok((result, None)),
        };
        let kind = HeadKind::Document {
            key: key.clone(),
            user: user.clone().unwrap_or(kept),
        };
        let codec = store.options.codec;
        let plain = codec.encode(&value)?.into();
        let kept = Expiry::kept(fetched.and_then(|fetched| fetched.expires));
        let placed = placement::place(operation, kind, Content::Encoded(codec), plain).await?;
        let placed = placed.expiring(expiry.unwrap_or(kept));
        let rev = store.revisions.next();
        let current = match placement::settle(operation, at, &placed, rev, when).await {
            Ok(Written::Applied { .. }) => {
                if let Some(replaced) = replaced {
                    generation::retire(operation, replaced);
                }
                return Ok((result, Some(rev)));
            }
            Ok(Written::Refused { current }) => current,
            Err(error) => {
                placement::discard(operation, &placed);
                return Err(error);
            }
        };
        placement::discard(operation, &placed);
        check_kind(current.as_ref())?;
        if let Some(current) = &current {
            store.revisions.advance_past(current.rev())?;
        }
        let is_old = rivalry.lost(began.elapsed()).await?;
        item = match current.and_then(Occupant::into_item) {
            _ if is_old => operation.read(at, Read::STRONG).await?,
            // Without a body it may be that the engine did not deliver it.
            Some(item) if item.body.is_none() => operation.read(at, Read::STRONG).await?,
            current => current,
        };
    }
}

impl<T, F> fmt::Debug for Update<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<T, E, F> fmt::Debug for TryUpdate<T, E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryUpdate")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
