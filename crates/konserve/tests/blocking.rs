//! The synchronous interface, in a synchronous program and inside of an asynchronous one.

mod support;

use std::time::Duration;

use konserve::{ErrorKind, Result, Value, blocking, kw, path};

use self::support::fresh_urls;

/// A whole life of a store, without a single `await`.
fn live(url: &str) -> Result<()> {
    assert!(!blocking::exists(url)?);
    let store = blocking::create(url)?;
    assert_eq!(
        blocking::create(url).expect_err("there is one").kind(),
        ErrorKind::AlreadyExists
    );

    store.assoc_in(path!["foo", kw!("bar")], &42).call()?;
    let updated = store
        .update_in(path!["foo", kw!("bar")], |n: Option<i64>| n.unwrap_or(0) + 1)
        .call()?;
    assert_eq!((updated.old, updated.new), (Some(42), 43));
    store.multi_assoc([("one", 1), ("two", 2)]).call()?;
    let found = store.multi_get::<i64>(["one", "two", "three"]).consistent().call()?;
    assert_eq!(found.into_values().sum::<i64>(), 3);

    store.append_all("log", 0..10).call()?;
    let log = store
        .log::<i64>("log")
        .consistent()
        .call()
        .collect::<Result<Vec<_>>>()?;
    assert_eq!(log, (0..10).collect::<Vec<_>>());

    let large = vec![7; 1_000_000];
    store
        .bassoc("large", konserve::Body::read(std::io::Cursor::new(large.clone())))
        .call()?;
    let blob = store.bget("large").consistent().call()?.expect("a binary");
    let pieces = blob.stream().call().collect::<Result<Vec<_>>>()?;
    assert!(pieces.len() > 1 && pieces.concat() == large);

    let mut keys = store
        .keys()
        .consistent()
        .call()
        .map(|meta| Ok(meta?.key.to_string()))
        .collect::<Result<Vec<_>>>()?;
    keys.sort();
    assert_eq!(keys, [r#""foo""#, r#""large""#, r#""log""#, r#""one""#, r#""two""#]);

    let timed_out = store.get::<Value>("foo").timeout(Duration::from_secs(60)).call()?;
    assert!(timed_out.is_some(), "a time-out that is not reached changes nothing");
    blocking::close(&store)?;
    assert_eq!(
        store.exists("foo").call().expect_err("it is closed").kind(),
        ErrorKind::Closed
    );

    let again = blocking::connect(url)?;
    assert!(again.exists("foo").consistent().call()?);
    blocking::delete(url)?;
    assert!(!blocking::exists(url)?);
    Ok(())
}

#[test]
fn a_synchronous_program_uses_every_engine() {
    for url in fresh_urls() {
        live(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[tokio::test]
async fn it_works_on_the_only_thread_of_a_runtime() {
    for url in fresh_urls() {
        live(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_threads_for_blocking_work() {
    for url in fresh_urls() {
        let lived = tokio::task::spawn_blocking(move || live(&url)).await;
        lived.expect("no panic").expect("every engine");
    }
}

#[test]
fn threads_share_a_store() {
    for url in fresh_urls() {
        let store = blocking::connect(&url).expect("a store");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let counted = store.update("counter", |n: Option<i64>| n.unwrap_or(0) + 1).call();
                        counted.expect("counts");
                    }
                });
            }
        });
        let count = store.get::<i64>("counter").consistent().call().expect("reads");
        assert_eq!(count, Some(40), "{url}");
        blocking::delete(&url).expect("gone");
    }
}

#[test]
fn a_panic_of_a_function_comes_out_and_the_store_goes_on() {
    let store = blocking::connect("memory:").expect("a store");
    let panicking = store.update("a", |_: Option<i64>| -> i64 { panic!("on purpose") });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panicking.call()));
    assert!(caught.is_err());
    assert_eq!(store.get::<i64>("a").call().expect("reads"), None);
    store
        .update("a", |n: Option<i64>| n.unwrap_or(0) + 1)
        .call()
        .expect("the key is not locked");
}
