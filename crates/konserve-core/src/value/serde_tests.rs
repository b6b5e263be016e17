//! What serde types become, and what is read as which type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::json;

use super::*;
use crate::{ErrorKind, kw};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(i32),
    Tuple(i32, String),
    Struct { a: Option<u8>, b: Vec<Shape> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct UnitStruct;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Meters(f32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(char, bool);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Horrible { at: Option<Instant>, count: u64 },
    Fine,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Extended {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Keyword(Keyword),
    Id(Uuid),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    value: Value,
    keyword: Keyword,
    instant: Instant,
    tagged: Tagged,
    keywords: BTreeMap<Keyword, Vec<Value>>,
    values: BTreeMap<Value, Option<Keyword>>,
    #[serde(with = "as_uuid")]
    uuid: Uuid,
    plain_uuid: Uuid,
    bytes: ByteBuf,
    set: BTreeSet<i8>,
}

fn edn(text: &str) -> Value {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What goes in becomes this text and comes out again.
#[track_caller]
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(it: T, text: &str) {
    let value = to_value(&it).unwrap();
    assert_eq!(value.to_string(), text);
    assert_eq!(from_value::<T>(value).unwrap(), it);
}

/// The text is read as this.
#[track_caller]
fn reads<T: DeserializeOwned + PartialEq + Debug>(text: &str, it: T) {
    assert_eq!(from_value::<T>(edn(text)).unwrap(), it, "{text}");
}

/// The text is not read as that type, for this reason.
#[track_caller]
fn refuses<T: DeserializeOwned + Debug>(text: &str, reason: &str) {
    let error = from_value::<T>(edn(text)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(error.to_string(), reason, "{text}");
}

#[test]
fn types_go_in_and_come_out() {
    both_ways((), "nil");
    both_ways(UnitStruct, "nil");
    both_ways(true, "true");
    both_ways(u64::MAX, "18446744073709551615");
    both_ways(i64::MIN, "-9223372036854775808");
    both_ways(i128::MAX, "170141183460469231731687303715884105727");
    both_ways(i128::MIN, "-170141183460469231731687303715884105728");
    both_ways(i128::MAX as u128, "170141183460469231731687303715884105727");
    both_ways(Meters(0.1), "0.10000000149011612");
    both_ways(f32::MAX, "3.4028234663852886e38");
    both_ways((1.5f64, f64::NEG_INFINITY), "[1.5 ##-Inf]");
    both_ways(Pair('é', false), "[\"é\" false]");
    both_ways(Some(Some(1u8)), "1");
    both_ways(None::<u8>, "nil");
    both_ways(vec![Some(1), None], "[1 nil]");
    both_ways(ByteBuf::from(vec![0, 1, 2]), "#bytes \"AAEC\"");
    both_ways(vec![0u8, 1], "[0 1]");
    both_ways(BTreeSet::from([2, 1]), "[1 2]");
    both_ways(BTreeMap::from([((1, 'x'), "a".to_owned())]), "{[1 \"x\"] \"a\"}");
    both_ways(
        BTreeMap::from([(1u64, ()), (u64::MAX, ())]),
        "{1 nil, 18446744073709551615 nil}",
    );
    both_ways(HashMap::from([(Some(true), 1.0)]), "{true 1.0}");
    both_ways(Shape::Unit, "\"Unit\"");
    both_ways(Shape::Newtype(1), "{\"Newtype\" 1}");
    both_ways(Shape::Tuple(1, "x".into()), "{\"Tuple\" [1 \"x\"]}");
    let b = vec![Shape::Unit, Shape::Newtype(2)];
    both_ways(
        Shape::Struct { a: None, b },
        "{\"Struct\" {\"a\" nil, \"b\" [\"Unit\" {\"Newtype\" 2}]}}",
    );
    both_ways(Event::Fine, "{\"type\" \"fine\"}");
    let at = Some(Instant::UNIX_EPOCH);
    both_ways(
        Event::Horrible { at, count: u64::MAX },
        "{\"at\" #inst \"1970-01-01T00:00:00Z\", \"count\" 18446744073709551615, \"type\" \"horrible\"}",
    );
    both_ways(Either::Keyword(kw!("a")), ":a");
    both_ways(Either::Id(Uuid::from_u128(1)), "#bytes \"AAAAAAAAAAAAAAAAAAAAAQ==\"");
    assert_eq!(
        from_value::<Option<Option<u8>>>(to_value(&Some(None::<u8>)).unwrap()).unwrap(),
        None
    );
}

#[test]
fn what_serde_does_not_know_survives_inside_user_types() {
    let value = edn(
        "{:k #{1 :a \":a\"} nil #uuid \"00000000-0000-0000-0000-000000000007\" [1.0 1] #t/x #inst \"2024-01-01T00:00:00Z\"
          :json {\"$serde_json::private::Number\" \"12\"} #bytes \"AA==\" {} ##NaN #float \"7ff8000000000001\"}",
    );
    let everything = Everything {
        keyword: kw!("ns/name"),
        instant: "2024-02-29T12:00:00.123456789Z".parse().unwrap(),
        tagged: Tagged::new("a/b", value.clone()).unwrap(),
        keywords: BTreeMap::from([(kw!("a"), vec![value.clone()])]),
        values: BTreeMap::from([
            (value.clone(), Some(kw!("b"))),
            (Value::Null, None),
            (kw!("c").into(), None),
        ]),
        uuid: Uuid::from_u128(1),
        plain_uuid: Uuid::from_u128(2),
        bytes: ByteBuf::from(vec![255]),
        set: BTreeSet::from([-1, 1]),
        value,
    };
    let document = to_value(&everything).unwrap();
    assert_eq!(document.get("uuid"), Some(&Value::Uuid(Uuid::from_u128(1))));
    assert_eq!(document.get("plain_uuid").unwrap().as_bytes().unwrap().len(), 16);
    assert_eq!(document.get("value"), Some(&everything.value));
    assert_eq!(from_value::<Everything>(document).unwrap(), everything);
}

#[test]
fn reading_is_lenient_where_nothing_can_be_confused() {
    reads(
        "{:a 1 :b []}",
        HashMap::from([("a".to_owned(), edn("1")), ("b".to_owned(), edn("[]"))]),
    );
    reads(
        "{:Struct {:a 1 \"b\" [:Unit {:Newtype 2}] :unknown 1 7 8}}",
        Shape::Struct {
            a: Some(1),
            b: vec![Shape::Unit, Shape::Newtype(2)],
        },
    );
    reads("{:Unit nil}", Shape::Unit);
    reads(
        "{:type :horrible :at nil :count 3}",
        Event::Horrible { at: None, count: 3 },
    );
    reads(
        "{:type \"horrible\" :count 3 :at #inst \"1970-01-01T00:00:00Z\"}",
        Event::Horrible {
            at: Some(Instant::UNIX_EPOCH),
            count: 3,
        },
    );
    // The text key wins, in structs and where serde buffers; in a map nothing is lost.
    reads(
        "{:name \"k\" \"name\" \"t\" :x 1}",
        Extended {
            name: "t".into(),
            rest: BTreeMap::from([(":name".into(), "k".into()), ("x".into(), 1.into())]),
        },
    );
    reads(
        "{:a 1 \"a\" 2}",
        BTreeMap::from([(":a".to_owned(), 1), ("a".to_owned(), 2)]),
    );
    reads("{:a 1 \"a\" 2}", BTreeMap::from([(edn(":a"), 1), (edn("\"a\""), 2)]));
    reads("{:a/b 1}", BTreeMap::from([(kw!("a/b"), 1)]));
    reads(
        "{:Unit 1}",
        vec![(Shape::Unit, 1)]
            .into_iter()
            .map(|(_, it)| ("Unit".to_owned(), it))
            .collect::<BTreeMap<_, _>>(),
    );
    reads("#{1 2}", vec![1, 2]);
    reads("#{1 2}", (1u8, 2u8));
    reads("#bytes \"AAEC\"", vec![0u8, 1, 2]);
    reads("#bytes \"AAEC\"", [0u8, 1, 2]);
    reads("[0 1 2]", ByteBuf::from(vec![0, 1, 2]));
    reads(":a", ":a".to_owned());
    reads("\":a\"", kw!("a"));
    reads("#inst \"1970-01-01T00:00:00Z\"", "1970-01-01T00:00:00Z".to_owned());
    reads("1", 1.0f64);
    let uuid = Uuid::from_u128(7);
    reads("#uuid \"00000000-0000-0000-0000-000000000007\"", uuid);
    reads("#bytes \"AAAAAAAAAAAAAAAAAAAABw==\"", uuid);
    reads("#uuid \"00000000-0000-0000-0000-000000000007\"", uuid.to_string());
    reads(
        "[#uuid \"00000000-0000-0000-0000-000000000007\" 5 :k \"t\"]",
        vec![
            Either::Id(uuid),
            Either::Number(5),
            Either::Keyword(kw!("k")),
            Either::Text("t".into()),
        ],
    );

    // A type of the same name as ours is no value, and gets in nobody's way.
    #[derive(Debug, Deserialize)]
    #[serde(rename = "konserve::Value")]
    #[allow(dead_code)] // it cannot be read
    struct Impostor(u8);
    assert!(from_value_ref::<(Impostor, Value)>(&edn("[1 2]")).is_err());
    assert!(from_value::<Impostor>(edn("1")).is_err());
    reads("2", Value::from(2));

    let document = edn("{\"text\" \"borrowed\" \"bytes\" #bytes \"AAEC\"}");
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
        bytes: &'a [u8],
    }
    let borrowed: Borrowed<'_> = from_value_ref(&document).unwrap();
    assert_eq!((borrowed.text, borrowed.bytes), ("borrowed", &[0, 1, 2][..]));
}

#[test]
fn what_does_not_fit_is_refused_with_the_path_to_it() {
    refuses::<HashMap<String, Vec<Shape>>>(
        "{:users [:Unit {:Struct {:a 256 :b []}}]}",
        r#"at [:users 1 :Struct :a]: found integer that does not fit, expected u8"#,
    );
    refuses::<Shape>(
        "{:Tuple [1]}",
        "at [:Tuple]: invalid length 1, expected tuple variant Shape::Tuple with 2 elements",
    );
    refuses::<Shape>(
        "{:Tuple [1 \"a\" 2]}",
        "at [:Tuple]: a list with 1 items more than expected",
    );
    refuses::<Shape>("{:Unit 1}", "at [:Unit]: found integer, expected unit");
    refuses::<Shape>(
        "{:Unit nil :Newtype 1}",
        "found a map of 2 entries where one names the variant, expected enum Shape",
    );
    refuses::<Shape>(
        "\"secret\"",
        r#"found an unknown variant, expected one of ["Unit", "Newtype", "Tuple", "Struct"]"#,
    );
    refuses::<Shape>("0", "found integer, expected enum Shape");
    refuses::<Extended>("[\"positional\" {}]", "found list, expected struct Extended");
    refuses::<Shape>(
        "{:Struct [nil []]}",
        "at [:Struct]: found list, expected struct variant Shape::Struct",
    );
    refuses::<Pair>("#t [\"a\" true]", "found tagged, expected tuple struct Pair");
    refuses::<u8>("\"secret\"", "found text, expected u8");
    refuses::<String>("#bytes \"YQ==\"", "found bytes, expected a string");
    refuses::<ByteBuf>("\"a\"", "found text, expected byte array");
    refuses::<u8>("1.0", "found float, expected u8");
    refuses::<u128>("-1", "found integer that does not fit, expected u128");
    refuses::<Keyword>("\"bare\"", "found text that does not fit, expected a keyword");
    refuses::<Instant>("1", "found integer, expected an instant");
    refuses::<Tagged>("{}", "found map, expected a tagged value");
    refuses::<Uuid>(
        "#bytes \"AA==\"",
        "UUID parsing failed: invalid length: expected 16 bytes, found 1",
    );
    refuses::<BTreeMap<u8, u8>>("{:a 1}", "at [:a]: found text, expected u8");
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        a: u8,
    }
    assert_eq!(from_value::<Strict>(edn("{:a 1 \"a\" 2}")).unwrap().a, 2);
    refuses::<Strict>("{0 1}", "at [0]: unknown field `0`, expected `a`");
    refuses::<Strict>("{:b 1}", "at [:b]: unknown field `b`, expected `a`");
    refuses::<Strict>("{}", "missing field `a`");
}

#[test]
fn what_cannot_be_stored_is_refused_with_the_path_to_it() {
    #[derive(Serialize)]
    struct Users {
        users: Vec<BTreeMap<u8, u128>>,
    }
    let users = Users {
        users: vec![BTreeMap::new(), BTreeMap::from([(3, u128::MAX)])],
    };
    let error = to_value(&users).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert_eq!(
        error.to_string(),
        r#"at ["users" 1 3]: an integer above the highest that there is, 2^127 - 1"#
    );

    let twice = Extended {
        name: "a".into(),
        rest: BTreeMap::from([("name".into(), Value::Null)]),
    };
    assert_eq!(
        to_value(&twice).unwrap_err().to_string(),
        r#"at ["name"]: the same key twice in one map"#
    );
}

#[test]
fn json_goes_in_and_comes_out() {
    let json: serde_json::Value = serde_json::from_str(
        r#"{"a": [1, -1, 1.5, 1e3, -0.0, 18446744073709551615, 170141183460469231731687303715884105727, null, true, "x"]}"#,
    )
    .unwrap();
    let value = to_value(&json).unwrap();
    assert_eq!(
        value.to_string(),
        r#"{"a" [1 -1 1.5 1000.0 -0.0 18446744073709551615 170141183460469231731687303715884105727 nil true "x"]}"#
    );
    assert_eq!(
        to_value(&from_value::<serde_json::Value>(value.clone()).unwrap()).unwrap(),
        value
    );
    assert_eq!(serde_json::from_value::<Value>(json).unwrap(), value);
    assert_eq!(
        to_value(&json!({"n": 5, "f": 0.1})).unwrap(),
        edn(r#"{"n" 5, "f" 0.1}"#)
    );
    assert_eq!(
        to_value(&serde_json::from_str::<serde_json::Value>("-0").unwrap()).unwrap(),
        edn("-0.0")
    );
    assert_eq!(serde_json::from_str::<Value>("[-0, 0]").unwrap(), edn("[-0.0 0]"));
    for huge in ["1e400", "170141183460469231731687303715884105728", "-1e400"] {
        let json: serde_json::Value = serde_json::from_str(huge).unwrap();
        assert_eq!(to_value(&json).unwrap_err().kind(), ErrorKind::Codec, "{huge}");
        assert!(serde_json::from_str::<Value>(huge).is_err(), "{huge}");
    }
    assert!(serde_json::from_str::<Value>("{\"a\": 1, \"a\": 2}").is_err());
}

#[test]
fn other_formats_see_the_plain_forms() {
    let value = edn(
        "{\"k\" :a/b \"i\" #inst \"1970-01-01T00:00:00Z\" \"u\" #uuid \"00000000-0000-0000-0000-000000000007\" \"s\" #{2 1}
          \"b\" #bytes \"AAE=\" \"t\" #t/x 1 :kw 1 5 2.5}",
    );
    let json = serde_json::to_value(&value).unwrap();
    let plain = json!({
        "k": ":a/b", "i": "1970-01-01T00:00:00Z", "u": "00000000-0000-0000-0000-000000000007", "s": [1, 2],
        "b": [0, 1], "t": ["t/x", 1], ":kw": 1, "5": 2.5,
    });
    assert_eq!(json, plain);
    assert_eq!(
        serde_json::from_value::<Keyword>(json["k"].clone()).unwrap(),
        kw!("a/b")
    );
    assert_eq!(
        serde_json::from_value::<Instant>(json["i"].clone()).unwrap(),
        Instant::UNIX_EPOCH
    );
    assert_eq!(
        serde_json::from_value::<Tagged>(json["t"].clone()).unwrap(),
        Tagged::new("t/x", 1).unwrap()
    );
    assert_eq!(
        serde_json::from_value::<Value>(plain.clone()).unwrap(),
        to_value(&plain).unwrap()
    );
}
