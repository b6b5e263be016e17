//! What holds for every value.

use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;

use super::arbitrary::{keys, paths, values};
use super::*;
use crate::{Key, Path};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn text_reads_back_as_the_same_value(value in values()) {
        prop_assert_eq!(value.to_string().parse::<Value>().unwrap(), value);
    }

    #[test]
    fn equal_values_have_equal_texts_and_hashes(a in values(), b in values()) {
        let state = RandomState::new();
        let copy = a.clone();
        prop_assert_eq!(state.hash_one(&a), state.hash_one(&copy));
        prop_assert_eq!(a == b, a.to_string() == b.to_string());
        prop_assert_eq!(a == b, state.hash_one(&a) == state.hash_one(&b));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }

    #[test]
    fn order_is_transitive(mut all in proptest::collection::vec(values(), 3)) {
        all.sort();
        prop_assert!(all[0] <= all[1] && all[1] <= all[2] && all[0] <= all[2]);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,30}", edn in "[\\[\\](){}#:;\\\\\"_a1-9+.NMe/ \u{85}u]{0,16}") {
        for text in [text, edn] {
            if let Ok(value) = text.parse::<Value>() {
                prop_assert_eq!(value.to_string().parse::<Value>().unwrap(), value);
            }
        }
    }

    #[test]
    fn serde_leaves_every_value_as_it_is(value in values()) {
        prop_assert_eq!(to_value(&value).unwrap(), value.clone());
        prop_assert_eq!(&from_value_ref::<Value>(&value).unwrap(), &value);
        prop_assert_eq!(&from_value::<Value>(value.clone()).unwrap(), &value);
        let wrapped = (Some(value.clone()), std::collections::BTreeMap::from([(value.clone(), 1u8)]));
        prop_assert_eq!(from_value::<(Option<Value>, BTreeMap<Value, u8>)>(to_value(&wrapped).unwrap()).unwrap(),
            (Some(value).filter(|value| !value.is_null()), wrapped.1));
    }

    #[test]
    fn keys_and_paths_read_back_from_their_text_and_from_serde(key in keys(), path in paths()) {
        prop_assert_eq!(&key.to_string().parse::<Key>().unwrap(), &key);
        prop_assert_eq!(&path.to_string().parse::<Path>().unwrap(), &path);
        prop_assert_eq!(from_value::<Key>(to_value(&key).unwrap()).unwrap(), key);
        prop_assert_eq!(from_value::<Path>(to_value(&path).unwrap()).unwrap(), path);
    }
}

/// A list of lists, this many.
fn nest(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |value, _| Value::List(vec![value]))
}

#[test]
fn nesting_is_bounded_on_every_way_in() {
    let (deepest, too_deep) = (nest(MAX_DEPTH), nest(MAX_DEPTH + 1));
    assert!(deepest.fits_depth(MAX_DEPTH) && !too_deep.fits_depth(MAX_DEPTH));

    assert_eq!(deepest.to_string().parse::<Value>().unwrap(), deepest);
    assert!(too_deep.to_string().parse::<Value>().is_err());
    assert_eq!(to_value(&deepest).unwrap(), deepest);
    assert_eq!(to_value(&too_deep).unwrap_err().kind(), crate::ErrorKind::Codec);
    assert_eq!(from_value_ref::<Value>(&deepest).unwrap(), deepest);
    for error in [
        from_value_ref::<Value>(&too_deep).map(drop).unwrap_err(),
        from_value_ref::<Vec<Value>>(&too_deep).map(drop).unwrap_err(),
        from_value::<Value>(too_deep).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), crate::ErrorKind::Codec);
    }

    // A format that sets no limit of its own.
    let json = |levels: usize| (0..levels).fold(serde_json::json!(null), |inner, _| serde_json::json!([inner]));
    assert_eq!(serde_json::from_value::<Value>(json(MAX_DEPTH)).unwrap(), deepest);
    assert!(serde_json::from_value::<Value>(json(MAX_DEPTH + 1)).is_err());

    let write = |steps: usize, leaf| crate::nested::write(None, &vec![Value::from("a"); steps], leaf);
    assert!(write(28, nest(100)).unwrap().fits_depth(MAX_DEPTH));
    assert_eq!(write(29, nest(100)).unwrap_err().kind(), crate::ErrorKind::Path);
    assert!(write(MAX_DEPTH, Value::Null).is_ok());
    assert!(write(MAX_DEPTH + 1, Value::Null).is_err());
    assert!(write(100_000, Value::Null).is_err());
    assert!(crate::nested::write(None, &[nest(MAX_DEPTH - 1)], Value::Null).is_ok());
    assert!(crate::nested::write(None, &[nest(MAX_DEPTH)], Value::Null).is_err());

    for open in [
        "[", "(", "{", "#{", "#a ", "#_", "#_#_", "[#_", "#inst ", "{[", "\\", "##",
    ] {
        assert!(open.repeat(100_000).parse::<Value>().is_err(), "{open}");
    }
}
