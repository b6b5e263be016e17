//! An embedded engine, a client whose answers can be scripted, and short names for items.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
    BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use bytes::Bytes;
use futures::future::join_all;
use konserve_core::backend::{Address, Backend, Item, Mutation, Partition, Read, Space, When};
use konserve_core::{Clock, Environment, Error, ErrorKind, Instant, Rev};
use konserve_dynamodb::{DynamoDb, RequestCounter};

pub(crate) use crate::engine::Engine;

impl Engine {
    pub(crate) fn client(&self, script: Script) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-west-1"))
            .endpoint_url(&self.endpoint)
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .interceptor(script)
            .build();
        Client::from_conf(config)
    }

    /// A store of its own table and the count of its requests, which starts behind the connection.
    pub(crate) async fn store(&self) -> (DynamoDb, RequestCounter) {
        let counter = RequestCounter::new();
        let store = DynamoDb::builder(self.config("table")).request_counter(counter.clone());
        let store = store.connect().await.expect("connects");
        counter.take();
        (store, counter)
    }

    /// A store some of whose answers are scripted, and that sends each request once: its budget for repetitions is used up.
    pub(crate) async fn scripted_once(&self) -> (DynamoDb, Script) {
        let (store, script) = self.scripted().await;
        let nothing = document("nothing");
        let slow_down = Reply::error("GetItem", 400, "ThrottlingException");
        (0..300).for_each(|_| script.push(slow_down.clone()));
        for read in join_all((0..100).map(|_| store.read(&nothing, Read::STRONG))).await {
            check_kind(read, ErrorKind::Throttled);
        }
        script.clear();
        (store, script)
    }

    /// A store some of whose answers are scripted.
    pub(crate) async fn scripted(&self) -> (DynamoDb, Script) {
        let script = Script::default();
        let store = DynamoDb::builder(self.config("table")).client(self.client(script.clone()));
        (store.connect().await.expect("connects"), script)
    }
}

/// The answers to the next requests of certain operations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<ScriptState>>);

#[derive(Debug, Default)]
struct ScriptState {
    replies: VecDeque<Reply>,
    sent: Vec<(String, String)>,
    capacity: f64,
}

/// An answer that takes the place of the engine's.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the engine sees the request, and only its answer is lost.
    pub(crate) carried_out: bool,
}

/// Kept with the request that it answers.
impl Storable for Reply {
    type Storer = StoreReplace<Self>;
}

impl Reply {
    /// An error of this code, instead of carrying out the request.
    pub(crate) fn error(operation: &'static str, status: u16, code: &str) -> Self {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"xyzzy"}}"#);
        Self::answer(operation, status, &body)
    }

    pub(crate) fn answer(operation: &'static str, status: u16, body: &str) -> Self {
        Self {
            operation,
            status,
            body: body.into(),
            carried_out: false,
        }
    }

    pub(crate) fn carried_out(mut self) -> Self {
        self.carried_out = true;
        self
    }
}

impl Script {
    pub(crate) fn push(&self, reply: Reply) {
        self.0.lock().expect("lock").replies.push_back(reply);
    }

    pub(crate) fn clear(&self) {
        let mut state = self.0.lock().expect("lock");
        state.replies.clear();
        state.sent.clear();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.lock().expect("lock").replies.is_empty()
    }

    /// The capacity units consumed since the last time.
    pub(crate) fn take_capacity(&self) -> f64 {
        std::mem::take(&mut self.0.lock().expect("lock").capacity)
    }

    /// The requests sent so far, as operation and body.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        self.0.lock().expect("lock").sent.clone()
    }
}

impl Intercept for Script {
    fn name(&self) -> &'static str {
        "Script"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        let mut state = self.0.lock().expect("lock");
        state.sent.push((operation.clone(), body.into_owned()));
        let next = state.replies.iter().position(|reply| reply.operation == operation);
        if let Some(reply) = next.and_then(|at| state.replies.remove(at)) {
            if !reply.carried_out {
                request
                    .headers_mut()
                    .insert("x-amz-target", "DynamoDB_20120810.Nothing");
            }
            bag.interceptor_state().store_put(reply);
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if let Some(reply) = bag.load::<Reply>() {
            *response = Response::new(StatusCode::try_from(reply.status)?, reply.body.clone().into());
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes();
        let body = body.map(String::from_utf8_lossy).unwrap_or_default();
        for units in body.split("\"CapacityUnits\":").skip(1) {
            let end = units.find([',', '}']).unwrap_or(units.len());
            self.0.lock().expect("lock").capacity += units[..end].parse::<f64>()?;
        }
        Ok(())
    }
}

/// A clock that the test sets.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(Mutex<i64>);

impl ManualClock {
    pub(crate) fn set(&self, seconds: i64) {
        *self.0.lock().expect("lock") = seconds * 1000;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(*self.0.lock().expect("lock"))
    }

    fn uptime(&self) -> std::time::Duration {
        std::time::Duration::from_millis(*self.0.lock().expect("lock") as u64)
    }
}

pub(crate) fn environment(clock: &Arc<ManualClock>) -> Environment {
    Environment {
        clock: clock.clone(),
        ..Environment::default()
    }
}

pub(crate) fn rev(number: u64) -> Rev {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Rev::from_bytes(bytes)
}

pub(crate) fn item(number: u64) -> Item {
    sized(number, 8)
}

pub(crate) fn sized(number: u64, bytes: usize) -> Item {
    Item {
        rev: rev(number),
        pinned: false,
        expires: None,
        created: Instant::from_millis(number as i64),
        meta: Bytes::from(format!("meta {number}")),
        body: Some(Bytes::from(vec![number as u8; bytes])),
    }
}

pub(crate) fn at(space: Space, partition: &str, row: u64) -> Address {
    Address::new(space, Partition::new(partition), row)
}

pub(crate) fn document(partition: &str) -> Address {
    at(Space::Document, partition, 0)
}

pub(crate) fn put(partition: &str, item: Item, when: When) -> Mutation {
    let at = document(partition);
    Mutation::Write { at, item, when }
}

#[track_caller]
pub(crate) fn check_kind<T: std::fmt::Debug>(answer: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = answer.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error:?}");
    error
}
