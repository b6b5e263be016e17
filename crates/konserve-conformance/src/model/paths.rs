//! What a path reads, writes and removes, written down once more: the table of paths is a promise to be tested, so nothing
//! here calls what konserve does for it.

use konserve_core::Value;
use konserve_core::value::Map;

/// What the steps lead to. No steps lead to the value itself.
pub(super) fn look(value: &Value, steps: &[Value]) -> Option<Value> {
    let [step, deeper @ ..] = steps else {
        return Some(value.clone());
    };
    let inside = match value {
        Value::Map(map) => map.iter().find(|(key, _)| *key == step).map(|(_, value)| value)?,
        Value::List(items) => items.iter().enumerate().find(|(at, _)| is_index(step, *at))?.1,
        Value::Set(members) => members.iter().find(|member| *member == step)?,
        _ => return None,
    };
    look(inside, deeper)
}

/// The value with `leaf` where the steps lead; `None` where they cannot be followed.
pub(super) fn put(value: Option<&Value>, steps: &[Value], leaf: &Value) -> Option<Value> {
    let [step, deeper @ ..] = steps else {
        return Some(leaf.clone());
    };
    match value {
        None | Some(Value::Null) => Some(Value::Map(Map::from([(step.clone(), put(None, deeper, leaf)?)]))),
        Some(Value::Map(map)) => {
            let mut map = map.clone();
            let inside = put(map.get(step), deeper, leaf)?;
            map.insert(step.clone(), inside);
            Some(Value::Map(map))
        }
        Some(Value::List(items)) => {
            let at = (0..=items.len()).find(|at| is_index(step, *at))?;
            let inside = put(items.get(at), deeper, leaf)?;
            let (before, after) = items.split_at(at);
            let rest = after.iter().skip(1).cloned();
            Some(before.iter().cloned().chain([inside]).chain(rest).collect())
        }
        Some(_) => None,
    }
}

/// The value without what the steps, at least one, lead to; `None` where they lead nowhere.
pub(super) fn without(value: &Value, steps: &[Value]) -> Option<Value> {
    let (last, above) = steps.split_last()?;
    let around = look(value, above)?;
    let left = match around {
        Value::Map(mut map) => {
            map.remove(last)?;
            Value::Map(map)
        }
        Value::List(mut items) => {
            let at = (0..items.len()).find(|at| is_index(last, *at))?;
            items.remove(at);
            Value::List(items)
        }
        Value::Set(mut members) => {
            if !members.remove(last) {
                return None;
            }
            Value::Set(members)
        }
        _ => return None,
    };
    Some(exchange(value, above, &left))
}

/// The value with another one in the place of what is there already, sets included.
fn exchange(value: &Value, steps: &[Value], by: &Value) -> Value {
    let [step, deeper @ ..] = steps else {
        return by.clone();
    };
    match value {
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(key, inside)| match key == step {
                    true => (key.clone(), exchange(inside, deeper, by)),
                    false => (key.clone(), inside.clone()),
                })
                .collect(),
        ),
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(at, inside)| match is_index(step, at) {
                true => exchange(inside, deeper, by),
                false => inside.clone(),
            })
            .collect(),
        Value::Set(members) => Value::Set(
            members
                .iter()
                .map(|member| match member == step {
                    true => exchange(member, deeper, by),
                    false => member.clone(),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn is_index(step: &Value, at: usize) -> bool {
    matches!(step, Value::Integer(index) if *index == at as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edn(text: &str) -> Value {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn steps(text: &str) -> Vec<Value> {
        edn(text).as_list().unwrap().clone()
    }

    #[test]
    fn reads_follow_the_table() {
        for (value, path, found) in [
            ("{:a 1}", "[:b]", None),                  // path absent
            ("{:a 1}", "[:a :b]", None),               // step through a scalar
            ("{:a nil}", "[:a]", Some("nil")),         // stored null
            ("{:a nil}", "[:a :b]", None),             // step through null
            ("[10 20]", "[1]", Some("20")),            // integer index of a list
            ("[10 20]", "[2]", None),                  // out of range
            ("[10 20]", "[-1]", None),                 // negative
            ("[10 20]", "[1.0]", None),                // not an integer
            ("[10 20]", "[:a]", None),                 // not an integer
            ("#{1 :x}", "[:x]", Some(":x")),           // member of a set
            ("#{1 :x}", "[:y]", None),                 // no member of a set
            ("#{[7 8]}", "[[7 8] 1]", Some("8")),      // through a member
            ("{[1] {nil 3}}", "[[1] nil]", Some("3")), // any value as a step
            ("{\"a\" 1}", "[:a]", None),               // a keyword is no text
            ("5", "[]", Some("5")),                    // no steps
        ] {
            assert_eq!(look(&edn(value), &steps(path)), found.map(edn), "{path} of {value}");
        }
    }

    #[test]
    fn writes_follow_the_table() {
        for (value, path, after) in [
            (None, "[:a :b]", Some("{:a {:b 9}}")), // missing levels become maps
            (None, "[0]", Some("{0 9}")),           // also below an integer step
            (Some("nil"), "[:a]", Some("{:a 9}")),  // null on the way becomes a map
            (Some("{:a nil}"), "[:a :b]", Some("{:a {:b 9}}")),
            (Some("{:a {:b 1 :c 2}}"), "[:a :b]", Some("{:a {:b 9 :c 2}}")),
            (Some("[1 2]"), "[0]", Some("[9 2]")),   // index < len replaces
            (Some("[1 2]"), "[2]", Some("[1 2 9]")), // index = len appends
            (Some("[1 2]"), "[2 :x]", Some("[1 2 {:x 9}]")),
            (Some("[1 2]"), "[3]", None),      // index > len
            (Some("[1 2]"), "[-1]", None),     // negative
            (Some("[1 2]"), "[:a]", None),     // not an integer
            (Some("[1 2]"), "[1 :a]", None),   // into a scalar
            (Some("{:a 1}"), "[:a :b]", None), // into a scalar
            (Some("{:a \"text\"}"), "[:a 0]", None),
            (Some("#{1}"), "[1]", None),       // into a set
            (Some("{:a 1}"), "[]", Some("9")), // no steps
        ] {
            let value = value.map(edn);
            let put = put(value.as_ref(), &steps(path), &edn("9"));
            assert_eq!(put, after.map(edn), "9 at {path} of {value:?}");
        }
    }

    #[test]
    fn removals_follow_the_table() {
        for (value, path, after) in [
            ("{:a 1 :b 2}", "[:a]", Some("{:b 2}")),
            ("{:a nil}", "[:a]", Some("{}")),
            ("{:a 1}", "[:b]", None),
            ("{:a 1}", "[:a :b]", None),
            ("{:a {:b 1 :c 2}}", "[:a :b]", Some("{:a {:c 2}}")),
            ("[1 2 3]", "[1]", Some("[1 3]")), // later elements move down
            ("[1 2 3]", "[3]", None),
            ("[1 2 3]", "[-1]", None),
            ("[[1 2]]", "[0 1]", Some("[[1]]")),
            ("#{1 2}", "[1]", Some("#{2}")),
            ("#{1 2}", "[3]", None),
            ("#{{:a 1}}", "[{:a 1} :a]", Some("#{{}}")), // inside a member of a set
            ("#{{:a 1} {}}", "[{:a 1} :a]", Some("#{{}}")),
            ("5", "[:a]", None),
        ] {
            assert_eq!(
                without(&edn(value), &steps(path)),
                after.map(edn),
                "{value} without {path}"
            );
        }
    }
}
