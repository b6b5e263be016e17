//! The calls of a store that are interrupted, each with what is there before.

use std::io;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream;
use konserve_core::store::Body;
use konserve_core::{Error, ErrorKind, Key, Path, Result, Store};

use super::census::key;
use crate::trial::Capability;

/// The sizes with which a few kilobytes take several chunks.
pub(super) const CHUNK: usize = 1024;
pub(super) const INLINE: usize = 512;

/// Where an operation is tried: a store, and keys of its own.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) store: Store,
    pub(super) attempt: u32,
}

impl Scene {
    pub(super) fn key(&self, name: &str) -> Key {
        key(self.attempt, name)
    }

    fn path(&self) -> Path {
        Path::new(self.key("a")).join("field")
    }
}

type Step = fn(Scene) -> BoxFuture<'static, Result<()>>;

/// A call of a store that is interrupted.
pub(super) struct Operation {
    /// What its trials are called.
    pub(super) name: &'static str,
    /// What it needs beside strong reads.
    pub(super) needs: &'static [Capability],
    /// The keys that it concerns.
    pub(super) keys: &'static [&'static str],
    /// What is there before.
    pub(super) prepare: Step,
    /// The call.
    pub(super) call: Step,
    /// Whether others may end what it has begun, where there are no transactions.
    pub(super) ended_by_others: bool,
    /// Whether a task of its own carries it on when nobody waits for it any more.
    pub(super) carried_on: bool,
    /// Whether it concerns everything in the store, so that one attempt must not find what another left.
    pub(super) alone: bool,
}

impl Operation {
    const fn new(name: &'static str, keys: &'static [&'static str], prepare: Step, call: Step) -> Self {
        Self {
            name,
            needs: &[],
            keys,
            prepare,
            call,
            ended_by_others: false,
            carried_on: false,
            alone: false,
        }
    }

    const fn needs(mut self, needs: &'static [Capability]) -> Self {
        self.needs = needs;
        self
    }

    const fn ended_by_others(mut self) -> Self {
        self.ended_by_others = true;
        self
    }

    const fn carried_on(mut self) -> Self {
        self.carried_on = true;
        self
    }

    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Whether what can be read is another before and after it.
    pub(super) fn changes(&self) -> bool {
        !self.alone
    }
}

/// All of them.
pub(super) static OPERATIONS: [Operation; 24] = [
    Operation::new("assoc", &["a"], small_old, |scene| {
        async move { scene.store.assoc(scene.key("a"), "n").await.map(drop) }.boxed()
    }),
    Operation::new("assoc-in", &["a"], map_old, |scene| {
        async move { scene.store.assoc_in(scene.path(), "n").await.map(drop) }.boxed()
    }),
    Operation::new("update-in", &["a"], map_old, |scene| {
        let update = scene.store.update_in(scene.path(), |_: Option<String>| "n".to_owned());
        async move { update.await.map(drop) }.boxed()
    }),
    Operation::new("dissoc", &["a"], small_old, |scene| {
        async move { scene.store.dissoc(scene.key("a")).await.map(drop) }.boxed()
    }),
    Operation::new("dissoc-in", &["a"], map_old, |scene| {
        async move { scene.store.dissoc_in(scene.path()).await.map(drop) }.boxed()
    }),
    Operation::new("bassoc", &["a"], nothing, |scene| {
        async move { scene.store.bassoc(scene.key("a"), "n").await.map(drop) }.boxed()
    }),
    Operation::new("large-write", &["a"], nothing, |scene| {
        async move { scene.store.assoc(scene.key("a"), &large('n')).await.map(drop) }.boxed()
    }),
    Operation::new("overwrite", &["a"], large_old, |scene| {
        async move { scene.store.assoc(scene.key("a"), &large('n')).await.map(drop) }.boxed()
    }),
    Operation::new("shrink", &["a"], large_old, |scene| {
        async move { scene.store.assoc(scene.key("a"), "n").await.map(drop) }.boxed()
    }),
    Operation::new("grow", &["a"], small_old, |scene| {
        async move { scene.store.bassoc(scene.key("a"), large('n')).await.map(drop) }.boxed()
    }),
    Operation::new("large-update", &["a"], large_old, |scene| {
        let turn = |old: Option<String>| old.unwrap_or_default().replace('o', "n");
        async move { scene.store.update(scene.key("a"), turn).await.map(drop) }.boxed()
    }),
    Operation::new("large-removal", &["a"], large_old, |scene| {
        async move { scene.store.dissoc(scene.key("a")).await.map(drop) }.boxed()
    }),
    Operation::new("bassoc-stream", &["a"], large_old, |scene| {
        let pieces = stream::iter((0..4).map(|_| Ok::<_, io::Error>(Bytes::from(vec![b'n'; 700]))));
        async move {
            let bassoc = scene.store.bassoc(scene.key("a"), Body::stream(pieces));
            bassoc.await.map(drop)
        }
        .boxed()
    }),
    Operation::new("multi-assoc", &["a", "b", "c"], large_old, |scene| {
        let pairs = [("a", large('n')), ("b", large('n')), ("c", "n".to_owned())];
        let pairs = pairs.map(|(name, value)| (scene.key(name), value));
        async move { scene.store.multi_assoc(pairs).await.map(drop) }.boxed()
    })
    .needs(&[Capability::Transactions]),
    Operation::new("multi-dissoc", &["a", "b", "c"], three_old, |scene| {
        let keys = ["a", "b", "c"].map(|name| scene.key(name));
        async move { scene.store.multi_dissoc(keys).await.map(drop) }.boxed()
    })
    .needs(&[Capability::Transactions]),
    Operation::new("log-creation", &["a"], nothing, |scene| {
        async move { scene.store.append(scene.key("a"), "n").await.map(drop) }.boxed()
    })
    .carried_on(),
    Operation::new("append", &["a"], log_old, |scene| {
        async move { scene.store.append(scene.key("a"), "n").await.map(drop) }.boxed()
    })
    .carried_on(),
    Operation::new("large-append", &["a"], log_old, |scene| {
        async move { scene.store.append(scene.key("a"), &large('n')).await.map(drop) }.boxed()
    })
    .carried_on(),
    Operation::new("large-append-all", &["a"], log_old, |scene| {
        let entries = ["n"; CHUNK];
        async move { scene.store.append_all(scene.key("a"), entries).await.map(drop) }.boxed()
    })
    .carried_on(),
    Operation::new("append-to-a-trimmed-log", &["a"], trimmed_log_old, |scene| {
        async move { scene.store.append(scene.key("a"), "n").await.map(drop) }.boxed()
    })
    .carried_on(),
    Operation::new("trim", &["a"], long_log_old, |scene| {
        async move { scene.store.trim(scene.key("a"), 3).await.map(drop) }.boxed()
    }),
    Operation::new("checkpoint", &["a", "b"], folded_log_old, |scene| {
        async move { fold(&scene).await }.boxed()
    })
    .needs(&[Capability::Transactions]),
    Operation::new("log-removal", &["a"], large_log_old, |scene| {
        async move { scene.store.dissoc(scene.key("a")).await.map(drop) }.boxed()
    })
    .ended_by_others(),
    Operation::new("collect", &["a"], garbage, |scene| {
        async move { collect(&scene.store).await }.boxed()
    })
    .alone(),
];

/// Collects until nothing waits to be collected.
///
/// # Errors
///
/// Those of the engine; and when that takes more calls than it has steps.
pub(super) async fn collect(store: &Store) -> Result<()> {
    for _ in 0..4 {
        if store.collect().without_waiting().await?.waiting == 0 {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Contended,
        "the collector always leaves something to the next call",
    ))
}

/// More than two chunks.
fn large(letter: char) -> String {
    String::from(letter).repeat(2 * CHUNK + 500)
}

fn nothing(_: Scene) -> BoxFuture<'static, Result<()>> {
    async { Ok(()) }.boxed()
}

fn small_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move { scene.store.assoc(scene.key("a"), "o").await.map(drop) }.boxed()
}

fn large_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move { scene.store.assoc(scene.key("a"), &large('o')).await.map(drop) }.boxed()
}

fn map_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move { scene.store.assoc_in(scene.path(), &large('o')).await.map(drop) }.boxed()
}

fn three_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    let pairs = [("a", large('o')), ("b", large('o')), ("c", "o".to_owned())];
    let pairs = pairs.map(|(name, value)| (scene.key(name), value));
    async move { scene.store.multi_assoc(pairs).await.map(drop) }.boxed()
}

fn log_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move { scene.store.append_all(scene.key("a"), ["o", "o"]).await.map(drop) }.boxed()
}

fn large_log_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move {
        scene.store.append(scene.key("a"), "o").await?;
        scene.store.append(scene.key("a"), &large('o')).await.map(drop)
    }
    .boxed()
}

/// Items of two, of one, of one that is large, and of one entry.
fn long_log_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move {
        scene.store.append_all(scene.key("a"), ["o", "o"]).await?;
        scene.store.append(scene.key("a"), "o").await?;
        // Without transactions there are no chunks, and it is one item.
        scene.store.append(scene.key("a"), &large('o')).await?;
        scene.store.append(scene.key("a"), "o").await.map(drop)
    }
    .boxed()
}

/// All of it is trimmed, and the items that can go have gone.
fn trimmed_log_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move {
        long_log_old(scene.clone()).await?;
        scene.store.trim(scene.key("a"), u64::MAX).await?;
        collect(&scene.store).await
    }
    .boxed()
}

/// A fold is kept that lacks the last two entries, one of which is large.
fn folded_log_old(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move {
        log_old(scene.clone()).await?;
        fold(&scene).await?;
        scene.store.append(scene.key("a"), "n").await?;
        scene.store.append(scene.key("a"), &large('n')).await.map(drop)
    }
    .boxed()
}

/// Keeps the text of all entries.
async fn fold(scene: &Scene) -> Result<()> {
    let fold = scene
        .store
        .reduce_log(scene.key("a"), String::new(), |text, entry: String| text + &entry);
    fold.checkpoint(scene.key("b")).await.map(drop)
}

/// One of everything that the collector removes: a value that was replaced, an upload that was given up, a removed key,
/// a removed log.
fn garbage(scene: Scene) -> BoxFuture<'static, Result<()>> {
    async move {
        let Scene { store, .. } = &scene;
        store.assoc(scene.key("a"), &large('o')).await?;
        store.assoc(scene.key("a"), &large('n')).await?;
        store.assoc(scene.key("removed"), "o").await?;
        store.dissoc(scene.key("removed")).await?;
        store.append(scene.key("log"), &large('o')).await?;
        store.dissoc(scene.key("log")).await?;
        let piece = Bytes::from(vec![b'o'; CHUNK]);
        let pieces = [Ok(piece.clone()), Ok(piece), Err(io::Error::other("the source fails"))];
        let given_up = store.bassoc(scene.key("given up"), Body::stream(stream::iter(pieces)));
        match given_up.await {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(
                ErrorKind::Corrupt,
                "a binary was stored whose source failed",
            )),
        }
    }
    .boxed()
}
