//! The model: what a store is, in plain maps and vectors, without engine, handles, pages or chunks; its clock counts minutes.
//!
//! It knows one thing that a simple map does not: what each key held before, because a read that may lag may bring that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use konserve_core::value::Map;
use konserve_core::{ErrorKind, Key, Kind, Value};

use super::answer::{Answer, Extent, Known, Reply};
use super::paths;
use super::step::{Abilities, Call, Datum, Fields, Function, Handle, How, Life, Name, Part, Setup, Step, When, fields};

/// The most keys of one call.
const MOST_KEYS: usize = 100;

/// The name of a write in the model; a store calls it by a revision.
pub(super) type Stamp = u64;

/// What a store holds.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) abilities: Abilities,
    pub(super) setup: Setup,
    entries: BTreeMap<Key, Arc<Entry>>,
    /// All that each key ever held, latest last; that it was absent before all of it goes without saying.
    past: BTreeMap<Key, Vec<Arc<Entry>>>,
    /// The writes that told their revision, and what they wrote.
    told: Vec<(Stamp, Vec<Key>)>,
    next: Stamp,
    /// Minutes since the beginning.
    now: u64,
}

/// What a key holds.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) content: Content,
    stamp: Stamp,
    size: u64,
    fields: Map,
    /// The minute from which on it is not there any more.
    expires: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Document(Value),
    Binary(Bytes),
    Log(Log),
}

/// A log: all that was ever appended to it, and from where on that can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    first: u64,
    appended: Vec<Value>,
}

type Outcome = Result<Reply<Stamp>, ErrorKind>;

impl Model {
    pub(super) fn new(abilities: Abilities, setup: Setup) -> Self {
        Self {
            abilities,
            setup,
            entries: BTreeMap::new(),
            past: BTreeMap::new(),
            told: Vec::new(),
            next: 0,
            now: 0,
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key, &**entry))
    }

    pub(super) fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key).map(|entry| &**entry)
    }

    /// The write that a condition names; `None` when there was none.
    pub(super) fn named(&self, key: &Key, when: When) -> Option<Stamp> {
        let (ago, of_key) = match when {
            When::Always | When::Absent => return None,
            When::Own(ago) => (ago, true),
            When::Any(ago) => (ago, false),
        };
        let mut writes = self.told.iter().rev();
        let wanted = |(_, keys): &&(Stamp, Vec<Key>)| !of_key || keys.contains(key);
        writes.by_ref().filter(wanted).nth(ago).map(|(stamp, _)| *stamp)
    }

    /// Does a step, and says what must come of it: for a read that may lag, what comes of one that does not.
    pub(super) fn apply(&mut self, step: &Step) -> Reply<Stamp> {
        if let Some(key) = step.call.key_read() {
            return read(&step.call, key, self.entry(key));
        }
        self.perform(step).into()
    }

    fn perform(&mut self, step: &Step) -> Outcome {
        let abilities = self.abilities;
        match &step.call {
            Call::MultiGet { keys, .. } => self.multi_get(&keys.0),
            Call::Keys { kind, .. } => Ok(self.listed(*kind)),
            Call::KeysResumed { .. } => Ok(self.listed(None)),
            Call::Assoc {
                path,
                value,
                when,
                fields,
                life,
            } => {
                let value = value.value(&abilities);
                let (key, steps) = (path.0.key(), path.0.steps());
                if steps.is_empty() {
                    let content = Content::Document(value);
                    let expires = self.end_of(*life);
                    return self.store(step.by, key, content, Some(*fields), expires, |model| {
                        model.check(key, *when)
                    });
                }
                let document = self.document(key, *when)?;
                let taken = document
                    .as_ref()
                    .is_some_and(|document| paths::look(document, steps).is_some());
                if *when == When::Absent && taken {
                    return Err(ErrorKind::Conflict);
                }
                let changed = paths::put(document.as_ref(), steps, &value).ok_or(ErrorKind::Path)?;
                self.change(step.by, key, changed, *fields, *life)
            }
            Call::Update {
                path,
                function,
                when,
                fields,
                life,
            } => {
                let (key, steps) = (path.0.key(), path.0.steps());
                let document = self.document(key, *when)?;
                let old = document.as_ref().and_then(|document| paths::look(document, steps));
                let new = match (function, &old) {
                    (Function::Fail, _) => return Ok(Reply::new(Answer::Declined)),
                    (Function::Put(datum), _) => datum.value(&abilities),
                    (Function::Keep, old) => old.clone().unwrap_or_default(),
                    (Function::Count, None) => Value::from(1),
                    (Function::Count, Some(Value::Integer(count))) if i64::try_from(*count).is_ok() => {
                        Value::Integer(count + 1)
                    }
                    (Function::Count, Some(_)) => return Err(ErrorKind::Codec),
                };
                let changed = paths::put(document.as_ref(), steps, &new).ok_or(ErrorKind::Path)?;
                let reply = self.change(step.by, key, changed, *fields, *life)?;
                Ok(Reply::with(Answer::Updated { old, new }, reply.revisions))
            }
            Call::Dissoc { key, when } => self.dissoc(&key.0, *when),
            Call::DissocIn { path } => {
                let (key, steps) = (path.0.key(), path.0.steps());
                if steps.is_empty() {
                    return self.dissoc(key, When::Always);
                }
                let document = self.document(key, When::Always)?;
                let left = document.and_then(|document| paths::without(&document, steps));
                let existed = left.is_some();
                if let Some(left) = left {
                    self.change(step.by, key, left, None, Life::Unsaid)?;
                    self.told.pop(); // it has a revision, but says only whether something was there
                }
                Ok(Reply::new(Answer::Exists(existed)))
            }
            Call::MultiAssoc { pairs, fields, life } => self.multi_assoc(step.by, &pairs.0, *fields, *life),
            Call::MultiDissoc { keys } => self.multi_dissoc(&keys.0),
            Call::Bassoc {
                key,
                body,
                when,
                fields,
                life,
            } => {
                let bytes = body.bytes(&abilities).ok_or(ErrorKind::InvalidInput)?;
                let content = Content::Binary(bytes);
                let expires = self.end_of(*life);
                self.store(step.by, &key.0, content, Some(*fields), expires, |model| {
                    model.check(&key.0, *when)
                })
            }
            Call::Append { key, entry } => self.append(step.by, key, std::slice::from_ref(entry)),
            Call::AppendAll { key, entries } => self.append(step.by, key, &entries.0),
            Call::Trim { key, before } => self.trim(&key.0, *before),
            Call::Wait { minutes } if abilities.clock => {
                self.now += minutes;
                let now = self.now;
                self.entries.retain(|_, entry| entry.is_there(now));
                Ok(Reply::new(Answer::Done))
            }
            _ => Ok(Reply::new(Answer::Done)),
        }
    }

    /// From when on what is written now will not be there any more.
    fn end_of(&self, life: Life) -> Option<u64> {
        match life {
            Life::Minutes(minutes) => Some(self.now + minutes),
            Life::Unsaid | Life::Permanent => None,
        }
    }

    /// Whether the answer to a read that may lag is one that there ever was. `is_stamp` says whether a revision is that of a write.
    pub(super) fn allows<R: Copy>(&self, call: &Call, reply: &Reply<R>, is_stamp: impl Fn(R, Stamp) -> bool) -> bool {
        let same = |expected: &Reply<Stamp>| {
            let mut revisions = reply.revisions.iter().zip(&expected.revisions);
            reply.answer == expected.answer && revisions.all(|(revision, stamp)| is_stamp(*revision, *stamp))
        };
        if let Some(key) = call.key_read() {
            // What was removed or replaced while it is read, from where the reader stands, may say so.
            let overtaken = reply.answer == Answer::Failed(ErrorKind::Contended) && self.history(key).len() > 1;
            return overtaken && (call.reads_log() || matches!(call, Call::Bget { .. }))
                || same(&read(call, key, None))
                || self.could_be_read(key).any(|entry| same(&read(call, key, Some(entry))))
                || self
                    .in_part_trimmed(key)
                    .any(|entry| same(&read(call, key, Some(&entry))));
        }
        match (call, &reply.answer) {
            (Call::MultiGet { keys, .. }, Answer::Values(found)) => found.iter().all(|(key, value)| {
                let was = |entry: &Arc<Entry>| matches!(&entry.content, Content::Document(old) if old == value);
                keys.0.iter().any(|name| name.0 == *key) && self.could_be_read(key).any(was)
            }),
            (Call::MultiGet { keys, .. }, Answer::Failed(ErrorKind::WrongKind)) => keys.0.iter().any(|name| {
                let other = |entry: &Arc<Entry>| !matches!(entry.content, Content::Document(_));
                self.could_be_read(&name.0).any(other)
            }),
            (Call::Keys { kind, .. }, Answer::Listed(listed)) => {
                let keys: BTreeSet<_> = listed.iter().map(|known| &known.key).collect();
                let mut all = listed.iter().zip(&reply.revisions);
                keys.len() == listed.len()
                    && all.all(|(known, revision)| {
                        let was =
                            |entry: &Arc<Entry>| entry.known(&known.key) == *known && is_stamp(*revision, entry.stamp);
                        kind.is_none_or(|kind| kind == known.kind) && self.could_be_read(&known.key).any(was)
                    })
            }
            _ => false,
        }
    }

    fn history(&self, key: &Key) -> &[Arc<Entry>] {
        self.past.get(key).map_or(&[], Vec::as_slice)
    }

    /// What a read that lags may bring: what has ended is not there, however far behind the read is.
    fn could_be_read(&self, key: &Key) -> impl Iterator<Item = &Arc<Entry>> {
        let now = self.now;
        self.history(key).iter().filter(move |entry| entry.is_there(now))
    }

    /// What a read that lags may bring of a log: what was appended by one time, from where it began by another.
    fn in_part_trimmed(&self, key: &Key) -> impl Iterator<Item = Entry> {
        let logs = self.history(key).iter().filter_map(|entry| match &entry.content {
            Content::Log(log) => Some((entry, log)),
            _ => None,
        });
        logs.clone().flat_map(move |(entry, log)| {
            let same_life = logs.clone().filter(|(other, _)| other.stamp == entry.stamp);
            same_life.map(|(_, other)| Entry {
                content: Content::Log(Log {
                    first: other.first,
                    appended: log.appended.clone(),
                }),
                ..(**entry).clone()
            })
        })
    }

    /// Whether a key may be written as a whole.
    fn check(&self, key: &Key, when: When) -> Result<(), ErrorKind> {
        let entry = self.entry(key);
        let stamp = entry.map(|entry| entry.stamp);
        let holds = match when {
            _ if entry.is_some_and(|entry| matches!(entry.content, Content::Log(_))) => {
                return Err(ErrorKind::WrongKind);
            }
            When::Always => true,
            When::Absent => entry.is_none(),
            When::Own(_) | When::Any(_) => stamp.is_some() && stamp == self.named(key, when),
        };
        holds.then_some(()).ok_or(ErrorKind::Conflict)
    }

    /// The document at a key that is to be changed in parts.
    fn document(&self, key: &Key, when: When) -> Result<Option<Value>, ErrorKind> {
        // That there be nothing is asked of the path, not of the key.
        let of_key = if when == When::Absent { When::Always } else { when };
        self.check(key, of_key)?;
        match self.entry(key).map(|entry| &entry.content) {
            None => Ok(None),
            Some(Content::Document(document)) => Ok(Some(document.clone())),
            Some(_) => Err(ErrorKind::WrongKind),
        }
    }

    /// Stores a document that was changed in parts: its fields and its end stay unless others are given.
    fn change(&mut self, by: Handle, key: &Key, document: Value, fields: Fields, life: Life) -> Outcome {
        let given = fields.map(Some);
        let expires = match life {
            Life::Unsaid => self.entry(key).and_then(|entry| entry.expires),
            life => self.end_of(life),
        };
        self.store(by, key, Content::Document(document), given, expires, |_| Ok(()))
    }

    /// Stores something under a key; without `given`, with the fields that it has.
    fn store(
        &mut self,
        by: Handle,
        key: &Key,
        content: Content,
        given: Option<Fields>,
        expires: Option<u64>,
        check: impl FnOnce(&Self) -> Result<(), ErrorKind>,
    ) -> Outcome {
        let size = self.size(by, &content);
        if !self.abilities.fits(size) {
            return Err(ErrorKind::Unsupported);
        }
        check(self)?;
        let fields = match given {
            Some(given) => fields(given),
            None => self.entry(key).map(|entry| entry.fields.clone()).unwrap_or_default(),
        };
        let stamp = self.stamp(vec![key.clone()]);
        self.put(
            key,
            Entry {
                content,
                stamp,
                size: size as u64,
                fields,
                expires,
            },
        );
        Ok(Reply::with(Answer::Written, vec![stamp]))
    }

    fn put(&mut self, key: &Key, entry: Entry) {
        let entry = Arc::new(entry);
        self.past.entry(key.clone()).or_default().push(Arc::clone(&entry));
        self.entries.insert(key.clone(), entry);
    }

    /// The stamp of a write that tells its revision.
    fn stamp(&mut self, keys: Vec<Key>) -> Stamp {
        let stamp = self.next;
        self.next += 1;
        self.told.push((stamp, keys));
        stamp
    }

    /// The bytes of it in the codec of who writes. It is only asked how many those are, so the codec is taken as it is.
    fn size(&self, by: Handle, content: &Content) -> usize {
        let encoded = |value: &Value| self.setup.codec(by).encode(value).map_or(0, |bytes| bytes.len());
        match content {
            Content::Document(document) => encoded(document),
            Content::Binary(bytes) => bytes.len(),
            Content::Log(log) => encoded(&Value::List(log.appended.clone())),
        }
    }

    fn dissoc(&mut self, key: &Key, when: When) -> Outcome {
        let when = if when == When::Absent { When::Always } else { when };
        match (self.check(key, when), when) {
            // A log is removed like anything else, but not by a revision.
            (Err(ErrorKind::WrongKind), When::Always) => {}
            (checked, _) => checked?,
        }
        Ok(Reply::new(Answer::Exists(self.entries.remove(key).is_some())))
    }

    fn multi_get(&self, keys: &[Name]) -> Outcome {
        let mut found = BTreeMap::new();
        for Name(key) in keys {
            match self.entry(key).map(|entry| &entry.content) {
                None => {}
                Some(Content::Document(document)) => drop(found.insert(key.clone(), document.clone())),
                Some(_) => return Err(ErrorKind::WrongKind),
            }
        }
        Ok(Reply::new(Answer::Values(found)))
    }

    fn listed(&self, kind: Option<Kind>) -> Reply<Stamp> {
        let all = self.entries().map(|(key, entry)| (entry.known(key), entry.stamp));
        let (listed, stamps) = all
            .filter(|(known, _)| kind.is_none_or(|kind| kind == known.kind))
            .unzip();
        Reply::with(Answer::Listed(listed), stamps)
    }

    fn multi_assoc(&mut self, by: Handle, pairs: &[(Name, Datum)], given: Fields, life: Life) -> Outcome {
        self.check_many(pairs.len())?;
        let keys: BTreeSet<_> = pairs.iter().map(|(key, _)| key).collect();
        if keys.len() < pairs.len() {
            return Err(ErrorKind::InvalidInput);
        }
        for Name(key) in keys {
            self.check(key, When::Always)?;
        }
        let expires = self.end_of(life);
        let stamp = self.stamp(pairs.iter().map(|(key, _)| key.0.clone()).collect());
        for (Name(key), value) in pairs {
            let content = Content::Document(value.value(&self.abilities));
            let size = self.size(by, &content) as u64;
            self.put(
                key,
                Entry {
                    content,
                    stamp,
                    size,
                    fields: fields(given),
                    expires,
                },
            );
        }
        Ok(Reply::with(Answer::Written, vec![stamp]))
    }

    fn multi_dissoc(&mut self, keys: &[Name]) -> Outcome {
        self.check_many(keys.len())?;
        for Name(key) in keys {
            self.check(key, When::Always)?;
        }
        let keys: BTreeSet<_> = keys.iter().collect();
        let existed = keys
            .into_iter()
            .map(|Name(key)| (key.clone(), self.entries.remove(key).is_some()));
        Ok(Reply::new(Answer::Existed(existed.collect())))
    }

    fn check_many(&self, count: usize) -> Result<(), ErrorKind> {
        match count {
            _ if count > MOST_KEYS => Err(ErrorKind::TooManyItems),
            _ if !self.abilities.transactions => Err(ErrorKind::Unsupported),
            _ => Ok(()),
        }
    }

    fn append(&mut self, by: Handle, Name(key): &Name, more: &[Datum]) -> Outcome {
        if more.is_empty() {
            return Err(ErrorKind::InvalidInput);
        }
        let more: Vec<_> = more.iter().map(|entry| entry.value(&self.abilities)).collect();
        let more = Log {
            first: 0,
            appended: more,
        };
        if !self.abilities.fits(self.size(by, &Content::Log(more.clone()))) {
            return Err(ErrorKind::Unsupported);
        }
        let (stamp, mut log) = match self.entry(key) {
            None => {
                let stamp = self.next;
                self.next += 1;
                (stamp, Log::default())
            }
            Some(Entry {
                content: Content::Log(log),
                stamp,
                ..
            }) => (*stamp, log.clone()),
            Some(_) => return Err(ErrorKind::WrongKind),
        };
        let position = log.next();
        log.appended.extend(more.appended);
        self.put_log(key, stamp, log);
        Ok(Reply::new(Answer::Position(position)))
    }

    fn trim(&mut self, key: &Key, before: u64) -> Outcome {
        let (stamp, mut log) = match self.entry(key) {
            None => return Ok(Reply::new(Answer::Begins(None))),
            Some(Entry {
                content: Content::Log(log),
                stamp,
                ..
            }) => (*stamp, log.clone()),
            Some(_) => return Err(ErrorKind::WrongKind),
        };
        let first = log.first.max(before.min(log.next()));
        if log.first < first {
            log.first = first;
            self.put_log(key, stamp, log);
        }
        Ok(Reply::new(Answer::Begins(Some(first))))
    }

    fn put_log(&mut self, key: &Key, stamp: Stamp, log: Log) {
        self.put(
            key,
            Entry {
                content: Content::Log(log),
                stamp,
                size: 0,
                fields: Map::new(),
                expires: None,
            },
        );
    }
}

impl Call {
    /// The key, of a call that reads one key and nothing else.
    pub(super) fn key_read(&self) -> Option<&Key> {
        match self {
            Self::Get { path, .. } => Some(path.0.key()),
            Self::Exists { key, .. }
            | Self::GetWithMeta { key, .. }
            | Self::GetMeta { key, .. }
            | Self::Bget { key, .. }
            | Self::ReadLog { key, .. }
            | Self::ReadLogReversed { key, .. }
            | Self::LogLen { key, .. }
            | Self::ReduceLog { key, .. } => Some(&key.0),
            _ => None,
        }
    }

    /// Whether it is about the entries of a log, and changes nothing.
    fn reads_log(&self) -> bool {
        matches!(
            self,
            Self::ReadLog { .. } | Self::ReadLogReversed { .. } | Self::LogLen { .. } | Self::ReduceLog { .. }
        )
    }

    /// The keys that it is about to write.
    pub(super) fn written(&self) -> Vec<&Key> {
        match self {
            Self::Assoc { path, .. } | Self::Update { path, .. } | Self::DissocIn { path } => vec![path.0.key()],
            Self::Dissoc { key, .. }
            | Self::Bassoc { key, .. }
            | Self::Append { key, .. }
            | Self::AppendAll { key, .. }
            | Self::Trim { key, .. } => vec![&key.0],
            Self::MultiAssoc { pairs, .. } => pairs.0.iter().map(|(key, _)| &key.0).collect(),
            Self::MultiDissoc { keys } => keys.0.iter().map(|key| &key.0).collect(),
            _ => Vec::new(),
        }
    }

    /// The condition of a write, and the key that it is about.
    pub(super) fn condition(&self) -> Option<(&Key, When)> {
        match self {
            Self::Assoc { path, when, .. } | Self::Update { path, when, .. } => Some((path.0.key(), *when)),
            Self::Dissoc { key, when } | Self::Bassoc { key, when, .. } => Some((&key.0, *when)),
            _ => None,
        }
    }

    /// Whether it is a read that may lag.
    pub(super) fn may_lag(&self) -> bool {
        match self {
            Self::Exists { how, .. }
            | Self::Get { how, .. }
            | Self::GetWithMeta { how, .. }
            | Self::GetMeta { how, .. }
            | Self::MultiGet { how, .. }
            | Self::Bget { how, .. }
            | Self::ReadLog { how, .. }
            | Self::ReadLogReversed { how, .. }
            | Self::LogLen { how, .. }
            | Self::ReduceLog { how, .. }
            | Self::Keys { how, .. } => *how == How::Default,
            _ => false,
        }
    }
}

impl Entry {
    fn known(&self, key: &Key) -> Known {
        let kind = match self.content {
            Content::Document(_) => Kind::Document,
            Content::Binary(_) => Kind::Binary,
            Content::Log(_) => Kind::Log,
        };
        Known {
            key: key.clone(),
            kind,
            size: self.size,
            fields: self.fields.clone(),
            expires: self.expires,
            log: None,
        }
    }

    /// The same, looked into.
    fn known_within(&self, key: &Key) -> Known {
        let log = match &self.content {
            Content::Log(log) => Some(Extent {
                entries: log.next().saturating_sub(log.first),
                first: log.first,
                next: log.next(),
            }),
            _ => None,
        };
        Known { log, ..self.known(key) }
    }

    fn is_there(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

impl Log {
    fn next(&self) -> u64 {
        self.appended.len() as u64
    }

    /// The entries of a part, with their positions.
    ///
    /// # Errors
    ///
    /// `trimmed`.
    fn part(&self, part: Part) -> Result<Vec<(u64, Value)>, ErrorKind> {
        let (from, to) = match part {
            Part::All => (self.first, self.next()),
            Part::Range(from, to) => (from, to),
            Part::From(from) => (from, u64::MAX),
            Part::Last(count) => (self.first.max(self.next().saturating_sub(count)), self.next()),
        };
        if from < self.first && from < to {
            return Err(ErrorKind::Trimmed);
        }
        let all = (0..).zip(self.appended.iter().cloned());
        Ok(all.filter(|(position, _)| (from..to).contains(position)).collect())
    }
}

/// What a read of a key brings that holds this.
fn read(call: &Call, key: &Key, entry: Option<&Entry>) -> Reply<Stamp> {
    let stamps = || entry.map(|entry| entry.stamp).into_iter().collect();
    let content = entry.map(|entry| &entry.content);
    let answer = match (call, content) {
        (Call::Exists { .. }, _) => Answer::Exists(entry.is_some()),
        (Call::GetMeta { .. }, _) => {
            return Reply::with(Answer::Known(entry.map(|entry| entry.known_within(key))), stamps());
        }
        (Call::Get { .. }, None) => Answer::Value(None),
        (Call::Get { path, .. }, Some(Content::Document(document))) => {
            Answer::Value(paths::look(document, path.0.steps()))
        }
        (Call::GetWithMeta { .. }, None) => Answer::ValueAndKnown(None),
        (Call::GetWithMeta { .. }, Some(Content::Document(document))) => {
            let found = entry.map(|entry| (document.clone(), entry.known(key)));
            return Reply::with(Answer::ValueAndKnown(found), stamps());
        }
        (Call::Bget { .. }, None) => Answer::Bytes(None),
        (Call::Bget { range, .. }, Some(Content::Binary(bytes))) => {
            let part: Bytes = match range {
                None => bytes.clone(),
                Some((from, to)) => bytes.iter().copied().take(*to as usize).skip(*from as usize).collect(),
            };
            return Reply::with(Answer::Bytes(entry.map(|entry| (part, entry.known(key)))), stamps());
        }
        (Call::ReadLog { .. } | Call::ReduceLog { .. }, None) => Answer::Entries(Vec::new()),
        (Call::ReadLogReversed { .. }, None) => Answer::Positioned(Vec::new()),
        (Call::LogLen { .. }, None) => Answer::Count(0),
        (Call::ReadLog { part, .. }, Some(Content::Log(log))) => match log.part(*part) {
            Ok(entries) => Answer::Entries(entries.into_iter().map(|(_, entry)| entry).collect()),
            Err(kind) => Answer::Failed(kind),
        },
        (Call::ReadLogReversed { part, .. }, Some(Content::Log(log))) => match log.part(*part) {
            Ok(entries) => Answer::Positioned(entries.into_iter().rev().collect()),
            Err(kind) => Answer::Failed(kind),
        },
        (Call::LogLen { part, .. }, Some(Content::Log(log))) => match log.part(*part) {
            Ok(entries) => Answer::Count(entries.len() as u64),
            Err(kind) => Answer::Failed(kind),
        },
        (Call::ReduceLog { .. }, Some(Content::Log(log))) => {
            Answer::Entries(log.appended.iter().skip(log.first as usize).cloned().collect())
        }
        _ => Answer::Failed(ErrorKind::WrongKind),
    };
    Reply::new(answer)
}
