//! Bytes that nobody wrote are an error, never a panic and never a flood of memory.

use konserve_core::ErrorKind;
use konserve_core::record::Codec;
use proptest::prelude::*;

use crate::values::{any_value, codecs};

/// Decodes; what decodes must be a value like any other.
fn survives(codec: Codec, bytes: &[u8]) {
    match codec.decode(bytes) {
        Ok(value) => {
            let encoded = codec.encode(&value).unwrap();
            assert_eq!(codec.decode(&encoded).unwrap(), value, "{codec:?}");
        }
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Codec),
            "{codec:?}: {error}"
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_are_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for codec in codecs() {
            survives(codec, &bytes);
        }
    }

    #[test]
    fn a_changed_encoding_is_a_value_or_an_error(
        value in any_value(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for codec in codecs() {
            let mut bytes = codec.encode(&value).unwrap();
            survives(codec, &bytes[..cut.index(bytes.len())]);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
                survives(codec, &bytes);
            }
        }
    }

    #[test]
    fn a_cut_or_continued_encoding_is_refused(value in any_value(), cut in any::<prop::sample::Index>()) {
        // Not JSON: a number that is cut is another number. The header knows the length.
        for codec in codecs().into_iter().filter(|codec| *codec != Codec::Json) {
            let mut bytes = codec.encode(&value).unwrap();
            let kind = codec.decode(&bytes[..cut.index(bytes.len())]).unwrap_err().kind();
            prop_assert_eq!(kind, ErrorKind::Corrupt);
            bytes.push(0);
            prop_assert_eq!(codec.decode(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let claims: [(Codec, &[u8]); 10] = [
        (Codec::Cbor, &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (Codec::Cbor, &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (Codec::Cbor, &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (Codec::Cbor, &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (Codec::Cbor, &[0x7a, 0x7f, 0xff, 0xff, 0xff]),
        (Codec::Cbor, &[0x9a, 0x7f, 0xff, 0xff, 0xff, 0x00]),
        (
            Codec::Bincode,
            &[6, 253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            Codec::Bincode,
            &[8, 253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ),
        (
            Codec::Bincode,
            &[4, 253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (Codec::Bincode, &[12, 252, 0xff, 0xff, 0xff, 0x7f, 0]),
    ];
    for (codec, bytes) in claims {
        if codec.check_available().is_ok() {
            assert_eq!(
                codec.decode(bytes).unwrap_err().kind(),
                ErrorKind::Corrupt,
                "{codec:?} {bytes:x?}"
            );
        }
    }
}
