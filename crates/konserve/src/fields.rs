//! Which fields a type has, asked of the type itself, so that no list of them has to be kept elsewhere.

use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The names of the fields of a struct with named fields; none for other types.
pub(crate) fn names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(Ask) {
        Err(Answer(names)) => names,
        Ok(_) => &[],
    }
}

/// Gives nothing to deserialize; what a type asks for is the answer.
struct Ask;

#[derive(Debug)]
struct Answer(&'static [&'static str]);

impl<'de> Deserializer<'de> for Ask {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to deserialize")
    }
}

impl std::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<T: Display>(_: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_tells_its_fields() {
        #[derive(Deserialize)]
        #[allow(dead_code)] // only its fields are of interest
        struct Two {
            one: u32,
            #[serde(rename = "another")]
            other: u32,
        }
        assert_eq!(names::<Two>(), ["one", "another"]);
        assert_eq!(names::<u32>(), [""; 0]);
        assert_eq!(names::<Option<Two>>(), [""; 0]);
    }
}
