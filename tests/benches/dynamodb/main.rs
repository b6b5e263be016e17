//! What our DynamoDB engine takes beside the same thing written by hand, on the same embedded engine in the same run.

mod by_hand;
mod engine;

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use futures::TryStreamExt;
use konserve_core::{Path, Store};
use konserve_dynamodb::{DynamoConfig, DynamoDb};
use konserve_tests::document::Customer;
use tokio::runtime::Runtime;

use self::by_hand::ByHand;

/// How many documents there are: what `multi_get` gets.
const DOCUMENTS: u64 = 100;

/// How many entries the log has that is read.
const ENTRIES: u64 = 1_000;

fn all(criterion: &mut Criterion) {
    let endpoint = engine::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = &runtime.expect("a runtime");
    let by_hand = &runtime.block_on(ByHand::create(engine::client(&endpoint)));
    let store = &runtime.block_on(connect(endpoint));
    let keys: &[String] = &(0..DOCUMENTS).map(|id| format!("customer-{id:06}")).collect::<Vec<_>>();
    let customers: &[Customer] = &(0..DOCUMENTS).map(Customer::example).collect::<Vec<_>>();
    runtime.block_on(fill(store, by_hand, keys, customers));

    let ours = async |turn: usize| {
        let found = store.get::<Customer>(keys[turn].as_str()).await.expect("an answer");
        assert!(black_box(found).is_some());
    };
    let theirs = async |turn: usize| assert!(black_box(by_hand.get(&keys[turn]).await).is_some());
    pair(criterion, runtime, "get", ours, theirs);

    let ours = async |turn: usize| {
        let written = store.assoc(keys[turn].as_str(), &customers[turn]).await;
        black_box(written.expect("no newer write"));
    };
    let theirs = async |turn: usize| by_hand.assoc(&keys[turn], &customers[turn]).await;
    pair(criterion, runtime, "assoc", ours, theirs);

    let ours = async |turn: usize| {
        let path = Path::new(keys[turn].as_str()).join("visits");
        let updated = store
            .update_in(path, |visits: Option<u64>| visits.unwrap_or(0) + 1)
            .await;
        assert!(updated.expect("nobody else writes").new > 0);
    };
    let theirs = async |turn: usize| assert!(by_hand.update(&keys[turn]).await > 0);
    pair(criterion, runtime, "update_in", ours, theirs);

    let ours = async |_| {
        let found = store.multi_get::<Customer>(keys.iter().map(String::as_str)).await;
        assert_eq!(black_box(found.expect("an answer")).len(), keys.len());
    };
    let theirs = async |_| assert_eq!(black_box(by_hand.multi_get(keys).await).len(), keys.len());
    pair(criterion, runtime, "multi_get of 100", ours, theirs);

    let ours = async |turn: usize| {
        let appended = store.append("growing-log", &customers[turn]).await;
        black_box(appended.expect("the tail is free"));
    };
    let theirs = async |turn: usize| {
        black_box(by_hand.append("growing-log", &customers[turn]).await);
    };
    pair(criterion, runtime, "append", ours, theirs);

    let ours = async |_| {
        let entries = store.log::<Customer>("log").try_collect::<Vec<_>>().await;
        assert_eq!(black_box(entries.expect("all pages")).len() as u64, ENTRIES);
    };
    let theirs = async |_| assert_eq!(black_box(by_hand.log("log").await).len() as u64, ENTRIES);
    pair(criterion, runtime, "log of 1000", ours, theirs);
}

async fn connect(endpoint: String) -> Store {
    let mut config = DynamoConfig::new("konserve");
    config.endpoint = Some(endpoint);
    config.region = Some("us-west-1".to_owned());
    config.access_key_id = Some("AKIDEXAMPLE".to_owned());
    config.secret_access_key = Some("secret".to_owned());
    Store::new(DynamoDb::connect(config).await.expect("a table"))
}

/// The same documents and the same log on both sides, each entry of the log an item.
async fn fill(store: &Store, by_hand: &ByHand, keys: &[String], customers: &[Customer]) {
    for (key, customer) in keys.iter().zip(customers) {
        store.assoc(key.as_str(), customer).await.expect("a new document");
        by_hand.assoc(key, customer).await;
    }
    for id in 0..ENTRIES {
        let entry = Customer::example(id);
        store.append("log", &entry).await.expect("a new entry");
        by_hand.append("log", &entry).await;
    }
}

/// Measures both sides of a pair. They get the number of a document, another one each time.
fn pair(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    ours: impl AsyncFn(usize),
    by_hand: impl AsyncFn(usize),
) {
    let mut group = criterion.benchmark_group(format!("dynamodb {name}"));
    let turns = Cell::new(0);
    let next = || {
        turns.set((turns.get() + 1) % DOCUMENTS as usize);
        turns.get()
    };
    group.bench_function("konserve", |bencher| bencher.to_async(runtime).iter(|| ours(next())));
    group.bench_function("by-hand", |bencher| bencher.to_async(runtime).iter(|| by_hand(next())));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4));
    targets = all
}
criterion_main!(benches);
