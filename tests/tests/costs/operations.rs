//! The operations: their words, and how each is called to be measured.

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use konserve_core::ErrorKind::{self, *};
use konserve_core::{Result, Value, path};

use crate::wire::{Cost, Wire};

/// An operation.
pub(crate) struct Operation {
    /// As it is called.
    pub(crate) name: &'static str,
    pub(crate) guarantee: &'static str,
    pub(crate) limits: &'static str,
    /// The kinds of errors that are its own.
    pub(crate) errors: &'static [ErrorKind],
    /// What it costs with a value of so many bytes.
    pub(crate) measure: fn(usize) -> BoxFuture<'static, Result<Cost>>,
}

fn text(size: usize) -> String {
    "x".repeat(size)
}

fn bytes(size: usize) -> Bytes {
    Bytes::from(vec![7; size])
}

/// A store that holds a value of this size at `a`.
async fn with_value(size: usize) -> Result<Wire> {
    let wire = Wire::new().await?;
    wire.store.assoc("a", &text(size)).await?;
    Ok(wire)
}

/// A store that holds a map at `a`, of which the value is a part.
async fn with_map(size: usize) -> Result<Wire> {
    let wire = Wire::new().await?;
    wire.store
        .assoc_in(path!["a"], &std::collections::BTreeMap::from([("x", text(size))]))
        .await?;
    Ok(wire)
}

/// A store that holds binaries of this size at `a`.
async fn with_bytes(size: usize) -> Result<Wire> {
    let wire = Wire::new().await?;
    wire.store.bassoc("a", bytes(size)).await?;
    Ok(wire)
}

/// Three keys with a value of this size each.
fn three(size: usize) -> [(&'static str, String); 3] {
    ["a", "b", "c"].map(|key| (key, text(size)))
}

async fn with_three(size: usize) -> Result<Wire> {
    let wire = Wire::new().await?;
    for (key, value) in three(size) {
        wire.store.assoc(key, &value).await?;
    }
    Ok(wire)
}

/// A log with one entry.
async fn with_log(size: usize) -> Result<Wire> {
    let wire = Wire::new().await?;
    wire.store.append("log", &text(size)).await?;
    Ok(wire)
}

const DECIDES: &str = "atomic against everybody; applied, not applied, or `unknown_outcome`";

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "`exists`",
        guarantee: "may lag unless `.consistent()`",
        limits: "",
        errors: &[],
        measure: |size| async move { with_value(size).await?.cost(|s| s.exists("a")).await }.boxed(),
    },
    Operation {
        name: "`get_meta`",
        guarantee: "may lag unless `.consistent()`",
        limits: "",
        errors: &[Corrupt],
        measure: |size| async move { with_value(size).await?.cost(|s| s.get_meta("a")).await }.boxed(),
    },
    Operation {
        name: "`get`, `get_in`",
        guarantee: "one document, whole; may lag unless `.consistent()`",
        limits: "",
        errors: &[WrongKind, Codec, Corrupt, Contended],
        measure: |size| async move { with_value(size).await?.cost(|s| s.get::<Value>("a")).await }.boxed(),
    },
    Operation {
        name: "`get(..).consistent()`",
        guarantee: "one document, whole, as of now",
        limits: "",
        errors: &[WrongKind, Codec, Corrupt, Contended],
        measure: |size| async move { with_value(size).await?.cost(|s| s.get::<Value>("a").consistent()).await }.boxed(),
    },
    Operation {
        name: "`assoc` of a new key",
        guarantee: DECIDES,
        limits: "",
        errors: &[Conflict, WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { Wire::new().await?.cost(|s| s.assoc("a", &text(size))).await }.boxed(),
    },
    Operation {
        name: "`assoc` over as much",
        guarantee: DECIDES,
        limits: "",
        errors: &[Conflict, WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { with_value(size).await?.cost(|s| s.assoc("a", &text(size))).await }.boxed(),
    },
    Operation {
        name: "`assoc_in`, `dissoc_in`",
        guarantee: "atomic against everybody; the rest of the document stays",
        limits: "30 s of losing to others",
        errors: &[Conflict, Path, WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { with_map(size).await?.cost(|s| s.assoc_in(path!["a", "y"], &1)).await }.boxed(),
    },
    Operation {
        name: "`update`, `update_in`",
        guarantee: "atomic against everybody; the function may be called again",
        limits: "30 s of losing to others",
        errors: &[Conflict, Path, WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| {
            async move {
                let wire = with_map(size).await?;
                wire.cost(|s| s.update_in(path!["a", "y"], |n: Option<u64>| n.unwrap_or(0) + 1))
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`dissoc`",
        guarantee: DECIDES,
        limits: "",
        errors: &[Conflict, Contended, UnknownOutcome],
        measure: |size| async move { with_value(size).await?.cost(|s| s.dissoc("a")).await }.boxed(),
    },
    Operation {
        name: "`multi_get` of 3",
        guarantee: "each document for itself",
        limits: "100 keys",
        errors: &[TooManyItems, WrongKind, Codec, Corrupt, Contended],
        measure: |size| {
            async move {
                with_three(size)
                    .await?
                    .cost(|s| s.multi_get::<Value>(["a", "b", "c"]))
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`multi_get(..).snapshot()` of 3",
        guarantee: "all as of one moment",
        limits: "100 keys; 4 MB, of which a large value takes a few hundred bytes",
        errors: &[TooManyItems, TooLarge, WrongKind, Codec, Corrupt, Contended],
        measure: |size| {
            async move {
                let wire = with_three(size).await?;
                wire.cost(|s| s.multi_get::<Value>(["a", "b", "c"]).snapshot()).await
            }
            .boxed()
        },
    },
    Operation {
        name: "`get_many` of 3",
        guarantee: "each document for itself",
        limits: "",
        errors: &[WrongKind, Codec, Corrupt, Contended],
        measure: |size| {
            async move {
                with_three(size)
                    .await?
                    .cost(|s| s.get_many::<Value>(["a", "b", "c"]))
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`multi_assoc` of 3",
        guarantee: "all or nothing, at one instant",
        limits: "100 keys; 99 when some are cut into chunks",
        errors: &[TooManyItems, InvalidInput, WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { Wire::new().await?.cost(|s| s.multi_assoc(three(size))).await }.boxed(),
    },
    Operation {
        name: "`multi_dissoc` of 3",
        guarantee: "all or nothing, at one instant",
        limits: "100 keys",
        errors: &[TooManyItems, WrongKind, Contended, UnknownOutcome],
        measure: |size| async move { with_three(size).await?.cost(|s| s.multi_dissoc(["a", "b", "c"])).await }.boxed(),
    },
    Operation {
        name: "`multi_dissoc`, 1 of 3 absent",
        guarantee: "all or nothing, at one instant",
        limits: "100 keys",
        errors: &[TooManyItems, WrongKind, Contended, UnknownOutcome],
        measure: |size| async move { with_three(size).await?.cost(|s| s.multi_dissoc(["a", "b", "x"])).await }.boxed(),
    },
    Operation {
        name: "`append` to a known log",
        guarantee: "one order for all, no gaps",
        limits: "",
        errors: &[WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { with_log(size).await?.cost(|s| s.append("log", &text(size))).await }.boxed(),
    },
    Operation {
        name: "`append`, the handle's first",
        guarantee: "one order for all, no gaps",
        limits: "",
        errors: &[WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| {
            async move {
                with_log(size)
                    .await?
                    .cold()
                    .await?
                    .cost(|s| s.append("log", &text(size)))
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`append` that makes the log",
        guarantee: "one order for all, no gaps",
        limits: "",
        errors: &[WrongKind, Contended, Codec, UnknownOutcome],
        measure: |size| async move { Wire::new().await?.cost(|s| s.append("log", &text(size))).await }.boxed(),
    },
    Operation {
        name: "`log` of one entry",
        guarantee: "entries never change",
        limits: "",
        errors: &[WrongKind, Codec, Corrupt, Contended],
        measure: |size| {
            async move {
                with_log(size)
                    .await?
                    .cost(|s| s.log::<Value>("log").try_collect::<Vec<_>>())
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`log().last(1)`, the handle's first",
        guarantee: "entries never change",
        limits: "",
        errors: &[WrongKind, Codec, Corrupt, Contended],
        measure: |size| {
            async move {
                with_log(size)
                    .await?
                    .cold()
                    .await?
                    .cost(|s| s.log::<Value>("log").last(1).try_collect::<Vec<_>>())
                    .await
            }
            .boxed()
        },
    },
    Operation {
        name: "`get_meta` of a log",
        guarantee: "all that was acknowledged before",
        limits: "",
        errors: &[Corrupt],
        measure: |size| async move { with_log(size).await?.cost(|s| s.get_meta("log")).await }.boxed(),
    },
    Operation {
        name: "`trim`",
        guarantee: "at one instant; positions stay what they are",
        limits: "",
        errors: &[WrongKind, Contended, UnknownOutcome],
        measure: |size| async move { with_log(size).await?.cost(|s| s.trim("log", 1)).await }.boxed(),
    },
    Operation {
        name: "`dissoc` of a log",
        guarantee: "atomic against everybody; no entry lands in what is gone",
        limits: "",
        errors: &[Contended, UnknownOutcome],
        measure: |size| async move { with_log(size).await?.cost(|s| s.dissoc("log")).await }.boxed(),
    },
    Operation {
        name: "`bassoc` of a new key",
        guarantee: DECIDES,
        limits: "",
        errors: &[Conflict, WrongKind, Contended, UnknownOutcome],
        measure: |size| async move { Wire::new().await?.cost(|s| s.bassoc("a", bytes(size))).await }.boxed(),
    },
    Operation {
        name: "`bget` and `bytes`",
        guarantee: "one binary, whole",
        limits: "",
        errors: &[WrongKind, Corrupt, Contended, Unavailable],
        measure: |size| {
            async move {
                let wire = with_bytes(size).await?;
                let read = |s: konserve_core::Store| async move {
                    match s.bget("a").await? {
                        Some(blob) => blob.bytes().await.map(|bytes| bytes.len()),
                        None => Ok(0),
                    }
                };
                wire.cost(read).await
            }
            .boxed()
        },
    },
    Operation {
        name: "`bget`, and 10 bytes of it",
        guarantee: "a part of one binary",
        limits: "",
        errors: &[WrongKind, Corrupt, Contended],
        measure: |size| {
            async move {
                let wire = with_bytes(size).await?;
                let read = |s: konserve_core::Store| async move {
                    match s.bget("a").await? {
                        Some(blob) => blob.range(50..60).bytes().await.map(|bytes| bytes.len()),
                        None => Ok(0),
                    }
                };
                wire.cost(read).await
            }
            .boxed()
        },
    },
    Operation {
        name: "`keys` of one document, through the index",
        guarantee: "may lag; what is there during the whole listing comes once",
        limits: "",
        errors: &[Corrupt],
        measure: |size| {
            async move {
                let wire = Wire::indexed().await?;
                wire.store.assoc("a", &text(size)).await?;
                wire.cost(|s| s.keys().try_collect::<Vec<_>>()).await
            }
            .boxed()
        },
    },
    Operation {
        name: "`keys` of one document",
        guarantee: "what is there during the whole listing comes once",
        limits: "",
        errors: &[Corrupt],
        measure: |size| async move { with_value(size).await?.cost(|s| s.keys().try_collect::<Vec<_>>()).await }.boxed(),
    },
];
