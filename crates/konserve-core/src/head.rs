//! Heads: the meta part of every stored record, which says what the record is and where its bytes are.
//!
//! A head is always CBOR, whatever codec the body has, so that meta can be read without knowing the configuration.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::backend::{Address, Item, Partition, Space};
use crate::record::{Codec, Content, Envelope};
use crate::value::{Map, from_value, to_value};
use crate::{Error, ErrorKind, Instant, Key, Position, Result, Revision, Value};

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value, written by `assoc` and its relatives.
    Document,
    /// Bytes, written by `bassoc`.
    Binary,
    /// Entries in order, written by `append`.
    Log,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Document => "document",
            Self::Binary => "binary",
            Self::Log => "log",
        })
    }
}

/// What is known of a key without reading its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The key.
    pub key: Key,
    /// What the key holds.
    pub kind: Kind,
    /// When it was last written, by the writer's clock, to the millisecond. Never runs backwards for one key. Of a log: when
    /// it was created.
    pub last_write: Instant,
    /// The revision of the last write, for [`if_revision`](crate::store::Assoc::if_revision). The revision of a log names its
    /// creation and fits no conditional write.
    pub revision: Revision,
    /// The bytes of the value in its codec, or of the binary, before compression; 0 for a log (see [`log`](Self::log)).
    pub size: u64,
    /// The fields that the writer gave with `.meta(..)`.
    pub user: Map,
    /// From when on the key is absent, if it was written with [`.ttl(..)`](crate::store::Assoc::ttl); to the millisecond. Logs
    /// never expire.
    pub expires: Option<Instant>,
    /// How far a log reaches: of logs, and only by [`get_meta`](crate::Store::get_meta), which reads more for it.
    pub log: Option<LogMeta>,
}

/// How far a log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogMeta {
    /// How many entries can be read.
    pub entries: u64,
    /// The first position that can be read: 0 unless the log was [trimmed](crate::Store::trim).
    pub first: Position,
    /// The position of the next entry: one more than the last one's.
    pub next: Position,
    /// The bytes of the entries in their codec, before compression. After a trim, those of the items that are still needed: an item
    /// of which only a part was trimmed counts as a whole.
    pub bytes: u64,
    /// When the last entry was appended, by the writer's clock, to the millisecond.
    pub last_append: Instant,
}

impl LogMeta {
    /// The position of the last entry, if any can be read.
    pub fn last(&self) -> Option<Position> {
        (self.entries > 0).then(|| self.next - 1)
    }
}

/// The random name of the chunks of one large write.
pub(crate) type GenerationId = [u8; 16];

/// The random name of one life of a log.
pub(crate) type LogId = [u8; 16];

/// What a stored record is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HeadKind {
    Document {
        key: Key,
        user: Map,
    },
    Binary {
        key: Key,
        user: Map,
    },
    Log {
        key: Key,
        id: LogId,
    },
    /// This many entries of a log, from the row's position on, and how many bytes the rows before it hold, those that are gone
    /// included.
    Entries {
        count: u64,
        before: u64,
    },
    /// The end of a removed log.
    Seal,
}

/// Where the bytes of a record are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Placement {
    /// In the body, or nowhere for records without one.
    Inline,
    /// In chunks.
    Chunked(Manifest),
}

/// Which chunks make up a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) generation: GenerationId,
    /// The index of the first chunk in the generation, which several values may share.
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// The bytes of each chunk but the last, before compression.
    pub(crate) chunk_size: u64,
    /// The XXH3-64 checksum of all bytes.
    pub(crate) checksum: u64,
    /// What the bytes are.
    pub(crate) content: Content,
}

/// The meta part of a stored record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Head {
    pub(crate) kind: HeadKind,
    /// The bytes before compression.
    pub(crate) size: u64,
    pub(crate) placement: Placement,
}

impl Head {
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match &self.placement {
            Placement::Chunked(manifest) => Some(manifest),
            Placement::Inline => None,
        }
    }

    /// What a head of a key says to users.
    ///
    /// # Errors
    ///
    /// `corrupt` for the head of a row of a log, which is misplaced where a key is looked for.
    pub(crate) fn into_meta(self, revision: Revision, expires: Option<Instant>) -> Result<Meta> {
        let (key, kind, user) = match self.kind {
            HeadKind::Document { key, user } => (key, Kind::Document, user),
            HeadKind::Binary { key, user } => (key, Kind::Binary, user),
            HeadKind::Log { key, .. } => (key, Kind::Log, Map::new()),
            HeadKind::Entries { .. } | HeadKind::Seal => {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "the head of a row of a log where that of a key belongs",
                ));
            }
        };
        Ok(Meta {
            key,
            kind,
            last_write: revision.instant(),
            revision: if kind == Kind::Log { outward(revision) } else { revision },
            size: self.size,
            user,
            expires,
            log: None,
        })
    }

    pub(crate) fn encode(&self, envelope: &Envelope) -> Result<Bytes> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(Value::from(name), value);
        match &self.kind {
            HeadKind::Document { key, user } | HeadKind::Binary { key, user } => {
                put("key", key.as_value().clone());
                if !user.is_empty() {
                    put("user", Value::Map(user.clone()));
                }
            }
            HeadKind::Log { key, id } => {
                put("key", key.as_value().clone());
                put("id", Value::Bytes(Bytes::copy_from_slice(id)));
            }
            HeadKind::Entries { count, before } => {
                put("count", Value::from(*count));
                put("before", Value::from(*before));
            }
            HeadKind::Seal => {}
        }
        put("kind", Value::from(self.kind.name()));
        put("size", Value::from(self.size));
        if let Placement::Chunked(manifest) = &self.placement {
            put("chunks", manifest.to_value()?);
        }
        envelope.seal_value(Codec::Cbor, &Value::Map(fields))
    }

    pub(crate) fn decode(envelope: &Envelope, meta: &Bytes) -> Result<Self> {
        let mut fields = Fields::open(envelope, meta)?;
        let size = fields.take_u64("size")?;
        let placement = match fields.take("chunks") {
            Some(manifest) => Placement::Chunked(Manifest::from_value(manifest, size)?),
            None => Placement::Inline,
        };
        let kind = match fields.take_text("kind")?.as_str() {
            "document" => HeadKind::Document {
                key: fields.take_key()?,
                user: fields.take_map("user")?,
            },
            "binary" => HeadKind::Binary {
                key: fields.take_key()?,
                user: fields.take_map("user")?,
            },
            "log" => HeadKind::Log {
                key: fields.take_key()?,
                id: fields.take_id("id")?,
            },
            "entries" => HeadKind::Entries {
                count: fields.take_u64("count")?,
                before: fields.take_u64("before")?,
            },
            "seal" => HeadKind::Seal,
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("a record of kind {other:?}, which this version does not know"),
                ));
            }
        };
        Ok(Self { kind, size, placement })
    }
}

impl HeadKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Document { .. } => "document",
            Self::Binary { .. } => "binary",
            Self::Log { .. } => "log",
            Self::Entries { .. } => "entries",
            Self::Seal => "seal",
        }
    }
}

impl Manifest {
    fn to_value(&self) -> Result<Value> {
        let content = match self.content {
            Content::Raw => Value::from("raw"),
            Content::Encoded(codec) => to_value(&codec)?,
        };
        Ok(Value::Map(Map::from([
            (
                Value::from("generation"),
                Value::Bytes(Bytes::copy_from_slice(&self.generation)),
            ),
            (Value::from("first"), Value::from(self.first)),
            (Value::from("count"), Value::from(self.count)),
            (Value::from("chunk_size"), Value::from(self.chunk_size)),
            (Value::from("checksum"), Value::from(self.checksum)),
            (Value::from("content"), content),
        ])))
    }

    /// The manifest of a value of so many bytes. All that is computed from it later is checked here.
    fn from_value(value: Value, size: u64) -> Result<Self> {
        let mut fields = Fields::of(value)?;
        let content = match fields.take_text("content")?.as_str() {
            "raw" => Content::Raw,
            name => Content::Encoded(from_value(Value::from(name)).map_err(|error| {
                let message = format!("the codec {name:?}, which this version does not know");
                Error::new(ErrorKind::Unsupported, message).with_source(error)
            })?),
        };
        let manifest = Self {
            generation: fields.take_id("generation")?,
            first: fields.take_u64("first")?,
            count: fields.take_u64("count")?,
            chunk_size: fields.take_u64("chunk_size")?,
            checksum: fields.take_u64("checksum")?,
            content,
        };
        let fits = manifest.chunk_size > 0
            && manifest.count == size.div_ceil(manifest.chunk_size)
            && manifest.count.checked_mul(manifest.chunk_size).is_some()
            && manifest.first.checked_add(manifest.count).is_some();
        if !fits {
            return Err(damaged("chunks"));
        }
        Ok(manifest)
    }
}

/// The revision of a log's head as users see it. It differs from the stored one, so that no conditional write of a user can
/// replace a log by accident: a log's head is replaced under its stored revision only.
fn outward(revision: Revision) -> Revision {
    let mut bytes = revision.to_bytes();
    bytes[15] ^= 1;
    Revision::from_bytes(bytes)
}

/// The fields of a small record that is always a CBOR map with text keys. What is missing or of the wrong type is damage:
/// the checksum has been verified, so no accident on the way explains it.
pub(crate) struct Fields(Map);

impl Fields {
    pub(crate) fn open(envelope: &Envelope, meta: &Bytes) -> Result<Self> {
        let opened = envelope.open(meta.clone())?;
        match opened.content {
            Content::Encoded(codec) => Self::of(codec.decode(&opened.plain)?),
            Content::Raw => Err(Error::new(ErrorKind::Corrupt, "a head that is not a value")),
        }
    }

    fn of(value: Value) -> Result<Self> {
        match value {
            Value::Map(fields) => Ok(Self(fields)),
            _ => Err(Error::new(ErrorKind::Corrupt, "a head that is not a map")),
        }
    }

    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.0.remove(&Value::from(name))
    }

    pub(crate) fn take_u64(&mut self, name: &'static str) -> Result<u64> {
        self.take_u64_if_there(name)?.ok_or_else(|| damaged(name))
    }

    pub(crate) fn take_u64_if_there(&mut self, name: &'static str) -> Result<Option<u64>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Integer(number)) => u64::try_from(number).map(Some).map_err(|_| damaged(name)),
            Some(_) => Err(damaged(name)),
        }
    }

    pub(crate) fn take_text(&mut self, name: &'static str) -> Result<String> {
        match self.take(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(damaged(name)),
        }
    }

    pub(crate) fn take_list(&mut self, name: &'static str) -> Result<Vec<Value>> {
        match self.take(name) {
            Some(Value::List(list)) => Ok(list),
            None => Ok(Vec::new()),
            _ => Err(damaged(name)),
        }
    }

    pub(crate) fn take_key(&mut self) -> Result<Key> {
        self.take("key").map(Key::from).ok_or_else(|| damaged("key"))
    }

    fn take_map(&mut self, name: &'static str) -> Result<Map> {
        match self.take(name) {
            Some(Value::Map(map)) => Ok(map),
            None => Ok(Map::new()),
            _ => Err(damaged(name)),
        }
    }

    pub(crate) fn take_id(&mut self, name: &'static str) -> Result<[u8; 16]> {
        match self.take(name) {
            Some(Value::Bytes(bytes)) => <[u8; 16]>::try_from(&bytes[..]).map_err(|_| damaged(name)),
            _ => Err(damaged(name)),
        }
    }
}

fn damaged(field: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a head without a valid field {field:?}"))
}

/// An address as a value, as generation rows name their heads.
pub(crate) fn address_to_value(at: &Address) -> Value {
    Value::List(vec![
        Value::from(at.space.letter().to_string()),
        Value::from(at.partition.as_str()),
        Value::from(at.row),
    ])
}

/// The inverse of [`address_to_value`].
pub(crate) fn address_from_value(value: &Value) -> Result<Address> {
    let parts = match value {
        Value::List(parts) => parts.as_slice(),
        _ => &[],
    };
    let [Value::Text(letter), Value::Text(partition), Value::Integer(row)] = parts else {
        return Err(damaged("heads"));
    };
    let space = letter
        .chars()
        .next()
        .and_then(Space::from_letter)
        .ok_or_else(|| damaged("heads"))?;
    let row = u64::try_from(*row).map_err(|_| damaged("heads"))?;
    Ok(Address::new(space, Partition::new(partition.as_str()), row))
}

/// An item made now. `expires` and `pinned` are for the caller to set.
pub(crate) fn item(rev: Revision, created: Instant, meta: Bytes, body: Option<Bytes>) -> Item {
    Item {
        rev,
        pinned: false,
        expires: None,
        created,
        meta,
        body,
    }
}
