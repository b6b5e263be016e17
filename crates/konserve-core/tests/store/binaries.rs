//! Binaries: bytes of any size from any source.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use konserve_core::store::Body;
use konserve_core::{Environment, ErrorKind, Store};
use konserve_memory::Memory;

use crate::support::{quiet, small_items, store};

fn pattern(length: usize) -> Bytes {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn every_source_gives_the_same_bytes_at_every_size() {
    let (_, store) = small_items();
    let directory = std::env::temp_dir().join(format!("konserve-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for length in [0, 1, 3000, 3583, 3584, 3585, 4096, 7168, 100_000] {
        let bytes = pattern(length);
        let file = directory.join(length.to_string());
        std::fs::write(&file, &bytes).unwrap();
        let pieces = bytes
            .chunks(777)
            .map(Bytes::copy_from_slice)
            .map(Ok::<_, std::io::Error>)
            .collect::<Vec<_>>();
        let bodies = [
            Body::from(bytes.clone()),
            Body::from(bytes.to_vec()),
            Body::from(&bytes[..]),
            Body::file(&file),
            Body::from(tokio::fs::File::open(&file).await.unwrap()),
            Body::reader(std::io::Cursor::new(bytes.clone())),
            Body::read(std::io::Cursor::new(bytes.clone())),
            Body::stream(futures::stream::iter(pieces)),
        ];
        for body in bodies {
            let source = format!("{body:?}");
            store.bassoc("b", body).await.unwrap();
            let blob = store.bget("b").await.unwrap().unwrap();
            assert_eq!(blob.len(), length as u64);
            assert_eq!(blob.is_empty(), length == 0);
            assert_eq!(blob.bytes().await.unwrap(), bytes, "{source}");
            let streamed: Vec<Bytes> = blob.stream().try_collect().await.unwrap();
            assert_eq!(streamed.concat(), bytes);
            for (start, end) in [
                (0, length),
                (length / 3, length / 2),
                (length.saturating_sub(1), length),
                (0, 0),
            ] {
                let range = blob.range(start as u64..end as u64);
                assert_eq!(range.len(), (end - start) as u64);
                assert_eq!(range.bytes().await.unwrap(), bytes[start..end]);
                let streamed: Vec<Bytes> = range.stream().try_collect().await.unwrap();
                assert_eq!(streamed.concat(), bytes[start..end]);
                // A range of a range counts from the start of the outer one.
                let inner = range.range(1..).bytes().await.unwrap();
                assert_eq!(inner, bytes[start..end].get(1..).unwrap_or_default());
            }
            assert!(blob.range(length as u64 + 5..).is_empty());
        }
    }
    std::fs::remove_dir_all(directory).unwrap();
    assert!(store.bget("absent").await.unwrap().is_none());
}

#[tokio::test]
async fn a_source_that_fails_changes_nothing() {
    let (_, store) = small_items();
    store.bassoc("b", b"old").await.unwrap();
    let pieces = [Ok(pattern(50_000)), Err(std::io::Error::other("gone"))];
    let error = store
        .bassoc("b", Body::stream(futures::stream::iter(pieces)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = store.bassoc("b", Body::file("/no/such/file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(store.bget("b").await.unwrap().unwrap().bytes().await.unwrap(), "old");
}

#[tokio::test]
async fn conditions_hold_for_binaries() {
    let (_, store) = small_items();
    let first = store.bassoc("b", pattern(50_000)).if_absent().await.unwrap();
    assert_eq!(
        store.bassoc("b", b"").if_absent().await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let second = store.bassoc("b", pattern(60_000)).if_revision(first).await.unwrap();
    assert_eq!(
        store
            .bassoc("b", pattern(70_000))
            .if_revision(first)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Conflict
    );
    let meta = store.get_meta("b").await.unwrap().unwrap();
    assert_eq!((meta.revision, meta.size), (second, 60_000));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_binary_stays_readable_for_a_while_and_then_says_so() {
    let memory = Memory::builder().item_limit(4096).build();
    let environment = Environment {
        clock: std::sync::Arc::new(TokioClock(tokio::time::Instant::now())),
        ..Environment::default()
    };
    let store = Store::builder(memory.handle()).environment(environment).build();
    store.bassoc("b", pattern(50_000)).await.unwrap();
    let blob = store.bget("b").await.unwrap().unwrap();
    let mut stream = blob.stream();
    assert!(stream.next().await.unwrap().is_ok());
    store.bassoc("b", pattern(60_000)).await.unwrap();
    assert_eq!(blob.bytes().await.unwrap(), pattern(50_000));
    tokio::time::sleep(Duration::from_secs(6 * 60 + 1)).await;
    // The replaced chunks went in the background, without `collect`.
    assert_eq!(blob.bytes().await.unwrap_err().kind(), ErrorKind::Contended);
    assert!(blob.bytes().await.unwrap_err().is_retryable());
    tokio::time::sleep(Duration::from_secs(21 * 60)).await;
    assert_eq!(store.collect().await.unwrap().generations, 1);
    assert_eq!(
        store.bget("b").await.unwrap().unwrap().bytes().await.unwrap(),
        pattern(60_000)
    );
}

/// The clock of a paused runtime.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant);

impl konserve_core::Clock for TokioClock {
    fn now(&self) -> konserve_core::Instant {
        konserve_core::Instant::from_millis(1_800_000_000_000) + self.uptime()
    }

    fn uptime(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::test]
async fn an_engine_without_transactions_refuses_what_does_not_fit_into_an_item() {
    let memory = Memory::builder().item_limit(4096).transactions(None).build();
    let store = Store::builder(memory).options(quiet()).build();
    assert_eq!(
        store.bassoc("b", pattern(5000)).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        store.assoc("b", &"x".repeat(5000)).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        store.multi_assoc([("a", 1)]).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(!store.exists("b").await.unwrap());
    store.bassoc("b", pattern(3000)).await.unwrap();
}

#[tokio::test]
async fn ten_mebibytes_go_in_and_out() {
    let store = store();
    let bytes = Bytes::from(vec![42; 10 << 20]);
    store.bassoc("banana", bytes.clone()).await.unwrap();
    let blob = store.bget("banana").await.unwrap().unwrap();
    assert_eq!(blob.bytes().await.unwrap(), bytes);
    assert_eq!(blob.range(5_000_000..5_000_010).bytes().await.unwrap(), [42; 10][..]);
}
