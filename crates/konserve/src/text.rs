//! Settings that are all text, as in a URL: what type a text has to be is up to the field that it is for.

use std::fmt::{self, Display};

use konserve_core::{Error, ErrorKind, Result};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::Settings;

/// Fields in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    Text {
        /// The whole name of the field.
        name: String,
        text: String,
    },
    Table(Table),
}

impl Table {
    /// Adds a field. Dots in its name lead into tables.
    pub(crate) fn insert(&mut self, name: &str, text: &str) -> Result<()> {
        let mut table = self;
        let mut rest = name;
        while let Some((outer, inner)) = rest.split_once('.') {
            let index = table.position(outer).unwrap_or_else(|| {
                table.0.push((outer.to_owned(), Node::Table(Self::default())));
                table.0.len() - 1
            });
            table = match &mut table.0[index].1 {
                Node::Table(inner) => inner,
                Node::Text { .. } => return Err(twice(name)),
            };
            rest = inner;
        }
        if table.position(rest).is_some() {
            return Err(twice(name));
        }
        let (whole, text) = (name.to_owned(), text.to_owned());
        table.0.push((rest.to_owned(), Node::Text { name: whole, text }));
        Ok(())
    }

    /// Takes out a table, an empty one when there is none.
    pub(crate) fn take_table(&mut self, name: &str) -> Result<Self> {
        match self.position(name).map(|index| self.0.remove(index).1) {
            None => Ok(Self::default()),
            Some(Node::Table(table)) => Ok(table),
            Some(Node::Text { .. }) => {
                let message = format!("{name}: its fields are given as `{name}.field=…`");
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }

    fn into_fields(self) -> MapDeserializer<'static, std::vec::IntoIter<(String, Node)>, TextError> {
        MapDeserializer::new(self.0.into_iter())
    }
}

impl Settings for Table {
    fn read<T: DeserializeOwned>(self) -> Result<T> {
        T::deserialize(self.into_fields()).map_err(|error| Error::new(ErrorKind::Config, error.0))
    }
}

fn twice(name: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{name}: given twice"))
}

impl IntoDeserializer<'_, TextError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $expected:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            match self {
                Self::Text { name, text } => match text.parse() {
                    Ok(parsed) => visitor.$visit(parsed),
                    Err(_) => Err(TextError(format!("{name}: {}", $expected))),
                },
                Self::Table(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Self::Text { text, .. } => visitor.visit_string(text),
            Self::Table(table) => visitor.visit_map(table.into_fields()),
        }
    }

    parsed! {
        deserialize_bool visit_bool "true or false"
        deserialize_u32 visit_u32 "a whole number"
        deserialize_u64 visit_u64 "a whole number"
        deserialize_i64 visit_i64 "a whole number"
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        match self {
            Self::Text { name: field, text } => {
                let variant: StrDeserializer<'_, TextError> = text.as_str().into_deserializer();
                let read = variant.deserialize_enum(name, variants, visitor);
                read.map_err(|error| TextError(format!("{field}: {}", error.0)))
            }
            Self::Table(table) => {
                MapAccessDeserializer::new(table.into_fields()).deserialize_enum(name, variants, visitor)
            }
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// What does not fit. Names fields, never texts: those may be secret.
#[derive(Debug)]
pub(crate) struct TextError(String);

impl Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

impl de::Error for TextError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Map => "a table",
            _ => "a text",
        };
        Self(format!("found {found}, expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("found what does not fit, expected {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("one of {}", expected.join(", ")))
    }
}
