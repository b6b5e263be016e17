//! What the engine makes of a bad day: each fault of the transport in each request, seen by the caller and in the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use futures::future::join_all;
use konserve_conformance::{Fault, FaultControl};
use konserve_core::backend::{Address, Backend, Committed, Listing, Purge, Read, RowQuery, Space, When, Written};
use konserve_core::{ErrorKind, Outcome, Result};
use konserve_dynamodb::{DynamoConfig, DynamoDb};
use konserve_tests::transport::{Asked, Course, Disturbance, Loss, Refusal, Tally, TransportFaults};

use crate::support::{Engine, at, check_kind, document, item, put, rev};

/// More than one `BatchWriteItem` takes.
const ROWS: u64 = 40;

const READS: [&str; 4] = ["GetItem", "BatchGetItem", "Query", "Scan"];

/// What finds out whether it was applied, and what is repeated because that does no harm.
const MUTATIONS: [(&str, &str); 3] = [
    ("write", "UpdateItem"),
    ("remove", "UpdateItem"),
    ("commit", "TransactWriteItems"),
];
const PURGES: [(&str, &str); 2] = [("purge rows", "BatchWriteItem"), ("purge tombstone", "DeleteItem")];

/// An engine with something to read, and a handle whose requests are not disturbed.
async fn start() -> (Engine, DynamoDb) {
    let engine = Engine::start().await;
    let calm = DynamoDb::connect(engine.config("table")).await.expect("connects");
    fill(&calm, "read").await;
    (engine, calm)
}

/// A handle whose requests can be disturbed. It repeats about a hundred of them, and then no more.
async fn disturbed(engine: &Engine) -> (DynamoDb, TransportFaults) {
    with(engine.config("table")).await
}

/// The same, which soon gives up.
async fn impatient(engine: &Engine) -> (DynamoDb, TransportFaults) {
    let mut config = engine.config("table");
    config.request_timeout_ms = 300;
    with(config).await
}

async fn with(config: DynamoConfig) -> (DynamoDb, TransportFaults) {
    let faults = TransportFaults::default();
    let transport = faults.transport();
    let builder = DynamoDb::builder(config).http_client(transport.client.clone());
    let store = builder.connect().await.expect("connects");
    transport.opened();
    (store, faults)
}

/// So many times each fault, for all its forms.
fn turns(fault: Fault) -> u64 {
    match fault {
        Fault::ReplyLost => 5,
        Fault::Throttled => 3,
        _ => 1,
    }
}

/// This fault in so many requests from now on.
fn next(faults: &TransportFaults, count: usize, fault: Fault) {
    let left = AtomicUsize::new(count);
    let take = |left: usize| left.checked_sub(1);
    let script = move || {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then_some(fault)
    };
    faults.set(Some(Arc::new(script)));
}

fn always(faults: &TransportFaults, fault: Fault) {
    next(faults, usize::MAX, fault);
}

fn rows(log: &str) -> Vec<Address> {
    (0..ROWS).map(|row| at(Space::Log, log, row)).collect()
}

async fn fill(calm: &DynamoDb, log: &str) {
    for row in rows(log) {
        calm.write(&row, item(1), When::Newer).await.expect("writes");
    }
}

/// Reads by this request all that there is of a log, or the first row of it, and tells the rows.
async fn read(store: &DynamoDb, operation: &str, log: &str) -> Result<Vec<u64>> {
    let log = rows(log);
    let found = match operation {
        "GetItem" => vec![store.read(&log[0], Read::STRONG).await?],
        "BatchGetItem" => store.read_many(&log, Read::STRONG).await?,
        "Query" => {
            let query = RowQuery::all(Space::Log, log[0].partition.clone(), Read::STRONG);
            return store.rows(query).map_ok(|(row, _)| row).try_collect().await;
        }
        _ => {
            let listing = store.list(Space::Log, Listing::all(Read::STRONG));
            let listed: Vec<_> = listing.try_collect().await?;
            let listed = listed.iter().filter(|(at, _)| at.partition == log[0].partition);
            return Ok(listed.map(|(at, _)| at.row).collect());
        }
    };
    let there = found.iter().zip(&log).filter(|(found, _)| found.is_some());
    Ok(there.map(|(_, at)| at.row).collect())
}

fn expected(operation: &str) -> Vec<u64> {
    (0..if operation == "GetItem" { 1 } else { ROWS }).collect()
}

/// Puts what this change needs.
async fn prepare(calm: &DynamoDb, change: &str, name: &str) {
    match change {
        "remove" => drop(calm.write(&document(name), item(1), When::Newer).await.expect("writes")),
        "purge tombstone" => drop(
            calm.remove(&document(name), rev(1), When::Newer)
                .await
                .expect("removes"),
        ),
        "purge rows" => fill(calm, name).await,
        _ => {}
    }
}

async fn make(store: &DynamoDb, change: &str, name: &str) -> Result<()> {
    let key = document(name);
    let written = match change {
        "write" => store.write(&key, item(2), When::Absent).await?,
        "remove" => store.remove(&key, rev(2), When::Matches(rev(1))).await?,
        "commit" => {
            let both = [name, &format!("{name} too")].map(|name| put(name, item(2), When::Absent));
            let committed = store.commit(both.into()).await?;
            assert_eq!(committed, Committed::Applied, "{name}");
            return Ok(());
        }
        "purge tombstone" => return store.purge(&[Purge::Tombstone(key, rev(1))]).await,
        _ => {
            return store
                .purge(&rows(name).into_iter().map(Purge::Row).collect::<Vec<_>>())
                .await;
        }
    };
    assert!(matches!(written, Written::Applied { .. }), "{name}: {written:?}");
    Ok(())
}

/// How many parts of the change were made, of how many.
async fn made(calm: &DynamoDb, change: &str, name: &str) -> (usize, usize) {
    let key = document(name);
    let at = |address: Address| async move { calm.read(&address, Read::STRONG).await.expect("reads") };
    match change {
        "write" => (usize::from(at(key).await.is_some()), 1),
        "remove" => (usize::from(at(key).await.is_none()), 1),
        "commit" => {
            let other = at(document(&format!("{name} too"))).await;
            (at(key).await.iter().chain(&other).count(), 2)
        }
        "purge rows" => {
            let left = read(calm, "Query", name).await.expect("reads");
            (ROWS as usize - left.len(), ROWS as usize)
        }
        _ => {
            let how = Listing {
                tombstones: true,
                ..Listing::all(Read::STRONG)
            };
            let listed: Vec<_> = calm.list(Space::Document, how).try_collect().await.expect("lists");
            (usize::from(listed.iter().all(|(at, _)| *at != key)), 1)
        }
    }
}

fn tally(asked: u64, answered: u64) -> Tally {
    Tally { asked, answered }
}

#[tokio::test]
async fn a_read_that_is_disturbed_is_repeated_and_complete() {
    let (engine, _) = start().await;
    for operation in READS {
        let (store, faults) = disturbed(&engine).await;
        for fault in Fault::ALL {
            for turn in 0..turns(fault) {
                faults.take(operation);
                next(&faults, 1, fault);
                let found = read(&store, operation, "read").await;
                assert_eq!(
                    found.expect("reads"),
                    expected(operation),
                    "{operation} {fault:?} {turn}"
                );
                let is_throttled = operation == "GetItem" && fault == Fault::PartialBatch;
                let (asked, answered) = match fault {
                    Fault::Slow => (1, 1),
                    Fault::BeforeDispatch | Fault::Throttled => (2, 1),
                    _ if is_throttled => (2, 1),
                    _ => (2, 2),
                };
                assert_eq!(
                    faults.take(operation),
                    tally(asked, answered),
                    "{operation} {fault:?} {turn}"
                );
            }
        }
    }
    // A batch comes in halves, and pages bring ever less.
    let (store, faults) = disturbed(&engine).await;
    for operation in ["BatchGetItem", "Query", "Scan"] {
        next(&faults, 5, Fault::PartialBatch);
        let found = read(&store, operation, "read").await;
        assert_eq!(found.expect("reads"), expected(operation), "{operation}");
        assert_eq!(faults.take(operation), tally(6, 6), "{operation}");
    }
}

#[tokio::test]
async fn a_read_that_fails_for_good_is_an_error_and_never_absence() {
    let (engine, _) = start().await;
    for operation in READS {
        let (store, faults) = impatient(&engine).await;
        let cases = [
            (Fault::BeforeDispatch, ErrorKind::Unavailable, false),
            (Fault::ReplyLost, ErrorKind::Unavailable, true),
            (Fault::Throttled, ErrorKind::Throttled, false),
        ];
        for (fault, kind, arrives) in cases {
            for turn in 0..turns(fault) {
                always(&faults, fault);
                let error = check_kind(read(&store, operation, "read").await, kind);
                assert_eq!(error.outcome(), Outcome::NotApplied, "{operation} {turn}: {error:?}");
                assert!(error.is_retryable(), "{operation} {turn}: {error:?}");
                let Tally { asked, answered } = faults.take(operation);
                assert!(asked > 1, "{operation} {fault:?} {turn}");
                assert!(answered == 0 || arrives, "{operation} {fault:?} {turn}");
            }
        }
    }
}

#[tokio::test]
async fn a_mutation_that_is_disturbed_is_repeated_and_applied_once() {
    let (engine, calm) = start().await;
    for (change, operation) in MUTATIONS {
        let (store, faults) = disturbed(&engine).await;
        for fault in Fault::ALL {
            for turn in 0..turns(fault) {
                let name = format!("{change} {fault:?} {turn}");
                prepare(&calm, change, &name).await;
                faults.take(operation);
                next(&faults, 1, fault);
                make(&store, change, &name).await.expect("succeeds");
                let (applied, parts) = made(&calm, change, &name).await;
                assert_eq!(applied, parts, "{name}");
                let expected = match fault {
                    Fault::Slow => tally(1, 1),
                    Fault::ReplyLost => tally(2, 2),
                    _ => tally(2, 1),
                };
                assert_eq!(faults.take(operation), expected, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_mutation_that_fails_for_good_says_whether_it_was_applied() {
    let (engine, calm) = start().await;
    for (change, operation) in MUTATIONS {
        let (store, faults) = impatient(&engine).await;
        for fault in [Fault::BeforeDispatch, Fault::ReplyLost, Fault::Throttled] {
            for turn in 0..turns(fault) {
                let name = format!("{change} {fault:?} {turn}");
                prepare(&calm, change, &name).await;
                faults.take(operation);
                always(&faults, fault);
                let answer = make(&store, change, &name).await;
                let (applied, parts) = made(&calm, change, &name).await;
                let is_sent = fault == Fault::ReplyLost;
                let Tally { asked, answered } = faults.take(operation);
                assert!(asked > 1, "{name}");
                assert!(answered == 0 || is_sent, "{name}");
                assert_eq!(applied, if is_sent { parts } else { 0 }, "{name}");
                let error = answer.expect_err(&name);
                let kinds = match (fault, change) {
                    (Fault::ReplyLost, _) => &[ErrorKind::UnknownOutcome][..],
                    (Fault::BeforeDispatch, _) => &[ErrorKind::Unavailable],
                    (_, "commit") => &[ErrorKind::Throttled, ErrorKind::Contended],
                    _ => &[ErrorKind::Throttled],
                };
                assert!(kinds.contains(&error.kind()), "{name}: {error:?}");
                let outcome = if is_sent { Outcome::Unknown } else { Outcome::NotApplied };
                assert_eq!(error.outcome(), outcome, "{name}: {error:?}");
                assert_eq!(error.is_retryable(), !is_sent, "{name}: {error:?}");
                // Applied or not, the same mutation again is the way out.
                faults.set(None);
                make(&store, change, &name).await.expect("succeeds");
                assert_eq!(made(&calm, change, &name).await, (parts, parts), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_that_is_disturbed_is_repeated_and_complete() {
    let (engine, calm) = start().await;
    for (change, operation) in PURGES {
        let (store, faults) = disturbed(&engine).await;
        for fault in Fault::ALL {
            for turn in 0..turns(fault) {
                let name = format!("{change} {fault:?} {turn}");
                prepare(&calm, change, &name).await;
                next(&faults, 3, fault);
                make(&store, change, &name).await.expect("succeeds");
                let (done, parts) = made(&calm, change, &name).await;
                assert_eq!(done, parts, "{name}");
                assert!(faults.take(operation).asked >= 2 || fault == Fault::Slow, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_that_fails_for_good_does_not_claim_to_have_done_nothing() {
    let (engine, calm) = start().await;
    for (change, operation) in PURGES {
        let (store, faults) = impatient(&engine).await;
        let cases = [
            (Fault::BeforeDispatch, ErrorKind::Unavailable),
            (Fault::ReplyLost, ErrorKind::Unavailable),
            (Fault::Throttled, ErrorKind::Throttled),
            (Fault::PartialBatch, ErrorKind::Throttled),
        ];
        for (fault, kind) in cases {
            for turn in 0..turns(fault) {
                let name = format!("{change} {fault:?} {turn}");
                prepare(&calm, change, &name).await;
                always(&faults, fault);
                let error = check_kind(make(&store, change, &name).await, kind);
                assert_eq!(error.outcome(), Outcome::Unknown, "{name}: {error:?}");
                assert!(faults.take(operation).asked > 1, "{name}");
                let (done, parts) = made(&calm, change, &name).await;
                match fault {
                    Fault::ReplyLost => assert!(done > 0, "{name}"),
                    Fault::PartialBatch if parts > 1 => assert!(0 < done && done < parts, "{name}: {done}"),
                    _ => assert_eq!(done, 0, "{name}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_read_whose_time_is_up_in_the_middle_of_an_attempt_says_what_was_wrong_before() {
    let (engine, _) = start().await;
    let (store, faults) = impatient(&engine).await;
    let asked = AtomicUsize::new(0);
    faults.disturb(move |_: Asked<'_>| {
        let disturbance = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Disturbance::Refused(Refusal::Throttled(0)),
            _ => Disturbance::RequestLost(Loss::Silence),
        };
        Course::from(Some(disturbance))
    });
    let answer = store.read(&rows("read")[0], Read::STRONG).await;
    crate::support::check_kind(answer, konserve_core::ErrorKind::Throttled);
    // Where nothing was wrong before, there is nothing else to say.
    faults.disturb(|_: Asked<'_>| Course::from(Some(Disturbance::RequestLost(Loss::Silence))));
    let answer = store.read(&rows("read")[0], Read::STRONG).await;
    crate::support::check_kind(answer, konserve_core::ErrorKind::Unavailable);
}

#[tokio::test]
async fn the_failures_of_one_store_do_not_use_up_the_repetitions_of_another() {
    let engine = Engine::start().await;
    let (store, faults) = impatient(&engine).await;
    let (other, others) = disturbed(&engine).await;
    let key = document("a");
    always(&faults, Fault::Throttled);
    join_all((0..200).map(|_| store.read(&key, Read::STRONG))).await;
    faults.take("GetItem");
    check_kind(store.read(&key, Read::STRONG).await, ErrorKind::Throttled);
    assert_eq!(
        faults.take("GetItem"),
        tally(1, 0),
        "nothing more is repeated for this store"
    );
    next(&others, 1, Fault::Throttled);
    assert_eq!(other.read(&key, Read::STRONG).await.expect("reads"), None);
    assert_eq!(others.take("GetItem"), tally(2, 1));
}
