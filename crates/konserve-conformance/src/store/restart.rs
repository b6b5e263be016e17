//! Trials of restart: everything that a store can hold is written, the handle is opened anew, and everything is read and
//! gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::{self, Either};
use futures::{TryStreamExt, stream};
use konserve_core::backend::{Backend, Listing, Occupant, Read, Space, When, Written};
use konserve_core::layer::{Call, Fault, Layer};
use konserve_core::store::{Body, Options};
use konserve_core::{ErrorKind, Key, Kind, Meta, Store, Value, path};
use tokio::sync::Semaphore;

use super::{edn, over, store};
use crate::arena::Arena;
use crate::failure::{Failure, Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("store.restart", &["S-RESTART-1"], restart),
        Trial::new(
            "store.large-values-after-restart",
            &["S-RESTART-1", "S-SIZE-1"],
            large_after_restart,
        )
        .needs(Capability::LargeValues),
        Trial::new(
            "store.chunked-values-after-restart",
            &["S-RESTART-1", "S-SIZE-1", "S-MULTI-2"],
            chunked_after_restart,
        )
        .needs(Capability::Transactions),
        Trial::new(
            "store.logs-after-restart",
            &["S-RESTART-1", "S-LOG-1"],
            logs_after_restart,
        ),
        Trial::new("store.restart-again-and-again", &["S-RESTART-1"], again_and_again),
        Trial::new("store.removals-after-restart", &["S-RESTART-2"], removals_after_restart),
        Trial::new(
            "store.unfinished-after-restart",
            &["S-RESTART-3"],
            unfinished_after_restart,
        ),
    ]
}

/// A store as another process would open it, when this one has closed it.
async fn reopened(arena: &Arena, before: Store) -> Verdict<Store> {
    before.close().await?;
    Ok(over(arena.namespace.reopen().await?))
}

/// A store in which a few kilobytes take several chunks.
fn chunking(backend: impl Backend) -> Store {
    let mut options = Options::default();
    options.consistent_read = true;
    options.background_cleanup = false;
    options.chunk_size = 1024;
    options.inline_limit = Some(512);
    let store = Store::builder(backend).options(options);
    store.shared_locks(false).build()
}

async fn entries<T: serde::de::DeserializeOwned + Send + 'static>(store: &Store, key: &str) -> Verdict<Vec<T>> {
    Ok(store.log::<T>(key).try_collect().await?)
}

async fn bytes(store: &Store, key: &str) -> Verdict<Option<Bytes>> {
    Ok(match store.bget(key).await? {
        Some(blob) => Some(blob.bytes().await?),
        None => None,
    })
}

/// Everything that is known of all keys.
async fn metas(store: &Store) -> Verdict<BTreeMap<Key, Meta>> {
    let listed = store.keys().map_ok(|meta| (meta.key.clone(), meta));
    Ok(listed.try_collect().await?)
}

async fn restart(arena: Arc<Arena>) -> Verdict {
    let before = store(&arena);
    let document = edn("{:a [1 2], \"b\" #{nil 1.5}}")?;
    let revision = before.assoc("document", &document).meta(edn("{:by \"me\"}")?).await?;
    before.assoc(edn("[:any 1 {nil true}]")?, &1).await?;
    before.assoc("null", &Value::Null).await?;
    before.bassoc("binary", vec![7; 2000]).await?;
    before.bassoc("empty", Vec::new()).await?;
    before.append_all("log", 0..5).await?;
    before.assoc("gone", &1).await?;
    before.dissoc("gone").await?;
    let known = metas(&before).await?;

    let after = reopened(&arena, before).await?;
    same!(metas(&after).await?, known, "what is known of all keys");
    same!(after.get::<Value>("document").await?, Some(document), "the document");
    let meta = after.get_meta("document").await?;
    same!(
        meta.map(|meta| (meta.revision, meta.user.len())),
        Some((revision, 1)),
        "its meta"
    );
    same!(after.get::<Value>("null").await?, Some(Value::Null), "a stored null");
    let any = after.get::<i64>(edn("[:any 1 {nil true}]")?).await?;
    same!(any, Some(1), "what is at a key that is a list");
    same!(bytes(&after, "binary").await?, Some(vec![7; 2000].into()), "the binary");
    same!(bytes(&after, "empty").await?, Some(Bytes::new()), "the empty binary");
    check!(!after.exists("gone").await?, "what was removed is back");
    same!(after.append("log", &5).await?, 5, "the position after a restart");
    same!(entries::<i64>(&after, "log").await?, Vec::from_iter(0..6), "the log");
    after.assoc_in(path!["document", "c"], &3).await?;
    let part = after.get_in::<Value>(path!["document", "b"]).await?;
    same!(part, Some(edn("#{nil 1.5}")?), "what an update left alone");
    let now = after.get_meta("document").await?.map(|meta| meta.revision);
    check!(now > Some(revision), "the revision did not grow over a restart");
    refused(
        ErrorKind::Conflict,
        "a write on a revision from before the restart, which was replaced after it",
        after.assoc("document", &1).if_revision(revision).await,
    )?;
    let Some(now) = now else {
        return Err(Failure::new("the document is gone"));
    };
    after.assoc("document", &1).if_revision(now).await?;
    Ok(())
}

async fn large_after_restart(arena: Arc<Arena>) -> Verdict {
    let size = 2 * arena.largest_item() + 1;
    let text = "l".repeat(size);
    let before = store(&arena);
    before.assoc("document", &text).await?;
    before.bassoc("binary", text.clone()).await?;
    before.append_all("log", ["small", &text]).await?;

    let after = reopened(&arena, before).await?;
    check!(
        after.get::<String>("document").await?.as_ref() == Some(&text),
        "a document of {size} bytes came back otherwise"
    );
    check!(
        bytes(&after, "binary").await?.is_some_and(|bytes| bytes == text),
        "a binary of {size} bytes came back otherwise"
    );
    check!(
        entries::<String>(&after, "log").await? == ["small", &text],
        "entries of {size} bytes came back otherwise"
    );
    let longer = after
        .update("document", |old: Option<String>| old.unwrap_or_default() + "x")
        .await?;
    check!(
        longer.new.len() == size + 1,
        "an update after the restart got something else"
    );
    check!(after.dissoc("binary").await?, "the binary did not exist");
    for _ in 0..3 {
        after.collect().without_waiting().await?;
    }
    check!(
        after.get::<String>("document").await? == Some(longer.new),
        "a document of {size} bytes came back otherwise from a store that was collected"
    );
    check!(after.dissoc("document").await?, "the document did not exist");
    check!(after.dissoc("log").await?, "the log did not exist");
    Ok(())
}

/// Values of several chunks that share a generation, of which some are replaced and removed on both sides of the restart.
async fn chunked_after_restart(arena: Arc<Arena>) -> Verdict {
    let text = |letter: &str| letter.repeat(2500);
    let before = chunking(Arc::clone(&arena.backend));
    // With the row of the generation, that is the smallest commit that every engine must take.
    let pairs = ["a", "b", "c"].map(|key| (key, text(key)));
    before.multi_assoc(pairs).await?;
    before.assoc("b", &text("x")).await?;
    before.dissoc("c").await?;
    before.close().await?;

    let after = chunking(arena.namespace.reopen().await?);
    for _ in 0..3 {
        after.collect().without_waiting().await?;
    }
    let found = after.multi_get::<String>(["a", "b", "c"]).await?;
    let expected = [("a", "a"), ("b", "x")].map(|(key, letter)| (Key::from(key), text(letter)));
    check!(found == BTreeMap::from(expected), "the values came back otherwise");
    let removed = after.multi_dissoc(["a", "b", "c"]).await?;
    let existed: Vec<_> = removed.into_values().collect();
    same!(existed, [true, true, false], "which keys existed");
    for _ in 0..3 {
        after.collect().without_waiting().await?;
    }
    after.close().await?;
    let backend = arena.namespace.reopen().await?;
    for space in [Space::Chunk, Space::Generation] {
        let left: Vec<_> = backend.list(space, Listing::all(Read::STRONG)).try_collect().await?;
        same!(left.len(), 0, "what is left of nothing in {space:?}");
    }
    Ok(())
}

async fn logs_after_restart(arena: Arc<Arena>) -> Verdict {
    let mut store = store(&arena);
    let mut expected = Vec::new();
    for round in 0..3 {
        // Entries alone and together, and a log that is removed, before each restart and after it.
        same!(store.append("log", &(round, 0)).await?, round * 4, "the position");
        let together = [(round, 1), (round, 2), (round, 3)];
        same!(
            store.append_all("log", together).await?,
            round * 4 + 1,
            "the position of the first of three"
        );
        expected.push((round, 0));
        expected.extend(together);
        same!(
            store.append("again", &round).await?,
            0,
            "the first position of a new log"
        );
        store = reopened(&arena, store).await?;
        same!(entries::<(u64, u64)>(&store, "log").await?, expected, "the log");
        let last: Vec<_> = store.log::<(u64, u64)>("log").last(2).try_collect().await?;
        same!(last, expected[expected.len() - 2..], "the last two entries");
        same!(
            entries::<u64>(&store, "again").await?,
            [round],
            "the log that is begun again"
        );
        check!(store.dissoc("again").await?, "that log did not exist");
        store = reopened(&arena, store).await?;
        check!(!store.exists("again").await?, "a removed log is back");
        same!(
            entries::<u64>(&store, "again").await?.len(),
            0,
            "the entries of a removed log"
        );
    }
    let kinds: Vec<_> = metas(&store).await?.into_values().map(|meta| meta.kind).collect();
    same!(kinds, [Kind::Log], "the kinds of all keys");
    Ok(())
}

/// Each restart finds what all the processes before it have left.
async fn again_and_again(arena: Arc<Arena>) -> Verdict {
    let mut store = store(&arena);
    let mut highest = None;
    for round in 0..4_u64 {
        let count = store
            .update("count", |count: Option<u64>| count.map_or(0, |count| count + 1))
            .await?;
        same!(count.new, round, "what each process adds one to");
        check!(
            Some(count.revision) > highest,
            "a revision is lower than one from before the restart"
        );
        highest = Some(count.revision);
        store.assoc(round, &round).await?;
        store = reopened(&arena, store).await?;
    }
    let keys: BTreeSet<Key> = metas(&store).await?.into_keys().collect();
    let mut expected: BTreeSet<Key> = (0..4_u64).map(Key::from).collect();
    expected.insert(Key::from("count"));
    same!(keys, expected, "all keys");
    Ok(())
}

/// The writes that a process made before it removed the keys come once more, to an engine that was restarted in between.
async fn removals_after_restart(arena: Arc<Arena>) -> Verdict {
    let before = store(&arena);
    let revision = before.assoc("document", &1).await?;
    before.bassoc("binary", "bytes").await?;
    before.assoc("stays", &1).await?;
    let how = Listing::all(Read::STRONG);
    let written = arena.list(Space::Document, how).await?;
    check!(before.dissoc("document").await?, "the document did not exist");
    check!(before.dissoc("binary").await?, "the binary did not exist");
    let stays = before.assoc("stays", &2).await?;
    before.close().await?;

    let backend = arena.namespace.reopen().await?;
    for (at, occupant) in written {
        let Occupant::Item(late) = occupant else {
            return Err(Failure::new(format!("a tombstone at {at} was listed unasked")));
        };
        for when in [When::Newer, When::Absent] {
            let answer = backend.write(&at, late.clone(), when).await?;
            check!(
                matches!(answer, Written::Refused { .. }),
                "a write from before the restart came late to {at}, with {when:?}: {answer:?}"
            );
        }
    }
    let after = over(backend);
    for key in ["document", "binary"] {
        check!(!after.exists(key).await?, "the {key} is back");
        check!(!after.dissoc(key).await?, "the {key} existed");
    }
    same!(after.get::<i64>("stays").await?, Some(2), "what was replaced");
    refused(
        ErrorKind::Conflict,
        "a write on the revision of what was removed",
        after.assoc("document", &2).if_revision(revision).await,
    )?;
    let again = after.assoc("document", &3).if_absent().await?;
    check!(again > stays, "a revision is lower than one from before the restart");
    after.collect().without_waiting().await?;
    same!(after.get::<i64>("document").await?, Some(3), "what was stored again");
    Ok(())
}

/// A process that dies in the middle of several calls at once, whose store the next one uses as if nothing was.
async fn unfinished_after_restart(arena: Arc<Arena>) -> Verdict {
    let engine = arena.namespace.another().await?;
    let is_chunked = arena.capabilities.transactions.is_some();
    let open = |backend: Arc<dyn Backend>| if is_chunked { chunking(backend) } else { over(backend) };
    let large = |letter: &str| letter.repeat(2500);
    let before = open(Arc::clone(&engine));
    before.assoc("document", &large("o")).await?;
    before.append_all("log", ["1", "2"]).await?;
    before.append("removed", "1").await?;
    // What decides never comes; what prepares for it does. The first removal is refused, because the key holds a log.
    let (removals, stuck) = (AtomicUsize::new(0), Arc::new(Semaphore::new(0)));
    let hangs = Arc::clone(&stuck);
    let dying = open(Arc::new(Layer::new(engine, move |call| {
        let decides = match call {
            Call::Commit | Call::Write(Space::Document) => true,
            Call::Remove(_) => removals.fetch_add(1, Ordering::SeqCst) > 0,
            _ => false,
        };
        decides.then(|| {
            hangs.add_permits(1);
            Fault::Hangs
        })
    })));
    if is_chunked {
        let pieces = stream::iter([Ok(Bytes::from(large("n"))), Err(io::Error::other("the source fails"))]);
        let failed = dying.bassoc("failed", Body::stream(pieces)).await;
        refused(ErrorKind::InvalidInput, "a binary whose source fails", failed)?;
    }
    let calls = future::join4(
        dying.assoc("document", &large("n")).into_future(),
        dying.bassoc("binary", large("n")).into_future(),
        dying.append("new", &large("n")).into_future(),
        dying.dissoc("removed").into_future(),
    );
    match future::select(calls, pin!(stuck.acquire_many(4))).await {
        Either::Left((went_on, _)) => check!(false, "calls went on without an answer: {went_on:?}"),
        Either::Right(_) => {}
    }
    drop(dying);
    drop(before);
    arena.backend.close().await?;

    let after = open(arena.namespace.reopen().await?);
    for round in ["at once", "when all was collected"] {
        check!(
            after.get::<String>("document").await? == Some(large("o")),
            "{round}: the document is not the old one"
        );
        same!(entries::<String>(&after, "log").await?, ["1", "2"], "the log, {round}");
        for key in ["binary", "failed", "new"] {
            check!(
                !after.exists(key).await?,
                "{round}: {key} is there, though nothing decided that"
            );
        }
        for _ in 0..3 {
            after.collect().without_waiting().await?;
        }
    }
    after.assoc("document", &large("x")).await?;
    after.bassoc("binary", large("x")).await?;
    same!(
        after.append("new", &large("x")).await?,
        0,
        "the first position of a new log"
    );
    same!(after.append("log", "3").await?, 2, "the position");
    after.dissoc("removed").await?;
    same!(
        after.append("removed", "2").await?,
        0,
        "the first position of a log begun again"
    );
    check!(
        after.get::<String>("document").await? == Some(large("x"))
            && bytes(&after, "binary").await?.is_some_and(|bytes| bytes == large("x")),
        "what was written after the restart came back otherwise"
    );
    same!(entries::<String>(&after, "log").await?, ["1", "2", "3"], "the log");
    same!(
        entries::<String>(&after, "removed").await?,
        ["2"],
        "the log begun again"
    );
    Ok(())
}
