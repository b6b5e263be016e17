//! Configurations that lead to no store: each is refused with a kind that a program can decide on and a text that helps.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use konserve::{Config, Error, ErrorKind, Outcome};
use konserve_tests::embedded::Embedded;

/// A store of this table on the engine, as one writes it down.
fn url(engine: &Embedded, table: &str) -> String {
    let endpoint = engine.endpoint();
    format!(
        "dynamodb://{table}?region=us-west-1&endpoint={endpoint}&access_key_id=id&secret_access_key=xyzzy\
         &connect_timeout_ms=500&request_timeout_ms=2000"
    )
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind, texts: &[&str]) {
    let error = result.expect_err("it is refused");
    assert_eq!(
        (error.kind(), error.outcome()),
        (kind, Outcome::NotApplied),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(!format!("{text} {error:?}").contains("xyzzy"), "a secret in {error:?}");
    for part in texts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let unknown = Config::from_url("dynamodb://orders?tabel=orders");
    check(unknown, ErrorKind::Config, &["tabel"]);
    let unknown = Config::from_url("memory:?store.codecs=json");
    check(unknown, ErrorKind::Config, &["codecs"]);
    for (text, field) in [
        ("backend = 'dynamodb'\ntable = 'orders'\nreqion = 'us-west-1'", "reqion"),
        ("backend = 'memory'\ntable = 'orders'", "table"),
        (
            "backend = 'memory'\n[store]\nconsistent_reads = true",
            "consistent_reads",
        ),
        ("backend = 'etcd'", "backend"),
    ] {
        let error = toml::from_str::<Config>(text).expect_err("it is refused");
        assert!(error.to_string().contains(field), "{field:?} in {error}");
    }
}

#[tokio::test]
async fn a_missing_table_is_not_found_and_is_not_made() {
    let engine = Embedded::start();
    let url = url(&engine, "missing") + "&create_table=false";
    check(konserve::connect(&*url).await, ErrorKind::NotFound, &["missing"]);
    assert!(!konserve::exists(&*url).await.expect("it answers"));
    check(konserve::delete(&*url).await, ErrorKind::NotFound, &["missing"]);
    let tables = engine.client().list_tables().send().await.expect("lists");
    assert_eq!(tables.table_names(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_table_with_other_keys_is_refused_and_what_is_needed_is_said() {
    let engine = Embedded::start();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::N);
    let create = engine.client().create_table().table_name("other");
    create
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key.build().expect("a key"))
        .attribute_definitions(attribute.build().expect("an attribute"))
        .send()
        .await
        .expect("creates");
    let url = url(&engine, "other");
    let texts = ["other", "id (N, HASH)", "pk (S, HASH), sk (N, RANGE)"];
    check(konserve::connect(&*url).await, ErrorKind::Config, &texts);
    check(konserve::delete(&*url).await, ErrorKind::Config, &texts);
    let tables = engine.client().list_tables().send().await.expect("lists");
    assert_eq!(tables.table_names(), ["other"]);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unavailable() {
    // A port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", port.local_addr().expect("its address"));
    drop(port);
    let url = url(&Embedded::at(endpoint), "table");
    let within = tokio::time::timeout(Duration::from_secs(10), async {
        check(konserve::connect(&*url).await, ErrorKind::Unavailable, &[]);
        check(konserve::exists(&*url).await, ErrorKind::Unavailable, &[]);
    });
    within.await.expect("it does not take long");
}

#[test]
fn without_credentials_it_is_denied_and_the_error_says_what_to_set() {
    // Credentials come from the environment, which is that of a process: so this is one of its own.
    let engine = Embedded::start();
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_writer"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            process.env_remove(name);
        }
    }
    let output = process
        .envs([
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ])
        .args(["connect", engine.endpoint()])
        .output()
        .expect("a process runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for part in ["denied ", "access_key_id", "AWS_ACCESS_KEY_ID", "profile"] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}
