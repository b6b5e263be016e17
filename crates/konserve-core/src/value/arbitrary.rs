//! Arbitrary values, keys and paths for property tests (`proptest`).

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Keyword, Tagged, Value};
use crate::{Instant, Key, Path};

/// Any value, scalars above all, nested up to four levels deep.
pub fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            3 => vec(inner.clone(), 0..6).prop_map(Value::List),
            3 => btree_map(inner.clone(), inner.clone(), 0..6).prop_map(Value::Map),
            2 => btree_map(small_steps(), inner.clone(), 0..6).prop_map(Value::Map),
            1 => btree_set(inner.clone(), 0..6).prop_map(Value::Set),
            1 => (tags(), inner).prop_map(|(tag, value)| tagged(tag, value)),
        ]
    })
}

/// Any value without parts.
pub fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        integers().prop_map(Value::Integer),
        floats().prop_map(Value::Float),
        texts().prop_map(Value::Text),
        vec(any::<u8>(), 0..40).prop_map(|it| Value::Bytes(Bytes::from(it))),
        keywords().prop_map(Value::Keyword),
        any::<u128>().prop_map(|it| Value::Uuid(Uuid::from_u128(it))),
        instants().prop_map(Value::Instant),
    ]
}

/// Documents that paths lead far into: maps and lists above all, with few different keys.
pub fn documents() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 0..5).prop_map(Value::List),
            4 => btree_map(small_steps(), inner.clone(), 0..5).prop_map(Value::Map),
            1 => btree_set(prop_oneof![small_steps(), inner], 0..5).prop_map(Value::Set),
        ]
    })
}

/// Steps that often lead somewhere in [`documents`].
pub fn steps() -> impl Strategy<Value = Vec<Value>> {
    vec(small_steps(), 0..5)
}

/// Any keyword.
pub fn keywords() -> impl Strategy<Value = Keyword> {
    let text = r"[a-zA-Z0-9.*+!_?$%&=<>ß語-][a-zA-Z0-9.*+!_?$%&=<>:#ß語-]{0,6}";
    let text = (proptest::option::of(text), text).prop_map(|(namespace, name)| match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    });
    text.prop_filter_map("a keyword", |text| Keyword::new(&text).ok())
}

/// Any instant.
pub fn instants() -> impl Strategy<Value = Instant> {
    let (first, last) = (Instant::from_millis(i64::MIN), Instant::from_millis(i64::MAX));
    let nanos = prop_oneof![
        first.as_nanos()..=last.as_nanos(),
        (-2..=2i128),
        (0..4i128).prop_map(|it| it * 1_000_000)
    ];
    nanos.prop_filter_map("in range", Instant::from_nanos)
}

/// Any key.
pub fn keys() -> impl Strategy<Value = Key> {
    prop_oneof![
        texts().prop_map(Key::from),
        keywords().prop_map(Key::from),
        values().prop_map(Key::from)
    ]
}

/// Any path.
pub fn paths() -> impl Strategy<Value = Path> {
    (keys(), vec(scalars(), 0..4)).prop_map(|(key, steps)| steps.into_iter().fold(Path::new(key), Path::join))
}

impl Arbitrary for Value {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        values().boxed()
    }
}

impl Arbitrary for Key {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        keys().boxed()
    }
}

impl Arbitrary for Path {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        paths().boxed()
    }
}

/// Integers of every size, and the ends of the types that they come in.
fn integers() -> impl Strategy<Value = i128> {
    let ends = vec![
        i128::MIN,
        i128::MAX,
        i64::MIN.into(),
        i64::MAX.into(),
        i128::from(i64::MIN) - 1,
        u64::MAX.into(),
        i128::from(u64::MAX) + 1,
    ];
    prop_oneof![
        -300..300i128,
        any::<i64>().prop_map(i128::from),
        any::<i128>(),
        proptest::sample::select(ends)
    ]
}

/// Every bit pattern, and the special ones often.
fn floats() -> impl Strategy<Value = f64> {
    let special = vec![
        0.0,
        -0.0,
        1.0,
        1e16,
        1e-7,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<f64>(),
        proptest::sample::select(special)
    ]
}

/// Texts with everything that needs care somewhere.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        "\\PC{0,12}",
        any::<String>(),
        "[\"\\\\\n\r\t\0\u{7f}\u{85}u0:/#;, ]{0,6}"
    ]
}

/// The few steps that [`documents`] are made of.
fn small_steps() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]".prop_map(Value::Text),
        (-1..4i128).prop_map(Value::Integer),
        proptest::sample::select(vec!["a", "b"])
            .prop_filter_map("a keyword", |it| Keyword::new(it).ok().map(Value::from)),
    ]
}

fn tags() -> impl Strategy<Value = String> {
    "[a-zß][a-z0-9.+:#-]{0,5}(/[a-z0-9.+-]{1,5})?"
}

/// The value under the tag; alone where the tag is none.
fn tagged(tag: String, value: Value) -> Value {
    Tagged::new(tag, value.clone()).map_or(value, Value::from)
}
