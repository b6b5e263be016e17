//! An engine behind a shared pointer is an engine.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{
    Address, Backend, Capabilities, Committed, EngineStats, Item, Listing, ListingPart, Mutation, Occupant, Purge,
    Read, RowQuery, Space, When, Written,
};
use crate::{Result, Rev};

#[async_trait]
impl Backend for Arc<dyn Backend> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn identity(&self) -> Option<String> {
        (**self).identity()
    }

    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        (**self).read(at, how).await
    }

    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        (**self).read_many(at, how).await
    }

    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        (**self).write(at, item, when).await
    }

    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        (**self).remove(at, rev, when).await
    }

    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        (**self).commit(all).await
    }

    async fn purge(&self, what: &[Purge]) -> Result<()> {
        (**self).purge(what).await
    }

    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>> {
        (**self).rows(query)
    }

    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>> {
        (**self).list(space, how)
    }

    fn stats(&self) -> EngineStats {
        (**self).stats()
    }

    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart> {
        (**self).parts(space, how)
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}
