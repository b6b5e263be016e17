//! Stores are created, opened, looked for and deleted; bad input gets a clear error and changes nothing.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use konserve_core::ErrorKind;
use konserve_core::backend::{Backend, Read, When};
use konserve_dynamodb::{Billing, DynamoConfig, DynamoDb, RequestCounter};

use crate::support::{Engine, Script, check_kind, document, item};

fn with(config: DynamoConfig, change: impl FnOnce(&mut DynamoConfig)) -> DynamoConfig {
    let mut config = config;
    change(&mut config);
    config
}

#[tokio::test]
async fn a_store_that_is_a_table_lives_and_dies() {
    let engine = Engine::start().await;
    let config = || engine.config("table");
    assert!(!DynamoDb::exists(config()).await.expect("an answer"));
    check_kind(DynamoDb::delete(config()).await, ErrorKind::NotFound);
    let frugal = with(config(), |config| config.create_table = false);
    let error = check_kind(DynamoDb::connect(frugal.clone()).await, ErrorKind::NotFound);
    assert!(error.to_string().contains("table"), "{error}");
    assert!(
        !DynamoDb::exists(config()).await.expect("an answer"),
        "nothing was created"
    );

    let store = DynamoDb::create(config()).await.expect("creates");
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");
    check_kind(DynamoDb::create(config()).await, ErrorKind::AlreadyExists);
    let again = DynamoDb::connect(frugal).await.expect("connects");
    assert_eq!(
        again.read(&document("a"), Read::STRONG).await.expect("reads"),
        Some(item(1))
    );
    assert!(DynamoDb::exists(config()).await.expect("an answer"));

    DynamoDb::delete(config()).await.expect("deletes");
    assert!(!DynamoDb::exists(config()).await.expect("an answer"));
    let error = check_kind(again.read(&document("a"), Read::STRONG).await, ErrorKind::NotFound);
    assert!(error.to_string().contains("no such table"), "{error}");
    let anew = DynamoDb::connect(config()).await.expect("connecting creates");
    assert_eq!(anew.read(&document("a"), Read::STRONG).await.expect("reads"), None);
}

#[tokio::test]
async fn many_creators_at_once_end_with_one_store() {
    let engine = Engine::start().await;
    for namespace in [None, Some("n".to_owned())] {
        let config = || with(engine.config("table"), |config| config.namespace = namespace.clone());
        let creators = (0..8).map(|_| tokio::spawn(DynamoDb::create(config())));
        let answers = futures::future::join_all(creators).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panic")).collect();
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{namespace:?}"
        );
        for answer in answers.into_iter().filter(Result::is_err) {
            check_kind(answer, ErrorKind::AlreadyExists);
        }
        let connecting = (0..8).map(|_| tokio::spawn(DynamoDb::connect(config())));
        for answer in futures::future::join_all(connecting).await {
            answer.expect("no panic").expect("connects");
        }
        DynamoDb::delete(config()).await.expect("deletes");
        let connecting = (0..8).map(|_| tokio::spawn(DynamoDb::connect(config())));
        for answer in futures::future::join_all(connecting).await {
            answer.expect("no panic").expect("connects, or creates");
        }
        DynamoDb::delete(config()).await.expect("deletes");
    }
}

#[tokio::test]
async fn a_namespace_is_created_and_deleted_without_its_neighbours() {
    let engine = Engine::start().await;
    let named = |name: &str| with(engine.config("table"), |config| config.namespace = Some(name.into()));
    assert!(
        !DynamoDb::exists(named("a")).await.expect("an answer"),
        "without a table"
    );
    let a = DynamoDb::create(named("a")).await.expect("creates");
    let aa = DynamoDb::connect(named("aa")).await.expect("connects");
    check_kind(DynamoDb::create(named("a")).await, ErrorKind::AlreadyExists);
    let frugal = with(named("b"), |config| config.create_table = false);
    check_kind(DynamoDb::connect(frugal).await, ErrorKind::NotFound);
    for number in 1..60 {
        for store in [&a, &aa] {
            let at = document(&format!("{number}"));
            store.write(&at, item(number), When::Newer).await.expect("writes");
        }
    }
    DynamoDb::delete(named("a")).await.expect("deletes");
    check_kind(DynamoDb::delete(named("a")).await, ErrorKind::NotFound);
    assert!(!DynamoDb::exists(named("a")).await.expect("an answer"));
    assert!(DynamoDb::exists(named("aa")).await.expect("an answer"));
    assert_eq!(a.read(&document("1"), Read::STRONG).await.expect("reads"), None);
    assert_eq!(
        aa.read(&document("1"), Read::STRONG).await.expect("reads"),
        Some(item(1))
    );
    let left = engine
        .client(Script::default())
        .scan()
        .table_name("table")
        .send()
        .await
        .expect("scans");
    assert_eq!(left.count(), 60, "59 items and the mark of the neighbour");
}

#[tokio::test]
async fn a_managed_table_is_never_asked_about() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    for namespace in [None, Some("n".to_owned())] {
        let counter = RequestCounter::new();
        let config = with(engine.config("table"), |config| {
            config.managed_table = true;
            config.namespace = namespace;
        });
        let builder = || DynamoDb::builder(config.clone()).request_counter(counter.clone());
        assert!(!builder().exists().await.expect("an answer"));
        let frugal = with(config.clone(), |config| config.create_table = false);
        check_kind(
            DynamoDb::builder(frugal)
                .request_counter(counter.clone())
                .connect()
                .await,
            ErrorKind::NotFound,
        );
        let store = builder().create().await.expect("creates");
        check_kind(builder().create().await, ErrorKind::AlreadyExists);
        store.write(&document("a"), item(1), When::Newer).await.expect("writes");
        builder().connect().await.expect("connects");
        assert!(builder().exists().await.expect("an answer"));
        builder().delete().await.expect("deletes");
        assert!(!builder().exists().await.expect("an answer"));
        let about_tables: Vec<_> = counter
            .take()
            .into_keys()
            .filter(|name| name.ends_with("Table"))
            .collect();
        assert_eq!(about_tables, [""; 0]);
    }
    let missing = with(engine.config("missing"), |config| config.managed_table = true);
    check_kind(DynamoDb::connect(missing.clone()).await, ErrorKind::NotFound);
    assert!(!DynamoDb::exists(missing).await.expect("an answer"));
}

#[tokio::test]
async fn handles_of_one_store_know_each_other_and_no_other_store() {
    let (engine, elsewhere) = (Engine::start().await, Engine::start().await);
    DynamoDb::create(engine.config("table")).await.expect("creates");
    let mut known = Vec::new();
    for (managed, namespace) in [(false, None), (false, Some("n")), (true, None), (true, Some("m"))] {
        let config = |engine: &Engine| {
            with(engine.config("table"), |config| {
                config.managed_table = managed;
                config.namespace = namespace.map(str::to_owned);
            })
        };
        let first = DynamoDb::connect(config(&engine)).await.expect("connects");
        let identity = first.identity().expect("an identity");
        let through_a_client = DynamoDb::builder(config(&engine)).client(engine.client(Script::default()));
        let second = through_a_client.connect().await.expect("connects");
        assert_eq!(second.identity().as_ref(), Some(&identity));
        if !managed {
            let other = DynamoDb::connect(config(&elsewhere)).await.expect("connects");
            assert_ne!(
                other.identity().as_ref(),
                Some(&identity),
                "the same name at another endpoint"
            );
        }
        assert!(!known.contains(&identity), "{identity} for two stores");
        known.push(identity);
    }
    let created = with(engine.config("table"), |config| config.namespace = Some("new".into()));
    let created = DynamoDb::create(created).await.expect("creates").identity();
    assert!(created.is_some_and(|identity| !known.contains(&identity)));
}

#[tokio::test]
async fn a_table_with_other_keys_is_refused_by_name_and_left_alone() {
    let engine = Engine::start().await;
    let client = engine.client(Script::default());
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S);
    let create = client
        .create_table()
        .table_name("table")
        .billing_mode(BillingMode::PayPerRequest);
    let create = create.key_schema(key.build().expect("a key"));
    create
        .attribute_definitions(attribute.build().expect("an attribute"))
        .send()
        .await
        .expect("creates");
    let id = AttributeValue::S("precious".into());
    client
        .put_item()
        .table_name("table")
        .item("id", id)
        .send()
        .await
        .expect("puts");
    let config = || engine.config("table");
    for error in [
        check_kind(DynamoDb::connect(config()).await, ErrorKind::Config),
        check_kind(DynamoDb::exists(config()).await, ErrorKind::Config),
        check_kind(DynamoDb::delete(config()).await, ErrorKind::Config),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("id (S, HASH)") && text.contains("pk (S, HASH), sk (N, RANGE)"),
            "{text}"
        );
    }
    check_kind(DynamoDb::create(config()).await, ErrorKind::AlreadyExists);
    let left = client.scan().table_name("table").send().await.expect("scans");
    assert_eq!(left.count(), 1);
}

#[tokio::test]
async fn billing_and_protection_are_what_the_configuration_says() {
    let engine = Engine::start().await;
    let client = engine.client(Script::default());
    DynamoDb::create(engine.config("plain")).await.expect("creates");
    let provisioned = with(engine.config("provisioned"), |config| {
        let units = |units| std::num::NonZeroU32::new(units).expect("not zero");
        config.billing = Billing::Provisioned {
            read: units(7),
            write: units(9),
        };
        config.deletion_protection = true;
    });
    DynamoDb::create(provisioned.clone()).await.expect("creates");
    let describe = |table: &str| client.describe_table().table_name(table).send();
    let plain = describe("plain").await.expect("describes").table.expect("a table");
    let mode = plain.billing_mode_summary().and_then(|summary| summary.billing_mode());
    assert_eq!(mode, Some(&BillingMode::PayPerRequest));
    let table = describe("provisioned")
        .await
        .expect("describes")
        .table
        .expect("a table");
    let units = table.provisioned_throughput().expect("throughput");
    assert_eq!(
        (units.read_capacity_units(), units.write_capacity_units()),
        (Some(7), Some(9))
    );
    assert_eq!(table.deletion_protection_enabled(), Some(true));
    check_kind(DynamoDb::delete(provisioned.clone()).await, ErrorKind::Denied);
    assert!(DynamoDb::exists(provisioned).await.expect("an answer"));
}

#[tokio::test]
async fn a_layout_from_the_future_is_refused() {
    let engine = Engine::start().await;
    let config = with(engine.config("table"), |config| config.namespace = Some("n".into()));
    DynamoDb::create(config.clone()).await.expect("creates");
    let put = engine.client(Script::default()).put_item().table_name("table");
    let put = put
        .item("pk", AttributeValue::S("n/store".into()))
        .item("sk", AttributeValue::N("0".into()));
    put.item("v", AttributeValue::N("2".into())).send().await.expect("puts");
    check_kind(DynamoDb::connect(config).await, ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_bare_sdk_configuration_is_completed_by_that_of_the_store() {
    let engine = Engine::start().await;
    let bare = aws_types::SdkConfig::builder().build();
    let store = DynamoDb::builder(engine.config("table")).sdk_config(bare);
    let store = store.create().await.expect("creates");
    store.write(&document("a"), item(1), When::Newer).await.expect("writes");

    let credentials = aws_credential_types::Credentials::new("id", "secret", None, None, "test");
    let full = aws_types::SdkConfig::builder()
        .region(aws_sdk_dynamodb::config::Region::new("eu-west-1"))
        .endpoint_url(&engine.endpoint)
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
            credentials,
        ))
        .build();
    let again = DynamoDb::builder(DynamoConfig::new("table")).sdk_config(full);
    let again = again.connect().await.expect("connects");
    assert_eq!(
        again.read(&document("a"), Read::STRONG).await.expect("reads"),
        Some(item(1))
    );
}
