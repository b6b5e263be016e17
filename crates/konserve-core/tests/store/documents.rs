//! Documents: reads, writes and removals by key and by path.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use konserve_core::{ErrorKind, Key, Kind, Value, kw, path};

use crate::support::{quiet, store};
use konserve_core::Store;
use konserve_memory::Memory;

#[tokio::test]
async fn a_nested_value_is_read_back_whole_and_by_path() {
    let store = store();
    store
        .assoc_in(path!["foo", kw!("bar")], &BTreeMap::from([("foo", "baz")]))
        .await
        .unwrap();
    assert_eq!(
        store.get::<Value>("foo").await.unwrap().unwrap().to_string(),
        r#"{:bar {"foo" "baz"}}"#
    );
    assert_eq!(
        store
            .get_in::<String>(path!["foo", kw!("bar"), "foo"])
            .await
            .unwrap()
            .as_deref(),
        Some("baz")
    );
    assert_eq!(store.get_in::<String>(path!["foo", "no"]).await.unwrap(), None);
    assert!(store.exists("foo").await.unwrap());
    assert!(!store.exists("no").await.unwrap());
    assert_eq!(store.get::<Value>("no").await.unwrap(), None);
}

#[tokio::test]
async fn a_stored_null_is_something() {
    let store = store();
    store.assoc("null", &Value::Null).await.unwrap();
    assert_eq!(store.get::<Value>("null").await.unwrap(), Some(Value::Null));
    assert!(store.exists("null").await.unwrap());
}

#[tokio::test]
async fn conditions_decide_and_change_nothing_when_they_fail() {
    let store = store();
    let first = store.assoc("k", &1).if_absent().await.unwrap();
    let refused = store.assoc("k", &2).if_absent().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.key(), Some("\"k\""));
    let second = store.assoc("k", &2).if_revision(first).await.unwrap();
    assert!(second > first);
    for refused in [
        store.assoc("k", &3).if_revision(first).await.unwrap_err(),
        store.assoc("absent", &3).if_revision(first).await.unwrap_err(),
        store.dissoc("k").if_revision(first).await.unwrap_err(),
        store
            .update("k", |_: Option<i64>| 3)
            .if_revision(first)
            .await
            .unwrap_err(),
        store.assoc_in(path!["k"], &3).if_revision(first).await.unwrap_err(),
        store
            .assoc_in(path!["k", "x"], &3)
            .if_revision(first)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused:?}");
    }
    assert_eq!(store.get::<i64>("k").await.unwrap(), Some(2));
    assert!(store.dissoc("k").if_revision(second).await.unwrap());
    assert!(!store.exists("k").await.unwrap());
}

#[tokio::test]
async fn if_absent_on_a_path_asks_about_the_path() {
    let store = store();
    store.assoc_in(path!["k", "a"], &1).if_absent().await.unwrap();
    store.assoc_in(path!["k", "b"], &2).if_absent().await.unwrap();
    let refused = store.assoc_in(path!["k", "a"], &3).if_absent().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(store.get_in::<i64>(path!["k", "a"]).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_removed_key_can_be_written_again() {
    let store = store();
    store.assoc("k", &1).await.unwrap();
    assert!(store.dissoc("k").await.unwrap());
    assert!(!store.dissoc("k").await.unwrap());
    store.assoc("k", &2).if_absent().await.unwrap();
    assert_eq!(store.get::<i64>("k").await.unwrap(), Some(2));
    assert!(store.dissoc("k").await.unwrap());
    assert_eq!(
        store
            .update("k", |old: Option<i64>| old.unwrap_or(0) + 1)
            .await
            .unwrap()
            .new,
        1
    );
}

#[tokio::test]
async fn parts_of_a_document_are_removed_by_path() {
    let store = store();
    store
        .assoc("k", &"{:a [1 2 3] :b #{:x}}".parse::<Value>().unwrap())
        .await
        .unwrap();
    assert!(store.dissoc_in(path!["k", kw!("a"), 1]).await.unwrap());
    assert!(store.dissoc_in(path!["k", kw!("b"), kw!("x")]).await.unwrap());
    assert!(!store.dissoc_in(path!["k", kw!("c"), 1]).await.unwrap());
    assert!(!store.dissoc_in(path!["absent", 1]).await.unwrap());
    assert_eq!(
        store.get::<Value>("k").await.unwrap().unwrap().to_string(),
        "{:a [1 3], :b #{}}"
    );
    assert!(store.dissoc_in(path!["k"]).await.unwrap());
    assert!(!store.exists("k").await.unwrap());
}

#[tokio::test]
async fn a_path_that_cannot_be_followed_is_an_error_that_says_where_and_changes_nothing() {
    let store = store();
    store
        .assoc("k", &"{:list [1 2] :scalar 1}".parse::<Value>().unwrap())
        .await
        .unwrap();
    for path in [
        path!["k", kw!("list"), 3],
        path!["k", kw!("list"), -1],
        path!["k", kw!("scalar"), "x"],
    ] {
        let error = store.assoc_in(path.clone(), &0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Path);
        assert_eq!(error.key(), Some(path.to_string().as_str()));
        assert_eq!(error.operation(), Some("assoc_in"));
    }
    assert_eq!(
        store.get::<Value>("k").await.unwrap().unwrap().to_string(),
        "{:list [1 2], :scalar 1}"
    );
}

#[tokio::test]
async fn meta_tells_kind_size_revision_and_user_fields() {
    let store = store();
    let revision = store
        .assoc("k", "text")
        .meta(BTreeMap::from([("author", "me")]))
        .await
        .unwrap();
    let meta = store.get_meta("k").await.unwrap().unwrap();
    assert_eq!(meta.key, Key::from("k"));
    assert_eq!(meta.kind, Kind::Document);
    assert_eq!(meta.revision, revision);
    assert_eq!(meta.last_write, revision.instant());
    assert_eq!(meta.size, 5);
    assert_eq!(meta.user[&Value::from("author")], Value::from("me"));
    // An update keeps the fields unless it is given some; a whole `assoc` replaces them.
    store
        .update("k", |old: Option<String>| old.unwrap() + "!")
        .await
        .unwrap();
    let (value, meta) = store.get::<String>("k").with_meta().await.unwrap().unwrap();
    assert_eq!(value, "text!");
    assert_eq!(meta.user.len(), 1);
    store
        .update("k", |old: Option<String>| old.unwrap())
        .meta(BTreeMap::from([("a", 1), ("b", 2)]))
        .await
        .unwrap();
    assert_eq!(store.get_meta("k").await.unwrap().unwrap().user.len(), 2);
    store.assoc("k", "text").await.unwrap();
    assert!(store.get_meta("k").await.unwrap().unwrap().user.is_empty());
    assert_eq!(
        store.assoc("k", "text").meta("no map").await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(store.get_meta("absent").await.unwrap(), None);
}

#[tokio::test]
async fn every_call_on_the_wrong_kind_says_so_and_changes_nothing() {
    let store = store();
    store.assoc("document", &1).await.unwrap();
    store.bassoc("binary", b"bytes").await.unwrap();
    store.append("log", &1).await.unwrap();
    let wrong = [
        store.append("document", &2).await.map(drop),
        store.append("binary", &2).await.map(drop),
        store.assoc("log", &2).await.map(drop),
        store.assoc("log", &2).if_absent().await.map(drop),
        store.assoc_in(path!["log", "x"], &2).await.map(drop),
        store.assoc_in(path!["binary", "x"], &2).await.map(drop),
        store.update("binary", |_: Option<Value>| Value::Null).await.map(drop),
        store.bassoc("log", b"").await.map(drop),
        store.get::<Value>("binary").await.map(drop),
        store.get::<Value>("log").await.map(drop),
        store.bget("document").await.map(drop),
        store.bget("log").await.map(drop),
        store.log::<Value>("document").try_collect::<Vec<_>>().await.map(drop),
        store.log::<Value>("binary").try_collect::<Vec<_>>().await.map(drop),
        store.multi_assoc([("other", 1), ("log", 2)]).await.map(drop),
        store.multi_dissoc(["document", "log"]).await.map(drop),
        store.multi_get::<Value>(["document", "log"]).await.map(drop),
    ];
    for (number, result) in wrong.into_iter().enumerate() {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::WrongKind, "call {number}");
    }
    assert_eq!(store.get::<i64>("document").await.unwrap(), Some(1));
    assert_eq!(
        store.bget("binary").await.unwrap().unwrap().bytes().await.unwrap(),
        "bytes"
    );
    assert_eq!(store.log::<i64>("log").try_collect::<Vec<_>>().await.unwrap(), [1]);
    assert!(!store.exists("other").await.unwrap());
    // A document over a binary, and a binary over a document, replace.
    store.assoc("binary", &2).await.unwrap();
    store.bassoc("document", b"2").await.unwrap();
}

#[tokio::test]
async fn the_revision_of_a_log_fits_no_conditional_write() {
    let store = store();
    store.append("log", &1).await.unwrap();
    let revision = store.get_meta("log").await.unwrap().unwrap().revision;
    for error in [
        store.assoc("log", &2).if_revision(revision).await.unwrap_err(),
        store.dissoc("log").if_revision(revision).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::WrongKind);
    }
    assert_eq!(store.log::<i64>("log").try_collect::<Vec<_>>().await.unwrap(), [1]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_the_type_names_key_and_path() {
    let store = store();
    store
        .assoc("k", &"{:a {:b \"text\"}}".parse::<Value>().unwrap())
        .await
        .unwrap();
    let error = store.get_in::<i64>(path!["k", kw!("a"), kw!("b")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(error.key(), Some(r#"["k" :a :b]"#));
    assert_eq!(store.get::<i64>("k").await.unwrap_err().kind(), ErrorKind::Codec);
}

#[tokio::test]
async fn keys_of_any_value_and_any_length_are_kept_apart() {
    let store = Store::builder(Memory::builder().longest_partition(256).build())
        .options(quiet())
        .build();
    let long = "x".repeat(5000);
    let keys: Vec<Key> = vec![
        "1".into(),
        1.into(),
        Value::Float(1.0).into(),
        kw!("1").into(),
        "[1]".parse().unwrap(),
        "".into(),
        Value::Null.into(),
        long.clone().into(),
        format!("{long}y").into(),
    ];
    for (number, key) in keys.iter().enumerate() {
        store.assoc(key, &number).if_absent().await.unwrap();
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(store.get::<usize>(key).await.unwrap(), Some(number), "{key}");
    }
    let mut listed: Vec<Key> = store.keys().map_ok(|meta| meta.key).try_collect().await.unwrap();
    let mut expected = keys;
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn keys_are_filtered_and_a_listing_can_be_resumed() {
    let store = store();
    for number in 0..50 {
        store.assoc(format!("user:{number}"), &number).await.unwrap();
    }
    store.bassoc("user:file", b"").await.unwrap();
    store.append("user:log", &1).await.unwrap();
    store.assoc(7, &7).await.unwrap();
    store.dissoc("user:0").await.unwrap();
    let count = |keys: konserve_core::store::Keys| async { keys.try_collect::<Vec<_>>().await.unwrap().len() };
    assert_eq!(count(store.keys()).await, 52);
    assert_eq!(count(store.keys().prefix("user:")).await, 51);
    assert_eq!(count(store.keys().kind(Kind::Binary)).await, 1);
    assert_eq!(count(store.keys().kind(Kind::Log)).await, 1);

    let mut seen = Vec::new();
    let mut position: Option<String> = None;
    loop {
        let mut keys = store.keys();
        if let Some(position) = position {
            keys = keys.resume(position);
        }
        let Some(meta) = keys.try_next().await.unwrap() else {
            break;
        };
        seen.push(meta.key);
        position = keys.position();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 52);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = store();
    store.assoc("k", &1).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.get::<i64>("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.assoc("k", &1).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(store.keys().try_next().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        store.log::<i64>("k").try_next().await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn requests_can_be_spawned() {
    let store = store();
    let text = String::from("borrowed");
    let request = store.assoc("k", text.as_str());
    drop(text);
    tokio::spawn(request.into_future()).await.unwrap().unwrap();
    assert_eq!(store.get::<String>("k").await.unwrap().as_deref(), Some("borrowed"));
}
