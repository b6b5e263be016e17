//! A process that writes to a store of another process's engine: the tests start several of these, and kill some.
//!
//! ```text
//! writer append ENDPOINT FIRST WRITERS ENTRIES    entries of several tasks to one log
//! writer increment ENDPOINT TASKS TIMES           increments of one counter by several tasks
//! writer overwrite ENDPOINT NUMBER                large values, one version after the other, until it is killed
//! writer connect ENDPOINT                         nothing: it says why it has no credentials
//! ```
//!
//! It says `ready`, waits for a line, and works; each further line that it prints is about one write.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, Write};

use futures::future::try_join_all;
use konserve_core::{Result, Store, path};
use konserve_tests::embedded::Embedded;
use konserve_tests::fixture::small_items;
use konserve_tests::versions::{BINARY, DOCUMENT, Version};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if arguments[0] == "connect" {
            return connect(&arguments[1]).await;
        }
        let store = open(&arguments[1]).await;
        let done = match arguments[0].as_str() {
            "append" => append(store, number(2), number(3), number(4)).await,
            "increment" => increment(store, number(2), number(3)).await,
            "overwrite" => overwrite(store, number(2)).await,
            other => panic!("no such work: {other}"),
        };
        done.expect("every write succeeds");
    });
}

async fn open(endpoint: &str) -> Store {
    let (store, _) = Embedded::at(endpoint).counted(small_items()).await;
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
        store.assoc(DOCUMENT, &Version::large(number)).await?;
        say(format_args!("document {number}"));
        store.bassoc(BINARY, Version::large(number).into_bytes()).await?;
        say(format_args!("binary {number}"));
        store.multi_assoc(Version::together(number)).await?;
        say(format_args!("together {number}"));
    }
    Ok(())
}
