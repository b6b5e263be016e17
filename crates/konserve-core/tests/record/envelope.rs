//! A record is found whole, or is an error that says what is wrong.

use bytes::Bytes;
use konserve_core::ErrorKind;
use konserve_core::record::{Checksum, Codec, Compression, Content, Encryption, Envelope, HEADER_LENGTH};

use crate::values::{codecs, text};

fn record() -> Vec<u8> {
    let envelope = Envelope::new(Compression::None, Encryption::None);
    envelope.seal(Content::Raw, b"the plain bytes").unwrap().to_vec()
}

fn kind(record: Vec<u8>) -> ErrorKind {
    Envelope::default().open(Bytes::from(record)).unwrap_err().kind()
}

/// Puts the checksum right, as a newer version of this library would have written it.
fn sealed_again(mut record: Vec<u8>) -> Vec<u8> {
    let mut checksum = Checksum::new();
    checksum.update(&record[..32]);
    checksum.update(&record[HEADER_LENGTH..]);
    record[32..HEADER_LENGTH].copy_from_slice(&checksum.finish().to_be_bytes());
    record
}

#[test]
fn a_record_comes_back_with_its_content() {
    let contents = codecs().into_iter().map(Content::Encoded).chain([Content::Raw]);
    for content in contents {
        for length in [0, 1, 15, 300, 100_000] {
            let plain = vec![42; length];
            let record = Envelope::default().seal(content, &plain).unwrap();
            assert_eq!(record.len(), HEADER_LENGTH + length);
            let opened = Envelope::default().open(record).unwrap();
            assert_eq!((opened.content, opened.plain), (content, Bytes::from(plain)));
        }
    }
}

#[test]
fn opening_copies_nothing() {
    let record = Bytes::from(record());
    let opened = Envelope::default().open(record.clone()).unwrap();
    assert_eq!(opened.plain.as_ptr(), record[HEADER_LENGTH..].as_ptr());
}

#[test]
fn any_flipped_bit_is_corrupt() {
    for at in 0..record().len() {
        for bit in 0..8 {
            let mut record = record();
            record[at] ^= 1 << bit;
            assert_eq!(kind(record), ErrorKind::Corrupt, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn any_other_length_is_corrupt() {
    for length in 0..record().len() {
        assert_eq!(kind(record()[..length].to_vec()), ErrorKind::Corrupt, "cut to {length}");
    }
    for more in [1, 8, 1000] {
        let mut record = record();
        record.resize(record.len() + more, 0);
        assert_eq!(kind(record.clone()), ErrorKind::Corrupt, "{more} more");
        assert_eq!(
            kind(sealed_again(record)),
            ErrorKind::Corrupt,
            "{more} more, checksum right"
        );
    }
}

#[test]
fn what_a_newer_version_wrote_is_unsupported() {
    let changes: [(usize, u8); 6] = [(5, 4), (5, 255), (6, 1), (7, 1), (8, 1), (11, 1)];
    for (at, byte) in changes {
        let mut record = record();
        record[at] = byte;
        assert_eq!(kind(sealed_again(record)), ErrorKind::Unsupported, "byte {at} = {byte}");
    }
}

#[test]
fn a_higher_format_version_is_unsupported_whatever_its_layout() {
    let mut record = record();
    record[4] = 2;
    for record in [
        sealed_again(record),
        vec![0xAB, b'K', b'S', b'V', 2],
        [&[0xAB, b'K', b'S', b'V', 2][..], &[7; 99]].concat(),
    ] {
        let error = Envelope::default().open(Bytes::from(record)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("version 2") && error.to_string().contains("version 1"),
            "{error}"
        );
    }
}

#[test]
fn lengths_and_key_that_contradict_each_other_are_corrupt() {
    for at in [15, 16, 23, 24, 31] {
        let mut record = record();
        record[at] ^= 0x40;
        assert_eq!(kind(sealed_again(record)), ErrorKind::Corrupt, "byte {at}");
    }
}

#[test]
fn what_is_no_record_is_corrupt() {
    for bytes in [&b""[..], b"{}", b"\xABKSU\x01", &[0; 100], &[0xff; 40]] {
        assert_eq!(kind(bytes.to_vec()), ErrorKind::Corrupt);
    }
}

#[test]
fn raw_bytes_are_not_taken_for_a_value() {
    let opened = Envelope::default().open(Bytes::from(record())).unwrap();
    assert_eq!(opened.decode().unwrap_err().kind(), ErrorKind::WrongKind);
    let record = Envelope::default().seal_value(Codec::Cbor, &text("a")).unwrap();
    assert_eq!(Envelope::default().open(record).unwrap().decode().unwrap(), text("a"));
}

#[test]
fn an_encoder_that_breaks_the_rules_gets_an_error() {
    let broken = Envelope::default().seal_with(Content::Raw, 0, |buffer| {
        buffer.clear();
        Ok(())
    });
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Codec);
}
