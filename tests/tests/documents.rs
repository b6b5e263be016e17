//! What README.md, ARCHITECTURE.md and docs/logs.md show is true: commands exist, configuration is accepted, policies can be read.
//!
//! Their Rust is compiled and run as doc tests of this package.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The documents whose blocks are checked.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "docs/logs.md"];

/// The languages of blocks. Rustdoc takes a block without one for Rust, readers do not.
const LANGUAGES: [&str; 6] = ["rust", "rust,no_run", "sh", "toml", "json", "text"];

/// A fenced block of a document.
struct Block {
    /// Where, for people.
    place: String,
    language: String,
    text: String,
}

#[test]
fn every_block_says_its_language() {
    for block in blocks() {
        let Block { place, language, .. } = block;
        assert!(
            LANGUAGES.contains(&language.as_str()),
            "{place}: `{language}` is none of {LANGUAGES:?}"
        );
    }
}

#[test]
fn every_command_exists() {
    for Block { place, text, .. } in blocks_of("sh") {
        for line in commands(&text) {
            if let Err(reason) = command_exists(&line) {
                panic!("{place}: `{line}`: {reason}");
            }
        }
    }
}

#[test]
fn all_toml_and_json_is_well_formed() {
    for Block { place, text, .. } in blocks_of("toml") {
        if let Err(error) = toml::from_str::<toml::Table>(&text) {
            panic!("{place}: {error}");
        }
    }
    for Block { place, text, .. } in blocks_of("json") {
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
            panic!("{place}: {error}");
        }
    }
}

#[test]
fn every_configuration_is_accepted() {
    let mut accepted = 0;
    for Block { place, text, .. } in blocks_of("toml") {
        if text.lines().any(|line| line.starts_with("backend = ")) {
            if let Err(error) = toml::from_str::<konserve::Config>(&text) {
                panic!("{place}: {error}");
            }
            accepted += 1;
        }
    }
    assert!(accepted > 0, "the README shows how a store is configured");
}

#[test]
fn the_checks_of_commands_fail_where_they_must() {
    for (line, exists) in [
        ("cargo xtask test", true),
        ("cargo xtask test-dynamo --endpoint http://localhost:8000", true),
        ("cargo xtask ci # all of it", true),
        ("cargo xtask tset", false),
        ("cargo xtask test --quick", false),
        ("cargo run --example no-such-example", false),
        ("cargo frobnicate", false),
        ("make", false),
    ] {
        let commands = commands(line);
        assert_eq!(command_exists(&commands[0]).is_ok(), exists, "{line}");
    }
    let text = "# a comment\n$ cargo run \\\n    --example quickstart\n\nA=b cargo xtask ci\n";
    assert_eq!(commands(text), ["cargo run     --example quickstart", "cargo xtask ci"]);
}

/// The commands of a shell block, without comments, prompts, line breaks and variables set for the command.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", "");
    let lines = joined.lines().map(|line| {
        let line = line.trim().trim_start_matches("$ ");
        let line = line.split(" #").next().unwrap_or_default().trim();
        let mut rest = line;
        while let Some((word, after)) = rest.split_once(' ')
            && word.contains('=')
        {
            rest = after.trim_start();
        }
        rest.to_owned()
    });
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Whether a command of this workspace exists and takes these arguments.
fn command_exists(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["cargo", "run", "--example", example, ..] => example_exists(example),
        // With `--help` at the end, all that comes before it is understood and nothing is done.
        ["cargo", "xtask", args @ ..] => xtask(args),
        ["cargo", "add", "konserve", ..] | ["cd", _] | ["git", "clone", ..] => Ok(()),
        _ => Err("this test does not know how to check it".to_owned()),
    }
}

fn example_exists(example: &str) -> Result<(), String> {
    let crates = std::fs::read_dir(root().join("crates")).map_err(|error| error.to_string())?;
    let mut sources = crates.flatten().flat_map(|entry| {
        let examples = entry.path().join("examples");
        [
            examples.join(format!("{example}.rs")),
            examples.join(example).join("main.rs"),
        ]
    });
    match sources.any(|source| source.is_file()) {
        true => Ok(()),
        false => Err("there is no such example".to_owned()),
    }
}

fn xtask(args: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .stdin(Stdio::null())
        .args(["xtask"])
        .args(args)
        .arg("--help")
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn blocks_of(language: &str) -> impl Iterator<Item = Block> {
    blocks().into_iter().filter(move |block| block.language == language)
}

fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (Some(_), Some(_)) => found.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, Some(language)) => {
                    open = Some(Block {
                        place: format!("{document}:{}", index + 1),
                        language: language.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{document}: the last block does not end");
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
