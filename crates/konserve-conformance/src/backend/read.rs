//! Trials of `read` and `read_many`.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::Instant;
use konserve_core::backend::{Item, Read, When};

use crate::arena::{Arena, expired, item};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("read.vacant-is-none", &["B-READ-1"], vacant_is_none),
        Trial::new("read.tombstone-is-none", &["B-READ-2"], tombstone_is_none),
        Trial::new("read.strong-sees-what-was-acknowledged", &["B-READ-3"], strong_sees),
        Trial::new("read.without-body", &["B-READ-4"], without_body),
        Trial::new("read.eventual-is-whole", &["B-READ-5"], eventual_is_whole).needs_nothing(),
        Trial::new("read.changes-nothing", &["B-READ-6"], changes_nothing),
        Trial::new(
            "read-many.in-the-order-asked-for",
            &["B-MANY-1", "B-READ-1", "B-READ-2"],
            many_in_order,
        ),
        Trial::new("read-many.none", &["B-MANY-2"], many_of_none),
        Trial::new("read-many.hundreds", &["B-MANY-2"], many_of_hundreds),
        Trial::new("read-many.repeated", &["B-MANY-2"], many_repeated),
        Trial::new("read-many.complete", &["B-MANY-3"], many_complete),
        Trial::new("read-many.without-body", &["B-READ-4"], many_without_body),
    ]
}

async fn vacant_is_none(arena: Arc<Arena>) -> Verdict {
    for how in [
        Read::STRONG,
        Read::EVENTUAL,
        Read::STRONG.without_body(),
        Read::EVENTUAL.without_body(),
    ] {
        same!(
            arena.backend.read(&arena.at("a"), how).await?,
            None,
            "a vacant address, {how:?}"
        );
    }
    Ok(())
}

async fn tombstone_is_none(arena: Arc<Arena>) -> Verdict {
    let (written, vacant) = (arena.at("written"), arena.at("vacant"));
    arena.put(&written, &item(arena.rev())).await?;
    for at in [&written, &vacant] {
        arena.bury(at, arena.rev()).await?;
        same!(arena.get(at).await?, None, "the tombstone at {at}");
        let bare = arena.backend.read(at, Read::STRONG.without_body()).await?;
        same!(bare, None, "the tombstone at {at}, without the body");
    }
    Ok(())
}

async fn strong_sees(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let (here, there) = (&arena.backend, &another);
    let at = arena.at("a");
    for round in 0..30 {
        let (writer, reader) = if round % 2 == 0 { (here, there) } else { (there, here) };
        let expected = if round % 5 == 4 {
            writer.remove(&at, arena.rev(), When::Newer).await?;
            None
        } else {
            let item = item(arena.rev());
            writer.write(&at, item.clone(), When::Newer).await?;
            Some(item)
        };
        same!(
            reader.read(&at, Read::STRONG).await?,
            expected,
            "read through the other handle"
        );
        let many = reader.read_many(std::slice::from_ref(&at), Read::STRONG).await?;
        same!(many.first(), Some(&expected), "read_many through the other handle");
        let bare = expected.clone().map(|item| Item { body: None, ..item });
        same!(
            reader.read(&at, Read::STRONG.without_body()).await?,
            bare,
            "read through the other handle, without the body"
        );
        same!(
            writer.read(&at, Read::STRONG).await?,
            expected,
            "read through the same handle"
        );
    }
    Ok(())
}

async fn without_body(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let written = Item {
        pinned: true,
        expires: Some(Instant::from_millis(64_060_588_800_000)), // in the year 4000
        body: Some(Bytes::from(vec![7; 3000])),
        ..item(arena.rev())
    };
    arena.put(&at, &written).await?;
    let bare = arena.backend.read(&at, Read::STRONG.without_body()).await?;
    same!(bare, Some(Item { body: None, ..written }), "the item without its body");
    Ok(())
}

async fn eventual_is_whole(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let mut once: Vec<Option<Item>> = vec![None];
    for _ in 0..20 {
        let item = item(arena.rev());
        arena.put(&at, &item).await?;
        once.push(Some(item));
        let read = arena.backend.read(&at, Read::EVENTUAL).await?;
        check!(
            once.contains(&read),
            "an eventual read found what never was there: {read:?}"
        );
        for read in arena
            .backend
            .read_many(&[at.clone(), at.clone()], Read::EVENTUAL)
            .await?
        {
            check!(
                once.contains(&read),
                "an eventual read found what never was there: {read:?}"
            );
        }
    }
    Ok(())
}

async fn changes_nothing(arena: Arc<Arena>) -> Verdict {
    let places = [
        arena.at("vacant"),
        arena.at("live"),
        arena.at("gone"),
        arena.at("expired"),
    ];
    arena.put(&places[1], &item(arena.rev())).await?;
    arena.bury(&places[2], arena.rev()).await?;
    arena.put(&places[3], &expired(arena.rev())).await?;
    let mut before = Vec::new();
    for at in &places {
        before.push(arena.occupant(at).await?);
    }
    for how in [Read::STRONG, Read::EVENTUAL] {
        arena.backend.read_many(&places, how).await?;
        for at in &places {
            arena.backend.read(at, how).await?;
        }
    }
    for (at, before) in places.iter().zip(before) {
        same!(arena.occupant(at).await?, before, "what is at {at} after it was read");
    }
    Ok(())
}

async fn many_in_order(arena: Arc<Arena>) -> Verdict {
    let (first, second) = (item(arena.rev()), item(arena.rev()));
    let (a, b, gone, old) = (arena.at("a"), arena.at("b"), arena.at("gone"), arena.at("old"));
    arena.put(&a, &first).await?;
    arena.put(&b, &second).await?;
    arena.bury(&gone, arena.rev()).await?;
    arena.put(&old, &expired(arena.rev())).await?;
    let asked = [b, arena.at("vacant"), gone, a, old];
    let expected = [Some(second), None, None, Some(first), None];
    same!(
        arena.backend.read_many(&asked, Read::STRONG).await?,
        expected,
        "five addresses"
    );
    let (asked, expected) = (asked.into_iter().rev(), expected.into_iter().rev());
    let found = arena
        .backend
        .read_many(&asked.collect::<Vec<_>>(), Read::STRONG)
        .await?;
    same!(found, expected.collect::<Vec<_>>(), "the same five in reverse");
    Ok(())
}

async fn many_of_none(arena: Arc<Arena>) -> Verdict {
    same!(arena.backend.read_many(&[], Read::STRONG).await?, [], "no addresses");
    Ok(())
}

async fn many_of_hundreds(arena: Arc<Arena>) -> Verdict {
    let items: Vec<_> = (0..321)
        .map(|number| (arena.at(&format!("{number}")), item(arena.rev())))
        .collect();
    let present = items.iter().step_by(2).cloned().collect();
    arena.fill(present).await?;
    for count in [1, 99, 100, 101, 321] {
        let asked: Vec<_> = items[..count].iter().map(|(at, _)| at.clone()).collect();
        let expected: Vec<_> = items[..count]
            .iter()
            .enumerate()
            .map(|(index, (_, item))| (index % 2 == 0).then(|| item.clone()))
            .collect();
        let found = arena.backend.read_many(&asked, Read::STRONG).await?;
        check!(
            found == expected,
            "{count} addresses, every other one vacant, came back otherwise"
        );
    }
    Ok(())
}

async fn many_repeated(arena: Arc<Arena>) -> Verdict {
    let (at, item) = (arena.at("a"), item(arena.rev()));
    arena.put(&at, &item).await?;
    let vacant = arena.at("vacant");
    let asked = [at.clone(), vacant.clone(), at.clone(), at, vacant];
    let expected = [Some(item.clone()), None, Some(item.clone()), Some(item), None];
    same!(
        arena.backend.read_many(&asked, Read::STRONG).await?,
        expected,
        "repeated addresses"
    );
    Ok(())
}

async fn many_complete(arena: Arc<Arena>) -> Verdict {
    // Together far more than engines put into one answer.
    let size = arena.capabilities.item_limit.unwrap_or(300_000).min(300_000) - 100;
    let items: Vec<_> = (0..80_u8)
        .map(|number| {
            let body = Some(Bytes::from(vec![number; size]));
            let item = Item {
                meta: Bytes::new(),
                body,
                ..item(arena.rev())
            };
            (arena.at(&format!("large-{number}")), item)
        })
        .collect();
    arena.fill(items.clone()).await?;
    let asked: Vec<_> = items.iter().map(|(at, _)| at.clone()).collect();
    let found = arena.backend.read_many(&asked, Read::STRONG).await?;
    check!(
        found.len() == asked.len(),
        "{} answers to {} addresses",
        found.len(),
        asked.len()
    );
    for ((at, item), found) in items.into_iter().zip(found) {
        same!(found, Some(item), "what is at {at}");
    }
    Ok(())
}

async fn many_without_body(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    let item = Item {
        pinned: true,
        expires: Some(Instant::from_millis(64_060_588_800_000)),
        ..item(arena.rev())
    };
    arena.put(&at, &item).await?;
    let asked = [at, arena.at("vacant")];
    let found = arena.backend.read_many(&asked, Read::STRONG.without_body()).await?;
    same!(found, [Some(Item { body: None, ..item }), None], "without bodies");
    Ok(())
}
