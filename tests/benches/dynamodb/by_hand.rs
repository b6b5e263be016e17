//! What a program does that stores its documents with `aws-sdk-dynamodb` and no library in between.
//!
//! It does the job of ours, no more and no less: a revision in each item, writes that cannot undo newer ones, strong reads
//! where something is decided by them, all pages and all unprocessed keys, and the same codec, so that only what lies
//! between the codec and the SDK differs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, KeysAndAttributes, ScalarAttributeType,
};
use konserve_tests::document::{Customer, decode, encode};

const TABLE: &str = "by-hand";

/// As much as ours keeps beside the document (header, meta, lineage, and names of attributes), so that items are of one size.
const META: [u8; 192] = [7; 192];

type Item = HashMap<String, AttributeValue>;

/// Documents and one log in one table.
pub(crate) struct ByHand {
    client: Client,
    /// What revisions and the rows of the log are made of.
    counter: AtomicU64,
    tail: AtomicU64,
}

impl ByHand {
    pub(crate) async fn create(client: Client) -> Self {
        let attribute = |name: &str, of: ScalarAttributeType| {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(of);
            attribute.build().expect("a whole definition")
        };
        let key = |name: &str, of: KeyType| {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(of);
            key.build().expect("a whole definition")
        };
        let create = client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk", ScalarAttributeType::S))
            .attribute_definitions(attribute("sk", ScalarAttributeType::N))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range));
        create.send().await.expect("a table");
        Self {
            client,
            counter: AtomicU64::new(1),
            tail: AtomicU64::new(0),
        }
    }

    pub(crate) async fn get(&self, pk: &str) -> Option<Customer> {
        let get = self.client.get_item().table_name(TABLE).set_key(Some(key(pk, 0)));
        get.send().await.expect("an answer").item.map(document)
    }

    pub(crate) async fn assoc(&self, pk: &str, customer: &Customer) {
        let rev = self.next_rev();
        let put = self
            .client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item(pk, 0, &rev, customer)))
            .condition_expression("attribute_not_exists(rev) OR rev < :rev")
            .expression_attribute_values(":rev", rev);
        put.send().await.expect("no newer write");
    }

    pub(crate) async fn update(&self, pk: &str) -> u64 {
        let get = self.client.get_item().table_name(TABLE).set_key(Some(key(pk, 0)));
        let found = get
            .consistent_read(true)
            .send()
            .await
            .expect("an answer")
            .item
            .expect("a document");
        let old = found.get("rev").expect("a revision").clone();
        let mut customer = document(found);
        customer.visits += 1;

        let put = self
            .client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item(pk, 0, &self.next_rev(), &customer)))
            .condition_expression("rev = :old")
            .expression_attribute_values(":old", old);
        put.send().await.expect("nobody else writes");
        customer.visits
    }

    pub(crate) async fn multi_get(&self, pks: &[String]) -> HashMap<String, Customer> {
        let mut found = HashMap::with_capacity(pks.len());
        let keys = KeysAndAttributes::builder().set_keys(Some(pks.iter().map(|pk| key(pk, 0)).collect()));
        let mut open = Some(HashMap::from([(TABLE.to_owned(), keys.build().expect("keys"))]));
        while let Some(request) = open.take().filter(|open| !open.is_empty()) {
            let get = self.client.batch_get_item().set_request_items(Some(request));
            let answer = get.send().await.expect("an answer");
            for item in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).expect("a key").clone();
                found.insert(pk, document(item));
            }
            open = answer.unprocessed_keys;
        }
        found
    }

    pub(crate) async fn append(&self, log: &str, entry: &Customer) -> u64 {
        let row = self.tail.fetch_add(1, Ordering::Relaxed);
        let put = self
            .client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item(log, row, &self.next_rev(), entry)))
            .condition_expression("attribute_not_exists(pk)");
        put.send().await.expect("the row is free");
        row
    }

    pub(crate) async fn log(&self, log: &str) -> Vec<Customer> {
        let mut entries = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(log.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.expect("an answer");
            entries.extend(page.items.into_iter().flatten().map(document));
        }
        entries
    }

    fn next_rev(&self) -> AttributeValue {
        let mut rev = [0; 16];
        rev[..8].copy_from_slice(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        AttributeValue::B(Blob::new(rev))
    }
}

fn key(pk: &str, sk: u64) -> Item {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::N(sk.to_string())),
    ])
}

fn item(pk: &str, sk: u64, rev: &AttributeValue, customer: &Customer) -> Item {
    let mut item = key(pk, sk);
    item.insert("rev".to_owned(), rev.clone());
    item.insert("meta".to_owned(), AttributeValue::B(Blob::new(META)));
    item.insert("body".to_owned(), AttributeValue::B(Blob::new(encode(customer))));
    item
}

fn document(mut item: Item) -> Customer {
    match item.remove("body") {
        Some(AttributeValue::B(body)) => decode(body.as_ref()),
        _ => panic!("an item without a body"),
    }
}
