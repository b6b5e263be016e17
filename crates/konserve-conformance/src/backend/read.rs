//! Trials of `read` and `read_many`.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Committed, Item, Mutation, Read, TransactionLimits, When};
use konserve_core::{ErrorKind, Instant};

use crate::arena::{Arena, Until, expired, item, joined, settled};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

/// Above this, limits of transactions are not tried out: they are meant as "no limit".
const MOST_ITEMS: usize = 10_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

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
        Trial::new(
            "read-many.snapshot-as-each",
            &["B-MANY-4", "B-MANY-1"],
            snapshot_as_each,
        )
        .needs(Capability::Transactions),
        Trial::new(
            "read-many.snapshot-sees-what-was-acknowledged",
            &["B-MANY-4"],
            snapshot_sees,
        )
        .needs(Capability::Transactions),
        Trial::new(
            "read-many.snapshot-is-of-one-moment",
            &["B-MANY-4"],
            snapshot_of_one_moment,
        )
        .needs(Capability::Transactions),
        Trial::new(
            "read-many.snapshot-around-the-limits",
            &["B-MANY-5", "B-ERROR-1"],
            snapshot_around_the_limits,
        )
        .needs(Capability::Transactions),
        Trial::new(
            "read-many.snapshot-without-transactions",
            &["B-MANY-6"],
            snapshot_without_transactions,
        )
        .without(Capability::Transactions),
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

async fn snapshot_as_each(arena: Arc<Arena>) -> Verdict {
    let (first, second) = (item(arena.rev()), item(arena.rev()));
    let (a, b, gone, old) = (arena.at("a"), arena.at("b"), arena.at("gone"), arena.at("old"));
    arena.put(&a, &first).await?;
    arena.put(&b, &second).await?;
    arena.bury(&gone, arena.rev()).await?;
    arena.put(&old, &expired(arena.rev())).await?;
    // No more different ones than the smallest transactions take.
    let asked = [b.clone(), gone, a, old, b];
    let expected = [Some(second.clone()), None, Some(first), None, Some(second)];
    let found = arena.backend.read_many(&asked, Read::SNAPSHOT).await?;
    same!(found, expected, "a snapshot of five addresses, one of them twice");
    let vacant = arena.backend.read_many(&[arena.at("vacant")], Read::SNAPSHOT).await?;
    same!(vacant, [None], "a snapshot of a vacant address");
    let bare = expected.map(|item| item.map(|item| Item { body: None, ..item }));
    let found = arena.backend.read_many(&asked, Read::SNAPSHOT.without_body()).await?;
    same!(found, bare, "the same without bodies");
    same!(
        arena.backend.read_many(&[], Read::SNAPSHOT).await?,
        [],
        "a snapshot of nothing"
    );
    Ok(())
}

async fn snapshot_sees(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let asked = [arena.at("a"), arena.at("b")];
    for round in 0..10 {
        let (writer, reader) = match round % 2 {
            0 => (&arena.backend, &another),
            _ => (&another, &arena.backend),
        };
        let mut expected = Vec::new();
        for at in &asked {
            let item = item(arena.rev());
            writer.write(at, item.clone(), When::Newer).await?;
            expected.push(Some(item));
        }
        let found = reader.read_many(&asked, Read::SNAPSHOT).await?;
        same!(found, expected, "a snapshot through the other handle");
    }
    Ok(())
}

/// Commits write one revision to all addresses; whoever finds two of them in a snapshot has seen a part.
async fn snapshot_of_one_moment(arena: Arc<Arena>) -> Verdict {
    let addresses: Vec<_> = (0..4).map(|number| arena.at(&format!("part-{number}"))).collect();
    let another = arena.namespace.another().await?;
    let until = Until::new();
    let writer = {
        let (arena, addresses, go_on) = (Arc::clone(&arena), addresses.clone(), until.go_on());
        tokio::spawn(async move {
            for round in (0_u64..).take_while(|_| go_on()) {
                let same = item(arena.rev());
                let mut all: Vec<_> = addresses
                    .iter()
                    .map(|at| Mutation::Write {
                        at: at.clone(),
                        item: same.clone(),
                        when: When::Newer,
                    })
                    .collect();
                if round % 2 == 1 {
                    all.reverse();
                }
                let committed = settled(|| arena.backend.commit(all.clone())).await?;
                same!(committed, Committed::Applied, "round {round}");
            }
            Verdict::Ok(())
        })
    };
    // Until enough commits came in between, however slow the writer is to begin.
    let (mut before, mut changes, mut turn) = (None, 0, 0);
    while changes < 40 && !writer.is_finished() {
        turn += 1;
        let backend = if turn % 2 == 0 { &arena.backend } else { &another };
        let found = settled(|| backend.read_many(&addresses, Read::SNAPSHOT)).await?;
        let revs: Vec<_> = found.iter().map(|item| item.as_ref().map(|item| item.rev)).collect();
        let first = revs.first().copied().flatten();
        check!(
            revs.iter().all(|rev| *rev == first),
            "a snapshot of commits to all of its addresses has the revisions {revs:?}"
        );
        check!(first >= before, "a snapshot of {first:?} after one of {before:?}");
        changes += usize::from(first != before);
        before = first;
        tokio::task::yield_now().await;
    }
    drop(until);
    joined(writer).await
}

async fn snapshot_around_the_limits(arena: Arc<Arena>) -> Verdict {
    // The trial is not run without transactions.
    let limits = arena.capabilities.transactions;
    let TransactionLimits { items, bytes } = limits.unwrap_or(TransactionLimits { items: 0, bytes: 0 });
    if items <= MOST_ITEMS {
        let mut asked: Vec<_> = (0..items).map(|number| arena.at(&format!("{number}"))).collect();
        let (first, last) = (item(arena.rev()), item(arena.rev()));
        arena.put(&asked[0], &first).await?;
        arena.put(&asked[items - 1], &last).await?;
        let found = arena.backend.read_many(&asked, Read::SNAPSHOT).await?;
        check!(
            found.len() == items && found[0] == Some(first) && found[items - 1] == Some(last),
            "as many addresses as declared came back otherwise"
        );
        asked.push(asked[0].clone());
        let found = arena.backend.read_many(&asked, Read::SNAPSHOT).await?;
        same!(found.len(), items + 1, "the answers where one address is repeated");
        asked.push(arena.at("one too many"));
        let refusal = arena.backend.read_many(&asked, Read::SNAPSHOT).await;
        let error = refused(ErrorKind::TooManyItems, "one address too many", refusal)?;
        let named = Some((items as u64, items as u64 + 1));
        same!(error.limit(), named, "the limit that the error names");
        check!(!error.is_retryable(), "trying again cannot help: {error:?}");
    }
    let each = arena.capabilities.item_limit.unwrap_or(bytes).min(bytes);
    if bytes > MOST_BYTES || each.saturating_mul(items) < bytes {
        return Ok(()); // not to be reached
    }
    let sized = |number: usize, size: usize| {
        let item = Item {
            meta: Bytes::new(),
            body: Some(Bytes::from(vec![7; size])),
            ..item(arena.rev())
        };
        (arena.at(&format!("large-{number}")), item)
    };
    let sizes = (0..bytes).step_by(each).map(|start| each.min(bytes - start));
    let large: Vec<_> = sizes.enumerate().map(|(number, size)| sized(number, size)).collect();
    arena.fill(large.clone()).await?;
    let mut asked: Vec<_> = large.iter().map(|(at, _)| at.clone()).collect();
    let found = arena.backend.read_many(&asked, Read::SNAPSHOT).await?;
    check!(
        found.iter().flatten().eq(large.iter().map(|(_, item)| item)),
        "as many bytes as declared came back otherwise"
    );
    if asked.len() == items {
        return Ok(());
    }
    let (at, more) = sized(asked.len(), 1);
    arena.put(&at, &more).await?;
    asked.push(at);
    match arena.backend.read_many(&asked, Read::SNAPSHOT).await {
        Ok(found) => check!(
            found.iter().flatten().count() == asked.len(),
            "something is missing among more bytes than declared"
        ),
        above => {
            let error = refused(ErrorKind::TooLarge, "one byte too many", above)?;
            let named = error.limit().map(|(limit, _)| limit);
            same!(named, Some(bytes as u64), "the limit that the error names");
        }
    }
    Ok(())
}

async fn snapshot_without_transactions(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    arena.put(&at, &item(arena.rev())).await?;
    for asked in [&[at.clone()][..], &[at, arena.at("b")]] {
        let refusal = arena.backend.read_many(asked, Read::SNAPSHOT).await;
        let error = refused(ErrorKind::Unsupported, "a snapshot", refusal)?;
        check!(!error.is_retryable(), "trying again cannot help: {error:?}");
    }
    Ok(())
}
