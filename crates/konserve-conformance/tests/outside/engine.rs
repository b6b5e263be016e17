//! A map under a lock: the smallest engine that keeps the contract.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use konserve_core::backend::*;
use konserve_core::{Clock, Error, ErrorKind, Result, Rev, SystemClock};

type Map = BTreeMap<Address, Occupant>;

/// A handle. Clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    map: Arc<Mutex<Map>>,
    closed: Arc<AtomicBool>,
}

/// No transactions, and so no limit for items.
pub fn capabilities() -> Capabilities {
    Capabilities::new(Reach::Process, Durability::Memory).with_longest_partition(LONGEST_PARTITION)
}

const LONGEST_PARTITION: usize = 1000;

impl Shelf {
    /// Another handle on the same map.
    pub fn handle(&self) -> Self {
        Self {
            map: Arc::clone(&self.map),
            closed: Arc::default(),
        }
    }

    fn map(&self) -> Result<MutexGuard<'_, Map>> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::new(ErrorKind::Closed, "the handle was closed")),
            false => Ok(self.map.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn put(&self, at: &Address, new: Occupant, when: When) -> Result<Written> {
        let mut map = self.map()?;
        let (limit, given) = (LONGEST_PARTITION as u64, at.partition.as_str().len() as u64);
        if given > limit {
            return Err(Error::new(ErrorKind::TooLarge, "bytes of partition text").with_limit(limit, given));
        }
        let current = map.get(at).map(now);
        if current.as_ref().is_some_and(|current| current.rev() == new.rev()) {
            let previous = Previous::Unknown;
            return Ok(Written::Applied { previous });
        }
        if !when.admits(new.rev(), current.as_ref()) {
            return Ok(Written::Refused { current });
        }
        map.insert(at.clone(), new);
        let previous = Previous::Known(current);
        Ok(Written::Applied { previous })
    }
}

/// An occupant as it is at this time: what has expired is a tombstone.
fn now(occupant: &Occupant) -> Occupant {
    occupant.clone().as_of(SystemClock.now())
}

fn shown(item: Item, how: Read) -> Item {
    let body = item.body.filter(|_| how.body);
    Item { body, ..item }
}

#[async_trait]
impl Backend for Shelf {
    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn identity(&self) -> Option<String> {
        None
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let found = self.map()?.get(at).map(now).and_then(Occupant::into_item);
        Ok(found.map(|item| shown(item, how)))
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        self.map()?;
        if how.snapshot {
            return Err(Error::new(ErrorKind::Unsupported, "a shelf knows no transactions"));
        }
        futures::future::try_join_all(at.iter().map(|at| self.read(at, how))).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        self.put(at, Occupant::Item(item), when)
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        self.put(at, Occupant::Tombstone(rev), when)
    }

    async fn commit(&self, _all: Vec<Mutation>) -> Result<Committed> {
        Err(Error::new(ErrorKind::Unsupported, "a shelf knows no transactions"))
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        let mut map = self.map()?;
        for what in what {
            let doomed = match (what, map.get(what.at()).map(now)) {
                (Purge::Row(_), there) => there.is_some(),
                (Purge::Tombstone(_, rev), there) => there == Some(Occupant::Tombstone(*rev)),
            };
            if doomed {
                map.remove(what.at());
            }
        }
        Ok(())
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        let map = match self.map() {
            Ok(map) => map.clone(),
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let here = map
            .into_iter()
            .filter(|(at, _)| (at.space, &at.partition) == (query.space, &query.partition));
        let rows = here.filter(|(at, _)| query.range.contains(&at.row));
        let found = rows.filter_map(|(at, there)| Some((at.row, shown(now(&there).into_item()?, query.how))));
        let mut found: Vec<_> = found.map(Ok).collect();
        if query.order == Order::Descending {
            found.reverse();
        }
        found.truncate(query.limit.unwrap_or(usize::MAX));
        if cfg!(feature = "forgetful") {
            found.truncate(found.len().saturating_sub(1));
        }
        stream::iter(found).boxed()
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        let map = match self.map() {
            Ok(map) => map.clone(),
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        if !how.part.is_whole() {
            return stream::iter([Err(how.part.unknown())]).boxed();
        }
        let found = map.into_iter().filter_map(move |(at, there)| {
            let wanted = at.space == space && how.after.as_ref().is_none_or(|after| at > *after);
            let there = if how.tombstones { there } else { now(&there) };
            match there {
                Occupant::Item(item) => wanted.then(|| (at, Occupant::Item(shown(item, how.how)))),
                tombstone => (wanted && how.tombstones).then_some((at, tombstone)),
            }
        });
        stream::iter(found.map(Ok)).boxed()
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }

    fn parts(&self, _space: Space, _how: &Listing) -> Vec<ListingPart> {
        vec![ListingPart::whole()]
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
