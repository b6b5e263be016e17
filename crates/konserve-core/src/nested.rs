//! Paths into documents: what a read, a write and a removal do at each step.
//!
//! Pure functions over [`Value`]; stores, keys and revisions do not belong here.
//!
//! | case | result |
//! |---|---|
//! | read: path absent, step through a scalar | `None` |
//! | read: stored null | `Some(Null)` |
//! | read: step on a list | integer index, else `None`; on a set: the member, else `None` |
//! | write: missing level, or null on the way | a map is created |
//! | write: list index < len / = len / > len or negative | replaces / appends / error `path` |
//! | write: non-integer step on a list, any step into a scalar or set | error `path` |
//! | remove: map entry, list item, set member | gone; later list items move down |
//! | remove: path absent, step through a scalar | `false` |

use std::fmt::{self, Display, Formatter};

use crate::value::{MAX_DEPTH, Map, write_list};
use crate::{Error, ErrorKind, Result, Value};

/// What the steps lead to. No steps lead to the document itself.
pub fn read<'a>(document: &'a Value, steps: &[Value]) -> Option<&'a Value> {
    steps.iter().try_fold(document, |here, step| match here {
        Value::Map(map) => map.get(step),
        Value::List(items) => items.get(index(step, items.len())?),
        Value::Set(members) => members.get(step),
        _ => None,
    })
}

/// The document with `leaf` where the steps lead; what is missing on the way becomes maps. No steps replace the document.
///
/// In place: what lies beside the path is neither copied nor looked at.
///
/// # Errors
///
/// `path` when the path cannot be followed, or the leaf would lie more than [`MAX_DEPTH`] levels deep; the document is
/// dropped then.
pub fn write(document: Option<Value>, steps: &[Value], leaf: Value) -> Result<Value> {
    let deepest = MAX_DEPTH.checked_sub(steps.len());
    let key_depth = |depth: usize| MAX_DEPTH - depth - 1;
    if deepest.is_none_or(|levels| !leaf.fits_depth(levels))
        || (steps.iter().enumerate()).any(|(depth, step)| !step.fits_depth(key_depth(depth)))
    {
        let message = format!("the path and the value together have more than {MAX_DEPTH} levels");
        return Err(Error::new(ErrorKind::Path, message));
    }
    let mut document = document.unwrap_or_default();
    let mut here = &mut document;
    for (depth, step) in steps.iter().enumerate() {
        if here.is_null() {
            *here = Value::Map(Map::new());
        }
        here = match here {
            Value::Map(map) => map.entry(step.clone()).or_default(),
            Value::List(items) => {
                let len = items.len();
                match index(step, len + 1) {
                    Some(index) => {
                        if index == len {
                            items.push(Value::Null);
                        }
                        &mut items[index]
                    }
                    None if step.as_integer().is_some() => {
                        let found = format!("the index is out of range of a list of {len}");
                        return Err(impassable(&steps[..=depth], &found));
                    }
                    None => {
                        let found = format!("a list has integer indices, found {} as step", step.type_name());
                        return Err(impassable(&steps[..=depth], &found));
                    }
                }
            }
            other => {
                let found = format!("no step can be written into {}", other.type_name());
                return Err(impassable(&steps[..=depth], &found));
            }
        };
    }
    *here = leaf;
    Ok(document)
}

/// Removes what the steps lead to, and tells whether there was anything; if not, nothing is changed.
///
/// Without steps there is nothing to remove it from: `false`. Removing from inside a member of a set replaces the member.
pub fn remove(document: &mut Value, steps: &[Value]) -> bool {
    let Some((step, deeper)) = steps.split_first() else {
        return false;
    };
    let last = deeper.is_empty();
    match document {
        Value::Map(map) if last => map.remove(step).is_some(),
        Value::Map(map) => map.get_mut(step).is_some_and(|value| remove(value, deeper)),
        Value::List(items) => match index(step, items.len()) {
            Some(index) if last => {
                items.remove(index);
                true
            }
            Some(index) => remove(&mut items[index], deeper),
            None => false,
        },
        Value::Set(members) if last => members.remove(step),
        Value::Set(members) => match members.take(step) {
            Some(mut member) => {
                let removed = remove(&mut member, deeper);
                members.insert(member);
                removed
            }
            None => false,
        },
        _ => false,
    }
}

/// The step as an index below `len`.
fn index(step: &Value, len: usize) -> Option<usize> {
    let index = usize::try_from(step.as_integer()?).ok()?;
    (index < len).then_some(index)
}

/// The error at the last of these steps.
fn impassable(steps: &[Value], found: &str) -> Error {
    Error::new(ErrorKind::Path, format!("at {}: {found}", Steps(steps)))
}

/// The text of steps.
struct Steps<'a>(&'a [Value]);

impl Display for Steps<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_list(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::arbitrary::{documents, steps, values};

    fn edn(text: &str) -> Value {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn path(text: &str) -> Vec<Value> {
        edn(text).as_list().unwrap().clone()
    }

    #[test]
    fn reading_follows_the_table() {
        for (document, steps, found) in [
            ("{:a 1}", "[]", Some("{:a 1}")),
            ("{:a {:b 2}}", "[:a :b]", Some("2")),
            ("{:a {:b 2}}", "[:a \"b\"]", None),
            ("{:a nil}", "[:a]", Some("nil")),
            ("{:a nil}", "[:a :b]", None),
            ("{1 :int}", "[1.0]", None),
            ("{[1 2] {nil 3}}", "[[1 2] nil]", Some("3")),
            ("5", "[:a]", None),
            ("\"text\"", "[0]", None),
            ("#t {:a 1}", "[:a]", None),
            ("[10 20]", "[1]", Some("20")),
            ("[10 20]", "[2]", None),
            ("[10 20]", "[-1]", None),
            ("[10 20]", "[1.0]", None),
            ("[10 20]", "[:a]", None),
            ("[10]", "[170141183460469231731687303715884105727]", None),
            ("#{:x 2}", "[:x]", Some(":x")),
            ("#{:x 2}", "[:y]", None),
            ("#{{:x 2}}", "[{:x 2} :x]", Some("2")),
        ] {
            let document = edn(document);
            let result = read(&document, &path(steps)).map(Value::to_string);
            assert_eq!(result.as_deref(), found, "{document} {steps}");
        }
    }

    #[test]
    fn writing_follows_the_table() {
        for (document, steps, result) in [
            ("nil", "[]", "9"),
            ("{:a 1}", "[]", "9"),
            ("nil", "[:a]", "{:a 9}"),
            ("nil", "[:a 0]", "{:a {0 9}}"),
            ("{:a nil}", "[:a :b]", "{:a {:b 9}}"),
            ("{:a {:b 1, :c 2}}", "[:a :b]", "{:a {:b 9, :c 2}}"),
            ("[1 2]", "[0]", "[9 2]"),
            ("[1 2]", "[2]", "[1 2 9]"),
            ("[1 2]", "[2 :x]", "[1 2 {:x 9}]"),
            ("[]", "[0 0]", "[{0 9}]"),
            ("[1 2]", "[3]", "at [3]: the index is out of range of a list of 2"),
            (
                "{:a [1]}",
                "[:a -1 :b]",
                "at [:a -1]: the index is out of range of a list of 1",
            ),
            (
                "[]",
                "[-170141183460469231731687303715884105728]",
                "at [-170141183460469231731687303715884105728]: the index is out of range of a list of 0",
            ),
            (
                "[1]",
                "[1.0]",
                "at [1.0]: a list has integer indices, found float as step",
            ),
            (
                "[1]",
                "[:k]",
                "at [:k]: a list has integer indices, found keyword as step",
            ),
            (
                "{:a false}",
                "[:a :b]",
                "at [:a :b]: no step can be written into boolean",
            ),
            ("{:a \"x\"}", "[:a 0 :c]", "at [:a 0]: no step can be written into text"),
            ("#{1}", "[1]", "at [1]: no step can be written into set"),
            ("#t {}", "[1]", "at [1]: no step can be written into tagged"),
        ] {
            let written = match write(Some(edn(document)), &path(steps), Value::from(9)) {
                Ok(written) => written.to_string(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Path);
                    error.to_string()
                }
            };
            assert_eq!(written, result, "{document} {steps}");
        }
        assert_eq!(write(None, &path("[:a]"), Value::Null).unwrap(), edn("{:a nil}"));
    }

    #[test]
    fn removing_follows_the_table() {
        for (document, steps, removed, left) in [
            ("{:a 1}", "[]", false, "{:a 1}"),
            ("{:a 1}", "[:a]", true, "{}"),
            ("{:a nil}", "[:a]", true, "{}"),
            ("{:a 1}", "[:b]", false, "{:a 1}"),
            ("{:a {:b 1}}", "[:a :b]", true, "{:a {}}"),
            ("{:a 1}", "[:a :b]", false, "{:a 1}"),
            ("{:a nil}", "[:a :b]", false, "{:a nil}"),
            ("[1 2 3]", "[0]", true, "[2 3]"),
            ("[1 2 3]", "[3]", false, "[1 2 3]"),
            ("[1 2 3]", "[-1]", false, "[1 2 3]"),
            ("[1 2 3]", "[:a]", false, "[1 2 3]"),
            ("[[1 2]]", "[0 1]", true, "[[1]]"),
            ("#{1 2}", "[1]", true, "#{2}"),
            ("#{1 2}", "[3]", false, "#{1 2}"),
            ("#{{:a 1}}", "[{:a 1} :a]", true, "#{{}}"),
            ("#{{:a 1}}", "[{:a 1} :b]", false, "#{{:a 1}}"),
            ("5", "[:a]", false, "5"),
        ] {
            let mut value = edn(document);
            assert_eq!(remove(&mut value, &path(steps)), removed, "{document} {steps}");
            assert_eq!(value.to_string(), left, "{document} {steps}");
        }
    }

    /// Every path that leads somewhere in a value.
    fn all_paths(value: &Value) -> Vec<Vec<Value>> {
        let inside: Vec<(Value, &Value)> = match value {
            Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (index.into(), item))
                .collect(),
            Value::Set(members) => members.iter().map(|member| (member.clone(), member)).collect(),
            _ => Vec::new(),
        };
        let mut paths = vec![Vec::new()];
        for (step, value) in inside {
            paths.extend(all_paths(value).into_iter().map(|rest| {
                let mut path = vec![step.clone()];
                path.extend(rest);
                path
            }));
        }
        paths
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_written_is_read_and_nothing_beside_it_changes(
            document in documents(), steps in steps(), leaf in values(),
        ) {
            if let Ok(written) = write(Some(document.clone()), &steps, leaf.clone()) {
                prop_assert_eq!(read(&written, &steps), Some(&leaf));
                for path in all_paths(&document) {
                    if !path.starts_with(&steps) && !steps.starts_with(&path) {
                        prop_assert_eq!(read(&written, &path), read(&document, &path));
                    }
                }
                prop_assert_eq!(write(Some(written.clone()), &steps, leaf).unwrap(), written);
            } else {
                prop_assert!(!steps.is_empty());
            }
        }

        #[test]
        fn what_is_read_can_be_written_back(document in documents()) {
            for path in all_paths(&document) {
                let leaf = read(&document, &path).cloned().expect("the path was found in it");
                if let Ok(written) = write(Some(document.clone()), &path, leaf) {
                    prop_assert_eq!(&written, &document);
                }
            }
        }

        #[test]
        fn what_is_removed_was_there_and_is_gone(document in documents(), steps in steps()) {
            let mut left = document.clone();
            let removed = remove(&mut left, &steps);
            prop_assert_eq!(removed, !steps.is_empty() && read(&document, &steps).is_some());
            if !removed {
                prop_assert_eq!(left, document);
            } else {
                prop_assert_ne!(&left, &document);
                let in_list = matches!(read(&document, &steps[..steps.len() - 1]), Some(Value::List(_)));
                if !in_list {
                    prop_assert_eq!(read(&left, &steps), None);
                }
            }
        }

        #[test]
        fn removing_what_a_write_appended_restores_the_document(document in documents(), leaf in values()) {
            for mut path in all_paths(&document) {
                let Some(Value::List(items)) = read(&document, &path) else { continue };
                path.push(items.len().into());
                let Ok(mut written) = write(Some(document.clone()), &path, leaf.clone()) else { continue };
                prop_assert!(remove(&mut written, &path));
                prop_assert_eq!(&written, &document);
            }
        }
    }
}
