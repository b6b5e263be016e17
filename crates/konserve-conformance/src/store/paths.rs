//! Trials of the path table: `get_in`, `assoc_in`, `dissoc_in`.

use std::sync::Arc;

use konserve_core::{ErrorKind, Path, Value, path};

use super::{edn, store};
use crate::arena::Arena;
use crate::failure::{Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.get-in", &["S-PATH-1"], get_in),
        Trial::new("store.assoc-in", &["S-PATH-2"], assoc_in),
        Trial::new("store.assoc-in-where-no-path-leads", &["S-PATH-3"], assoc_in_refused),
        Trial::new(
            "store.assoc-in-conditions",
            &["S-ASSOC-2", "S-PATH-2"],
            assoc_in_conditions,
        ),
        Trial::new("store.dissoc-in", &["S-PATH-4"], dissoc_in),
    ]
}

/// The path of the key `doc` with the steps of a list in EDN.
fn at(steps: &str) -> Verdict<Path> {
    let mut path = path!["doc"];
    if let Value::List(steps) = edn(steps)? {
        steps.into_iter().for_each(|step| path.push(step));
    }
    Ok(path)
}

async fn get_in(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store
        .assoc("doc", &edn("{:a {:b [10 20 nil]}, :s #{1 2}, :n nil, 7 :seven}")?)
        .await?;
    for (steps, expected) in [
        ("[:a :b 0]", Some("10")),
        ("[:a :b 1]", Some("20")),
        ("[:a :b 2]", Some("nil")),
        ("[:a :b 3]", None),
        ("[:a :b -1]", None),
        ("[:a :b :x]", None),
        ("[:a :x]", None),
        ("[:a]", Some("{:b [10 20 nil]}")),
        ("[:s 1]", Some("1")),
        ("[:s 3]", None),
        ("[:n]", Some("nil")),
        ("[:n :x]", None),
        ("[7]", Some(":seven")),
        ("[7 :x]", None),
        ("[\"a\"]", None),
    ] {
        let expected = expected.map(edn).transpose()?;
        same!(store.get_in::<Value>(at(steps)?).await?, expected, "what is at {steps}");
    }
    Ok(())
}

async fn assoc_in(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for (before, steps, value, after) in [
        (None, "[:a :b]", "1", "{:a {:b 1}}"),
        (Some("nil"), "[:a]", "1", "{:a 1}"),
        (Some("{:a nil}"), "[:a :b]", "1", "{:a {:b 1}}"),
        (Some("{:a {:x 0}}"), "[:a :b]", "1", "{:a {:x 0, :b 1}}"),
        (Some("[1 2]"), "[0]", ":x", "[:x 2]"),
        (Some("[1 2]"), "[2]", ":x", "[1 2 :x]"),
        (Some("[[]]"), "[0 0]", "{}", "[[{}]]"),
        (Some("{:a 1}"), "[:a]", "nil", "{:a nil}"),
    ] {
        match before {
            Some(before) => drop(store.assoc("doc", &edn(before)?).await?),
            None => drop(store.dissoc("doc").await?),
        }
        store.assoc_in(at(steps)?, &edn(value)?).await?;
        let found = store.get::<Value>("doc").await?;
        same!(found, Some(edn(after)?), "{before:?} with {value} at {steps}");
    }
    Ok(())
}

async fn assoc_in_refused(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for (before, steps) in [
        ("1", "[:a]"),
        ("{:a 1}", "[:a :b]"),
        ("{:a \"text\"}", "[:a 0]"),
        ("#{1}", "[1]"),
        ("[1 2]", "[3]"),
        ("[1 2]", "[-1]"),
        ("[1 2]", "[:a]"),
        ("[1 2]", "[\"0\"]"),
    ] {
        let revision = store.assoc("doc", &edn(before)?).await?;
        let answer = store.assoc_in(at(steps)?, &1).await;
        let error = refused(ErrorKind::Path, &format!("{steps} into {before}"), answer)?;
        check!(!error.is_retryable(), "trying again cannot help: {error:?}");
        same!(
            store.get::<Value>("doc").await?,
            Some(edn(before)?),
            "what is there after {steps}"
        );
        let meta = store.get_meta("doc").await?;
        same!(
            meta.map(|meta| meta.revision),
            Some(revision),
            "the revision after {steps}"
        );
    }
    Ok(())
}

async fn assoc_in_conditions(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let first = store.assoc_in(at("[:a]")?, &1).if_absent().await?;
    store.assoc_in(at("[:b]")?, &2).if_absent().await?;
    let answer = store.assoc_in(at("[:a]")?, &3).if_absent().await;
    refused(ErrorKind::Conflict, "a path that is taken", answer)?;
    let answer = store.assoc_in(at("[:a]")?, &3).if_revision(first).await;
    refused(ErrorKind::Conflict, "an old revision", answer)?;
    same!(
        store.get::<Value>("doc").await?,
        Some(edn("{:a 1, :b 2}")?),
        "what is there"
    );
    Ok(())
}

async fn dissoc_in(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    for (before, steps, existed, after) in [
        ("{:a {:b 1, :c 2}}", "[:a :b]", true, "{:a {:c 2}}"),
        ("{:a {:b 1}}", "[:a :x]", false, "{:a {:b 1}}"),
        ("{:a 1}", "[:a :b]", false, "{:a 1}"),
        ("[1 2 3]", "[1]", true, "[1 3]"),
        ("[1 2 3]", "[3]", false, "[1 2 3]"),
        ("#{1 2}", "[1]", true, "#{2}"),
        ("{:a nil}", "[:a]", true, "{}"),
    ] {
        store.assoc("doc", &edn(before)?).await?;
        same!(
            store.dissoc_in(at(steps)?).await?,
            existed,
            "whether {steps} of {before} existed"
        );
        same!(
            store.get::<Value>("doc").await?,
            Some(edn(after)?),
            "{before} without {steps}"
        );
    }
    store.dissoc("doc").await?;
    check!(!store.dissoc_in(at("[:a]")?).await?, "a path of an absent key existed");
    check!(!store.exists("doc").await?, "a removal created a document");
    Ok(())
}
