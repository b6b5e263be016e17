//! The transport that disturbs requests: each disturbance is what it says, in process and over loopback.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, DeleteRequest, KeySchemaElement, KeyType, KeysAndAttributes, Put,
    ReturnConsumedCapacity, ScalarAttributeType, TransactWriteItem, WriteRequest,
};
use konserve_tests::embedded::Embedded;
use konserve_tests::transport::{
    Asked, CANCELLATIONS, Chance, Course, Delay, Disturbance, Figures, Loss, Plan, Refusal, SERVER_ERRORS, THROTTLING,
    Transport, TransportFaults,
};

const TABLE: &str = "table";

/// A table behind a transport, and a client whose requests pass it.
struct Bench {
    faults: TransportFaults,
    client: Client,
    endpoint: String,
}

impl Bench {
    async fn in_process() -> Self {
        let database = dynoxide::Database::memory().expect("a database");
        let faults = TransportFaults::in_process(database).with_past();
        Self::on(faults, "http://engine.invalid").await
    }

    async fn over_network() -> Self {
        let engine = Embedded::start();
        Self::on(TransportFaults::over_network().with_past(), engine.endpoint()).await
    }

    /// A client over this transport.
    fn client(transport: &Transport, endpoint: &str) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-west-1"))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(Duration::from_secs(5))
                    .build(),
            )
            .http_client(transport.client.clone())
            .build();
        Client::from_conf(config)
    }

    async fn on(faults: TransportFaults, endpoint: &str) -> Self {
        let transport = faults.transport();
        let client = Self::client(&transport, endpoint);
        let (hash, range) = (ScalarAttributeType::S, ScalarAttributeType::N);
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind)
                .build()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        client
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk", hash).expect("complete"))
            .attribute_definitions(attribute("sk", range).expect("complete"))
            .key_schema(key("pk", KeyType::Hash).expect("complete"))
            .key_schema(key("sk", KeyType::Range).expect("complete"))
            .send()
            .await
            .expect("the table is created");
        transport.opened();
        Self {
            faults,
            client,
            endpoint: endpoint.to_owned(),
        }
    }

    /// Lets the next request suffer this, and no other.
    fn next(&self, disturbance: Disturbance) {
        let left = std::sync::Mutex::new(Some(disturbance));
        self.faults
            .disturb(move |_: Asked<'_>| Course::from(left.lock().expect("lock").take()));
    }

    async fn put(&self, row: u64, value: u64) -> Result<(), Problem> {
        let put = self
            .client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item(row, value)));
        let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total);
        put.send().await.map(drop).map_err(Problem::of)
    }

    async fn get(&self, row: u64, is_strong: bool) -> Result<Option<u64>, Problem> {
        let get = self.client.get_item().table_name(TABLE).consistent_read(is_strong);
        let found = get.set_key(Some(key(row))).send().await.map_err(Problem::of)?;
        Ok(found.item.map(|item| number(&item["v"])))
    }

    /// What is there.
    async fn there(&self, row: u64) -> Option<u64> {
        self.get(row, true).await.expect("reads")
    }

    /// Two rows in one transaction.
    async fn transact(&self, value: u64) -> Result<(), Problem> {
        let put = |row: u64| {
            let put = Put::builder()
                .table_name(TABLE)
                .set_item(Some(item(row, value)))
                .build();
            TransactWriteItem::builder().put(put.expect("complete")).build()
        };
        let transaction = self
            .client
            .transact_write_items()
            .transact_items(put(0))
            .transact_items(put(1));
        match transaction.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let cancelled = error.as_service_error().and_then(|error| match error {
                    aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                        cancelled,
                    ) => cancelled.cancellation_reasons.clone(),
                    _ => None,
                });
                let codes = cancelled.unwrap_or_default().into_iter();
                let codes = codes.map(|reason| reason.code.unwrap_or_default()).collect();
                Err(Problem {
                    codes,
                    ..Problem::of(error)
                })
            }
        }
    }

    /// All rows, page by page, and how many pages there were.
    async fn query(&self, is_strong: bool) -> (Vec<u64>, usize) {
        let query = self
            .client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk");
        let query = query.expression_attribute_values(":pk", AttributeValue::S("p".into()));
        let mut pages = query.consistent_read(is_strong).into_paginator().send();
        let (mut rows, mut count) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            rows.extend(page.expect("a page").items().iter().map(|item| number(&item["sk"])));
            count += 1;
        }
        (rows, count)
    }
}

fn key(row: u64) -> std::collections::HashMap<String, AttributeValue> {
    let pk = ("pk".to_owned(), AttributeValue::S("p".into()));
    [pk, ("sk".to_owned(), AttributeValue::N(row.to_string()))].into()
}

fn item(row: u64, value: u64) -> std::collections::HashMap<String, AttributeValue> {
    let mut item = key(row);
    item.insert("v".to_owned(), AttributeValue::N(value.to_string()));
    item
}

fn number(value: &AttributeValue) -> u64 {
    value.as_n().expect("a number").parse().expect("a number")
}

/// What the SDK made of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    nature: &'static str,
    status: u16,
    code: String,
    codes: Vec<String>,
}

impl Problem {
    fn of<E: ProvideErrorMetadata + Debug>(
        error: SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
    ) -> Self {
        let nature = match &error {
            SdkError::TimeoutError(_) => "timeout",
            SdkError::DispatchFailure(failure) if failure.is_io() => "io",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout",
            SdkError::ResponseError(_) => "response",
            SdkError::ServiceError(_) => "service",
            other => panic!("{other:?}"),
        };
        Self {
            nature,
            status: error.raw_response().map_or(0, |raw| raw.status().as_u16()),
            code: error.code().unwrap_or_default().to_owned(),
            codes: Vec::new(),
        }
    }
}

/// All losses whose end can be waited for.
fn losses() -> Vec<Loss> {
    let servers = (0..SERVER_ERRORS.len()).map(Loss::Server);
    [Loss::Reset, Loss::Timeout, Loss::InProgress]
        .into_iter()
        .chain(servers)
        .collect()
}

/// Both roads to an engine.
async fn roads() -> [(&'static str, Bench); 2] {
    [
        ("in process", Bench::in_process().await),
        ("over network", Bench::over_network().await),
    ]
}

#[tokio::test]
async fn a_lost_reply_was_applied_and_a_lost_request_was_not() {
    for (road, bench) in roads().await {
        for (number, loss) in (1..).zip(losses()) {
            bench.next(Disturbance::ReplyLost(loss));
            let problem = bench.put(0, number).await.expect_err("the reply is lost");
            assert_eq!(bench.there(0).await, Some(number), "{road} {loss:?}");
            bench.next(Disturbance::RequestLost(loss));
            let other = bench.put(0, 1_000).await.expect_err("the request is lost");
            assert_eq!(bench.there(0).await, Some(number), "{road} {loss:?}");
            assert_eq!(problem, other, "{road} {loss:?}: the caller can tell");
            match loss {
                Loss::Reset => assert_eq!(problem.nature, "io"),
                Loss::Timeout | Loss::Silence => assert_eq!(problem.nature, "timeout"),
                Loss::Server(index) => assert_eq!(problem.status, SERVER_ERRORS[index].0),
                Loss::InProgress => assert_eq!((problem.status, problem.code.as_str()), (500, "InternalServerError")),
            }
        }
        bench.next(Disturbance::ReplyLost(Loss::InProgress));
        let problem = bench.transact(7).await.expect_err("the reply is lost");
        assert_eq!(problem.code, "TransactionInProgressException", "{road}");
        assert_eq!(bench.there(1).await, Some(7), "{road}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    for (road, bench) in roads().await {
        bench.next(Disturbance::NoConnection);
        let problem = bench.put(0, 1).await.expect_err("there is no connection");
        assert_eq!(problem.nature, "io", "{road}");
        assert_eq!(bench.there(0).await, None, "{road}");
        assert_eq!(bench.faults.take("PutItem").answered, 0, "{road}");
    }
}

#[tokio::test]
async fn what_is_late_arrives_after_as_many_requests_as_were_said() {
    for (road, bench) in roads().await {
        bench.next(Disturbance::Late(Loss::Timeout, Delay::Requests(3)));
        bench.put(0, 1).await.expect_err("nothing is heard of it");
        for _ in 0..2 {
            assert_eq!(bench.there(0).await, None, "{road}");
        }
        assert_eq!(bench.there(0).await, Some(1), "{road}");
        assert_eq!(bench.faults.take_figures("PutItem").late, 1, "{road}");
    }
}

#[tokio::test]
async fn a_zombie_undoes_what_came_after_it() {
    for (road, bench) in roads().await {
        bench.next(Disturbance::Again(Delay::Requests(3)));
        bench.put(0, 1).await.expect("it is answered");
        bench.put(0, 2).await.expect("writes");
        assert_eq!(bench.there(0).await, Some(2), "{road}");
        assert_eq!(bench.there(0).await, Some(1), "{road}: the same bytes came again");
        bench.put(0, 3).await.expect("writes");
        assert_eq!(bench.there(0).await, Some(3), "{road}: once more, and not for ever");
        assert_eq!(bench.faults.deliver().await, 0, "{road}");
    }
}

#[tokio::test]
async fn what_was_refused_and_heard_does_not_come_again() {
    for (road, bench) in roads().await {
        bench.next(Disturbance::Again(Delay::Requests(1_000)));
        let put = bench.client.put_item().table_name(TABLE).set_item(Some(item(0, 1)));
        let refused = put.condition_expression("attribute_exists(pk)").send().await;
        refused.expect_err("nothing is there");
        bench.put(0, 2).await.expect("writes");
        assert_eq!(bench.faults.deliver().await, 0, "{road}");
    }
}

#[tokio::test]
async fn who_opens_and_what_is_about_the_table_is_not_disturbed() {
    for (road, bench) in roads().await {
        let transport = bench.faults.transport();
        let client = Bench::client(&transport, &bench.endpoint);
        bench
            .faults
            .disturb(|_: Asked<'_>| Course::from(Some(Disturbance::NoConnection)));
        let get = || client.get_item().table_name(TABLE).set_key(Some(key(0))).send();
        get().await.expect(road);
        transport.opened();
        get().await.expect_err(road);
        let described = client.describe_table().table_name(TABLE).send().await;
        described.expect(road);
    }
}

#[tokio::test]
async fn what_is_late_can_be_let_in() {
    for (road, bench) in roads().await {
        bench.next(Disturbance::Late(Loss::Reset, Delay::Requests(1_000)));
        bench.put(0, 1).await.expect_err("nothing is heard of it");
        bench.next(Disturbance::Late(Loss::Reset, Delay::Time(Duration::from_secs(1_000))));
        bench.put(1, 1).await.expect_err("nothing is heard of it");
        assert_eq!((bench.there(0).await, bench.there(1).await), (None, None), "{road}");
        assert_eq!(bench.faults.deliver().await, 2, "{road}");
        assert_eq!(
            (bench.there(0).await, bench.there(1).await),
            (Some(1), Some(1)),
            "{road}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_late_by_time_arrives_when_it_has_passed() {
    let bench = Bench::in_process().await;
    bench.next(Disturbance::Late(Loss::Timeout, Delay::Time(Duration::from_secs(60))));
    bench.put(0, 1).await.expect_err("nothing is heard of it");
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(bench.there(0).await, None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.there(0).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn silence_lasts_until_the_caller_gives_up_and_latency_takes_time() {
    let bench = Bench::in_process().await;
    let started = tokio::time::Instant::now();
    bench.next(Disturbance::ReplyLost(Loss::Silence));
    let problem = bench.put(0, 1).await.expect_err("nothing is heard of it");
    assert_eq!((problem.nature, started.elapsed().as_secs()), ("timeout", 5));
    assert_eq!(bench.there(0).await, Some(1));
    bench.faults.disturb(|_: Asked<'_>| Course {
        before: Duration::from_secs(1),
        after: Duration::from_secs(2),
        disturbance: None,
    });
    let started = tokio::time::Instant::now();
    bench.put(0, 2).await.expect("writes");
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn what_dynamodb_refuses_has_its_code_and_is_not_carried_out() {
    let short = |code: &str| code.rsplit('#').next().unwrap_or_default().to_owned();
    for (road, bench) in roads().await {
        for (index, code) in THROTTLING.iter().enumerate() {
            bench.next(Disturbance::Refused(Refusal::Throttled(index)));
            let problem = bench.put(0, 1).await.expect_err("it is throttled");
            assert_eq!((problem.status, problem.code), (400, short(code)), "{road}");
            bench.next(Disturbance::Refused(Refusal::Throttled(index)));
            let problem = bench.get(0, true).await.expect_err("it is throttled");
            assert_eq!((problem.status, problem.code), (400, short(code)), "{road}");
        }
        bench.next(Disturbance::Refused(Refusal::Conflict));
        let problem = bench.put(0, 1).await.expect_err("it is refused");
        assert_eq!(problem.code, "TransactionConflictException", "{road}");
        for (index, code) in CANCELLATIONS.iter().enumerate() {
            for at in 0..2 {
                bench.next(Disturbance::Refused(Refusal::Cancelled(index, at)));
                let problem = bench.transact(1).await.expect_err("it is cancelled");
                let mut codes = ["None"; 2];
                codes[at] = code;
                assert_eq!(problem.code, "TransactionCanceledException", "{road}");
                assert_eq!(problem.codes, codes, "{road}");
            }
        }
        assert_eq!((bench.there(0).await, bench.there(1).await), (None, None), "{road}");
    }
}

#[tokio::test]
async fn a_part_is_done_and_the_rest_can_be_asked_for_again() {
    for (road, bench) in roads().await {
        for row in 0..8 {
            bench.put(row, row).await.expect("writes");
        }
        bench.next(Disturbance::Partly);
        let (rows, pages) = bench.query(true).await;
        assert_eq!(
            rows,
            (0..8).collect::<Vec<_>>(),
            "{road}: nothing is left out between pages"
        );
        assert_eq!(pages, 2, "{road}");

        bench.next(Disturbance::Partly);
        let keys = KeysAndAttributes::builder()
            .set_keys(Some((0..8).map(key).collect()))
            .build();
        let batch = bench
            .client
            .batch_get_item()
            .request_items(TABLE, keys.expect("complete"));
        let answer = batch.send().await.expect("reads");
        let found = answer.responses.unwrap_or_default().remove(TABLE).unwrap_or_default();
        let left = answer
            .unprocessed_keys
            .unwrap_or_default()
            .remove(TABLE)
            .map(|left| left.keys);
        assert_eq!((found.len(), left.map(|left| left.len())), (4, Some(4)), "{road}");

        bench.next(Disturbance::Partly);
        let delete = |row: u64| {
            let delete = DeleteRequest::builder().set_key(Some(key(row))).build();
            WriteRequest::builder()
                .delete_request(delete.expect("complete"))
                .build()
        };
        let batch = bench.client.batch_write_item();
        let batch = batch.request_items(TABLE, (0..8).map(delete).collect());
        let left = batch
            .send()
            .await
            .expect("deletes")
            .unprocessed_items
            .unwrap_or_default();
        assert_eq!(left.get(TABLE).map(Vec::len), Some(4), "{road}");
        assert_eq!(bench.query(true).await.0, [4, 5, 6, 7], "{road}");

        bench.next(Disturbance::Partly);
        bench.put(0, 1).await.expect_err("what has no parts is throttled");
    }
}

#[tokio::test]
async fn a_stale_read_tells_of_an_earlier_moment_and_a_strong_one_never_does() {
    for (road, bench) in roads().await {
        for value in 1..=3 {
            bench.put(0, value).await.expect("writes");
        }
        bench.put(1, 1).await.expect("writes");
        let stale = |behind: usize| {
            bench
                .faults
                .disturb(move |asked: Asked<'_>| Course::from(asked.is_eventual.then_some(Disturbance::Stale(behind))))
        };
        stale(2);
        assert_eq!(bench.get(0, true).await, Ok(Some(3)), "{road}");
        assert_eq!(bench.get(0, false).await, Ok(Some(2)), "{road}");
        stale(1);
        assert_eq!(bench.get(0, false).await, Ok(Some(3)), "{road}");
        assert_eq!(bench.query(false).await.0, [0], "{road}");
        assert_eq!(bench.query(true).await.0, [0, 1], "{road}");
        stale(0);
        assert_eq!(bench.query(false).await.0, [0, 1], "{road}");
    }
}

#[tokio::test]
async fn requests_bytes_and_capacity_are_counted() {
    for (road, bench) in roads().await {
        bench.put(0, 1).await.expect("writes");
        bench.next(Disturbance::ReplyLost(Loss::Reset));
        bench.put(0, 2).await.expect_err("the reply is lost");
        bench.next(Disturbance::Again(Delay::Requests(1)));
        bench.put(0, 3).await.expect("writes");
        bench.there(0).await;
        let figures = bench.faults.take_figures("PutItem");
        assert!(
            figures.bytes_sent > 200 && figures.bytes_received > 50,
            "{road}: {figures:?}"
        );
        let counts = Figures {
            bytes_sent: 0,
            bytes_received: 0,
            ..figures
        };
        let expected = Figures {
            asked: 3,
            answered: 3,
            faulted: 2,
            late: 1,
            capacity: 3.0,
            ..Figures::default()
        };
        assert_eq!(counts, expected, "{road}");
        assert_eq!(bench.faults.take_figures("PutItem"), Figures::default(), "{road}");
    }
}

#[test]
fn chance_follows_from_the_seed_and_leaves_nothing_out() {
    let decisions = |seed: u64| {
        let chance = Chance::new(seed, 50);
        let mut all = Vec::new();
        for number in 0..4_000 {
            for (operation, is_eventual) in [("TransactWriteItems", false), ("UpdateItem", false), ("Query", true)] {
                let asked = Asked {
                    operation,
                    number,
                    is_eventual,
                };
                all.push((operation, chance.decide(asked).disturbance));
            }
        }
        all
    };
    let all = decisions(1);
    assert_eq!(all, decisions(1));
    assert_ne!(all, decisions(2));
    let mut kinds = BTreeMap::new();
    for (operation, disturbance) in &all {
        let name = match disturbance {
            Some(Disturbance::Refused(refusal)) => format!("{refusal:?}").chars().take(6).collect(),
            Some(other) => format!("{other:?}").chars().take(6).collect::<String>(),
            None => continue,
        };
        *kinds.entry((*operation, name)).or_insert(0) += 1;
    }
    let names = |of: &str| {
        kinds
            .keys()
            .filter(|key| key.0 == of)
            .map(|key| key.1.clone())
            .collect::<Vec<_>>()
    };
    let changes = ["Again(", "Confli", "Late(R", "NoConn", "ReplyL", "Reques", "Thrott"];
    for name in changes {
        assert!(names("UpdateItem").contains(&name.to_owned()), "{name}: {kinds:?}");
    }
    assert!(names("TransactWriteItems").contains(&"Cancel".to_owned()), "{kinds:?}");
    assert_eq!(names("Query"), ["NoConn", "Partly", "ReplyL", "Stale(", "Thrott"]);
}
