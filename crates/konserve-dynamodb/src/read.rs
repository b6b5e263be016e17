//! Reading items whose addresses are known.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::{Get, KeysAndAttributes, ReturnConsumedCapacity, TransactGetItem};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{Address, Item, Occupant, Read};
use konserve_core::{Error, ErrorKind, Result};

use crate::connection::{Connection, projection};
use crate::layout::{Attributes, TRANSACTION_BYTES, TRANSACTION_ITEMS};

/// The most keys of one `BatchGetItem`.
const BATCH: usize = 100;

/// How many batches are on their way at once.
const CONCURRENT_BATCHES: usize = 4;

impl Connection {
    pub(crate) async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>> {
        let key = self.layout.key(at)?;
        match self.get(key, how.strong, projection(how)).await? {
            Some(attributes) => Ok(self.occupant(at, attributes, self.now())?.into_item()),
            None => Ok(None),
        }
    }

    /// One item of the table, as it is.
    pub(crate) async fn get(
        &self,
        key: Attributes,
        strong: bool,
        projection: Option<String>,
    ) -> Result<Option<Attributes>> {
        let get = self
            .client
            .get_item()
            .table_name(self.layout.table())
            .set_key(Some(key))
            .consistent_read(strong)
            .set_projection_expression(projection)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        Ok(self.ask("GetItem", || get.clone().send()).await?.item)
    }

    pub(crate) async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        if how.snapshot {
            return self.snapshot(at, how).await;
        }
        self.read_each(at, how).await
    }

    async fn read_each(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let mut keys = HashMap::with_capacity(at.len());
        for address in at {
            if !keys.contains_key(address) {
                keys.insert(address, self.layout.key(address)?);
            }
        }
        let mut keys: Vec<Attributes> = keys.into_values().collect();
        let mut batches = Vec::new();
        while !keys.is_empty() {
            batches.push(keys.split_off(keys.len().saturating_sub(BATCH)));
        }
        let found: HashMap<Address, Item> = stream::iter(batches)
            .map(|batch| self.read_batch(batch, how))
            .buffer_unordered(CONCURRENT_BATCHES)
            .try_fold(HashMap::with_capacity(at.len()), |mut found, items| async move {
                found.extend(items);
                Ok(found)
            })
            .await?;
        Ok(in_order(at, found))
    }

    /// What is at up to a hundred different addresses, all as of one moment.
    async fn snapshot(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>> {
        let different = unique(at);
        if different.len() > TRANSACTION_ITEMS {
            return Err(Error::new(ErrorKind::TooManyItems, "items in one snapshot")
                .with_limit(TRANSACTION_ITEMS as u64, different.len() as u64));
        }
        if different.is_empty() {
            return Ok(Vec::new());
        }
        let mut gets = Vec::with_capacity(different.len());
        for address in &different {
            let get = Get::builder()
                .table_name(self.layout.table())
                .set_key(Some(self.layout.key(address)?))
                .set_projection_expression(projection(how))
                .build()
                .map_err(|error| Error::new(ErrorKind::InvalidInput, "incomplete keys").with_source(error))?;
            gets.push(TransactGetItem::builder().get(get).build());
        }
        let snapshot = self
            .client
            .transact_get_items()
            .set_transact_items(Some(gets))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut call = self.call("TransactGetItems", false)?;
        let output = loop {
            let error = match call.attempt(snapshot.clone().send()).await {
                Ok(output) => break output,
                Err(error) => match obstacle(&error) {
                    Some((code, message)) => call.request().cancelled(code, message),
                    None => call.failed(error),
                },
            };
            if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge) {
                return Err(call.given_up(self.too_large(at).await.unwrap_or(error)));
            }
            call.again(error).await?;
        };
        let responses = output.responses.unwrap_or_default();
        if responses.len() != different.len() {
            let (given, asked) = (responses.len(), different.len());
            let message = format!("answered {given} items for {asked}");
            return Err(call.given_up(call.request().error(ErrorKind::Unavailable, &message)));
        }
        let now = self.now();
        let mut found = HashMap::with_capacity(different.len());
        for (address, response) in different.iter().zip(responses) {
            // Some engines answer with an empty item where there is none.
            let Some(attributes) = response.item.filter(|attributes| !attributes.is_empty()) else {
                continue;
            };
            if let Occupant::Item(item) = self.occupant(address, attributes, now)? {
                found.insert(address.clone(), item);
            }
        }
        Ok(in_order(at, found))
    }

    /// Why a snapshot was refused in which nothing is wrong, if it is that: DynamoDB has the same code for many things, and says only
    /// in words that the items are more than a transaction takes. So they are read otherwise and added up.
    async fn too_large(&self, at: &[Address]) -> Option<Error> {
        let items = self.read_each(&unique(at), Read::STRONG).await.ok()?;
        let bytes: usize = items.iter().flatten().map(Item::size).sum();
        (bytes > TRANSACTION_BYTES).then(|| {
            Error::new(ErrorKind::TooLarge, "bytes in one snapshot").with_limit(TRANSACTION_BYTES as u64, bytes as u64)
        })
    }

    /// All of up to a hundred different items: what is left out of one answer is asked for again.
    async fn read_batch(&self, keys: Vec<Attributes>, how: Read) -> Result<Vec<(Address, Item)>> {
        let mut call = self.call("BatchGetItem", false)?;
        let mut found = Vec::with_capacity(keys.len());
        let mut left = keys;
        loop {
            let asked = left.len();
            call.batch(asked);
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut left)))
                .consistent_read(how.strong)
                .set_projection_expression(projection(how))
                .build()
                .map_err(|error| Error::new(ErrorKind::InvalidInput, "incomplete keys").with_source(error))?;
            let batch = self
                .client
                .batch_get_item()
                .request_items(self.layout.table(), wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let output = loop {
                match call.attempt(Box::pin(batch.clone().send())).await {
                    Ok(output) => break output,
                    Err(error) => call.again(call.failed(error)).await?,
                }
            };
            let now = self.now();
            // Only one table was asked for, and an answer may name it otherwise than by its ARN.
            for attributes in output.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                let address = self.layout.address(&attributes)?;
                if let Occupant::Item(item) = self.occupant(&address, attributes, now)? {
                    found.push((address, item));
                }
            }
            for (_, keys) in output.unprocessed_keys.into_iter().flatten() {
                left.extend(keys.keys);
            }
            if left.is_empty() {
                return Ok(found);
            }
            if left.len() < asked {
                call.progressed();
            } else {
                let error = call.request().error(ErrorKind::Throttled, "keys were left unprocessed");
                call.again(error).await?;
            }
        }
    }
}

/// The first reason for which a transaction was cancelled, as code and message.
fn obstacle(error: &SdkError<TransactGetItemsError, HttpResponse>) -> Option<(&str, Option<&str>)> {
    match error.as_service_error()? {
        TransactGetItemsError::TransactionCanceledException(cancelled) => {
            let mut reasons = cancelled.cancellation_reasons().iter();
            reasons.find_map(|reason| {
                let code = reason.code().filter(|code| *code != "None")?;
                Some((code, reason.message()))
            })
        }
        _ => None,
    }
}

/// Each address once.
fn unique(at: &[Address]) -> Vec<Address> {
    let mut seen = HashSet::with_capacity(at.len());
    at.iter().filter(|at| seen.insert(*at)).cloned().collect()
}

/// What was found, for each address.
fn in_order(at: &[Address], mut found: HashMap<Address, Item>) -> Vec<Option<Item>> {
    // The last of repeated addresses takes the item, the ones before it a clone.
    let mut uses: HashMap<&Address, usize> = HashMap::with_capacity(at.len());
    at.iter().for_each(|address| *uses.entry(address).or_default() += 1);
    let item = |address| {
        let left = uses.entry(address).or_default();
        *left = left.saturating_sub(1);
        match *left {
            0 => found.remove(address),
            _ => found.get(address).cloned(),
        }
    };
    at.iter().map(item).collect()
}
