//! `multi_assoc`, `multi_dissoc`: several keys changed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::request::{Common, impl_request};
use super::write::{check_kind, generation_of};
use super::{Backoff, MULTI_LIMIT, Operation, Store, document};
use crate::backend::{Address, Committed, Mutation, Occupant, Read, Refusal, TransactionLimits, When};
use crate::head::{GenerationId, HeadKind};
use crate::placement::{self, Expiry, Fit, PendingGeneration, Placed, generation};
use crate::record::Content;
use crate::value::Map;
use crate::{Error, ErrorKind, Key, Result, Revision};

impl Store {
    /// Stores several documents, all of them or none, as one atomic step, and gives them one revision.
    ///
    /// One transaction. Values that do not fit into it are written as chunks before, several at a time, and still become visible
    /// with the rest; that takes a request for each chunk, one for their generation, and one that looks up what is replaced.
    ///
    /// What is given no [`ttl`](MultiAssoc::ttl) stays for good.
    ///
    /// Large values that are replaced are removed in the background only if some of the new ones are large as well; otherwise
    /// their chunks are left to [`collect`](Self::collect).
    ///
    /// # Errors
    ///
    /// `too_many_items` above 100 keys, or above 99 when some of the values have to be written as chunks, naming the limit that
    /// applies; `invalid_input` for a key that is given twice, and for a time to live of zero or above a hundred
    /// years; `wrong_kind` over a log; `unsupported` on engines without
    /// transactions. Nothing is written then.
    pub fn multi_assoc(&self, pairs: impl IntoIterator<Item = (impl Into<Key>, impl Serialize)>) -> MultiAssoc {
        let codec = self.inner.options.codec;
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), codec.encode_typed(&value).map(Bytes::from)))
            .collect();
        MultiAssoc {
            common: Common::new(self),
            pairs,
            user: Ok(Map::new()),
            user_of: Vec::new(),
            expiry: Ok(Expiry::Never),
            expiry_of: Vec::new(),
        }
    }

    /// Removes several keys, all of them or none, as one atomic step, and says of each whether it was there.
    ///
    /// One transaction when all exist, otherwise two: the second checks that the absent ones are still absent. The chunks of large
    /// values are left to [`collect`](Self::collect).
    ///
    /// # Errors
    ///
    /// `too_many_items` above 100 keys, before anything is sent; `wrong_kind` for a log; `unsupported` on engines without
    /// transactions. Nothing is removed then.
    pub fn multi_dissoc(&self, keys: impl IntoIterator<Item = impl Into<Key>>) -> MultiDissoc {
        MultiDissoc {
            common: Common::new(self),
            keys: keys.into_iter().map(Into::into).collect(),
        }
    }
}

pub(crate) fn check_count(limit: usize, given: usize) -> Result<()> {
    if given > limit {
        let error = Error::new(ErrorKind::TooManyItems, "too many keys at once");
        return Err(error.with_limit(limit as u64, given as u64));
    }
    Ok(())
}

pub(crate) fn transaction_limits(operation: &Operation) -> Result<TransactionLimits> {
    operation.store.capabilities.transactions.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "several keys at once take transactions, which this engine has not",
        )
    })
}

/// The request of [`Store::multi_assoc`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct MultiAssoc {
    common: Common,
    pairs: Vec<(Key, Result<Bytes>)>,
    user: Result<Map>,
    user_of: Vec<(Key, Result<Map>)>,
    expiry: Result<Expiry>,
    expiry_of: Vec<(Key, Result<Expiry>)>,
}

impl MultiAssoc {
    /// Stores these fields with each document that has none of its own.
    pub fn meta(mut self, fields: impl Serialize) -> Self {
        self.user = document::user_fields(&fields);
        self
    }

    /// Stores these fields with one of the documents.
    pub fn meta_for(mut self, key: impl Into<Key>, fields: impl Serialize) -> Self {
        self.user_of.push((key.into(), document::user_fields(&fields)));
        self
    }

    /// Lets each document that has no time of its own be absent from this long after it is written on, all at the same moment;
    /// otherwise as [`Assoc::ttl`](super::Assoc::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.expiry = Expiry::after(ttl);
        self
    }

    /// Lets one of the documents be absent from this long after it is written on.
    pub fn ttl_for(mut self, key: impl Into<Key>, ttl: Duration) -> Self {
        self.expiry_of.push((key.into(), Expiry::after(ttl)));
        self
    }

    async fn run(self) -> Result<Revision> {
        let Self {
            common,
            pairs,
            user,
            user_of,
            expiry,
            expiry_of,
        } = self;
        Operation::run(
            common.store.inner,
            "multi_assoc",
            None,
            common.timeout,
            async |operation| {
                check_count(MULTI_LIMIT, pairs.len())?;
                let limits = transaction_limits(&operation)?;
                check_count(limits.items, pairs.len())?;
                let users = Given::new("meta fields", user?, user_of)?;
                let expiries = Given::new("a time to live", expiry?, expiry_of)?;
                let documents = documents(pairs, users, expiries)?;
                if documents.is_empty() {
                    return Ok(operation.store.revisions.next());
                }
                let batch = Batch::place(&operation, documents, limits).await?;
                match batch.commit(&operation).await {
                    Ok(revision) => Ok(revision),
                    Err(error) => {
                        batch.discard(&operation);
                        Err(error)
                    }
                }
            },
        )
        .await
    }
}

impl_request!([] MultiAssoc => Result<Revision>);

/// What is to be stored under a key.
struct Document {
    key: Key,
    user: Map,
    expiry: Expiry,
    plain: Bytes,
}

/// What is given for all documents, and for some of them.
struct Given<T> {
    what: &'static str,
    all: T,
    of: BTreeMap<Key, T>,
}

impl<T: Clone> Given<T> {
    fn new(what: &'static str, all: T, some: Vec<(Key, Result<T>)>) -> Result<Self> {
        let mut of = BTreeMap::new();
        for (key, given) in some {
            let given = given.map_err(|error| error.with_key(&key))?;
            of.insert(key, given);
        }
        Ok(Self { what, all, of })
    }

    fn take(&mut self, key: &Key) -> T {
        self.of.remove(key).unwrap_or_else(|| self.all.clone())
    }

    /// Refuses what was given for a key that is not among the documents.
    fn end(self) -> Result<()> {
        match self.of.into_keys().next() {
            None => Ok(()),
            Some(key) => {
                let message = format!("{} for a key that is not given", self.what);
                Err(Error::new(ErrorKind::InvalidInput, message).with_key(key))
            }
        }
    }
}

fn documents(
    pairs: Vec<(Key, Result<Bytes>)>,
    mut users: Given<Map>,
    mut expiries: Given<Expiry>,
) -> Result<Vec<Document>> {
    let mut seen = BTreeSet::new();
    let mut documents = Vec::with_capacity(pairs.len());
    for (key, plain) in pairs {
        if !seen.insert(key.clone()) {
            return Err(Error::new(ErrorKind::InvalidInput, "the key is given twice").with_key(key));
        }
        documents.push(Document {
            plain: plain.map_err(|error| error.with_key(&key))?,
            user: users.take(&key),
            expiry: expiries.take(&key),
            key,
        });
    }
    users.end()?;
    expiries.end()?;
    Ok(documents)
}

/// Documents that are ready to be stored in one commit.
struct Batch {
    /// In the order of the commit.
    placed: Vec<(Key, Address, Placed)>,
    /// The generation of the chunks of those that have chunks.
    generation: Option<PendingGeneration>,
}

impl Batch {
    async fn place(operation: &Operation, documents: Vec<Document>, limits: TransactionLimits) -> Result<Self> {
        let content = Content::Encoded(operation.store.options.codec);
        let mut fits = Vec::with_capacity(documents.len());
        let mut expiries = Vec::with_capacity(documents.len());
        for document in documents {
            let Document {
                key,
                user,
                expiry,
                plain,
            } = document;
            expiries.push(expiry);
            let kind = HeadKind::Document { key: key.clone(), user };
            let fit = placement::inline(operation, kind.clone(), content, plain.clone())?;
            fits.push((key, kind, plain, fit));
        }
        let spilled = spill(&mut fits, limits.bytes);
        if spilled > 0 && fits.len() + 1 > limits.items {
            let message = "too many keys at once for values of which some are written as chunks";
            let error = Error::new(ErrorKind::TooManyItems, message);
            return Err(error.with_limit(limits.items as u64 - 1, fits.len() as u64));
        }
        let mut batch = Self {
            placed: Vec::with_capacity(fits.len()),
            generation: None,
        };
        let mut uploads = Vec::with_capacity(spilled);
        for (_, _, plain, fit) in &fits {
            if matches!(fit, Fit::TooLarge { .. }) {
                uploads.push(plain.clone());
            }
        }
        let mut manifests = Vec::new().into_iter();
        if spilled > 0 {
            let generation = batch.generation.insert(PendingGeneration::begin(operation).await?);
            match generation.upload_all(operation, content, uploads).await {
                Ok(written) => manifests = written.into_iter(),
                Err(error) => {
                    batch.discard(operation);
                    return Err(error);
                }
            }
        }
        for ((key, kind, plain, fit), expiry) in fits.into_iter().zip(expiries) {
            let placed = match fit {
                Fit::Inline(placed) => Ok(placed),
                Fit::TooLarge { .. } => match manifests.next() {
                    Some(manifest) => placement::chunked(operation, kind, manifest, plain.len() as u64),
                    None => Err(Error::new(
                        ErrorKind::TooLarge,
                        "a value that fits no item was not counted",
                    )),
                },
            };
            match placed {
                Ok(placed) => {
                    let placed = placed.expiring(expiry);
                    batch.placed.push((key.clone(), operation.store.address(&key), placed));
                }
                Err(error) => {
                    batch.discard(operation);
                    return Err(error.with_key(key));
                }
            }
        }
        Ok(batch)
    }

    fn mutations(&self, operation: &Operation, rev: Revision) -> Result<Vec<Mutation>> {
        // Once for all of them, so that what was written together ends together.
        let now = operation.store.now();
        let mut all: Vec<_> = self
            .placed
            .iter()
            .map(|(_, at, placed)| Mutation::Write {
                at: at.clone(),
                item: placed.item_of(now, rev),
                when: When::Newer,
            })
            .collect();
        if let Some(generation) = &self.generation {
            let heads: Vec<_> = self
                .placed
                .iter()
                .filter(|(_, _, placed)| placed.body.is_none())
                .map(|(_, at, _)| at.clone())
                .collect();
            all.push(generation.make_live(operation, &heads, rev)?);
        }
        Ok(all)
    }

    async fn commit(&self, operation: &Operation) -> Result<Revision> {
        let store = &operation.store;
        let mut replaced = self.replaced(operation).await?;
        let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
        let mut rev = store.revisions.next();
        loop {
            let committed = match (
                operation.decisive_commit(self.mutations(operation, rev)?).await,
                &self.generation,
            ) {
                (Err(error), Some(pending)) => return Err(pending.end_failed(operation, error).await),
                (committed, _) => committed?,
            };
            let refusals = match committed {
                Committed::Applied => {
                    for generation in replaced {
                        generation::retire(operation, generation);
                    }
                    return Ok(rev);
                }
                Committed::Refused(refusals) => refusals,
            };
            for Refusal { index, current } in refusals {
                let Some((key, ..)) = self.placed.get(index) else {
                    return Err(match &self.generation {
                        Some(pending) => pending.end_given_up(operation).await,
                        None => placement::given_up(),
                    });
                };
                check_kind(current.as_ref()).map_err(|error| error.with_key(key))?;
                if let Some(current) = current {
                    store
                        .revisions
                        .advance_past(current.rev())
                        .map_err(|error| error.with_key(key))?;
                    replaced.extend(generation_of(operation, Some(current)));
                }
            }
            rev = store.revisions.next();
            backoff.lost().await?;
        }
    }

    /// The generations of what is about to be replaced: a commit does not tell. That costs a request, which is little beside
    /// those for chunks; a batch without chunks leaves it to the collector.
    async fn replaced(&self, operation: &Operation) -> Result<BTreeSet<GenerationId>> {
        if self.generation.is_none() || !operation.store.options.background_cleanup {
            return Ok(BTreeSet::new());
        }
        let at: Vec<_> = self.placed.iter().map(|(_, at, _)| at.clone()).collect();
        let heads = operation.read_many(&at, Read::STRONG.without_body()).await?;
        let heads = heads.into_iter().map(|head| head.map(Occupant::Item));
        Ok(heads.filter_map(|head| generation_of(operation, head)).collect())
    }

    fn discard(&self, operation: &Operation) {
        if let Some(generation) = &self.generation {
            generation::retire(operation, generation.id());
        }
    }
}

/// Marks the largest inline records as too large until the rest fits into a transaction, and counts those that are.
fn spill(fits: &mut [(Key, HeadKind, Bytes, Fit)], limit: usize) -> usize {
    /// What the head of a record with chunks needs at most, and the generation row for it, beside the key.
    const SPILLED: usize = 1024;
    let key_size = |kind: &HeadKind| match kind {
        HeadKind::Document { key, .. } => 4 * key.to_string().len(),
        _ => 0,
    };
    let mut total = 0;
    let mut inline = Vec::new();
    for (index, (_, kind, _, fit)) in fits.iter().enumerate() {
        match fit {
            Fit::Inline(placed) => {
                total += placed.size();
                inline.push((placed.size(), index));
            }
            Fit::TooLarge { .. } => total += SPILLED + key_size(kind),
        }
    }
    inline.sort_unstable();
    while total > limit
        && let Some((size, index)) = inline.pop()
    {
        let (_, kind, plain, fit) = &mut fits[index];
        total = total - size + SPILLED + key_size(kind);
        *fit = Fit::TooLarge {
            kind: kind.clone(),
            plain: plain.clone(),
        };
    }
    fits.iter()
        .filter(|(.., fit)| matches!(fit, Fit::TooLarge { .. }))
        .count()
}

/// The request of [`Store::multi_dissoc`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct MultiDissoc {
    common: Common,
    keys: BTreeSet<Key>,
}

impl MultiDissoc {
    async fn run(self) -> Result<BTreeMap<Key, bool>> {
        let Self { common, keys } = self;
        Operation::run(
            common.store.inner,
            "multi_dissoc",
            None,
            common.timeout,
            async |operation| {
                check_count(MULTI_LIMIT, keys.len())?;
                check_count(transaction_limits(&operation)?.items, keys.len())?;
                if keys.is_empty() {
                    return Ok(BTreeMap::new());
                }
                remove_all(&operation, keys).await
            },
        )
        .await
    }
}

impl_request!([] MultiDissoc => Result<BTreeMap<Key, bool>>);

async fn remove_all(operation: &Operation, keys: BTreeSet<Key>) -> Result<BTreeMap<Key, bool>> {
    let store = &operation.store;
    // What is believed of each key. A commit is applied only if all of it is true at once.
    let mut existed: BTreeMap<Key, bool> = keys.into_iter().map(|key| (key, true)).collect();
    let mut backoff = Backoff::new(store.environment.clone(), store.options.contention_timeout());
    // An engine may name one refusal at a time: each key can have something to tell.
    let mut eager = existed.len();
    loop {
        let rev = store.revisions.next();
        let all = existed
            .iter()
            .map(|(key, exists)| {
                let at = store.address(key);
                match exists {
                    true => Mutation::Remove {
                        at,
                        rev,
                        when: When::Exists,
                    },
                    false => Mutation::Check { at, when: When::Absent },
                }
            })
            .collect();
        let refusals = match operation.decisive_commit(all).await? {
            Committed::Applied => return Ok(existed),
            Committed::Refused(refusals) => refusals,
        };
        let mut learned = false;
        let mut beliefs: Vec<_> = existed.iter_mut().collect();
        for Refusal { index, current } in refusals {
            let Some((key, exists)) = beliefs.get_mut(index) else {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "the engine refused a mutation that it was not given",
                ));
            };
            check_kind(current.as_ref()).map_err(|error| error.with_key(&**key))?;
            let is_there = current.as_ref().is_some_and(|occupant| occupant.item().is_some());
            learned |= **exists != is_there;
            **exists = is_there;
            if let Some(current) = current {
                store
                    .revisions
                    .advance_past(current.rev())
                    .map_err(|error| error.with_key(&**key))?;
            }
        }
        // What was learned is most likely still so.
        match eager.checked_sub(1).filter(|_| learned) {
            Some(rest) => eager = rest,
            None => backoff.lost().await?,
        }
    }
}
