//! Keywords: identifiers that stand for themselves.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::names;
use crate::{Error, ErrorKind, Result};

/// An identifier, `:name` or `:namespace/name`.
///
/// Name and namespace are made of at least one character each: letters and digits of any script, `.*+!-_?$%&=<>`, and
/// after the first character also `:` and `#`. Cheap to clone. [`kw!`](crate::kw) makes one that is checked at compile
/// time; the text form is the inverse of [`FromStr`].
///
/// With serde, a keyword inside a document stays a keyword; other formats see the text, colon included.
///
/// ```
/// use konserve_core::{Keyword, kw};
///
/// let keyword = Keyword::new("user/name")?;
/// assert_eq!(keyword, kw!("user/name"));
/// assert_eq!((keyword.namespace(), keyword.name()), (Some("user"), "name"));
/// assert_eq!(keyword.to_string(), ":user/name");
/// assert_eq!(":user/name".parse::<Keyword>()?, keyword);
/// assert!(Keyword::new("no spaces").is_err());
/// # Ok::<(), konserve_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Keyword(Text);

/// The text of a keyword, colon included.
#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Keyword {
    /// The keyword of this text: `name` or `namespace/name`, without the colon.
    ///
    /// # Errors
    ///
    /// `invalid_input` when the text is not of that form.
    pub fn new(text: &str) -> Result<Self> {
        if is_identifier(text) {
            Ok(Self(Text::Shared(format!(":{text}").into())))
        } else {
            Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is not a keyword: expected `name` or `namespace/name`"),
            ))
        }
    }

    /// The keyword of this text, colon included, without allocating. [`kw!`](crate::kw) calls it at compile time.
    ///
    /// # Panics
    ///
    /// When the text is not `:name` or `:namespace/name`.
    pub const fn from_static(text: &'static str) -> Self {
        match text.as_bytes() {
            [b':', ..] if is_identifier(text.split_at(1).1) => Self(Text::Static(text)),
            _ => panic!("a keyword is `:name` or `:namespace/name`"),
        }
    }

    /// The text, colon included.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
        }
    }

    /// The text without the colon: `name` or `namespace/name`.
    pub fn identifier(&self) -> &str {
        &self.as_str()[1..]
    }

    /// What stands before the slash.
    pub fn namespace(&self) -> Option<&str> {
        self.identifier().split_once('/').map(|(namespace, _)| namespace)
    }

    /// What stands behind the slash, or all of it when there is none.
    pub fn name(&self) -> &str {
        let identifier = self.identifier();
        identifier.split_once('/').map_or(identifier, |(_, name)| name)
    }
}

/// A [`Keyword`] of a literal `"name"` or `"namespace/name"`, checked at compile time.
///
/// ```
/// use konserve_core::kw;
///
/// assert_eq!(kw!("bar").to_string(), ":bar");
/// ```
///
/// ```compile_fail
/// konserve_core::kw!("two words");
/// ```
#[macro_export]
macro_rules! kw {
    ($text:literal) => {
        const { $crate::Keyword::from_static(concat!(":", $text)) }
    };
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Keyword {
    type Err = Error;

    /// Reads `:name` or `:namespace/name`.
    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(':') {
            Some(identifier) if is_identifier(identifier) => Ok(Self(Text::Shared(text.into()))),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is not a keyword: expected `:name` or `:namespace/name`"),
            )),
        }
    }
}

impl Serialize for Keyword {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(names::KEYWORD, self.as_str())
    }
}

impl<'de> Deserialize<'de> for Keyword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeywordVisitor;

        impl<'de> Visitor<'de> for KeywordVisitor {
            type Value = Keyword;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a keyword")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Keyword, D::Error> {
                deserializer.deserialize_str(self)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Keyword, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_newtype_struct(names::KEYWORD, KeywordVisitor)
    }
}

/// Whether this is `name` or `namespace/name`, as keywords and tags are.
pub(crate) const fn is_identifier(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut slash, mut first) = (0, false, true);
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'/' {
            if first || slash {
                return false;
            }
            (slash, first, at) = (true, true, at + 1);
            continue;
        }
        let allowed = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => true,
            b'.' | b'*' | b'+' | b'!' | b'-' | b'_' | b'?' | b'$' | b'%' | b'&' | b'=' | b'<' | b'>' => true,
            b':' | b'#' => !first,
            0..=0x7f => false,
            _ => is_visible(bytes, at),
        };
        if !allowed {
            return false;
        }
        at += width(byte);
        first = false;
    }
    !first
}

/// The bytes of the character that begins with this byte.
const fn width(first: u8) -> usize {
    match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}

/// Whether the character beyond ASCII that begins here is neither white space nor a control character.
const fn is_visible(bytes: &[u8], at: usize) -> bool {
    let width = width(bytes[at]);
    let mut code = bytes[at] as u32 & (0x7f >> width);
    let mut next = 1;
    while next < width {
        code = code << 6 | (bytes[at + next] as u32 & 0x3f);
        next += 1;
    }
    match char::from_u32(code) {
        Some(character) => !character.is_whitespace() && code > 0x9f,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_keyword_is_made_of() {
        for good in [
            "a",
            "foo",
            "foo.bar/baz-1",
            "1",
            "a:b",
            "a#",
            "größe",
            "日本/語",
            "+",
            "<=>",
            "🙂",
        ] {
            let keyword = Keyword::new(good).unwrap();
            assert_eq!(keyword.to_string(), format!(":{good}"));
            assert_eq!(keyword.to_string().parse::<Keyword>().unwrap(), keyword);
        }
        for bad in [
            "", "/", "a/", "/a", "a/b/c", ":a", "#a", "a b", "a,b", "a\"", "a;b", "(", "a]", "a\\", "a\n", "a\u{a0}b",
            "a\u{85}", "\u{2028}", "a/:b", "a@b",
        ] {
            assert!(Keyword::new(bad).is_err(), "{bad:?}");
            assert!(format!(":{bad}").parse::<Keyword>().is_err(), "{bad:?}");
        }
        assert!("foo".parse::<Keyword>().is_err());
    }
}
