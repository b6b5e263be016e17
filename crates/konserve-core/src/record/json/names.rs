//! The names of what JSON has no words for, and the keys that would be mistaken for them.

use std::borrow::Cow;

pub(super) const FLOAT: &str = "~float";
pub(super) const BYTES: &str = "~bytes";
pub(super) const SET: &str = "~set";
pub(super) const MAP: &str = "~map";
pub(super) const KEYWORD: &str = "~keyword";
pub(super) const UUID: &str = "~uuid";
pub(super) const INSTANT: &str = "~instant";
pub(super) const TAGGED: &str = "~tagged";

pub(super) const NAN: &str = "nan";
pub(super) const INFINITY: &str = "inf";
pub(super) const NEGATIVE_INFINITY: &str = "-inf";

/// Begins every name, and every key that was escaped.
const MARK: char = '~';

/// How `serde_json` hands over a number that no primitive holds exactly: as an object with this key. Documents that have such
/// a key of their own get it escaped, too.
pub(super) use crate::value::names::JSON_NUMBER as NUMBER;

/// The key of a document as it is written.
pub(super) fn escape(key: &str) -> Cow<'_, str> {
    match key.starts_with(MARK) || key == NUMBER {
        true => Cow::Owned(format!("{MARK}{key}")),
        false => Cow::Borrowed(key),
    }
}

/// The key of a document from how it is written; the name itself as an error if it is one of ours, or could become one.
pub(super) fn unescape(written: String) -> Result<String, String> {
    match written.strip_prefix(MARK) {
        None => Ok(written),
        Some(key) if key.starts_with(MARK) || key == NUMBER => Ok(key.to_owned()),
        Some(_) => Err(written),
    }
}

/// The bits of the NaN that is written as [`NAN`]; others are written as their bits.
pub(super) const USUAL_NAN: u64 = 0x7ff8_0000_0000_0000;
