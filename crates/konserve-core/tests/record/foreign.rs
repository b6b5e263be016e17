//! CBOR and JSON that others wrote: understood where the meaning is clear.

use konserve_core::record::Codec;
use konserve_core::{ErrorKind, Value};

use crate::values::{instant, keyword, map, set, tagged, text};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

#[test]
fn cbor_is_written_as_the_standard_has_it() {
    // The first ones are from appendix A of RFC 8949.
    let table = [
        ("00", Value::Integer(0)),
        ("1818", Value::Integer(24)),
        ("1bffffffffffffffff", Value::Integer(u64::MAX.into())),
        ("c249010000000000000000", Value::Integer(1 << 64)),
        ("3bffffffffffffffff", Value::Integer(-(1 << 64))),
        ("c349010000000000000000", Value::Integer(-(1 << 64) - 1)),
        ("3903e7", Value::Integer(-1000)),
        ("fb3ff199999999999a", Value::Float(1.1)),
        ("fb3ff8000000000000", Value::Float(1.5)),
        ("f4", Value::Bool(false)),
        ("f5", Value::Bool(true)),
        ("f6", Value::Null),
        ("4401020304", Value::Bytes(vec![1, 2, 3, 4].into())),
        ("62c3bc", text("ü")),
        (
            "8301820203820405",
            Value::List(vec![
                Value::Integer(1),
                Value::List(vec![Value::Integer(2), Value::Integer(3)]),
                Value::List(vec![Value::Integer(4), Value::Integer(5)]),
            ]),
        ),
        (
            "a26161016162820203",
            map([
                (text("a"), Value::Integer(1)),
                (text("b"), Value::List(vec![Value::Integer(2), Value::Integer(3)])),
            ]),
        ),
        ("d827 64 3a612f62", keyword(":a/b")),
        ("d90102 82 01 02", set([Value::Integer(1), Value::Integer(2)])),
        ("d81b 82 6161 f6", tagged("a", Value::Null)),
        ("d903e9 a1 01 00", instant(0)),
        ("d903e9 a2 01 20 28 1a3b9ac9ff", instant(-1)),
        (
            "d825 50 00000000000000000000000000000000",
            Value::Uuid(uuid::Uuid::nil()),
        ),
    ];
    for (hex, value) in table {
        assert_eq!(Codec::Cbor.encode(&value).unwrap(), bytes(hex), "{value:?}");
        assert_eq!(Codec::Cbor.decode(&bytes(hex)).unwrap(), value);
    }
}

#[test]
fn cbor_of_others_is_read_where_its_meaning_is_clear() {
    let table = [
        ("f7", Value::Null),
        ("1900 01", Value::Integer(1)),
        ("1b0000000000000001", Value::Integer(1)),
        ("c2 41 05", Value::Integer(5)),
        ("c2 40", Value::Integer(0)),
        ("c3 40", Value::Integer(-1)),
        ("c2 54 0000000000000000000000000000000000000007", Value::Integer(7)),
        ("c2 5f 4101 4100 ff", Value::Integer(256)),
        ("f90000", Value::Float(0.0)),
        ("f98000", Value::Float(-0.0)),
        ("f93c00", Value::Float(1.0)),
        ("f97bff", Value::Float(65504.0)),
        ("f90001", Value::Float(5.960464477539063e-8)),
        ("f903ff", Value::Float(6.097555160522461e-5)),
        ("f90400", Value::Float(0.00006103515625)),
        ("f9c400", Value::Float(-4.0)),
        ("f97c00", Value::Float(f64::INFINITY)),
        ("f9fc00", Value::Float(f64::NEG_INFINITY)),
        ("f97e00", Value::Float(f64::from_bits(0x7ff8_0000_0000_0000))),
        ("fa47c35000", Value::Float(100000.0)),
        ("fa00000001", Value::Float(f64::from(f32::from_bits(1)))),
        ("fa7f7fffff", Value::Float(f64::from(f32::MAX))),
        ("fa7fc00001", Value::Float(f64::from_bits(0x7ff8_0000_2000_0000))),
        ("faff800000", Value::Float(f64::NEG_INFINITY)),
        ("5f42010243030405ff", Value::Bytes(vec![1, 2, 3, 4, 5].into())),
        ("7f657374726561646d696e67ff", text("streaming")),
        ("9f01ff", Value::List(vec![Value::Integer(1)])),
        ("bf6161 01 ff", map([(text("a"), Value::Integer(1))])),
        (
            "a2 6162 02 6161 01",
            map([(text("a"), Value::Integer(1)), (text("b"), Value::Integer(2))]),
        ),
        ("d90102 9f 02 01 ff", set([Value::Integer(1), Value::Integer(2)])),
        ("d827 7f 623a61 6162 ff", keyword(":ab")),
        ("d9d9f7 01", Value::Integer(1)),
        (
            "c0 74 323031332d30332d32315432303a30343a30305a",
            instant(1_363_896_240_000_000_000),
        ),
        ("c1 1a514b67b0", instant(1_363_896_240_000_000_000)),
        ("c1 fb41d452d9ec200000", instant(1_363_896_240_500_000_000)),
        ("c1 20", instant(-1_000_000_000)),
        ("c1 fbbfe0000000000000", instant(-500_000_000)),
        ("d903e9 bf 28 05 01 01 ff", instant(1_000_000_005)),
        ("d81b 9f 6161 01 ff", tagged("a", Value::Integer(1))),
    ];
    for (hex, value) in table {
        assert_eq!(Codec::Cbor.decode(&bytes(hex)).unwrap(), value, "{hex}");
    }
}

#[test]
fn cbor_without_a_clear_meaning_is_refused() {
    let table = [
        // malformed
        ("", ErrorKind::Corrupt),
        ("18", ErrorKind::Corrupt),
        ("1c", ErrorKind::Corrupt),
        ("3f", ErrorKind::Corrupt),
        ("ff", ErrorKind::Corrupt),
        ("fc", ErrorKind::Corrupt),
        ("fb00", ErrorKind::Corrupt),
        ("61", ErrorKind::Corrupt),
        ("61ff", ErrorKind::Corrupt),
        ("7f4161ff", ErrorKind::Corrupt),
        ("5f4100", ErrorKind::Corrupt),
        ("81", ErrorKind::Corrupt),
        ("9f01", ErrorKind::Corrupt),
        ("a101", ErrorKind::Corrupt),
        ("bf01ff", ErrorKind::Corrupt),
        ("0000", ErrorKind::Corrupt),
        // well-formed, but not what it claims to be
        ("a2 01 00 01 00", ErrorKind::Corrupt),
        ("a3 01 00 02 00 01 00", ErrorKind::Corrupt),
        ("d90102 82 01 01", ErrorKind::Corrupt),
        ("d90102 01", ErrorKind::Corrupt),
        ("c2 01", ErrorKind::Corrupt),
        ("c0 61 61", ErrorKind::Corrupt),
        ("c0 01", ErrorKind::Corrupt),
        ("d825 41 00", ErrorKind::Corrupt),
        ("d825 01", ErrorKind::Corrupt),
        ("d827 01", ErrorKind::Corrupt),
        ("d827 61 3a", ErrorKind::Corrupt),
        ("d81b 01", ErrorKind::Corrupt),
        ("d81b 80", ErrorKind::Corrupt),
        ("d903e9 a0", ErrorKind::Corrupt),
        ("d903e9 a2 01 00 01 00", ErrorKind::Corrupt),
        ("d903e9 a2 01 00 28 1a3b9aca00", ErrorKind::Corrupt),
        // valid, but no value of ours
        ("c2 51 0100000000000000000000000000000000", ErrorKind::Codec),
        ("c2 50 80000000000000000000000000000000", ErrorKind::Codec),
        ("c4 82 01 02", ErrorKind::Codec),
        ("e0", ErrorKind::Codec),
        ("f8ff", ErrorKind::Codec),
        ("d827 61 61", ErrorKind::Codec),
        ("d81b 81 6161", ErrorKind::Codec),
        ("d81b 83 6161 01 02", ErrorKind::Codec),
        ("d903e9 a2 01 00 22 01", ErrorKind::Codec),
        ("c1 1bffffffffffffffff", ErrorKind::Codec),
        ("c1 f97e00", ErrorKind::Codec),
    ];
    for (hex, kind) in table {
        let error = Codec::Cbor.decode(&bytes(hex)).unwrap_err();
        assert_eq!(error.kind(), kind, "{hex}: {error}");
    }
}

#[test]
fn json_says_what_it_has_no_words_for() {
    let table = [
        (Value::Float(1.0), "1.0"),
        (Value::Float(-0.0), "-0.0"),
        (
            Value::Float(f64::from_bits(0x7ff8_0000_0000_0000)),
            r#"{"~float":"nan"}"#,
        ),
        (
            Value::Float(f64::from_bits(0x7ff8_0000_0000_0001)),
            r#"{"~float":"7ff8000000000001"}"#,
        ),
        (Value::Float(f64::NEG_INFINITY), r#"{"~float":"-inf"}"#),
        (Value::Bytes(vec![0xff, 0, 1, 2].into()), r#"{"~bytes":"/wABAg=="}"#),
        (keyword(":a/b"), r#"{"~keyword":":a/b"}"#),
        (
            Value::Uuid(uuid::Uuid::nil()),
            r#"{"~uuid":"00000000-0000-0000-0000-000000000000"}"#,
        ),
        (
            instant(1_363_896_240_500_000_000),
            r#"{"~instant":"2013-03-21T20:04:00.5Z"}"#,
        ),
        (set([Value::Integer(1)]), r#"{"~set":[1]}"#),
        (map([(Value::Integer(1), Value::Null)]), r#"{"~map":[[1,null]]}"#),
        (tagged("a/b", Value::Null), r#"{"~tagged":["a/b",null]}"#),
        (map([(text("~set"), Value::Null)]), r#"{"~~set":null}"#),
        (
            map([(text("~a"), Value::Null), (text("b"), Value::Null)]),
            r#"{"b":null,"~~a":null}"#,
        ),
    ];
    for (value, json) in table {
        assert_eq!(String::from_utf8(Codec::Json.encode(&value).unwrap()).unwrap(), json);
        assert_eq!(Codec::Json.decode(json.as_bytes()).unwrap(), value);
    }
}

#[test]
fn json_numbers_of_others_keep_their_kind() {
    let table = [
        ("0", Value::Integer(0)),
        ("-0", Value::Float(-0.0)),
        ("1e2", Value::Float(100.0)),
        ("1E+2", Value::Float(100.0)),
        ("1.000000000000000000000000000000000000000000000001", Value::Float(1.0)),
        ("-170141183460469231731687303715884105728", Value::Integer(i128::MIN)),
        (" [ 1 , 2 ] ", Value::List(vec![Value::Integer(1), Value::Integer(2)])),
    ];
    for (json, value) in table {
        assert_eq!(Codec::Json.decode(json.as_bytes()).unwrap(), value, "{json}");
    }
}

#[test]
fn json_that_contradicts_itself_is_corrupt() {
    for json in [
        "",
        "{",
        "[1,]",
        "1 2",
        "nul",
        "1e999",
        r#"{"a":1,"a":2}"#,
        r#"{"~set":[1,1]}"#,
        r#"{"~map":[[1,1],[1,2]]}"#,
        r#"{"~map":[[1]]}"#,
        r#"{"~map":[[1,2,3]]}"#,
        r#"{"~tagged":["a"]}"#,
        r#"{"~tagged":["a",1,2]}"#,
        r#"{"~tagged":["",1]}"#,
        r#"{"~nothing":1}"#,
        r#"{"~set":[],"a":1}"#,
        r#"{"a":1,"~set":[]}"#,
        r#"{"~bytes":"*"}"#,
        r#"{"~bytes":1}"#,
        r#"{"~keyword":"a"}"#,
        r#"{"~uuid":""}"#,
        r#"{"~instant":"today"}"#,
        r#"{"~float":"1.5"}"#,
        r#"{"~float":"3ff0000000000000"}"#,
        "170141183460469231731687303715884105728",
        "\"\u{1}\"",
        r#""\ud800""#,
    ] {
        let error = Codec::Json.decode(json.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{json}: {error}");
    }
    assert_eq!(Codec::Json.decode(b"\"\xff\"").unwrap_err().kind(), ErrorKind::Corrupt);
}
