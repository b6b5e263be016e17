//! Trials of `remove`, beyond the table of conditions.

use std::sync::Arc;

use konserve_core::backend::{Item, Occupant, When, Written};

use crate::arena::{Arena, expired, item, shows, tells};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "remove.leaves-a-tombstone",
            &["B-REMOVE-1", "B-READ-2"],
            leaves_a_tombstone,
        ),
        Trial::new(
            "remove.leaves-one-where-nothing-was",
            &["B-REMOVE-2"],
            leaves_one_where_nothing_was,
        ),
        Trial::new("remove.tells-what-it-removed", &["B-REMOVE-3"], tells_previous),
        Trial::new(
            "remove.refused-tells-what-is-there",
            &["B-REMOVE-4"],
            refused_tells_current,
        ),
        Trial::new(
            "remove.fences-off-what-is-late",
            &["B-REMOVE-1", "B-WHEN-5", "B-WHEN-2"],
            fences_off,
        ),
    ]
}

async fn leaves_a_tombstone(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    arena.put(&at, &item(arena.rev())).await?;
    let rev = arena.rev();
    arena.bury(&at, rev).await?;
    same!(
        arena.occupant(&at).await?,
        Some(Occupant::Tombstone(rev)),
        "what is there"
    );
    Ok(())
}

async fn leaves_one_where_nothing_was(arena: Arc<Arena>) -> Verdict {
    for (name, when) in [
        ("always", When::Always),
        ("absent", When::Absent),
        ("newer", When::Newer),
    ] {
        let (at, rev) = (arena.at(name), arena.rev());
        let removed = arena.backend.remove(&at, rev, when).await?;
        let Written::Applied { previous } = &removed else {
            check!(false, "{when:?} was not applied: {removed:?}");
            continue;
        };
        check!(
            tells(previous, None, false),
            "{when:?} told of {previous:?} where nothing was"
        );
        same!(
            arena.occupant(&at).await?,
            Some(Occupant::Tombstone(rev)),
            "what {when:?} left"
        );
    }
    Ok(())
}

async fn tells_previous(arena: Arc<Arena>) -> Verdict {
    let (live, gone, old) = (arena.at("live"), arena.at("gone"), arena.at("old"));
    let pinned = Item {
        pinned: true,
        ..item(arena.rev())
    };
    let (removed, past) = (arena.rev(), expired(arena.rev()));
    arena.put(&live, &pinned).await?;
    arena.bury(&gone, removed).await?;
    arena.put(&old, &past).await?;
    for (at, when, truth) in [
        (&live, When::Matches(pinned.rev), Some(Occupant::Item(pinned.clone()))),
        (&gone, When::Newer, Some(Occupant::Tombstone(removed))),
        (&old, When::Newer, Some(Occupant::Tombstone(past.rev))),
    ] {
        let answer = arena.backend.remove(at, arena.rev(), when).await?;
        let Written::Applied { previous } = &answer else {
            check!(false, "{when:?} was not applied: {answer:?}");
            continue;
        };
        check!(
            tells(previous, truth.as_ref(), false),
            "told of {previous:?} where {truth:?} was"
        );
    }
    Ok(())
}

async fn refused_tells_current(arena: Arc<Arena>) -> Verdict {
    let (live, gone, vacant) = (arena.at("live"), arena.at("gone"), arena.at("vacant"));
    let (there, removed) = (item(arena.rev()), arena.rev());
    arena.put(&live, &there).await?;
    arena.bury(&gone, removed).await?;
    for (at, truth) in [
        (&live, Some(Occupant::Item(there.clone()))),
        (&gone, Some(Occupant::Tombstone(removed))),
        (&vacant, None),
    ] {
        let answer = arena
            .backend
            .remove(at, arena.rev(), When::Matches(arena.rev()))
            .await?;
        let Written::Refused { current } = &answer else {
            check!(false, "not refused: {answer:?}");
            continue;
        };
        check!(
            shows(current.as_ref(), truth.as_ref()),
            "told of {current:?} where {truth:?} is"
        );
        same!(arena.occupant(at).await?, truth, "what is there after the refusal");
    }
    Ok(())
}

async fn fences_off(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let (early, late) = (item(arena.rev()), item(arena.rev()));
    let removal = arena.rev();
    arena.put(&at, &early).await?;
    arena.bury(&at, removal).await?;
    for when in [When::Newer, When::Absent, When::Exists, When::Matches(early.rev)] {
        let answer = arena.backend.write(&at, late.clone(), when).await?;
        check!(
            matches!(answer, Written::Refused { .. }),
            "a late write came through under {when:?}: {answer:?}"
        );
    }
    same!(
        arena.occupant(&at).await?,
        Some(Occupant::Tombstone(removal)),
        "what is there"
    );
    let (later, latest) = (arena.rev(), item(arena.rev()));
    arena.put(&at, &latest).await?;
    let answer = arena.backend.remove(&at, later, When::Newer).await?;
    check!(
        matches!(answer, Written::Refused { .. }),
        "a late removal came through: {answer:?}"
    );
    same!(arena.get(&at).await?, Some(latest), "what is there in the end");
    Ok(())
}
