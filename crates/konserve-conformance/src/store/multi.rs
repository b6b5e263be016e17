//! Trials of `multi_get`, `multi_assoc`, `multi_dissoc`.

use std::collections::BTreeMap;
use std::sync::Arc;

use konserve_core::store::MULTI_LIMIT;
use konserve_core::{ErrorKind, Key, Outcome, Value};

use super::{another, store};
use crate::arena::{Arena, Until, joined};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    let transactional = [
        Trial::new("store.multi-assoc", &["S-MULTI-2"], multi_assoc),
        Trial::new(
            "store.multi-assoc-as-many-as-may-be",
            &["S-MULTI-2", "S-MULTI-4"],
            as_many_as_may_be,
        ),
        Trial::new("store.multi-assoc-too-many", &["S-MULTI-4"], assoc_too_many),
        Trial::new("store.multi-assoc-one-key-twice", &["S-MULTI-5"], one_key_twice),
        Trial::new("store.multi-assoc-over-a-log", &["S-MULTI-6", "S-KIND-1"], over_a_log),
        Trial::new("store.multi-assoc-is-seen-whole", &["S-MULTI-2"], seen_whole),
        Trial::new("store.multi-get-snapshot", &["S-MULTI-8"], snapshot),
        Trial::new(
            "store.multi-get-snapshot-is-of-one-moment",
            &["S-MULTI-8", "S-SIZE-2"],
            snapshot_of_one_moment,
        ),
        Trial::new("store.multi-dissoc", &["S-MULTI-3"], multi_dissoc),
        Trial::new("store.multi-dissoc-too-many", &["S-MULTI-4"], dissoc_too_many),
    ];
    let mut trials: Vec<_> = transactional
        .into_iter()
        .map(|trial| trial.needs(Capability::Transactions))
        .collect();
    trials.extend([
        Trial::new("store.multi-get", &["S-MULTI-1"], multi_get),
        Trial::new("store.multi-get-too-many", &["S-MULTI-4"], get_too_many),
        Trial::new("store.get-many", &["S-MULTI-9"], get_many),
        Trial::new("store.multi-without-transactions", &["S-MULTI-7"], without_transactions)
            .without(Capability::Transactions),
    ]);
    trials
}

/// The most keys that one call may write here.
fn most(arena: &Arena) -> usize {
    let items = arena
        .capabilities
        .transactions
        .map_or(MULTI_LIMIT, |limits| limits.items);
    items.min(MULTI_LIMIT)
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("key-{number}")).collect()
}

async fn multi_get(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let mut expected = BTreeMap::new();
    for number in (0..MULTI_LIMIT).step_by(2) {
        let key = format!("key-{number}");
        store.assoc(key.as_str(), &number).await?;
        expected.insert(Key::from(key), number);
    }
    let found = store.multi_get::<usize>(keys(MULTI_LIMIT)).await?;
    check!(
        found == expected,
        "{} of {} documents were found, or others",
        found.len(),
        expected.len()
    );
    same!(
        store.multi_get::<usize>(Vec::<Key>::new()).await?,
        BTreeMap::new(),
        "no keys"
    );
    same!(
        store.multi_get::<usize>(["key-0", "key-0"]).await?.len(),
        1,
        "one key twice"
    );
    store.bassoc("binary", "bytes").await?;
    let wrong = store.multi_get::<Value>(["key-0", "binary"]).await;
    refused(ErrorKind::WrongKind, "a binary among documents", wrong)?;
    Ok(())
}

async fn get_many(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let count = 3 * MULTI_LIMIT + 7;
    let mut expected = BTreeMap::new();
    for number in (0..count).step_by(7) {
        let key = format!("key-{number}");
        store.assoc(key.as_str(), &number).await?;
        expected.insert(Key::from(key), number);
    }
    let twice = keys(count).into_iter().chain(keys(count));
    let found = store.get_many::<usize>(twice).consistent().await?;
    check!(
        found == expected,
        "{} of {} documents were found, or others",
        found.len(),
        expected.len()
    );
    let none = store.get_many::<usize>(Vec::<Key>::new()).await?;
    same!(none, BTreeMap::new(), "no keys");
    store.bassoc("binary", "bytes").await?;
    let wrong = store
        .get_many::<Value>(keys(count).into_iter().chain(["binary".into()]))
        .await;
    refused(ErrorKind::WrongKind, "a binary among documents", wrong)?;
    Ok(())
}

async fn snapshot(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let count = most(&arena);
    let large = "x".repeat(arena.largest_item() + 1);
    store.assoc("key-0", &"small").await?;
    store.assoc("key-1", &large).await?;
    let found = store.multi_get::<String>(keys(count)).snapshot().await?;
    let expected =
        [("key-0", "small"), ("key-1", large.as_str())].map(|(key, value)| (Key::from(key), value.to_owned()));
    check!(
        found == BTreeMap::from(expected),
        "{} documents were found",
        found.len()
    );
    let answer = store.multi_get::<String>(keys(count + 1)).snapshot().await;
    let error = refused(ErrorKind::TooManyItems, "one key too many", answer)?;
    let named = Some((count as u64, count as u64 + 1));
    same!(error.limit(), named, "the limit that the error names");
    store.append("log", &1).await?;
    let wrong = store.multi_get::<Value>(["key-0", "log"]).snapshot().await;
    refused(ErrorKind::WrongKind, "a log among documents", wrong)?;
    Ok(())
}

/// One store writes rounds to all keys at once, now with values of which one is large; another never finds two rounds in one snapshot.
async fn snapshot_of_one_moment(arena: Arc<Arena>) -> Verdict {
    let (writer, reader) = (another(&arena).await?, store(&arena));
    let padding = "x".repeat(arena.largest_item() + 1);
    let until = Until::new();
    let go_on = until.go_on();
    let writing = tokio::spawn(async move {
        for round in (1_u64..).take_while(|_| go_on()) {
            let large = if round % 3 == 0 { padding.as_str() } else { "" };
            let pairs = [("a", ""), ("b", large), ("c", "")];
            writer
                .multi_assoc(pairs.map(|(key, padding)| (key, (round, padding))))
                .await?;
        }
        Verdict::Ok(())
    });
    let (mut before, mut changes) = (0, 0);
    while changes < 15 && !writing.is_finished() {
        let answer = reader.multi_get::<(u64, String)>(["a", "b", "c"]).snapshot().await;
        let found = match answer {
            // The writer may be faster than the reader, again and again.
            Err(error) if error.is_retryable() => continue,
            answer => answer?,
        };
        let rounds: Vec<_> = found.values().map(|(round, _)| *round).collect();
        let round = rounds.first().copied().unwrap_or(0);
        check!(
            rounds.iter().all(|other| *other == round) && [0, 3].contains(&rounds.len()),
            "a snapshot has the rounds {rounds:?}"
        );
        check!(round >= before, "a snapshot of round {round} after one of {before}");
        changes += usize::from(round != before);
        before = round;
        tokio::task::yield_now().await;
    }
    drop(until);
    joined(writing).await
}

async fn get_too_many(arena: Arc<Arena>) -> Verdict {
    let error = store(&arena).multi_get::<Value>(keys(MULTI_LIMIT + 1)).await;
    let error = refused(ErrorKind::TooManyItems, "one key too many", error)?;
    let (limit, given) = (MULTI_LIMIT as u64, MULTI_LIMIT as u64 + 1);
    same!(error.limit(), Some((limit, given)), "the limit that the error names");
    Ok(())
}

async fn multi_assoc(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("old", &0).await?;
    store.bassoc("binary", "bytes").await?;
    let revision = store.multi_assoc([("old", 1), ("new", 2), ("binary", 3)]).await?;
    for (key, value) in [("old", 1), ("new", 2), ("binary", 3)] {
        same!(store.get::<i64>(key).await?, Some(value), "what is at {key}");
        let meta = store.get_meta(key).await?;
        same!(meta.map(|meta| meta.revision), Some(revision), "the revision of {key}");
    }
    store.multi_assoc(Vec::<(Key, i64)>::new()).await?;
    Ok(())
}

async fn as_many_as_may_be(arena: Arc<Arena>) -> Verdict {
    let (store, count) = (store(&arena), most(&arena));
    let pairs: Vec<_> = keys(count).into_iter().zip(0_usize..).collect();
    store.multi_assoc(pairs).await?;
    let found = store.multi_get::<usize>(keys(count)).await?;
    same!(found.len(), count, "how many are there");
    let removed = store.multi_dissoc(keys(count)).await?;
    check!(
        removed.len() == count && removed.values().all(|existed| *existed),
        "not all existed: {removed:?}"
    );
    same!(
        store.multi_get::<usize>(keys(count)).await?,
        BTreeMap::new(),
        "what is left"
    );
    Ok(())
}

async fn assoc_too_many(arena: Arc<Arena>) -> Verdict {
    let (store, limit) = (store(&arena), most(&arena));
    let pairs: Vec<_> = keys(limit + 1).into_iter().map(|key| (key, 1)).collect();
    let error = refused(
        ErrorKind::TooManyItems,
        "one key too many",
        store.multi_assoc(pairs).await,
    )?;
    same!(
        error.limit(),
        Some((limit as u64, limit as u64 + 1)),
        "the limit that the error names"
    );
    same!(error.outcome(), Outcome::NotApplied, "the outcome");
    check!(!store.exists("key-0").await?, "something was written all the same");
    Ok(())
}

async fn dissoc_too_many(arena: Arc<Arena>) -> Verdict {
    let (store, limit) = (store(&arena), most(&arena));
    store.assoc("key-0", &1).await?;
    let answer = store.multi_dissoc(keys(limit + 1)).await;
    let error = refused(ErrorKind::TooManyItems, "one key too many", answer)?;
    same!(
        error.limit(),
        Some((limit as u64, limit as u64 + 1)),
        "the limit that the error names"
    );
    check!(store.exists("key-0").await?, "something was removed all the same");
    Ok(())
}

async fn one_key_twice(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    let answer = store.multi_assoc([("other", 1), ("same", 2), ("same", 3)]).await;
    refused(ErrorKind::InvalidInput, "one key twice", answer)?;
    for key in ["other", "same"] {
        check!(!store.exists(key).await?, "{key} was written all the same");
    }
    Ok(())
}

async fn over_a_log(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.append("log", &1).await?;
    store.assoc("old", &0).await?;
    let answer = store.multi_assoc([("old", 1), ("log", 2), ("new", 3)]).await;
    refused(ErrorKind::WrongKind, "a log among documents", answer)?;
    let answer = store.multi_dissoc(["old", "log"]).await;
    refused(ErrorKind::WrongKind, "removal of a log among documents", answer)?;
    same!(store.get::<i64>("old").await?, Some(0), "what was there before");
    check!(!store.exists("new").await?, "the new key was written all the same");
    same!(
        store.reduce_log("log", 0, |sum: i64, entry: i64| sum + entry).await?,
        1,
        "the log"
    );
    Ok(())
}

/// One store writes rounds; a reader who saw a round at one key sees no earlier one at another.
async fn seen_whole(arena: Arc<Arena>) -> Verdict {
    let (writer, reader) = (another(&arena).await?, store(&arena));
    let names = ["a", "b", "c"];
    writer.multi_assoc(names.map(|name| (name, 0_u64))).await?;
    let until = Until::new();
    let go_on = until.go_on();
    let writing = tokio::spawn(async move {
        for round in (1_u64..).take_while(|_| go_on()) {
            writer.multi_assoc(names.map(|name| (name, round))).await?;
        }
        Verdict::Ok(())
    });
    let mut random = arena.random();
    let (mut before, mut changes) = (0, 0);
    while changes < 25 && !writing.is_finished() {
        let mut seen = 0;
        for _ in 0..6 {
            let name = names[random.below(names.len())];
            let round = reader.get::<u64>(name).await?.unwrap_or(0);
            check!(
                round >= seen,
                "{name} is at round {round}, after another key was at {seen}"
            );
            seen = round;
        }
        changes += usize::from(seen != before);
        before = seen;
        tokio::task::yield_now().await;
    }
    drop(until);
    joined(writing).await
}

async fn multi_dissoc(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.multi_assoc([("a", 1), ("b", 2), ("stays", 3)]).await?;
    let removed = store.multi_dissoc(["a", "never", "b"]).await?;
    let expected = [("a", true), ("b", true), ("never", false)].map(|(key, existed)| (Key::from(key), existed));
    same!(removed, BTreeMap::from(expected), "what existed");
    let removed = store.multi_dissoc(["a", "b"]).await?;
    check!(
        removed.values().all(|existed| !existed),
        "what was removed existed again: {removed:?}"
    );
    for (key, there) in [("a", false), ("b", false), ("never", false), ("stays", true)] {
        same!(store.exists(key).await?, there, "whether {key} exists");
    }
    Ok(())
}

async fn without_transactions(arena: Arc<Arena>) -> Verdict {
    let store = store(&arena);
    store.assoc("a", &1).await?;
    let answer = store.multi_assoc([("a", 2), ("b", 3)]).await;
    refused(ErrorKind::Unsupported, "multi_assoc", answer)?;
    refused(ErrorKind::Unsupported, "multi_dissoc", store.multi_dissoc(["a"]).await)?;
    let answer = store.multi_get::<i64>(["a"]).snapshot().await;
    refused(ErrorKind::Unsupported, "multi_get as a snapshot", answer)?;
    same!(store.get::<i64>("a").await?, Some(1), "what is there");
    check!(!store.exists("b").await?, "something was written all the same");
    Ok(())
}
