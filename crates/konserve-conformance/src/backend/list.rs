//! Trials of `list`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use konserve_core::ErrorKind;
use konserve_core::backend::{
    Address, Backend, Item, Listing, ListingPart, Occupant, Partition, Purge, Read, Space, When,
};

use crate::arena::{Arena, expired, item};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("list.nothing", &["B-LIST-1"], nothing),
        Trial::new("list.one-space", &["B-LIST-1", "B-ADDR-1"], one_space),
        Trial::new("list.all-pages", &["B-LIST-1"], all_pages),
        Trial::new(
            "list.all-pages-of-one-partition",
            &["B-LIST-1"],
            all_pages_of_one_partition,
        ),
        Trial::new(
            "list.tombstones-on-request",
            &["B-LIST-2", "B-EXPIRE-2"],
            tombstones_on_request,
        ),
        Trial::new("list.many-tombstones", &["B-LIST-1", "B-LIST-2"], many_tombstones),
        Trial::new("list.same-order-each-time", &["B-LIST-3"], same_order_each_time),
        Trial::new("list.behind-an-address", &["B-LIST-3"], behind_an_address),
        Trial::new("list.behind-what-is-gone", &["B-LIST-4"], behind_what_is_gone),
        Trial::new(
            "list.while-delivered-is-removed",
            &["B-LIST-5"],
            while_delivered_is_removed,
        ),
        Trial::new(
            "list.while-delivered-is-purged",
            &["B-LIST-5"],
            while_delivered_is_purged,
        ),
        Trial::new(
            "list.while-undelivered-is-purged",
            &["B-LIST-5"],
            while_undelivered_is_purged,
        ),
        Trial::new("list.while-others-are-written", &["B-LIST-5"], while_others_are_written),
        Trial::new("list.in-parts", &["B-LIST-7"], in_parts),
        Trial::new("list.parts-behind-an-address", &["B-LIST-7", "B-LIST-3"], parts_behind),
        Trial::new("list.parts-are-known-ever-after", &["B-LIST-8"], parts_known_ever_after),
        Trial::new("list.unknown-part", &["B-LIST-8", "B-ERROR-1"], unknown_part),
        Trial::new("list.strong-and-without-body", &["B-LIST-6"], strong_and_without_body),
    ]
}

type Everything = BTreeMap<Address, Occupant>;

fn all() -> Listing {
    Listing::all(Read::STRONG)
}

fn with_tombstones() -> Listing {
    Listing {
        tombstones: true,
        ..all()
    }
}

fn occupants(items: &[(Address, Item)]) -> Everything {
    items
        .iter()
        .map(|(at, item)| (at.clone(), Occupant::Item(item.clone())))
        .collect()
}

/// A listing whose order is of no concern, in which nothing may come twice.
fn once(listed: Vec<(Address, Occupant)>) -> Verdict<Everything> {
    let count = listed.len();
    let everything: Everything = listed.into_iter().collect();
    check!(
        everything.len() == count,
        "{count} came, of which only {} are different",
        everything.len()
    );
    Ok(everything)
}

/// Like `same!`, for what is too much to be printed whole.
fn complete(found: &Everything, expected: &Everything) -> Verdict {
    for (at, occupant) in expected {
        same!(found.get(at), Some(occupant), "what is listed at {at}");
    }
    let more = found.keys().find(|at| !expected.contains_key(*at));
    check!(more.is_none(), "{more:?} is listed, which is not there");
    Ok(())
}

async fn nothing(arena: Arc<Arena>) -> Verdict {
    for space in Space::ALL {
        same!(arena.list(space, with_tombstones()).await?, [], "an empty {space:?}");
    }
    Ok(())
}

async fn one_space(arena: Arc<Arena>) -> Verdict {
    let mut spaces = Vec::new();
    for (number, space) in Space::ALL.into_iter().enumerate() {
        let mut items = Vec::new();
        for row in 0..=number as u64 {
            items.push((Address::new(space, Partition::new("a"), row), item(arena.rev())));
            items.push((
                Address::new(space, Partition::new("b/c"), u64::MAX - row),
                item(arena.rev()),
            ));
        }
        arena.fill(items.clone()).await?;
        spaces.push((space, occupants(&items)));
    }
    for (space, expected) in spaces {
        same!(
            once(arena.list(space, all()).await?)?,
            expected,
            "what is listed of {space:?}"
        );
    }
    Ok(())
}

async fn all_pages(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_documents().await?;
    complete(&once(arena.list(Space::Document, all()).await?)?, &occupants(&there))
}

async fn all_pages_of_one_partition(arena: Arc<Arena>) -> Verdict {
    let partition = Partition::new("a");
    let rows = arena.fill_rows(&partition).await?;
    let there: Everything = rows
        .into_iter()
        .map(|(row, item)| (Address::new(Space::Log, partition.clone(), row), Occupant::Item(item)))
        .collect();
    complete(&once(arena.list(Space::Log, all()).await?)?, &there)
}

async fn tombstones_on_request(arena: Arc<Arena>) -> Verdict {
    let (live, gone, never, old) = (arena.at("live"), arena.at("gone"), arena.at("never"), arena.at("old"));
    let again = arena.at("again");
    arena.bury(&again, arena.rev()).await?;
    let (there, past) = (item(arena.rev()), expired(arena.rev()));
    arena.put(&again, &there).await?;
    arena.put(&live, &there).await?;
    arena.put(&gone, &item(arena.rev())).await?;
    arena.put(&old, &past).await?;
    let (removed, fenced) = (arena.rev(), arena.rev());
    arena.bury(&gone, removed).await?;
    arena.bury(&never, fenced).await?;
    let mut expected = Everything::from([live, again].map(|at| (at, Occupant::Item(there.clone()))));
    same!(
        once(arena.list(Space::Document, all()).await?)?,
        expected,
        "without tombstones"
    );
    expected.extend([
        (gone, Occupant::Tombstone(removed)),
        (never, Occupant::Tombstone(fenced)),
        (old, Occupant::Item(past)),
    ]);
    let found = once(arena.list(Space::Document, with_tombstones()).await?)?;
    same!(found, expected, "with tombstones");
    Ok(())
}

async fn many_tombstones(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_documents().await?;
    let (gone, stays) = there.split_at(there.len() - 2);
    let mut expected = occupants(stays);
    for (at, _) in gone {
        let rev = arena.rev();
        arena.bury(at, rev).await?;
        expected.insert(at.clone(), Occupant::Tombstone(rev));
    }
    complete(&once(arena.list(Space::Document, all()).await?)?, &occupants(stays))?;
    complete(&once(arena.list(Space::Document, with_tombstones()).await?)?, &expected)
}

async fn same_order_each_time(arena: Arc<Arena>) -> Verdict {
    arena.fill_documents().await?;
    let another = arena.namespace.another().await?;
    let first = arena.list(Space::Document, all()).await?;
    for backend in [&arena.backend, &another] {
        let again: Vec<_> = backend.list(Space::Document, all()).collect().await;
        check!(again.len() == first.len(), "{} came, then {}", first.len(), again.len());
        for ((at, _), again) in first.iter().zip(again) {
            same!(again?.0, *at, "what comes at the same position the second time");
        }
    }
    Ok(())
}

async fn behind_an_address(arena: Arc<Arena>) -> Verdict {
    arena.fill_documents().await?;
    for number in 0..9 {
        arena
            .bury(&arena.at(&format!("tombstone-{number}")), arena.rev())
            .await?;
    }
    let everything = arena.list(Space::Document, with_tombstones()).await?;
    let count = everything.len();
    let mut random = arena.random();
    let mut positions = vec![0, 1, count / 2, count - 2, count - 1];
    positions.extend((0..6).map(|_| random.below(count)));
    for position in positions {
        let after = Some(everything[position].0.clone());
        let rest = arena
            .list(
                Space::Document,
                Listing {
                    after,
                    ..with_tombstones()
                },
            )
            .await?;
        let expected = &everything[position + 1..];
        check!(
            rest == expected,
            "behind position {position} of {count}, {} came instead of {}, or others",
            rest.len(),
            expected.len()
        );
    }
    Ok(())
}

async fn behind_what_is_gone(arena: Arc<Arena>) -> Verdict {
    arena.fill_documents().await?;
    let everything = arena.list(Space::Document, all()).await?;
    let count = everything.len();
    for (position, purged) in [(count / 3, false), (count / 2, true), (count - 1, true)] {
        let at = everything[position].0.clone();
        if purged {
            arena.backend.purge(&[Purge::Row(at.clone())]).await?;
        } else {
            arena.bury(&at, arena.rev()).await?;
        }
        let after = Some(at);
        let rest = arena.list(Space::Document, Listing { after, ..all() }).await?;
        // What an earlier round took away comes before this position.
        let expected = &everything[position + 1..];
        check!(
            rest == expected,
            "behind position {position} of {count}, which is gone, others came"
        );
    }
    Ok(())
}

/// Takes away every occupant as it is delivered; all of them come all the same.
async fn taking_away(arena: &Arena, purged: bool) -> Verdict {
    let there = arena.fill_documents().await?;
    let backend = arena.namespace.another().await?;
    let mut listing = arena.backend.list(Space::Document, all());
    let mut found = Vec::new();
    while let Some((at, occupant)) = listing.next().await.transpose()? {
        if purged {
            backend.purge(&[Purge::Row(at.clone())]).await?;
        } else {
            backend.remove(&at, arena.rev(), When::Newer).await?;
        }
        found.push((at, occupant));
    }
    complete(&once(found)?, &occupants(&there))?;
    same!(arena.list(Space::Document, all()).await?, [], "what is left");
    Ok(())
}

async fn while_delivered_is_removed(arena: Arc<Arena>) -> Verdict {
    taking_away(&arena, false).await
}

async fn while_delivered_is_purged(arena: Arc<Arena>) -> Verdict {
    taking_away(&arena, true).await
}

/// Takes away every other document before it can be delivered; the rest comes all the same.
async fn while_undelivered_is_purged(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_documents().await?;
    let order = arena.list(Space::Document, all()).await?;
    let doomed: Vec<_> = order.iter().skip(1).step_by(2).map(|(at, _)| at.clone()).collect();
    let mut listing = arena.backend.list(Space::Document, all());
    let mut found: Vec<_> = listing.next().await.transpose()?.into_iter().collect();
    let purges: Vec<_> = doomed.iter().cloned().map(Purge::Row).collect();
    arena.namespace.another().await?.purge(&purges).await?;
    while let Some(one) = listing.next().await.transpose()? {
        found.push(one);
    }
    let mut found = once(found)?;
    let mut expected = occupants(&there);
    for at in &doomed {
        // What is gone may have been on its way; if it comes, then as it was.
        let (came, was) = (found.remove(at), expected.remove(at));
        check!(came.is_none() || came == was, "{at} came as {came:?}");
    }
    complete(&found, &expected)
}

/// Rewrites what was delivered, and writes and purges strangers meanwhile.
async fn while_others_are_written(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_documents().await?;
    let backend = arena.namespace.another().await?;
    let mut listing = arena.backend.list(Space::Document, all());
    let mut found = Everything::new();
    let mut random = arena.random();
    while let Some((at, occupant)) = listing.next().await.transpose()? {
        let stranger = arena.at(&format!("stranger-{}", random.below(50)));
        if random.below(3) == 0 {
            backend.purge(&[Purge::Row(stranger)]).await?;
        } else {
            backend.write(&stranger, item(arena.rev()), When::Newer).await?;
        }
        if !at.partition.as_str().starts_with("stranger") {
            backend.write(&at, item(arena.rev()), When::Newer).await?;
            let before = found.insert(at.clone(), occupant);
            check!(before.is_none(), "{at} came twice");
        }
    }
    complete(&found, &occupants(&there))
}

/// All that these parts bring, one after the other.
async fn listed_in(
    backend: &dyn Backend,
    space: Space,
    how: &Listing,
    parts: &[ListingPart],
) -> Verdict<Vec<(Address, Occupant)>> {
    let mut all = Vec::new();
    for part in parts {
        let part = part.clone();
        let listed = backend.list(space, Listing { part, ..how.clone() });
        all.extend(listed.try_collect::<Vec<_>>().await?);
    }
    Ok(all)
}

async fn in_parts(arena: Arc<Arena>) -> Verdict {
    let there = arena.fill_documents().await?;
    let mut with_graves = occupants(&there);
    for number in 0..20 {
        let (at, rev) = (arena.at(&format!("gone-{number}")), arena.rev());
        arena.bury(&at, rev).await?;
        with_graves.insert(at, Occupant::Tombstone(rev));
    }
    let row = Address::new(Space::Log, Partition::new("log"), 7);
    let log = [(row.clone(), item(arena.rev()))];
    arena.put(&row, &log[0].1).await?;
    // An engine may have to see how much there is before it names several.
    arena.list(Space::Document, all()).await?;
    for (space, how, expected) in [
        (Space::Document, all(), occupants(&there)),
        (Space::Document, with_tombstones(), with_graves),
        (Space::Log, all(), occupants(&log)),
        (Space::Chunk, all(), Everything::new()),
    ] {
        let parts = arena.backend.parts(space, &how);
        check!(!parts.is_empty(), "a listing without any part");
        let found = once(listed_in(&*arena.backend, space, &how, &parts).await?)?;
        complete(&found, &expected)?;
    }
    // What lags may be missing, but nothing is in two parts.
    let how = Listing::all(Read::EVENTUAL.without_body());
    let parts = arena.backend.parts(Space::Document, &how);
    let found = once(listed_in(&*arena.backend, Space::Document, &how, &parts).await?)?;
    let expected = occupants(&there);
    for (at, occupant) in &found {
        let known = expected.get(at).is_some_and(|item| item.rev() == occupant.rev());
        check!(known, "{at} is listed, which never was there");
        let body = occupant.item().and_then(|item| item.body.as_ref());
        same!(body, None, "the body of {at}");
    }
    Ok(())
}

async fn parts_behind(arena: Arc<Arena>) -> Verdict {
    arena.fill_documents().await?;
    arena.list(Space::Document, all()).await?;
    let mut random = arena.random();
    for part in arena.backend.parts(Space::Document, &all()) {
        let how = Listing { part, ..all() };
        let everything = arena.list(Space::Document, how.clone()).await?;
        let count = everything.len();
        if count == 0 {
            continue;
        }
        for position in [0, random.below(count), random.below(count), count - 1] {
            let at = everything[position].0.clone();
            let after = Some(at.clone());
            let rest = arena.list(Space::Document, Listing { after, ..how.clone() }).await?;
            check!(
                rest == everything[position + 1..],
                "behind position {position} of {count} in part {:?}, others came",
                how.part.as_str()
            );
        }
    }
    Ok(())
}

async fn parts_known_ever_after(arena: Arc<Arena>) -> Verdict {
    let before = arena.backend.parts(Space::Document, &all());
    let there = occupants(&arena.fill_documents().await?);
    arena.list(Space::Document, all()).await?;
    let after = arena.backend.parts(Space::Document, &all());
    let another = arena.namespace.another().await?;
    for parts in [&before, &after] {
        let found = once(listed_in(&*another, Space::Document, &all(), parts).await?)?;
        complete(&found, &there)?;
    }
    for handle in [another, Arc::clone(&arena.backend)] {
        handle.close().await?;
    }
    let reopened = arena.namespace.reopen().await?;
    let found = once(listed_in(&*reopened, Space::Document, &all(), &after).await?)?;
    complete(&found, &there)
}

async fn unknown_part(arena: Arc<Arena>) -> Verdict {
    arena.put(&arena.at("a"), &item(arena.rev())).await?;
    for name in ["no such part", "0", "/", "ü/1"] {
        let part = ListingPart::new(name);
        let listed: Vec<_> = arena
            .backend
            .list(Space::Document, Listing { part, ..all() })
            .collect()
            .await;
        same!(listed.len(), 1, "how much comes of part {name:?}");
        for one in listed {
            let error = refused(ErrorKind::InvalidInput, "a part that there is not", one)?;
            check!(!error.is_retryable(), "trying again cannot help: {error:?}");
        }
    }
    Ok(())
}

async fn strong_and_without_body(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let mut expected = Everything::new();
    for number in 0..10 {
        let (at, item) = (arena.at(&format!("{number}")), item(arena.rev()));
        another.write(&at, item.clone(), When::Absent).await?;
        expected.insert(at, Occupant::Item(Item { body: None, ..item }));
        let how = Read::STRONG.without_body();
        let found = once(arena.list(Space::Document, Listing { how, ..all() }).await?)?;
        same!(found, expected, "without bodies, through the other handle");
    }
    Ok(())
}
