//! What each call of a store costs on DynamoDB: its requests by name, counted on the wire.

mod logs;

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures::TryStreamExt;
use konserve_core::store::{Body, Options};
use konserve_core::{ErrorKind, Result, Store, Value, path};
use konserve_dynamodb::RequestCounter;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::quiet;

/// One engine, and the handles whose requests are counted.
struct Wire {
    engine: Embedded,
    /// The handle of all calls; `None` when each call gets a new one, which knows nothing from before.
    one: Option<(Store, RequestCounter)>,
}

impl Wire {
    async fn warm() -> Self {
        let engine = Embedded::start();
        let one = Some(engine.counted(quiet()).await);
        Self { engine, one }
    }

    fn cold() -> Self {
        let engine = Embedded::start();
        Self { engine, one: None }
    }

    /// Carries out a call and compares its requests.
    async fn takes<T, R>(&self, name: &str, expected: &[(&str, u64)], call: impl FnOnce(Store) -> R) -> Result<T>
    where
        R: IntoFuture<Output = Result<T>>,
    {
        let (store, counter) = match &self.one {
            Some(one) => one.clone(),
            None => self.engine.counted(quiet()).await,
        };
        counter.take();
        let result = call(store).await;
        let expected: BTreeMap<_, _> = expected.iter().map(|(name, count)| ((*name).into(), *count)).collect();
        let handle = if self.one.is_some() { "warm" } else { "cold" };
        assert_eq!(counter.take(), expected, "{name}, {handle}");
        result
    }
}

const NONE: &[(&str, u64)] = &[];
const READ: &[(&str, u64)] = &[("GetItem", 1)];
const WRITE: &[(&str, u64)] = &[("UpdateItem", 1)];
const READ_AND_WRITE: &[(&str, u64)] = &[("GetItem", 1), ("UpdateItem", 1)];
const BATCH: &[(&str, u64)] = &[("BatchGetItem", 1)];
const TRANSACTION: &[(&str, u64)] = &[("TransactWriteItems", 1)];
const TWO_TRANSACTIONS: &[(&str, u64)] = &[("TransactWriteItems", 2)];
const SNAPSHOT: &[(&str, u64)] = &[("TransactGetItems", 1)];
const SCAN: &[(&str, u64)] = &[("Scan", 1)];

/// A hundred keys with values.
fn hundred() -> Vec<(String, u64)> {
    (0..100).map(|number| (format!("key {number}"), number)).collect()
}

fn keys(pairs: &[(String, u64)]) -> Vec<String> {
    pairs.iter().map(|(key, _)| key.clone()).collect()
}

async fn calls_on_one_document(wire: Wire) -> Result<()> {
    wire.takes("assoc of an absent key", WRITE, |s| s.assoc("a", &1))
        .await?;
    wire.takes("assoc of a present key", WRITE, |s| s.assoc("a", &2))
        .await?;
    wire.takes("exists", READ, |s| s.exists("a")).await?;
    wire.takes("exists of an absent key", READ, |s| s.exists("b")).await?;
    wire.takes("get", READ, |s| s.get::<i64>("a")).await?;
    wire.takes("get, consistent", READ, |s| s.get::<i64>("a").consistent())
        .await?;
    wire.takes("get, with meta", READ, |s| s.get::<i64>("a").with_meta())
        .await?;
    wire.takes("get of an absent key", READ, |s| s.get::<i64>("b")).await?;
    let meta = wire
        .takes("get_meta", READ, |s| s.get_meta("a"))
        .await?
        .expect("it is there");
    wire.takes("assoc, if_absent", WRITE, |s| s.assoc("b", &1).if_absent())
        .await?;
    let revision = meta.revision;
    wire.takes("assoc, if_revision", WRITE, |s| s.assoc("a", &3).if_revision(revision))
        .await?;
    let refused = wire
        .takes("assoc, refused", WRITE, |s| s.assoc("a", &4).if_absent())
        .await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Conflict));

    let nested = path!["nested", "x", "y"];
    let absent = path!["nested", "x", "z"];
    wire.takes("assoc_in, nested", READ_AND_WRITE, |s| s.assoc_in(nested.clone(), &1))
        .await?;
    wire.takes("assoc_in of a key", WRITE, |s| s.assoc_in(path!["whole"], &1))
        .await?;
    wire.takes("get_in", READ, |s| s.get_in::<i64>(nested.clone())).await?;
    wire.takes("get_in of an absent path", READ, |s| s.get_in::<i64>(absent.clone()))
        .await?;
    let plus = |n: Option<i64>| n.unwrap_or(0) + 1;
    wire.takes("update_in", READ_AND_WRITE, |s| s.update_in(nested.clone(), plus))
        .await?;
    wire.takes("update_in of an absent path", READ_AND_WRITE, |s| {
        s.update_in(absent, plus)
    })
    .await?;
    wire.takes("update", READ_AND_WRITE, |s| s.update("a", plus)).await?;
    wire.takes("update of an absent key", READ_AND_WRITE, |s| s.update("c", plus))
        .await?;
    wire.takes("dissoc_in", READ_AND_WRITE, |s| s.dissoc_in(nested)).await?;

    assert!(wire.takes("dissoc", WRITE, |s| s.dissoc("a")).await?);
    assert!(!wire.takes("dissoc of an absent key", WRITE, |s| s.dissoc("a")).await?);
    wire.takes("bassoc of a few bytes", WRITE, |s| s.bassoc("bytes", b"0123"))
        .await?;
    let blob = wire
        .takes("bget of a few bytes", READ, |s| s.bget("bytes"))
        .await?
        .expect("there");
    wire.takes("their bytes", NONE, |_| blob.bytes()).await?;
    wire.takes("keys, one page", SCAN, |s| s.keys().try_collect::<Vec<_>>())
        .await?;
    Ok(())
}

async fn calls_on_many_documents(wire: Wire) -> Result<()> {
    let pairs = hundred();
    let keys = keys(&pairs);
    wire.takes("multi_assoc of 100", TRANSACTION, |s| s.multi_assoc(pairs.clone()))
        .await?;
    wire.takes("multi_assoc over 100", TRANSACTION, |s| s.multi_assoc(pairs))
        .await?;
    let found = wire
        .takes("multi_get of 100", BATCH, |s| s.multi_get::<u64>(keys.clone()))
        .await?;
    assert_eq!(found.len(), 100);
    let found = wire
        .takes("multi_get of 100, as a snapshot", SNAPSHOT, |s| {
            s.multi_get::<u64>(keys.clone()).snapshot()
        })
        .await?;
    assert_eq!(found.len(), 100);
    let more = (100..250).map(|number| format!("key {number}"));
    let many: Vec<_> = keys.iter().cloned().chain(more).collect();
    let found = wire
        .takes("get_many of 250", &[("BatchGetItem", 3)], |s| s.get_many::<u64>(many))
        .await?;
    assert_eq!(found.len(), 100);
    let found = wire
        .takes("multi_get, one absent", BATCH, |s| {
            s.multi_get::<u64>(["key 1", "absent"])
        })
        .await?;
    assert_eq!(found.len(), 1);
    wire.takes("multi_dissoc, all exist", TRANSACTION, |s| {
        s.multi_dissoc(keys[..50].to_vec())
    })
    .await?;
    let existed = wire
        .takes("multi_dissoc, half exist", TWO_TRANSACTIONS, |s| s.multi_dissoc(keys))
        .await?;
    assert_eq!(existed.values().filter(|existed| **existed).count(), 50);
    wire.takes("multi_get of none, as a snapshot", NONE, |s| {
        s.multi_get::<u64>(Vec::<String>::new()).snapshot()
    })
    .await?;
    wire.takes("get_many of none", NONE, |s| s.get_many::<u64>(Vec::<String>::new()))
        .await?;
    wire.takes("multi_get of none", NONE, |s| s.multi_get::<u64>(Vec::<String>::new()))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_small_document_takes_one_request_and_a_part_of_it_two() -> Result<()> {
    calls_on_one_document(Wire::warm().await).await?;
    calls_on_one_document(Wire::cold()).await
}

#[tokio::test]
async fn a_hundred_documents_take_one_request() -> Result<()> {
    calls_on_many_documents(Wire::warm().await).await?;
    calls_on_many_documents(Wire::cold()).await
}

#[tokio::test]
async fn too_many_keys_are_refused_before_anything_is_sent() -> Result<()> {
    let wire = Wire::warm().await;
    let mut pairs = hundred();
    pairs.push(("one too many".into(), 0));
    let keys = keys(&pairs);
    let read = wire
        .takes("multi_get of 101", NONE, |s| s.multi_get::<u64>(keys.clone()))
        .await;
    let snapshot = wire
        .takes("multi_get of 101, as a snapshot", NONE, |s| {
            s.multi_get::<u64>(keys.clone()).snapshot()
        })
        .await;
    let written = wire.takes("multi_assoc of 101", NONE, |s| s.multi_assoc(pairs)).await;
    let removed = wire.takes("multi_dissoc of 101", NONE, |s| s.multi_dissoc(keys)).await;
    for error in [read.map(drop), snapshot.map(drop), written.map(drop), removed.map(drop)] {
        let error = error.expect_err("it is refused");
        assert_eq!(
            (error.kind(), error.limit()),
            (ErrorKind::TooManyItems, Some((100, 101)))
        );
    }
    let twice = wire
        .takes("one key twice", NONE, |s| s.multi_assoc([("a", 1), ("a", 2)]))
        .await;
    assert_eq!(twice.map_err(|error| error.kind()), Err(ErrorKind::InvalidInput));
    Ok(())
}

#[tokio::test]
async fn an_append_takes_one_request_once_the_log_is_known() -> Result<()> {
    let created = &[("GetItem", 1), ("TransactWriteItems", 1)];
    let found = &[("GetItem", 2), ("Query", 1), ("UpdateItem", 1)];
    let wire = Wire::warm().await;
    wire.takes("append that creates", created, |s| s.append("log", &0))
        .await?;
    for entry in 1..5 {
        wire.takes("append", WRITE, |s| s.append("log", &entry)).await?;
    }
    wire.takes("append_all of 100", WRITE, |s| s.append_all("log", 5..105))
        .await?;
    let another = Wire {
        engine: wire.engine.clone(),
        one: Some(wire.engine.counted(quiet()).await),
    };
    another.takes("append, cold", found, |s| s.append("log", &105)).await?;
    another
        .takes("append, warm by now", WRITE, |s| s.append("log", &106))
        .await?;
    // The first one has not seen the two entries of the other: it meets one, goes on behind it, and then looks where the end is.
    let overtaken = &[("UpdateItem", 3), ("Query", 1)];
    wire.takes("append, overtaken twice", overtaken, |s| s.append("log", &107))
        .await?;
    // One removal that is refused, as it shows that the key holds a log; the three of finding its tail; the commit.
    let removed = &[
        ("UpdateItem", 1),
        ("GetItem", 2),
        ("Query", 1),
        ("TransactWriteItems", 1),
    ];
    assert!(another.takes("dissoc of a log", removed, |s| s.dissoc("log")).await?);
    Ok(())
}

#[tokio::test]
async fn a_log_takes_a_request_for_each_megabyte_and_two_when_cold() -> Result<()> {
    let wire = Wire::warm().await;
    let cold = Wire {
        engine: wire.engine.clone(),
        one: None,
    };
    let read = |store: Store| store.log::<String>("log").try_collect::<Vec<_>>();
    let entry = "x".repeat(100_000);
    // 1 MB is 1,048,576 bytes: eleven of these entries reach it.
    let (writer, _) = wire.one.clone().expect("it is warm");
    let mut length = 0;
    for (entries, pages) in [(1, 1), (10, 1), (12, 2), (25, 3)] {
        while length < entries {
            length = writer.append("log", &entry).await? as usize + 1;
        }
        let name = format!("log of {entries} entries");
        let found = wire.takes(&name, &[("Query", pages)], read).await?;
        assert_eq!(found.len(), entries);
        let found = cold.takes(&name, &[("GetItem", 2), ("Query", pages)], read).await?;
        assert_eq!(found.len(), entries);
    }
    let folded = |store: Store| store.reduce_log("log", 0, |count, _: Value| count + 1);
    assert_eq!(wire.takes("reduce_log", &[("Query", 3)], folded).await?, 25);
    let none = cold.takes("log of an absent key", READ, |s| {
        s.log::<Value>("absent").try_collect::<Vec<_>>()
    });
    assert!(none.await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn ten_mebibytes_are_read_in_two_requests() -> Result<()> {
    const SIZE: usize = 10 * 1024 * 1024;
    let wire = Wire::warm().await;
    // The row of the generation and 27 chunks of 384 KiB; a look at what is replaced; the commit.
    let written = &[("UpdateItem", 1 + 27), ("GetItem", 1), ("TransactWriteItems", 1)];
    wire.takes("bassoc of 10 MiB", written, |s| s.bassoc("banana", vec![42; SIZE]))
        .await?;
    let cold = Wire {
        engine: wire.engine.clone(),
        one: None,
    };
    for wire in [&wire, &cold] {
        let blob = wire
            .takes("bget of 10 MiB", READ, |s| s.bget("banana"))
            .await?
            .expect("there");
        let whole = blob.clone();
        let both = &[("GetItem", 1), ("BatchGetItem", 1)];
        let bytes = wire
            .takes("bget of 10 MiB and its bytes", both, |s| async move {
                s.bget("banana").await?.expect("it is there").bytes().await
            })
            .await?;
        assert!(bytes.len() == SIZE && bytes.iter().all(|byte| *byte == 42));
        let part = wire.takes("a range of it", both, |s| async move {
            let blob = s.bget("banana").await?.expect("it is there");
            blob.range(5_000_000..5_000_010).bytes().await
        });
        assert_eq!(part.await?, [42; 10][..]);
        assert_eq!(whole.len(), SIZE as u64);
        wire.takes("exists of 10 MiB", READ, |s| s.exists("banana")).await?;
        wire.takes("get_meta of 10 MiB", READ, |s| s.get_meta("banana")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_takes_a_request_for_two_chunks_and_several_large_values_share_theirs() -> Result<()> {
    const SIZE: usize = 10 * 1024 * 1024;
    let engine = Embedded::start();
    // As a program has it: what is replaced is looked up, so that it can be taken away.
    let wire = Wire {
        one: Some(engine.counted(Options::default()).await),
        engine,
    };
    let written = &[("UpdateItem", 1 + 27), ("GetItem", 1), ("TransactWriteItems", 1)];
    wire.takes("bassoc of a reader", written, |s| {
        s.bassoc("banana", Body::reader(std::io::Cursor::new(vec![42; SIZE])))
    })
    .await?;
    let stream = &[("GetItem", 1), ("BatchGetItem", 14)];
    let read = wire.takes("a stream of 10 MiB", stream, |s| async move {
        let blob = s.bget("banana").await?.expect("it is there");
        blob.stream()
            .map_ok(|piece| piece.len())
            .try_fold(0, async |all, length| Ok(all + length))
            .await
    });
    assert_eq!(read.await?, SIZE);
    let part = &[("GetItem", 1), ("BatchGetItem", 1)];
    let read = wire.takes("a stream of a range", part, |s| async move {
        let blob = s.bget("banana").await?.expect("it is there");
        blob.range(5_000_000..5_000_010).stream().try_collect::<Vec<_>>().await
    });
    assert_eq!(read.await?.concat(), [42; 10]);

    // The row of the generation, 2 chunks of one and 3 of the other; a look at what is replaced; the commit.
    let spilled = &[("UpdateItem", 1 + 5), ("BatchGetItem", 1), ("TransactWriteItems", 1)];
    let values = [
        ("a", "x".repeat(700_000)),
        ("b", "y".repeat(1_000_000)),
        ("c", "z".into()),
    ];
    wire.takes("multi_assoc, two of them large", spilled, |s| s.multi_assoc(values))
        .await?;
    wire.takes("multi_assoc, all of them small", TRANSACTION, |s| {
        s.multi_assoc([("c", 1), ("d", 2)])
    })
    .await?;
    Ok(())
}
