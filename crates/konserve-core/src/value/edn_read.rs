//! The text form of values: reading EDN, by recursive descent.

use std::collections::BTreeSet;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::{MAX_DEPTH, Map, Tagged, Value};
use crate::{Error, ErrorKind, Instant, Result};

impl FromStr for Value {
    type Err = Error;

    /// Reads the one EDN form that the text consists of.
    ///
    /// # Errors
    ///
    /// `invalid_input`, with the byte offset and what was found there.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.form(0)?;
        reader.skip_blank(0)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.unexpected("the end of the text")),
        }
    }
}

/// The text and how far it has been read.
struct Reader<'a> {
    text: &'a str,
    /// A byte offset, always at the start of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a form inside this many levels.
    fn form(&mut self, depth: usize) -> Result<Value> {
        self.skip_blank(depth)?;
        match self.peek() {
            Some('"') => self.text().map(Value::Text),
            Some('\\') => self.character(),
            Some('[') => self.sequence("[", ']', depth).map(Value::List),
            Some('(') => self.sequence("(", ')', depth).map(Value::List),
            Some('{') => self.map(depth),
            Some('#') => self.dispatch(depth),
            Some(':') => self.keyword(),
            Some(c) if is_token(c) => self.number_or_name(),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Passes over white space, comments and discarded forms.
    fn skip_blank(&mut self, depth: usize) -> Result<()> {
        loop {
            match self.peek() {
                Some(c) if is_blank(c) => self.at += 1,
                Some(';') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some('#') if self.rest().starts_with("#_") => {
                    let start = self.at;
                    self.at += 2;
                    self.form(deeper(depth, start)?)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn sequence(&mut self, open: &str, close: char, depth: usize) -> Result<Vec<Value>> {
        let start = self.at;
        let below = deeper(depth, start)?;
        self.at += open.len();
        let mut items = Vec::new();
        loop {
            self.skip_blank(below)?;
            match self.peek() {
                Some(c) if c == close => {
                    self.at += 1;
                    return Ok(items);
                }
                None => return Err(self.unexpected(&format!("`{close}` for the `{open}` at byte {start}"))),
                Some(_) => items.push(self.form(below)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value> {
        let start = self.at;
        let items = self.sequence("{", '}', depth)?;
        if items.len() % 2 != 0 {
            return Err(invalid(start, "a map with a key that has no value"));
        }
        let mut map = Map::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if let Some((key, _)) = map.get_key_value(&key) {
                return Err(invalid(
                    start,
                    &format!("a map with the key {} twice", excerpt(&key.to_string())),
                ));
            }
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }

    fn set(&mut self, depth: usize) -> Result<Value> {
        let start = self.at;
        let mut set = BTreeSet::<Value>::new();
        for member in self.sequence("#{", '}', depth)? {
            if let Some(member) = set.get(&member) {
                return Err(invalid(
                    start,
                    &format!("a set with the member {} twice", excerpt(&member.to_string())),
                ));
            }
            set.insert(member);
        }
        Ok(Value::Set(set))
    }

    /// Reads what begins with `#`.
    fn dispatch(&mut self, depth: usize) -> Result<Value> {
        let start = self.at;
        if self.rest().starts_with("#{") {
            return self.set(depth);
        }
        if self.rest().starts_with("##") {
            self.at += 2;
            return match self.token() {
                "Inf" => Ok(Value::Float(f64::INFINITY)),
                "-Inf" => Ok(Value::Float(f64::NEG_INFINITY)),
                "NaN" => Ok(Value::Float(f64::NAN)),
                other => Err(invalid(
                    start,
                    &format!("`##{}`, expected `##Inf`, `##-Inf` or `##NaN`", excerpt(other)),
                )),
            };
        }
        self.at += 1;
        let tag = self.token();
        if Tagged::RESERVED.contains(&tag) {
            return self.reserved(tag, start, depth);
        }
        let value = self.form(deeper(depth, start)?)?;
        match Tagged::new(tag, value) {
            Ok(tagged) => Ok(tagged.into()),
            Err(_) => Err(invalid(start, &format!("`#{}`, which is not a tag", excerpt(tag)))),
        }
    }

    /// Reads the text behind a tag that has a meaning of its own.
    fn reserved(&mut self, tag: &str, start: usize, depth: usize) -> Result<Value> {
        self.skip_blank(depth)?;
        if self.peek() != Some('"') {
            return Err(self.unexpected(&format!("the text of `#{tag}`")));
        }
        let text = self.text()?;
        let value = match tag {
            "bytes" => STANDARD
                .decode(text.as_bytes())
                .ok()
                .map(|bytes| Value::Bytes(bytes.into())),
            "uuid" => Uuid::try_parse(&text).ok().map(Value::Uuid),
            "inst" => Instant::from_str(&text).ok().map(Value::Instant),
            _ if text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u64::from_str_radix(&text, 16)
                    .ok()
                    .map(|bits| Value::Float(f64::from_bits(bits)))
            }
            _ => None,
        };
        let meant = match tag {
            "bytes" => "Base64",
            "uuid" => "a UUID",
            "inst" => "a date and time as in RFC 3339",
            _ => "16 hexadecimal digits",
        };
        value.ok_or_else(|| invalid(start, &format!("`#{tag}` with a text that is not {meant}")))
    }

    fn keyword(&mut self) -> Result<Value> {
        let start = self.at;
        let token = self.token();
        match token.parse() {
            Ok(keyword) => Ok(Value::Keyword(keyword)),
            Err(_) => Err(invalid(start, &format!("`{}`, which is not a keyword", excerpt(token)))),
        }
    }

    fn number_or_name(&mut self) -> Result<Value> {
        let start = self.at;
        match self.token() {
            "nil" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            token if is_number(token) => number(token).ok_or_else(|| {
                invalid(
                    start,
                    &format!("`{}`, which is not a number or out of range", excerpt(token)),
                )
            }),
            token => Err(invalid(
                start,
                &format!("the symbol `{}`, which is not a value", excerpt(token)),
            )),
        }
    }

    /// Reads a text in quotes.
    fn text(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.rest().find(['"', '\\']).unwrap_or(self.rest().len());
            text.push_str(&self.rest()[..plain]);
            self.at += plain;
            match self.next() {
                Some('"') => return Ok(text),
                Some(_) => text.push(self.escape()?),
                None => return Err(self.unexpected(&format!("`\"` for the text at byte {start}"))),
            }
        }
    }

    /// Reads what stands behind a backslash in a text.
    fn escape(&mut self) -> Result<char> {
        let start = self.at - 1;
        match self.next() {
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('u') => {
                let high = self.utf16_unit();
                // Characters beyond the first 65,536 come as two units, as in JSON.
                let code = match high {
                    Some(high @ 0xd800..=0xdbff) if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        match self.utf16_unit() {
                            Some(low @ 0xdc00..=0xdfff) => Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
                            _ => None,
                        }
                    }
                    other => other,
                };
                let character = code.and_then(char::from_u32);
                character
                    .ok_or_else(|| invalid(start, "an escape that is not `\\u` and the four digits of a character"))
            }
            _ => Err(invalid(start, "an escape that is none")),
        }
    }

    /// Reads four hexadecimal digits.
    fn utf16_unit(&mut self) -> Option<u32> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Reads a character such as `\a` or `\newline`, as a text.
    fn character(&mut self) -> Result<Value> {
        let start = self.at;
        self.at += 1;
        let Some(first) = self.next() else {
            return Err(self.unexpected("a character"));
        };
        let name = self.at - first.len_utf8();
        self.token();
        let name = &self.text[name..self.at];
        let character = match name {
            "newline" => Some('\n'),
            "return" => Some('\r'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "formfeed" => Some('\u{c}'),
            "backspace" => Some('\u{8}'),
            _ if name.len() == first.len_utf8() => Some(first),
            _ => match name.strip_prefix('u') {
                Some(digits) if digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
                }
                _ => None,
            },
        };
        match character {
            Some(character) if !first.is_whitespace() => Ok(Value::from(character)),
            _ => Err(invalid(
                start,
                &format!("`\\{}`, which is not a character", excerpt(name.trim_end())),
            )),
        }
    }

    /// Reads up to the next delimiter.
    fn token(&mut self) -> &'a str {
        let rest = self.rest();
        let token = &rest[..rest.find(|c| !is_token(c)).unwrap_or(rest.len())];
        self.at += token.len();
        token
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        invalid(self.at, &format!("{found}, expected {expected}"))
    }
}

/// The beginning of what was found, for a message of bounded length.
fn excerpt(found: &str) -> String {
    match found.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &found[..end]),
        None => found.to_owned(),
    }
}

fn invalid(at: usize, found: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("invalid EDN at byte {at}: found {found}"),
    )
}

/// One level more, if there may be one.
fn deeper(depth: usize, at: usize) -> Result<usize> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(invalid(at, &format!("more than {MAX_DEPTH} levels")))
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}' | ',')
}

/// Whether the character can be part of a number, symbol, keyword or tag. Which of them are right is decided later.
fn is_token(c: char) -> bool {
    !is_blank(c) && !matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '"' | ';' | '\\')
}

/// Whether a token is meant as a number.
fn is_number(token: &str) -> bool {
    token
        .trim_start_matches(['+', '-'])
        .starts_with(|c: char| c.is_ascii_digit())
}

fn number(token: &str) -> Option<Value> {
    let digits = token.strip_prefix(['+', '-']).unwrap_or(token);
    let integral = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    if integral.is_empty() || (integral.len() > 1 && integral.starts_with('0')) {
        return None;
    }
    match &digits[integral.len()..] {
        "" | "N" => token.trim_end_matches('N').parse().ok().map(Value::Integer),
        tail => {
            let float = token.strip_suffix('M').unwrap_or(token);
            let plain = tail
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'M'));
            let float = float.parse::<f64>().ok().filter(|it| plain && it.is_finite());
            float.map(Value::Float)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_the_values_they_stand_for() {
        for (text, canonical) in [
            ("nil", "nil"),
            (" ,\t\n; comment\n true ; end", "true"),
            ("+5", "5"),
            ("-0", "0"),
            ("42N", "42"),
            (
                "170141183460469231731687303715884105727",
                "170141183460469231731687303715884105727",
            ),
            (
                "-170141183460469231731687303715884105728",
                "-170141183460469231731687303715884105728",
            ),
            ("1.5M", "1.5"),
            ("1M", "1.0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("1E-7", "1e-7"),
            ("1.", "1.0"),
            ("##Inf", "##Inf"),
            ("##-Inf", "##-Inf"),
            ("##NaN", "##NaN"),
            ("#float \"fff8000000000000\"", "#float \"fff8000000000000\""),
            ("#float \"3ff0000000000000\"", "1.0"),
            (
                r#""\t\r\n\\\"\b\f\u0041\ud83d\ude42é""#,
                "\"\\t\\r\\n\\\\\\\"\\u0008\\u000cA🙂é\"",
            ),
            ("\"two\nlines\"", "\"two\\nlines\""),
            (
                r"[\a \newline \space \tab \return \u00e9 \( \[ \\ \é \u \;]",
                r#"["a" "\n" " " "\t" "\r" "é" "(" "[" "\\" "é" "u" ";"]"#,
            ),
            (":a", ":a"),
            (":a.b/c", ":a.b/c"),
            ("(1 (2) [])", "[1 [2] []]"),
            ("#{3 1 2}", "#{1 2 3}"),
            ("{:b 2 :a 1}", "{:a 1, :b 2}"),
            ("[1 #_2 3 #_[:x \\]]]", "[1 3]"),
            ("[#_ #_ 1 2 3]", "[3]"),
            ("#_:ignored 7", "7"),
            ("#bytes \"AAEC/w==\"", "#bytes \"AAEC/w==\""),
            (
                "#uuid \"550E8400-e29b-41d4-a716-446655440000\"",
                "#uuid \"550e8400-e29b-41d4-a716-446655440000\"",
            ),
            ("#inst \"2024-02-29T13:00:00+01:00\"", "#inst \"2024-02-29T12:00:00Z\""),
            ("#my/tag{:a 1}", "#my/tag {:a 1}"),
            ("#a #b [1]", "#a #b [1]"),
        ] {
            let value: Value = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(value.to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn errors_say_where_and_what_was_found() {
        for (text, message) in [
            ("", "byte 0: found the end, expected a value"),
            ("1 2", "byte 2: found '2', expected the end of the text"),
            ("[1 2", "byte 4: found the end, expected `]` for the `[` at byte 0"),
            ("[1)", "byte 2: found ')', expected a value"),
            ("{:a}", "byte 0: found a map with a key that has no value"),
            ("[{1 2 1 3}]", "byte 1: found a map with the key 1 twice"),
            ("#{1 1}", "byte 0: found a set with the member 1 twice"),
            ("foo", "byte 0: found the symbol `foo`, which is not a value"),
            ("-", "byte 0: found the symbol `-`, which is not a value"),
            ("1/2", "byte 0: found `1/2`, which is not a number or out of range"),
            ("007", "byte 0: found `007`, which is not a number or out of range"),
            ("1e999", "byte 0: found `1e999`, which is not a number or out of range"),
            (
                "170141183460469231731687303715884105728",
                "byte 0: found `170141183460469231731687303715884105728`, which is not a number or out of range",
            ),
            (":", "byte 0: found `:`, which is not a keyword"),
            ("[::a]", "byte 1: found `::a`, which is not a keyword"),
            ("\"abc", "byte 4: found the end, expected `\"` for the text at byte 0"),
            (r#""\q""#, "byte 1: found an escape that is none"),
            (
                r#""\ud800""#,
                "byte 1: found an escape that is not `\\u` and the four digits of a character",
            ),
            (r"\foo", "byte 0: found `\\foo`, which is not a character"),
            ("##foo", "byte 0: found `##foo`, expected `##Inf`, `##-Inf` or `##NaN`"),
            ("#inst 5", "byte 6: found '5', expected the text of `#inst`"),
            ("#uuid \"x\"", "byte 0: found `#uuid` with a text that is not a UUID"),
            (
                "#bytes \"AAE\"",
                "byte 0: found `#bytes` with a text that is not Base64",
            ),
            ("#1 2", "byte 0: found `#1`, which is not a tag"),
            ("#foo", "byte 4: found the end, expected a value"),
            ("é", "byte 0: found the symbol `é`, which is not a value"),
            ("^{:a 1} []", "byte 0: found the symbol `^`, which is not a value"),
        ] {
            let error = text.parse::<Value>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("invalid EDN at {message}"), "{text}");
        }
    }
}
