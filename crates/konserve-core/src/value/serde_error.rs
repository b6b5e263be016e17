//! What goes wrong between values and serde types, and where.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};
use serde::ser;

use super::{MAX_DEPTH, Value};
use crate::{Error, ErrorKind};

/// An error of serialization or deserialization that gathers, on its way out, the path at which it happened.
///
/// It names types and steps, never the values found: those may be secret.
#[derive(Debug)]
pub(crate) struct SerdeError {
    message: String,
    /// The steps to the place, the innermost first.
    steps: Vec<Value>,
}

impl SerdeError {
    pub(crate) fn new(message: impl Display) -> Self {
        Self {
            message: message.to_string(),
            steps: Vec::new(),
        }
    }

    /// The error for one level too many.
    pub(crate) fn too_deep() -> Self {
        Self::new(format_args!("more than {MAX_DEPTH} levels"))
    }

    /// The same error, seen from one level further out.
    #[must_use]
    pub(crate) fn at(mut self, step: impl Into<Value>) -> Self {
        self.steps.push(step.into());
        self
    }
}

impl From<SerdeError> for Error {
    fn from(error: SerdeError) -> Self {
        Self::new(ErrorKind::Codec, error.to_string())
    }
}

impl Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.steps.is_empty() {
            f.write_str("at ")?;
            super::write_list(self.steps.iter().rev(), f)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for SerdeError {}

impl ser::Error for SerdeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl de::Error for SerdeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("found {}, expected {expected}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!(
            "found {} that does not fit, expected {expected}",
            kind(found)
        ))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format_args!("found an unknown variant, expected one of {expected:?}"))
    }
}

/// What was found, without its content.
fn kind(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit => "null",
        Unexpected::Option => "an optional value",
        Unexpected::NewtypeStruct => "a newtype struct",
        Unexpected::Seq => "list",
        Unexpected::Map => "map",
        Unexpected::Enum => "an enum",
        Unexpected::UnitVariant => "a variant without content",
        Unexpected::NewtypeVariant => "a variant of one value",
        Unexpected::TupleVariant => "a variant with a list",
        Unexpected::StructVariant => "a variant with fields",
        Unexpected::Other(other) => other,
    }
}
