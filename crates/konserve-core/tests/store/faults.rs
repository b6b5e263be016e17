//! What a store says and does when its engine fails in ways that only a layer can bring about, or at calls that only core
//! can name. The trials `faults.*` of the conformance suite make every request of every operation fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use std::future::IntoFuture;

use futures::{FutureExt, TryStreamExt};
use konserve_core::backend::{Space, TransactionLimits};
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::{ErrorKind, Outcome, Result, Store, Value};
use konserve_memory::Memory;

use crate::support::{manual, quiet};

/// A store whose engine fails at the first call of this kind, and only then.
fn failing_once(memory: &Memory, call: Call, fault: Fault) -> Store {
    let calls = Arc::new(AtomicUsize::new(0));
    let layer = Layer::new(memory.handle(), move |now| {
        (now == call && calls.fetch_add(1, Ordering::SeqCst) == 0).then_some(fault)
    });
    Store::builder(layer).options(quiet()).build()
}

#[tokio::test]
async fn what_an_engine_refuses_for_good_comes_out_as_it_is() {
    let memory = Memory::builder().item_limit(4096).build();
    let sound = Store::new(memory.handle());
    sound.assoc("k", "v").await.unwrap();
    sound.append("log", &1).await.unwrap();
    let failing = |call| failing_once(&memory, call, Fault::Fails(ErrorKind::Denied));
    let head = Call::Read(Space::Document);
    let results: Vec<Result<()>> = vec![
        failing(head).get::<String>("k").await.map(drop),
        failing(head)
            .update("k", |_: Option<String>| String::new())
            .await
            .map(drop),
        failing(Call::Write(Space::Document)).assoc("k", "w").await.map(drop),
        failing(Call::Remove(Space::Document)).dissoc("k").await.map(drop),
        failing(Call::Commit).multi_dissoc(["k"]).await.map(drop),
        failing(Call::Write(Space::Log)).append("log", &2).await.map(drop),
        failing(Call::Rows(Space::Log))
            .log::<i64>("log")
            .try_collect::<Vec<_>>()
            .await
            .map(drop),
        failing(Call::Write(Space::Chunk))
            .assoc("k", &"n".repeat(9000))
            .await
            .map(drop),
        failing(Call::List(Space::Generation)).collect().await.map(drop),
    ];
    for (number, result) in results.into_iter().enumerate() {
        let error = result.expect_err(&format!("call {number}"));
        assert_eq!(
            (error.kind(), error.outcome(), error.is_retryable()),
            (ErrorKind::Denied, Outcome::NotApplied, false),
            "call {number}: {error}"
        );
    }
    assert_eq!(sound.get::<String>("k").await.unwrap().as_deref(), Some("v"));
    assert_eq!(sound.log::<i64>("log").try_collect::<Vec<_>>().await.unwrap(), [1]);
}

#[tokio::test]
async fn a_preparing_step_without_an_answer_means_that_nothing_was_written() {
    for call in [Call::Write(Space::Generation), Call::Write(Space::Chunk)] {
        let memory = Memory::builder().item_limit(4096).build();
        let store = failing_once(&memory, call, Fault::ReplyLost);
        let error = store.assoc("k", &"n".repeat(9000)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unavailable, Outcome::NotApplied)
        );
        assert!(!store.exists("k").await.unwrap());
        store.assoc("k", &"n".repeat(9000)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_without_an_answer_is_in_the_log_once() {
    for fault in [Fault::ReplyLost, Fault::RequestLost] {
        for large in [false, true] {
            let memory = Memory::builder().item_limit(4096).build();
            let text = if large { "x".repeat(9000) } else { "x".to_owned() };
            Store::new(memory.handle()).append("log", "first").await.unwrap();
            let call = if large { Call::Commit } else { Call::Write(Space::Log) };
            let store = failing_once(&memory, call, fault);
            assert_eq!(store.append("log", &text).await.unwrap(), 1);
            assert_eq!(store.append("log", "last").await.unwrap(), 2);
            let all: Vec<String> = store.log::<String>("log").try_collect().await.unwrap();
            assert_eq!(all, ["first", &text, "last"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_that_never_gets_an_answer_ends_with_an_unknown_outcome() {
    // To a log, and to nothing, on engines with and without transactions.
    for (lost, transactions) in [
        (Call::Write(Space::Log), true),
        (Call::Commit, true),
        (Call::Write(Space::Document), false),
    ] {
        let builder = Memory::builder();
        let memory = match transactions {
            true => builder.build(),
            false => builder.transactions(None).build(),
        };
        let sound = Store::new(memory.handle());
        let begun = u64::from(lost == Call::Write(Space::Log));
        for _ in 0..begun {
            sound.append("log", &0).await.unwrap();
        }
        let store = Store::new(Layer::new(memory, move |call| {
            (call == lost).then_some(Fault::ReplyLost)
        }));
        let error = store.append("log", &1).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::UnknownOutcome, Outcome::Unknown),
            "{lost:?}"
        );
        // It did happen, once, and the next writer goes on behind it.
        assert_eq!(sound.append("log", &2).await.unwrap(), begun + 1, "{lost:?}");
        let entries: Vec<i64> = sound.log::<i64>("log").consistent().try_collect().await.unwrap();
        assert_eq!(entries[begun as usize..], [1, 2], "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_whose_creation_got_no_answer_is_created_once_with_its_first_entry() {
    for (lost, transactions) in [(Call::Commit, true), (Call::Write(Space::Document), false)] {
        for fault in [Fault::ReplyLost, Fault::RequestLost] {
            let builder = Memory::builder().item_limit(None);
            let memory = match transactions {
                true => builder.build(),
                false => builder.transactions(None).build(),
            };
            let sound = Store::new(memory.handle());
            let store = failing_once(&memory, lost, fault);
            assert_eq!(store.append("log", &1).await.unwrap(), 0, "{lost:?} {fault:?}");
            assert_eq!(store.append("log", &2).await.unwrap(), 1, "{lost:?} {fault:?}");
            let entries: Vec<i64> = sound.log::<i64>("log").consistent().try_collect().await.unwrap();
            assert_eq!(entries, [1, 2], "{lost:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_append_that_fails_creates_no_empty_log() {
    let mut failures = 0;
    for transactions in [true, false] {
        for call in [
            Call::Commit,
            Call::Write(Space::Log),
            Call::Write(Space::Document),
            Call::Write(Space::Generation),
        ] {
            let builder = Memory::builder();
            let memory = match transactions {
                true => builder.build(),
                false => builder.transactions(None).build(),
            };
            // Without transactions there are no large entries.
            let entries = [("a", "small".to_owned()), ("b", "large".repeat(100_000))];
            for (key, entry) in &entries[..1 + usize::from(transactions)] {
                let store = failing_once(&memory, call, Fault::Fails(ErrorKind::Unavailable));
                if let Err(error) = store.append(*key, entry).await {
                    assert_eq!(error.outcome(), Outcome::NotApplied, "{call:?}");
                    let sound = Store::new(memory.handle());
                    assert!(!sound.exists(*key).await.unwrap(), "{call:?}");
                    failures += 1;
                }
            }
        }
    }
    assert_eq!(failures, 5);
}

#[tokio::test]
async fn a_log_begins_over_a_tombstone_that_a_faster_clock_made() {
    let limits = TransactionLimits { items: 4, bytes: 4096 };
    // In one commit; and, as that takes too little, the head last.
    for (key, entry) in [
        ("log".to_owned(), "small".to_owned()),
        ("k".repeat(2500), "x".repeat(6000)),
    ] {
        let memory = Memory::builder().item_limit(4096).transactions(limits).build();
        let (ahead, environment) = manual();
        let (_, behind) = manual();
        ahead.advance(Duration::from_secs(60));
        let faster = Store::builder(memory.handle()).environment(environment).build();
        faster.assoc(key.as_str(), &1).await.unwrap();
        faster.dissoc(key.as_str()).await.unwrap();
        let slower = Store::builder(memory).environment(behind).options(quiet()).build();
        let mut appended = slower.append(key.as_str(), &entry).await;
        if appended
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Contended)
        {
            appended = slower.append(key.as_str(), &entry).await;
        }
        assert_eq!(appended.unwrap(), 0);
        let entries: Vec<String> = slower.log(key.as_str()).try_collect().await.unwrap();
        assert_eq!(entries, [entry]);
    }
}

/// Engines whose commits are too small for all of a new log begin it in several steps.
#[tokio::test]
async fn a_log_begins_with_a_large_key_or_entry_whatever_a_commit_takes() {
    let limits = TransactionLimits { items: 4, bytes: 4096 };
    for (key, entry) in [
        ("k".repeat(2500), "small".to_owned()),
        ("log".to_owned(), "x".repeat(3900)),
        ("k".repeat(2500), "x".repeat(3900)),
        ("k".repeat(2500), "x".repeat(20_000)),
    ] {
        let memory = Memory::builder().item_limit(4096).transactions(limits).build();
        let store = Store::builder(memory).options(quiet()).build();
        assert_eq!(store.append(key.as_str(), &entry).await.unwrap(), 0);
        assert_eq!(store.append(key.as_str(), "last").await.unwrap(), 1);
        let entries: Vec<String> = store.log(key.as_str()).try_collect().await.unwrap();
        assert_eq!(entries, [entry, "last".to_owned()]);
        store.dissoc(key.as_str()).await.unwrap();
        let report = store.collect().without_waiting().await.unwrap();
        assert_eq!((report.logs_removed, report.unreadable), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_timeout_and_says_whether_a_write_was_on_its_way() {
    let memory = Memory::builder().item_limit(4096).build();
    let second = Duration::from_secs(1);
    let hanging = |call| failing_once(&memory, call, Fault::Hangs);
    let head = Call::Read(Space::Document);
    let unavailable = [
        hanging(head).get::<Value>("k").timeout(second).await.unwrap_err(),
        hanging(head)
            .update("k", |_: Option<i64>| 1)
            .timeout(second)
            .await
            .unwrap_err(),
        hanging(Call::Write(Space::Chunk))
            .assoc("k", &"n".repeat(9000))
            .timeout(second)
            .await
            .unwrap_err(),
    ];
    for error in unavailable {
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unavailable, Outcome::NotApplied),
            "{error}"
        );
        assert_eq!(error.key(), Some("\"k\""));
    }
    let unknown = [
        hanging(Call::Write(Space::Document))
            .assoc("k", &1)
            .timeout(second)
            .await
            .unwrap_err(),
        hanging(Call::Commit)
            .assoc("k", &"n".repeat(9000))
            .timeout(second)
            .await
            .unwrap_err(),
        hanging(Call::Remove(Space::Document))
            .dissoc("k")
            .timeout(second)
            .await
            .unwrap_err(),
    ];
    for error in unknown {
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::UnknownOutcome, Outcome::Unknown),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_never_wins_says_contended() {
    let memory = Memory::new();
    let rival = Store::new(memory.handle());
    rival.assoc("k", &0).await.unwrap();
    let store = Store::new(memory);
    let update = store.update("k", move |old: Option<i64>| {
        // Somebody else is always faster.
        rival.assoc("k", &1).into_future().now_or_never().unwrap().unwrap();
        old.unwrap() + 1
    });
    let error = update.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Contended, Outcome::NotApplied)
    );
    assert!(error.is_retryable());
    assert_eq!(store.get::<i64>("k").await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_after_an_attempt_without_an_answer_stays_an_unknown_outcome() {
    let memory = Memory::new();
    Store::new(memory.handle()).append("log", &1).await.unwrap();
    let writes = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| {
        (call == Call::Write(Space::Log)).then(|| match writes.fetch_add(1, Ordering::SeqCst) {
            0 => Fault::ReplyLost,
            _ => Fault::Fails(ErrorKind::Throttled),
        })
    });
    let append = Store::new(layer).append("log", &2).timeout(Duration::from_secs(1));
    let error = append.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::UnknownOutcome, Outcome::Unknown)
    );
}

#[tokio::test]
async fn a_stream_of_bytes_ends_after_an_error() {
    let memory = Memory::builder().item_limit(4096).build();
    let mut options = quiet();
    options.chunks_in_flight = 1;
    Store::new(memory.handle()).bassoc("b", vec![7; 20_000]).await.unwrap();
    let reads = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| {
        let second = call == Call::ReadMany && reads.fetch_add(1, Ordering::SeqCst) == 1;
        second.then_some(Fault::Fails(ErrorKind::Throttled))
    });
    let store = Store::builder(layer).options(options).build();
    let mut stream = store.bget("b").await.unwrap().unwrap().stream();
    assert!(stream.try_next().await.unwrap().is_some());
    assert_eq!(stream.try_next().await.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(stream.try_next().await.unwrap(), None);
}
