//! Erasing items physically. Repeating it is harmless.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{DeleteRequest, ReturnConsumedCapacity, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::Purge;
use konserve_core::{Error, ErrorKind, Outcome, Result, Rev};

use crate::connection::Connection;
use crate::expression::{self, TOMBSTONE_OF};
use crate::layout::{self, Attributes};

/// The most deletions of one `BatchWriteItem`.
const BATCH: usize = 25;

/// How many requests are on their way at once.
const CONCURRENT_REQUESTS: usize = 4;

impl Connection {
    pub(crate) async fn purge(&self, what: &[Purge]) -> Result<()> {
        let what: HashSet<&Purge> = what.iter().collect();
        let mut rows = Vec::new();
        let mut tombstones = Vec::new();
        for purge in what {
            let key = self.layout.key(purge.at())?;
            match purge {
                Purge::Row(_) => rows.push(key),
                Purge::Tombstone(_, rev) => tombstones.push((key, *rev)),
            }
        }
        self.erase(rows).await?;
        stream::iter(tombstones)
            .map(|(key, rev)| self.erase_tombstone(key, rev))
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_for_each(|()| async { Ok(()) })
            .await
            .map_err(partly)
    }

    /// Erases whatever these keys hold. No key may come twice.
    pub(crate) async fn erase(&self, mut keys: Vec<Attributes>) -> Result<()> {
        let mut batches = Vec::new();
        while !keys.is_empty() {
            batches.push(keys.split_off(keys.len().saturating_sub(BATCH)));
        }
        stream::iter(batches)
            .map(|batch| self.erase_batch(batch))
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_for_each(|()| async { Ok(()) })
            .await
            .map_err(partly)
    }

    async fn erase_batch(&self, keys: Vec<Attributes>) -> Result<()> {
        let mut call = self.call("BatchWriteItem", false)?;
        let mut left = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder()
                .set_key(Some(key))
                .build()
                .map_err(|error| Error::new(ErrorKind::InvalidInput, "an incomplete key").with_source(error))?;
            left.push(WriteRequest::builder().delete_request(delete).build());
        }
        loop {
            let asked = left.len();
            call.batch(asked);
            let batch = self
                .client
                .batch_write_item()
                .request_items(self.layout.table(), std::mem::take(&mut left))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output = loop {
                match call.attempt(Box::pin(batch.clone().send())).await {
                    Ok(output) => break output,
                    Err(error) => call.again(call.failed(error)).await?,
                }
            };
            let unprocessed: HashMap<_, _> = output.unprocessed_items.unwrap_or_default();
            left.extend(unprocessed.into_values().flatten());
            if left.is_empty() {
                return Ok(());
            }
            if left.len() < asked {
                call.progressed();
            } else {
                let error = call
                    .request()
                    .error(ErrorKind::Throttled, "items were left unprocessed");
                call.again(error).await?;
            }
        }
    }

    async fn erase_tombstone(&self, key: Attributes, rev: Rev) -> Result<()> {
        let mut call = self.call("DeleteItem", false)?;
        let delete = self
            .client
            .delete_item()
            .table_name(self.layout.table())
            .set_key(Some(key))
            .condition_expression(TOMBSTONE_OF)
            .expression_attribute_values(":is", layout::revision(rev))
            .expression_attribute_values(":now", expression::now_value(self.now()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        loop {
            match call.attempt(Box::pin(delete.clone().send())).await {
                Ok(_) => return Ok(()),
                // Something newer is there, or nothing.
                Err(SdkError::ServiceError(context)) if context.err().is_conditional_check_failed_exception() => {
                    return Ok(());
                }
                Err(error) => call.again(call.failed(error)).await?,
            }
        }
    }
}

/// Whatever failed, some may be done, and doing it again does no harm.
pub(crate) fn partly(error: Error) -> Error {
    error.with_outcome(Outcome::Unknown)
}
