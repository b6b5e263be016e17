//! JSON (RFC 8259), for records that people read.
//!
//! What JSON has is written as just that. The rest is an object with one key that begins with `~`; keys of documents that
//! would be mistaken get one `~` more. `docs/format.md` has the table.

mod decode;
mod encode;
mod names;

pub(super) use self::decode::decode;
pub(super) use self::encode::encode;
