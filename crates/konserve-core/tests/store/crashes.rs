//! What an interrupted call leaves: old or new, never a mix, and nothing that cannot be collected.

use std::future::IntoFuture;

use futures::{FutureExt, StreamExt};
use konserve_core::backend::{Backend, Listing, Read, Space};
use konserve_core::{Environment, ErrorKind, Store};
use konserve_memory::Memory;

use crate::support::{quiet, small_items};

async fn count(memory: &Memory, space: Space) -> usize {
    let mut listing = Listing::all(Read::STRONG);
    listing.tombstones = true;
    memory.list(space, listing).count().await
}

/// Polls a request this often and then drops it. Says whether it was done.
async fn poll_and_drop(request: impl IntoFuture, polls: usize) -> bool {
    let mut future = Box::pin(request.into_future());
    for _ in 0..polls {
        if future.as_mut().now_or_never().is_some() {
            return true;
        }
        tokio::task::yield_now().await; // so that what is to wake it does
    }
    false
}

#[tokio::test]
async fn a_large_write_dropped_at_any_point_leaves_old_or_new_and_can_be_collected() {
    let (memory, store) = small_items();
    let (old, new) = ("o".repeat(20_000), "n".repeat(30_000));
    let mut interrupted = 0;
    for polls in 0..200 {
        store.assoc("k", &old).await.unwrap();
        let memory = memory.clone();
        let slow = Store::builder(Slow(memory.clone())).options(quiet()).build();
        let done = poll_and_drop(slow.assoc("k", &new), polls).await;
        let found = store.get::<String>("k").await.unwrap().unwrap();
        assert!(found == old || found == new, "a mix after {polls} polls");
        assert!(!done || found == new);
        interrupted += usize::from(count(&memory, Space::Generation).await > 1);
        store.collect().without_waiting().await.unwrap();
        assert_eq!(count(&memory, Space::Generation).await, 1);
        let chunks = if found == new { 9 } else { 6 };
        assert_eq!(count(&memory, Space::Chunk).await, chunks, "after {polls} polls");
        assert_eq!(store.get::<String>("k").await.unwrap().unwrap(), found);
        if done {
            assert!(interrupted > 5, "the writes were not interrupted");
            return;
        }
    }
    panic!("the write never ended");
}

/// Memory whose every answer takes a poll more.
#[derive(Debug)]
struct Slow(Memory);

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for Slow {
    fn capabilities(&self) -> konserve_core::backend::Capabilities {
        self.0.capabilities()
    }
    async fn read(
        &self,
        at: &konserve_core::backend::Address,
        how: Read,
    ) -> konserve_core::Result<Option<konserve_core::backend::Item>> {
        tokio::task::yield_now().await;
        self.0.read(at, how).await
    }
    async fn read_many(
        &self,
        at: &[konserve_core::backend::Address],
        how: Read,
    ) -> konserve_core::Result<Vec<Option<konserve_core::backend::Item>>> {
        tokio::task::yield_now().await;
        self.0.read_many(at, how).await
    }
    async fn write(
        &self,
        at: &konserve_core::backend::Address,
        item: konserve_core::backend::Item,
        when: konserve_core::backend::When,
    ) -> konserve_core::Result<konserve_core::backend::Written> {
        tokio::task::yield_now().await;
        let written = self.0.write(at, item, when).await;
        tokio::task::yield_now().await;
        written
    }
    async fn remove(
        &self,
        at: &konserve_core::backend::Address,
        rev: konserve_core::Rev,
        when: konserve_core::backend::When,
    ) -> konserve_core::Result<konserve_core::backend::Written> {
        tokio::task::yield_now().await;
        self.0.remove(at, rev, when).await
    }
    async fn commit(
        &self,
        all: Vec<konserve_core::backend::Mutation>,
    ) -> konserve_core::Result<konserve_core::backend::Committed> {
        tokio::task::yield_now().await;
        let committed = self.0.commit(all).await;
        tokio::task::yield_now().await;
        committed
    }
    async fn purge(&self, what: &[konserve_core::backend::Purge]) -> konserve_core::Result<()> {
        tokio::task::yield_now().await;
        self.0.purge(what).await
    }
    fn rows(
        &self,
        query: konserve_core::backend::RowQuery,
    ) -> futures::stream::BoxStream<'static, konserve_core::Result<(u64, konserve_core::backend::Item)>> {
        self.0.rows(query)
    }
    fn list(
        &self,
        space: Space,
        how: Listing,
    ) -> futures::stream::BoxStream<
        'static,
        konserve_core::Result<(konserve_core::backend::Address, konserve_core::backend::Occupant)>,
    > {
        self.0.list(space, how)
    }
    async fn close(&self) -> konserve_core::Result<()> {
        self.0.close().await
    }
}

#[tokio::test]
async fn an_upload_that_a_collector_gave_up_is_refused_and_changes_nothing() {
    let (memory, store) = small_items();
    store.assoc("k", "old").await.unwrap();
    let slow = Store::builder(Slow(memory.clone()))
        .options(quiet())
        .environment(Environment::default())
        .build();
    let mut upload = Box::pin(slow.assoc("k", &"n".repeat(30_000)).into_future());
    while count(&memory, Space::Chunk).await < 9 {
        assert!(upload.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    store.collect().without_waiting().await.unwrap();
    let error = upload.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert_eq!(store.get::<String>("k").await.unwrap().as_deref(), Some("old"));
    store.collect().without_waiting().await.unwrap();
    assert_eq!(
        count(&memory, Space::Chunk).await + count(&memory, Space::Generation).await,
        0
    );
}

#[tokio::test]
async fn replaced_shrunk_and_removed_values_leave_nothing_behind() {
    let (memory, store) = small_items();
    let large = "x".repeat(20_000);
    store.assoc("replaced", &large).await.unwrap();
    store.assoc("replaced", &large).await.unwrap();
    store.assoc("shrunk", &large).await.unwrap();
    store.assoc("shrunk", "small").await.unwrap();
    store.bassoc("removed", large.clone()).await.unwrap();
    store.dissoc("removed").await.unwrap();
    store.multi_assoc([("a", &large), ("b", &large)]).await.unwrap();
    store.multi_dissoc(["a"]).await.unwrap();
    store.collect().without_waiting().await.unwrap();
    // One value lives in a generation that it shared with one that was removed.
    assert_eq!(count(&memory, Space::Generation).await, 2);
    assert_eq!(store.get::<String>("b").await.unwrap().unwrap(), large);
    assert_eq!(store.get::<String>("replaced").await.unwrap().unwrap(), large);
    store.multi_dissoc(["b", "replaced"]).await.unwrap();
    store.collect().without_waiting().await.unwrap();
    for space in [Space::Generation, Space::Chunk] {
        assert_eq!(count(&memory, space).await, 0);
    }
    assert_eq!(count(&memory, Space::Document).await, 1); // "shrunk"; the tombstones are gone
}

#[tokio::test]
async fn a_record_with_a_flipped_bit_or_cut_short_is_corrupt_by_name() {
    let (memory, store) = small_items();
    for (key, value) in [("small", "x".repeat(100)), ("large", "x".repeat(20_000))] {
        store.assoc(key, &value).await.unwrap();
    }
    for (space, key) in [(Space::Document, "small"), (Space::Chunk, "large")] {
        let (at, occupant) = memory
            .list(space, Listing::all(Read::STRONG))
            .filter_map(|listed| async {
                Some(listed.unwrap()).filter(|(_, occupant)| occupant.item().is_some_and(|item| item.body.is_some()))
            })
            .boxed()
            .next()
            .await
            .unwrap();
        let item = occupant.into_item().unwrap();
        let body = item.body.clone().unwrap();
        for damage in 0..body.len() + 2 {
            let mut bytes = body.to_vec();
            match damage.checked_sub(body.len()) {
                None => bytes[damage] ^= 1 << (damage % 8),
                Some(0) => bytes.truncate(body.len() - 1),
                Some(_) => bytes.push(0),
            }
            let mut damaged = item.clone();
            damaged.body = Some(bytes.into());
            memory
                .purge(&[konserve_core::backend::Purge::Row(at.clone())])
                .await
                .unwrap();
            memory
                .write(&at, damaged, konserve_core::backend::When::Always)
                .await
                .unwrap();
            let error = store.get::<String>(key).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
                "bit of byte {damage}: {error:?}"
            );
            assert_eq!(error.key(), Some(format!("{key:?}").as_str()));
        }
        memory
            .purge(&[konserve_core::backend::Purge::Row(at.clone())])
            .await
            .unwrap();
        memory
            .write(&at, item, konserve_core::backend::When::Always)
            .await
            .unwrap();
        assert!(store.get::<String>(key).await.unwrap().is_some());
    }
}
