//! Trials of expiry.

use std::sync::Arc;
use std::time::Duration;

use konserve_core::Instant;
use konserve_core::backend::{Address, Item, Listing, Occupant, Partition, Read, RowQuery, Space, When, Written};

use crate::arena::{Arena, expired, item};
use crate::failure::{Failure, Verdict, check, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("expiry.far-away", &["B-EXPIRE-1"], far_away),
        Trial::new("expiry.long-past", &["B-EXPIRE-2", "B-LIST-2"], long_past),
        Trial::new(
            "expiry.at-its-moment",
            &["B-EXPIRE-1", "B-EXPIRE-2", "B-WHEN-6"],
            at_its_moment,
        )
        .needs(Capability::Clock),
    ]
}

fn at() -> Address {
    Address::new(Space::Document, Partition::new("a"), 0)
}

/// The item as everything that reads sees it, or `None` everywhere.
async fn seen(arena: &Arena, expected: Option<&Item>) -> Verdict {
    let at = at();
    for how in [Read::STRONG, Read::STRONG.without_body()] {
        let expected = expected.cloned().map(|item| Item {
            body: item.body.filter(|_| how.body),
            ..item
        });
        same!(arena.backend.read(&at, how).await?, expected, "read, {how:?}");
        let many = arena.backend.read_many(std::slice::from_ref(&at), how).await?;
        same!(many, vec![expected.clone()], "read_many, {how:?}");
        let rows = arena.rows(RowQuery::all(at.space, at.partition.clone(), how)).await?;
        let rows: Vec<_> = rows.into_iter().map(|(_, item)| item).collect();
        same!(rows, Vec::from_iter(expected.clone()), "rows, {how:?}");
        let listed = arena.list(at.space, Listing::all(how)).await?;
        let listed: Vec<_> = listed
            .into_iter()
            .filter_map(|(_, occupant)| occupant.into_item())
            .collect();
        same!(listed, Vec::from_iter(expected), "list, {how:?}");
    }
    Ok(())
}

async fn far_away(arena: Arc<Arena>) -> Verdict {
    let lasting = Item {
        expires: Some(Instant::from_millis(64_060_588_800_000)), // in the year 4000
        ..item(arena.rev())
    };
    arena.put(&at(), &lasting).await?;
    seen(&arena, Some(&lasting)).await
}

async fn long_past(arena: Arc<Arena>) -> Verdict {
    let past = expired(arena.rev());
    arena.put(&at(), &past).await?;
    seen(&arena, None).await?;
    listed_as_written(&arena, &past).await
}

/// A listing with tombstones shows the item, whether or not it has expired.
async fn listed_as_written(arena: &Arena, written: &Item) -> Verdict {
    for how in [Read::STRONG, Read::STRONG.without_body()] {
        let tombstones = Listing {
            tombstones: true,
            ..Listing::all(how)
        };
        let expected = Item {
            body: written.body.clone().filter(|_| how.body),
            ..written.clone()
        };
        let listed = arena.list(Space::Document, tombstones).await?;
        same!(
            listed,
            [(at(), Occupant::Item(expected))],
            "list with tombstones, {how:?}"
        );
    }
    Ok(())
}

async fn at_its_moment(arena: Arc<Arena>) -> Verdict {
    let Some(clock) = arena.namespace.clock() else {
        return Err(Failure::new("the harness declares a clock, but the namespace has none"));
    };
    use konserve_core::Clock;
    let late = item(arena.rev());
    let fleeting = Item {
        expires: Some(clock.now() + Duration::from_millis(10)),
        ..item(arena.rev())
    };
    arena.put(&at(), &fleeting).await?;
    seen(&arena, Some(&fleeting)).await?;
    clock.advance(Duration::from_millis(9));
    seen(&arena, Some(&fleeting)).await?;
    listed_as_written(&arena, &fleeting).await?;
    clock.advance(Duration::from_millis(1));
    seen(&arena, None).await?;
    listed_as_written(&arena, &fleeting).await?;
    let answer = arena.backend.write(&at(), late, When::Newer).await?;
    check!(
        matches!(answer, Written::Refused { .. }),
        "a late write over an expired item: {answer:?}"
    );
    let next = item(arena.rev());
    let answer = arena.backend.write(&at(), next.clone(), When::Exists).await?;
    check!(
        matches!(answer, Written::Refused { .. }),
        "`Exists` over an expired item: {answer:?}"
    );
    let answer = arena.backend.write(&at(), next.clone(), When::Absent).await?;
    check!(
        matches!(answer, Written::Applied { .. }),
        "`Absent` over an expired item: {answer:?}"
    );
    seen(&arena, Some(&next)).await
}
