//! What becomes of the chunks of values that were replaced or removed: the writer takes them away in the background.

use std::collections::BTreeMap;
use std::time::Duration;

use konserve_core::backend::Space;
use konserve_core::store::Options;
use konserve_core::{Result, Store, path};
use konserve_tests::fixture::{Fixture, small_items};
use serde_bytes::ByteBuf;

konserve_tests::on_both_engines!(
    a_writer_takes_away_what_it_replaced_or_removed,
    several_keys_written_at_once_take_away_what_they_replaced_when_some_are_large,
);

const LARGE: usize = 100_000;

/// How many chunks a large value has.
const CHUNKS: usize = 3;

/// Options of writers that wait for nobody.
fn at_once() -> Options {
    let mut options = small_items();
    options.background_cleanup = true;
    options.read_grace_ms = 0;
    options.request_horizon_ms = 0;
    options.max_clock_drift_ms = 0;
    options
}

fn large(byte: u8) -> ByteBuf {
    ByteBuf::from(vec![byte; LARGE])
}

/// Waits until there is nothing but so many generations with so many chunks.
async fn wait_for(fixture: &Fixture, generations: usize, chunks: usize) {
    let mut found = BTreeMap::new();
    let arrived = async {
        loop {
            found = fixture.items().await;
            let count = |space| found.get(&space).copied().unwrap_or_default();
            if (count(Space::Generation), count(Space::Chunk)) == (generations, chunks) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(60), arrived).await;
    assert!(
        arrived.is_ok(),
        "{found:?}, not {generations} generations and {chunks} chunks"
    );
}

/// How a large value comes to its end.
#[derive(Debug, Clone, Copy)]
enum End {
    Large,
    Small,
    LargeBinary,
    SmallBinary,
    Update,
    OnItsRevision,
    Removal,
    RemovalOfAPath,
}

impl End {
    const ALL: [Self; 8] = [
        Self::Large,
        Self::Small,
        Self::LargeBinary,
        Self::SmallBinary,
        Self::Update,
        Self::OnItsRevision,
        Self::Removal,
        Self::RemovalOfAPath,
    ];

    /// Brings it about, and says how many generations there are then.
    async fn bring(self, store: &Store) -> Result<usize> {
        let shrink = |old: Option<ByteBuf>| ByteBuf::from(old.unwrap_or_default()[..10].to_vec());
        match self {
            Self::Large => store.assoc("k", &large(2)).await.map(|_| 1),
            Self::Small => store.assoc("k", &1).await.map(|_| 0),
            Self::LargeBinary => store.bassoc("k", vec![2; LARGE]).await.map(|_| 1),
            Self::SmallBinary => store.bassoc("k", b"2").await.map(|_| 0),
            Self::Update => store.update("k", shrink).await.map(|_| 0),
            Self::OnItsRevision => {
                let meta = store.get_meta("k").consistent().await?.expect("is there");
                store.assoc("k", &1).if_revision(meta.revision).await.map(|_| 0)
            }
            Self::Removal => store.dissoc("k").await.map(|_| 0),
            Self::RemovalOfAPath => store.dissoc_in(path!["k"]).await.map(|_| 0),
        }
    }
}

async fn a_writer_takes_away_what_it_replaced_or_removed(fixture: Fixture) {
    let store = fixture.handle_with(at_once()).await;
    for end in End::ALL {
        store.assoc("k", &large(1)).await.expect("writes");
        let generations = end.bring(&store).await.expect("writes");
        println!("{end:?}");
        wait_for(&fixture, generations, generations * CHUNKS).await;
    }
}

async fn several_keys_written_at_once_take_away_what_they_replaced_when_some_are_large(fixture: Fixture) {
    let store = fixture.handle_with(at_once()).await;
    store.assoc("a", &large(1)).await.expect("writes");
    store.bassoc("b", vec![1; LARGE]).await.expect("writes");
    let both = [("a", large(2)), ("b", ByteBuf::from(vec![2; 10]))];
    store.multi_assoc(both).await.expect("writes");
    wait_for(&fixture, 1, CHUNKS).await;
    assert!(store.get::<ByteBuf>("a").consistent().await.expect("reads") == Some(large(2)));

    // Where a call costs one request, it does not learn what it replaced: that is for the collector.
    store.multi_assoc([("a", 1), ("c", 1)]).await.expect("writes");
    store.assoc("b", &large(3)).await.expect("writes");
    store.multi_dissoc(["b", "c"]).await.expect("removes");
    wait_for(&fixture, 2, 2 * CHUNKS).await;
    let report = store.collect().await.expect("collects");
    assert_eq!((report.generations_removed, report.waiting), (2, 0), "{report:?}");
    wait_for(&fixture, 0, 0).await;
    assert_eq!(store.get::<i64>("a").consistent().await.expect("reads"), Some(1));
}
