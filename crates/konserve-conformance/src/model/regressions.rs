//! Sequences by name: that failed once, or that were the way to a defect that konserve had.
//!
//! A trial of this group that fails prints its steps as they stand here: they become the body of a function, the function a
//! line of the list.

use std::sync::Arc;

use konserve_core::Kind::*;
use konserve_core::Result;

use super::search::replay;
use super::step::Body::*;
use super::step::Call::*;
use super::step::Function::*;
use super::step::Handle::*;
use super::step::How::*;
use super::step::Life::*;
use super::step::Part::*;
use super::step::Size::*;
use super::step::When::*;
use super::step::{Setup, Step, edn, key, list, path, step, text};
use crate::arena::Arena;
use crate::trial::Trial;

type Sequence = Result<(Setup, Vec<Step>)>;

/// A sequence and its name.
type Named = (&'static str, fn() -> Sequence);

const ALL: [Named; 8] = [
    ("update-of-a-large-document", update_of_a_large_document),
    ("append-to-a-log-that-was-removed", append_to_a_log_that_was_removed),
    ("append-to-a-log-that-was-begun-again", append_to_a_log_that_was_begun_again),
    ("append-to-what-is-no-log-any-more", append_to_what_is_no_log_any_more),
    ("read-of-a-log-that-was-collected", read_of_a_log_that_was_collected),
    ("last-entries-of-a-short-log", last_entries_of_a_short_log),
    ("chunks-that-nothing-names", chunks_that_nothing_names),
    ("several-keys-some-of-them-absent", several_keys_some_of_them_absent),
];

pub(super) fn trials() -> Vec<Trial> {
    let trial = |(name, sequence): Named| {
        let run = move |arena: Arc<Arena>| async move {
            let (setup, steps) = sequence()?;
            replay(&arena, setup, steps).await
        };
        Trial::new(format!("model.regression-{name}"), &["S-MODEL-1"], run)
    };
    ALL.into_iter().map(trial).collect()
}

/// The revision of the new document was older than that of the row of its chunks, so every update was refused.
fn update_of_a_large_document() -> Sequence {
    let setup = Setup { tiny: true, json: false };
    let steps = vec![
        step(Second, Assoc { path: path("[:a]")?, value: text(Medium, 1), when: Always, fields: Some(1), life: Unsaid }),
        step(Second, Update { path: path("[:a]")?, function: Put(text(Medium, 2)), when: Always, fields: None, life: Unsaid }),
        step(First, Update { path: path("[:a]")?, function: Put(text(Medium, 3)), when: Own(0), fields: None, life: Unsaid }),
        step(Second, Get { path: path("[:a]")?, how: Consistent }),
        step(Second, Get { path: path("[:a]")?, how: Default }),
    ];
    Ok((setup, steps))
}

/// A writer that knew where the log ended wrote there when the log was gone, and the entry was acknowledged and lost.
fn append_to_a_log_that_was_removed() -> Sequence {
    let setup = Setup { tiny: false, json: false };
    let steps = vec![
        step(First, AppendAll { key: key(":a")?, entries: list([edn("0")?, edn("1")?]) }),
        step(Second, Dissoc { key: key(":a")?, when: Always }),
        step(First, Append { key: key(":a")?, entry: edn("2")? }),
        step(Second, ReadLog { key: key(":a")?, part: All, how: Consistent }),
        step(Second, Dissoc { key: key(":a")?, when: Always }),
        step(First, Wait { minutes: 200 }),
        step(Second, Collect),
        step(First, Append { key: key(":a")?, entry: edn("3")? }),
        step(First, ReadLog { key: key(":a")?, part: All, how: Consistent }),
    ];
    Ok((setup, steps))
}

/// An append that was overtaken by a removal came back in the log that was begun after it.
fn append_to_a_log_that_was_begun_again() -> Sequence {
    let setup = Setup { tiny: false, json: true };
    let steps = vec![
        step(First, AppendAll { key: key(":a")?, entries: list([edn("0")?, edn("1")?]) }),
        step(Second, Dissoc { key: key(":a")?, when: Always }),
        step(Second, Append { key: key(":a")?, entry: edn(":new")? }),
        step(First, Append { key: key(":a")?, entry: edn("2")? }),
        step(First, ReadLog { key: key(":a")?, part: Range(0, 9), how: Default }),
        step(Second, ReadLog { key: key(":a")?, part: All, how: Consistent }),
        step(First, Append { key: key(":a")?, entry: edn("3")? }),
        step(Second, ReduceLog { key: key(":a")?, how: Consistent }),
    ];
    Ok((setup, steps))
}

/// A writer, or a reader, that remembered a log took the document in its place for one.
fn append_to_what_is_no_log_any_more() -> Sequence {
    let setup = Setup { tiny: false, json: false };
    let steps = vec![
        step(First, Append { key: key(":a")?, entry: edn("0")? }),
        step(Second, Dissoc { key: key(":a")?, when: Always }),
        step(Second, Bassoc { key: key(":a")?, body: Pieces(Medium, 1, 7), when: Absent, fields: None, life: Unsaid }),
        step(First, Append { key: key(":a")?, entry: edn("1")? }),
        step(First, ReadLog { key: key(":a")?, part: All, how: Default }),
        step(First, ReadLog { key: key(":a")?, part: Last(1), how: Consistent }),
        step(First, Keys { kind: Some(Log), how: Consistent }),
        step(First, Keys { kind: Some(Binary), how: Consistent }),
    ];
    Ok((setup, steps))
}

/// A reader of a log whose rows were collected came to its end too early, and without an error.
fn read_of_a_log_that_was_collected() -> Sequence {
    let setup = Setup { tiny: true, json: false };
    let steps = vec![
        step(First, Append { key: key(":a")?, entry: text(Medium, 1) }),
        step(Second, AppendAll { key: key(":a")?, entries: list([text(Medium, 2), edn("nil")?]) }),
        step(First, ReadLog { key: key(":a")?, part: All, how: Default }),
        step(Second, Dissoc { key: key(":a")?, when: Always }),
        step(First, ReadLog { key: key(":a")?, part: All, how: Default }),
        step(Second, Wait { minutes: 200 }),
        step(Second, Collect),
        step(Second, Collect),
        step(First, ReadLog { key: key(":a")?, part: All, how: Default }),
        step(First, ReadLog { key: key(":a")?, part: All, how: Consistent }),
    ];
    Ok((setup, steps))
}

/// The last entries of a log that has fewer began before it, in a read that may lag.
fn last_entries_of_a_short_log() -> Sequence {
    let setup = Setup { tiny: false, json: false };
    let steps = vec![
        step(First, Append { key: key(":a")?, entry: edn("0")? }),
        step(First, AppendAll { key: key(":a")?, entries: list([edn("1")?, edn("2")?, edn("3")?]) }),
        step(First, ReadLog { key: key(":a")?, part: Last(7), how: Default }),
        step(Second, ReadLog { key: key(":a")?, part: Last(7), how: Default }),
        step(Second, ReadLog { key: key(":a")?, part: Last(2), how: Consistent }),
        step(Second, ReadLog { key: key(":a")?, part: Last(0), how: Consistent }),
        step(First, ReadLog { key: key(":b")?, part: Last(1), how: Consistent }),
    ];
    Ok((setup, steps))
}

/// Whatever replaces a large value, a collector finds the chunks, and only those.
fn chunks_that_nothing_names() -> Sequence {
    let setup = Setup { tiny: true, json: true };
    let steps = vec![
        step(Second, Assoc { path: path("[:a]")?, value: text(Medium, 1), when: Always, fields: None, life: Unsaid }),
        step(Second, Bassoc { key: key(":a")?, body: Bytes(Exactly(1025), 2), when: Own(0), fields: Some(2), life: Unsaid }),
        step(Second, Bassoc { key: key(":b")?, body: Broken(1400), when: Always, fields: None, life: Unsaid }),
        step(Second, Assoc { path: path("[:a]")?, value: text(Medium, 3), when: Own(1), fields: None, life: Unsaid }),
        step(First, Bget { key: key(":a")?, range: Some((1000, 1030)), how: Consistent }),
        step(First, MultiAssoc { pairs: list([(key(":a")?, edn("1")?), (key(":c")?, edn("{}")?)]), fields: None, life: Unsaid }),
        step(Second, Append { key: key(":d")?, entry: text(Medium, 4) }),
        step(First, Wait { minutes: 200 }),
        step(First, Collect),
        step(First, Collect),
        step(First, Restart),
        step(Second, ReadLog { key: key(":d")?, part: All, how: Consistent }),
    ];
    Ok((setup, steps))
}

/// What `multi_dissoc` says of keys that are absent, with what takes chunks beside them.
fn several_keys_some_of_them_absent() -> Sequence {
    let setup = Setup { tiny: true, json: false };
    let steps = vec![
        step(Second, MultiAssoc { pairs: list([(key(":a")?, text(Medium, 1)), (key(":b")?, edn("1")?)]), fields: Some(1), life: Unsaid }),
        step(First, MultiDissoc { keys: list([key(":a")?, key(":c")?]) }),
        step(First, MultiDissoc { keys: list([key(":a")?, key(":c")?]) }),
        step(Second, MultiGet { keys: list([key(":a")?, key(":b")?]), how: Consistent }),
        step(Second, Append { key: key(":c")?, entry: edn("0")? }),
        step(First, MultiDissoc { keys: list([key(":b")?, key(":c")?]) }),
        step(First, MultiAssoc { pairs: list([(key(":b")?, edn("2")?), (key(":c")?, edn("2")?)]), fields: None, life: Unsaid }),
        step(First, MultiAssoc { pairs: list([(key(":b")?, edn("2")?), (key(":b")?, edn("3")?)]), fields: None, life: Unsaid }),
    ];
    Ok((setup, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without what a formatter may change.
    fn plain(text: &str) -> String {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        text.replace(",}", "}").replace(",]", "]").replace(",)", ")")
    }

    #[test]
    fn what_a_failure_prints_is_what_stands_here() {
        let source = plain(include_str!("regressions.rs"));
        for (_, sequence) in ALL {
            let (setup, steps) = sequence().unwrap();
            for shown in steps.iter().map(|step| format!("{step:?}")).chain([format!("{setup:?}")]) {
                assert!(source.contains(&plain(&shown)), "{shown}");
            }
        }
    }
}
