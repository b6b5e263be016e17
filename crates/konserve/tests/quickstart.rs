//! The quickstarts as programs: their flags, their exit status, and that they leave alone what is not theirs.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use konserve::{Config, blocking};

use self::support::endpoint;

const PROGRAMS: [&str; 2] = ["quickstart", "quickstart_blocking"];

/// A quickstart, which is built with the tests unless only some of these were asked for.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("the folder of all that was built");
    let program = folder
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "build it before: cargo build --package konserve --examples"
    );
    program
}

/// Runs it with credentials in its environment and nothing else of AWS.
fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "xyzzy")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(arguments)
        .output()
        .expect("it starts")
}

fn run_here(name: &str, arguments: &[&str]) -> Output {
    run(&program(name), Path::new("."), arguments)
}

#[track_caller]
fn assert_complete(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(
        text.lines().last(),
        Some("walkthrough complete: 8 steps"),
        "{text}\n{errors}"
    );
}

#[track_caller]
fn assert_refused(output: &Output, status: i32, named: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(errors.contains(named), "{errors}");
}

#[test]
fn they_say_how_they_are_called() {
    for name in PROGRAMS {
        let help = run_here(name, &["--help"]);
        assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--endpoint URL"));
        let wrong: [(&[&str], &str); 6] = [
            (&["--colour"], "--colour"),
            (&["table"], "table"),
            (&["--backend", "postgres"], "memory or dynamodb"),
            (&["--backend"], "--backend"),
            (
                &["--backend", "memory", "--endpoint", "http://localhost:1"],
                "for DynamoDB",
            ),
            (&["--allow-existing=yes"], "--allow-existing"),
        ];
        for (arguments, named) in wrong {
            assert_refused(&run_here(name, arguments), 2, named);
        }
    }
}

#[test]
fn they_run_from_a_path_with_spaces_and_again() {
    let folder = tempfile::Builder::new().prefix("a folder with spaces ").tempdir();
    let folder = folder.expect("a folder");
    for name in PROGRAMS {
        let moved = folder.path().join(format!("a {name}"));
        std::fs::copy(program(name), &moved).expect("a copy");
        assert_complete(&run(&moved, folder.path(), &["--backend", "memory"]));
        assert_complete(&run(&moved, folder.path(), &["--backend", "memory"]));
    }
    assert_complete(&run(&folder.path().join("a quickstart"), folder.path(), &[]));
}

#[test]
fn a_table_at_an_endpoint_is_made_and_deleted_and_one_that_is_there_is_spared() {
    let with_table = ["--endpoint", endpoint(), "--table", "walked-in"];
    let url = format!(
        "dynamodb://walked-in?region=us-west-1&endpoint={}&access_key_id=id&secret_access_key=xyzzy",
        endpoint()
    );
    let config: Config = url.parse().expect("a configuration");
    assert_complete(&run_here("quickstart_blocking", &["--endpoint", endpoint()]));
    assert_complete(&run_here("quickstart", &with_table));
    assert!(
        !blocking::exists(&config).expect("an answer"),
        "the table is left behind"
    );

    let store = blocking::create(&config).expect("a store");
    store.assoc("foo", "mine").call().expect("writes");
    for name in PROGRAMS {
        assert_refused(&run_here(name, &with_table), 1, "there is a table walked-in");
    }
    let allowed = [&with_table[..], &["--allow-existing"]].concat();
    assert_complete(&run_here("quickstart", &allowed));
    let found = store.get::<String>("foo").consistent().call().expect("reads");
    assert_eq!(found.as_deref(), Some("mine"));
    let keys = store.keys().consistent().call().count();
    assert_eq!(keys, 1, "the walk left something behind");
}

#[test]
fn without_an_engine_they_fail_and_say_why() {
    let output = run_here("quickstart", &["--endpoint", "http://127.0.0.1:1"]);
    assert_refused(&output, 1, "no connection to the endpoint");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("xyzzy"));
}
