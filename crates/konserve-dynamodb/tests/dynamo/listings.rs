//! Listings in parts: segments of a scan, and the listing index from its making to its use.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType,
};
use futures::{StreamExt, TryStreamExt};
use konserve_core::backend::{Address, Backend, Listing, ListingPart, Occupant, Read, Space, When};
use konserve_core::{ErrorKind, Instant, Key, Store};
use konserve_dynamodb::{DynamoConfig, DynamoDb};

use crate::support::{Engine, ManualClock, Reply, Script, at, check_kind, document, environment, item, rev, sized};

const INDEX: &str = "konserve-listing";

fn indexed(engine: &Engine) -> DynamoConfig {
    let mut config = engine.config("table");
    config.listing_index = true;
    config
}

/// A handle on a store, and what it sends.
async fn open(engine: &Engine, config: DynamoConfig) -> (DynamoDb, Script) {
    let script = Script::default();
    let store = DynamoDb::builder(config).client(engine.client(script.clone()));
    (store.connect().await.expect("connects"), script)
}

fn eventual() -> Listing {
    Listing::all(Read::EVENTUAL.without_body())
}

/// The requests since there were so many.
fn sent_since(script: &Script, before: usize) -> Vec<(String, String)> {
    script.sent().split_off(before)
}

fn names(sent: &[(String, String)]) -> Vec<&str> {
    sent.iter().map(|(operation, _)| operation.as_str()).collect()
}

async fn in_parts(store: &DynamoDb, space: Space, how: &Listing) -> Vec<(Address, Occupant)> {
    let mut all = Vec::new();
    for part in store.parts(space, how) {
        let listed = store.list(space, Listing { part, ..how.clone() });
        all.extend(listed.try_collect::<Vec<_>>().await.expect("lists"));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

async fn keys(store: &Store) -> BTreeSet<Key> {
    let all: Vec<_> = store.keys().try_collect().await.expect("lists");
    let keys: BTreeSet<_> = all.iter().map(|meta| meta.key.clone()).collect();
    assert_eq!(keys.len(), all.len(), "a key came twice");
    keys
}

#[tokio::test]
async fn a_small_table_is_scanned_in_one_and_a_large_one_in_segments() {
    let engine = Engine::start().await;
    let (store, script) = open(&engine, engine.config("table")).await;
    for row in 0..35 {
        // Partitions, not rows, are what segments divide.
        let at = at(Space::Log, &format!("log {row}"), 0);
        store
            .write(&at, sized(row, 100_000), When::Absent)
            .await
            .expect("writes");
    }
    let how = Listing::all(Read::STRONG.without_body());
    assert_eq!(
        store.parts(Space::Log, &how),
        [ListingPart::whole()],
        "nothing is known"
    );
    let whole = in_parts(&store, Space::Log, &how).await;
    assert_eq!(whole.len(), 35);
    assert_eq!(store.parts(Space::Log, &how).len(), 4, "a scan of four pages was seen");
    let before = script.sent().len();
    assert_eq!(in_parts(&store, Space::Log, &how).await, whole);
    let sent = sent_since(&script, before);
    assert!(
        names(&sent).iter().all(|name| *name == "Scan") && (4..=8).contains(&sent.len()),
        "{sent:?}"
    );
    // Another handle sees the size of the table when it connects.
    let (other, _) = open(&engine, engine.config("table")).await;
    assert_eq!(other.parts(Space::Log, &how).len(), 3, "3.5 MB");
    assert_eq!(in_parts(&other, Space::Log, &how).await, whole);
    let mut config = engine.config("table");
    config.scan_segments = NonZeroU32::MIN;
    let (single, _) = open(&engine, config).await;
    assert_eq!(single.parts(Space::Log, &how), [ListingPart::whole()]);
}

#[tokio::test]
async fn segments_are_read_side_by_side_and_a_listing_goes_on_in_each() {
    let engine = Engine::start().await;
    let (writer, _) = open(&engine, engine.config("table")).await;
    let writer = Store::new(writer);
    let large = "x".repeat(100_000);
    let expected: BTreeSet<Key> = (0..45).map(|number| Key::from(format!("key {number}"))).collect();
    for key in &expected {
        writer.assoc(key.clone(), &large).await.expect("writes");
    }
    let (store, script) = open(&engine, engine.config("table")).await;
    let store = Store::new(store);
    let before = script.sent().len();
    let mut listed = store.keys();
    listed.try_next().await.expect("lists").expect("a key");
    let sent = sent_since(&script, before);
    for segment in 0..4 {
        let asked = format!(r#""Segment":{segment}"#);
        let times = sent.iter().filter(|(_, body)| body.contains(&asked)).count();
        assert_eq!(times, 1, "{asked} in {sent:?}");
    }
    for stop in [1, 2, 17, 44, 45] {
        let mut first = store.keys();
        let mut found: Vec<Key> = Vec::new();
        while found.len() < stop {
            found.push(first.try_next().await.expect("lists").expect("a key").key);
        }
        let position = first.position().expect("a position");
        // In another handle, which may read in other parts by itself.
        let rest = writer.keys().resume(position).map_ok(|meta| meta.key);
        found.extend(rest.try_collect::<Vec<_>>().await.expect("lists"));
        assert_eq!(found.len(), 45, "interrupted after {stop}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[tokio::test]
async fn an_error_in_one_segment_is_an_error_of_the_listing_and_its_end() {
    let engine = Engine::start().await;
    let (writer, _) = open(&engine, engine.config("table")).await;
    for number in 0..25 {
        let at = document(&format!("{number}"));
        writer
            .write(&at, sized(number, 100_000), When::Absent)
            .await
            .expect("writes");
    }
    let (store, script) = open(&engine, engine.config("table")).await;
    let store = Store::new(store);
    script.push(Reply::error("Scan", 400, "AccessDeniedException"));
    let listed: Vec<_> = store.keys().collect().await;
    let error = listed
        .last()
        .expect("something")
        .as_ref()
        .expect_err("the last is the error");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(listed.iter().rev().skip(1).all(Result::is_ok));
}

#[tokio::test]
async fn what_the_index_lists_does_not_cost_more_for_larger_values() {
    let mut costs = Vec::new();
    for listing_index in [true, false] {
        for bytes in [100, 300_000] {
            let engine = Engine::start().await;
            let mut config = engine.config("table");
            config.listing_index = listing_index;
            let (store, script) = open(&engine, config).await;
            let store = Store::new(store);
            for number in 0..20 {
                store.assoc(number, &"x".repeat(bytes)).await.expect("writes");
            }
            let before = script.sent().len();
            script.take_capacity();
            assert_eq!(keys(&store).await.len(), 20);
            let sent = sent_since(&script, before);
            costs.push((script.take_capacity(), names(&sent).concat()));
        }
    }
    let [small, large, scanned_small, scanned_large] = &costs[..] else {
        panic!("{costs:?}");
    };
    assert_eq!(small, large, "through the index");
    assert_eq!(small.1, "Query".repeat(16));
    assert_eq!(small.0, 8.0, "half a unit for each of 16 shards");
    assert_eq!(
        scanned_small,
        &(0.5 * 2.0, "Scan".to_owned()),
        "a scan of 20 small items"
    );
    assert!(scanned_large.0 > 700.0, "a scan of 6 MB: {scanned_large:?}");
}

#[tokio::test]
async fn the_index_lists_live_documents_of_the_namespace_and_goes_on_behind_each() {
    let engine = Engine::start().await;
    let clock = Arc::new(ManualClock::default());
    clock.set(1_000);
    let mut stores = Vec::new();
    for namespace in ["a", "b"] {
        let mut config = indexed(&engine);
        config.namespace = Some(namespace.into());
        let script = Script::default();
        let builder = DynamoDb::builder(config).environment(environment(&clock));
        let store = builder
            .client(engine.client(script.clone()))
            .connect()
            .await
            .expect("connects");
        stores.push((store, script));
    }
    let (store, script) = &stores[0];
    for number in 0..60 {
        let at = document(&format!("{number}"));
        store.write(&at, item(number + 1), When::Absent).await.expect("writes");
        stores[1]
            .0
            .write(&at, item(number + 1), When::Absent)
            .await
            .expect("writes");
    }
    for number in 0..10 {
        let at = document(&format!("{number}"));
        store.remove(&at, rev(100), When::Exists).await.expect("removes");
        let mut mortal = item(200);
        mortal.expires = Some(Instant::from_millis(2_000_000));
        let at = document(&format!("{}", 10 + number));
        store.write(&at, mortal, When::Newer).await.expect("writes");
    }
    store
        .write(&at(Space::Log, "log", 0), item(1), When::Absent)
        .await
        .expect("writes");
    for (now, expected) in [(1_999, 50), (2_000, 40)] {
        clock.set(now);
        let before = script.sent().len();
        let found = in_parts(store, Space::Document, &eventual()).await;
        assert_eq!(found.len(), expected, "at {now} s");
        assert!(names(&sent_since(script, before)).iter().all(|name| *name == "Query"));
        let whole = store.list(Space::Document, eventual());
        let mut whole: Vec<_> = whole.try_collect().await.expect("lists");
        whole.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(found, whole, "as a scan has it");
    }
    for part in store.parts(Space::Document, &eventual()) {
        let how = Listing { part, ..eventual() };
        let all: Vec<_> = store
            .list(Space::Document, how.clone())
            .try_collect()
            .await
            .expect("lists");
        for position in 0..all.len() {
            let after = Some(all[position].0.clone());
            let rest = store.list(Space::Document, Listing { after, ..how.clone() });
            let rest: Vec<_> = rest.try_collect().await.expect("lists");
            assert_eq!(rest, all[position + 1..], "behind position {position}");
        }
        // What is in another part is no place to go on from.
        let strangers = (0..60).map(|number| document(&format!("{number}")));
        let mut refused = 0;
        for stranger in strangers {
            let after = Some(stranger);
            let rest = store.list(Space::Document, Listing { after, ..how.clone() });
            match rest.try_collect::<Vec<_>>().await {
                Ok(_) => {}
                error => {
                    check_kind(error, ErrorKind::InvalidInput);
                    refused += 1;
                }
            }
        }
        assert!((30..60).contains(&refused), "{refused} of 60 are in other parts");
    }
}

#[tokio::test]
async fn all_pages_of_the_index_come() {
    let engine = Engine::start().await;
    let mut config = indexed(&engine);
    config.scan_segments = NonZeroU32::MIN;
    let (store, script) = open(&engine, config).await;
    let mut large = item(1);
    large.meta = vec![7; 300_000].into();
    for number in 0..64 {
        let at = document(&format!("{number}"));
        store.write(&at, large.clone(), When::Absent).await.expect("writes");
    }
    let before = script.sent().len();
    let found = in_parts(&store, Space::Document, &eventual()).await;
    assert_eq!(found.len(), 64);
    let requests = sent_since(&script, before).len();
    assert!(
        requests > 20,
        "64 items of 300 KB in 16 shards took {requests} requests"
    );
}

#[tokio::test]
async fn strong_listings_are_scans_and_a_position_in_the_index_is_none_of_them() {
    let engine = Engine::start().await;
    let (store, script) = open(&engine, indexed(&engine)).await;
    let store = Store::new(store);
    for number in 0..10 {
        store.assoc(number, &number).await.expect("writes");
    }
    let before = script.sent().len();
    let all: Vec<_> = store.keys().consistent().try_collect().await.expect("lists");
    assert_eq!(all.len(), 10);
    assert_eq!(names(&sent_since(&script, before)), ["Scan"]);
    let mut first = store.keys();
    first.try_next().await.expect("lists").expect("a key");
    let position = first.position().expect("a position");
    let strong = store.keys().consistent().resume(position.as_str());
    check_kind(strong.try_collect::<Vec<_>>().await, ErrorKind::InvalidInput);
    let rest: Vec<_> = store.keys().resume(position).try_collect().await.expect("lists");
    assert_eq!(rest.len(), 9);
}

/// What is described of a table whose index is not complete.
fn unfinished(status: &str, backfilling: bool) -> Reply {
    let body = format!(
        r#"{{"Table":{{"TableName":"table","TableStatus":"UPDATING","KeySchema":[{{"AttributeName":"pk","KeyType":"HASH"}},
        {{"AttributeName":"sk","KeyType":"RANGE"}}],"AttributeDefinitions":[{{"AttributeName":"sk","AttributeType":"N"}},
        {{"AttributeName":"pk","AttributeType":"S"}}],"GlobalSecondaryIndexes":[{{"IndexName":"{INDEX}","IndexStatus":"{status}",
        "Backfilling":{backfilling},"KeySchema":[{{"AttributeName":"l","KeyType":"HASH"}},{{"AttributeName":"pk","KeyType":"RANGE"}}],
        "Projection":{{"ProjectionType":"INCLUDE","NonKeyAttributes":["r","m","c","p","x"]}}}}]}}}}"#
    );
    Reply::answer("DescribeTable", 200, &body)
}

#[tokio::test]
async fn an_index_is_used_once_everything_is_in_it_and_looked_at_once_in_a_while() {
    let engine = Engine::start().await;
    let (writer, _) = open(&engine, indexed(&engine)).await;
    let writer = Store::new(writer);
    for number in 0..10 {
        writer.assoc(number, &number).await.expect("writes");
    }
    let script = Script::default();
    for _ in 0..2 {
        script.push(unfinished("CREATING", true)); // for the table, and for the index
    }
    let store = DynamoDb::builder(indexed(&engine)).client(engine.client(script.clone()));
    let store = Store::new(store.connect().await.expect("connects"));
    assert!(script.is_done());
    let later = |seconds: u64| async move {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    for (what, reply, seconds, expected) in [
        ("too early to look again", None, 1, &["Scan"][..]),
        (
            "still not complete",
            Some(unfinished("ACTIVE", true)),
            60,
            &["DescribeTable", "Scan"],
        ),
        ("too early again", None, 59, &["Scan"]),
        ("who asked does not profit yet", None, 1, &["DescribeTable", "Scan"]),
        ("complete", None, 0, &["Query"; 16]),
        ("and so for ever", None, 100, &["Query"; 16]),
    ] {
        later(seconds).await;
        if let Some(reply) = reply {
            script.push(reply);
        }
        let before = script.sent().len();
        assert_eq!(keys(&store).await.len(), 10, "{what}");
        assert_eq!(names(&sent_since(&script, before)), expected, "{what}");
    }
}

#[tokio::test]
async fn a_listing_is_not_disturbed_by_an_index_that_cannot_be_looked_at() {
    let engine = Engine::start().await;
    let (writer, _) = open(&engine, indexed(&engine)).await;
    Store::new(writer).assoc("a", &1).await.expect("writes");
    let script = Script::default();
    (0..2).for_each(|_| script.push(unfinished("CREATING", true)));
    let store = DynamoDb::builder(indexed(&engine)).client(engine.client(script.clone()));
    let store = Store::new(store.connect().await.expect("connects"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    script.push(Reply::error("DescribeTable", 400, "AccessDeniedException"));
    assert_eq!(keys(&store).await.len(), 1);
    assert!(script.is_done());
}

#[tokio::test]
async fn an_index_is_added_to_a_table_that_has_none() {
    let engine = Engine::start().await;
    let (before, _) = open(&engine, engine.config("table")).await;
    let before = Store::new(before);
    for number in 0..10 {
        before.assoc(number, &number).await.expect("writes");
    }
    let mut frugal = indexed(&engine);
    frugal.create_table = false;
    let (store, script) = open(&engine, frugal).await;
    assert!(!names(&script.sent()).contains(&"UpdateTable"));
    assert_eq!(keys(&Store::new(store)).await.len(), 10, "by a scan");

    for refusal in ["ResourceInUseException", "LimitExceededException"] {
        let script = Script::default();
        script.push(Reply::error("UpdateTable", 400, refusal));
        let store = DynamoDb::builder(indexed(&engine)).client(engine.client(script.clone()));
        let store = store.connect().await.expect("somebody else is at it");
        assert!(script.is_done());
        assert_eq!(keys(&Store::new(store)).await.len(), 10, "by a scan");
    }

    let (store, script) = open(&engine, indexed(&engine)).await;
    assert_eq!(
        names(&script.sent())
            .iter()
            .filter(|name| **name == "UpdateTable")
            .count(),
        1
    );
    assert_eq!(keys(&Store::new(store)).await.len(), 10);
    let (store, script) = open(&engine, indexed(&engine)).await;
    assert!(!names(&script.sent()).contains(&"UpdateTable"));
    let opened = script.sent().len();
    assert_eq!(
        keys(&Store::new(store)).await.len(),
        10,
        "what was there before is in it"
    );
    assert_eq!(names(&sent_since(&script, opened)), ["Query"; 16]);
    let mut denied = indexed(&engine);
    denied.table = "other".into();
    DynamoDb::create({
        let mut config = denied.clone();
        config.listing_index = false;
        config
    })
    .await
    .expect("creates");
    let script = Script::default();
    script.push(Reply::error("UpdateTable", 400, "AccessDeniedException"));
    let store = DynamoDb::builder(denied).client(engine.client(script));
    check_kind(store.connect().await, ErrorKind::Denied);
}

#[tokio::test]
async fn a_managed_table_is_listed_through_an_index_that_answers() {
    let engine = Engine::start().await;
    for (has_index, expected) in [(false, &["Scan"][..]), (true, &["Query"; 16])] {
        let mut config = engine.config(if has_index { "with" } else { "without" });
        config.listing_index = has_index;
        DynamoDb::create(config.clone()).await.expect("creates");
        config.listing_index = true;
        config.managed_table = true;
        let (store, script) = open(&engine, config).await;
        let store = Store::new(store);
        store.assoc("a", &1).await.expect("writes");
        let opened = script.sent().len();
        assert_eq!(keys(&store).await.len(), 1);
        assert_eq!(names(&sent_since(&script, opened)), expected);
        assert!(
            names(&script.sent()).iter().all(|name| !name.ends_with("Table")),
            "{:?}",
            script.sent()
        );
    }
}

#[tokio::test]
async fn another_index_of_this_name_is_refused() {
    let engine = Engine::start().await;
    DynamoDb::create(engine.config("table")).await.expect("creates");
    let key = |name: &str, role| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(role)
            .build()
            .expect("a key")
    };
    let attribute = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("an attribute")
    };
    let index = CreateGlobalSecondaryIndexAction::builder()
        .index_name(INDEX)
        .key_schema(key("l", KeyType::Hash))
        .key_schema(key("pk", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("an index");
    let client = engine.client(Script::default());
    let update = client
        .update_table()
        .table_name("table")
        .attribute_definitions(attribute("l"))
        .attribute_definitions(attribute("pk"))
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index).build());
    update.send().await.expect("is added");
    let error = check_kind(DynamoDb::connect(indexed(&engine)).await, ErrorKind::Config);
    assert!(error.to_string().contains(INDEX), "{error}");
    DynamoDb::connect(engine.config("table"))
        .await
        .expect("who does not use it does not mind");
}
