//! Between records and the values that users see.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Inner;
use crate::head::{Head, Meta};
use crate::placement::Fetched;
use crate::record::{Codec, Content};
use crate::value::{Map, to_value};
use crate::{Error, ErrorKind, Result, Value};

/// The codec of a record that must be a document.
fn codec_of(content: Content) -> Result<Codec> {
    match content {
        Content::Encoded(codec) => Ok(codec),
        Content::Raw => Err(Error::new(
            ErrorKind::WrongKind,
            "a binary, not a document: read it with `bget`",
        )),
    }
}

/// The value of a record.
pub(crate) fn decode_value(fetched: &Fetched) -> Result<Value> {
    codec_of(fetched.content)?.decode(&fetched.plain)
}

/// The typed value of a record.
pub(crate) fn decode<T: DeserializeOwned>(fetched: &Fetched) -> Result<T> {
    codec_of(fetched.content)?.decode_typed(&fetched.plain)
}

/// What is known of a record that was read.
pub(crate) fn meta_of(inner: &Inner, fetched: &Fetched) -> Result<Meta> {
    Head::decode(&inner.envelope, &fetched.meta)?.into_meta(fetched.rev, fetched.expires)
}

/// The fields that users give with `.meta(..)`: whatever serializes as a map.
pub(crate) fn user_fields(fields: &(impl Serialize + ?Sized)) -> Result<Map> {
    match to_value(fields)? {
        Value::Map(map) => Ok(map),
        _ => Err(Error::new(
            ErrorKind::InvalidInput,
            "meta fields must serialize as a map",
        )),
    }
}
