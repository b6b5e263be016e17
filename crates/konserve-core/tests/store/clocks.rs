//! Clocks that disagree: revisions of a key only grow, whatever the machines' clocks say.

use std::time::Duration;

use futures::TryStreamExt;
use konserve_core::{ErrorKind, Store};
use konserve_memory::Memory;

use crate::support::{manual, quiet};

/// Two stores over one memory, of which the first is ahead by this much.
fn ahead_by(time: Duration) -> (Store, Store) {
    let memory = Memory::new();
    let (fast_clock, fast) = manual();
    let (_, slow) = manual();
    fast_clock.advance(time);
    let store = |environment| {
        Store::builder(memory.handle())
            .environment(environment)
            .options(quiet())
            .build()
    };
    (store(fast), store(slow))
}

#[tokio::test]
async fn a_clock_that_is_behind_advances_past_what_is_stored_and_goes_on() {
    let (fast, slow) = ahead_by(Duration::from_secs(4 * 60));
    let first = fast.assoc("k", &1).await.unwrap();
    let second = slow.assoc("k", &2).await.unwrap();
    assert!(second > first);
    assert!(second.instant() >= first.instant());
    for key in ["a", "b", "c", "d", "e"] {
        fast.assoc(key, &1).await.unwrap();
    }
    // Each way of writing, and of removing, with a store that has seen nothing yet.
    let fresh = || slow.clone();
    assert_eq!(
        fresh()
            .update("a", |old: Option<i64>| old.unwrap() + 1)
            .await
            .unwrap()
            .new,
        2
    );
    assert!(fresh().dissoc("b").await.unwrap());
    fresh().multi_assoc([("c", 2)]).await.unwrap();
    assert!(
        fresh()
            .multi_dissoc(["d"])
            .await
            .unwrap()
            .into_values()
            .all(|existed| existed)
    );
    fresh().bassoc("e", b"2").await.unwrap();
    assert_eq!(fast.get::<i64>("c").await.unwrap(), Some(2));
    assert!(!fast.exists("d").await.unwrap());
}

#[tokio::test]
async fn a_key_that_was_removed_by_a_clock_ahead_can_be_written_again() {
    for number in 0..5 {
        let (fast, slow) = ahead_by(Duration::from_secs(4 * 60));
        fast.assoc("k", &1).await.unwrap();
        assert!(fast.dissoc("k").await.unwrap());
        match number {
            0 => slow.assoc("k", &2).if_absent().await.map(drop).unwrap(),
            1 => slow
                .update("k", |old: Option<i64>| old.map_or(2, |_| 0))
                .await
                .map(drop)
                .unwrap(),
            2 => slow.multi_assoc([("k", 2)]).await.map(drop).unwrap(),
            3 => slow.assoc("k", &2).await.map(drop).unwrap(),
            _ => {
                slow.append("k", &2).await.unwrap();
                assert_eq!(slow.log::<i64>("k").try_collect::<Vec<_>>().await.unwrap(), [2]);
                assert!(fast.dissoc("k").await.unwrap());
                continue;
            }
        }
        assert_eq!(fast.get::<i64>("k").await.unwrap(), Some(2));
    }
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_reported_and_not_followed() {
    let (fast, slow) = ahead_by(Duration::from_secs(6 * 60));
    fast.assoc("k", &1).await.unwrap();
    for error in [
        slow.assoc("k", &2).await.unwrap_err(),
        slow.update("k", |_: Option<i64>| 2).await.unwrap_err(),
        slow.dissoc("k").await.unwrap_err(),
        slow.multi_assoc([("k", 2)]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.limit(), Some((5 * 60, 6 * 60)));
    }
    assert_eq!(slow.get::<i64>("k").await.unwrap(), Some(1));
    slow.assoc("other", &2).await.unwrap();
}
