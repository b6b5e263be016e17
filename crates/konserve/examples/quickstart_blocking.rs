//! A walk through the store in a synchronous program: `cargo run --example quickstart_blocking -- --help`.

mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;

use konserve::{Key, Kind, Result, Store, Value, blocking, kw, path};
use serde::{Deserialize, Serialize};

use self::support::{Arguments, Failure, Walk};

/// What the store keeps of a user. Any type of `serde` will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u32,
}

fn main() -> ExitCode {
    support::run("quickstart_blocking", walk)
}

fn walk(arguments: &Arguments) -> Result<Walk, Failure> {
    let started = blocking::wait(support::start(arguments))?;
    let mut walk = Walk::new(started.counter.clone());
    let walked = steps(&mut walk, &started.store);
    blocking::close(&started.store)?;
    // Also after a failure: whatever was made is gone in the end.
    let deleted = blocking::wait(started.delete());
    walked?;
    walk.returned("delete of the store", deleted, ())?;
    walk.returned("exists", blocking::wait(started.exists()), false)?;
    Ok(walk)
}

fn steps(walk: &mut Walk, store: &Store) -> Result<(), Failure> {
    walk.step("a document, and a path into it");
    let nested: Value = r#"{:foo "baz"}"#.parse()?;
    let made = store.assoc_in(path!["foo", kw!("bar")], &nested).call();
    walk.made(r#"assoc_in ["foo" :bar] {:foo "baz"}"#, made)?;
    let found = store.get_in::<Value>(path!["foo"]).call();
    walk.returned(r#"get_in ["foo"]"#, found, Some(r#"{:bar {:foo "baz"}}"#.parse()?))?;
    walk.returned(r#"exists "foo""#, store.exists("foo").call(), true)?;

    walk.step("an atomic update");
    let bar = || path![kw!("bar")];
    walk.made("assoc_in [:bar] 42", store.assoc_in(bar(), &42).call())?;
    let updated = store.update_in(bar(), |n: Option<i64>| n.unwrap_or(0) + 1).call();
    let old_and_new = updated.map(|updated| (updated.old, updated.new));
    walk.returned("update_in [:bar] increment", old_and_new, (Some(42), 43))?;
    walk.returned("get_in [:bar]", store.get_in::<i64>(bar()).call(), Some(43))?;
    walk.returned("dissoc :bar", store.dissoc(kw!("bar")).call(), true)?;
    walk.returned("dissoc :bar", store.dissoc(kw!("bar")).call(), false)?;

    walk.step("several keys at once, all or nothing");
    let ada = User {
        name: "Ada".into(),
        age: 36,
    };
    let bob = User {
        name: "Bob".into(),
        age: 63,
    };
    let made = store.multi_assoc([("user:1", &ada), ("user:2", &bob)]).call();
    walk.made("multi_assoc of two users", made)?;
    let found = store.multi_get::<User>(["user:1", "user:2", "user:3"]).call();
    let users = BTreeMap::from([(Key::from("user:1"), ada), (Key::from("user:2"), bob)]);
    walk.returned("multi_get of three users, one absent", found, users)?;
    let existed = store.multi_dissoc(["user:1", "user:2", "user:3"]).call();
    let must = [("user:1", true), ("user:2", true), ("user:3", false)];
    let must = must
        .into_iter()
        .map(|(key, existed)| (Key::from(key), existed))
        .collect();
    walk.returned("multi_dissoc of the three", existed, must)?;

    walk.step("more than the limit: refused before anything is sent");
    let pairs = (0..101).map(|n| (n, "value"));
    walk.refused("multi_assoc of 101 keys", store.multi_assoc(pairs).call(), 100, 101)?;
    walk.refused(
        "multi_get of 101 keys",
        store.multi_get::<Value>(0..101).call(),
        100,
        101,
    )?;
    walk.refused("multi_dissoc of 101 keys", store.multi_dissoc(0..101).call(), 100, 101)?;

    walk.step("an append log");
    let horrible: Value = "{:type :horrible}".parse()?;
    let log = || kw!("error-log");
    walk.returned(
        "append :error-log {:type :horrible}",
        store.append(log(), &horrible).call(),
        0,
    )?;
    walk.returned(
        "append :error-log {:type :horrible}",
        store.append(log(), &horrible).call(),
        1,
    )?;
    let entries = store.log::<Value>(log()).call().collect::<Result<Vec<_>>>();
    walk.returned("log :error-log", entries, vec![horrible.clone(), horrible.clone()])?;
    let count = store.reduce_log(log(), 0, |count, _: Value| count + 1).call();
    walk.returned("reduce_log :error-log 0 count", count, 2)?;
    walk.returned("trim :error-log 1", store.trim(log(), 1).call(), Some(1))?;
    let newest = store.log::<Value>(log()).reverse().with_positions();
    let newest = newest.call().collect::<Result<Vec<_>>>();
    walk.returned("log :error-log, newest first", newest, vec![(1, horrible)])?;

    walk.step("a large binary");
    let banana = vec![42; 10 << 20];
    let start = walk.now();
    let made = store.bassoc("banana", banana.clone()).call();
    walk.made(r#"bassoc "banana" 10 MiB of the byte 42"#, made)?;
    walk.since(start, "written", banana.len());
    let start = walk.now();
    let Some(blob) = store.bget("banana").call()? else {
        return Err(Failure::new("the banana is gone"));
    };
    let bytes = blob.bytes().call();
    let read = bytes.as_ref().is_ok_and(|bytes| *bytes == banana);
    walk.returned(
        r#"bget "banana", all of it, its length"#,
        bytes.map(|bytes| bytes.len()),
        banana.len(),
    )?;
    walk.since(start, "read", banana.len());
    walk.check("every byte is 42", read)?;
    let range = blob.range(5_000_000..5_000_004).bytes().call();
    walk.returned(
        "bytes 5,000,000 to 5,000,004 of it",
        range.map(|bytes| bytes.to_vec()),
        vec![42; 4],
    )?;

    walk.step("a small binary, as a stream");
    let ten: Vec<u8> = (0..10).collect();
    walk.made(
        "bassoc :binbar the bytes 0..10",
        store.bassoc(kw!("binbar"), ten.clone()).call(),
    )?;
    let Some(blob) = store.bget(kw!("binbar")).call()? else {
        return Err(Failure::new("the small binary is gone"));
    };
    let pieces = blob.stream().call().collect::<Result<Vec<_>>>();
    let read = pieces.map(|pieces| pieces.concat());
    walk.returned("bget :binbar, as a stream", read, ten)?;

    walk.step("what is in the store, and its end");
    let keys = store.keys().call().map(|meta| meta.map(|meta| (meta.key, meta.kind)));
    let mut keys = keys.collect::<Result<Vec<_>>>()?;
    keys.sort();
    let must = vec![
        (Key::from("banana"), Kind::Binary),
        (Key::from("foo"), Kind::Document),
        (Key::from(kw!("binbar")), Kind::Binary),
        (Key::from(kw!("error-log")), Kind::Log),
    ];
    walk.returned("keys", Ok(keys), must)?;
    let meta = store.get_meta("banana").call();
    let told = meta.map(|meta| meta.map(|meta| (meta.kind, meta.size, meta.last_write)));
    let told = walk.made(r#"get_meta "banana": kind, size, last write"#, told)?;
    walk.check(
        "the banana is a binary of 10 MiB",
        told.is_some_and(|(kind, size, _)| kind == Kind::Binary && size == 10 << 20),
    )
}
