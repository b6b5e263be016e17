//! The values that the other tests go through.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use konserve_core::record::Codec;
use konserve_core::value::{MAX_DEPTH, Tagged};
use konserve_core::{Instant, Keyword, Value};
use proptest::prelude::*;
use uuid::Uuid;

/// The codecs of this build.
pub(crate) fn codecs() -> Vec<Codec> {
    let all = [Codec::Cbor, Codec::Json, Codec::Bincode];
    all.into_iter()
        .filter(|codec| codec.check_available().is_ok())
        .collect()
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn keyword(text: &str) -> Value {
    Value::Keyword(text.parse().unwrap())
}

pub(crate) fn instant(nanos: i128) -> Value {
    Value::Instant(Instant::from_nanos(nanos).unwrap())
}

pub(crate) fn tagged(tag: &str, value: Value) -> Value {
    Value::Tagged(Box::new(Tagged::new(tag, value).unwrap()))
}

pub(crate) fn map<const N: usize>(entries: [(Value, Value); N]) -> Value {
    Value::Map(BTreeMap::from(entries))
}

pub(crate) fn set<const N: usize>(members: [Value; N]) -> Value {
    Value::Set(BTreeSet::from(members))
}

/// The earliest and the latest instant, found by halving.
fn extreme_instants() -> [i128; 2] {
    [-1, 1].map(|sign| {
        let (mut inside, mut outside) = (0_i128, 1_i128 << 100);
        while outside - inside > 1 {
            let middle = (inside + outside) / 2;
            match Instant::from_nanos(sign * middle) {
                Some(_) => inside = middle,
                None => outside = middle,
            }
        }
        sign * inside
    })
}

/// Values at the edges of every variant.
pub(crate) fn edges() -> Vec<Value> {
    let mut values = vec![Value::Null, Value::Bool(false), Value::Bool(true)];
    for integer in [
        0,
        1,
        23,
        24,
        255,
        256,
        65_535,
        65_536,
        1 << 32,
        i128::from(i64::MAX),
        i128::from(u64::MAX),
        1 << 64,
        i128::MAX,
        -1,
        -24,
        -25,
        -256,
        -257,
        i128::from(i64::MIN),
        -(1 << 64),
        -(1 << 64) - 1,
        i128::MIN,
        i128::MIN + 1,
    ] {
        values.push(Value::Integer(integer));
    }
    let quiet = f64::NAN.to_bits();
    for float in [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        1e300,
        1e-300,
        5e-324,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::EPSILON,
        9_007_199_254_740_993.0,
        1e21,
        f64::from_bits(quiet),
        f64::from_bits(quiet | 1 << 63),
        f64::from_bits(quiet | 0x1234),
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(0xfff0_0000_0000_0001),
    ] {
        values.push(Value::Float(float));
    }
    for string in [
        "",
        "a",
        "\0",
        "ünï",
        "🙂",
        "\u{10ffff}",
        "~",
        "~~",
        "~set",
        "~~set",
        "$serde_json::private::Number",
        "~$serde_json::private::Number",
        "$serde_json::private::RawValue",
        "a\"b\\c\n\u{7f}\u{2028}",
        ":not-a-keyword",
    ] {
        values.push(text(string));
        values.push(map([(text(string), text(string))]));
        values.push(map([(text(string), Value::Integer(1)), (text("other"), Value::Null)]));
        values.push(map([(text(string), text("5"))]));
    }
    for length in [0, 1, 2, 3, 23, 24, 255, 256, 65_536] {
        values.push(Value::Bytes(Bytes::from(vec![0xff; length])));
        values.push(text(&"x".repeat(length)));
        values.push(Value::List(vec![Value::Null; length]));
        values.push(Value::Set((0..length as i128).map(Value::Integer).collect()));
        values.push(Value::Map(
            (0..length as i128)
                .map(|key| (Value::Integer(key), Value::Null))
                .collect(),
        ));
    }
    for identifier in [":a", ":foo.bar/baz-1", ":größe", ":a/b"] {
        values.push(keyword(identifier));
        values.push(map([(keyword(identifier), Value::Null)]));
    }
    values.push(Value::Uuid(Uuid::nil()));
    values.push(Value::Uuid(Uuid::max()));
    for nanos in [
        0,
        1,
        -1,
        999_999_999,
        1_000_000_000,
        -1_000_000_000,
        1_700_000_000_123_456_789,
    ] {
        values.push(instant(nanos));
    }
    values.extend(extreme_instants().map(instant));
    values.push(map([]));
    values.push(set([set([]), map([]), Value::List(vec![])]));
    values.push(tagged("a/b", tagged("c", Value::Null)));
    values.push(map([(
        map([(Value::Null, Value::Null)]),
        set([Value::Float(f64::NAN), Value::Integer(1), Value::Float(1.0)]),
    )]));
    values.push(map([(Value::Bool(true), Value::Null), (text("a"), Value::Null)]));
    values
}

/// A value nested so many levels deep, of every kind of level.
pub(crate) fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |value, level| match level % 4 {
        0 => tagged("t", value),
        1 => set([value]),
        2 => map([(value, Value::Null)]),
        _ => Value::List(vec![value]),
    })
}

/// The deepest value that there is.
pub(crate) fn deepest() -> Value {
    nested(MAX_DEPTH)
}

/// Any value.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|integer| Value::Integer(integer.into())),
        any::<i128>().prop_map(Value::Integer),
        (-300_i128..300).prop_map(Value::Integer),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<f64>().prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        "[~$a-c]{0,3}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        "[a-z]{1,8}(/[a-z]{1,8})?".prop_map(|name| Value::Keyword(Keyword::new(&name).unwrap())),
        any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))),
        any::<i64>().prop_map(|nanos| instant(nanos.into())),
        (-60_000_000_000_i128..250_000_000_000).prop_map(|seconds| instant(seconds * 1_000_000_000)),
    ];
    scalar.prop_recursive(5, 60, 6, |inner| {
        let entry = (inner.clone(), inner.clone());
        let text_entry = ("[~a-z]{0,4}", inner.clone());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_set(inner.clone(), 0..6).prop_map(Value::Set),
            proptest::collection::vec(entry, 0..6).prop_map(|entries| Value::Map(entries.into_iter().collect())),
            proptest::collection::vec(text_entry, 0..6).prop_map(|entries| Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (Value::Text(key), value))
                    .collect()
            )),
            ("(x/)?[m-z]{1,4}", inner).prop_map(|(tag, value)| tagged(&tag, value)),
        ]
    })
}
