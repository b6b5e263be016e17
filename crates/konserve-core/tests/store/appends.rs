//! Appends that come at the same time share items, and nothing else: each has its position, its error and its end.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, TryStreamExt, poll};
use konserve_core::backend::Space;
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::store::Options;
use konserve_core::{ErrorKind, Outcome, Store, Value};
use konserve_memory::Memory;

use crate::support::{competing, quiet};

const ROW: Call = Call::Write(Space::Log);

/// A store whose items of logs each suffer what the script says of them, counted from 0, once the log is there.
fn suffering(
    memory: &Memory,
    options: Options,
    script: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Arc<AtomicUsize>) {
    let rows = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&rows);
    let layer = Layer::new(memory.handle(), move |call| match call {
        ROW => script(counted.fetch_add(1, Ordering::SeqCst)),
        _ => None,
    });
    (Store::builder(layer).options(options).build(), rows)
}

fn takes(time: u64) -> Option<Fault> {
    Some(Fault::Takes(Duration::from_millis(time)))
}

async fn all(store: &Store) -> Vec<u64> {
    store.log::<u64>("log").consistent().try_collect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_appends_of_sixty_four_tasks_take_few_items() {
    let (store, rows) = suffering(&Memory::new(), quiet(), |_| takes(5));
    store.append("log", &u64::MAX).await.unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let tasks = (0..64).map(|_| {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut own = Vec::new();
            while let entry = next.fetch_add(1, Ordering::SeqCst)
                && entry < 1000
            {
                own.push((store.append("log", &entry).await.unwrap(), entry));
            }
            assert!(own.is_sorted());
            own
        })
    });
    let acknowledged = join_all(tasks).await.into_iter().map(Result::unwrap);
    let mut acknowledged: Vec<_> = acknowledged.flatten().collect();
    acknowledged.sort_unstable();
    let found: Vec<(u64, u64)> = store.log("log").from(1).with_positions().try_collect().await.unwrap();
    assert_eq!(found, acknowledged);
    assert!(found.iter().map(|entry| entry.0).eq(1..=1000));
    let told = store.stats().appended;
    let rows = rows.load(Ordering::SeqCst);
    assert_eq!((told.count, told.sum), (rows as u64 + 1, 1001));
    assert!((2..=64).contains(&told.max));
    assert!((16..=40).contains(&rows), "{rows} items");
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_one_is_on_its_way_goes_together_in_the_order_in_which_it_came() {
    let (store, rows) = suffering(&Memory::new(), quiet(), |_| takes(10));
    store.append("log", &0_u64).await.unwrap();
    let appends = (1..10_u64).map(|entry| match entry {
        5 => store.append_all("log", [5_u64, 50, 500]).into_future(),
        _ => store.append("log", &entry).into_future(),
    });
    let positions: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 8, 9, 10, 11]);
    assert_eq!(all(&store).await, [0, 1, 2, 3, 4, 5, 50, 500, 6, 7, 8, 9]);
    assert_eq!(rows.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn items_are_bounded_by_entries_and_by_bytes() {
    let memory = Memory::builder().item_limit(4096).build();
    let mut options = quiet();
    options.append_batch = 10;
    let (store, rows) = suffering(&memory, options, |_| takes(10));
    store.append("log", &Value::from("first")).await.unwrap();
    let many = (0..100).map(|entry| store.append("log", &entry).into_future());
    join_all(many).await;
    assert_eq!(rows.swap(0, Ordering::SeqCst), 10);
    // Three of these fit into an item, and one of them into none.
    let sizes = [1100, 1100, 1100, 1100, 10_000, 1100, 1, 1, 1];
    let sized = sizes.map(|size| store.append("log", &"x".repeat(size)).into_future());
    let positions: Vec<_> = join_all(sized).await.into_iter().map(Result::unwrap).collect();
    assert!(positions.into_iter().eq(101..110));
    // The large one is a commit of its own; before it are three and one, behind it the rest.
    assert_eq!(rows.load(Ordering::SeqCst), 3);
    let found: Vec<String> = store.log("log").from(101).try_collect().await.unwrap();
    assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), sizes);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_harms_nobody() {
    let (store, rows) = suffering(&Memory::new(), quiet(), |_| takes(10));
    store.append("log", &0_u64).await.unwrap();
    let mut on_its_way = Box::pin(store.append("log", &1_u64).into_future());
    assert!(poll!(on_its_way.as_mut()).is_pending());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut waiting = Box::pin(store.append("log", &2_u64).into_future());
    let mut staying = Box::pin(store.append("log", &3_u64).into_future());
    assert!(poll!(waiting.as_mut()).is_pending() && poll!(staying.as_mut()).is_pending());
    drop(on_its_way);
    drop(waiting);
    assert_eq!(staying.await.unwrap(), 2);
    assert_eq!(all(&store).await, [0, 1, 3]);
    assert_eq!(rows.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn time_is_up_for_what_waits_before_it_is_appended_and_in_doubt_for_what_is_on_its_way() {
    let (store, _) = suffering(&Memory::new(), quiet(), |_| takes(1000));
    store.append("log", &0_u64).await.unwrap();
    let short = Duration::from_millis(100);
    let first = store.append("log", &1_u64).timeout(short);
    let late = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        store.append("log", &2_u64).timeout(short).await
    };
    let patient = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        store.append("log", &3_u64).await
    };
    let (first, late, patient) = tokio::join!(first.into_future(), late, patient);
    assert_eq!(first.unwrap_err().kind(), ErrorKind::UnknownOutcome);
    let late = late.unwrap_err();
    assert_eq!(
        (late.kind(), late.outcome()),
        (ErrorKind::Unavailable, Outcome::NotApplied)
    );
    assert_eq!(patient.unwrap(), 2);
    assert_eq!(all(&store).await, [0, 1, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_those_whose_item_it_is_about_and_nobody_else() {
    for (fault, kind) in [
        (Fault::Fails(ErrorKind::Denied), ErrorKind::Denied),
        (Fault::Hangs, ErrorKind::UnknownOutcome),
    ] {
        // The first one takes its time, so that three gather; their item fails.
        let (store, _) = suffering(&Memory::new(), quiet(), move |row| match row {
            0 => takes(10),
            1 => Some(fault),
            _ => None,
        });
        store.append("log", &0_u64).await.unwrap();
        let append = |entry: u64, after: u64| {
            let store = store.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                let append = store.append("log", &entry);
                append.timeout(Duration::from_secs(1)).await
            }
        };
        let (a, b, c, d) = tokio::join!(append(1, 0), append(2, 5), append(3, 6), append(4, 20));
        assert_eq!(a.unwrap(), 1);
        for failed in [b, c] {
            assert_eq!(failed.unwrap_err().kind(), kind);
        }
        match fault {
            // What never comes back is waited for a little longer than by those who wanted it.
            Fault::Hangs => assert_eq!(d.unwrap_err().outcome(), Outcome::NotApplied),
            _ => assert_eq!(d.unwrap(), 2),
        }
        assert!(append(5, 0).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_share_an_item_are_told_where_it_is_though_its_answers_are_lost() {
    let (store, rows) = suffering(&Memory::new(), quiet(), |row| match row {
        0 => takes(10),
        1 | 2 => Some(Fault::ReplyLost),
        _ => None,
    });
    store.append("log", &0_u64).await.unwrap();
    let appends = (1..20_u64).map(|entry| {
        let store = store.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(entry / 2)).await;
            store.append("log", &entry).await
        }
    });
    let positions: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    assert!(positions.into_iter().eq(1..20));
    assert!(all(&store).await.into_iter().eq(0..20));
    assert_eq!(rows.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_for_each_when_its_own_time_is_up() {
    let memory = Memory::new();
    let is_down = Arc::new(Mutex::new(true));
    let down = Arc::clone(&is_down);
    let layer = Layer::new(memory.handle(), move |call| match call {
        Call::Read(_) if *down.lock().unwrap() => Some(Fault::Takes(Duration::from_secs(3600))),
        _ => None,
    });
    let store = Store::builder(layer).options(quiet()).build();
    let append = |entry: u64, seconds: u64| {
        let append = store.append("log", &entry);
        append.timeout(Duration::from_secs(seconds)).into_future()
    };
    let (first, second) = tokio::join!(append(1, 1), append(2, 2));
    // Nothing was on its way.
    for failed in [first, second] {
        let error = failed.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unavailable, Outcome::NotApplied)
        );
    }
    *is_down.lock().unwrap() = false;
    assert_eq!(append(3, 1).await.unwrap(), 0);
}

/// A store that has appended one entry, and whose next item comes late: another one is there first.
async fn overtaken(memory: &Memory) -> Store {
    let (store, _) = suffering(memory, quiet(), |row| {
        (row == 0).then_some(Fault::Takes(Duration::from_millis(20)))
    });
    store.append("log", &0_u64).await.unwrap();
    store
}

/// Another writer appends when that item is on its way.
async fn overtake(memory: &Memory) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    let other = competing(memory);
    assert_eq!(other.append("log", &100_u64).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_lost_its_place_goes_in_its_order_with_what_has_come_meanwhile() {
    let memory = Memory::new();
    let store = overtaken(&memory).await;
    let append = |entry: u64, after: u64| {
        let store = store.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            store.append("log", &entry).await.unwrap()
        }
    };
    let (_, first, second, third) = tokio::join!(overtake(&memory), append(1, 0), append(2, 0), append(3, 8));
    assert_eq!([first, second, third], [2, 3, 4]);
    assert_eq!(all(&store).await, [0, 100, 1, 2, 3]);
    assert_eq!(store.stats().appended.count, 2);
}

#[tokio::test(start_paused = true)]
async fn what_lost_its_place_when_its_caller_had_gone_is_not_appended() {
    let memory = Memory::new();
    let store = overtaken(&memory).await;
    let gone = store.append("log", &1_u64).timeout(Duration::from_millis(8));
    let (_, gone, stays) = tokio::join!(
        overtake(&memory),
        gone.into_future(),
        store.append("log", &2_u64).into_future()
    );
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::UnknownOutcome);
    assert_eq!(stays.unwrap(), 2);
    assert_eq!(all(&store).await, [0, 100, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_between_two_attempts_knows_that_nothing_is_appended() {
    let memory = Memory::new();
    let store = overtaken(&memory).await;
    // Two others are first, and then the store steps aside for some milliseconds.
    let others = async {
        overtake(&memory).await;
        competing(&memory).append("log", &200_u64).await.unwrap();
    };
    let gives_up = store.append("log", &1_u64).timeout(Duration::from_millis(21));
    let (_, error) = tokio::join!(others, gives_up.into_future());
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::NotApplied)
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(all(&store).await, [0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_reached_is_tried_again_for_those_who_come_later() {
    let memory = Memory::new();
    let reads = AtomicUsize::new(0);
    let layer = Layer::new(memory.handle(), move |call| match call {
        Call::Read(_) => match reads.fetch_add(1, Ordering::SeqCst) {
            0 => takes(10),
            1 => Some(Fault::Fails(ErrorKind::Unavailable)),
            _ => None,
        },
        _ => None,
    });
    memory_log(&memory).await;
    let store = Store::builder(layer).options(quiet()).build();
    let late = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        store.append("log", &2_u64).await
    };
    let (first, late) = tokio::join!(store.append("log", &1_u64).into_future(), late);
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(late.unwrap(), 1);
}

async fn memory_log(memory: &Memory) {
    let store = Store::new(memory.handle());
    assert_eq!(store.append("log", &0_u64).await.unwrap(), 0);
}

#[test]
fn appends_need_no_runtime() {
    let store = Store::new(Memory::new());
    let position = |entry: u64| {
        store
            .append("log", &entry)
            .into_future()
            .now_or_never()
            .unwrap()
            .unwrap()
    };
    assert_eq!([0, 1, 2].map(position), [0, 1, 2]);
    let wrong = store.assoc("document", &1).into_future().now_or_never().unwrap();
    wrong.unwrap();
    let error = store.append("document", &1).into_future().now_or_never().unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::WrongKind);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Two appends, the first on its way on a runtime of its own, the second waiting on another one.
struct Two {
    runtimes: [tokio::runtime::Runtime; 2],
    appends: [futures::future::BoxFuture<'static, konserve_core::Result<u64>>; 2],
}

impl Two {
    fn start(fault: Fault) -> Self {
        let (store, _) = suffering(&Memory::new(), quiet(), move |row| (row == 0).then_some(fault));
        let runtimes = [runtime(), runtime()];
        runtimes[0].block_on(store.append("log", &0_u64).into_future()).unwrap();
        let mut appends = [1, 2].map(|entry: u64| store.append("log", &entry).into_future());
        for (runtime, append) in runtimes.iter().zip(&mut appends) {
            runtime.block_on(async {
                assert!(poll!(append).is_pending());
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            });
        }
        Self { runtimes, appends }
    }
}

#[test]
fn appends_go_on_when_the_runtime_of_another_is_shut_down() {
    let Two { runtimes, appends } = Two::start(Fault::Hangs);
    let ([first, second], [hanging, waiting]) = (runtimes, appends);
    drop(first);
    assert_eq!(second.block_on(waiting).unwrap(), 1);
    let hanging = hanging.now_or_never().unwrap().unwrap_err();
    assert_eq!(hanging.kind(), ErrorKind::UnknownOutcome);
}

#[test]
fn appends_go_on_when_the_runtime_of_another_is_not_run_any_more() {
    let Two { runtimes, appends } = Two::start(Fault::Slow);
    let ([first, second], [answered, waiting]) = (runtimes, appends);
    assert_eq!(first.block_on(answered).unwrap(), 1);
    assert_eq!(second.block_on(waiting).unwrap(), 2);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_behind_an_append_that_does_not_go_on() {
    for has_gone in [false, true] {
        let (store, _) = suffering(&Memory::new(), quiet(), |row| (row == 0).then_some(Fault::Hangs));
        store.append("log", &0_u64).await.unwrap();
        let began = tokio::time::Instant::now();
        let mut hanging = tokio::spawn(store.append("log", &1_u64).into_future());
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        if has_gone {
            hanging.abort();
        }
        assert_eq!(store.append("log", &2_u64).await.unwrap(), 1);
        // Who has gone is given up soon. Who waits himself is waited for, for as long as the options say, in the queue and then
        // at the key.
        let most = Duration::from_secs(if has_gone { 2 } else { 61 });
        assert!(began.elapsed() <= most, "{:?}", began.elapsed());
        if !has_gone {
            // And it goes on waiting itself, for as long as it likes.
            assert!(
                tokio::time::timeout(Duration::from_secs(300), &mut hanging)
                    .await
                    .is_err()
            );
        }
        hanging.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_takes_longer_than_others_are_patient_is_waited_for_by_those_it_is_of() {
    for overtakes in [false, true] {
        let memory = Memory::new();
        let mut options = quiet();
        options.contention_timeout_ms = 2000;
        let (store, _) = suffering(&memory, options, |row| {
            (row == 0).then_some(Fault::Takes(Duration::from_secs(20)))
        });
        store.append("log", &0_u64).await.unwrap();
        let append = store.append("log", &1_u64).into_future();
        let other = async {
            if overtakes {
                tokio::time::sleep(Duration::from_secs(5)).await;
                competing(&memory).append("log", &100_u64).await.unwrap();
            }
        };
        let (answer, ()) = tokio::join!(append, other);
        match overtakes {
            false => assert_eq!(answer.unwrap(), 1),
            // When its place is lost after so long, others have won for too long, and nothing is in doubt.
            true => {
                let error = answer.unwrap_err();
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::Contended, Outcome::NotApplied)
                );
            }
        }
    }
}
