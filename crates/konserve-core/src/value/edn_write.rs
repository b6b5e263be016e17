//! The text form of values: writing EDN.

use std::fmt::{self, Display, Formatter, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::Value;

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nil"),
            Self::Bool(it) => write!(f, "{it}"),
            Self::Integer(it) => write!(f, "{it}"),
            Self::Float(it) => write_float(*it, f),
            Self::Text(it) => write_text(it, f),
            Self::Bytes(it) => write!(f, "#bytes \"{}\"", Base64Display::new(it, &STANDARD)),
            Self::List(it) => write_list(it, f),
            Self::Set(it) => {
                f.write_str("#{")?;
                write_separated(it, f)?;
                f.write_char('}')
            }
            Self::Map(it) => {
                f.write_char('{')?;
                for (position, (key, value)) in it.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(f, "{separator}{key} {value}")?;
                }
                f.write_char('}')
            }
            Self::Keyword(it) => f.write_str(it.as_str()),
            Self::Uuid(it) => write!(f, "#uuid \"{it}\""),
            Self::Instant(it) => write!(f, "#inst \"{it}\""),
            Self::Tagged(it) => write!(f, "#{} {}", it.tag(), it.value()),
        }
    }
}

/// Writes a list of these items.
pub(crate) fn write_list<'a>(items: impl IntoIterator<Item = &'a Value>, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('[')?;
    write_separated(items, f)?;
    f.write_char(']')
}

fn write_separated<'a>(items: impl IntoIterator<Item = &'a Value>, f: &mut Formatter<'_>) -> fmt::Result {
    for (position, item) in items.into_iter().enumerate() {
        let separator = if position == 0 { "" } else { " " };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

fn write_float(float: f64, f: &mut Formatter<'_>) -> fmt::Result {
    if float.is_finite() {
        // The shortest text that reads back as the same float, always with a point or an exponent.
        write!(f, "{float:?}")
    } else if float == f64::INFINITY {
        f.write_str("##Inf")
    } else if float == f64::NEG_INFINITY {
        f.write_str("##-Inf")
    } else if float.to_bits() == f64::NAN.to_bits() {
        f.write_str("##NaN")
    } else {
        write!(f, "#float \"{:016x}\"", float.to_bits())
    }
}

fn write_text(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    let mut plain = text;
    while let Some(at) = plain.find(|c: char| matches!(c, '"' | '\\') || c.is_control()) {
        let (before, from) = plain.split_at(at);
        f.write_str(before)?;
        let mut rest = from.chars();
        match rest.next() {
            Some('"') => f.write_str("\\\"")?,
            Some('\\') => f.write_str("\\\\")?,
            Some('\n') => f.write_str("\\n")?,
            Some('\r') => f.write_str("\\r")?,
            Some('\t') => f.write_str("\\t")?,
            Some(control) => write!(f, "\\u{:04x}", u32::from(control))?,
            None => {}
        }
        plain = rest.as_str();
    }
    f.write_str(plain)?;
    f.write_char('"')
}
