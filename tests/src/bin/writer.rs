//! A process that works on a store of another process's engine: the tests start several of these, and kill some.
//!
//! ```text
//! writer append ENDPOINT FIRST WRITERS ENTRIES    entries of several tasks to one log
//! writer contend ENDPOINT WRITER ENTRIES          entries of one task to one log, and the requests that they took
//! writer increment ENDPOINT TASKS TIMES           increments of one counter by several tasks
//! writer overwrite ENDPOINT NUMBER                large values, one version after the other, until it is killed
//! writer replace ENDPOINT NUMBER STEP TIMES       large and small values over each other, every so many versions
//! writer read ENDPOINT                            these values, until its input ends
//! writer collect ENDPOINT                         what is left of them, until its input ends
//! writer stream ENDPOINT BYTES                    a stream in and out, and how much memory that took
//! writer connect ENDPOINT                         nothing: it says why it has no credentials
//! ```
//!
//! It says `ready`, waits for a line, and works; each further line that it prints is about one write.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use futures::future::try_join_all;
use konserve_core::store::{Body, Options};
use konserve_core::{Error, ErrorKind, Outcome, Result, Revision, Store, path};
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::{many_chunks, small_items};
use konserve_tests::memory::Memory;
use konserve_tests::pattern::Pattern;
use konserve_tests::versions::{BINARY, DOCUMENT, TOGETHER, Version};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if arguments[0] == "connect" {
            return connect(&arguments[1]).await;
        }
        let engine = Embedded::at(&arguments[1]);
        let open = async |options| engine.counted(options).await.0;
        let done = match arguments[0].as_str() {
            "append" => append(ready(open(small_items()).await), number(2), number(3), number(4)).await,
            "contend" => {
                let (store, counter) = engine.counted(Options::default()).await;
                let done = append(ready(store), number(2), 1, number(3)).await;
                say(format_args!("requests {}", counter.take().values().sum::<u64>()));
                done
            }
            "increment" => increment(ready(open(small_items()).await), number(2), number(3)).await,
            "overwrite" => overwrite(ready(open(many_chunks()).await), number(2)).await,
            "replace" => replace(ready(open(hasty()).await), number(2), number(3), number(4)).await,
            "read" => read(ready(open(many_chunks()).await)).await,
            "collect" => {
                let (kind, harsh) = (open(hasty()).await, open(harsh()).await);
                collect(ready(kind), harsh).await
            }
            "stream" => stream(ready(open(Options::default()).await), number(2)).await,
            other => panic!("no such work: {other}"),
        };
        done.expect("every write succeeds");
    });
}

/// Says so, and waits until it may begin.
fn ready(store: Store) -> Store {
    say("ready");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("the parent lives");
    store
}

fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("the parent lives");
    out.flush().expect("the parent lives");
}

/// Connects with the credentials of the environment, which has none.
async fn connect(endpoint: &str) {
    let mut config = Embedded::at(endpoint).config();
    (config.access_key_id, config.secret_access_key) = (None, None);
    let error = konserve::connect(config).await.expect_err("there are no credentials");
    say(format_args!("{} {error}", error.kind()));
}

async fn append(store: Store, first: u64, writers: u64, entries: u64) -> Result<()> {
    let writer = async |writer: u64| {
        for number in 0..entries {
            let position = store.append("log", &(writer, number)).await?;
            say(format_args!("{writer} {number} {position}"));
        }
        Ok(())
    };
    try_join_all((first..first + writers).map(writer)).await.map(drop)
}

async fn increment(store: Store, tasks: u64, times: u64) -> Result<()> {
    let task = async |_| {
        for _ in 0..times {
            let increment = |n: Option<u64>| n.unwrap_or(0) + 1;
            let updated = store.update_in(path!["counter", "n"], increment).await?;
            say(updated.new);
        }
        Ok(())
    };
    try_join_all((0..tasks).map(task)).await.map(drop)
}

async fn overwrite(store: Store, first: u64) -> Result<()> {
    for number in first.. {
        say(format_args!("begun {number}"));
        // Another one comes first each time: that is where most are killed.
        for write in 0..3 {
            match (number + write) % 3 {
                0 => {
                    store.assoc(DOCUMENT, &Version::large(number)).await?;
                    say(format_args!("document {number}"));
                }
                1 => {
                    store.bassoc(BINARY, binary(number)).await?;
                    say(format_args!("binary {number}"));
                }
                _ => {
                    store.multi_assoc(Version::together(number)).await?;
                    say(format_args!("together {number}"));
                }
            }
        }
    }
    Ok(())
}

/// The bytes of a version, some of them as a stream.
fn binary(number: u64) -> Body {
    let bytes = Version::large(number).into_bytes();
    match number % 2 {
        0 => Body::from(bytes),
        _ => Body::reader(std::io::Cursor::new(bytes)),
    }
}

/// Options of those who do not wait for readers, but for requests that are on their way.
fn hasty() -> Options {
    let mut options = many_chunks();
    options.background_cleanup = true;
    options.read_grace_ms = 0;
    options.request_horizon_ms = 4_000;
    options.abandoned_after_ms = 20_000;
    options.max_clock_drift_ms = 10;
    options
}

/// Options of a collector that takes every upload for abandoned, whoever is at it.
fn harsh() -> Options {
    let mut options = hasty();
    options.abandoned_after_ms = 0;
    options.max_clock_drift_ms = 0;
    options
}

async fn replace(store: Store, first: u64, step: u64, times: u64) -> Result<()> {
    for number in (0..times).map(|time| first + time * step) {
        let value = || match number % 4 {
            3 => Version::small(number),
            _ => Version::large(number),
        };
        given_up_or(async || store.assoc(DOCUMENT, &value()).await).await?;
        given_up_or(async || store.bassoc(BINARY, value().into_bytes()).await).await?;
        given_up_or(async || store.multi_assoc(Version::together(number)).await).await?;
        say(format_args!("written {number}"));
    }
    Ok(())
}

/// Writes again for as long as a collector gives it up.
async fn given_up_or(write: impl AsyncFn() -> Result<Revision>) -> Result<()> {
    loop {
        match write().await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Unavailable && error.outcome() == Outcome::NotApplied => {
                say(format_args!("given up: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the input has ended.
fn ended() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = ended.clone();
    std::thread::spawn(move || {
        // Whatever ends it, it has ended.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        flag.store(true, Ordering::Release);
    });
    ended
}

async fn read(store: Store) -> Result<()> {
    let ended = ended();
    let mut document = None;
    let (mut read, mut overtaken) = (0, 0);
    while !ended.load(Ordering::Acquire) {
        match store.get::<Version>(DOCUMENT).consistent().with_meta().await {
            Ok(found) => {
                let (value, meta) = found.expect("it is never absent");
                value.number();
                let revision = Some(meta.revision);
                assert!(
                    document <= revision,
                    "an older version came back: {document:?}, {revision:?}"
                );
                (document, read) = (revision, read + 1);
            }
            Err(error) => overtaken += may_be_overtaken(error)?,
        }
        let blob = store.bget(BINARY).consistent().await?.expect("it is never absent");
        match blob.bytes().await {
            Ok(bytes) => {
                Version::check_bytes(&bytes);
                read += 1;
            }
            Err(error) => overtaken += may_be_overtaken(error)?,
        }
        match blob.stream().map_ok(|piece| piece.to_vec()).try_concat().await {
            Ok(bytes) => {
                Version::check_bytes(&bytes);
                read += 1;
            }
            Err(error) => overtaken += may_be_overtaken(error)?,
        }
        match store.multi_get::<Version>(TOGETHER).consistent().await {
            Ok(together) => {
                assert_eq!(together.len(), 3, "none of them is ever absent");
                for value in together.values() {
                    value.number();
                }
                read += 1;
            }
            Err(error) => overtaken += may_be_overtaken(error)?,
        }
    }
    say(format_args!("{read} {overtaken}"));
    Ok(())
}

/// The one error that a reader may see.
fn may_be_overtaken(error: Error) -> Result<u64> {
    match error.kind() {
        ErrorKind::Contended => Ok(1),
        _ => Err(error),
    }
}

async fn collect(hasty: Store, harsh: Store) -> Result<()> {
    let ended = ended();
    let (mut generations, mut chunks) = (0, 0);
    for time in 0_u64.. {
        if ended.load(Ordering::Acquire) {
            break;
        }
        let store = if time % 10 == 9 { &harsh } else { &hasty };
        let report = store.collect().await?;
        assert_eq!(report.unreadable, 0, "{report:?}");
        generations += report.generations_removed;
        chunks += report.chunks_purged;
    }
    say(format_args!("{generations} {chunks}"));
    Ok(())
}

/// Writes and reads a binary without ever having it in memory, and says what that took.
async fn stream(store: Store, length: u64) -> Result<()> {
    let Some(idle) = Memory::now() else {
        say("unknown");
        return Ok(());
    };
    say(format_args!("idle {}", idle.resident));
    store.bassoc("stream", Body::stream(Pattern::stream(length))).await?;
    say(format_args!("written {}", peak()));
    let blob = store.bget("stream").consistent().await?.expect("it is there");
    let mut pieces = blob.stream();
    let mut pattern = Pattern::default();
    while let Some(piece) = pieces.try_next().await? {
        assert!(pattern.is_next(&piece), "other bytes before {}", pattern.place());
    }
    assert_eq!(pattern.place(), length);
    say(format_args!("read {}", peak()));
    let (from, to) = (length / 3, length - 1);
    let mut pieces = blob.range(from..to).stream();
    let mut pattern = Pattern::at(from);
    while let Some(piece) = pieces.try_next().await? {
        assert!(pattern.is_next(&piece), "other bytes before {}", pattern.place());
    }
    assert_eq!(pattern.place(), to);
    say(format_args!("range {}", peak()));
    Ok(())
}

/// The most memory that was resident until now, in bytes.
fn peak() -> u64 {
    Memory::now().map_or(0, |memory| memory.peak)
}
