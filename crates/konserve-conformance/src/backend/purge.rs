//! Trials of `purge`.

use std::sync::Arc;

use konserve_core::backend::{Item, Occupant, Purge, Read, When, Written};

use crate::arena::{Arena, expired, item};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("purge.row-whatever-is-there", &["B-PURGE-1"], row_whatever_is_there),
        Trial::new("purge.tombstone", &["B-PURGE-2"], tombstone),
        Trial::new(
            "purge.tombstone-of-another-revision",
            &["B-PURGE-3"],
            tombstone_of_another_revision,
        ),
        Trial::new(
            "purge.concerns-one-address",
            &["B-ADDR-1", "B-PURGE-1", "B-PURGE-2"],
            concerns_one_address,
        ),
        Trial::new("purge.none", &["B-PURGE-4"], none),
        Trial::new(
            "purge.hundreds-and-again",
            &["B-PURGE-4", "B-PURGE-1"],
            hundreds_and_again,
        ),
    ]
}

async fn row_whatever_is_there(arena: Arc<Arena>) -> Verdict {
    let places = ["vacant", "live", "pinned", "gone", "expired", "again", "removed"].map(|name| arena.at(name));
    let [_, live, pinned, gone, old, again, removed] = &places;
    // What was there before must not show again.
    for at in [again, removed] {
        arena.bury(at, arena.rev()).await?;
        arena.put(at, &item(arena.rev())).await?;
    }
    arena.bury(removed, arena.rev()).await?;
    arena.put(live, &item(arena.rev())).await?;
    let fixed = Item {
        pinned: true,
        ..item(arena.rev())
    };
    arena.put(pinned, &fixed).await?;
    arena.bury(gone, arena.rev()).await?;
    arena.put(old, &expired(arena.rev())).await?;
    let stays = (arena.at("stays"), item(arena.rev()));
    arena.put(&stays.0, &stays.1).await?;

    let low = arena.rev();
    arena.backend.purge(&places.clone().map(Purge::Row)).await?;
    for at in &places {
        same!(arena.occupant(at).await?, None, "what is at {at} after the purge");
        // Vacant: there is no fence any longer, and nothing to match.
        let written = arena.backend.write(at, item(low), When::Absent).await?;
        check!(
            matches!(written, Written::Applied { .. }),
            "a write at {at} after the purge: {written:?}"
        );
    }
    same!(arena.get(&stays.0).await?, Some(stays.1), "what was not purged");
    Ok(())
}

async fn tombstone(arena: Arc<Arena>) -> Verdict {
    let (gone, old, vacant) = (arena.at("gone"), arena.at("old"), arena.at("vacant"));
    let early = arena.rev();
    let (removal, past) = (arena.rev(), expired(arena.rev()));
    arena.bury(&gone, removal).await?;
    arena.put(&old, &past).await?;
    let what = [
        Purge::Tombstone(gone.clone(), removal),
        Purge::Tombstone(old.clone(), past.rev),
        Purge::Tombstone(vacant.clone(), removal),
    ];
    arena.backend.purge(&what).await?;
    for at in [&gone, &old, &vacant] {
        same!(arena.occupant(at).await?, None, "what is at {at} after the purge");
        let written = arena.backend.write(at, item(early), When::Newer).await?;
        check!(
            matches!(written, Written::Applied { .. }),
            "an early write at {at} after the purge: {written:?}"
        );
    }
    Ok(())
}

async fn tombstone_of_another_revision(arena: Arc<Arena>) -> Verdict {
    let [lower, higher, live, pinned, old] = ["lower", "higher", "live", "pinned", "old"].map(|name| arena.at(name));
    let asked = [arena.rev(), arena.rev(), arena.rev(), arena.rev(), arena.rev()];
    let (early, late) = (asked[0], arena.rev());
    // What is asked for is at `lower` higher than what is there, and at `higher` lower.
    arena.bury(&lower, early).await?;
    arena.bury(&higher, late).await?;
    let there = item(asked[2]);
    arena.put(&live, &there).await?;
    let fixed = Item {
        pinned: true,
        ..item(asked[3])
    };
    arena.put(&pinned, &fixed).await?;
    let past = expired(arena.rev());
    arena.put(&old, &past).await?;
    let what = [
        Purge::Tombstone(lower.clone(), asked[1]),
        Purge::Tombstone(higher.clone(), asked[1]),
        Purge::Tombstone(live.clone(), there.rev),
        Purge::Tombstone(pinned.clone(), fixed.rev),
        Purge::Tombstone(old.clone(), asked[4]),
    ];
    arena.backend.purge(&what).await?;
    for (at, truth) in [
        (lower, Occupant::Tombstone(early)),
        (higher, Occupant::Tombstone(late)),
        (live, Occupant::Item(there)),
        (pinned, Occupant::Item(fixed)),
        (old, Occupant::Tombstone(past.rev)),
    ] {
        same!(
            arena.occupant(&at).await?,
            Some(truth),
            "what is at {at} after the purge"
        );
    }
    Ok(())
}

async fn concerns_one_address(arena: Arc<Arena>) -> Verdict {
    let (at, neighbours) = arena.neighbourhood().await?;
    arena.backend.purge(&[Purge::Row(at.clone())]).await?;
    let rev = arena.rev();
    arena.bury(&at, rev).await?;
    arena.backend.purge(&[Purge::Tombstone(at, rev)]).await?;
    for (at, item) in neighbours {
        same!(arena.get(&at).await?, Some(item), "the neighbour at {at}");
    }
    Ok(())
}

async fn none(arena: Arc<Arena>) -> Verdict {
    let (at, item) = (arena.at("a"), item(arena.rev()));
    arena.put(&at, &item).await?;
    arena.backend.purge(&[]).await?;
    same!(
        arena.get(&at).await?,
        Some(item),
        "what is there after a purge of nothing"
    );
    Ok(())
}

async fn hundreds_and_again(arena: Arc<Arena>) -> Verdict {
    let items: Vec<_> = (0..230)
        .map(|number| (arena.at(&format!("{number}")), item(arena.rev())))
        .collect();
    arena.fill(items.clone()).await?;
    let addresses: Vec<_> = items.into_iter().map(|(at, _)| at).collect();
    let what: Vec<_> = addresses.iter().cloned().map(Purge::Row).collect();
    for round in ["once", "again"] {
        arena.backend.purge(&what).await?;
        let left = arena.backend.read_many(&addresses, Read::STRONG).await?;
        check!(
            left.iter().all(Option::is_none),
            "something is left after purging {round}"
        );
    }
    // One address twice in one call.
    let (at, last) = (addresses[0].clone(), item(arena.rev()));
    arena.put(&at, &last).await?;
    arena
        .backend
        .purge(&[Purge::Row(at.clone()), Purge::Row(at.clone())])
        .await?;
    same!(arena.occupant(&at).await?, None, "what was named twice");
    Ok(())
}
