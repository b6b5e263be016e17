//! Types of the program: the same by every route, whatever the codec, as through their value.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use konserve_core::record::{Codec, Envelope};
use konserve_core::value::{Tagged, as_uuid, from_value, to_value};
use konserve_core::{ErrorKind, Instant, Keyword, Value};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{any_value, codecs, deepest, edges, instant, keyword, map, nested, set, tagged, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Newtype(String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(i8, char);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Choice {
    Nothing,
    One(u64),
    Two(i128, bool),
    Fields { zeta: Option<u8>, alpha: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<Untagged>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    A { x: u8 },
    B { y: String },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Strict {
    b: Option<Value>,
    a: Option<Value>,
}

/// Fields out of order, of every kind that serde has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    zz: bool,
    small: (i8, u8, i16, u16, i32, u32),
    large: (i64, u64, i128),
    float: Option<f64>,
    single: f32,
    character: char,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    list: Vec<u8>,
    choice: Choice,
    choices: Vec<Choice>,
    option: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    skipped: Option<u8>,
    unit: Unit,
    newtype: Newtype,
    pair: Pair,
    by_number: BTreeMap<i64, String>,
    by_text: HashMap<String, u8>,
    by_choice: HashMap<Choice, Newtype>,
    by_keyword: BTreeMap<Keyword, Value>,
    by_value: BTreeMap<Value, Instant>,
    members: BTreeSet<Newtype>,
    value: Value,
    tagged: Tagged,
    keyword: Keyword,
    at: Instant,
    id: Uuid,
    #[serde(with = "as_uuid")]
    exact_id: Uuid,
    untagged: Untagged,
    internal: Internal,
    json: serde_json::Value,
    #[serde(flatten)]
    rest: BTreeMap<String, i32>,
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Nothing),
        any::<u64>().prop_map(Choice::One),
        any::<(i128, bool)>().prop_map(|(a, b)| Choice::Two(a, b)),
        any::<(Option<u8>, String)>().prop_map(|(zeta, alpha)| Choice::Fields { zeta, alpha }),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Untagged::Number),
        any::<String>().prop_map(Untagged::Text),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Untagged::List)
    })
}

fn any_keyword() -> impl Strategy<Value = Keyword> {
    "[a-z]{1,5}(/[a-z]{1,5})?".prop_map(|name| Keyword::new(&name).unwrap())
}

fn any_instant() -> impl Strategy<Value = Instant> {
    any::<i64>().prop_map(|nanos| Instant::from_nanos(nanos.into()).unwrap())
}

fn everything() -> impl Strategy<Value = Everything> {
    use proptest::collection::{btree_map, btree_set, hash_map, vec};
    let scalars = (
        any::<bool>(),
        any::<(i8, u8, i16, u16, i32, u32)>(),
        any::<(i64, u64, i128)>(),
        any::<(f32, f64)>(),
    );
    let words = (
        any::<char>(),
        vec(any::<u8>(), 0..9),
        any::<String>(),
        any::<Option<u8>>(),
    );
    let choices = (choice(), vec(choice(), 0..4), untagged());
    let maps = (
        btree_map(any::<i64>(), any::<String>(), 0..4),
        hash_map(any::<String>(), any::<u8>(), 0..4),
        hash_map(choice(), any::<String>().prop_map(Newtype), 0..4),
        btree_map(any_keyword(), any_value(), 0..3),
        btree_map(any_value(), any_instant(), 0..3),
        btree_set(any::<String>().prop_map(Newtype), 0..4),
        btree_map("[A-C]{1,2}", any::<i32>(), 0..3),
    );
    let rest = (any_value(), any_keyword(), any_instant(), any::<u128>());
    (scalars, words, choices, maps, rest).prop_map(|(scalars, words, choices, maps, rest)| Everything {
        zz: scalars.0,
        small: scalars.1,
        large: scalars.2,
        float: scalars.0.then_some(scalars.3.1),
        single: scalars.3.0,
        character: words.0,
        bytes: words.1.clone(),
        list: words.1,
        choice: choices.0,
        choices: choices.1,
        option: words.3.map(|_| Some(words.2.clone())),
        skipped: words.3,
        unit: Unit,
        newtype: Newtype(words.2.clone()),
        pair: Pair(scalars.1.0, words.0),
        by_number: maps.0,
        by_text: maps.1,
        by_choice: maps.2,
        by_keyword: maps.3,
        by_value: maps.4,
        members: maps.5,
        value: rest.0.clone(),
        tagged: Tagged::new("my/tag", rest.0).unwrap(),
        keyword: rest.1,
        at: rest.2,
        id: Uuid::from_u128(rest.3),
        exact_id: Uuid::from_u128(rest.3),
        untagged: choices.2,
        internal: Internal::B { y: words.2.clone() },
        json: serde_json::json!({"b": [1, -2.5, null, words.2], "a": u64::MAX}),
        rest: maps.6,
    })
}

/// Both directions by every route, each against the way through the value.
fn routes_agree<T: Serialize + DeserializeOwned + Debug>(it: &T) {
    let value = to_value(it).unwrap();
    for codec in codecs() {
        let bytes = codec.encode_typed(it).unwrap();
        assert_eq!(bytes, codec.encode(&value).unwrap(), "{codec:?}: {value}");
        let direct: T = codec.decode_typed(&bytes).unwrap();
        let through: T = from_value(codec.decode(&bytes).unwrap()).unwrap();
        assert_eq!(to_value(&direct).unwrap(), to_value(&through).unwrap());
    }
}

/// What any of the types makes of these bytes is what it makes of their value, errors included.
fn read_alike<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let through = Codec::Cbor.decode(bytes).and_then(from_value::<T>);
    match (Codec::Cbor.decode_typed::<T>(bytes), through) {
        (Ok(direct), Ok(through)) => {
            assert_eq!(to_value(&direct).unwrap(), to_value(&through).unwrap(), "{bytes:02x?}")
        }
        (Err(direct), Err(through)) => assert_eq!(direct.to_string(), through.to_string(), "{bytes:02x?}"),
        (direct, through) => panic!(
            "{bytes:02x?}: {:?} but through the value {:?}",
            direct.err(),
            through.err()
        ),
    }
}

fn every_type_reads_alike(bytes: &[u8]) {
    read_alike::<Value>(bytes);
    read_alike::<Option<Value>>(bytes);
    read_alike::<Vec<Value>>(bytes);
    read_alike::<Vec<u8>>(bytes);
    read_alike::<BTreeMap<Value, Value>>(bytes);
    read_alike::<BTreeMap<String, Value>>(bytes);
    read_alike::<BTreeMap<Keyword, Value>>(bytes);
    read_alike::<HashMap<Choice, Value>>(bytes);
    read_alike::<BTreeMap<String, Untagged>>(bytes);
    read_alike::<(Value, Option<Value>)>(bytes);
    read_alike::<Choice>(bytes);
    read_alike::<Untagged>(bytes);
    read_alike::<Internal>(bytes);
    read_alike::<Strict>(bytes);
    read_alike::<Tagged>(bytes);
    read_alike::<String>(bytes);
    read_alike::<Keyword>(bytes);
    read_alike::<Instant>(bytes);
    read_alike::<Uuid>(bytes);
    read_alike::<i128>(bytes);
    read_alike::<u8>(bytes);
    read_alike::<f32>(bytes);
    read_alike::<bool>(bytes);
    read_alike::<char>(bytes);
    read_alike::<()>(bytes);
    read_alike::<serde_bytes::ByteBuf>(bytes);
    read_alike::<serde_json::Value>(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_type_is_the_same_by_every_route(it in everything()) {
        routes_agree(&it);
        for codec in codecs() {
            let record = Envelope::default().seal_typed(codec, &it).unwrap();
            let back: Everything = Envelope::default().open(record).unwrap().decode_typed().unwrap();
            prop_assert_eq!(to_value(&back).unwrap(), to_value(&it).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_value_is_the_same_by_every_route(value in any_value()) {
        routes_agree(&value);
        every_type_reads_alike(&Codec::Cbor.encode(&value).unwrap());
    }

    #[test]
    fn damage_reads_alike_by_every_route(
        value in any_value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut bytes = Codec::Cbor.encode(&value).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            every_type_reads_alike(&bytes);
        }
    }
}

#[test]
fn the_edges_of_every_variant_are_the_same_by_every_route() {
    for value in edges().into_iter().filter(|value| value.to_string().len() < 3000) {
        routes_agree(&value);
        every_type_reads_alike(&Codec::Cbor.encode(&value).unwrap());
    }
}

#[test]
fn the_deepest_value_is_the_same_by_every_route() {
    routes_agree(&deepest());
    routes_agree(&vec![nested(127)]);
    every_type_reads_alike(&Codec::Cbor.encode(&deepest()).unwrap());
    assert!(Codec::Cbor.encode_typed(&vec![deepest()]).is_err());
}

#[test]
fn what_others_wrote_reads_alike() {
    let foreign: [&[u8]; 13] = [
        &[0xbf, 0x61, b'a', 0x01, 0xff],                               // indefinite map
        &[0x9f, 0x01, 0xff],                                           // indefinite list
        &[0xa2, 0x61, b'b', 0x01, 0x61, b'a', 0x02],                   // out of order
        &[0xa2, 0x61, b'a', 0x01, 0x61, b'a', 0x02],                   // twice
        &[0xd9, 0x01, 0x02, 0x82, 0x02, 0x01],                         // set out of order
        &[0xd9, 0x01, 0x02, 0x82, 0x01, 0x01],                         // twice
        &[0xa2, 0x61, b'a', 0x01, 0xd8, 0x27, 0x62, b':', b'a', 0x02], // text and keyword of one name
        &[0xa1, 0x01, 0x02],                                           // number as key
        &[0xa1, 0x00, 0x02],                                           // number that could be the position of a field
        &[0xd9, 0xd9, 0xf7, 0x01],                                     // self-described
        &[0xf9, 0x3c, 0x00],                                           // half a float
        &[0x7f, 0x61, b'a', 0x61, b'b', 0xff],                         // text in pieces
        &[0xc1, 0x00],                                                 // epoch
    ];
    for bytes in foreign {
        every_type_reads_alike(bytes);
    }
}

#[test]
fn a_keyword_fills_a_field_and_selects_a_variant() {
    let value = map([(keyword(":alpha"), text("a")), (keyword(":zeta"), Value::Null)]);
    let value = map([(keyword(":Fields"), value)]);
    for codec in codecs() {
        let choice: Choice = codec.decode_typed(&codec.encode(&value).unwrap()).unwrap();
        assert_eq!(
            choice,
            Choice::Fields {
                zeta: None,
                alpha: "a".to_owned()
            }
        );
        let choice: Choice = codec
            .decode_typed(&codec.encode(&keyword(":Nothing")).unwrap())
            .unwrap();
        assert_eq!(choice, Choice::Nothing);
    }
}

#[test]
fn what_does_not_fit_the_type_is_a_codec_error_that_names_the_place() {
    let value = map([(text("list"), Value::List(vec![Value::Integer(1), set([instant(0)])]))]);
    for codec in codecs() {
        let bytes = codec.encode(&value).unwrap();
        let error = codec.decode_typed::<BTreeMap<String, Vec<u8>>>(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.to_string().contains(r#"["list" 1]"#), "{codec:?}: {error}");
    }
}

#[test]
fn what_cannot_be_a_value_is_refused_and_names_the_place() {
    #[derive(Serialize)]
    struct Large {
        inner: Vec<u128>,
    }
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    for codec in codecs() {
        let error = codec
            .encode_typed(&Large {
                inner: vec![0, u128::MAX],
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.to_string().contains(r#"["inner" 1]"#), "{codec:?}: {error}");
        let rest = BTreeMap::from([("a".to_owned(), 1)]);
        assert_eq!(
            codec.encode_typed(&Twice { a: 1, rest }).unwrap_err().kind(),
            ErrorKind::Codec
        );
        assert_eq!(codec.encode_typed(&nested(129)).unwrap_err().kind(), ErrorKind::Codec);
    }
}

#[test]
fn a_length_that_was_promised_wrongly_is_put_right() {
    struct Liar(usize, usize);
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{SerializeMap, SerializeSeq};
            let mut outer = serializer.serialize_map(Some(self.0))?;
            for entry in (0..self.1).rev() {
                struct Inner(usize, usize);
                impl Serialize for Inner {
                    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                        let mut list = serializer.serialize_seq(Some(self.0))?;
                        (0..self.1).try_for_each(|item| list.serialize_element(&item))?;
                        list.end()
                    }
                }
                outer.serialize_entry(&entry, &Inner(self.0, self.1))?;
            }
            outer.end()
        }
    }
    for (promised, given) in [(0, 30), (300, 2), (23, 24), (3, 3), (1000, 0)] {
        let it = Liar(promised, given);
        let expected = Codec::Cbor.encode(&to_value(&it).unwrap()).unwrap();
        assert_eq!(Codec::Cbor.encode_typed(&it).unwrap(), expected);
    }
}

#[test]
fn a_buffer_keeps_what_was_in_it() {
    let mut buffer = b"before".to_vec();
    Codec::Cbor
        .encode_typed_into(
            &Choice::Fields {
                zeta: Some(1),
                alpha: String::new(),
            },
            &mut buffer,
        )
        .unwrap();
    assert_eq!(&buffer[..6], b"before");
    // A type that the direct path gives up on: entries whose keys are out of order and then impossible.
    Codec::Cbor
        .encode_typed_into(&(1, tagged("t", Value::Null)), &mut buffer)
        .unwrap();
    assert_eq!(&buffer[..6], b"before");
}
