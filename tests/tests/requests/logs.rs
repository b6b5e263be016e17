//! What logs cost on DynamoDB, counted on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use konserve_core::{Result, Store};
use konserve_dynamodb::RequestCounter;
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::quiet;

/// The requests since the last look.
fn taken(counter: &RequestCounter) -> (u64, BTreeMap<String, u64>) {
    let taken = counter.take();
    (taken.values().sum(), taken)
}

async fn cold(engine: &Embedded) -> (Store, RequestCounter) {
    engine.counted(quiet()).await
}

/// An entry of 100 bytes in its codec.
fn entry(number: u64) -> String {
    let entry = format!("{number:098}");
    assert_eq!(
        konserve_core::record::Codec::Cbor
            .encode(&entry.as_str().into())
            .map_or(0, |encoded| encoded.len()),
        100
    );
    entry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_appends_of_64_tasks_take_at_most_100_requests() -> Result<()> {
    let engine = Embedded::start();
    let (store, counter) = cold(&engine).await;
    let next = Arc::new(AtomicU64::new(0));
    let tasks = (0..64).map(|_| {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut own = Vec::new();
            while let number = next.fetch_add(1, Ordering::SeqCst)
                && number < 1000
            {
                own.push((store.append("log", &number).await?, number));
            }
            Ok::<_, konserve_core::Error>(own)
        })
    });
    let mut acknowledged = Vec::new();
    for own in join_all(tasks).await {
        acknowledged.extend(own.expect("no panic")?);
    }
    let (requests, by_name) = taken(&counter);
    println!("1,000 appends of 64 tasks: {requests} requests");
    assert!(requests <= 100, "{by_name:?}");
    acknowledged.sort_unstable();
    let found: Vec<(u64, u64)> = store.log("log").with_positions().try_collect().await?;
    assert_eq!(found, acknowledged);
    assert!(found.iter().map(|entry| entry.0).eq(0..1000));
    Ok(())
}

/// Reads a log of 10,000 entries of 100 bytes, warm and cold.
async fn ten_thousand_are_read(engine: &Embedded, writer: (Store, RequestCounter), how: &str) -> Result<()> {
    let mut last = writer.0.log::<String>("log").last(1);
    assert_eq!(last.try_next().await?, Some(entry(9_999)));
    let (warm, warm_counter) = writer;
    warm.append("log", &entry(10_000)).await?;
    let (cold, cold_counter) = cold(engine).await;
    for (state, store, counter, most) in [("warm", warm, warm_counter, 6), ("cold", cold, cold_counter, 8)] {
        taken(&counter);
        let log = store.log::<String>("log").enumerate();
        let count = log
            .map(|(number, found)| assert_eq!(found.expect("it is read"), entry(number as u64)))
            .count()
            .await;
        assert_eq!(count, 10_001);
        let (requests, by_name) = taken(&counter);
        println!("10,000 entries of 100 B, {how}, {state}: {requests} requests");
        assert!(requests <= most, "{how}, {state}: {by_name:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_entries_are_read_with_few_requests() -> Result<()> {
    let engine = Embedded::start();
    let writer = cold(&engine).await;
    for number in 0..10 {
        let entries = (0..1000).map(|of| entry(number * 1000 + of));
        writer.0.append_all("log", entries).await?;
    }
    ten_thousand_are_read(&engine, writer, "appended by the thousand").await
}

#[tokio::test]
async fn ten_thousand_entries_that_are_items_of_their_own_are_read_with_few_requests() -> Result<()> {
    let engine = Embedded::start();
    let writer = cold(&engine).await;
    for number in 0..10_000 {
        writer.0.append("log", &entry(number)).await?;
    }
    ten_thousand_are_read(&engine, writer, "appended one by one").await
}

#[tokio::test]
async fn what_an_append_and_a_look_at_the_end_take_does_not_depend_on_the_length() -> Result<()> {
    let engine = Embedded::start();
    let (store, counter) = cold(&engine).await;
    let mut len = 0_u64;
    for exponent in [2, 4, 5, 6] {
        let goal = 10_u64.pow(exponent);
        while len < goal {
            let end = goal.min(len + 65_536);
            store.append_all("log", len..end).await?;
            len = end;
        }
        // The first may announce a new part of the log.
        for warm in 0..3 {
            taken(&counter);
            assert_eq!(store.append("log", &len).await?, len);
            len += 1;
            let (requests, by_name) = taken(&counter);
            assert!(requests == 1 || (warm == 0 && requests == 2), "{by_name:?} at {len}");
        }
        let (cold, counter) = cold(&engine).await;
        assert_eq!(cold.append("log", &len).await?, len);
        len += 1;
        let (requests, by_name) = taken(&counter);
        assert!(requests <= 4, "{by_name:?} for a cold append at {len}");
        let (cold, counter) = self::cold(&engine).await;
        let last: Vec<u64> = cold.log::<u64>("log").last(10).try_collect().await?;
        assert!(last.iter().copied().eq(len - 10..len));
        let (requests, by_name) = taken(&counter);
        println!("the last 10 of {len}, cold: {requests} requests");
        // The item before the last ones begins in another part of the log in the end.
        let most = if exponent < 6 { 3 } else { 4 };
        assert!(requests <= most, "{by_name:?} for the last 10 of {len}");
        for position in [0, len / 3, len / 2, len - 1] {
            let (cold, counter) = self::cold(&engine).await;
            let one: Vec<u64> = cold.log::<u64>("log").range(position..=position).try_collect().await?;
            assert_eq!(one, [position]);
            let (requests, by_name) = taken(&counter);
            assert!(requests <= 5, "{by_name:?} for position {position} of {len}");
        }
        let (cold, counter) = self::cold(&engine).await;
        let meta = cold.get_meta("log").await?.and_then(|meta| meta.log);
        assert_eq!(meta.map(|meta| (meta.entries, meta.next)), Some((len, len)));
        assert_eq!(taken(&counter).0, 3);
    }
    Ok(())
}

#[tokio::test]
async fn trims_and_checkpoints_take_few_requests() -> Result<()> {
    let engine = Embedded::start();
    let (store, counter) = cold(&engine).await;
    store.append_all("log", 0..1000_u64).await?;
    store.append_all("log", 1000..2000_u64).await?;
    taken(&counter);
    assert_eq!(store.trim("log", 1500).await?, Some(1500));
    assert_eq!(taken(&counter).0, 5);
    let sum = || {
        store
            .reduce_log("log", 0, |sum, entry: u64| sum + entry)
            .from(1500)
            .checkpoint("sum")
    };
    assert_eq!(sum().await?, (1500..2000).sum::<u64>());
    // The head, the state row, the checkpoint, the rows and the one that holds the position, and the checkpoint again.
    assert_eq!(taken(&counter).0, 6);
    assert_eq!(sum().await?, (1500..2000).sum::<u64>());
    let (requests, by_name) = taken(&counter);
    assert!(requests <= 5, "{by_name:?} for nothing new");
    Ok(())
}
