//! Trials of the limits of single items, at them and one above.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Address, Committed, Item, Listing, Mutation, Partition, Read, Space, When};
use konserve_core::{Error, ErrorKind, Outcome};

use crate::arena::{Arena, item};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

/// Above this, a limit is not tried out.
const MOST: usize = 64 * 1024 * 1024;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("limits.item-at-the-limit", &["B-LIMIT-1"], item_at_the_limit).needs(Capability::ItemLimit),
        Trial::new(
            "limits.item-above-the-limit",
            &["B-LIMIT-1", "B-ERROR-1"],
            item_above_the_limit,
        )
        .needs(Capability::ItemLimit),
        Trial::new(
            "limits.item-above-the-limit-in-a-commit",
            &["B-COMMIT-11"],
            item_above_in_a_commit,
        )
        .needs(Capability::ItemLimit)
        .needs(Capability::Transactions),
        Trial::new("limits.without-item-limit", &["B-LIMIT-3"], without_item_limit).without(Capability::ItemLimit),
        Trial::new("limits.partition-at-the-limit", &["B-LIMIT-2"], partition_at_the_limit),
        Trial::new(
            "limits.partition-above-the-limit",
            &["B-LIMIT-2", "B-ERROR-1"],
            partition_above_the_limit,
        ),
        Trial::new(
            "limits.partition-above-the-limit-in-a-commit",
            &["B-COMMIT-11"],
            partition_above_in_a_commit,
        )
        .needs(Capability::Transactions),
    ]
}

/// Items of so many bytes, differently divided between meta and body.
fn sized(arena: &Arena, size: usize) -> Vec<Item> {
    let bytes = |count| Bytes::from(vec![b'x'; count]);
    [0, 1, 1000]
        .into_iter()
        .map(|meta| Item {
            meta: bytes(meta),
            body: Some(bytes(size - meta)),
            ..item(arena.rev())
        })
        .collect()
}

fn item_limit(arena: &Arena) -> usize {
    arena.capabilities.item_limit.unwrap_or(usize::MAX)
}

fn check_error(error: &Error, limit: usize) -> Verdict {
    same!(
        error.limit(),
        Some((limit as u64, limit as u64 + 1)),
        "the limit that the error names"
    );
    same!(error.outcome(), Outcome::NotApplied, "the outcome");
    check!(!error.is_retryable(), "trying again cannot help: {error:?}");
    Ok(())
}

async fn item_at_the_limit(arena: Arc<Arena>) -> Verdict {
    let limit = item_limit(&arena);
    if limit > MOST {
        return Ok(());
    }
    // The largest item at the longest name, and at the highest row.
    let longest = "p".repeat(arena.capabilities.longest_partition);
    for at in [
        arena.at("a"),
        Address::new(Space::Chunk, Partition::new(longest), u64::MAX),
    ] {
        for item in [sized(&arena, limit), sized(&arena, limit - 1)].concat() {
            arena.put(&at, &item).await?;
            check!(
                arena.get(&at).await? == Some(item),
                "an item of {limit} bytes came back otherwise"
            );
        }
    }
    Ok(())
}

async fn item_above_the_limit(arena: Arc<Arena>) -> Verdict {
    let limit = item_limit(&arena);
    if limit > MOST {
        return Ok(());
    }
    let (old, vacant, there) = (arena.at("old"), arena.at("vacant"), item(arena.rev()));
    arena.put(&old, &there).await?;
    for item in sized(&arena, limit + 1) {
        for at in [&old, &vacant] {
            let answer = arena.backend.write(at, item.clone(), When::Newer).await;
            check_error(&refused(ErrorKind::TooLarge, "one byte too many", answer)?, limit)?;
        }
    }
    same!(arena.get(&old).await?, Some(there), "what was to be replaced");
    same!(arena.occupant(&vacant).await?, None, "what was to be created");
    Ok(())
}

async fn item_above_in_a_commit(arena: Arc<Arena>) -> Verdict {
    let limit = item_limit(&arena);
    if limit > MOST {
        return Ok(());
    }
    let (first, second) = (arena.at("first"), arena.at("second"));
    let write = |at: &Address, item| Mutation::Write {
        at: at.clone(),
        item,
        when: When::Absent,
    };
    for large in sized(&arena, limit + 1) {
        let all = vec![write(&first, item(arena.rev())), write(&second, large)];
        refused(
            ErrorKind::TooLarge,
            "one byte too many",
            arena.backend.commit(all).await,
        )?;
        same!(arena.occupant(&first).await?, None, "the small item");
        same!(arena.occupant(&second).await?, None, "the large item");
    }
    Ok(())
}

async fn without_item_limit(arena: Arc<Arena>) -> Verdict {
    let (at, size) = (arena.at("a"), 2 * 1024 * 1024);
    for item in sized(&arena, size) {
        arena.put(&at, &item).await?;
        check!(
            arena.get(&at).await? == Some(item),
            "an item of {size} bytes came back otherwise"
        );
    }
    Ok(())
}

async fn partition_at_the_limit(arena: Arc<Arena>) -> Verdict {
    let longest = arena.capabilities.longest_partition;
    // Of one byte and of several bytes each: the limit counts bytes.
    for unit in ["a", "é", "日", "𝕬"] {
        let text = format!(
            "{}{}",
            unit.repeat(longest / unit.len()),
            "a".repeat(longest % unit.len())
        );
        for row in [0, u64::MAX] {
            let at = Address::new(Space::Log, Partition::new(text.clone()), row);
            let item = item(arena.rev());
            arena.put(&at, &item).await?;
            same!(
                arena.get(&at).await?,
                Some(item),
                "what is at a partition of {longest} bytes"
            );
            let rev = arena.rev();
            arena.bury(&at, rev).await?;
            same!(arena.get(&at).await?, None, "what is there after its removal");
        }
    }
    Ok(())
}

async fn partition_above_the_limit(arena: Arc<Arena>) -> Verdict {
    let longest = arena.capabilities.longest_partition;
    for text in ["a".repeat(longest + 1), format!("{}é", "a".repeat(longest - 1))] {
        let at = arena.at(&text);
        let written = arena.backend.write(&at, item(arena.rev()), When::Always).await;
        check_error(&refused(ErrorKind::TooLarge, "a write", written)?, longest)?;
        let removed = arena.backend.remove(&at, arena.rev(), When::Always).await;
        check_error(&refused(ErrorKind::TooLarge, "a removal", removed)?, longest)?;
    }
    let everything = Listing {
        tombstones: true,
        ..Listing::all(Read::STRONG)
    };
    let left = arena.list(Space::Document, everything).await?;
    check!(left.is_empty(), "something was written all the same: {left:?}");
    Ok(())
}

async fn partition_above_in_a_commit(arena: Arc<Arena>) -> Verdict {
    let long = arena.at(&"a".repeat(arena.capabilities.longest_partition + 1));
    let other = arena.at("other");
    let companion = Mutation::Write {
        at: other.clone(),
        item: item(arena.rev()),
        when: When::Absent,
    };
    let write = Mutation::Write {
        at: long.clone(),
        item: item(arena.rev()),
        when: When::Absent,
    };
    let remove = Mutation::Remove {
        at: long,
        rev: arena.rev(),
        when: When::Newer,
    };
    for mutation in [write, remove] {
        let all = vec![companion.clone(), mutation];
        refused(
            ErrorKind::TooLarge,
            "one byte too many",
            arena.backend.commit(all).await,
        )?;
        same!(arena.occupant(&other).await?, None, "the other item of the commit");
    }
    let written = arena.backend.commit(vec![companion]).await?;
    same!(written, Committed::Applied, "the other item alone");
    Ok(())
}
