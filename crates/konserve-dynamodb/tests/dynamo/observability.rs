//! What is told of requests: a span each, and the same figures as metrics and for programs. Never what was asked or answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{FutureExt, TryStreamExt};
use konserve_core::backend::{Backend, Purge, Read, Space, When, Written};
use konserve_core::store::Options;
use konserve_core::{Entropy, Environment, ErrorKind, Store};
use konserve_dynamodb::{DynamoConfig, DynamoDb};
use serde_json::json;
use tracing::Level;

use crate::recorded::{Collector, Metrics, Told};
use crate::support::{Engine, Reply, Script, at, check_kind, document, item, put, rev};

/// Makes no pause at all: those take four bytes. Ids are different.
#[derive(Debug, Default)]
struct Impatient(AtomicU64);

impl Entropy for Impatient {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        if let Some(number) = bytes.get_mut(..8) {
            number.copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        }
    }
}

/// The usual one, but for the length of pauses.
pub(crate) fn impatience() -> Environment {
    Environment {
        entropy: Arc::new(Impatient::default()),
        ..Environment::default()
    }
}

async fn impatient(engine: &Engine, config: DynamoConfig) -> (DynamoDb, Script) {
    let script = Script::default();
    let store = DynamoDb::builder(config)
        .client(engine.client(script.clone()))
        .environment(impatience());
    (store.connect().await.expect("connects"), script)
}

/// Throttled, with the reasons that DynamoDB gives since 2025.
fn throttled(operation: &'static str) -> Reply {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "xyzzy",
        "ThrottlingReasons": [
            { "reason": "TableReadProvisionedThroughputExceeded", "resource": "arn:aws:dynamodb:xyzzy" },
        ],
    });
    Reply::answer(operation, 400, &body.to_string())
}

#[track_caller]
fn check_fields(span: &Told, fields: &[(&str, &str)]) {
    for (field, value) in fields {
        assert_eq!(span.get(field), *value, "{field} of {span:#?}");
    }
}

#[tokio::test]
async fn a_request_is_one_client_span_with_the_attributes_of_the_conventions() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    let collector = Collector::start();
    let outer = tracing::info_span!("outer").entered();
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    drop(outer);
    let all = collector.all();
    let outer = all.iter().position(|told| told.name == "outer");
    let mut requests = collector.take_requests();
    let [span] = &requests[..] else { panic!("{requests:#?}") };
    assert!(span.closed, "it has ended");
    assert_eq!((span.level, span.parent), (Level::INFO, outer));
    let port = engine.endpoint.rsplit(':').next().expect("a port");
    check_fields(
        span,
        &[
            ("otel.name", "DynamoDB.UpdateItem"),
            ("otel.kind", "client"),
            ("otel.status_code", ""),
            ("error.type", ""),
            ("db.system.name", "aws.dynamodb"),
            ("db.operation.name", "UpdateItem"),
            ("db.collection.name", "table"),
            ("aws.dynamodb.table_names", r#"["table"]"#),
            (
                "aws.dynamodb.consumed_capacity",
                r#"[{"TableName":"table","CapacityUnits":1}]"#,
            ),
            ("cloud.region", "us-west-1"),
            ("rpc.system", "aws-api"),
            ("rpc.service", "DynamoDB"),
            ("rpc.method", "UpdateItem"),
            ("server.address", "127.0.0.1"),
            ("server.port", port),
            ("konserve.attempts", "1"),
            ("konserve.capacity_units", "1.0"),
        ],
    );
    assert!(!span.get("aws.request_id").is_empty(), "{span:#?}");

    let many = [document("a"), document("b"), document("c")];
    store.read_many(&many, Read::STRONG).await.expect("reads");
    requests = collector.take_requests();
    check_fields(
        &requests[0],
        &[("otel.name", "DynamoDB.BatchGetItem"), ("db.operation.batch.size", "3")],
    );
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn a_span_tells_how_its_request_ended_and_what_held_it_up() {
    let engine = Engine::start().await;
    let (store, script) = impatient(&engine, engine.config("table")).await;
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    let collector = Collector::start();

    script.push(throttled("GetItem"));
    script.push(Reply::error("GetItem", 500, "InternalServerError"));
    store.read(&document("a"), Read::STRONG).await.expect("reads");
    let events: Vec<_> = collector
        .all()
        .into_iter()
        .filter(|told| told.is_own() && !told.is_span)
        .collect();
    let reasons: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.get("attempt"),
                event.get("reason"),
                event.get("code"),
                event.get("throttled"),
            )
        })
        .collect();
    let limit = "TableReadProvisionedThroughputExceeded";
    let expected = [
        ("1", "throttled", "ProvisionedThroughputExceededException", limit),
        ("2", "unavailable", "InternalServerError", ""),
    ];
    assert_eq!(reasons, expected, "one event for each attempt that failed");
    assert!(events.iter().all(|event| event.parent.is_some()), "{events:#?}");
    let spans = collector.take_requests();
    assert_eq!(spans.len(), 1);
    check_fields(
        &spans[0],
        &[
            ("konserve.attempts", "3"),
            ("konserve.throttling_reason", limit),
            ("otel.status_code", ""),
            ("db.response.status_code", ""),
        ],
    );

    let refused = store.write(&document("a"), item(1), When::Matches(rev(9))).await;
    assert!(matches!(refused, Ok(Written::Applied { .. } | Written::Refused { .. })));
    store
        .write(&document("a"), item(7), When::Absent)
        .await
        .expect("is refused");
    let spans = collector.take_requests();
    check_fields(
        spans.last().expect("a span"),
        &[
            ("db.response.status_code", "ConditionalCheckFailedException"),
            ("otel.status_code", ""),
            ("error.type", ""),
        ],
    );

    script.push(Reply::error("GetItem", 400, "AccessDeniedException"));
    check_kind(store.read(&document("a"), Read::STRONG).await, ErrorKind::Denied);
    let spans = collector.take_requests();
    check_fields(
        &spans[0],
        &[
            ("otel.status_code", "ERROR"),
            ("error.type", "denied"),
            ("db.response.status_code", "AccessDeniedException"),
        ],
    );

    assert!(
        store.read(&document("a"), Read::STRONG).now_or_never().is_none(),
        "is under way"
    );
    let spans = collector.take_requests();
    check_fields(&spans[0], &[("otel.status_code", "ERROR"), ("error.type", "cancelled")]);
    assert!(spans[0].closed);
}

#[tokio::test]
async fn spans_and_events_hold_no_secret_no_key_and_no_value() {
    let engine = Engine::start().await;
    let mut config = engine.config("table");
    let (secret, token) = ("SecretAccessKeyText", "SessionTokenText");
    config.secret_access_key = Some(secret.into());
    config.session_token = Some(token.into());
    let (key, value, field) = ("KeyText", "ValueText", "MetaText");
    let hidden = [secret, token, key, value, field];
    let collector = Collector::start();
    let (backend, script) = impatient(&engine, config).await;
    let mut options = Options::default();
    options.inline_limit = Some(2000);
    options.chunk_size = 1024;
    let store = Store::builder(backend).options(options).build();

    let long = value.repeat(1000);
    store
        .assoc(key, value)
        .meta(json!({ "f": field }))
        .await
        .expect("writes");
    check_kind(store.assoc(key, value).if_absent().await, ErrorKind::Conflict);
    store.assoc("large", &long).await.expect("writes chunks");
    assert_eq!(store.get::<String>("large").await.expect("reads"), Some(long));
    store
        .update(key, |_: Option<String>| value.to_owned())
        .await
        .expect("updates");
    store
        .multi_assoc([(key, value), ("other", value)])
        .await
        .expect("writes several");
    store.append("log", value).await.expect("appends");
    let listed: Vec<_> = store.keys().try_collect().await.expect("lists");
    assert_eq!(listed.len(), 4);
    for operation in ["GetItem", "UpdateItem"] {
        // DynamoDB repeats parts of the request in some of its texts.
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ValidationException",
            "message": format!("{key} {value} {secret} {token}"),
        });
        script.push(Reply::answer(operation, 400, &body.to_string()));
    }
    check_kind(store.get::<String>(key).await, ErrorKind::InvalidInput);
    check_kind(store.assoc(key, value).await, ErrorKind::InvalidInput);
    // What is damaged is named by its key, in the error.
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "Item": { "pk": { "S": key }, "sk": { "N": "0" }, "x": { "S": value } },
    });
    script.push(Reply::answer("UpdateItem", 400, &body.to_string()));
    let damaged = check_kind(store.assoc(key, value).await, ErrorKind::Corrupt);
    assert!(damaged.to_string().contains(key), "{damaged}");
    script.push(Reply::error("UpdateItem", 500, "InternalServerError").carried_out());
    store.assoc(key, value).await.expect("finds out");
    store.dissoc(key).await.expect("removes");
    store.collect().await.expect("collects");

    let all = collector.all();
    let own = all.iter().filter(|told| told.is_own()).count();
    assert!(own > 12, "{own}");
    // The SDK tells all of its requests, but at the last level only.
    for one in all.iter().filter(|told| told.is_own() || told.level < Level::TRACE) {
        for (name, content) in &one.fields {
            for text in hidden {
                assert!(!content.contains(text), "{name} of {one:#?} holds {text}");
            }
        }
    }
}

#[tokio::test]
async fn metrics_and_stats_tell_the_same_figures() {
    let engine = Engine::start().await;
    let (store, script) = impatient(&engine, engine.config("table")).await;
    let opened = store.stats();
    assert_eq!(opened.of("DescribeTable").requests, opened.of("DescribeTable").attempts);
    assert!(opened.of("CreateTable").requests == 1 && opened.of("UpdateItem").requests == 0);
    let metrics = Metrics::start();

    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    store
        .write(&document("a"), item(2), When::Absent)
        .await
        .expect("is refused");
    script.push(throttled("UpdateItem"));
    script.push(Reply::error("UpdateItem", 500, "InternalServerError").carried_out());
    store
        .write(&document("a"), item(3), When::Newer)
        .await
        .expect("finds out");
    // As many as the budget pays for, and one more.
    let lost = Reply::error("TransactWriteItems", 500, "InternalServerError");
    (0..200).for_each(|_| script.push(lost.clone()));
    let commit = |n| vec![put("b", item(n), When::Newer), put("c", item(n + 1), When::Newer)];
    check_kind(store.commit(commit(4)).await, ErrorKind::UnknownOutcome);
    while !script.is_done() {
        check_kind(store.commit(commit(4)).await, ErrorKind::UnknownOutcome);
    }
    assert!(store.commit(commit(6)).now_or_never().is_none(), "is under way");
    store
        .read_many(&[document("a"), document("b")], Read::STRONG)
        .await
        .expect("reads");
    store.read(&document("a"), Read::EVENTUAL).await.expect("reads");
    script.push(Reply::error("GetItem", 400, "AccessDeniedException"));
    check_kind(store.read(&document("a"), Read::EVENTUAL).await, ErrorKind::Denied);
    let rows: Vec<_> = (0..30).map(|row| Purge::Row(at(Space::Log, "log", row))).collect();
    store.purge(&rows).await.expect("purges");

    let stats = store.stats();
    let update = stats.of("UpdateItem");
    assert_eq!((update.requests, update.attempts), (3, 5));
    let expected = BTreeMap::from([(ErrorKind::Throttled, 1), (ErrorKind::UnknownOutcome, 1)]);
    assert_eq!(update.retries, expected);
    assert_eq!((update.outcomes_resolved, update.outcomes_unresolved), (1, 0));
    assert_eq!((update.failures.len(), update.cancelled), (0, 0));
    assert_eq!(update.capacity, 1.0, "of what was answered");
    let commit = stats.of("TransactWriteItems");
    assert_eq!(commit.outcomes_unresolved, commit.failures[&ErrorKind::UnknownOutcome]);
    assert_eq!((commit.cancelled, commit.outcomes_resolved), (1, 0));
    assert_eq!(commit.requests, commit.outcomes_unresolved + 1);
    assert_eq!(commit.attempts, 201);
    assert_eq!(
        commit.retries,
        BTreeMap::from([(ErrorKind::UnknownOutcome, 201 - commit.requests)])
    );
    assert_eq!(
        (commit.batch_items.min, commit.batch_items.max, commit.batch_items.count),
        (2, 2, 201)
    );
    let get = stats.of("GetItem");
    assert_eq!(
        (get.requests, get.failures[&ErrorKind::Denied], get.capacity),
        (2, 1, 0.5)
    );
    let purge = stats.of("BatchWriteItem").batch_items;
    assert_eq!((purge.count, purge.sum, purge.min, purge.max), (2, 30, 5, 25));
    assert_eq!(stats.of("BatchGetItem").batch_items.sum, 2);

    let mut told = metrics.take();
    told.retain(|name, _| !name.starts_with("konserve.dynamodb.duration"));
    for (operation, stats) in &stats.operations {
        let before = opened.of(operation);
        let mut check = |name: &str, more: &str, figure: f64| {
            let name = format!("konserve.dynamodb.{name}{{operation={operation}{more}}}");
            let told = told.remove(&name).map_or(0.0, |values| values.iter().sum());
            assert_eq!(told, figure, "{name}");
        };
        check("attempts", "", (stats.attempts - before.attempts) as f64);
        check("capacity", "", stats.capacity - before.capacity);
        check("batch.items", "", stats.batch_items.sum as f64);
        check("requests", ",outcome=cancelled", stats.cancelled as f64);
        let failed: u64 = stats.failures.values().sum();
        check(
            "requests",
            ",outcome=ok",
            (stats.requests - before.requests - failed - stats.cancelled) as f64,
        );
        for (kind, count) in &stats.failures {
            check("requests", &format!(",outcome={kind}"), *count as f64);
        }
        for (kind, count) in &stats.retries {
            check("retries", &format!(",reason={kind}"), *count as f64);
        }
        check("unknown_outcomes", ",resolved=true", stats.outcomes_resolved as f64);
        check("unknown_outcomes", ",resolved=false", stats.outcomes_unresolved as f64);
    }
    assert_eq!(told, BTreeMap::new(), "what stats do not tell");
}

#[tokio::test]
async fn a_store_tells_conflicts_and_chunks_beside_the_figures_of_its_engine() {
    let engine = Engine::start().await;
    let (backend, _) = engine.store().await;
    let mut options = Options::default();
    options.inline_limit = Some(2000);
    options.chunk_size = 4096;
    let store = Store::builder(backend).options(options).build();
    let metrics = Metrics::start();
    store.bassoc("large", vec![7; 10_000]).await.expect("writes chunks");
    assert_eq!(
        store
            .bget("large")
            .await
            .expect("reads")
            .expect("is there")
            .bytes()
            .await
            .expect("reads")
            .len(),
        10_000
    );
    check_kind(
        store.bassoc("large", vec![8; 10]).if_absent().await,
        ErrorKind::Conflict,
    );
    let stats = store.stats();
    assert_eq!(stats.conflicts, BTreeMap::from([("bassoc", 1)]));
    assert_eq!(
        (stats.chunks_written.count, stats.chunks_read),
        (3, stats.chunks_written)
    );
    assert!((10_000..11_000).contains(&stats.chunks_written.sum), "{stats:?}");
    assert!(
        stats.chunks_written.max <= 4096 + 100 && stats.chunks_written.min >= 1808,
        "{stats:?}"
    );
    let told = metrics.take();
    assert_eq!(told["konserve.conflicts{operation=bassoc}"], [1.0]);
    for direction in ["written", "read"] {
        let sizes = &told[&format!("konserve.chunk.bytes{{direction={direction}}}")];
        assert_eq!(
            (sizes.len(), sizes.iter().sum::<f64>()),
            (3, stats.chunks_written.sum as f64)
        );
    }
    let sent = stats.engine.of("BatchGetItem").requests + stats.engine.of("TransactWriteItems").requests;
    assert!(sent >= 2, "{stats:?}");
    store.close().await.expect("closes");
    assert_eq!(store.stats(), stats, "figures outlive the connection");
}
