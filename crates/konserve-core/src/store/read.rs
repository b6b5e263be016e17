//! `exists`, `get`, `get_in`, `get_meta`.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::request::{Common, impl_consistent, impl_request};
use super::{Operation, Store, document};
use crate::head::{Head, HeadKind, Meta};
use crate::log::{self, Site};
use crate::placement::{Fetched, fetch};
use crate::value::from_value_ref;
use crate::{Key, Path, Result, nested};

impl Store {
    /// Whether the key holds anything: a document, a binary or a log.
    ///
    /// One read without the value. Read-only, so it can be dropped at any time.
    pub fn exists(&self, key: impl Into<Key>) -> Exists {
        Exists {
            common: Common::new(self),
            key: key.into(),
            consistent: false,
        }
    }

    /// The document at a key; `None` when the key is absent. A stored null is `Some`.
    ///
    /// One read; a value above the inline limit takes one for its head and one for each 16 MB of its chunks or so.
    ///
    /// # Errors
    ///
    /// `wrong_kind` for a binary or a log; `codec`, naming the place, when the document does not fit `T`; `corrupt` when what
    /// is stored is damaged.
    pub fn get<T: DeserializeOwned + Send + 'static>(&self, key: impl Into<Key>) -> Get<T> {
        self.get_in(Path::new(key))
    }

    /// The part of a document at a path; `None` when the key or the path is absent, or a step leads through a scalar.
    ///
    /// As [`get`](Self::get) otherwise. Steps into lists are indexes, steps into sets are members.
    pub fn get_in<T: DeserializeOwned + Send + 'static>(&self, path: impl Into<Path>) -> Get<T> {
        Get {
            common: Common::new(self),
            path: path.into(),
            consistent: false,
            result: PhantomData,
        }
    }

    /// What is known of a key without reading its value; `None` when it is absent. One read.
    pub fn get_meta(&self, key: impl Into<Key>) -> GetMeta {
        GetMeta {
            common: Common::new(self),
            key: key.into(),
            consistent: false,
        }
    }
}

/// The request of [`Store::exists`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Exists {
    common: Common,
    key: Key,
    consistent: bool,
}

impl Exists {
    async fn run(self) -> Result<bool> {
        let Self {
            common,
            key,
            consistent,
        } = self;
        Operation::run(
            common.store.inner,
            "exists",
            Some(&key),
            common.timeout,
            async |operation| {
                let how = operation.store.how(consistent).without_body();
                Ok(operation.read(&operation.store.address(&key), how).await?.is_some())
            },
        )
        .await
    }
}

impl_consistent!([] Exists);
impl_request!([] Exists => Result<bool>);

/// The request of [`Store::get`] and [`Store::get_in`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Get<T> {
    common: Common,
    path: Path,
    consistent: bool,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send + 'static> Get<T> {
    /// Deliver what is known of the key as well.
    pub fn with_meta(self) -> GetWithMeta<T> {
        GetWithMeta {
            common: self.common.clone(),
            get: self,
        }
    }

    async fn run(self) -> Result<Option<T>> {
        let found = self.read(|_, _| Ok(())).await?;
        Ok(found.map(|(value, ())| value))
    }

    /// Reads the value, and whatever else is to be made of the record.
    async fn read<M: Send>(
        self,
        also: impl FnOnce(&Operation, &Fetched) -> Result<M> + Send,
    ) -> Result<Option<(T, M)>> {
        let Self {
            common,
            path,
            consistent,
            ..
        } = self;
        let name = if path.steps().is_empty() { "get" } else { "get_in" };
        let shown: &(dyn std::fmt::Display + Sync) = if path.steps().is_empty() { path.key() } else { &path };
        Operation::run(
            common.store.inner,
            name,
            Some(shown),
            common.timeout,
            async |operation| {
                let how = operation.store.how(consistent);
                let at = operation.store.address(path.key());
                let Some(item) = operation.read(&at, how).await? else {
                    return Ok(None);
                };
                let Some(fetched) = fetch(&operation, &at, item, how.strong).await? else {
                    return Ok(None);
                };
                let value = if path.steps().is_empty() {
                    document::decode(&fetched)?
                } else {
                    let document = document::decode_value(&fetched)?;
                    match nested::read(&document, path.steps()) {
                        Some(part) => from_value_ref(part)?,
                        None => return Ok(None),
                    }
                };
                Ok(Some((value, also(&operation, &fetched)?)))
            },
        )
        .await
    }
}

impl_consistent!([T] Get<T>);
impl_request!([T: DeserializeOwned + Send + 'static] Get<T> => Result<Option<T>>);

/// The request of [`Get::with_meta`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct GetWithMeta<T> {
    common: Common,
    get: Get<T>,
}

impl<T: DeserializeOwned + Send + 'static> GetWithMeta<T> {
    async fn run(mut self) -> Result<Option<(T, Meta)>> {
        self.get.common = self.common;
        self.get
            .read(|operation, fetched| document::meta_of(&operation.store, fetched))
            .await
    }
}

impl_request!([T: DeserializeOwned + Send + 'static] GetWithMeta<T> => Result<Option<(T, Meta)>>);

/// The request of [`Store::get_meta`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct GetMeta {
    common: Common,
    key: Key,
    consistent: bool,
}

impl GetMeta {
    async fn run(self) -> Result<Option<Meta>> {
        let Self {
            common,
            key,
            consistent,
        } = self;
        Operation::run(
            common.store.inner,
            "get_meta",
            Some(&key),
            common.timeout,
            async |operation| {
                let how = operation.store.how(consistent).without_body();
                let store = &operation.store;
                let at = store.address(&key);
                let known = store.environment.clock.uptime();
                let Some(item) = operation.read(&at, how).await? else {
                    return Ok(None);
                };
                let head = Head::decode(&store.envelope, &item.meta)?;
                let log = match head.kind {
                    HeadKind::Log { id, .. } => {
                        let site = Site::of(&operation, &at, id, known, how).await?;
                        let extent = match site {
                            Some(site) => log::extent(&site).await?,
                            None => None,
                        };
                        // Nothing is absent but what was removed meanwhile.
                        let Some(extent) = extent else {
                            return Ok(None);
                        };
                        Some(extent)
                    }
                    _ => None,
                };
                let meta = head.into_meta(item.rev, item.expires)?;
                Ok(Some(Meta { log, ..meta }))
            },
        )
        .await
    }
}

impl_consistent!([] GetMeta);
impl_request!([] GetMeta => Result<Option<Meta>>);
