//! Licences and origins of everything that is linked.
//!
//! `deny.toml` says what is allowed. `cargo deny` reads it where it is installed; elsewhere the part of it that can be
//! checked with cargo alone is checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::Failure;
use crate::cargo::{Cargo, metadata, root};

/// The only place that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks licences, bans and origins.
pub(crate) fn check() -> Result<(), Failure> {
    if Cargo::new("deny --version").read().is_ok() {
        return Cargo::new("deny --all-features check licenses bans sources").run();
    }
    println!("cargo-deny is not installed: bans are skipped; licences and origins are checked without it");
    check_without_deny()
}

/// The names of all packages that a package is built of, itself left out and build scripts included.
pub(crate) fn dependencies(metadata: &Value, package: &str) -> Result<BTreeSet<String>, Failure> {
    let packages = list(metadata, "packages")?;
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let nodes = list(&metadata["resolve"], "nodes")?;
    let edges: BTreeMap<&str, &Value> = nodes
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, &node["deps"])))
        .collect();
    let start = names.iter().find(|(_, name)| **name == package);
    let (start, _) = start.ok_or_else(|| format!("cargo metadata: no package {package}"))?;

    let mut reached = BTreeSet::new();
    let mut open = vec![*start];
    while let Some(id) = open.pop() {
        for edge in edges.get(id).and_then(|deps| deps.as_array()).into_iter().flatten() {
            let kinds = edge["dep_kinds"].as_array().into_iter().flatten();
            let is_linked = kinds.into_iter().any(|kind| kind["kind"] != "dev");
            if let (Some(to), true) = (edge["pkg"].as_str(), is_linked)
                && reached.insert(to)
            {
                open.push(to);
            }
        }
    }
    Ok(reached
        .into_iter()
        .filter_map(|id| names.get(id))
        .map(|&name| name.to_owned())
        .collect())
}

fn check_without_deny() -> Result<(), Failure> {
    let allowed = allowed()?;
    let metadata = metadata()?;
    let packages = list(&metadata, "packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let name = format!("{} {}", text(package, "name"), text(package, "version"));
        match package["license"].as_str() {
            None => refused.push(format!("{name}: states no licence")),
            Some(licence) if !is_allowed(licence, &allowed) => refused.push(format!("{name}: {licence}")),
            Some(_) => {}
        }
        match package["source"].as_str() {
            // Our own.
            None | Some(REGISTRY) => {}
            Some(source) => refused.push(format!("{name}: comes from {source}")),
        }
    }
    match refused.is_empty() {
        true => {
            println!(
                "{} packages, licences and origins as `deny.toml` allows",
                packages.len()
            );
            Ok(())
        }
        false => Err(format!("not allowed by `deny.toml`:\n{}", refused.join("\n"))),
    }
}

/// The list `allow` in the section `licenses` of `deny.toml`.
fn allowed() -> Result<BTreeSet<String>, Failure> {
    let path = root().join("deny.toml");
    let manifest = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    allow_list(&manifest).ok_or_else(|| "deny.toml: no list `allow` in [licenses]".to_owned())
}

fn allow_list(manifest: &str) -> Option<BTreeSet<String>> {
    let (_, section) = manifest.split_once("[licenses]")?;
    let (_, list) = section.split_once("allow = [")?;
    let (list, _) = list.split_once(']')?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    let quoted = lines.flat_map(|line| {
        line.split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    Some(quoted.collect())
}

/// Whether an SPDX expression can be satisfied by the licences allowed. What cannot be read is not allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // `MIT/Apache-2.0` is how manifests said `OR` before SPDX expressions.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed).is_some_and(|satisfied| satisfied && rest.is_empty())
}

fn any(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut satisfied = all(words, allowed)?;
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        satisfied |= all(words, allowed)?;
    }
    Some(satisfied)
}

fn all(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut satisfied = one(words, allowed)?;
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        satisfied &= one(words, allowed)?;
    }
    Some(satisfied)
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let (&first, rest) = words.split_first()?;
    *words = rest;
    match first {
        "(" => {
            let satisfied = any(words, allowed)?;
            let (&last, rest) = words.split_first()?;
            *words = rest;
            (last == ")").then_some(satisfied)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        licence => match **words {
            ["WITH", exception, ..] => {
                *words = &words[2..];
                Some(allowed.contains(&format!("{licence} WITH {exception}")))
            }
            _ => Some(allowed.contains(licence)),
        },
    }
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, Failure> {
    value[name]
        .as_array()
        .ok_or_else(|| format!("cargo metadata: no list `{name}`"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_when_some_choice_of_it_is() {
        let allowed =
            allow_list("[licenses]\nallow = [\n  \"MIT\", # \"X\"\n  \"ISC\",\n  \"A WITH B\",\n]\n[bans]").unwrap();
        assert_eq!(allowed.len(), 3);
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 / MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
            ("A WITH B", true),
            ("A", false),
            ("A WITH C OR ISC", true),
            ("", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT ISC", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn dependencies_are_followed_and_those_of_tests_are_not() {
        let package = |name: &str| serde_json::json!({"id": name, "name": name});
        let edge = |to: &str, kind: Value| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = serde_json::json!({
            "packages": (["a", "b", "c", "d"].map(package)),
            "resolve": {"nodes": [
                {"id": "a", "deps": [edge("b", Value::Null), edge("d", "dev".into())]},
                {"id": "b", "deps": [edge("c", "build".into()), edge("a", Value::Null)]},
                {"id": "c", "deps": []},
                {"id": "d", "deps": []},
            ]},
        });
        let reached = dependencies(&metadata, "a").unwrap();
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(dependencies(&metadata, "e").is_err());
    }
}
