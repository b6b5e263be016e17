//! A store to try things on, over either engine: one scenario runs on both.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use konserve_core::backend::{Address, Backend, Listing, Partition, Purge, Read, Space, When};
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::store::Options;
use konserve_core::{Key, Store};
use konserve_memory::Memory;

use crate::embedded::Embedded;

/// The item limit of DynamoDB and its largest transaction, for memory as well: what is large there is large here.
const ITEM_LIMIT: usize = 396 * 1024;

/// The longest text of a partition, likewise.
const LONGEST_PARTITION: usize = 2_000;

/// One store, of which any number of handles can be opened.
#[derive(Debug)]
pub enum Fixture {
    /// In this process.
    Memory(Memory),
    /// In an embedded DynamoDB, over loopback.
    DynamoDb(Embedded),
}

/// Which bytes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The head, which `get_meta` and `keys` read.
    Meta,
    /// The record.
    Body,
}

impl Fixture {
    /// An empty store in memory.
    pub fn memory() -> Self {
        let memory = Memory::builder()
            .item_limit(ITEM_LIMIT)
            .longest_partition(LONGEST_PARTITION);
        Self::Memory(memory.build())
    }

    /// An empty store in an embedded DynamoDB of its own.
    pub fn dynamodb() -> Self {
        Self::DynamoDb(Embedded::start())
    }

    /// A handle of its own: it shares locks, clocks and connections with no other. Nothing goes on in its background.
    pub async fn handle(&self) -> Store {
        self.handle_with(quiet()).await
    }

    /// A handle of its own with these options.
    pub async fn handle_with(&self, options: Options) -> Store {
        match self {
            Self::Memory(memory) => Store::builder(memory.handle()),
            Self::DynamoDb(engine) => Store::builder(engine.backend().await),
        }
        .options(options)
        .shared_locks(false)
        .build()
    }

    /// A handle of its own with these options, whose every call of the engine a script watches.
    pub async fn watched(
        &self,
        options: Options,
        script: impl Fn(Call) -> Option<Fault> + Send + Sync + 'static,
    ) -> Store {
        let layer = match self {
            Self::Memory(memory) => Layer::new(memory.handle(), script),
            Self::DynamoDb(engine) => Layer::new(engine.backend().await, script),
        };
        Store::builder(layer).options(options).build()
    }

    /// How many items each space has, tombstones included; spaces without any are left out.
    pub async fn items(&self) -> BTreeMap<Space, usize> {
        let mut spaces = BTreeMap::new();
        match self {
            Self::Memory(_) => {
                for space in Space::ALL {
                    let count = self.addresses(space).await.len();
                    if count > 0 {
                        spaces.insert(space, count);
                    }
                }
            }
            // Past the engine, so that what it cannot find any more is counted as well.
            Self::DynamoDb(engine) => {
                for item in engine.scan().await {
                    let pk = item["pk"].as_s().expect("a text").clone();
                    let letter = pk.chars().nth(1).and_then(Space::from_letter);
                    *spaces.entry(letter.expect("a space")).or_default() += 1;
                }
            }
        }
        spaces
    }

    /// The addresses of all items of a space, tombstones included.
    pub async fn addresses(&self, space: Space) -> Vec<Address> {
        let mut listing = Listing::all(Read::STRONG.without_body());
        listing.tombstones = true;
        let backend = self.backend().await;
        let listed = backend.list(space, listing).map_ok(|(at, _)| at);
        listed.try_collect().await.expect("the engine lists")
    }

    /// Where the head of a short key is.
    pub fn address(key: impl Into<Key>) -> Address {
        Address::new(Space::Document, Partition::new(key.into().to_string()), 0)
    }

    /// Changes bytes of a stored item behind the back of every store.
    pub async fn tamper(&self, at: &Address, part: Part, change: impl FnOnce(&mut Vec<u8>)) {
        let memory = match self {
            Self::Memory(memory) => memory,
            Self::DynamoDb(engine) => {
                let attribute = match part {
                    Part::Meta => "m",
                    Part::Body => "b",
                };
                return engine.tamper(at, attribute, change).await;
            }
        };
        let mut item = memory.read(at, Read::STRONG).await.expect("reads").expect("an item");
        let mut bytes = match part {
            Part::Meta => item.meta.to_vec(),
            Part::Body => item.body.clone().expect("a body").to_vec(),
        };
        change(&mut bytes);
        match part {
            Part::Meta => item.meta = Bytes::from(bytes),
            Part::Body => item.body = Some(Bytes::from(bytes)),
        }
        memory.purge(&[Purge::Row(at.clone())]).await.expect("purges");
        memory.write(at, item, When::Always).await.expect("writes");
    }

    async fn backend(&self) -> Box<dyn Backend> {
        match self {
            Self::Memory(memory) => Box::new(memory.handle()),
            Self::DynamoDb(engine) => Box::new(engine.backend().await),
        }
    }
}

/// Options of a store that does nothing but what it is told to.
pub fn quiet() -> Options {
    let mut options = Options::default();
    options.background_cleanup = false;
    options
}

/// Options of a store that splits a value of 100,000 bytes into three chunks, so that large values cost little.
pub fn small_items() -> Options {
    let mut options = quiet();
    options.inline_limit = Some(50_000);
    options.chunk_size = 40_000;
    options
}

/// Options of a store that splits a value of 100,000 bytes into 25 chunks.
pub fn many_chunks() -> Options {
    let mut options = quiet();
    options.inline_limit = Some(8_000);
    options.chunk_size = 4_000;
    options
}

/// Runs each of these scenarios on both engines, as tests of their own.
#[macro_export]
macro_rules! on_both_engines {
    ($($scenario:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::fixture::Fixture::memory()).await;
            })*
        }

        mod dynamodb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::fixture::Fixture::dynamodb()).await;
            })*
        }
    };
}
