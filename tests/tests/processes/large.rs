//! A stream takes little memory, however long it is.

use std::collections::HashMap;

use crate::child::{Child, ENGINE};

/// Streams 1 GiB instead of 64 MiB: `cargo xtask test-dynamo --large`.
const LARGE: &str = "KONSERVE_TESTS_LARGE";

const MIB: u64 = 1 << 20;

/// The most that a stream may take beside what the process takes anyway.
const MOST: u64 = 64 * MIB;

#[test]
fn a_stream_of_any_length_goes_in_and_out_in_less_than_64_mib() {
    let length = match std::env::var_os(LARGE) {
        Some(_) => 1024 * MIB,
        None => 64 * MIB,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dynamodb");
    let (mut engine, endpoint) = Child::start(ENGINE, &[file.to_str().expect("text")]);
    let mut child = Child::writer(&["stream", &endpoint, &length.to_string()]);
    child.begin();
    let lines = child.finish();
    engine.end();
    engine.finish();
    if lines == ["unknown"] {
        println!("skipped: this operating system does not say what a process takes");
        return;
    }
    let said: HashMap<&str, u64> = lines
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(what, bytes)| (what, bytes.parse().expect("a number")))
        .collect();
    let idle = said["idle"];
    for what in ["written", "read", "range"] {
        let taken = said[what].saturating_sub(idle);
        println!(
            "{} MiB {what}: {:.1} MiB above the {:.1} of the idle process",
            length / MIB,
            mib(taken),
            mib(idle)
        );
        assert!(taken < MOST, "{what}: {taken} bytes above {idle}");
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
