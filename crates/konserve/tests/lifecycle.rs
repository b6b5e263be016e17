//! The same program by configuration alone, on every engine: created, connected, used, closed, deleted.

mod support;

use futures::TryStreamExt;
use konserve::{ErrorKind, Store, Value, kw, path};

use self::support::{fresh_configs, fresh_urls};

#[tokio::test]
async fn a_store_is_created_found_opened_and_deleted() {
    for config in fresh_configs() {
        let backend = config.engine.backend();
        assert!(!konserve::exists(&config).await.expect(backend), "{backend}");
        let error = konserve::delete(&config).await.expect_err("nothing to delete");
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::NotFound, Some("delete")),
            "{backend}"
        );

        let created = konserve::create(&config).await.expect(backend);
        assert!(konserve::exists(&config).await.expect(backend), "{backend}");
        let error = konserve::create(&config).await.expect_err("there is one");
        assert_eq!(
            (error.kind(), error.operation()),
            (ErrorKind::AlreadyExists, Some("create")),
            "{backend}"
        );

        created.assoc("a", "b").await.expect(backend);
        let opened = konserve::connect(&config).await.expect(backend);
        let found = opened.get::<String>("a").consistent().await.expect(backend);
        assert_eq!(found.as_deref(), Some("b"), "{backend}");

        konserve::delete(&config).await.expect(backend);
        assert!(!konserve::exists(&config).await.expect(backend), "{backend}");
    }
}

#[tokio::test]
async fn connecting_makes_a_store_and_every_kind_of_value_goes_in_and_out() {
    for url in fresh_urls() {
        let store = konserve::connect(&url).await.expect("a store");
        let answers = use_it(&store).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(answers, "[{:bar 43} [1 2] 3 \"banana\" 3]", "{url}");
        konserve::delete(url).await.expect("gone");
    }
}

/// Uses the store and says what it answered.
async fn use_it(store: &Store) -> konserve::Result<String> {
    store.assoc_in(path!["foo", kw!("bar")], &42).await?;
    let updated = store.update_in(path!["foo", kw!("bar")], |n: Option<i64>| n.unwrap_or(0) + 1);
    assert_eq!(updated.await?.new, 43);
    store.append_all("log", [1, 2]).await?;
    store.bassoc("blob", "banana").await?;
    let blob = store.bget("blob").consistent().await?.expect("a binary");
    let answers = vec![
        store.get::<Value>("foo").consistent().await?.expect("a document"),
        Value::from(store.log::<Value>("log").consistent().try_collect::<Vec<_>>().await?),
        Value::from(store.reduce_log("log", 0, |sum, n: i64| sum + n).consistent().await?),
        Value::from(String::from_utf8_lossy(&blob.bytes().await?).into_owned()),
        Value::from(store.keys().consistent().try_collect::<Vec<_>>().await?.len() as u64),
    ];
    Ok(Value::from(answers).to_string())
}

#[tokio::test]
async fn options_of_the_configuration_are_those_of_the_store() {
    for url in fresh_urls() {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}store.consistent_read=true&store.chunk_size=1000");
        let store = konserve::connect(&url).await.expect("a store");
        assert!(store.options().consistent_read);
        assert_eq!(store.options().chunk_size, 1000);
        konserve::delete(&url).await.expect("gone");
    }
}

#[tokio::test]
async fn a_closed_store_answers_closed_and_others_go_on() {
    for config in fresh_configs() {
        let backend = config.engine.backend();
        let store = konserve::connect(&config).await.expect(backend);
        let other = konserve::connect(&config).await.expect(backend);
        let clone = store.clone();
        let keys = store.keys();
        let log = store.log::<Value>("log");
        store.close().await.expect(backend);
        store.close().await.expect("closing twice is harmless");

        let kinds = [
            clone.get::<Value>("a").await.map(|_| ()),
            clone.assoc("a", "b").await.map(|_| ()),
            clone.append("log", "b").await.map(|_| ()),
            clone.bget("a").await.map(|_| ()),
            clone.multi_get::<Value>(["a"]).await.map(|_| ()),
            clone.collect().await.map(|_| ()),
            keys.try_collect::<Vec<_>>().await.map(|_| ()),
            log.try_collect::<Vec<_>>().await.map(|_| ()),
        ]
        .map(|answer| answer.expect_err("the store is closed").kind());
        assert_eq!(kinds, [ErrorKind::Closed; 8], "{backend}");

        other.assoc("a", "b").await.expect("another handle is open");
        konserve::delete(&config).await.expect(backend);
    }
}

#[tokio::test]
async fn stores_in_memory_without_a_name_are_all_different() {
    let (one, other) = (konserve::connect("memory:").await, konserve::create("memory:").await);
    let (one, other) = (one.expect("a store"), other.expect("a store"));
    one.assoc("a", "b").await.expect("writes");
    assert!(!other.exists("a").await.expect("reads"));
    assert!(!konserve::exists("memory:").await.expect("no name, no store"));
    let error = konserve::delete("memory:").await.expect_err("nothing to delete");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn namespaces_of_one_table_do_not_see_each_other() {
    let [_, _, one] = fresh_urls();
    let other = one.replace("namespace=some", "namespace=other");
    let (first, second) = (konserve::create(&one).await, konserve::create(&other).await);
    let (first, second) = (first.expect("a store"), second.expect("a store"));
    first.assoc("a", "b").await.expect("writes");
    assert!(!second.exists("a").consistent().await.expect("reads"));
    konserve::delete(&other).await.expect("gone");
    assert!(first.exists("a").consistent().await.expect("is still there"));
    konserve::delete(&one).await.expect("gone");
}
