//! Reading items whose addresses are known.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{Address, Item, Occupant, Read};
use konserve_core::{Error, ErrorKind, Result};

use crate::connection::{Connection, projection};
use crate::layout::Attributes;

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
        let mut found: HashMap<Address, Item> = stream::iter(batches)
            .map(|batch| self.read_batch(batch, how))
            .buffer_unordered(CONCURRENT_BATCHES)
            .try_fold(HashMap::with_capacity(at.len()), |mut found, items| async move {
                found.extend(items);
                Ok(found)
            })
            .await?;
        let mut items = Vec::with_capacity(at.len());
        // The last of repeated addresses takes the item, the ones before it a clone.
        let mut uses: HashMap<&Address, usize> = HashMap::with_capacity(at.len());
        at.iter().for_each(|address| *uses.entry(address).or_default() += 1);
        for address in at {
            let left = uses.entry(address).or_default();
            *left = left.saturating_sub(1);
            items.push(match *left {
                0 => found.remove(address),
                _ => found.get(address).cloned(),
            });
        }
        Ok(items)
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
