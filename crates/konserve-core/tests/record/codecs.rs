//! Each codec brings back every value, and always writes the same bytes.

use konserve_core::record::{Codec, Envelope};
use konserve_core::value::MAX_DEPTH;
use konserve_core::{ErrorKind, Value};
use proptest::prelude::*;

use crate::values::{any_value, codecs, deepest, edges, map, nested, tagged, text};

fn comes_back(codec: Codec, value: &Value) {
    let bytes = codec.encode(value).unwrap();
    let back = codec
        .decode(&bytes)
        .unwrap_or_else(|error| panic!("{codec:?} {value:?}: {error}"));
    assert_eq!(&back, value, "{codec:?}");
    assert_eq!(
        codec.encode(&back).unwrap(),
        bytes,
        "{codec:?} {value:?}: the encoding is not stable"
    );
}

#[test]
fn every_codec_brings_back_the_edges_of_every_variant() {
    for codec in codecs() {
        for value in edges() {
            comes_back(codec, &value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_codec_brings_back_any_value(value in any_value()) {
        for codec in codecs() {
            comes_back(codec, &value);
            let record = Envelope::default().seal_value(codec, &value).unwrap();
            prop_assert_eq!(&Envelope::default().open(record).unwrap().decode().unwrap(), &value);
        }
    }
}

#[test]
fn the_deepest_value_comes_back_and_a_deeper_one_is_refused() {
    for codec in codecs() {
        comes_back(codec, &deepest());
        for levels in [MAX_DEPTH + 1, 3 * MAX_DEPTH] {
            let error = codec.encode(&nested(levels)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Codec, "{codec:?}: {error}");
        }
    }
    let deep_map = (0..MAX_DEPTH).fold(Value::Null, |value, _| map([(Value::Null, value)]));
    let deep_tag = (0..MAX_DEPTH).fold(Value::Null, |value, _| tagged("t", value));
    for codec in codecs() {
        comes_back(codec, &deep_map);
        comes_back(codec, &deep_tag);
    }
}

#[test]
fn nested_input_is_refused_long_before_the_stack_ends() {
    let hostile = [
        (Codec::Cbor, vec![0x81; 1_000_000]),
        (Codec::Cbor, vec![0x9f; 1_000_000]),
        (Codec::Cbor, [0xd9, 0xd9, 0xf7].repeat(300_000)),
        (Codec::Cbor, [0xd8, 0x1b, 0x82, 0x61, 0x61].repeat(300_000)),
        (Codec::Json, vec![b'['; 1_000_000]),
        (Codec::Json, br#"{"a":"#.repeat(300_000)),
        (Codec::Json, br#"{"~set":["#.repeat(300_000)),
        (Codec::Json, br#"{"~tagged":["a","#.repeat(300_000)),
        (Codec::Bincode, [6, 1].repeat(300_000)),
        (Codec::Bincode, [12, 1, b'a'].repeat(300_000)),
    ];
    for (codec, bytes) in hostile {
        if codec.check_available().is_ok() {
            let error = codec.decode(&bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{codec:?}: {error}");
        }
    }
}

#[test]
fn plain_json_is_stored_as_just_that() {
    let document = r#"{"a":[1,-2,1.5,true,null,"x"],"b":{"c":{}},"big":170141183460469231731687303715884105727}"#;
    let value = Codec::Json.decode(document.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(Codec::Json.encode(&value).unwrap()).unwrap(),
        document
    );
}

#[test]
fn a_codec_that_the_build_does_not_have_is_unsupported() {
    if Codec::Bincode.check_available().is_err() {
        let encoded = Codec::Bincode.encode(&text("a")).unwrap_err();
        let decoded = Codec::Bincode.decode(&[0]).unwrap_err();
        assert_eq!(encoded.kind(), ErrorKind::Unsupported);
        assert_eq!(decoded.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn codecs_are_configured_by_their_names() {
    for (name, codec) in [
        ("\"cbor\"", Codec::Cbor),
        ("\"json\"", Codec::Json),
        ("\"bincode\"", Codec::Bincode),
    ] {
        assert_eq!(serde_json::from_str::<Codec>(name).unwrap(), codec);
        assert_eq!(serde_json::to_string(&codec).unwrap(), name);
    }
    assert_eq!(Codec::default(), Codec::Cbor);
}
