//! The command that repeats a trial, as far as a program can tell how it was run.

use std::path::Path;
use std::{env, fs};

use crate::Harness;
use crate::suite::SEED;

/// The command that repeats one trial with a seed.
pub(crate) fn command(harness: &dyn Harness, id: &str, seed: u64) -> String {
    let mut command = String::new();
    for (name, value) in settings(harness) {
        command.push_str(&format!("{name}={} ", quoted(&value)));
    }
    let exact = quoted(&format!("[{}] {id}", harness.name()));
    command.push_str(&format!("{SEED}={seed} {} --exact {exact}", program()));
    command
}

/// What was tested, as far as the environment says it.
pub(crate) fn settings(harness: &dyn Harness) -> Vec<(String, String)> {
    let set = harness.settings().into_iter().filter_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name.to_owned(), value))
    });
    set.collect()
}

/// The command that runs this program.
fn program() -> String {
    let Ok(file) = env::current_exe() else {
        return "<test>".to_owned();
    };
    let by_cargo = env::var("CARGO_PKG_NAME").ok().and_then(|package| {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(|folder| Path::new(&folder).join("Cargo.toml"));
        let manifest = manifest.and_then(|manifest| fs::read_to_string(manifest).ok());
        by_cargo(&file, &package, manifest.as_deref().unwrap_or_default())
    });
    by_cargo.unwrap_or_else(|| quoted(&file.to_string_lossy()))
}

/// The call of cargo that runs a program of a package; `None` where cargo would not have put it.
fn by_cargo(file: &Path, package: &str, manifest: &str) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let mut folder = file.parent()?;
    let place = folder.file_name()?.to_str()?;
    // What is run by `cargo test` has a dash and sixteen hexadecimal digits behind the name of the target.
    let hashed = stem
        .rsplit_once('-')
        .filter(|(_, hash)| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let (command, kind, target) = match (place, hashed) {
        ("deps", Some((target, _))) => ("test", "--test", target),
        ("examples", Some((target, _))) => ("test", "--example", target),
        ("examples", None) => ("run", "--example", stem),
        ("deps", None) => return None,
        (_, None) => ("run", "--bin", stem),
        _ => return None,
    };
    if matches!(place, "deps" | "examples") {
        folder = folder.parent()?;
    }
    // The file of the test `my-suite` is called `my_suite`; cargo knows patterns.
    let target = match hashed {
        Some(_) => target.replace('_', "?"),
        None => target.to_owned(),
    };
    let mut call = format!("cargo {command} -p {package} {kind} {}", quoted(&target));
    // Which of them were on cannot be known from here. With all of them every target can be built.
    if manifest.lines().any(|line| line.trim() == "[features]") {
        call.push_str(" --all-features");
    }
    match folder.file_name()?.to_str()? {
        "debug" => {}
        "release" => call.push_str(" --release"),
        profile => call.push_str(&format!(" --profile {}", quoted(profile))),
    }
    call.push_str(" --");
    Some(call)
}

/// A word as it can be typed into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_runs_the_program_that_is_running() {
        let hash = "0123456789abcdef";
        let features = "[package]\nname = \"x\"\n\n[features]\nfast = []\n";
        for (file, manifest, expected) in [
            (
                format!("/a b/target/debug/deps/conformance-{hash}"),
                "",
                Some("cargo test -p mine --test conformance --"),
            ),
            (
                format!("target/release/deps/my_suite-{hash}"),
                features,
                Some("cargo test -p mine --test 'my?suite' --all-features --release --"),
            ),
            (
                format!("target/checked/examples/suite-{hash}"),
                "",
                Some("cargo test -p mine --example suite --profile checked --"),
            ),
            (
                "target/debug/examples/my_suite".to_owned(),
                "",
                Some("cargo run -p mine --example my_suite --"),
            ),
            (
                "target/debug/suite".to_owned(),
                features,
                Some("cargo run -p mine --bin suite --all-features --"),
            ),
            ("target/debug/deps/conformance".to_owned(), "", None),
        ] {
            let command = by_cargo(Path::new(&file), "mine", manifest);
            assert_eq!(command.as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("http://localhost:8000"), "http://localhost:8000");
        assert_eq!(quoted("[memory] read.one"), "'[memory] read.one'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
