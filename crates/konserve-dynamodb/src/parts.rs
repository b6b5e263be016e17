//! In which parts a listing is read: segments of a scan, or shards of the listing index.
//!
//! | part | what |
//! |---|---|
//! | | the table, one page after the other: the order that DynamoDB has for the whole |
//! | `scan/i/n` | segment `i` of a scan in `n` segments |
//! | `index/i/n` | the shards of the listing index of which number `i` is left over when divided by `n`, ascending |
//!
//! Which part an address is in depends on nothing but its partition key and the name. A part goes on behind an address of its own,
//! which is all that DynamoDB promises: it says neither which segment a key is in, nor that segments one behind the other have the
//! order of the whole. The names are in positions that users keep.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use konserve_core::Result;
use konserve_core::backend::{Listing, ListingPart, Space};
use tokio::time::Instant;

use crate::config::DynamoConfig;
use crate::layout::LISTING_SHARDS;

/// A page of a scan goes through this many bytes.
const PAGE: i64 = 1024 * 1024;

/// The most segments that DynamoDB knows.
const MOST_SEGMENTS: u32 = 1_000_000;

/// How long an index that was not complete is taken for not complete.
const RECHECK: Duration = Duration::from_secs(60);

/// What a handle knows about how listings are best read.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The most parts of one listing.
    most: u32,
    /// How many pages the table has, as far as is known: at least one.
    pages: AtomicU32,
    /// `None` when no index is to be used.
    index: Option<Index>,
}

/// What is known of the listing index.
#[derive(Debug, Default)]
struct Index {
    /// Everything is in it, and will be.
    complete: AtomicBool,
    /// When that was looked for.
    checked: Mutex<Option<Instant>>,
}

/// What a part is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Table,
    Segment {
        index: i32,
        count: i32,
    },
    /// These shards of the index, in this order.
    Shards(Vec<u8>),
}

impl Parts {
    pub(crate) fn new(config: &DynamoConfig) -> Self {
        Self {
            most: config.scan_segments.get(),
            pages: AtomicU32::new(1),
            index: config.listing_index.then(Index::default),
        }
    }

    /// The parts for a listing that begins now.
    pub(crate) fn name(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        let name = |source: &str, count: u32| {
            let part = |index| ListingPart::new(format!("{source}/{index}/{count}"));
            (0..count).map(part).collect()
        };
        let complete = self.index.as_ref().is_some_and(Index::is_complete);
        if complete && is_indexed(space, how) {
            return name("index", self.most.min(LISTING_SHARDS.into()));
        }
        // A segment of less than a page is a request more for nothing.
        match self.most.min(self.pages.load(Ordering::Relaxed)) {
            0 | 1 => vec![ListingPart::whole()],
            count => name("scan", count),
        }
    }

    /// Says that the table has this many bytes, more or less.
    pub(crate) fn saw_bytes(&self, bytes: i64) {
        self.saw_pages(u32::try_from(bytes / PAGE).unwrap_or(u32::MAX));
    }

    /// Says that a scan went through this many pages.
    pub(crate) fn saw_pages(&self, pages: u32) {
        self.pages.fetch_max(pages, Ordering::Relaxed);
    }

    /// Whether somebody should look whether the index is complete by now. True once in a while, and then the caller must.
    pub(crate) fn index_is_due(&self) -> bool {
        let Some(index) = self.index.as_ref().filter(|index| !index.is_complete()) else {
            return false;
        };
        let mut checked = index.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = checked.is_none_or(|checked| checked.elapsed() >= RECHECK);
        if is_due {
            *checked = Some(Instant::now());
        }
        is_due
    }

    /// Says that everything is in the index, and will be.
    pub(crate) fn index_is_complete(&self) {
        if let Some(index) = &self.index {
            index.complete.store(true, Ordering::Release);
        }
    }
}

impl Index {
    fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }
}

impl Source {
    /// Where what is asked for comes from.
    ///
    /// # Errors
    ///
    /// `invalid_input` for a part that there is not, or whose source does not have what is asked for.
    pub(crate) fn of(space: Space, how: &Listing) -> Result<Self> {
        if how.part.is_whole() {
            return Ok(Self::Table);
        }
        let mut words = how.part.as_str().split('/');
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        let kind = how.part.as_str().split('/').next();
        number();
        let (index, count) = match (number(), number(), words.next()) {
            (Some(index), Some(count), None) if index < count && count <= MOST_SEGMENTS => (index, count),
            _ => return Err(how.part.unknown()),
        };
        match kind {
            Some("scan") => Ok(Self::Segment {
                index: index as i32,
                count: count as i32,
            }),
            Some("index") if is_indexed(space, how) && count <= LISTING_SHARDS.into() => {
                let shards = (0..LISTING_SHARDS).filter(|shard| u32::from(*shard) % count == index);
                Ok(Self::Shards(shards.collect()))
            }
            _ => Err(how.part.unknown()),
        }
    }
}

/// Whether the index has what is asked for: it follows the table by and by, knows no tombstones, and has no bodies.
fn is_indexed(space: Space, how: &Listing) -> bool {
    space == Space::Document && !how.tombstones && !how.how.strong && !how.how.body
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use konserve_core::backend::Read;

    use super::*;

    fn eventual() -> Listing {
        Listing::all(Read::EVENTUAL.without_body())
    }

    fn parts(segments: u32, listing_index: bool) -> Parts {
        let mut config = DynamoConfig::new("table");
        config.scan_segments = NonZeroU32::new(segments).expect("not zero");
        config.listing_index = listing_index;
        Parts::new(&config)
    }

    fn names(parts: &Parts, space: Space, how: &Listing) -> Vec<String> {
        let names = parts.name(space, how).into_iter();
        names.map(|part| part.as_str().to_owned()).collect()
    }

    #[test]
    fn a_segment_has_a_page_at_least_and_there_are_no_more_than_allowed() {
        let parts = parts(4, false);
        let mut counts = Vec::new();
        for bytes in [0, PAGE, 2 * PAGE - 1, 2 * PAGE, 3 * PAGE, 1_000 * PAGE, i64::MAX, 0] {
            parts.saw_bytes(bytes);
            counts.push(names(&parts, Space::Log, &eventual()).len());
        }
        assert_eq!(counts, [1, 1, 1, 2, 3, 4, 4, 4]);
        assert_eq!(
            names(&parts, Space::Log, &eventual()),
            ["scan/0/4", "scan/1/4", "scan/2/4", "scan/3/4"]
        );
    }

    #[test]
    fn the_index_is_for_what_is_in_it_once_it_is_complete() {
        let parts = parts(3, true);
        assert_eq!(names(&parts, Space::Document, &eventual()), [""]);
        assert!(parts.index_is_due() && !parts.index_is_due());
        parts.index_is_complete();
        assert!(!parts.index_is_due());
        let indexed = ["index/0/3", "index/1/3", "index/2/3"];
        assert_eq!(names(&parts, Space::Document, &eventual()), indexed);
        let mut tombstones = eventual();
        tombstones.tombstones = true;
        for (space, how) in [
            (Space::Chunk, eventual()),
            (Space::Document, tombstones),
            (Space::Document, Listing::all(Read::STRONG.without_body())),
            (Space::Document, Listing::all(Read::EVENTUAL)),
        ] {
            assert_eq!(names(&parts, space, &how), [""], "{space:?}, {how:?}");
            let part = ListingPart::new("index/0/3");
            assert!(Source::of(space, &Listing { part, ..how }).is_err());
        }
    }

    #[test]
    fn every_shard_is_in_one_part() {
        for count in 1..=u32::from(LISTING_SHARDS) {
            let parts = parts(count, true);
            parts.index_is_complete();
            let mut shards = Vec::new();
            for part in parts.name(Space::Document, &eventual()) {
                let how = Listing { part, ..eventual() };
                match Source::of(Space::Document, &how) {
                    Ok(Source::Shards(some)) => shards.extend(some),
                    other => panic!("{other:?}"),
                }
            }
            shards.sort_unstable();
            assert_eq!(shards, (0..LISTING_SHARDS).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for name in [
            "scan",
            "scan/0",
            "scan/2/2",
            "scan/0/0",
            "scan/0/2/",
            "scan/0/1000001",
            "scan/-1/2",
            "0/2",
            "index/0/17",
            "page/0/1",
            "/0/1",
            "scan/0/x",
        ] {
            let part = ListingPart::new(name);
            let how = Listing { part, ..eventual() };
            assert!(Source::of(Space::Document, &how).is_err(), "{name}");
        }
    }
}
