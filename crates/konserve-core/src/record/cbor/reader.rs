//! Reading CBOR tokens: well-formed or `corrupt`, and never more memory than the input can fill.

use std::borrow::Cow;
use std::fmt::Display;

use minicbor::Decoder;

use crate::value::MAX_DEPTH;
use crate::{Error, ErrorKind, Result};

/// The byte that ends what has an indefinite length.
const BREAK: u8 = 0xff;

/// How many elements room is made for before any of them has been seen. Lengths are claims.
const TRUSTED_LENGTH: usize = 256;

/// What the next item is, by the first three bits of its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

/// A token that is neither a number of whole size, nor a string, nor a container.
pub(super) enum Simple {
    Null,
    Bool(bool),
    Float(f64),
}

/// How many items follow: so many, or up to a break.
pub(super) struct Length(Option<u64>);

/// Reads items off the input.
pub(super) struct Reader<'b> {
    tokens: Decoder<'b>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self {
            tokens: Decoder::new(bytes),
        }
    }

    /// Where the next item begins.
    pub(super) fn position(&self) -> usize {
        self.tokens.position()
    }

    /// Goes back to where an item begins.
    pub(super) fn set_position(&mut self, position: usize) {
        self.tokens.set_position(position);
    }

    /// Takes a null, if one comes next.
    pub(super) fn take_null(&mut self) -> Result<bool> {
        let null = matches!(self.peek()?, 0xf6 | 0xf7);
        if null {
            self.set_position(self.position() + 1);
        }
        Ok(null)
    }

    /// Passes over the next item, whatever it means, as long as it is well-formed.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.tokens.skip().map_err(malformed)
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.corrupt("something follows the value")),
        }
    }

    /// What comes next.
    pub(super) fn major(&self) -> Result<Major> {
        Ok(match self.peek()? >> 5 {
            0 => Major::Unsigned,
            1 => Major::Negative,
            2 => Major::Bytes,
            3 => Major::Text,
            4 => Major::Array,
            5 => Major::Map,
            6 => Major::Tag,
            _ => Major::Simple,
        })
    }

    /// A whole number of up to 64 bits and a sign.
    pub(super) fn integer(&mut self) -> Result<i128> {
        let number = self.tokens.int();
        number.map(i128::from).map_err(malformed)
    }

    /// A text, in one piece or several.
    pub(super) fn text(&mut self) -> Result<Cow<'b, str>> {
        if self.is_indefinite()? {
            let mut whole = String::new();
            let pieces = self.tokens.str_iter();
            for piece in pieces.map_err(malformed)? {
                whole.push_str(piece.map_err(malformed)?);
            }
            return Ok(Cow::Owned(whole));
        }
        let text = self.tokens.str();
        text.map(Cow::Borrowed).map_err(malformed)
    }

    /// A byte string, in one piece or several.
    pub(super) fn byte_string(&mut self) -> Result<Cow<'b, [u8]>> {
        if self.is_indefinite()? {
            let mut whole = Vec::new();
            let pieces = self.tokens.bytes_iter();
            for piece in pieces.map_err(malformed)? {
                whole.extend_from_slice(piece.map_err(malformed)?);
            }
            return Ok(Cow::Owned(whole));
        }
        let bytes = self.tokens.bytes();
        bytes.map(Cow::Borrowed).map_err(malformed)
    }

    /// The number of a tag.
    pub(super) fn tag(&mut self) -> Result<u64> {
        let tag = self.tokens.tag();
        tag.map(u64::from).map_err(malformed)
    }

    /// The head of an array.
    pub(super) fn array_head(&mut self) -> Result<Length> {
        let length = self.tokens.array();
        let length = length.map_err(malformed)?;
        self.plausible(length, 1)
    }

    /// The head of a map; the length counts entries.
    pub(super) fn map_head(&mut self) -> Result<Length> {
        let length = self.tokens.map();
        let length = length.map_err(malformed)?;
        self.plausible(length, 2)
    }

    /// Whether another element follows; takes the break when there is one.
    pub(super) fn more(&mut self, length: &mut Length) -> Result<bool> {
        match &mut length.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.peek()? == BREAK => {
                self.tokens.set_position(self.tokens.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Null, undefined, a boolean or a float of any width.
    pub(super) fn simple(&mut self) -> Result<Simple> {
        let at = self.tokens.position();
        let head = self.peek()?;
        let width = match head {
            0xf9 => 2,
            0xfa => 4,
            0xfb => 8,
            _ => 0,
        };
        let Some(argument) = self.tokens.input().get(at + 1..at + 1 + width) else {
            return Err(self.corrupt("the input ends within a float"));
        };
        let bits = argument.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let simple = match head {
            0xf4 => Simple::Bool(false),
            0xf5 => Simple::Bool(true),
            0xf6 | 0xf7 => Simple::Null,
            0xf9 => Simple::Float(widen(bits, 5, 10)),
            0xfa => Simple::Float(widen(bits, 8, 23)),
            0xfb => Simple::Float(f64::from_bits(bits)),
            BREAK => return Err(self.corrupt("a break where there is nothing to end")),
            0xfc..=0xfe => return Err(self.corrupt("a reserved head")),
            _ => return Err(self.foreign("a simple value that has no meaning here")),
        };
        self.tokens.set_position(at + 1 + width);
        Ok(simple)
    }

    /// One level less.
    pub(super) fn nested(&self, depth: usize) -> Result<usize> {
        depth
            .checked_sub(1)
            .ok_or_else(|| self.corrupt(format_args!("nesting deeper than {MAX_DEPTH} levels")))
    }

    /// Refuses a length that the rest of the input cannot hold, each element taking at least so many bytes.
    fn plausible(&self, length: Option<u64>, each: usize) -> Result<Length> {
        match length {
            Some(length) if length > (self.remaining() / each) as u64 => {
                Err(self.corrupt("a length beyond the end of the input"))
            }
            length => Ok(Length(length)),
        }
    }

    fn is_indefinite(&self) -> Result<bool> {
        Ok(self.peek()? & 0x1f == 0x1f)
    }

    fn peek(&self) -> Result<u8> {
        match self.tokens.input().get(self.tokens.position()) {
            Some(byte) => Ok(*byte),
            None => Err(self.corrupt("the input ends within the value")),
        }
    }

    fn remaining(&self) -> usize {
        self.tokens.input().len().saturating_sub(self.tokens.position())
    }

    /// Not CBOR, or not what this tag stands for.
    pub(super) fn corrupt(&self, what: impl Display) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!("cbor, near byte {}: {what}", self.tokens.position()),
        )
    }

    /// Good CBOR that no value can hold.
    pub(super) fn foreign(&self, what: impl Display) -> Error {
        Error::new(
            ErrorKind::Codec,
            format!("cbor, near byte {}: {what}", self.tokens.position()),
        )
    }
}

impl Length {
    /// How many elements are left, unless that is known only at the break.
    pub(super) fn definite(self) -> Option<u64> {
        self.0
    }

    /// How many elements to make room for.
    pub(super) fn trusted(&self) -> usize {
        self.0.map_or(0, |length| length.min(TRUSTED_LENGTH as u64) as usize)
    }
}

fn malformed(error: minicbor::decode::Error) -> Error {
    Error::new(ErrorKind::Corrupt, format!("cbor: {error}"))
}

/// The float of these bits of a narrower format, exactly, the bits of a NaN included.
fn widen(bits: u64, exponent_bits: u32, fraction_bits: u32) -> f64 {
    let sign = bits >> (exponent_bits + fraction_bits) << 63;
    let fraction = bits & ((1 << fraction_bits) - 1);
    let exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    let bias: u64 = (1 << (exponent_bits - 1)) - 1;
    if exponent == 0 {
        // Zero and the subnormal numbers: the fraction times the smallest number of the format.
        let smallest = f64::from_bits((1023 + 1 - bias - u64::from(fraction_bits)) << 52);
        let magnitude = fraction as f64 * smallest;
        return f64::from_bits(sign | magnitude.to_bits());
    }
    let exponent = match exponent == (1 << exponent_bits) - 1 {
        true => 0x7ff,
        false => exponent + 1023 - bias,
    };
    f64::from_bits(sign | exponent << 52 | fraction << (52 - fraction_bits))
}
