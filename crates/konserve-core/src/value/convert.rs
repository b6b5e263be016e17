//! Values from what Rust programs hold.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use super::{Keyword, Tagged, Value};
use crate::Instant;

macro_rules! from {
    ($($type:ty, $it:ident => $value:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($it: $type) -> Self {
                $value
            }
        }
    )*};
}

// `u128` is missing on purpose: not every one fits.
from! {
    (), _unit => Self::Null;
    bool, it => Self::Bool(it);
    i8, it => Self::Integer(it.into());
    i16, it => Self::Integer(it.into());
    i32, it => Self::Integer(it.into());
    i64, it => Self::Integer(it.into());
    i128, it => Self::Integer(it);
    isize, it => Self::Integer(it as i128);
    u8, it => Self::Integer(it.into());
    u16, it => Self::Integer(it.into());
    u32, it => Self::Integer(it.into());
    u64, it => Self::Integer(it.into());
    usize, it => Self::Integer(it as i128);
    f32, it => Self::Float(it.into());
    f64, it => Self::Float(it);
    char, it => Self::Text(it.into());
    &str, it => Self::Text(it.into());
    &String, it => Self::Text(it.clone());
    String, it => Self::Text(it);
    Box<str>, it => Self::Text(it.into());
    Cow<'_, str>, it => Self::Text(it.into_owned());
    &[u8], it => Self::Bytes(Bytes::copy_from_slice(it));
    Bytes, it => Self::Bytes(it);
    Keyword, it => Self::Keyword(it);
    Uuid, it => Self::Uuid(it);
    Instant, it => Self::Instant(it);
    SystemTime, it => Self::Instant(it.into());
    Tagged, it => Self::Tagged(Box::new(it));
    &Value, it => it.clone();
}

impl<T: Into<Value>> From<Option<T>> for Value {
    /// `None` is null.
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    /// A list, also of bytes; byte strings are made of [`Bytes`] or `&[u8]`.
    fn from(it: Vec<T>) -> Self {
        it.into_iter().collect()
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(it: [T; N]) -> Self {
        it.into_iter().collect()
    }
}

impl<T: Into<Value>> From<BTreeSet<T>> for Value {
    fn from(it: BTreeSet<T>) -> Self {
        Self::Set(it.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>> From<BTreeMap<K, V>> for Value {
    fn from(it: BTreeMap<K, V>) -> Self {
        it.into_iter().collect()
    }
}

impl<K: Into<Value>, V: Into<Value>, S> From<HashMap<K, V, S>> for Value {
    fn from(it: HashMap<K, V, S>) -> Self {
        it.into_iter().collect()
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    /// A list.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Value {
    /// A map; of two equal keys, the later one counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        Self::Map(entries.map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kw;

    #[test]
    fn what_programs_hold_becomes_the_value_it_stands_for() {
        for (value, text) in [
            (Value::from(()), "nil"),
            (Value::from(None::<u8>), "nil"),
            (Value::from(Some("a")), "\"a\""),
            (Value::from(usize::MAX), "18446744073709551615"),
            (Value::from(-1isize), "-1"),
            (Value::from(0.5f32), "0.5"),
            (Value::from('a'), "\"a\""),
            (Value::from(&[0u8, 1][..]), "#bytes \"AAE=\""),
            (Value::from(vec![0u8, 1]), "[0 1]"),
            (Value::from(BTreeSet::from([2, 1])), "#{1 2}"),
            (Value::from(HashMap::from([("a", 1)])), "{\"a\" 1}"),
            (Value::from(BTreeMap::from([(kw!("a"), [1.0])])), "{:a [1.0]}"),
            (Value::from_iter([(1, "x"), (1, "y")]), "{1 \"y\"}"),
            (Value::from(SystemTime::UNIX_EPOCH), "#inst \"1970-01-01T00:00:00Z\""),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
