//! The conditions in DynamoDB's language decide as `When` says.

use std::sync::Arc;

use konserve_core::backend::{Backend, Committed, Item, Mutation, Occupant, Previous, Purge, Read, When, Written};
use konserve_core::{Instant, Rev};
use konserve_dynamodb::{DynamoDb, RequestCounter};

use crate::support::{Engine, ManualClock, check_kind, document, environment, item, rev};

/// What a condition meets: vacant, tombstone, item, pinned item, expired, pinned and expired.
const OCCUPANTS: [&str; 6] = ["vacant", "tombstone", "item", "pinned", "expired", "pinned expired"];

async fn occupy(store: &DynamoDb, key: &str, what: &str) {
    let at = document(key);
    let mut new = item(10);
    new.pinned = what.contains("pinned");
    if what.contains("expired") {
        new.expires = Some(Instant::from_millis(50_000));
    }
    match what {
        "vacant" => {}
        "tombstone" => drop(store.remove(&at, rev(10), When::Newer).await.expect("removes")),
        _ => drop(store.write(&at, new, When::Newer).await.expect("writes")),
    }
}

fn occupant(what: &str) -> Option<Occupant> {
    match what {
        "vacant" => None,
        "item" | "pinned" => Some(Occupant::Item(Item {
            pinned: what == "pinned",
            ..item(10)
        })),
        _ => Some(Occupant::Tombstone(rev(10))),
    }
}

fn all_conditions() -> Vec<When> {
    let revs = [rev(10), rev(11), rev(5)].map(When::Matches);
    [When::Always, When::Absent, When::Exists, When::Newer]
        .into_iter()
        .chain(revs)
        .collect()
}

fn store_at_60_seconds(engine: &Engine) -> konserve_dynamodb::DynamoDbBuilder {
    let clock = Arc::new(ManualClock::default());
    clock.set(60);
    DynamoDb::builder(engine.config("table")).environment(environment(&clock))
}

#[tokio::test]
async fn every_condition_over_every_occupant_decides_and_answers_as_documented() {
    let engine = Engine::start().await;
    let store = store_at_60_seconds(&engine).connect().await.expect("connects");
    let mut number = 0;
    for what in OCCUPANTS {
        for when in all_conditions() {
            for mine in [rev(9), rev(12)] {
                for removal in [false, true] {
                    number += 1;
                    let key = format!("{number}");
                    occupy(&store, &key, what).await;
                    let answer = match removal {
                        true => store.remove(&document(&key), mine, when).await,
                        false => {
                            let new = Item { rev: mine, ..item(12) };
                            store.write(&document(&key), new, when).await
                        }
                    };
                    let there = occupant(what);
                    let expected = match when.admits(mine, there.as_ref()) {
                        true => Written::Applied {
                            previous: Previous::Known(there),
                        },
                        false => Written::Refused { current: there },
                    };
                    let case = format!("{what}, {when:?}, mine {mine:?}, removal {removal}");
                    assert_eq!(answer.expect("an answer"), expected, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn checks_hold_as_documented_and_change_nothing() {
    let engine = Engine::start().await;
    let store = store_at_60_seconds(&engine).connect().await.expect("connects");
    for (index, what) in OCCUPANTS.into_iter().enumerate() {
        occupy(&store, what, what).await;
        for (number, when) in all_conditions().into_iter().enumerate() {
            let other = format!("other {index} {number}");
            let at = document(what);
            let there = occupant(what);
            let Some(holds) = when.holds(there.as_ref()) else {
                let commit = store.commit(vec![Mutation::Check { at, when }]).await;
                check_kind(commit, konserve_core::ErrorKind::InvalidInput);
                continue;
            };
            let write = crate::support::put(&other, item(12), When::Newer);
            let commit = store
                .commit(vec![write, Mutation::Check { at, when }])
                .await
                .expect("an answer");
            match (holds, commit) {
                (true, Committed::Applied) => {}
                (false, Committed::Refused(refusals)) => {
                    assert_eq!(refusals.len(), 1);
                    assert_eq!(
                        (refusals[0].index, &refusals[0].current),
                        (1, &there),
                        "{what}, {when:?}"
                    );
                }
                (_, other) => panic!("{what}, {when:?}: {other:?}"),
            }
            let written = store.read(&document(&other), Read::STRONG).await.expect("reads");
            assert_eq!(written.is_some(), holds, "{what}, {when:?}");
        }
    }
}

#[tokio::test]
async fn a_write_a_removal_and_a_commit_that_arrive_again_are_applied_and_change_nothing() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    let key = document("a");
    // Whether there was something is still told.
    let over = |existed| Written::Applied {
        previous: Previous::Existed(existed),
    };
    for when in all_conditions() {
        let at = document(&format!("{when:?}"));
        store.write(&at, item(10), When::Newer).await.expect("writes");
        let again = store.write(&at, item(10), when).await.expect("repeats");
        assert_eq!(again, over(false), "{when:?}");
        assert_eq!(store.read(&at, Read::STRONG).await.expect("reads"), Some(item(10)));
        store.remove(&at, rev(11), When::Newer).await.expect("removes");
        let again = store.remove(&at, rev(11), when).await.expect("repeats");
        assert_eq!(again, over(true), "{when:?}");
    }
    store.write(&key, item(20), When::Newer).await.expect("writes");
    let commit = || {
        let at = document("b");
        let when = When::Absent;
        vec![
            crate::support::put("a", item(21), When::Matches(rev(20))),
            Mutation::Write {
                at,
                item: item(22),
                when,
            },
        ]
    };
    assert_eq!(store.commit(commit()).await.expect("commits"), Committed::Applied);
    // Another token, as after the ten minutes for which DynamoDB remembers one.
    let mut again = commit();
    again.push(crate::support::put("c", item(23), When::Newer));
    assert_eq!(store.commit(again).await.expect("repeats"), Committed::Applied);
    assert_eq!(store.read(&document("c"), Read::STRONG).await.expect("reads"), None);
}

#[tokio::test]
async fn nothing_of_the_predecessor_survives_but_its_lineage() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    let client = engine.client(Default::default());
    let full = Item {
        pinned: true,
        expires: Some(Instant::from_nanos(4_000_000_000_123_456_789).expect("an instant")),
        ..item(1)
    };
    let bare = Item { body: None, ..item(2) };
    let key = document("a");
    // The latest first, and nothing before them.
    let lineage = |revs: &[Rev]| -> [Vec<u8>; 12] {
        std::array::from_fn(|place| revs.get(place).map_or(vec![], |rev| rev.to_bytes().to_vec()))
    };
    let stored = || async {
        let get = client.get_item().table_name("table").consistent_read(true);
        let key = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.into());
        let zero = aws_sdk_dynamodb::types::AttributeValue::N("0".into());
        let item = get
            .key("pk", key("/d/a"))
            .key("sk", zero)
            .send()
            .await
            .expect("gets")
            .item;
        let item = item.expect("an item");
        let before = |place| item[&format!("r{}", place + 1)].as_b().expect("binary");
        let revs: [Vec<u8>; 12] = std::array::from_fn(|place| before(place).as_ref().to_vec());
        let is_lineage = |name: &str| name.starts_with(['r', 'c', 'x']) && name != "c" && name != "x";
        let mut names: Vec<String> = item.keys().filter(|name| !is_lineage(name)).cloned().collect();
        names.sort();
        // Of what was an item, and what was to expire.
        let facts = |kind: char| (1..13).filter(|place| item[&format!("{kind}{place}")].is_n()).count();
        (names.join(" "), revs, facts('c'), facts('x'))
    };
    store.write(&key, full.clone(), When::Newer).await.expect("writes");
    assert_eq!(store.read(&key, Read::STRONG).await.expect("reads"), Some(full));
    assert_eq!(stored().await, ("b c l m p pk sk t x".into(), lineage(&[]), 0, 0));
    store
        .write(&key, bare.clone(), When::Matches(rev(1)))
        .await
        .expect("writes");
    assert_eq!(store.read(&key, Read::STRONG).await.expect("reads"), Some(bare));
    assert_eq!(stored().await, ("c l m pk sk".into(), lineage(&[rev(1)]), 1, 1));
    store.remove(&key, rev(3), When::Exists).await.expect("removes");
    assert_eq!(stored().await, ("pk sk t".into(), lineage(&[rev(2), rev(1)]), 2, 1));
    for number in 4..15 {
        let write = crate::support::put("a", item(number), When::Newer);
        assert_eq!(store.commit(vec![write]).await.expect("commits"), Committed::Applied);
    }
    let revs = [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map(rev);
    assert_eq!(stored().await, ("b c l m pk sk".into(), lineage(&revs), 11, 0));
}

#[tokio::test]
async fn a_tombstone_is_purged_only_while_it_is_the_same() {
    let engine = Engine::start().await;
    let counter = RequestCounter::new();
    let store = store_at_60_seconds(&engine).request_counter(counter.clone());
    let store = store.connect().await.expect("connects");
    for what in OCCUPANTS {
        for of in [rev(10), rev(9)] {
            let key = format!("{what} {of:?}");
            occupy(&store, &key, what).await;
            let purge = Purge::Tombstone(document(&key), of);
            store.purge(&[purge.clone(), purge]).await.expect("purges");
            // Only over a vacant address is a lower revision absent.
            let low = store
                .write(&document(&key), item(1), When::Absent)
                .await
                .expect("writes");
            let is_vacant = matches!(low, Written::Applied { .. });
            let is_dead = !matches!(what, "item" | "pinned");
            assert_eq!(is_vacant, what == "vacant" || is_dead && of == rev(10), "{key}");
        }
    }
    occupy(&store, "row", "pinned").await;
    store.purge(&[Purge::Row(document("row"))]).await.expect("purges");
    assert_eq!(store.read(&document("row"), Read::STRONG).await.expect("reads"), None);
    assert_eq!(counter.count("DeleteItem"), 12, "each once, however often it was named");
}
