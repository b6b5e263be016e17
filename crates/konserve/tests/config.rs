//! Configuration: every field arrives, whatever is wrong is refused by name, and secrets are not shown.

use std::collections::BTreeMap;

use konserve::dynamodb::{Billing, DynamoConfig};
use konserve::record::Codec;
use konserve::{Config, Engine, ErrorKind, MemoryConfig, Options};
use serde_json::json;

const SECRETS: [&str; 3] = ["hidden-id", "hidden-key", "hidden-token"];

/// Every field of a DynamoDB store with a value that is not its default, in JSON and as text.
fn dynamo_fields() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("table", json!("orders")),
        ("namespace", json!("staging")),
        ("region", json!("us-west-1")),
        ("endpoint", json!("http://localhost:8000")),
        ("access_key_id", json!(SECRETS[0])),
        ("secret_access_key", json!(SECRETS[1])),
        ("session_token", json!(SECRETS[2])),
        ("profile", json!("work")),
        ("deletion_protection", json!(true)),
        ("ttl", json!(false)),
        ("create_table", json!(false)),
        ("managed_table", json!(true)),
        ("x_ray", json!(true)),
        ("x_ray_daemon", json!("localhost:2000")),
        ("connect_timeout_ms", json!(1)),
        ("attempt_timeout_ms", json!(2)),
        ("request_timeout_ms", json!(3)),
        ("table_timeout_ms", json!(4)),
    ]
}

fn option_fields() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("codec", json!("json")),
        ("consistent_read", json!(true)),
        ("inline_limit", json!(10)),
        ("chunk_size", json!(11)),
        ("chunks_in_flight", json!(12)),
        ("contention_timeout_ms", json!(13)),
        ("max_clock_drift_ms", json!(14)),
        ("background_cleanup", json!(false)),
        ("read_grace_ms", json!(15)),
        ("abandoned_after_ms", json!(16)),
        ("request_horizon_ms", json!(17)),
        ("log_lease_ms", json!(18)),
    ]
}

fn expected_options() -> Options {
    let mut options = Options::default();
    options.codec = Codec::Json;
    options.consistent_read = true;
    options.inline_limit = Some(10);
    options.chunk_size = 11;
    options.chunks_in_flight = 12;
    options.contention_timeout_ms = 13;
    options.max_clock_drift_ms = 14;
    options.background_cleanup = false;
    options.read_grace_ms = 15;
    options.abandoned_after_ms = 16;
    options.request_horizon_ms = 17;
    options.log_lease_ms = 18;
    options
}

fn expected_dynamo() -> DynamoConfig {
    let mut config = DynamoConfig::new("orders");
    config.namespace = Some("staging".into());
    config.region = Some("us-west-1".into());
    config.endpoint = Some("http://localhost:8000".into());
    config.access_key_id = Some(SECRETS[0].into());
    config.secret_access_key = Some(SECRETS[1].into());
    config.session_token = Some(SECRETS[2].into());
    config.profile = Some("work".into());
    config.deletion_protection = true;
    config.ttl = false;
    config.create_table = false;
    config.managed_table = true;
    config.x_ray = true;
    config.x_ray_daemon = Some("localhost:2000".into());
    config.connect_timeout_ms = 1;
    config.attempt_timeout_ms = 2;
    config.request_timeout_ms = 3;
    config.table_timeout_ms = 4;
    config
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn every_field_arrives_from_json_toml_and_url() {
    let mut table: BTreeMap<_, _> = dynamo_fields().into_iter().collect();
    table.insert("backend", json!("dynamodb"));
    table.insert("store", json!(option_fields().into_iter().collect::<BTreeMap<_, _>>()));
    let json = serde_json::to_string(&table).expect("JSON");
    let expected = Config::new(expected_dynamo()).options(expected_options());

    assert_eq!(
        serde_json::from_str::<Config>(&json).expect("a configuration"),
        expected
    );

    let mut toml = String::from("backend = \"dynamodb\"\n");
    dynamo_fields()
        .iter()
        .for_each(|(name, value)| toml += &format!("{name} = {value}\n"));
    toml += "[store]\n";
    option_fields()
        .iter()
        .for_each(|(name, value)| toml += &format!("{name} = {value}\n"));
    assert_eq!(toml::from_str::<Config>(&toml).expect("a configuration"), expected);

    let table = dynamo_fields().into_iter().skip(1);
    let fields = table.map(|(name, value)| format!("{name}={}", text(&value)));
    let options = option_fields().into_iter();
    let options = options.map(|(name, value)| format!("store.{name}={}", text(&value)));
    let query: Vec<_> = fields.chain(options).collect();
    let url = format!("dynamodb://orders?{}", query.join("&"));
    assert_eq!(Config::from_url(&url).expect("a configuration"), expected);
    assert_eq!(url.parse::<Config>().expect("a configuration"), expected);
}

#[test]
fn all_that_is_left_out_has_a_default() {
    let cases = [
        ("memory:", Config::new(MemoryConfig::default())),
        ("memory://", Config::new(MemoryConfig::default())),
        ("memory:name", Config::new(MemoryConfig::named("name"))),
        ("memory://name", Config::new(MemoryConfig::named("name"))),
        ("memory:?name=name", Config::new(MemoryConfig::named("name"))),
        ("memory:a%20name", Config::new(MemoryConfig::named("a name"))),
        (
            "dynamodb://My_table.1-x",
            Config::new(DynamoConfig::new("My_table.1-x")),
        ),
        ("dynamodb://orders/", Config::new(DynamoConfig::new("orders"))),
        ("dynamodb:orders", Config::new(DynamoConfig::new("orders"))),
        (
            "dynamodb:?table=arn:aws:dynamodb:us-west-1:123456789012:table/orders",
            Config::new(DynamoConfig::new(
                "arn:aws:dynamodb:us-west-1:123456789012:table/orders",
            )),
        ),
    ];
    for (url, expected) in cases {
        assert_eq!(Config::from_url(url).expect(url), expected, "{url}");
    }
    let config: Config = toml::from_str("backend = \"memory\"").expect("a configuration");
    assert_eq!(config, Config::new(MemoryConfig::default()));
}

#[test]
fn billing_has_a_text_and_a_table_form() {
    let mut config = DynamoConfig::new("orders");
    let on_demand = [
        Config::from_url("dynamodb://orders?billing=on_demand").expect("a configuration"),
        toml::from_str("backend = \"dynamodb\"\ntable = \"orders\"\nbilling = \"on_demand\"").expect("a configuration"),
    ];
    assert_eq!(on_demand, [Config::new(config.clone()), Config::new(config.clone())]);

    let five = 5.try_into().expect("not zero");
    let six = 6.try_into().expect("not zero");
    let mut limited = config.clone();
    limited.billing = Billing::OnDemandUpTo {
        read: Some(five),
        write: None,
    };
    let toml = "backend = \"dynamodb\"\ntable = \"orders\"\nbilling = { on_demand_up_to = { read = 5 } }";
    let up_to = [
        Config::from_url("dynamodb://orders?billing.on_demand_up_to.read=5").expect("a URL"),
        toml::from_str(toml).expect("a configuration"),
    ];
    assert_eq!(up_to, [Config::new(limited.clone()), Config::new(limited)]);

    config.billing = Billing::Provisioned { read: five, write: six };
    let toml = "backend = \"dynamodb\"\ntable = \"orders\"\nbilling = { provisioned = { read = 5, write = 6 } }";
    let provisioned = [
        Config::from_url("dynamodb://orders?billing.provisioned.read=5&billing.provisioned.write=6").expect("a URL"),
        toml::from_str(toml).expect("a configuration"),
    ];
    assert_eq!(provisioned, [Config::new(config.clone()), Config::new(config)]);
}

#[test]
fn tags_are_given_by_name_in_every_form() {
    let mut config = DynamoConfig::new("orders");
    config.tags = [("team", "orders & more"), ("cost:centre", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let toml = "backend = \"dynamodb\"\ntable = \"orders\"\n[tags]\nteam = \"orders & more\"\n\"cost:centre\" = \"7\"";
    let tagged = [
        Config::from_url("dynamodb://orders?tags.team=orders%20%26%20more&tags.cost:centre=7").expect("a URL"),
        toml::from_str(toml).expect("a configuration"),
    ];
    assert_eq!(tagged, [Config::new(config.clone()), Config::new(config.clone())]);
    assert!(format!("{config:?}").contains("cost:centre"));
}

#[test]
fn tables_that_cannot_be_made_so_are_refused_before_anything_is_sent() {
    let valid = |change: &dyn Fn(&mut DynamoConfig)| {
        let mut config = DynamoConfig::new("orders");
        change(&mut config);
        config.validate()
    };
    let tag = |name: String, value: String| {
        move |config: &mut DynamoConfig| drop(config.tags.insert(name.clone(), value.clone()))
    };
    valid(&tag("n".repeat(128), "ü".repeat(256))).expect("as long as may be");
    let many = |count: usize| {
        move |config: &mut DynamoConfig| {
            config.tags = (0..count).map(|number| (number.to_string(), String::new())).collect();
        }
    };
    valid(&many(50)).expect("as many as may be");
    let nothing = Billing::OnDemandUpTo {
        read: None,
        write: None,
    };
    for (wrong, field) in [
        (valid(&tag("n".repeat(129), String::new())), "tags"),
        (valid(&tag(String::new(), String::new())), "tags"),
        (valid(&tag("aws:n".into(), String::new())), "tags"),
        (valid(&tag("n".into(), "v".repeat(257))), "tags"),
        (valid(&many(51)), "tags"),
        (valid(&move |config| config.billing = nothing), "billing"),
        (
            valid(&|config| {
                config.managed_table = true;
                config.tags.insert("n".into(), "v".into());
            }),
            "tags",
        ),
    ] {
        let error = wrong.expect_err(field);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_url_is_refused_by_name() {
    let cases = [
        ("", "not a URL"),
        ("orders", "not a URL"),
        ("postgres://orders", "backend: `dynamodb` or `memory`"),
        ("dynamodb://orders?reqion=us-west-1", "`reqion`"),
        ("dynamodb://orders?store.consistent_reads=true", "`consistent_reads`"),
        ("dynamodb://orders?store=true", "store: "),
        ("dynamodb://orders?consistent_read=true", "`consistent_read`"),
        ("dynamodb://orders?region=a&region=b", "region: given twice"),
        ("dynamodb://orders?table=others", "table: given twice"),
        ("dynamodb:", "`table`"),
        ("dynamodb://orders/others", "a single name"),
        ("dynamodb://orders:8000", "port"),
        ("dynamodb://orders#there", "fragment"),
        ("dynamodb://user:hidden-key@orders", "access_key_id"),
        (
            "dynamodb://orders?deletion_protection=yes",
            "deletion_protection: true or false",
        ),
        (
            "dynamodb://orders?attempt_timeout_ms=hidden-key",
            "attempt_timeout_ms: a whole number",
        ),
        (
            "dynamodb://orders?attempt_timeout_ms=-1",
            "attempt_timeout_ms: a whole number",
        ),
        ("dynamodb://orders?billing=free", "billing: one of"),
        (
            "dynamodb://orders?billing.provisioned.read=0&billing.provisioned.write=1",
            "does not fit",
        ),
        ("dynamodb://orders?region.name=us-west-1", "found a table"),
        ("memory:name?table=orders", "`table`"),
        ("memory:a/b", "a single name"),
        ("memory:name?store.codec=xml", "codec: one of"),
        ("memory:name?store.chunk_size=many", "store.chunk_size: a whole number"),
    ];
    for (url, named) in cases {
        let error = Config::from_url(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(error.to_string().contains(named), "{url}: {error}");
        assert_no_secret(&format!("{error} {error:?}"));
    }
}

#[test]
fn what_is_wrong_with_a_table_is_refused_by_name() {
    let cases = [
        (json!({ "table": "orders" }), "`backend`"),
        (json!({ "backend": "postgres" }), "backend: `dynamodb` or `memory`"),
        (json!({ "backend": "dynamodb" }), "`table`"),
        (
            json!({ "backend": "dynamodb", "table": "orders", "reqion": "us-west-1" }),
            "`reqion`",
        ),
        (
            json!({ "reqion": "us-west-1", "table": "orders", "backend": "dynamodb" }),
            "`reqion`",
        ),
        (
            json!({ "backend": "dynamodb", "table": "orders", "consistent_read": true }),
            "`consistent_read`",
        ),
        (
            json!({ "backend": "dynamodb", "table": "orders", "store": { "consistent_reads": true } }),
            "`consistent_reads`",
        ),
        (json!({ "backend": "dynamodb", "table": 7 }), "table"),
        (
            json!({ "backend": "dynamodb", "table": "orders", "attempt_timeout_ms": "hidden-key" }),
            "attempt_timeout_ms",
        ),
        (
            json!({ "backend": "dynamodb", "table": "orders", "secret_access_key": ["hidden-key"] }),
            "secret_access_key",
        ),
        (json!({ "backend": "memory", "table": "orders" }), "`table`"),
        (json!({ "backend": "memory", "name": ["orders"] }), "name"),
    ];
    for (table, named) in cases {
        let error = serde_json::from_value::<Config>(table.clone()).expect_err("a mistake");
        assert!(error.to_string().contains(named), "{table}: {error}");
        assert_no_secret(&format!("{error} {error:?}"));
    }
    let twice = "{\"backend\": \"memory\", \"name\": \"a\", \"name\": \"b\"}";
    let error = serde_json::from_str::<Config>(twice).expect_err("a mistake");
    assert!(error.to_string().contains("name: given twice"), "{error}");
}

#[test]
fn a_parser_can_say_where_the_unknown_field_is() {
    for (toml, line) in [
        ("backend = \"dynamodb\"\ntable = \"orders\"\nreqion = \"us-west-1\"", 2),
        (
            "secret_access_key = \"hidden-key\"\nreqion = \"us-west-1\"\nbackend = \"dynamodb\"",
            1,
        ),
        ("backend = \"memory\"\ntable = \"orders\"", 1),
        ("backend = \"dynamodb\"\n[store]\nconsistent_reads = true", 2),
    ] {
        let error = toml::from_str::<Config>(toml).expect_err("a mistake");
        let start = error.span().expect("a place").start;
        let before = &toml[..start];
        assert_eq!(before.matches('\n').count(), line, "{error}");
        assert_no_secret(&error.to_string());
    }
}

#[tokio::test]
async fn secrets_are_in_no_text() {
    let mut dynamo = expected_dynamo();
    dynamo.managed_table = false;
    dynamo.deletion_protection = false;
    // Nobody listens there.
    dynamo.endpoint = Some("http://user:hidden-key@127.0.0.1:1".into());
    let config = Config::new(dynamo);
    assert_no_secret(&format!("{config:?} {config:#?}"));
    let error = konserve::connect(&config).await.expect_err("nobody there");
    assert_no_secret(&format!("{error} {error:?}"));
    assert_eq!(error.operation(), Some("connect"));

    let misspelt = "dynamodb://orders?secret_acces_key=hidden-key";
    let error = konserve::exists(misspelt).await.expect_err("a mistake");
    assert_no_secret(&format!("{error} {error:?}"));
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, Some("exists")));
}

#[tokio::test]
async fn an_engine_that_was_not_built_is_unsupported_and_names_the_feature() {
    let config = Config::new(Engine::NotBuilt { feature: "dynamodb" });
    assert_eq!(config.engine.backend(), "dynamodb");
    let refusals = [
        konserve::connect(&config).await.map(|_| ()),
        konserve::create(&config).await.map(|_| ()),
        konserve::exists(&config).await.map(|_| ()),
        konserve::delete(&config).await,
    ];
    for refusal in refusals {
        let error = refusal.expect_err("there is no such engine");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("feature `dynamodb`"), "{error}");
    }
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{text}");
    }
}
