//! Binaries: bytes of any size from any source.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_core::backend::{Backend, Listing, Read, Space};
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::store::Body;
use konserve_core::{Environment, ErrorKind, Store};
use konserve_memory::Memory;

use crate::support::{manual, quiet, small_items, store};

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

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_reads_ahead_as_far_as_it_may_and_no_further() {
    let memory = Memory::builder().item_limit(4096).build();
    let bytes = pattern(100 * 3584);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let layer = Layer::new(memory, move |call| {
        counter.fetch_add(usize::from(call == Call::ReadMany), Ordering::SeqCst);
        None
    });
    let mut options = quiet();
    options.chunks_in_flight = 8;
    let store = Store::builder(layer).options(options).build();
    store.bassoc("b", bytes.clone()).await.unwrap();
    let blob = store.bget("b").await.unwrap().unwrap();
    let asked = || asked.load(Ordering::SeqCst);

    let mut stream = blob.stream();
    settle().await;
    assert_eq!(asked(), 0, "nothing is read that nobody wants");
    let mut read = vec![stream.try_next().await.unwrap().unwrap()];
    settle().await;
    assert_eq!(asked(), 4, "eight chunks, of which one was taken");
    // The consumer works. What there is room for comes meanwhile, and nothing else.
    for (taken, requests) in [(2, 5), (3, 5), (4, 6), (5, 6), (6, 7)] {
        read.push(stream.try_next().await.unwrap().unwrap());
        settle().await;
        assert_eq!(asked(), requests, "{taken} chunks were taken");
    }
    let rest: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!([read, rest].concat().concat(), bytes);
    let chunks = bytes.len().div_ceil(4096 - 512);
    assert_eq!(asked(), chunks.div_ceil(2));

    let before = asked();
    let part: Vec<Bytes> = blob.range(50_000..60_000).stream().try_collect().await.unwrap();
    assert_eq!(part.concat(), bytes[50_000..60_000]);
    assert_eq!(asked() - before, 2, "four chunks, and no others");
    let dropped = blob.stream().try_next().await.unwrap();
    assert!(dropped.is_some());
    let before = asked();
    settle().await;
    assert_eq!(asked(), before, "a stream that is dropped reads no more");
}

#[tokio::test]
async fn an_upload_takes_from_its_source_no_more_than_is_on_its_way() {
    let memory = Memory::builder().item_limit(4096).build();
    let (writing, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let (writes, pieces) = (writing.clone(), taken.clone());
    let layer = Layer::new(memory, move |call| {
        (call == Call::Write(Space::Chunk)).then(|| {
            writes.fetch_add(1, Ordering::SeqCst);
            Fault::Hangs
        })
    });
    let mut options = quiet();
    options.chunks_in_flight = 3;
    let store = Store::builder(layer).options(options).build();
    let source = futures::stream::repeat_with(move || {
        pieces.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::io::Error>(pattern(3584))
    });
    let mut upload = Box::pin(store.bassoc("b", Body::stream(source.take(1000))).into_future());
    for _ in 0..100 {
        assert!(upload.as_mut().now_or_never().is_none());
    }
    assert_eq!(
        (writing.load(Ordering::SeqCst), taken.load(Ordering::SeqCst)),
        (3, 3),
        "three chunks are on their way, and the source waits"
    );
}

#[tokio::test]
async fn a_source_is_not_polled_after_its_end() {
    let (_, store) = small_items();
    for pieces in [1, 5, 7] {
        // This one panics when it is polled again.
        let source = futures::stream::unfold(0, move |piece| async move {
            (piece < pieces).then(|| (Ok::<_, std::io::Error>(pattern(1000)), piece + 1))
        });
        store.bassoc("b", Body::stream(source)).await.unwrap();
        let blob = store.bget("b").await.unwrap().unwrap();
        assert_eq!(blob.bytes().await.unwrap(), pattern(1000).repeat(pieces));
    }
}

#[tokio::test]
async fn an_upload_that_was_given_up_while_it_slept_ends_at_once_and_leaves_nothing() {
    const SLEEPS_AT: u64 = 10;
    let memory = Memory::builder().item_limit(4096).build();
    let (clock, environment) = manual();
    let store = Store::builder(memory.handle())
        .environment(environment)
        .options(quiet())
        .build();
    let taken = Arc::new(AtomicU64::new(0));
    let (collector, pieces) = (store.clone(), taken.clone());
    let source = futures::stream::repeat_with(move || {
        if pieces.fetch_add(1, Ordering::SeqCst) == SLEEPS_AT {
            clock.advance(Duration::from_secs(2 * 60 * 60));
            let collected = collector.collect().without_waiting().into_future().now_or_never();
            assert_eq!(collected.unwrap().unwrap().generations_removed, 1);
        }
        Ok::<_, std::io::Error>(pattern(3584))
    });
    let error = store.bassoc("b", Body::stream(source.take(100))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(taken.load(Ordering::SeqCst), SLEEPS_AT + 1);
    for space in [Space::Generation, Space::Chunk, Space::Document] {
        let left = memory.list(space, Listing::all(Read::STRONG)).count().await;
        assert_eq!(left, 0, "{space:?}");
    }
}

#[tokio::test]
async fn a_binary_of_many_requests_is_read_whole_and_in_parts() {
    // Chunks of a kilobyte: more than a hundred, the most that one request asks for.
    let memory = Memory::builder().item_limit(4096).build();
    let mut options = quiet();
    options.chunk_size = 1024;
    let store = Store::builder(memory).options(options).build();
    let bytes = pattern(1_000_003);
    store.bassoc("b", bytes.clone()).await.unwrap();
    store.assoc("d", &bytes.to_vec()).await.unwrap();
    let blob = store.bget("b").await.unwrap().unwrap();
    assert_eq!(blob.bytes().await.unwrap(), bytes);
    for range in [
        0..1_000_003,
        1..1_000_002,
        102_399..102_401,
        500..500,
        999_999..1_000_003,
    ] {
        let part = blob.range(range.start as u64..range.end as u64);
        assert_eq!(part.bytes().await.unwrap(), bytes[range.clone()], "{range:?}");
        let streamed: Vec<Bytes> = part.stream().try_collect().await.unwrap();
        assert_eq!(streamed.concat(), bytes[range]);
    }
    assert_eq!(store.get::<Vec<u8>>("d").await.unwrap().unwrap(), bytes);
}
