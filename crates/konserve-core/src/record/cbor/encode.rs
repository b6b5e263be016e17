//! Values to CBOR.

use super::tags;
use super::tokens::Tokens;
use crate::value::MAX_DEPTH;
use crate::{Error, ErrorKind, Result, Value};

/// Appends the encoding of a value to the buffer.
pub(in crate::record) fn encode(value: &Value, buffer: &mut Vec<u8>) -> Result<()> {
    encode_value(&mut Tokens::new(buffer), value, MAX_DEPTH)
}

/// `depth` is how many levels of nesting are left.
pub(super) fn encode_value(tokens: &mut Tokens<'_>, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Null => tokens.null(),
        Value::Bool(value) => tokens.bool(*value),
        Value::Integer(value) => tokens.integer(*value),
        Value::Float(value) => tokens.float(*value),
        Value::Text(value) => tokens.text(value),
        Value::Bytes(value) => tokens.bytes(value),
        Value::Keyword(value) => tokens.keyword(value.as_str()),
        Value::Uuid(value) => tokens.uuid(value.as_bytes()),
        Value::Instant(value) => tokens.instant(*value),
        Value::List(values) => {
            let depth = nested(depth)?;
            tokens.array(values.len());
            for value in values {
                encode_value(tokens, value, depth)?;
            }
        }
        Value::Set(values) => {
            let depth = nested(depth)?;
            tokens.tag(tags::SET);
            tokens.array(values.len());
            for value in values {
                encode_value(tokens, value, depth)?;
            }
        }
        Value::Map(entries) => {
            let depth = nested(depth)?;
            tokens.map(entries.len());
            for (key, value) in entries {
                encode_value(tokens, key, depth)?;
                encode_value(tokens, value, depth)?;
            }
        }
        Value::Tagged(tagged) => {
            let depth = nested(depth)?;
            tokens.tag(tags::OBJECT);
            tokens.array(2);
            tokens.text(tagged.tag());
            encode_value(tokens, tagged.value(), depth)?;
        }
    }
    Ok(())
}

/// One level less.
pub(super) fn nested(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(|| {
        Error::new(
            ErrorKind::Codec,
            format!("the value is nested deeper than {MAX_DEPTH} levels"),
        )
    })
}
