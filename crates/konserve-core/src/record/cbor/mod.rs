//! CBOR (RFC 8949), the default codec. `docs/format.md` says what each value looks like.
//!
//! Types of the program go straight to CBOR and back, without a value in between. Those two paths know the forms that are
//! common, and give up on the rest: then the way through the value is taken, which also says what is wrong. So they may be
//! incomplete, but what they do must be the same.

mod decode;
mod deserialize;
mod encode;
mod key;
mod reader;
mod serialize;
mod tags;
mod tokens;

use std::fmt::{self, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use self::decode::decode;
pub(super) use self::encode::encode;
use crate::value::{from_value, to_value};
use crate::{Error, Result};

/// Appends the encoding of the value of `it` to the buffer.
pub(super) fn encode_typed<T: Serialize + ?Sized>(it: &T, buffer: &mut Vec<u8>) -> Result<()> {
    let start = buffer.len();
    if serialize::serialize(it, buffer).is_err() {
        buffer.truncate(start);
        encode(&to_value(it)?, buffer)?;
    }
    Ok(())
}

/// What the value of these bytes, all of them, is as a type of the program.
pub(super) fn decode_typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match deserialize::deserialize(bytes) {
        Ok(it) => Ok(it),
        Err(GaveUp) => from_value(decode(bytes)?),
    }
}

/// Says that a direct path does not go on. Why, the way through the value finds out, if there is anything wrong at all.
#[derive(Debug)]
struct GaveUp;

impl Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the direct path gave up")
    }
}

impl std::error::Error for GaveUp {}

impl serde::ser::Error for GaveUp {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl serde::de::Error for GaveUp {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }

    // The provided ones would format their message first.

    fn invalid_type(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }

    fn invalid_value(_: serde::de::Unexpected<'_>, _: &dyn serde::de::Expected) -> Self {
        Self
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
}

impl From<Error> for GaveUp {
    fn from(_: Error) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Deserialize;

    use super::*;
    use crate::value::{Tagged, as_uuid};
    use crate::{Instant, Keyword, Value};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Common {
        name: String,
        age: Option<u8>,
        kind: Kind,
        scores: Vec<f64>,
        by_name: HashMap<String, Kind>,
        role: Keyword,
        seen: Instant,
        #[serde(with = "as_uuid")]
        id: uuid::Uuid,
        anything: Value,
        tagged: Tagged,
        number: serde_json::Number,
        large: i128,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Plain,
        Rich { zeta: u8, alpha: u8 },
        Tuple(u8, u8),
    }

    fn common() -> Common {
        let kinds = [Kind::Plain, Kind::Rich { zeta: 1, alpha: 2 }, Kind::Tuple(1, 2)];
        Common {
            name: "somebody".to_owned(),
            age: None,
            kind: Kind::Rich { zeta: 1, alpha: 2 },
            scores: vec![1.5],
            by_name: kinds
                .into_iter()
                .enumerate()
                .map(|(at, kind)| (at.to_string(), kind))
                .collect(),
            role: crate::kw!("user/admin"),
            seen: Instant::UNIX_EPOCH,
            id: uuid::Uuid::from_u128(7),
            anything: r#"{:a #{1 "b"}, 1 [nil true #uuid "00000000-0000-0000-0000-000000000007" #my/tag {}]}"#
                .parse()
                .unwrap(),
            tagged: Tagged::new("a", 1).unwrap(),
            number: 5.into(),
            large: i128::MIN,
        }
    }

    /// Without this, a direct path that always gives up would pass every other test.
    #[test]
    fn the_direct_paths_do_not_give_up_on_what_is_common() {
        let mut direct = Vec::new();
        serialize::serialize(&common(), &mut direct).unwrap();
        assert_eq!(deserialize::deserialize::<Common>(&direct).unwrap(), common());

        let keywords: Value = r#"{:name "a", :kind :Plain}"#.parse().unwrap();
        let mut bytes = Vec::new();
        encode(&keywords, &mut bytes).unwrap();
        assert!(deserialize::deserialize::<BTreeMap<String, Value>>(&bytes).is_ok());
        assert!(deserialize::deserialize::<BTreeMap<Keyword, Value>>(&bytes).is_ok());
        assert!(deserialize::deserialize::<Value>(&bytes).is_ok());
    }
}
