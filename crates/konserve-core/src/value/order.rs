//! The total order of values, and the equality and hash that agree with it.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::Value;

impl Ord for Value {
    /// By kind in the order of the variants, then by content. Floats compare by [`f64::total_cmp`], so `-0.0` is below
    /// `0.0`, and a NaN equals itself; no float equals an integer.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (Self::Set(a), Self::Set(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            (Self::Keyword(a), Self::Keyword(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            (Self::Tagged(a), Self::Tagged(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        rank(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(it) => it.hash(state),
            Self::Integer(it) => it.hash(state),
            Self::Float(it) => it.to_bits().hash(state),
            Self::Text(it) => it.hash(state),
            Self::Bytes(it) => it.hash(state),
            Self::List(it) => it.hash(state),
            Self::Set(it) => it.hash(state),
            Self::Map(it) => it.hash(state),
            Self::Keyword(it) => it.hash(state),
            Self::Uuid(it) => it.hash(state),
            Self::Instant(it) => it.hash(state),
            Self::Tagged(it) => it.hash(state),
        }
    }
}

/// The place of a kind among the kinds.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Integer(_) => 2,
        Value::Float(_) => 3,
        Value::Text(_) => 4,
        Value::Bytes(_) => 5,
        Value::List(_) => 6,
        Value::Set(_) => 7,
        Value::Map(_) => 8,
        Value::Keyword(_) => 9,
        Value::Uuid(_) => 10,
        Value::Instant(_) => 11,
        Value::Tagged(_) => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kw;

    #[test]
    fn kinds_and_numbers_are_ordered_totally() {
        let nan = Value::Float(f64::NAN);
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Integer(i128::MIN),
            Value::Integer(1),
            Value::Float(-f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(-0.0),
            Value::Float(0.0),
            Value::Float(1.0),
            Value::Float(f64::INFINITY),
            nan.clone(),
            Value::from("a"),
            Value::from("b"),
            Value::Bytes(bytes::Bytes::new()),
            Value::from([1]),
            Value::from([1, 1]),
            Value::from([2]),
            Value::from(kw!("a")),
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0] < pair[1], "{} < {}", pair[0], pair[1]);
        }
        assert_eq!(nan, nan.clone());
        assert_ne!(Value::from(1), Value::from(1.0));
    }
}
