//! Snapshots: one transaction, its limits, and what its refusals mean.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use konserve_core::ErrorKind;
use konserve_core::backend::{Address, Backend, Item, Read, When};
use konserve_dynamodb::DynamoDb;

use crate::support::{Engine, Reply, check_kind, document, item, rev, sized};

/// DynamoDB takes 4 MiB, the overhead of 100 items included.
const MOST_BYTES: u64 = 4 * 1024 * 1024 - 100 * 4 * 1024;

/// A cancelled transaction, by the reasons of its parts.
fn cancelled(reasons: &[&str]) -> Reply {
    let reasons: Vec<_> = reasons
        .iter()
        .map(|code| format!(r#"{{"Code":"{code}","Message":"xyzzy"}}"#))
        .collect();
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"xyzzy",
        "CancellationReasons":[{}]}}"#,
        reasons.join(",")
    );
    Reply::answer("TransactGetItems", 400, &body)
}

#[tokio::test]
async fn a_snapshot_is_one_request_of_twice_the_capacity() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    let all: Vec<Address> = (0..100).map(|number| document(&format!("{number}"))).collect();
    for (number, at) in (0..).zip(&all).step_by(2) {
        store.write(at, item(number), When::Absent).await.expect("writes");
    }
    store.write(&all[1], item(1), When::Absent).await.expect("writes");
    store.remove(&all[1], rev(200), When::Exists).await.expect("removes");
    counter.take();
    let expected: Vec<Option<Item>> = (0..100).map(|number| (number % 2 == 0).then(|| item(number))).collect();
    let found = store.read_many(&all, Read::SNAPSHOT).await.expect("reads");
    assert_eq!(found, expected);
    assert_eq!(counter.take(), BTreeMap::from([("TransactGetItems".to_owned(), 1)]));
    let bare = store
        .read_many(&all, Read::SNAPSHOT.without_body())
        .await
        .expect("reads");
    let without = expected
        .iter()
        .cloned()
        .map(|item| item.map(|item| Item { body: None, ..item }));
    assert!(bare.into_iter().eq(without));
    let twice: Vec<_> = all.iter().chain(&all[..3]).cloned().collect();
    let found = store.read_many(&twice, Read::SNAPSHOT).await.expect("reads");
    assert_eq!(found[100..], expected[..3]);
    counter.take();
    assert_eq!(store.read_many(&[], Read::SNAPSHOT).await.expect("reads"), []);
    let too_many: Vec<_> = all.iter().cloned().chain([document("one too many")]).collect();
    let error = check_kind(
        store.read_many(&too_many, Read::SNAPSHOT).await,
        ErrorKind::TooManyItems,
    );
    assert_eq!(error.limit(), Some((100, 101)));
    assert_eq!(counter.take(), BTreeMap::new());

    let (store, script) = engine.scripted().await;
    script.take_capacity();
    store.read_many(&all[..10], Read::SNAPSHOT).await.expect("reads");
    assert_eq!(
        script.take_capacity(),
        20.0,
        "two units for each of ten, absent ones included"
    );
}

#[tokio::test]
async fn a_snapshot_that_is_hindered_is_taken_again() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let at = [document("a"), document("b")];
    store.write(&at[0], item(1), When::Absent).await.expect("writes");
    for reason in [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ] {
        script.push(cancelled(&["None", reason]));
        let found = store.read_many(&at, Read::SNAPSHOT).await.expect(reason);
        assert_eq!(found, [Some(item(1)), None]);
        assert!(script.is_done());
    }
    script.push(Reply::error("TransactGetItems", 500, "InternalServerError"));
    store.read_many(&at, Read::SNAPSHOT).await.expect("reads");
    // Less than was asked for is no absence.
    script.push(Reply::answer("TransactGetItems", 200, r#"{"Responses":[{}]}"#));
    check_kind(store.read_many(&at, Read::SNAPSHOT).await, ErrorKind::Unavailable);

    let mut config = engine.config("table");
    config.max_attempts = NonZeroU32::new(4);
    let hasty = DynamoDb::builder(config).client(engine.client(script.clone()));
    let hasty = hasty.connect().await.expect("connects");
    for (reason, kind) in [
        ("TransactionConflict", ErrorKind::Contended),
        ("ThrottlingError", ErrorKind::Throttled),
    ] {
        (0..4).for_each(|_| script.push(cancelled(&[reason, "None"])));
        let error = check_kind(hasty.read_many(&at, Read::SNAPSHOT).await, kind);
        assert!(error.is_retryable());
        assert!(script.is_done());
    }
}

#[tokio::test]
async fn a_snapshot_of_too_much_is_told_from_others_without_reading_texts() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let at: Vec<_> = (0..11).map(|number| document(&format!("{number}"))).collect();
    for (number, at) in (0..).zip(&at) {
        store
            .write(at, sized(number, 390_000), When::Absent)
            .await
            .expect("writes");
    }
    let refusals = || {
        [
            Reply::error("TransactGetItems", 400, "ValidationException"),
            cancelled(&["ValidationError"; 11]),
            cancelled(&[]),
        ]
    };
    for refusal in refusals() {
        script.push(refusal);
        let error = check_kind(store.read_many(&at, Read::SNAPSHOT).await, ErrorKind::TooLarge);
        let (limit, given) = error.limit().expect("it names the limit");
        assert_eq!(limit, MOST_BYTES);
        assert!((11 * 390_000..11 * 391_000).contains(&given), "{given}");
        assert!(!error.is_retryable());
    }
    // The same answers where the items are few are about something else.
    for refusal in refusals() {
        script.push(refusal);
        let error = check_kind(store.read_many(&at[..2], Read::SNAPSHOT).await, ErrorKind::InvalidInput);
        assert!(!error.to_string().contains("xyzzy"), "{error}");
    }
    assert!(script.is_done());
}
