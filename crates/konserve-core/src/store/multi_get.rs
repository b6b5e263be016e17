//! `multi_get`, `get_many`: the documents at several keys.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use futures::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::multi::{check_count, transaction_limits};
use super::request::{Common, impl_consistent, impl_request};
use super::{MULTI_LIMIT, Operation, Store, document};
use crate::backend::{Address, Item, Read};
use crate::placement::{RESTARTS, fetch, fetch_exactly};
use crate::{Error, ErrorKind, Key, Result, Rev};

/// How many keys one batch of `get_many` has: as many as one request of DynamoDB takes.
const BATCH: usize = 100;

/// How many batches of `get_many` are on their way at once.
const CONCURRENT_BATCHES: usize = 4;

impl Store {
    /// The documents at up to 100 keys, those that exist, by key.
    ///
    /// One request for as many as fit into one answer of the engine (16 MB on DynamoDB), and complete or an error. Not one
    /// atomic view, unless it is asked for with [`snapshot`](MultiGet::snapshot): each document is read for itself. For more keys
    /// there is [`get_many`](Self::get_many).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// use konserve_core::Key;
    ///
    /// store.multi_assoc([("checking", 70), ("savings", 30)]).await?;
    /// let accounts = store.multi_get::<i64>(["checking", "savings"]).snapshot().await?;
    /// assert_eq!(accounts.values().sum::<i64>(), 100); // whoever moves money from one to the other meanwhile
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `too_many_items` above 100 keys, before anything is sent; otherwise as [`get`](Self::get), naming the key.
    pub fn multi_get<T>(&self, keys: impl IntoIterator<Item = impl Into<Key>>) -> MultiGet<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        MultiGet {
            common: Common::new(self),
            keys: keys.into_iter().map(Into::into).collect(),
            consistent: false,
            snapshot: false,
            result: PhantomData,
        }
    }

    /// The documents at any number of keys, those that exist, by key.
    ///
    /// Never one view: each document is read for itself, in batches of 100 keys, a few of them at once. Complete or an error. All
    /// that is found is held in memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// store.assoc("user:7", "Ada").await?;
    /// let users = store.get_many::<String>((0..1000).map(|number| format!("user:{number}"))).await?;
    /// assert_eq!(users.into_values().collect::<Vec<_>>(), ["Ada"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), naming the key.
    pub fn get_many<T>(&self, keys: impl IntoIterator<Item = impl Into<Key>>) -> GetMany<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        GetMany {
            common: Common::new(self),
            keys: keys.into_iter().map(Into::into).collect(),
            consistent: false,
            result: PhantomData,
        }
    }
}

/// The request of [`Store::multi_get`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct MultiGet<T> {
    common: Common,
    keys: BTreeSet<Key>,
    consistent: bool,
    snapshot: bool,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send + 'static> MultiGet<T> {
    /// All documents as of one moment between the call and its answer: what was stored by one `multi_assoc` comes as a whole or not
    /// at all. See every write that was acknowledged before.
    ///
    /// One transaction, which costs twice as much as other strong reads on DynamoDB. Large values are read behind it; when one of
    /// them is replaced and its chunks are purged meanwhile, all is read again.
    ///
    /// The request then fails with `unsupported` on engines without transactions; `too_many_items` above what they take;
    /// `too_large` when the items are more than they take (4 MB on DynamoDB; large values count as a few hundred bytes each);
    /// `contended` when values are replaced again and again while they are read.
    pub fn snapshot(mut self) -> Self {
        self.snapshot = true;
        self
    }

    async fn run(self) -> Result<BTreeMap<Key, T>> {
        let Self {
            common,
            keys,
            consistent,
            snapshot,
            ..
        } = self;
        Operation::run(
            common.store.inner,
            "multi_get",
            None,
            common.timeout,
            async |operation| {
                check_count(MULTI_LIMIT, keys.len())?;
                let keys: Vec<_> = keys.into_iter().collect();
                if snapshot {
                    check_count(transaction_limits(&operation)?.items, keys.len())?;
                    return as_of_one_moment(&operation, &keys).await;
                }
                let how = operation.store.how(consistent);
                Ok(each(operation, keys, how).await?.into_iter().collect())
            },
        )
        .await
    }
}

impl_consistent!([T] MultiGet<T>);
impl_request!([T: DeserializeOwned + Send + 'static] MultiGet<T> => Result<BTreeMap<Key, T>>);

/// The request of [`Store::get_many`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct GetMany<T> {
    common: Common,
    keys: BTreeSet<Key>,
    consistent: bool,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send + 'static> GetMany<T> {
    async fn run(self) -> Result<BTreeMap<Key, T>> {
        let Self {
            common,
            keys,
            consistent,
            ..
        } = self;
        Operation::run(
            common.store.inner,
            "get_many",
            None,
            common.timeout,
            async |operation| {
                let how = operation.store.how(consistent);
                let mut keys = keys.into_iter();
                let batches = std::iter::from_fn(|| {
                    let batch: Vec<_> = keys.by_ref().take(BATCH).collect();
                    (!batch.is_empty()).then_some(batch)
                });
                let batches: Vec<_> = batches.map(|batch| each(operation.clone(), batch, how)).collect();
                let mut read = stream::iter(batches).buffer_unordered(CONCURRENT_BATCHES);
                let mut found = BTreeMap::new();
                while let Some(batch) = read.try_next().await? {
                    found.extend(batch);
                }
                Ok(found)
            },
        )
        .await
    }
}

impl_consistent!([T] GetMany<T>);
impl_request!([T: DeserializeOwned + Send + 'static] GetMany<T> => Result<BTreeMap<Key, T>>);

/// The documents at some keys, each read for itself.
async fn each<T: DeserializeOwned>(operation: Operation, keys: Vec<Key>, how: Read) -> Result<Vec<(Key, T)>> {
    let at = addresses(&operation, &keys);
    let items = operation.read_many(&at, how).await?;
    let mut found = Vec::new();
    for ((key, at), item) in keys.into_iter().zip(&at).zip(items) {
        let Some(item) = item else { continue };
        let value = async {
            let fetched = fetch(&operation, at, item, how.strong).await?;
            fetched.map(|fetched| document::decode(&fetched)).transpose()
        };
        if let Some(value) = value.await.map_err(|error| error.with_key(&key))? {
            found.push((key, value));
        }
    }
    Ok(found)
}

/// The documents at some keys as of one moment.
///
/// The heads are one view, and the chunks that they name never change. When one is gone, its value was replaced after that moment,
/// and another moment has to be found.
async fn as_of_one_moment<T: DeserializeOwned>(operation: &Operation, keys: &[Key]) -> Result<BTreeMap<Key, T>> {
    let at = addresses(operation, keys);
    let mut gone = None;
    for _ in 0..RESTARTS {
        let items = operation.read_many(&at, Read::SNAPSHOT).await?;
        match whole(operation, keys, items, gone).await? {
            Ok(found) => return Ok(found),
            Err(replaced) => gone = Some(replaced),
        }
    }
    let message = format!("values were replaced {RESTARTS} times while they were read");
    Err(Error::new(ErrorKind::Contended, message))
}

/// The documents of items that are one view, or which of them has lost its chunks. `gone` is one that had lost them before.
async fn whole<T: DeserializeOwned>(
    operation: &Operation,
    keys: &[Key],
    items: Vec<Option<Item>>,
    gone: Option<(usize, Rev)>,
) -> Result<Result<BTreeMap<Key, T>, (usize, Rev)>> {
    let mut found = BTreeMap::new();
    for (index, (key, item)) in keys.iter().zip(items).enumerate() {
        let Some(item) = item else { continue };
        let rev = item.rev;
        if gone == Some((index, rev)) {
            let error = Error::new(ErrorKind::Corrupt, "chunks are missing or damaged");
            return Err(error.with_key(key));
        }
        let fetched = fetch_exactly(operation, &item, true)
            .await
            .map_err(|error| error.with_key(key))?;
        let Some(fetched) = fetched else {
            return Ok(Err((index, rev)));
        };
        let value = document::decode(&fetched).map_err(|error| error.with_key(key))?;
        found.insert(key.clone(), value);
    }
    Ok(Ok(found))
}

fn addresses(operation: &Operation, keys: &[Key]) -> Vec<Address> {
    keys.iter().map(|key| operation.store.address(key)).collect()
}
