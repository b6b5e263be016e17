//! An embedded DynamoDB over loopback, stores on it, and a look into its tables past any store.

use std::collections::HashMap;
use std::sync::mpsc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use konserve_core::Store;
use konserve_core::backend::Address;
use konserve_core::store::Options;
use konserve_dynamodb::{DynamoConfig, DynamoDb, RequestCounter};

/// An item as the table has it.
pub type Attributes = HashMap<String, AttributeValue>;

/// The table of the stores that are opened here.
const TABLE: &str = "konserve-tests";

/// An embedded DynamoDB, of this process or of another one.
#[derive(Debug, Clone)]
pub struct Embedded {
    endpoint: String,
}

impl Embedded {
    /// Starts an engine that lives as long as the process, on a thread of its own, so that nobody who asks can block it.
    pub fn start() -> Self {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("its address");
                send.send(format!("http://{address}")).expect("somebody waits for it");
                dynoxide::server::serve_on(listener, dynoxide::Database::memory().expect("a database")).await;
            });
        });
        Self {
            endpoint: receive.recv().expect("the engine starts"),
        }
    }

    /// An engine that was started elsewhere.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
        }
    }

    /// The URL at which it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How a store on it is configured.
    pub fn config(&self) -> DynamoConfig {
        let mut config = DynamoConfig::new(TABLE);
        config.region = Some("us-west-1".into());
        config.endpoint = Some(self.endpoint.clone());
        config.access_key_id = Some("id".into());
        config.secret_access_key = Some("secret".into());
        config
    }

    /// The engine's side of a handle of its own on the one store.
    pub async fn backend(&self) -> DynamoDb {
        DynamoDb::connect(self.config()).await.expect("the store opens")
    }

    /// A handle of its own on the one store, and the count of its requests, those of connecting left out.
    pub async fn counted(&self, options: Options) -> (Store, RequestCounter) {
        let counter = RequestCounter::new();
        let backend = DynamoDb::builder(self.config()).request_counter(counter.clone());
        let backend = backend.connect().await.expect("the store opens");
        counter.take();
        (Store::builder(backend).options(options).build(), counter)
    }

    /// The SDK's client, which knows nothing of stores.
    pub fn client(&self) -> Client {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-west-1"))
            .endpoint_url(&self.endpoint)
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .build();
        Client::from_conf(config)
    }

    /// Everything in the table, tombstones included, without bodies: a scan of all pages.
    pub async fn scan(&self) -> Vec<Attributes> {
        let scan = self.client().scan().table_name(TABLE).consistent_read(true);
        let mut pages = scan.projection_expression("pk, sk, r, m").into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            items.extend(page.expect("the table can be scanned").items.unwrap_or_default());
        }
        items
    }

    /// Changes the bytes of one attribute of an item behind the back of every store: `m`, the head, or `b`, the body.
    pub async fn tamper(&self, at: &Address, attribute: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let client = self.client();
        let pk = AttributeValue::S(format!("/{}/{}", at.space.letter(), at.partition));
        let sk = AttributeValue::N(at.row.to_string());
        let get = client.get_item().table_name(TABLE).consistent_read(true);
        let found = get.key("pk", pk.clone()).key("sk", sk.clone()).send().await;
        let item = found.expect("the table can be read").item.expect("the item is there");
        let mut bytes = item[attribute].as_b().expect("bytes").clone().into_inner();
        change(&mut bytes);
        let update = client.update_item().table_name(TABLE).key("pk", pk).key("sk", sk);
        update
            .update_expression(format!("SET {attribute} = :bytes"))
            .expression_attribute_values(":bytes", AttributeValue::B(Blob::new(bytes)))
            .send()
            .await
            .expect("the table can be written");
    }
}
