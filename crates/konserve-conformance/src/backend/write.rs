//! Trials of `write`, beyond the table of conditions.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Item, Occupant, When, Written};

use crate::arena::{Arena, item, shows, tells};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("write.applied-is-stored", &["B-WRITE-1"], applied_is_stored),
        Trial::new("write.tells-what-it-replaced", &["B-WRITE-2"], tells_previous),
        Trial::new(
            "write.refused-tells-what-is-there",
            &["B-WRITE-3", "B-WRITE-4"],
            refused_tells_current,
        ),
        Trial::new(
            "write.repeated-with-other-bytes",
            &["B-WHEN-7"],
            repeated_with_other_bytes,
        ),
        Trial::new(
            "write.concerns-one-address",
            &["B-ADDR-1", "B-WRITE-1"],
            concerns_one_address,
        ),
    ]
}

async fn applied_is_stored(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    for when in [When::Absent, When::Always, When::Exists, When::Newer] {
        let item = item(arena.rev());
        let written = arena.backend.write(&at, item.clone(), when).await?;
        check!(
            matches!(written, Written::Applied { .. }),
            "{when:?} was not applied: {written:?}"
        );
        same!(arena.get(&at).await?, Some(item), "what {when:?} stored");
    }
    Ok(())
}

async fn tells_previous(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let mut before = None;
    for number in 0..8 {
        let next = Item {
            meta: Bytes::from(vec![b'm'; number]),
            pinned: number == 5,
            ..item(arena.rev())
        };
        let when = match &before {
            Some(Occupant::Item(item)) => When::Matches(item.rev),
            _ => When::Newer,
        };
        let written = arena.backend.write(&at, next.clone(), when).await?;
        let Written::Applied { previous } = &written else {
            check!(false, "not applied: {written:?}");
            continue;
        };
        check!(
            tells(previous, before.as_ref(), true),
            "told of {previous:?} where {before:?} was"
        );
        before = Some(Occupant::Item(next));
        if number == 2 {
            let rev = arena.rev();
            arena.bury(&at, rev).await?;
            before = Some(Occupant::Tombstone(rev));
        }
    }
    Ok(())
}

async fn refused_tells_current(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    for number in 0..5 {
        let there = Item {
            meta: Bytes::from(vec![b'm'; number * 100]),
            body: (number != 3).then(|| Bytes::from(vec![b'b'; number])),
            ..item(arena.rev())
        };
        arena.put(&at, &there).await?;
        let truth = Some(Occupant::Item(there.clone()));
        for when in [When::Absent, When::Matches(arena.rev())] {
            let written = arena.backend.write(&at, item(arena.rev()), when).await?;
            let Written::Refused { current } = &written else {
                check!(false, "{when:?} was not refused: {written:?}");
                continue;
            };
            check!(
                shows(current.as_ref(), truth.as_ref()),
                "told of {current:?} where {there:?} is"
            );
            same!(
                arena.get(&at).await?,
                Some(there.clone()),
                "what is there after the refusal"
            );
        }
    }
    Ok(())
}

/// The revision is the identity of a write: what comes under a stored one is not looked at.
async fn repeated_with_other_bytes(arena: Arc<Arena>) -> Verdict {
    let (at, first) = (arena.at("a"), item(arena.rev()));
    arena.put(&at, &first).await?;
    let other = Item {
        pinned: true,
        meta: Bytes::from_static(b"other"),
        body: None,
        ..first.clone()
    };
    for when in [
        When::Always,
        When::Absent,
        When::Exists,
        When::Matches(first.rev),
        When::Newer,
    ] {
        let written = arena.backend.write(&at, other.clone(), when).await?;
        check!(
            matches!(written, Written::Applied { .. }),
            "{when:?} was not applied: {written:?}"
        );
        same!(
            arena.get(&at).await?,
            Some(first.clone()),
            "what is there after {when:?}"
        );
    }
    Ok(())
}

async fn concerns_one_address(arena: Arc<Arena>) -> Verdict {
    let (at, neighbours) = arena.neighbourhood().await?;
    arena.put(&at, &item(arena.rev())).await?;
    arena.bury(&at, arena.rev()).await?;
    for (at, item) in neighbours {
        same!(arena.get(&at).await?, Some(item), "the neighbour at {at}");
    }
    Ok(())
}
