//! CBOR to values: all that `encode` writes, and from elsewhere whatever has a clear meaning.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uuid::Uuid;

use super::reader::{Major, Reader, Simple};
use super::tags;
use crate::value::{MAX_DEPTH, Tagged};
use crate::{Instant, Result, Value};

/// The value of these bytes, all of them.
pub(in crate::record) fn decode(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(MAX_DEPTH)?;
    reader.end()?;
    Ok(value)
}

impl Reader<'_> {
    /// The next item as a value. `depth` is how many levels of nesting are left.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value> {
        Ok(match self.major()? {
            Major::Unsigned | Major::Negative => Value::Integer(self.integer()?),
            Major::Bytes => Value::Bytes(self.bytes()?),
            Major::Text => Value::Text(self.text()?.into_owned()),
            Major::Array => Value::List(self.list(depth)?),
            Major::Map => Value::Map(self.map(depth)?),
            Major::Tag => self.tagged(depth)?,
            Major::Simple => match self.simple()? {
                Simple::Null => Value::Null,
                Simple::Bool(value) => Value::Bool(value),
                Simple::Float(value) => Value::Float(value),
            },
        })
    }

    fn bytes(&mut self) -> Result<Bytes> {
        Ok(match self.byte_string()? {
            Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        })
    }

    /// The whole number of a bignum, behind its tag.
    pub(super) fn bignum(&mut self, tag: u64) -> Result<i128> {
        let bytes = match self.major()? {
            Major::Bytes => self.byte_string()?,
            _ => return Err(self.corrupt("a bignum that is not a byte string")),
        };
        let significant = bytes.iter().skip_while(|byte| **byte == 0);
        let magnitude = significant
            .clone()
            .take(16)
            .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        match i128::try_from(magnitude) {
            Ok(magnitude) if significant.count() <= 16 => Ok(match tag {
                tags::NEGATIVE_BIGNUM => !magnitude,
                _ => magnitude,
            }),
            _ => Err(self.foreign("a whole number of more than 128 bits")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>> {
        let depth = self.nested(depth)?;
        let mut length = self.array_head()?;
        let mut values = Vec::with_capacity(length.trusted());
        while self.more(&mut length)? {
            values.push(self.value(depth)?);
        }
        Ok(values)
    }

    fn map(&mut self, depth: usize) -> Result<BTreeMap<Value, Value>> {
        let depth = self.nested(depth)?;
        let mut length = self.map_head()?;
        let mut entries = Vec::with_capacity(length.trusted());
        while self.more(&mut length)? {
            let key = self.value(depth)?;
            entries.push((key, self.value(depth)?));
        }
        if !in_order(&mut entries, |a, b| a.0.cmp(&b.0)) {
            return Err(self.corrupt("a map has the same key twice"));
        }
        Ok(BTreeMap::from_iter(entries))
    }

    fn set(&mut self, depth: usize) -> Result<BTreeSet<Value>> {
        if self.major()? != Major::Array {
            return Err(self.corrupt("a set that is not an array"));
        }
        let mut members = self.list(depth)?;
        if !in_order(&mut members, Value::cmp) {
            return Err(self.corrupt("a set has the same member twice"));
        }
        Ok(BTreeSet::from_iter(members))
    }

    fn tagged(&mut self, depth: usize) -> Result<Value> {
        Ok(match self.tag()? {
            tag @ (tags::POSITIVE_BIGNUM | tags::NEGATIVE_BIGNUM) => Value::Integer(self.bignum(tag)?),
            tag @ (tags::EXTENDED_TIME | tags::DATE_TIME | tags::EPOCH) => Value::Instant(self.instant(tag)?),
            tags::IDENTIFIER => self.keyword()?,
            tags::UUID => Value::Uuid(self.uuid()?),
            tags::SET => Value::Set(self.set(depth)?),
            tags::OBJECT => {
                let depth = self.nested(depth)?;
                let mut length = match self.major()? {
                    Major::Array => self.array_head()?,
                    _ => return Err(self.corrupt("an object that is not an array")),
                };
                if !self.more(&mut length)? || self.major()? != Major::Text {
                    return Err(self.corrupt("an object without a name"));
                }
                let tag = self.text()?.into_owned();
                if !self.more(&mut length)? {
                    return Err(self.foreign("an object of other than two parts"));
                }
                let value = self.value(depth)?;
                if self.more(&mut length)? {
                    return Err(self.foreign("an object of other than two parts"));
                }
                match Tagged::new(tag, value) {
                    Ok(tagged) => Value::Tagged(Box::new(tagged)),
                    Err(_) => return Err(self.foreign("an object whose name cannot be a tag")),
                }
            }
            tags::SELF_DESCRIBED => {
                let depth = self.nested(depth)?;
                self.value(depth)?
            }
            tag => return Err(self.foreign(format_args!("tag {tag}, which has no meaning here"))),
        })
    }

    fn keyword(&mut self) -> Result<Value> {
        let text = self.keyword_text()?;
        text.parse()
            .map(Value::Keyword)
            .map_err(|_| self.corrupt("a keyword that cannot be one"))
    }

    /// The UUID behind its tag.
    pub(super) fn uuid(&mut self) -> Result<Uuid> {
        if self.major()? == Major::Bytes
            && let Ok(uuid) = Uuid::from_slice(&self.byte_string()?)
        {
            return Ok(uuid);
        }
        Err(self.corrupt("a uuid that is not 16 bytes"))
    }

    /// The instant behind one of the three tags.
    pub(super) fn instant(&mut self, tag: u64) -> Result<Instant> {
        let nanos = match (tag, self.major()?) {
            (tags::DATE_TIME, Major::Text) => {
                let text = self.text()?;
                return text.parse().map_err(|_| self.corrupt("a date that is none"));
            }
            (tags::EPOCH, Major::Unsigned | Major::Negative) => self.integer()?.checked_mul(1_000_000_000),
            (tags::EPOCH, Major::Simple) => match self.simple()? {
                Simple::Float(seconds) if seconds.is_finite() => {
                    let fraction = ((seconds - seconds.floor()) * 1e9).round() as i128;
                    (seconds.floor() as i128)
                        .checked_mul(1_000_000_000)
                        .and_then(|nanos| nanos.checked_add(fraction))
                }
                _ => None,
            },
            (tags::EXTENDED_TIME, Major::Map) => self.extended_time()?,
            _ => return Err(self.corrupt("an instant in an impossible form")),
        };
        nanos
            .and_then(Instant::from_nanos)
            .ok_or_else(|| self.foreign("an instant out of range"))
    }

    /// Seconds and nanoseconds, each a whole number, each once; anything else would change what is meant.
    fn extended_time(&mut self) -> Result<Option<i128>> {
        let mut length = self.map_head()?;
        let (mut seconds, mut nanos) = (None, None);
        while self.more(&mut length)? {
            let key = self.part_of_time()?;
            let slot = match key {
                tags::SECONDS => &mut seconds,
                tags::NANOSECONDS => &mut nanos,
                _ => return Err(self.foreign("an extended time with other than seconds and nanoseconds")),
            };
            if slot.replace(self.part_of_time()?).is_some() {
                return Err(self.corrupt("a map has the same key twice"));
            }
        }
        let Some(seconds) = seconds else {
            return Err(self.corrupt("an extended time without seconds"));
        };
        let nanos = nanos.unwrap_or(0);
        if !(0..1_000_000_000).contains(&nanos) {
            return Err(self.corrupt("an extended time with more than a second of nanoseconds"));
        }
        Ok(seconds
            .checked_mul(1_000_000_000)
            .and_then(|whole| whole.checked_add(nanos)))
    }

    fn part_of_time(&mut self) -> Result<i128> {
        match self.major()? {
            Major::Unsigned | Major::Negative => self.integer(),
            _ => Err(self.foreign("an extended time of other than whole numbers")),
        }
    }
}

/// Puts the elements in order, and says whether no two are equal. Our own encodings are in order already.
fn in_order<T>(elements: &mut [T], compare: impl Fn(&T, &T) -> Ordering) -> bool {
    if elements.is_sorted_by(|a, b| compare(a, b) == Ordering::Less) {
        return true;
    }
    elements.sort_by(&compare);
    elements.is_sorted_by(|a, b| compare(a, b) == Ordering::Less)
}
