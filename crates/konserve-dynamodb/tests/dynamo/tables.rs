//! Tables: what they are made with, in which states they are used, waited for or refused, and that none of it takes too long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::{BillingMode, TableClass, TimeToLiveStatus};
use futures::TryStreamExt;
use konserve_core::backend::{Backend, Listing, Read, Space, When};
use konserve_core::{Clock, ErrorKind, Store, SystemClock};
use konserve_dynamodb::{Billing, DynamoConfig, DynamoDb, TableWait};

use crate::support::{Engine, ManualClock, Reply, Script, check_kind, document, environment, item};

fn with(config: DynamoConfig, change: impl FnOnce(&mut DynamoConfig)) -> DynamoConfig {
    let mut config = config;
    change(&mut config);
    config
}

/// What DynamoDB says of a table, with whatever else there is to say.
fn described(status: &str, more: &str) -> Reply {
    let body = format!(
        r#"{{"Table":{{"TableName":"table","TableStatus":"{status}","KeySchema":[{{"AttributeName":"pk","KeyType":"HASH"}},
        {{"AttributeName":"sk","KeyType":"RANGE"}}],"AttributeDefinitions":[{{"AttributeName":"sk","AttributeType":"N"}},
        {{"AttributeName":"pk","AttributeType":"S"}}]{more}}}}}"#
    );
    Reply::answer("DescribeTable", 200, &body)
}

/// Connects to a table that is there, with these answers first.
async fn connect(
    engine: &Engine,
    timeout_ms: u64,
    replies: impl IntoIterator<Item = Reply>,
) -> (konserve_core::Result<DynamoDb>, Script, Vec<TableWait>) {
    let script = Script::default();
    replies.into_iter().for_each(|reply| script.push(reply));
    let config = with(engine.config("table"), |config| config.table_timeout_ms = timeout_ms);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = waits.clone();
    let builder = DynamoDb::builder(config)
        .client(engine.client(script.clone()))
        .on_wait(move |wait| told.lock().expect("lock").push(wait.clone()));
    let answer = builder.connect().await;
    let waits = waits.lock().expect("lock").clone();
    (answer, script, waits)
}

#[tokio::test]
async fn a_table_is_made_as_the_configuration_says() {
    let engine = Engine::start().await;
    let client = engine.client(Script::default());
    let units = |units| std::num::NonZeroU32::new(units);
    let config = with(engine.config("table"), |config| {
        config.billing = Billing::OnDemandUpTo {
            read: units(700),
            write: units(90),
        };
        config.tags = [("team", "orders"), ("stage", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    });
    DynamoDb::create(config).await.expect("creates");
    let describe = || client.describe_table().table_name("table").send();
    let table = describe().await.expect("describes").table.expect("a table");
    let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    assert_eq!(mode, Some(&BillingMode::PayPerRequest));
    let limits = table.on_demand_throughput().expect("limits");
    assert_eq!(
        (limits.max_read_request_units(), limits.max_write_request_units()),
        (Some(700), Some(90))
    );
    let tags = client
        .list_tags_of_resource()
        .resource_arn(table.table_arn().expect("an ARN"));
    let tags = tags.send().await.expect("lists").tags.expect("tags");
    let mut tags: Vec<_> = tags.iter().map(|tag| (tag.key(), tag.value())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("stage", ""), ("team", "orders")]);

    let one = with(engine.config("another"), |config| {
        config.billing = Billing::OnDemandUpTo {
            read: None,
            write: units(5),
        };
    });
    DynamoDb::create(one).await.expect("creates");
    let table = client
        .describe_table()
        .table_name("another")
        .send()
        .await
        .expect("describes");
    let limits = table
        .table
        .and_then(|table| table.on_demand_throughput)
        .expect("limits");
    assert_eq!(limits.max_write_request_units(), Some(5));
    assert!(limits.max_read_request_units().is_none_or(|units| units < 1));
}

#[tokio::test]
async fn a_hook_changes_all_but_the_name_and_the_keys() {
    let engine = Engine::start().await;
    let script = Script::default();
    let builder = DynamoDb::builder(engine.config("table")).client(engine.client(script.clone()));
    let store = builder.customize_create_table(|create| {
        assert_eq!(
            create.get_table_name().as_deref(),
            Some("table"),
            "it sees what would be sent"
        );
        create
            .table_name("elsewhere")
            .set_key_schema(None)
            .table_class(TableClass::StandardInfrequentAccess)
            .deletion_protection_enabled(true)
    });
    let store = store.create().await.expect("creates");
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    let sent = script.sent();
    let (_, body) = sent.iter().find(|(name, _)| name == "CreateTable").expect("sent");
    assert!(body.contains("STANDARD_INFREQUENT_ACCESS"), "{body}");
    assert!(!body.contains("elsewhere"), "{body}");
    let described = engine
        .client(Script::default())
        .describe_table()
        .table_name("table")
        .send()
        .await;
    let table = described.expect("describes").table.expect("a table");
    assert_eq!(table.deletion_protection_enabled(), Some(true));
    assert_eq!(table.key_schema().len(), 2);
}

#[tokio::test]
async fn time_to_live_is_switched_on_where_a_table_is_made_and_nowhere_else() {
    let engine = Engine::start().await;
    let status = |table: &'static str| {
        let client = engine.client(Script::default());
        async move {
            let described = client
                .describe_time_to_live()
                .table_name(table)
                .send()
                .await
                .expect("describes");
            let ttl = described.time_to_live_description.expect("a description");
            (ttl.time_to_live_status, ttl.attribute_name)
        }
    };
    DynamoDb::create(engine.config("created")).await.expect("creates");
    DynamoDb::connect(engine.config("connected")).await.expect("creates");
    for table in ["created", "connected"] {
        let on = (Some(TimeToLiveStatus::Enabled), Some("t".to_owned()));
        assert_eq!(status(table).await, on, "{table}");
    }
    let without = || with(engine.config("without"), |config| config.ttl = false);
    DynamoDb::create(without()).await.expect("creates");
    // Connecting to what is there changes nothing.
    DynamoDb::connect(engine.config("without")).await.expect("connects");
    let named = with(engine.config("without"), |config| config.namespace = Some("n".into()));
    DynamoDb::create(named).await.expect("creates");
    assert_eq!(status("without").await.0, Some(TimeToLiveStatus::Disabled));
}

#[tokio::test]
async fn a_table_without_time_to_live_is_used_all_the_same() {
    for (status, code) in [
        (400, "AccessDeniedException"),
        (400, "ValidationException"),
        (400, "UnknownOperationException"),
    ] {
        let engine = Engine::start().await;
        let script = Script::default();
        script.push(Reply::error("UpdateTimeToLive", status, code));
        let builder = DynamoDb::builder(engine.config("table")).client(engine.client(script.clone()));
        let store = builder.create().await.expect(code);
        assert!(script.is_done(), "{code}");
        store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    }
}

#[tokio::test]
async fn a_table_that_another_creator_left_in_the_making_gets_its_time_to_live() {
    let engine = Engine::start().await;
    DynamoDb::create(with(engine.config("table"), |config| config.ttl = false))
        .await
        .expect("creates");
    let (answer, script, _) = connect(&engine, 60_000, [described("CREATING", "")]).await;
    answer.expect("connects");
    assert!(script.sent().iter().any(|(name, _)| name == "UpdateTimeToLive"));
}

#[tokio::test]
async fn what_has_ended_goes_away_by_itself_and_what_lives_does_not() {
    let database = dynoxide::Database::memory().expect("an engine in memory");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    let engine = Engine { endpoint };
    let clock = Arc::new(ManualClock::default());
    let now = SystemClock.now().as_millis() / 1000;
    let backend = DynamoDb::builder(engine.config("table")).environment(environment(&clock));
    let backend: Arc<dyn Backend> = Arc::new(backend.create().await.expect("creates"));
    let store = Store::builder(backend.clone()).environment(environment(&clock)).build();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    clock.set(now - 60 * 60);
    store.assoc("ended", &1).ttl(minutes(1)).await.expect("writes");
    store.assoc("ends later", &1).ttl(minutes(600)).await.expect("writes");
    store.assoc("ended lately", &1).ttl(minutes(50)).await.expect("writes");
    store.assoc("stays", &1).await.expect("writes");
    store
        .assoc("stays after all", &1)
        .ttl(minutes(1))
        .await
        .expect("writes");
    store.assoc("stays after all", &2).await.expect("writes");
    store.assoc("lifted", &1).ttl(minutes(1)).await.expect("writes");
    store
        .update("lifted", |old: Option<i64>| old.unwrap_or(9))
        .permanent()
        .await
        .expect("updates");
    store.assoc("removed", &1).await.expect("writes");
    store.dissoc("removed").await.expect("removes");

    assert_eq!(
        database.sweep_ttl().expect("sweeps"),
        2,
        "one that ended and one that was removed"
    );
    clock.set(now);
    let mut listing = Listing::all(Read::STRONG.without_body());
    listing.tombstones = true;
    let left: Vec<_> = backend
        .list(Space::Document, listing)
        .try_collect()
        .await
        .expect("lists");
    assert_eq!(
        left.len(),
        5,
        "what ended ten minutes ago still fences off late writes: {left:?}"
    );
    assert!(store.exists("ends later").await.expect("reads"));
    assert!(!store.exists("ended lately").await.expect("reads"));
    assert_eq!(store.get::<i64>("stays after all").await.expect("reads"), Some(2));
    assert_eq!(store.get::<i64>("lifted").await.expect("reads"), Some(1));
    store.assoc("ended", &2).if_absent().await.expect("the key is free");
}

#[tokio::test]
async fn a_table_in_the_making_is_waited_for_with_progress_and_one_that_changes_is_used() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    for (states, waited_for) in [
        (&["CREATING", "ACTIVE"][..], &["CREATING"][..]),
        (&["UPDATING"], &[]),
        (&["REPLICATION_NOT_AUTHORIZED"], &[]),
        (&["CREATING", "CREATING", "UPDATING"], &["CREATING", "CREATING"]),
        (&["DELETING"], &["DELETING"]),
    ] {
        let replies = states.iter().map(|state| described(state, ""));
        let (answer, script, waits) = connect(&engine, 60_000, replies).await;
        answer.expect("connects");
        assert!(script.is_done(), "{states:?}");
        let told: Vec<_> = waits
            .iter()
            .map(|wait| wait.status.as_deref().expect("a status"))
            .collect();
        assert_eq!(told, waited_for);
        for wait in waits {
            assert_eq!((wait.table.as_str(), wait.timeout), ("table", Duration::from_secs(60)));
            assert!(wait.waited < wait.timeout);
        }
    }
    let (answer, _, waits) = connect(&engine, 2000, (0..200).map(|_| described("CREATING", ""))).await;
    let error = check_kind(answer, ErrorKind::Unavailable);
    assert!(error.to_string().contains("table table"), "{error}");
    assert!(!waits.is_empty());
    assert!(waits.is_sorted_by_key(|wait| wait.waited), "{waits:?}");
}

#[tokio::test]
async fn replicas_and_indexes_in_whatever_state_disturb_nobody() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    let more = r#","Replicas":[{"RegionName":"eu-west-1","ReplicaStatus":"INACCESSIBLE_ENCRYPTION_CREDENTIALS"},
        {"RegionName":"us-east-1","ReplicaStatus":"CREATION_FAILED"}],
        "GlobalSecondaryIndexes":[{"IndexName":"theirs","IndexStatus":"CREATING","Backfilling":true}],
        "SSEDescription":{"Status":"UPDATING"}"#;
    for state in ["ACTIVE", "UPDATING"] {
        let (answer, script, waits) = connect(&engine, 60_000, [described(state, more)]).await;
        answer.expect("connects");
        assert!(script.is_done() && waits.is_empty(), "{state}");
    }
}

#[tokio::test]
async fn a_table_that_cannot_be_used_says_why_and_what_to_do() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    for (state, kind, what) in [
        (
            "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
            ErrorKind::Denied,
            "enable the key",
        ),
        ("ARCHIVING", ErrorKind::Config, "restore"),
        ("ARCHIVED", ErrorKind::Config, "restore"),
        ("SOMETHING_NEW", ErrorKind::Unsupported, "does not know"),
    ] {
        let (answer, _, waits) = connect(&engine, 60_000, [described(state, "")]).await;
        let error = check_kind(answer, kind);
        let text = error.to_string();
        assert!(
            text.contains(state) && text.contains("table table") && text.contains(what),
            "{text}"
        );
        assert!(waits.is_empty() && !error.is_retryable(), "waiting does not help");
        // It is there all the same, and can be deleted.
        let script = Script::default();
        script.push(described(state, ""));
        let builder = || DynamoDb::builder(engine.config("table")).client(engine.client(script.clone()));
        assert!(builder().exists().await.expect("an answer"), "{state}");
        script.push(described(state, ""));
        script.push(described(state, r#","TableId":"old""#));
        let asked = builder().on_wait(|wait| panic!("deleting waits for {wait:?}"));
        asked.delete().await.expect("deletes");
        DynamoDb::create(engine.config("table")).await.expect("creates");
    }
    let script = Script::default();
    script.push(described("ACTIVE", ""));
    let store = DynamoDb::builder(engine.config("table")).client(engine.client(script.clone()));
    let store = store.connect().await.expect("connects");
    for (code, kind) in [
        ("AccessDeniedException", ErrorKind::Denied),
        ("KMSDisabledException", ErrorKind::Denied),
        ("InaccessibleEncryptionCredentialsException", ErrorKind::Denied),
        ("ResourceNotFoundException", ErrorKind::NotFound),
    ] {
        script.push(Reply::error("GetItem", 400, code));
        script.push(Reply::error("UpdateItem", 400, code));
        let read = check_kind(store.read(&document("a"), Read::STRONG).await, kind);
        let write = check_kind(store.write(&document("a"), item(1), When::Newer).await, kind);
        for error in [read, write] {
            assert!(
                error.to_string().contains("table table") && !error.is_retryable(),
                "{error}"
            );
        }
        assert!(script.is_done());
    }
}

#[tokio::test]
async fn connecting_ends_in_time_with_what_was_wrong() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    let within = Duration::from_secs(20);
    for (status, code, kind) in [
        (400, "ThrottlingException", ErrorKind::Throttled),
        (500, "InternalServerError", ErrorKind::Unavailable),
        (503, "ServiceUnavailable", ErrorKind::Unavailable),
    ] {
        let replies = (0..500).map(|_| Reply::error("DescribeTable", status, code));
        let (answer, ..) = tokio::time::timeout(within, connect(&engine, 2000, replies))
            .await
            .expect("in time");
        check_kind(answer, kind);
    }
    // While the table is being made, and of the mark as well.
    let mut replies = vec![described("CREATING", "")];
    replies.extend((0..500).map(|_| Reply::error("DescribeTable", 400, "ThrottlingException")));
    let (answer, ..) = tokio::time::timeout(within, connect(&engine, 2000, replies))
        .await
        .expect("in time");
    check_kind(answer, ErrorKind::Throttled);

    // Somebody who takes connections, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let deaf = with(engine.config("table"), |config| {
        config.endpoint = Some(format!("http://{}", silent.local_addr().expect("an address")));
        config.table_timeout_ms = 1000;
    });
    let managed = with(deaf.clone(), |config| config.managed_table = true);
    let answers = tokio::time::timeout(within, async {
        tokio::join!(
            DynamoDb::connect(deaf.clone()),
            DynamoDb::connect(managed.clone()),
            DynamoDb::exists(deaf.clone()),
            DynamoDb::exists(managed.clone()),
            DynamoDb::create(deaf.clone()),
            DynamoDb::create(managed.clone()),
        )
    });
    let (one, two, three, four, five, six) = answers.await.expect("in time");
    check_kind(one, ErrorKind::Unavailable);
    check_kind(two, ErrorKind::Unavailable);
    check_kind(three, ErrorKind::Unavailable);
    check_kind(four, ErrorKind::Unavailable);
    check_kind(five, ErrorKind::Unavailable);
    // Of a mark that may have been written, nobody knows.
    check_kind(six, ErrorKind::UnknownOutcome);
}
