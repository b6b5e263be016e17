//! CBOR (RFC 8949), the default codec. `docs/format.md` says what each value looks like.

mod decode;
mod encode;
mod reader;
mod tags;
mod tokens;

pub(super) use self::decode::decode;
pub(super) use self::encode::encode;
