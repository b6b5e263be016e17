//! A handle on a store in memory.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use konserve_core::backend::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Order,
    Previous, Purge, Read, RowQuery, Space, TransactionLimits, When, Written,
};
use konserve_core::{Error, ErrorKind, Result, Rev};

use crate::Builder;
use crate::data::{Data, SHARDS};
use crate::registry;
use crate::shard::{Listed, as_of};

/// How many items a stream takes in one go. Between goes nobody is locked out.
const PAGE: usize = 64;

/// In how many parts a listing is read: each is a run of shards, and its name tells which.
const PARTS: usize = 3;

/// A handle on a store in memory.
///
/// [`handle`](Self::handle) gives another handle on the same data, which is closed by itself; a clone is the same handle
/// once more. The data lives as long as a handle does, or as long as the process when the store has a name. Conditions
/// and strong reads reach the whole process. Every read here is a strong one.
///
/// After [`delete`](Self::delete), handles on the store answer everything with an error of kind `not_found`.
#[derive(Clone)]
pub struct Memory {
    data: Arc<Data>,
    closed: Arc<AtomicBool>,
}

impl Memory {
    /// A new, empty store without a name.
    #[must_use]
    pub fn new() -> Self {
        Builder::new().build()
    }

    /// Settings for a new store.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A new store of this name, for the whole process, until it is deleted.
    ///
    /// # Errors
    ///
    /// `already_exists` when there is one.
    ///
    /// ```
    /// use konserve_core::ErrorKind;
    /// use konserve_memory::Memory;
    ///
    /// let first = Memory::create("documented")?;
    /// assert_eq!(Memory::create("documented").unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// let second = Memory::connect("documented")?;
    /// Memory::delete("documented")?;
    /// assert!(!Memory::exists("documented"));
    /// # Ok::<_, konserve_core::Error>(())
    /// ```
    pub fn create(name: &str) -> Result<Self> {
        Builder::new().create(name)
    }

    /// A handle on the store of this name.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none.
    pub fn connect(name: &str) -> Result<Self> {
        registry::connect(name).map(Self::sharing)
    }

    /// Whether there is a store of this name in this process.
    #[must_use]
    pub fn exists(name: &str) -> bool {
        registry::exists(name)
    }

    /// Drops the store of this name and everything in it. Handles that are still open answer `not_found` from now on,
    /// also when a store of the same name is created again.
    ///
    /// # Errors
    ///
    /// `not_found` when there is none.
    pub fn delete(name: &str) -> Result<()> {
        registry::delete(name)
    }

    /// Another handle on the same data.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self::sharing(Arc::clone(&self.data))
    }

    /// What the listings are shuffled by.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.data.seed()
    }

    pub(crate) fn over(data: Data) -> Self {
        Self::sharing(Arc::new(data))
    }

    pub(crate) fn sharing(data: Arc<Data>) -> Self {
        Self {
            data,
            closed: Arc::default(),
        }
    }

    /// The data, while the handle is open.
    pub(crate) fn data(&self) -> Result<&Data> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the handle was closed"));
        }
        Ok(&self.data)
    }

    /// The data, while the handle is open and if it can be read like this.
    pub(crate) fn readable(&self, how: Read) -> Result<&Data> {
        let data = self.data()?;
        if how.strong && !data.capabilities.strong_reads {
            return Err(Error::new(ErrorKind::Unsupported, "strong reads were turned off"));
        }
        Ok(data)
    }

    fn get(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let occupant = self.readable(how)?.get(at)?;
        Ok(occupant.and_then(Occupant::into_item).map(|item| trimmed(item, how)))
    }

    /// The shards that a listing goes through, and the position in the first of them behind which it begins.
    pub(crate) fn start(&self, space: Space, how: &Listing) -> Result<(Range<usize>, Option<Listed>)> {
        let shards = shards(&how.part)?;
        let Some(at) = &how.after else {
            return Ok((shards, None));
        };
        if at.space != space {
            let error = "a listing goes on in the space it began in";
            return Err(Error::new(ErrorKind::InvalidInput, error));
        }
        let place = self.data.place(at);
        if !shards.contains(&place.shard) {
            let error = "a listing goes on in the part it began in";
            return Err(Error::new(ErrorKind::InvalidInput, error));
        }
        let after = (place.position, at.partition.clone(), at.row);
        Ok((place.shard..shards.end, Some(after)))
    }

    /// That a snapshot of these addresses is within the limits of a commit.
    pub(crate) fn check_snapshot(&self, at: &[Address]) -> Result<()> {
        let limits = self.transaction_limits()?;
        let different: HashSet<_> = at.iter().collect();
        if different.len() > limits.items {
            return Err(Error::new(ErrorKind::TooManyItems, "items in one snapshot")
                .with_limit(limits.items as u64, different.len() as u64));
        }
        Ok(())
    }

    fn transaction_limits(&self) -> Result<TransactionLimits> {
        let limits = self.data.capabilities.transactions;
        limits.ok_or_else(|| Error::new(ErrorKind::Unsupported, "this engine has no transactions"))
    }

    /// What is at several addresses as of one moment.
    pub(crate) fn snapshot(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let data = self.readable(Read { strong: true, ..how })?;
        self.check_snapshot(at)?;
        let found = data.snapshot(at)?;
        let bytes: usize = found.values().filter_map(Occupant::item).map(Item::size).sum();
        let limit = self.transaction_limits()?.bytes;
        if bytes > limit {
            return Err(too_large("snapshot in bytes", limit, bytes));
        }
        let item = |at| found.get(at).cloned().and_then(Occupant::into_item);
        Ok(at.iter().map(|at| item(at).map(|item| trimmed(item, how))).collect())
    }

    /// What is checked before anything is touched.
    pub(crate) fn check_limits(&self, at: &Address, size: usize) -> Result<()> {
        let Capabilities {
            item_limit,
            longest_partition,
            ..
        } = self.data.capabilities;
        let text = at.partition.as_str().len();
        if text > longest_partition {
            return Err(too_large("partition text in bytes", longest_partition, text));
        }
        match item_limit {
            Some(limit) if size > limit => Err(too_large("item in bytes", limit, size)),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_commit(&self, all: &[Mutation]) -> Result<()> {
        let limits = self.transaction_limits()?;
        if all.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a commit of nothing"));
        }
        if all.len() > limits.items {
            return Err(Error::new(ErrorKind::TooManyItems, "items in one commit")
                .with_limit(limits.items as u64, all.len() as u64));
        }
        let mut seen = HashSet::with_capacity(all.len());
        for mutation in all {
            self.check_limits(mutation.at(), mutation.size())?;
            if !seen.insert(mutation.at()) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "the same address twice in one commit",
                ));
            }
            let is_check = matches!(mutation, Mutation::Check { .. });
            if is_check && matches!(mutation.when(), When::Always | When::Newer) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a check asks for `Absent`, `Exists` or `Matches`",
                ));
            }
        }
        let bytes = all.iter().map(Mutation::size).sum();
        if bytes > limits.bytes {
            return Err(too_large("commit in bytes", limits.bytes, bytes));
        }
        Ok(())
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("seed", &self.data.seed())
            .field("closed", &self.closed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Backend for Memory {
    fn capabilities(&self) -> Capabilities {
        self.data.capabilities
    }

    fn identity(&self) -> Option<String> {
        Some(format!("memory:{}", self.data.number))
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        self.get(at, how)
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        if how.snapshot {
            return self.snapshot(at, how);
        }
        self.readable(how)?;
        at.iter().map(|at| self.get(at, how)).collect()
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        let data = self.data()?;
        self.check_limits(at, item.size())?;
        Ok(bare(data.mutate(at, item.rev, when, Occupant::Item(item))?))
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let data = self.data()?;
        self.check_limits(at, 0)?;
        Ok(bare(data.mutate(at, rev, when, Occupant::Tombstone(rev))?))
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        let data = self.data()?;
        self.check_commit(&all)?;
        let mut answer = data.commit(all)?;
        if let Committed::Refused(refusals) = &mut answer {
            refusals.iter_mut().for_each(|refusal| drop_body(&mut refusal.current));
        }
        Ok(answer)
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let data = self.data()?;
        what.iter().try_for_each(|what| data.purge(what))
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let range = (!query.range.is_empty()).then_some(query.range.clone());
        let rows = Rows {
            memory: self.clone(),
            wanted: query.limit.unwrap_or(usize::MAX),
            range,
            query,
            page: VecDeque::new(),
        };
        stream::try_unfold(rows, |mut rows| async move { Ok(rows.next()?.map(|row| (row, rows))) }).boxed()
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let (shards, after) = match self.start(space, &how) {
            Ok(start) => start,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let everything = Everything {
            memory: self.clone(),
            space,
            how,
            shards,
            after,
            page: VecDeque::new(),
        };
        stream::try_unfold(everything, |mut everything| async move {
            Ok(everything.next()?.map(|occupant| (occupant, everything)))
        })
        .boxed()
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }

    fn parts(&self, _space: Space, _how: &Listing) -> Vec<ListingPart> {
        let name = |part| ListingPart::new(format!("{part}/{PARTS}"));
        (0..PARTS).map(name).collect()
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

/// A read of rows under way.
struct Rows {
    memory: Memory,
    query: RowQuery,
    /// What is left of the range; `None` when nothing is.
    range: Option<RangeInclusive<u64>>,
    /// How many items may still be delivered.
    wanted: usize,
    page: VecDeque<(u64, Arc<Occupant>)>,
}

impl Rows {
    fn next(&mut self) -> Result<Option<(u64, Item)>> {
        while self.wanted > 0 {
            let Some((row, occupant)) = self.page.pop_front() else {
                if !self.fetch()? {
                    break;
                }
                continue;
            };
            let occupant = as_of(&occupant, || self.memory.data.now());
            if let Some(item) = occupant.into_item() {
                self.wanted -= 1;
                return Ok(Some((row, trimmed(item, self.query.how))));
            }
        }
        Ok(None)
    }

    /// Takes the next page; `false` when there is none.
    fn fetch(&mut self) -> Result<bool> {
        let Some(range) = self.range.take() else {
            return Ok(false);
        };
        let RowQuery {
            space,
            ref partition,
            order,
            ..
        } = self.query;
        let (start, end) = (*range.start(), *range.end());
        let count = PAGE.min(self.wanted);
        let data = self.memory.readable(self.query.how)?;
        self.page = data.rows(space, partition, range, order, count)?.into();
        if let Some(&(last, _)) = self.page.back().filter(|_| self.page.len() == count) {
            let rest = match order {
                Order::Ascending => last.checked_add(1).map(|next| next..=end),
                Order::Descending => last.checked_sub(1).map(|next| start..=next),
            };
            self.range = rest.filter(|rest| !rest.is_empty());
        }
        Ok(!self.page.is_empty())
    }
}

/// A listing under way. It goes through the shards one after the other.
struct Everything {
    memory: Memory,
    space: Space,
    how: Listing,
    /// The ones that are left, the first of which is under way.
    shards: Range<usize>,
    after: Option<Listed>,
    page: VecDeque<(Listed, Arc<Occupant>)>,
}

impl Everything {
    fn next(&mut self) -> Result<Option<(Address, Occupant)>> {
        loop {
            let Some(((_, partition, row), occupant)) = self.page.pop_front() else {
                if !self.fetch()? {
                    return Ok(None);
                }
                continue;
            };
            let occupant = match self.how.tombstones {
                true => Occupant::clone(&occupant),
                false => as_of(&occupant, || self.memory.data.now()),
            };
            let occupant = match occupant {
                Occupant::Item(item) => Occupant::Item(trimmed(item, self.how.how)),
                Occupant::Tombstone(_) if !self.how.tombstones => continue,
                tombstone => tombstone,
            };
            return Ok(Some((Address::new(self.space, partition, row), occupant)));
        }
    }

    /// Takes the next page; `false` when there is none.
    fn fetch(&mut self) -> Result<bool> {
        while !self.shards.is_empty() {
            let data = self.memory.readable(self.how.how)?;
            self.page = data
                .list(self.shards.start, self.space, self.after.as_ref(), PAGE)?
                .into();
            match self.page.back() {
                Some((last, _)) => {
                    self.after = Some(last.clone());
                    return Ok(true);
                }
                None => {
                    self.shards.start += 1;
                    self.after = None;
                }
            }
        }
        Ok(false)
    }
}

/// The shards of a part of a listing.
fn shards(part: &ListingPart) -> Result<Range<usize>> {
    if part.is_whole() {
        return Ok(0..SHARDS);
    }
    let (index, count) = part.as_str().split_once('/').unwrap_or_default();
    match (index.parse::<usize>(), count.parse::<usize>()) {
        (Ok(index), Ok(count)) if count == PARTS && index < count => {
            Ok(SHARDS * index / PARTS..SHARDS * (index + 1) / PARTS)
        }
        _ => Err(part.unknown()),
    }
}

/// The answer without bodies. The contract lets engines leave them out, and so nobody may count on them.
fn bare(mut answer: Written) -> Written {
    match &mut answer {
        Written::Applied {
            previous: Previous::Known(seen),
        }
        | Written::Refused { current: seen } => drop_body(seen),
        Written::Applied {
            previous: Previous::Existed(_) | Previous::Unknown,
        } => {}
    }
    answer
}

/// Leaves the body out of what an answer to a mutation tells.
pub(crate) fn drop_body(seen: &mut Option<Occupant>) {
    if let Some(Occupant::Item(item)) = seen {
        item.body = None;
    }
}

/// The item as it was asked for.
pub(crate) fn trimmed(item: Item, how: Read) -> Item {
    match how.body {
        true => item,
        false => Item { body: None, ..item },
    }
}

fn too_large(what: &str, limit: usize, given: usize) -> Error {
    Error::new(ErrorKind::TooLarge, what).with_limit(limit as u64, given as u64)
}
