//! Calls that cannot be carried out: a clear error that names the key, and nothing is changed.

use futures::TryStreamExt;
use konserve_core::{ErrorKind, Path, Result, Value, kw, path};
use konserve_tests::fixture::Fixture;
use serde::Deserialize;

konserve_tests::on_both_engines!(
    steps_that_lead_nowhere_are_refused_by_place,
    calls_on_another_kind_are_refused_by_name,
    a_typed_read_of_another_shape_names_key_and_path,
    one_key_twice_is_refused_by_name,
);

/// Asserts the kind of an error, the key or path that it is about, and what else it says.
#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, key: &str, texts: &[&str]) {
    let error = result.expect_err("it is refused");
    assert_eq!((error.kind(), error.key()), (kind, Some(key)), "{error:?}");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    for part in texts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

async fn steps_that_lead_nowhere_are_refused_by_place(fixture: Fixture) {
    let store = fixture.handle().await;
    let document: Value = r#"{"list" [1 2 3], "scalar" 7, "set" #{1 2}}"#.parse().expect("EDN");
    store.assoc("k", &document).await.expect("writes");
    let before = store.get_meta("k").await.expect("reads").expect("is there").revision;
    let cases: [(Path, &[&str]); 6] = [
        (path!["k", "list", 4], &["4", "3"]),
        (path!["k", "list", -1], &["-1", "3"]),
        (path!["k", "list", "x"], &["\"list\""]),
        (path!["k", "scalar", "x"], &["\"scalar\""]),
        (path!["k", "set", 1], &["\"set\""]),
        (path!["k", "list", 0, kw!("a"), kw!("b")], &[]),
    ];
    for (path, texts) in cases {
        let key = path.to_string();
        check(store.assoc_in(path.clone(), &1).await, ErrorKind::Path, &key, texts);
        let update = store.update_in(path, |_: Option<Value>| Value::from(1)).await;
        check(update.map(|updated| updated.new), ErrorKind::Path, &key, texts);
    }
    let after = store.get_meta("k").await.expect("reads").expect("is there").revision;
    assert_eq!(after, before);
    assert_eq!(store.get::<Value>("k").await.expect("reads"), Some(document));
    // One behind the last is an addition.
    store.assoc_in(path!["k", "list", 3], &4).await.expect("appends");
    let list = store.get_in::<Vec<i64>>(path!["k", "list"]).await;
    assert_eq!(list.expect("reads"), Some(vec![1, 2, 3, 4]));
    // A path without a key is none.
    for text in ["[]", "", "[] 1"] {
        assert!(text.parse::<Path>().is_err(), "{text:?}");
    }
}

async fn calls_on_another_kind_are_refused_by_name(fixture: Fixture) {
    const WRONG: ErrorKind = ErrorKind::WrongKind;
    let store = fixture.handle().await;
    store.assoc("document", &1).await.expect("writes");
    store.bassoc("binary", b"bytes").await.expect("writes");
    store.append("log", &1).await.expect("appends");
    // Whether the handle knows of the log or not.
    for store in [store, fixture.handle().await] {
        let (document, binary, log) = ("\"document\"", "\"binary\"", "\"log\"");
        check(store.append("document", &2).await, WRONG, document, &[]);
        check(store.append("binary", &2).await, WRONG, binary, &[]);
        check(store.assoc("log", &2).await, WRONG, log, &[]);
        check(
            store.assoc_in(path!["log", "x"], &2).await,
            WRONG,
            "[\"log\" \"x\"]",
            &[],
        );
        let path = "[\"binary\" \"x\"]";
        check(store.assoc_in(path!["binary", "x"], &2).await, WRONG, path, &[]);
        let update = store.update("log", |_: Option<Value>| Value::Null).await;
        check(update.map(drop), WRONG, log, &[]);
        check(store.bassoc("log", b"2").await, WRONG, log, &[]);
        check(store.get::<Value>("binary").await, WRONG, binary, &["bget"]);
        check(store.get::<Value>("log").await, WRONG, log, &[]);
        check(store.bget("document").await.map(drop), WRONG, document, &["get"]);
        check(store.bget("log").await.map(drop), WRONG, log, &[]);
        let read = store.log::<Value>("document").try_collect::<Vec<_>>().await;
        check(read, WRONG, document, &[]);
        let folded = store.reduce_log("binary", 0, |count, _: Value| count + 1).await;
        check(folded, WRONG, binary, &[]);
        check(store.multi_get::<Value>(["document", "log"]).await, WRONG, log, &[]);
        check(store.multi_assoc([("other", 1), ("log", 2)]).await, WRONG, log, &[]);
        check(store.multi_dissoc(["document", "log"]).await, WRONG, log, &[]);

        assert_eq!(store.get::<i64>("document").await.expect("reads"), Some(1));
        let blob = store.bget("binary").await.expect("reads").expect("is there");
        assert_eq!(blob.bytes().await.expect("reads"), "bytes");
        let entries: Vec<i64> = store.log::<i64>("log").try_collect().await.expect("reads");
        assert_eq!(entries, [1]);
        assert!(!store.exists("other").await.expect("reads"));
    }
}

#[derive(Debug, Deserialize)]
struct User {
    #[allow(dead_code)] // nothing but its type matters
    name: String,
}

async fn a_typed_read_of_another_shape_names_key_and_path(fixture: Fixture) {
    const CODEC: ErrorKind = ErrorKind::Codec;
    let store = fixture.handle().await;
    let document: Value = r#"{"users" [{"name" "Ada"} {"name" 7}]}"#.parse().expect("EDN");
    store.assoc("k", &document).await.expect("writes");
    store.append("log", "text").await.expect("appends");
    check(store.get::<i64>("k").await, CODEC, "\"k\"", &[]);
    let user = store.get_in::<User>(path!["k", "users", 1]).await;
    check(user, CODEC, "[\"k\" \"users\" 1]", &["name"]);
    let users = store.get_in::<Vec<User>>(path!["k", "users"]).await;
    check(users, CODEC, "[\"k\" \"users\"]", &["1", "name"]);
    check(store.multi_get::<Vec<i64>>(["k"]).await, CODEC, "\"k\"", &[]);
    let entries = store.log::<i64>("log").try_collect::<Vec<_>>().await;
    check(entries, CODEC, "\"log\"", &["position 0"]);
    let update = store.update_in(path!["k", "users", 0, "name"], |n: Option<i64>| n.unwrap_or(0));
    check(update.await.map(drop), CODEC, "[\"k\" \"users\" 0 \"name\"]", &[]);
    assert_eq!(store.get::<Value>("k").await.expect("reads"), Some(document));
}

async fn one_key_twice_is_refused_by_name(fixture: Fixture) {
    let store = fixture.handle().await;
    let twice = store.multi_assoc([("a", 1), ("b", 2), ("a", 1)]).await;
    check(twice, ErrorKind::InvalidInput, "\"a\"", &["twice"]);
    assert_eq!(store.multi_get::<i64>(["a", "b"]).await.expect("reads").len(), 0);
    // Asking twice, or removing twice, is asking and removing.
    store.assoc("a", &1).await.expect("writes");
    assert_eq!(store.multi_get::<i64>(["a", "a"]).await.expect("reads").len(), 1);
    assert_eq!(store.multi_dissoc(["a", "a"]).await.expect("removes").len(), 1);
}
