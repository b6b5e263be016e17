//! How many requests each method takes, and that answers in several parts are complete.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use konserve_core::backend::{
    Backend, Committed, Listing, Mutation, Occupant, Order, Partition, Purge, Read, RowQuery, Space, When,
};
use konserve_dynamodb::{DynamoDb, RequestCounter};

use crate::support::{Engine, at, document, item, put, rev, sized};

fn counted(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

async fn write_rows(store: &DynamoDb, rows: std::ops::Range<u64>, bytes: usize) {
    for row in rows {
        let at = at(Space::Log, "log", row);
        store.write(&at, sized(row, bytes), When::Absent).await.expect("writes");
    }
}

#[tokio::test]
async fn every_method_on_small_items_takes_one_request() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    let key = document("a");

    store.write(&key, item(1), When::Newer).await.expect("writes");
    assert_eq!(counter.take(), counted(&[("UpdateItem", 1)]));
    store.write(&key, item(1), When::Absent).await.expect("is refused");
    assert_eq!(counter.take(), counted(&[("UpdateItem", 1)]));
    store.read(&key, Read::EVENTUAL).await.expect("reads");
    assert_eq!(counter.take(), counted(&[("GetItem", 1)]));
    store
        .read_many(&[key.clone(), document("b")], Read::STRONG)
        .await
        .expect("reads");
    assert_eq!(counter.take(), counted(&[("BatchGetItem", 1)]));
    store.read_many(&[], Read::STRONG).await.expect("reads");
    assert_eq!(counter.take(), counted(&[]));
    let commit = (2..102).map(|n| put(&format!("{n}"), item(n), When::Newer)).collect();
    assert_eq!(store.commit(commit).await.expect("commits"), Committed::Applied);
    assert_eq!(counter.take(), counted(&[("TransactWriteItems", 1)]));
    let all = RowQuery::all(Space::Document, Partition::new("a"), Read::STRONG);
    assert_eq!(store.rows(all).try_collect::<Vec<_>>().await.expect("reads").len(), 1);
    assert_eq!(counter.take(), counted(&[("Query", 1)]));
    let listed = store.list(Space::Document, Listing::all(Read::STRONG));
    assert_eq!(listed.try_collect::<Vec<_>>().await.expect("lists").len(), 101);
    assert_eq!(counter.take(), counted(&[("Scan", 1)]));
    store.remove(&key, rev(3), When::Exists).await.expect("removes");
    assert_eq!(counter.take(), counted(&[("UpdateItem", 1)]));
    store.purge(&[Purge::Tombstone(key, rev(3))]).await.expect("purges");
    assert_eq!(counter.take(), counted(&[("DeleteItem", 1)]));
    let rows: Vec<_> = (0..26).map(|row| Purge::Row(at(Space::Log, "log", row))).collect();
    store.purge(&rows).await.expect("purges");
    assert_eq!(counter.take(), counted(&[("BatchWriteItem", 2)]));
}

#[tokio::test]
async fn capacity_is_that_of_one_request_by_hand() {
    let engine = Engine::start().await;
    let (store, script) = engine.scripted().await;
    let key = document("a");
    script.take_capacity();
    let check = |what: &str, units: f64| assert_eq!(script.take_capacity(), units, "{what}");

    store.write(&key, item(1), When::Newer).await.expect("writes");
    check("write of up to 1 KB", 1.0);
    store.write(&key, sized(2, 10_000), When::Newer).await.expect("writes");
    check("write of 10 KB", 10.0);
    store.write(&key, item(3), When::Matches(rev(2))).await.expect("writes");
    check("write over 10 KB", 10.0);
    store.read(&key, Read::EVENTUAL).await.expect("reads");
    check("eventual read of up to 4 KB", 0.5);
    store.read(&key, Read::STRONG.without_body()).await.expect("reads");
    check("strong read of up to 4 KB", 1.0);
    let commit = vec![put("b", item(4), When::Newer), put("c", item(5), When::Newer)];
    store.commit(commit).await.expect("commits");
    check("commit of two", 4.0);
    store
        .read_many(&[key.clone(), document("b"), document("x")], Read::STRONG)
        .await
        .expect("reads");
    check("strong read of three, one of them absent", 3.0);
    store.remove(&key, rev(6), When::Exists).await.expect("removes");
    check("removal", 1.0);
}

#[tokio::test]
async fn a_batch_above_16_mb_and_above_100_keys_is_complete_and_in_order() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    write_rows(&store, 0..44, 395_000).await;
    counter.take();
    // Absent ones, repeated ones, and more than a hundred.
    let rows: Vec<u64> = (0..44).chain([7, 7, 43]).chain(1000..1060).collect();
    let addresses: Vec<_> = rows.iter().map(|row| at(Space::Log, "log", *row)).collect();
    let items = store.read_many(&addresses, Read::STRONG).await.expect("reads");
    assert_eq!(items.len(), rows.len());
    for (row, item) in rows.iter().zip(items) {
        assert_eq!(item, (*row < 44).then(|| sized(*row, 395_000)), "row {row}");
    }
    // 17 MB in two groups of 104 different keys: at most one more round where a group is above 16 MB.
    assert!((2..=3).contains(&counter.count("BatchGetItem")), "{:?}", counter.take());
}

#[tokio::test]
async fn all_pages_of_a_partition_come_in_order_within_range_and_limit() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    write_rows(&store, 0..30, 100_000).await;
    let last = at(Space::Log, "log", u64::MAX);
    store.write(&last, item(1), When::Absent).await.expect("writes");
    for row in 10..20 {
        let removed = at(Space::Log, "log", row);
        store.remove(&removed, rev(100), When::Exists).await.expect("removes");
    }
    let all = || RowQuery::all(Space::Log, Partition::new("log"), Read::STRONG);
    let there: Vec<u64> = (0..10).chain(20..30).chain([u64::MAX]).collect();
    let descending: Vec<u64> = there.iter().rev().copied().collect();
    let cases: [(RowQuery, Vec<u64>, u64); 9] = [
        (all(), there.clone(), 3),
        (
            RowQuery {
                order: Order::Descending,
                ..all()
            },
            descending.clone(),
            3,
        ),
        (RowQuery { range: 5..=22, ..all() }, vec![5, 6, 7, 8, 9, 20, 21, 22], 1),
        // Over ten tombstones, which count towards DynamoDB's limit.
        (
            RowQuery {
                range: 9..=25,
                limit: Some(3),
                ..all()
            },
            vec![9, 20, 21],
            6,
        ),
        (
            RowQuery {
                limit: Some(2),
                order: Order::Descending,
                ..all()
            },
            descending[..2].to_vec(),
            1,
        ),
        (
            RowQuery {
                limit: Some(0),
                ..all()
            },
            vec![],
            0,
        ),
        (
            RowQuery {
                range: u64::MAX..=u64::MAX,
                ..all()
            },
            vec![u64::MAX],
            1,
        ),
        #[allow(clippy::reversed_empty_ranges)] // an empty range has no rows
        (RowQuery { range: 7..=6, ..all() }, vec![], 0),
        (
            RowQuery {
                partition: Partition::new("lo"),
                ..all()
            },
            vec![],
            1,
        ),
    ];
    for (query, rows, requests) in cases {
        counter.take();
        let found: Vec<_> = store.rows(query.clone()).try_collect().await.expect("reads");
        let found: Vec<u64> = found.into_iter().map(|(row, _)| row).collect();
        assert_eq!(found, rows, "{query:?}");
        assert!(counter.count("Query") <= requests, "{query:?}: {:?}", counter.take());
    }
    for row in 100..400 {
        let removed = at(Space::Log, "tombstones", row);
        store.remove(&removed, rev(100), When::Newer).await.expect("removes");
    }
    let first = at(Space::Log, "tombstones", 7);
    store.write(&first, item(1), When::Newer).await.expect("writes");
    counter.take();
    let partition = Partition::new("tombstones");
    let (order, limit) = (Order::Descending, Some(1));
    let query = RowQuery {
        partition,
        order,
        limit,
        ..all()
    };
    let found: Vec<_> = store.rows(query).try_collect().await.expect("reads");
    assert_eq!(found.len(), 1);
    assert_eq!(counter.count("Query"), 5, "pages grow over tombstones");
    let how = Read::STRONG.without_body();
    let found: Vec<_> = store
        .rows(RowQuery { how, ..all() })
        .try_collect()
        .await
        .expect("reads");
    assert!(
        found
            .iter()
            .all(|(_, item)| item.body.is_none() && !item.meta.is_empty())
    );
}

#[tokio::test]
async fn all_pages_of_a_space_come_once_and_go_on_behind_an_address() {
    let engine = Engine::start().await;
    let (store, counter) = engine.store().await;
    write_rows(&store, 0..35, 100_000).await;
    let removed = at(Space::Log, "log", 3);
    store.remove(&removed, rev(100), When::Exists).await.expect("removes");
    store.write(&document("d"), item(1), When::Newer).await.expect("writes");
    counter.take();
    let how = Read::STRONG.without_body();
    let rows = |listed: Vec<(konserve_core::backend::Address, Occupant)>| {
        let mut rows: Vec<u64> = listed.iter().map(|(at, _)| at.row).collect();
        rows.sort();
        rows
    };
    let listed: Vec<_> = store
        .list(Space::Log, Listing::all(how))
        .try_collect()
        .await
        .expect("lists");
    assert_eq!(rows(listed), (0..35).filter(|row| *row != 3).collect::<Vec<_>>());
    assert_eq!(counter.count("Scan"), 4, "3.5 MB");
    let tombstones = Listing {
        tombstones: true,
        ..Listing::all(how)
    };
    let listed: Vec<_> = store.list(Space::Log, tombstones).try_collect().await.expect("lists");
    let tombstone = listed.iter().find(|(at, _)| at.row == 3).expect("the tombstone");
    assert_eq!(tombstone.1, Occupant::Tombstone(rev(100)));
    let (before, behind) = listed.split_at(20);
    let gone = before[19].0.clone();
    store.purge(&[Purge::Row(gone.clone())]).await.expect("purges");
    let after = Listing {
        tombstones: true,
        after: Some(gone),
        ..Listing::all(how)
    };
    let rest: Vec<_> = store.list(Space::Log, after).try_collect().await.expect("lists");
    assert_eq!(rest, behind);
}

#[tokio::test]
async fn spaces_and_namespaces_of_one_table_do_not_mix() {
    let engine = Engine::start().await;
    let counter = RequestCounter::new();
    let mut stores = Vec::new();
    for namespace in [None, Some("d"), Some("dd"), Some("d.d")] {
        let mut config = engine.config("table");
        config.namespace = namespace.map(str::to_owned);
        let store = DynamoDb::builder(config).request_counter(counter.clone());
        stores.push(store.connect().await.expect("connects"));
    }
    for (index, store) in stores.iter().enumerate() {
        for (number, space) in Space::ALL.into_iter().enumerate() {
            let number = (index * 10 + number) as u64;
            let at = at(space, "d/d/ü", number);
            store.write(&at, item(number), When::Always).await.expect("writes");
        }
    }
    for (index, store) in stores.iter().enumerate() {
        for (number, space) in Space::ALL.into_iter().enumerate() {
            let number = (index * 10 + number) as u64;
            let listed: Vec<_> = store
                .list(space, Listing::all(Read::STRONG))
                .try_collect()
                .await
                .expect("lists");
            let expected = (at(space, "d/d/ü", number), Occupant::Item(item(number)));
            assert_eq!(listed, [expected], "store {index}, {space:?}");
        }
    }
}

#[tokio::test]
async fn a_closed_handle_answers_closed_and_other_handles_go_on() {
    let engine = Engine::start().await;
    let (store, _) = engine.store().await;
    let other = DynamoDb::connect(engine.config("table")).await.expect("connects");
    write_rows(&store, 0..30, 100_000).await;
    let mut rows = store.rows(RowQuery::all(Space::Log, Partition::new("log"), Read::STRONG));
    rows.try_next().await.expect("reads").expect("a row");
    store.close().await.expect("closes");
    store.close().await.expect("closes again");
    let closed = konserve_core::ErrorKind::Closed;
    crate::support::check_kind(rows.try_collect::<Vec<_>>().await, closed);
    crate::support::check_kind(store.read(&document("a"), Read::STRONG).await, closed);
    crate::support::check_kind(store.commit(vec![put("a", item(1), When::Newer)]).await, closed);
    let check = Mutation::Check {
        at: document("a"),
        when: When::Absent,
    };
    assert_eq!(other.commit(vec![check]).await.expect("commits"), Committed::Applied);
}
