//! Steps: what a sequence can do with a store. Written the way they are typed in: what `Debug` shows can be pasted.

use std::fmt;

use bytes::Bytes;
use konserve_core::backend::Capabilities;
use konserve_core::record::Codec;
use konserve_core::value::Map;
use konserve_core::{Key, Kind, Path, Value};

/// One call through one of two handles.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) by: Handle,
    pub(super) call: Call,
}

/// A call through a handle.
pub(super) fn step(by: Handle, call: Call) -> Step {
    Step { by, call }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step({:?}, {:?})", self.by, self.call)
    }
}

/// Which of the two stores over the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handle {
    First,
    Second,
}

/// What is done. Everything can be done in every state: what cannot succeed must fail as the model says.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Exists {
        key: Name,
        how: How,
    },
    Get {
        path: Steps,
        how: How,
    },
    GetWithMeta {
        key: Name,
        how: How,
    },
    GetMeta {
        key: Name,
        how: How,
    },
    MultiGet {
        keys: List<Name>,
        how: How,
    },
    Bget {
        key: Name,
        range: Option<(u64, u64)>,
        how: How,
    },
    ReadLog {
        key: Name,
        part: Part,
        how: How,
    },
    /// Newest first, with positions.
    ReadLogReversed {
        key: Name,
        part: Part,
        how: How,
    },
    LogLen {
        key: Name,
        part: Part,
        how: How,
    },
    ReduceLog {
        key: Name,
        how: How,
    },
    Keys {
        kind: Option<Kind>,
        how: How,
    },
    /// A listing that is broken off after so many keys, and resumed through the other handle.
    KeysResumed {
        after: usize,
    },
    Assoc {
        path: Steps,
        value: Datum,
        when: When,
        fields: Fields,
        life: Life,
    },
    Update {
        path: Steps,
        function: Function,
        when: When,
        fields: Fields,
        life: Life,
    },
    Dissoc {
        key: Name,
        when: When,
    },
    DissocIn {
        path: Steps,
    },
    MultiAssoc {
        pairs: List<(Name, Datum)>,
        fields: Fields,
        life: Life,
    },
    MultiDissoc {
        keys: List<Name>,
    },
    Bassoc {
        key: Name,
        body: Body,
        when: When,
        fields: Fields,
        life: Life,
    },
    Append {
        key: Name,
        entry: Datum,
    },
    AppendAll {
        key: Name,
        entries: List<Datum>,
    },
    Trim {
        key: Name,
        before: u64,
    },
    /// What has waited long enough is removed.
    Collect,
    /// Time passes, where the engine has a clock that can be set.
    Wait {
        minutes: u64,
    },
    /// The second handle is closed, and another one takes its place.
    Replace,
    /// Both handles are closed, and opened as after a restart.
    Restart,
}

/// How a read is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Sees every write before it.
    Consistent,
    /// May lag behind, on engines whose reads can.
    Default,
}

/// Under which condition a write is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Absent,
    /// If the key has the revision of the last write of it (0), of the last but one (1), and so on, removed or not.
    Own(usize),
    /// If the key has the revision of the last write of any key, the last but one, and so on.
    Any(usize),
}

/// The fields that are given with a write, by a number; `None` when none are.
pub(super) type Fields = Option<u8>;

pub(super) fn fields(given: Fields) -> Map {
    given
        .map(|number| (Value::from("by"), Value::from(number)))
        .into_iter()
        .collect()
}

/// What a write says about how long what it writes will be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing: for good, and when a document is changed, as long as it would have been.
    Unsaid,
    /// So many minutes.
    Minutes(u64),
    /// For good.
    Permanent,
}

/// What an update makes of what is there.
#[derive(Debug, Clone)]
pub(super) enum Function {
    /// Something else, whatever was there.
    Put(Datum),
    /// The same; null where there was nothing.
    Keep,
    /// One more than the integer there; 1 where there is nothing. What is no integer does not fit.
    Count,
    /// Nothing: it fails.
    Fail,
}

/// Which entries of a log.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    All,
    Range(u64, u64),
    From(u64),
    Last(u64),
}

/// The bytes of a binary, and where they come from.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Bytes(Size, u8),
    /// As a stream of pieces of so many bytes.
    Pieces(Size, u8, usize),
    /// A stream that fails behind so many bytes.
    Broken(usize),
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// So many bytes, at most 1500: one item everywhere, unless a store is told to cut it.
    Exactly(usize),
    /// What is one item of the engine, and a few small chunks where a store is told to cut it.
    Medium,
    /// More than the engine can store as one item.
    Large,
}

/// A value: written out, or a long text.
#[derive(Clone)]
pub(super) enum Datum {
    Edn(Value),
    Text(Size, u8),
}

/// A key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) Key);

/// A key, and steps into what is stored there.
#[derive(Clone)]
pub(super) struct Steps(pub(super) Path);

/// Several of something.
#[derive(Clone)]
pub(super) struct List<T>(pub(super) Vec<T>);

/// Several of something.
pub(super) fn list<T>(all: impl Into<Vec<T>>) -> List<T> {
    List(all.into())
}

/// A value from its text.
pub(super) fn edn(text: &str) -> konserve_core::Result<Datum> {
    text.parse().map(Datum::Edn)
}

/// A long text.
pub(super) fn text(size: Size, seed: u8) -> Datum {
    Datum::Text(size, seed)
}

/// A key from its text.
pub(super) fn key(text: &str) -> konserve_core::Result<Name> {
    text.parse().map(Name)
}

/// A path from its text.
pub(super) fn path(text: &str) -> konserve_core::Result<Steps> {
    text.parse().map(Steps)
}

impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edn(value) => write!(f, "edn({:?})?", value.to_string()),
            Self::Text(size, seed) => write!(f, "text({size:?}, {seed})"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list({:?})", self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key({:?})?", self.0.to_string())
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path({:?})?", self.0.to_string())
    }
}

/// What of an engine decides which answers are right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abilities {
    pub(super) item_limit: Option<usize>,
    pub(super) transactions: bool,
    /// There is a clock that can be set. Time passes in no other way then, and otherwise not enough to matter.
    pub(super) clock: bool,
}

impl Abilities {
    pub(super) fn of(capabilities: &Capabilities, clock: bool) -> Self {
        Self {
            item_limit: capabilities.item_limit,
            transactions: capabilities.transactions.is_some(),
            clock,
        }
    }

    /// Whether something of so many bytes can be stored. What is near the limit is never tried.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.transactions || self.item_limit.is_none_or(|limit| bytes <= limit)
    }
}

impl Size {
    pub(super) fn bytes(self, abilities: &Abilities) -> usize {
        match self {
            Self::Exactly(bytes) => bytes,
            Self::Medium if abilities.fits(3_000_000) => 3000,
            Self::Medium => 500,
            Self::Large => abilities.item_limit.map_or(40_000, |limit| limit.saturating_add(3000)),
        }
    }
}

impl Datum {
    pub(super) fn value(&self, abilities: &Abilities) -> Value {
        match self {
            Self::Edn(value) => value.clone(),
            Self::Text(size, seed) => {
                let letters = pattern(size.bytes(abilities), *seed);
                Value::Text(String::from_utf8_lossy(&letters).into_owned())
            }
        }
    }
}

impl Body {
    /// The bytes; `None` when the source fails.
    pub(super) fn bytes(&self, abilities: &Abilities) -> Option<Bytes> {
        match self {
            Self::Bytes(size, seed) | Self::Pieces(size, seed, _) => Some(pattern(size.bytes(abilities), *seed).into()),
            Self::Broken(_) => None,
        }
    }
}

/// Letters and digits that differ from seed to seed, and from place to place: in each block of 64 its number comes first.
pub(super) fn pattern(size: usize, seed: u8) -> Vec<u8> {
    let block: Vec<u8> = (0..64_u8)
        .map(|at| b'a' + at.wrapping_mul(7).wrapping_add(seed) % 26)
        .collect();
    let mut all = Vec::with_capacity(size + block.len());
    while all.len() < size {
        all.extend_from_slice(format!("{:08}", all.len() / block.len()).as_bytes());
        all.extend_from_slice(&block[8..]);
    }
    all.truncate(size);
    all
}

/// How the two stores are set up. Options of stores over the same data may differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Setup {
    /// The second one stores nearly everything as chunks of 1 KiB, where the engine allows chunks.
    pub(super) tiny: bool,
    /// The second one writes JSON.
    pub(super) json: bool,
}

impl Setup {
    pub(super) fn codec(&self, by: Handle) -> Codec {
        match by {
            Handle::Second if self.json => Codec::Json,
            _ => Codec::Cbor,
        }
    }
}
