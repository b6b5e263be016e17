//! What a step is as a call of `Store`.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use konserve_core::store::{self, UpdateError, Updated};
use konserve_core::{ErrorKind, Instant, Kind, Meta, Result, Revision, Store, Value};

use super::answer::{Answer, Extent, Known, Reply};
use super::step::{Abilities, Body, Call, Function, How, Life, Part, When, fields, pattern};

/// Calls a store. `other` is the one that a broken-off listing is resumed through, `named` the revision that a condition names,
/// `start` when the sequence began.
pub(super) async fn perform(
    store: &Store,
    other: &Store,
    call: &Call,
    named: Revision,
    abilities: Abilities,
    start: Instant,
) -> Result<Reply<Revision>> {
    let known = |meta: &Meta| known(meta, start);
    /// Passes on the options that all requests of a kind have.
    macro_rules! with {
        ($request:expr, how $how:expr) => {
            match $how {
                How::Consistent => $request.consistent(),
                How::Default => $request,
            }
        };
        ($request:expr, when $when:expr) => {
            match $when {
                When::Always => $request,
                When::Absent => $request.if_absent(),
                When::Own(_) | When::Any(_) => $request.if_revision(named),
            }
        };
        ($request:expr, revision $when:expr) => {
            match $when {
                When::Always | When::Absent => $request,
                When::Own(_) | When::Any(_) => $request.if_revision(named),
            }
        };
        ($request:expr, fields $given:expr) => {
            match $given {
                Some(_) => $request.meta(Value::Map(fields(*$given))),
                None => $request,
            }
        };
        ($request:expr, whole life $life:expr) => {
            match $life {
                Life::Minutes(minutes) => $request.ttl(Duration::from_secs(60 * minutes)),
                Life::Unsaid | Life::Permanent => $request,
            }
        };
        ($request:expr, life $life:expr) => {
            match $life {
                Life::Minutes(minutes) => $request.ttl(Duration::from_secs(60 * minutes)),
                Life::Permanent => $request.permanent(),
                Life::Unsaid => $request,
            }
        };
    }
    Ok(match call {
        Call::Exists { key, how } => Reply::new(Answer::Exists(with!(store.exists(&key.0), how how).await?)),
        Call::Get { path, how } if path.0.steps().is_empty() => {
            Reply::new(Answer::Value(with!(store.get(path.0.key()), how how).await?))
        }
        Call::Get { path, how } => Reply::new(Answer::Value(with!(store.get_in(&path.0), how how).await?)),
        Call::GetWithMeta { key, how } => {
            let found: Option<(Value, Meta)> = with!(store.get(&key.0), how how).with_meta().await?;
            let (found, revisions) = match found {
                Some((value, meta)) => (Some((value, known(&meta)?)), vec![meta.revision]),
                None => (None, Vec::new()),
            };
            Reply::with(Answer::ValueAndKnown(found), revisions)
        }
        Call::GetMeta { key, how } => {
            let meta = with!(store.get_meta(&key.0), how how).await?;
            let revisions = meta.iter().map(|meta| meta.revision).collect();
            Reply::with(Answer::Known(meta.as_ref().map(known).transpose()?), revisions)
        }
        Call::MultiGet { keys, how } => {
            let found = with!(store.multi_get(keys.0.iter().map(|key| &key.0)), how how).await?;
            Reply::new(Answer::Values(found))
        }
        Call::Bget { key, range, how } => {
            let Some(blob) = with!(store.bget(&key.0), how how).await? else {
                return Ok(Reply::new(Answer::Bytes(None)));
            };
            let part = match range {
                None => blob.bytes().await?,
                Some((from, to)) => {
                    let pieces: Vec<Bytes> = blob.range(*from..*to).stream().try_collect().await?;
                    pieces.concat().into()
                }
            };
            let answer = Answer::Bytes(Some((part, known(blob.meta())?)));
            Reply::with(answer, vec![blob.meta().revision])
        }
        Call::ReadLog { key, part, how } => {
            let log = part_of(with!(store.log(&key.0), how how), *part);
            Reply::new(Answer::Entries(log.try_collect().await?))
        }
        Call::ReadLogReversed { key, part, how } => {
            let log = part_of(with!(store.log(&key.0), how how), *part);
            Reply::new(Answer::Positioned(log.reverse().with_positions().try_collect().await?))
        }
        Call::LogLen { key, part, how } => {
            let log = part_of(with!(store.log(&key.0), how how), *part);
            Reply::new(Answer::Count(log.len().await?))
        }
        Call::ReduceLog { key, how } => {
            let collect = |mut entries: Vec<Value>, entry| {
                entries.push(entry);
                entries
            };
            Reply::new(Answer::Entries(
                with!(store.reduce_log(&key.0, Vec::new(), collect), how how).await?,
            ))
        }
        Call::Keys { kind, how } => {
            let keys = with!(store.keys(), how how);
            let keys = match kind {
                Some(kind) => keys.kind(*kind),
                None => keys,
            };
            listed(keys.try_collect().await?, known)?
        }
        Call::KeysResumed { after } => {
            let mut first = store.keys().consistent();
            let mut all: Vec<Meta> = first.by_ref().take(*after).try_collect().await?;
            let rest = match first.position() {
                Some(position) => other.keys().consistent().resume(position),
                None => other.keys().consistent(),
            };
            all.extend(rest.try_collect::<Vec<_>>().await?);
            listed(all, known)?
        }
        Call::Assoc {
            path,
            value,
            when,
            fields: given,
            life,
        } => {
            let value = value.value(&abilities);
            written(if path.0.steps().is_empty() {
                let assoc = with!(store.assoc(path.0.key(), &value), whole life life);
                with!(with!(assoc, when when), fields given).await?
            } else {
                let assoc = with!(store.assoc_in(&path.0, &value), life life);
                with!(with!(assoc, when when), fields given).await?
            })
        }
        Call::Update {
            path,
            function,
            when,
            fields: given,
            life,
        } => match function {
            Function::Put(datum) => {
                let new = datum.value(&abilities);
                let update = store.update_in(&path.0, move |_: Option<Value>| new.clone());
                let update = with!(update, life life);
                updated(with!(with!(update, revision when), fields given).await?)
            }
            Function::Keep => {
                let update = store.update_in(&path.0, |old: Option<Value>| old.unwrap_or_default());
                let update = with!(update, life life);
                updated(with!(with!(update, revision when), fields given).await?)
            }
            Function::Count => {
                let count = |old: Option<i64>| old.map_or(1, |count| count.wrapping_add(1));
                let update = store.update_in(&path.0, count);
                let update = with!(update, life life);
                updated(with!(with!(update, revision when), fields given).await?)
            }
            Function::Fail => {
                let update = store.try_update_in(&path.0, |_: Option<Value>| Err(()));
                let update = with!(update, life life);
                match with!(with!(update, revision when), fields given).await {
                    Ok(done) => updated(done),
                    Err(UpdateError::Function(())) => Reply::new(Answer::Declined),
                    Err(UpdateError::Store(error)) => return Err(error),
                }
            }
        },
        Call::Dissoc { key, when } => Reply::new(Answer::Exists(with!(store.dissoc(&key.0), revision when).await?)),
        Call::DissocIn { path } => Reply::new(Answer::Exists(store.dissoc_in(&path.0).await?)),
        Call::MultiAssoc {
            pairs,
            fields: given,
            life,
        } => {
            let pairs = pairs.0.iter().map(|(key, value)| (&key.0, value.value(&abilities)));
            let assoc = with!(store.multi_assoc(pairs), whole life life);
            written(with!(assoc, fields given).await?)
        }
        Call::MultiDissoc { keys } => Reply::new(Answer::Existed(
            store.multi_dissoc(keys.0.iter().map(|key| &key.0)).await?,
        )),
        Call::Bassoc {
            key,
            body,
            when,
            fields: given,
            life,
        } => {
            let bassoc = with!(store.bassoc(&key.0, body_of(body, abilities)), whole life life);
            written(with!(with!(bassoc, when when), fields given).await?)
        }
        Call::Append { key, entry } => {
            Reply::new(Answer::Position(store.append(&key.0, &entry.value(&abilities)).await?))
        }
        Call::AppendAll { key, entries } => {
            let entries = entries.0.iter().map(|entry| entry.value(&abilities));
            Reply::new(Answer::Position(store.append_all(&key.0, entries).await?))
        }
        Call::Trim { key, before } => Reply::new(Answer::Begins(store.trim(&key.0, *before).await?)),
        Call::Collect => {
            store.collect().await?;
            Reply::new(Answer::Done)
        }
        Call::Wait { .. } | Call::Replace | Call::Restart => Reply::new(Answer::Done),
    })
}

fn part_of(log: store::Log<Value>, part: Part) -> store::Log<Value> {
    match part {
        Part::All => log,
        Part::Range(from, to) => log.range(from..to),
        Part::From(from) => log.from(from),
        Part::Last(count) => log.last(count),
    }
}

fn written(revision: Revision) -> Reply<Revision> {
    Reply::with(Answer::Written, vec![revision])
}

fn updated<T: Into<Value>>(updated: Updated<T>) -> Reply<Revision> {
    let Updated { old, new, revision } = updated;
    let (old, new) = (old.map(Into::into), new.into());
    Reply::with(Answer::Updated { old, new }, vec![revision])
}

fn listed(mut all: Vec<Meta>, known: impl Fn(&Meta) -> Result<Known>) -> Result<Reply<Revision>> {
    all.sort_by(|one, other| one.key.cmp(&other.key));
    let revisions = all.iter().map(|meta| meta.revision).collect();
    let known = all.iter().map(&known).collect::<Result<_>>()?;
    Ok(Reply::with(Answer::Listed(known), revisions))
}

/// What is known of a key, without its revision, from which the time of its last write follows.
fn known(meta: &Meta, start: Instant) -> Result<Known> {
    if meta.kind != Kind::Log && meta.last_write != meta.revision.instant() {
        let message = format!(
            "the last write was at {}, and its revision is of another time",
            meta.last_write
        );
        return Err(konserve_core::Error::new(ErrorKind::Corrupt, message));
    }
    Ok(Known {
        key: meta.key.clone(),
        kind: meta.kind,
        size: meta.size,
        fields: meta.user.clone(),
        expires: meta.expires.map(|expires| expires.since(start).as_secs() / 60),
        log: meta.log.map(|log| Extent {
            entries: log.entries,
            first: log.first,
            next: log.next,
        }),
    })
}

fn body_of(body: &Body, abilities: Abilities) -> store::Body {
    match (body, body.bytes(&abilities)) {
        (Body::Pieces(.., piece), Some(bytes)) => {
            let size = (*piece).max(1);
            let pieces: Vec<_> = (0..bytes.len())
                .step_by(size)
                .map(|from| Ok::<_, io::Error>(bytes.slice(from..bytes.len().min(from + size))))
                .collect();
            store::Body::stream(stream::iter(pieces))
        }
        (Body::Broken(behind), _) => {
            let bytes = Bytes::from(pattern(*behind, 0));
            store::Body::stream(stream::iter([Ok(bytes), Err(io::Error::other("the source fails"))]))
        }
        (_, bytes) => bytes.unwrap_or_default().into(),
    }
}
