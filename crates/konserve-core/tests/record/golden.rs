//! Records that were written once and must be read for ever.
//!
//! The files hold whole records in hexadecimal. `UPDATE_EXPECT=1 cargo test -p konserve-core --all-features --test record`
//! writes them anew: for a new record only, never to make a failing one pass.

use bytes::Bytes;
use expect_test::{ExpectFile, expect_file};
use konserve_core::Value;
use konserve_core::record::{Codec, Content, Envelope};
use uuid::Uuid;

use crate::values::{instant, keyword, map, set, tagged, text};

/// Uses every variant, and the forms of integers and instants that differ.
fn every_variant() -> Value {
    map([
        (text("null"), Value::Null),
        (text("bool"), Value::List(vec![Value::Bool(false), Value::Bool(true)])),
        (
            text("integer"),
            Value::List(vec![
                Value::Integer(0),
                Value::Integer(-1),
                Value::Integer(i64::MAX.into()),
                Value::Integer(u64::MAX.into()),
                Value::Integer(i128::MIN),
                Value::Integer(i128::MAX),
            ]),
        ),
        (
            text("float"),
            Value::List(vec![
                Value::Float(1.5),
                Value::Float(-0.0),
                Value::Float(f64::INFINITY),
                Value::Float(f64::from_bits(0x7ff8_0000_0000_0000)),
                Value::Float(f64::from_bits(0xfff8_0000_0000_0001)),
            ]),
        ),
        (text("text"), text("größe ~ 🙂")),
        (text("bytes"), Value::Bytes(Bytes::from_static(&[0, 1, 0xfe, 0xff]))),
        (text("set"), set([Value::Integer(1), text("one"), keyword(":one")])),
        (
            text("map"),
            map([(Value::Integer(1), text("one")), (Value::List(vec![]), map([]))]),
        ),
        (text("~key"), keyword(":name")),
        (keyword(":ns/name"), text("keyword as key")),
        (
            text("uuid"),
            Value::Uuid(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
        ),
        (
            text("instant"),
            Value::List(vec![instant(0), instant(1_700_000_000_123_456_789), instant(-1)]),
        ),
        (text("tagged"), tagged("my/tag", Value::List(vec![Value::Null]))),
    ])
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[track_caller]
fn check(codec: Codec, value: &Value, stored: ExpectFile) {
    let record = Envelope::default().seal_value(codec, value).unwrap();
    stored.assert_eq(&hex(&record));
    let opened = Envelope::default().open(unhex(&stored.data())).unwrap();
    assert_eq!(opened.content, Content::Encoded(codec));
    assert_eq!(&opened.decode().unwrap(), value);
}

#[test]
fn a_cbor_record_is_what_it_always_was() {
    check(Codec::Cbor, &every_variant(), expect_file!["../golden/v1-cbor.hex"]);
}

#[test]
fn a_json_record_is_what_it_always_was() {
    check(Codec::Json, &every_variant(), expect_file!["../golden/v1-json.hex"]);
}

#[cfg(feature = "bincode")]
#[test]
fn a_bincode_record_is_what_it_always_was() {
    check(
        Codec::Bincode,
        &every_variant(),
        expect_file!["../golden/v1-bincode.hex"],
    );
}

/// What `docs/format.md` says of the bincode codec.
#[cfg(feature = "bincode")]
#[derive(bincode::Encode)]
enum Mirror {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Mirror>),
    Set(Vec<Mirror>),
    Map(Vec<(Mirror, Mirror)>),
    Keyword(String),
    Uuid([u8; 16]),
    Instant(i128),
    Tagged(String, Box<Mirror>),
}

#[cfg(feature = "bincode")]
impl From<&Value> for Mirror {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(it) => Self::Bool(*it),
            Value::Integer(it) => Self::Integer(*it),
            Value::Float(it) => Self::Float(*it),
            Value::Text(it) => Self::Text(it.clone()),
            Value::Bytes(it) => Self::Bytes(it.to_vec()),
            Value::List(it) => Self::List(it.iter().map(Self::from).collect()),
            Value::Set(it) => Self::Set(it.iter().map(Self::from).collect()),
            Value::Map(it) => Self::Map(it.iter().map(|(key, value)| (key.into(), value.into())).collect()),
            Value::Keyword(it) => Self::Keyword(it.to_string()),
            Value::Uuid(it) => Self::Uuid(it.into_bytes()),
            Value::Instant(it) => Self::Instant(it.as_nanos()),
            Value::Tagged(it) => Self::Tagged(it.tag().to_owned(), Box::new(it.value().into())),
        }
    }
}

#[cfg(feature = "bincode")]
#[test]
fn bincode_is_what_its_derive_makes_of_the_documented_enum() {
    for value in crate::values::edges().into_iter().chain([every_variant()]) {
        let derived = bincode::encode_to_vec(Mirror::from(&value), bincode::config::standard()).unwrap();
        assert_eq!(Codec::Bincode.encode(&value).unwrap(), derived, "{value}");
    }
}

#[test]
fn a_raw_record_is_what_it_always_was() {
    let stored = expect_file!["../golden/v1-raw.hex"];
    let plain: Vec<u8> = (0..=255).collect();
    let record = Envelope::default().seal(Content::Raw, &plain).unwrap();
    stored.assert_eq(&hex(&record));
    let opened = Envelope::default().open(unhex(&stored.data())).unwrap();
    assert_eq!((opened.content, &opened.plain[..]), (Content::Raw, &plain[..]));
}
