//! Limits are checked before anything is sent, and what is within them works.

use bytes::Bytes;
use konserve_core::ErrorKind;
use konserve_core::backend::{Backend, Committed, Item, Mutation, Purge, Read, Space, When, Written};
use konserve_dynamodb::DynamoDb;

use crate::support::{Engine, at, check_kind, document, item, put, rev, sized};

fn of_size(number: u64, bytes: usize) -> Item {
    Item {
        meta: Bytes::from(vec![1; 1000]),
        expires: Some(konserve_core::Instant::from_millis(i64::MAX / 1000)),
        ..sized(number, bytes - 1000)
    }
}

#[tokio::test]
async fn an_item_at_the_limit_is_taken_and_one_above_is_refused_unsent() {
    let engine = Engine::start().await;
    let mut config = engine.config("table");
    config.namespace = Some("n".repeat(128));
    let counter = konserve_dynamodb::RequestCounter::new();
    let store = DynamoDb::builder(config).request_counter(counter.clone());
    let store = store.connect().await.expect("connects");
    let limit = store.capabilities().item_limit.expect("a limit");
    let longest = store.capabilities().longest_partition;
    let key = document(&"k".repeat(longest));
    // Five times, so that the lineage is at its longest.
    for number in 1..=5 {
        let when = if number == 1 {
            When::Absent
        } else {
            When::Matches(rev(number - 1))
        };
        let answer = store.write(&key, of_size(number, limit), when).await.expect("writes");
        assert!(matches!(answer, Written::Applied { .. }), "{number}");
    }
    assert_eq!(
        store.read(&key, Read::STRONG).await.expect("reads"),
        Some(of_size(5, limit))
    );
    counter.take();
    let error = check_kind(
        store.write(&key, of_size(6, limit + 1), When::Newer).await,
        ErrorKind::TooLarge,
    );
    assert_eq!(error.limit(), Some((limit as u64, limit as u64 + 1)));
    let key = document(&"k".repeat(longest + 1));
    let error = check_kind(store.write(&key, item(1), When::Newer).await, ErrorKind::TooLarge);
    assert_eq!(error.limit(), Some((longest as u64, longest as u64 + 1)));
    check_kind(store.read(&key, Read::STRONG).await, ErrorKind::TooLarge);
    check_kind(store.purge(&[Purge::Row(key)]).await, ErrorKind::TooLarge);
    check_kind(
        store.write(&document(""), item(1), When::Newer).await,
        ErrorKind::InvalidInput,
    );
    assert_eq!(counter.total(), 0);
}

#[tokio::test]
async fn a_commit_at_the_limits_is_taken_and_one_above_is_refused_unsent() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    let limits = store.capabilities().transactions.expect("limits");
    let longest = store.capabilities().longest_partition;
    let each = limits.bytes / limits.items;
    let commit = |count: usize, bytes: usize, base: u64| -> Vec<Mutation> {
        let write = |n: usize| Mutation::Write {
            at: document(&format!("{n:0longest$}")),
            item: of_size(base + n as u64, bytes),
            when: When::Newer,
        };
        (0..count).map(write).collect()
    };
    for base in [0, 1000] {
        let answer = store.commit(commit(limits.items, each, base)).await.expect("commits");
        assert!(matches!(answer, Committed::Applied), "{base}");
    }
    counter.take();
    let error = check_kind(
        store.commit(commit(limits.items + 1, 2000, 3000)).await,
        ErrorKind::TooManyItems,
    );
    assert_eq!(error.limit(), Some((100, 101)));
    let error = check_kind(
        store.commit(commit(limits.items, each + 1000, 3000)).await,
        ErrorKind::TooLarge,
    );
    assert_eq!(error.limit().expect("a limit").0, limits.bytes as u64);
    check_kind(store.commit(vec![]).await, ErrorKind::InvalidInput);
    let twice = vec![put("a", item(1), When::Newer), put("a", item(2), When::Newer)];
    check_kind(store.commit(twice).await, ErrorKind::InvalidInput);
    assert_eq!(counter.total(), 0);
}

#[tokio::test]
async fn refusals_name_every_mutation_whose_condition_fails() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    store
        .write(&document("there"), item(1), When::Newer)
        .await
        .expect("writes");
    let commit = vec![
        put("there", item(2), When::Absent),
        put("new", item(3), When::Newer),
        put("gone", item(4), When::Exists),
        Mutation::Remove {
            at: at(Space::Log, "x", 9),
            rev: rev(5),
            when: When::Matches(rev(4)),
        },
    ];
    let Committed::Refused(refusals) = store.commit(commit).await.expect("an answer") else {
        panic!("applied");
    };
    let found: Vec<_> = refusals
        .into_iter()
        .map(|r| (r.index, r.current.map(|c| c.rev())))
        .collect();
    assert_eq!(found, [(0, Some(rev(1))), (2, None), (3, None)]);
    assert_eq!(store.read(&document("new"), Read::STRONG).await.expect("reads"), None);
}
