//! Writing CBOR tokens into memory, which cannot fail.

use std::convert::Infallible;

use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode::Error;

use super::tags;
use crate::Instant;

/// Appends tokens to a buffer: the shortest form of each, definite lengths only.
pub(super) struct Tokens<'a>(Encoder<&'a mut Vec<u8>>);

impl<'a> Tokens<'a> {
    pub(super) fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self(Encoder::new(buffer))
    }

    pub(super) fn null(&mut self) {
        written(self.0.null());
    }

    pub(super) fn bool(&mut self, value: bool) {
        written(self.0.bool(value));
    }

    pub(super) fn integer(&mut self, value: i128) {
        written(self.0.i128(value));
    }

    /// Always in eight bytes: exact for every float, whatever the bits of a NaN.
    pub(super) fn float(&mut self, value: f64) {
        written(self.0.f64(value));
    }

    pub(super) fn text(&mut self, value: &str) {
        written(self.0.str(value));
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        written(self.0.bytes(value));
    }

    pub(super) fn array(&mut self, length: usize) {
        written(self.0.array(length as u64));
    }

    pub(super) fn map(&mut self, length: usize) {
        written(self.0.map(length as u64));
    }

    pub(super) fn tag(&mut self, tag: u64) {
        written(self.0.tag(Tag::new(tag)));
    }

    /// `text` has the colon.
    pub(super) fn keyword(&mut self, text: &str) {
        self.tag(tags::IDENTIFIER);
        self.text(text);
    }

    pub(super) fn uuid(&mut self, uuid: &[u8; 16]) {
        self.tag(tags::UUID);
        self.bytes(uuid);
    }

    pub(super) fn instant(&mut self, instant: Instant) {
        let nanos = instant.as_nanos();
        let fraction = nanos.rem_euclid(1_000_000_000);
        self.tag(tags::EXTENDED_TIME);
        self.map(if fraction == 0 { 1 } else { 2 });
        self.integer(tags::SECONDS);
        self.integer(nanos.div_euclid(1_000_000_000));
        if fraction != 0 {
            self.integer(tags::NANOSECONDS);
            self.integer(fraction);
        }
    }
}

/// Writing to a vector does not fail, and the encoder has no other error of its own.
fn written<T>(result: Result<T, Error<Infallible>>) {
    debug_assert!(result.is_ok());
}
