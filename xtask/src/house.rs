//! The rules of the house that no other tool checks.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cargo::{metadata, root};
use crate::{Failure, licences};

/// A file above this has more than one subject.
const MOST_LINES: usize = 700;

/// Packages that no engine and no AWS crate may reach, however indirectly: the model and the suite know no engine.
const NAME_NO_ENGINE: [&str; 2] = ["konserve-core", "konserve-conformance"];

/// Checks all rules and reports every violation.
pub(crate) fn check() -> Result<(), Failure> {
    let mut broken = Vec::new();
    let (sources, documents) = (files("rs")?, files("md")?);
    for file in sources.iter().chain(&documents) {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root()).unwrap_or(file).display().to_string();
        let found = match file.extension().is_some_and(|extension| extension == "rs") {
            true => violations(&text),
            false => merge_markers(&text),
        };
        broken.extend(found.into_iter().map(|(line, what)| format!("{name}:{line}: {what}")));
    }
    broken.extend(named_engines(&metadata()?)?);
    match broken.is_empty() {
        true => {
            println!(
                "{} files and {} packages keep the rules",
                sources.len() + documents.len(),
                NAME_NO_ENGINE.len()
            );
            Ok(())
        }
        false => Err(broken.join("\n")),
    }
}

/// The line and the nature of each violation in a source file.
fn violations(text: &str) -> Vec<(usize, &'static str)> {
    // In pieces, so that this file does not violate what it states.
    let skipped_test = concat!("#[", "ignore");
    let skipped_example = ["rust,ig", "ig"].map(|start| format!("```{start}nore"));

    let mut found = merge_markers(text);
    if !text.starts_with("//!") {
        found.push((1, "the first line does not say the subject of the file (`//! ...`)"));
    }
    for (index, line) in text.lines().enumerate() {
        if line.contains(skipped_test) {
            found.push((index + 1, "a test is ignored: mend it or remove it"));
        }
        if skipped_example.iter().any(|fence| line.contains(fence)) {
            found.push((index + 1, "an example is not compiled: use `no_run` or `text`"));
        }
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push((lines, "the file is longer than 700 lines: split it"));
    }
    found
}

/// What a merge left behind; also in documents, which no compiler reads.
fn merge_markers(text: &str) -> Vec<(usize, &'static str)> {
    let marked = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
    let lines = (1..).zip(text.lines()).filter(|(_, line)| marked(line));
    lines
        .map(|(number, _)| (number, "a merge was not ended here"))
        .collect()
}

/// Packages that must know no engine and yet depend on one.
fn named_engines(metadata: &Value) -> Result<Vec<String>, Failure> {
    let reached = NAME_NO_ENGINE.into_iter().map(|package| {
        let all = licences::dependencies(metadata, package)?;
        let engines = all.into_iter().filter(|name| is_engine(name));
        Ok(engines
            .map(move |name| format!("{package} must not depend on {name}"))
            .collect::<Vec<_>>())
    });
    Ok(reached.collect::<Result<Vec<_>, Failure>>()?.concat())
}

fn is_engine(package: &str) -> bool {
    package.starts_with("aws-")
        || ["dynoxide-rs", "konserve-memory", "konserve-dynamodb", "konserve"].contains(&package)
}

/// Every file of the workspace whose name ends so.
fn files(extension: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for folder in ["crates", "docs", "tests", "xtask"] {
        collect(&root().join(folder), extension, true, &mut found)?;
    }
    collect(&root(), extension, false, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, extension: &str, below: bool, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            // A package that is built on its own has one.
            if below && path.file_name().is_none_or(|name| name != "target") {
                collect(&path, extension, below, found)?;
            }
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_violation() {
        let subject = "//! Something.\n";
        let found = |text: String| -> Vec<usize> { violations(&text).into_iter().map(|(line, _)| line).collect() };
        assert_eq!(found(subject.to_owned()), [0; 0]);
        assert_eq!(found("use std::fmt;\n".to_owned()), [1]);
        assert_eq!(found(format!("{subject}#[test]\n#[{}]", "ignore")), [3]);
        assert_eq!(found(format!("{subject}#[{} = \"slow\"]", "ignore")), [2]);
        assert_eq!(found(format!("{subject}/// ```{}", "ignore")), [2]);
        assert_eq!(found(format!("{subject}/// ```{}\n/// ```text", "rust,ignore")), [2]);
        assert_eq!(found(format!("{subject}{} HEAD", "<".repeat(7))), [2]);
        assert_eq!(found(subject.repeat(MOST_LINES)), [0; 0]);
        assert_eq!(found(subject.repeat(MOST_LINES + 1)), [MOST_LINES + 1]);
    }
}
