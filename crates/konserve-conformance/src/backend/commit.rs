//! Trials of `commit`, beyond the table of conditions.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use konserve_core::backend::{
    Address, Committed, Item, Listing, Mutation, Occupant, Partition, Read, RowQuery, Space, TransactionLimits, When,
};
use konserve_core::{ErrorKind, Outcome};
use tokio::sync::Barrier;

use crate::arena::{Arena, Random, Until, item, joined, settled, shows};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

/// Above this, limits of transactions are not tried out: they are meant as "no limit".
const MOST_ITEMS: usize = 10_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        Trial::new("commit.applies-all", &["B-COMMIT-1"], applies_all),
        Trial::new("commit.one-mutation", &["B-COMMIT-1"], one_mutation),
        Trial::new("commit.across-spaces", &["B-COMMIT-1", "B-ADDR-1"], across_spaces),
        Trial::new("commit.many-refusals", &["B-COMMIT-2", "B-COMMIT-3"], many_refusals),
        Trial::new("commit.repeated", &["B-COMMIT-5"], repeated),
        Trial::new(
            "commit.repeated-after-a-part-was-replaced",
            &["B-COMMIT-5"],
            repeated_in_part,
        ),
        Trial::new("commit.senseless", &["B-COMMIT-8", "B-ERROR-1"], senseless),
        Trial::new("commit.items-at-the-limit", &["B-COMMIT-9"], items_at_the_limit),
        Trial::new(
            "commit.items-above-the-limit",
            &["B-COMMIT-9", "B-ERROR-1"],
            items_above_the_limit,
        ),
        Trial::new(
            "commit.bytes-at-and-above-the-limit",
            &["B-COMMIT-10", "B-ERROR-1"],
            bytes_around_the_limit,
        ),
        Trial::new(
            "commit.readers-see-all-or-nothing",
            &["B-COMMIT-6"],
            readers_see_all_or_nothing,
        ),
        Trial::new(
            "commit.transfers-keep-the-sum",
            &["B-COMMIT-7", "B-WHEN-9"],
            transfers_keep_the_sum,
        ),
        Trial::new(
            "commit.checks-hold-until-the-end",
            &["B-COMMIT-7", "B-COMMIT-4"],
            checks_hold_until_the_end,
        ),
        Trial::new(
            "commit.is-seen-by-every-read",
            &["B-COMMIT-1", "B-READ-3", "B-ROWS-7", "B-LIST-6"],
            is_seen_by_every_read,
        ),
    ];
    trials
        .into_iter()
        .map(|trial| trial.needs(Capability::Transactions))
        .collect()
}

fn write(at: &Address, item: &Item, when: When) -> Mutation {
    Mutation::Write {
        at: at.clone(),
        item: item.clone(),
        when,
    }
}

fn limits(arena: &Arena) -> TransactionLimits {
    // The trial is not run without transactions.
    arena
        .capabilities
        .transactions
        .unwrap_or(TransactionLimits { items: 0, bytes: 0 })
}

async fn applies_all(arena: Arc<Arena>) -> Verdict {
    let [new, old, gone, checked] = ["new", "old", "gone", "checked"].map(|name| arena.at(name));
    let there = [item(arena.rev()), item(arena.rev()), item(arena.rev())];
    for (at, item) in [&old, &gone, &checked].into_iter().zip(&there) {
        arena.put(at, item).await?;
    }
    let (created, replaced, removal) = (item(arena.rev()), item(arena.rev()), arena.rev());
    let all = vec![
        write(&new, &created, When::Absent),
        write(&old, &replaced, When::Matches(there[0].rev)),
        Mutation::Remove {
            at: gone.clone(),
            rev: removal,
            when: When::Exists,
        },
        Mutation::Check {
            at: checked.clone(),
            when: When::Matches(there[2].rev),
        },
    ];
    same!(arena.backend.commit(all).await?, Committed::Applied, "the commit");
    same!(arena.get(&new).await?, Some(created), "what was created");
    same!(arena.get(&old).await?, Some(replaced), "what was replaced");
    same!(
        arena.occupant(&gone).await?,
        Some(Occupant::Tombstone(removal)),
        "what was removed"
    );
    same!(arena.get(&checked).await?, Some(there[2].clone()), "what was checked");
    Ok(())
}

async fn one_mutation(arena: Arc<Arena>) -> Verdict {
    let (at, item) = (arena.at("a"), item(arena.rev()));
    let all = vec![write(&at, &item, When::Absent)];
    same!(arena.backend.commit(all).await?, Committed::Applied, "a write alone");
    same!(arena.get(&at).await?, Some(item.clone()), "what it wrote");
    let check = |when| vec![Mutation::Check { at: at.clone(), when }];
    let holds = arena.backend.commit(check(When::Matches(item.rev))).await?;
    same!(holds, Committed::Applied, "a check alone that holds");
    let fails = arena.backend.commit(check(When::Absent)).await?;
    check!(
        matches!(fails, Committed::Refused(_)),
        "a check alone that fails: {fails:?}"
    );
    Ok(())
}

async fn across_spaces(arena: Arc<Arena>) -> Verdict {
    let mut items: Vec<_> = Space::ALL
        .into_iter()
        .flat_map(|space| [0, u64::MAX].map(|row| Address::new(space, Partition::new("a"), row)))
        .map(|at| (at, item(arena.rev())))
        .collect();
    items.truncate(limits(&arena).items);
    let all = items.iter().map(|(at, item)| write(at, item, When::Absent)).collect();
    same!(arena.backend.commit(all).await?, Committed::Applied, "the commit");
    for (at, item) in items {
        same!(arena.get(&at).await?, Some(item), "what is at {at}");
    }
    Ok(())
}

async fn many_refusals(arena: Arc<Arena>) -> Verdict {
    let pairs = (limits(&arena).items / 2).min(6);
    let taken: Vec<_> = (0..pairs)
        .map(|number| (arena.at(&format!("taken-{number}")), item(arena.rev())))
        .collect();
    arena.fill(taken.clone()).await?;
    let free: Vec<_> = (0..pairs).map(|number| arena.at(&format!("free-{number}"))).collect();
    let mut all = Vec::new();
    for ((at, _), free) in taken.iter().zip(&free) {
        all.push(write(free, &item(arena.rev()), When::Absent));
        all.push(write(at, &item(arena.rev()), When::Absent));
    }
    let answer = arena.backend.commit(all).await?;
    let Committed::Refused(refusals) = &answer else {
        check!(false, "not refused: {answer:?}");
        return Ok(());
    };
    check!(!refusals.is_empty(), "refused without saying what");
    let ascending = refusals.windows(2).all(|pair| pair[0].index < pair[1].index);
    check!(ascending, "refusals are not in ascending order: {refusals:?}");
    for refusal in refusals {
        check!(
            refusal.index % 2 == 1 && refusal.index < 2 * pairs,
            "a mutation is named whose condition holds, or that there is not: {refusal:?}"
        );
        let truth = Occupant::Item(taken[refusal.index / 2].1.clone());
        check!(
            shows(refusal.current.as_ref(), Some(&truth)),
            "told of {:?} where {truth:?} is",
            refusal.current
        );
    }
    for (at, item) in taken {
        same!(arena.get(&at).await?, Some(item), "what is at {at} after the refusal");
    }
    for at in free {
        same!(arena.occupant(&at).await?, None, "what is at {at} after the refusal");
    }
    Ok(())
}

async fn repeated(arena: Arc<Arena>) -> Verdict {
    let [new, old, gone] = ["new", "old", "gone"].map(|name| arena.at(name));
    let there = item(arena.rev());
    arena.put(&old, &there).await?;
    arena.put(&gone, &item(arena.rev())).await?;
    let (created, replaced, removal) = (item(arena.rev()), item(arena.rev()), arena.rev());
    let all = vec![
        write(&new, &created, When::Absent),
        write(&old, &replaced, When::Matches(there.rev)),
        Mutation::Remove {
            at: gone.clone(),
            rev: removal,
            when: When::Exists,
        },
    ];
    for round in ["the first time", "again", "and again"] {
        let answer = arena.backend.commit(all.clone()).await?;
        same!(answer, Committed::Applied, "the commit {round}");
        same!(
            arena.get(&new).await?,
            Some(created.clone()),
            "what was created, {round}"
        );
        same!(
            arena.get(&old).await?,
            Some(replaced.clone()),
            "what was replaced, {round}"
        );
        same!(
            arena.occupant(&gone).await?,
            Some(Occupant::Tombstone(removal)),
            "what was removed, {round}"
        );
    }
    Ok(())
}

async fn repeated_in_part(arena: Arc<Arena>) -> Verdict {
    let (a, b) = (arena.at("a"), arena.at("b"));
    let all = vec![
        write(&a, &item(arena.rev()), When::Absent),
        write(&b, &item(arena.rev()), When::Absent),
    ];
    same!(
        arena.backend.commit(all.clone()).await?,
        Committed::Applied,
        "the first time"
    );
    let (stays, newer) = (arena.get(&b).await?, item(arena.rev()));
    arena.put(&a, &newer).await?;
    same!(
        arena.backend.commit(all).await?,
        Committed::Applied,
        "again, after a part was replaced"
    );
    same!(arena.get(&a).await?, Some(newer), "what replaced it");
    same!(arena.get(&b).await?, stays, "the other part");
    Ok(())
}

async fn senseless(arena: Arc<Arena>) -> Verdict {
    let (at, other) = (arena.at("a"), arena.at("other"));
    let there = item(arena.rev());
    arena.put(&at, &there).await?;
    let companion = write(&other, &item(arena.rev()), When::Newer);
    let check = |when| Mutation::Check { at: at.clone(), when };
    let cases = [
        ("a commit of nothing", vec![]),
        (
            "one address written twice",
            vec![
                companion.clone(),
                write(&at, &item(arena.rev()), When::Newer),
                write(&at, &item(arena.rev()), When::Newer),
            ],
        ),
        (
            "one address written and checked",
            vec![
                companion.clone(),
                write(&at, &item(arena.rev()), When::Newer),
                check(When::Exists),
            ],
        ),
        ("a check of `Always`", vec![companion.clone(), check(When::Always)]),
        ("a check of `Newer`", vec![companion, check(When::Newer)]),
    ];
    for (what, all) in cases {
        let error = refused(ErrorKind::InvalidInput, what, arena.backend.commit(all).await)?;
        check!(!error.is_retryable(), "{what}: trying again cannot help: {error:?}");
        same!(arena.get(&at).await?, Some(there.clone()), "what is there after {what}");
        same!(arena.occupant(&other).await?, None, "what is elsewhere after {what}");
    }
    Ok(())
}

async fn items_at_the_limit(arena: Arc<Arena>) -> Verdict {
    let count = limits(&arena).items.min(MOST_ITEMS);
    let items: Vec<_> = (0..count)
        .map(|number| (arena.at(&format!("{number}")), item(arena.rev())))
        .collect();
    let all = items.iter().map(|(at, item)| write(at, item, When::Absent)).collect();
    same!(
        arena.backend.commit(all).await?,
        Committed::Applied,
        "a commit of {count}"
    );
    let asked: Vec<_> = items.iter().map(|(at, _)| at.clone()).collect();
    let found = arena.backend.read_many(&asked, Read::STRONG).await?;
    check!(
        found.into_iter().eq(items.into_iter().map(|(_, item)| Some(item))),
        "not all of {count} are there"
    );
    Ok(())
}

async fn items_above_the_limit(arena: Arc<Arena>) -> Verdict {
    let limit = limits(&arena).items;
    if limit > MOST_ITEMS {
        return Ok(());
    }
    let addresses: Vec<_> = (0..=limit).map(|number| arena.at(&format!("{number}"))).collect();
    let all = addresses
        .iter()
        .map(|at| write(at, &item(arena.rev()), When::Absent))
        .collect();
    let error = refused(ErrorKind::TooManyItems, "one too many", arena.backend.commit(all).await)?;
    same!(
        error.limit(),
        Some((limit as u64, limit as u64 + 1)),
        "the limit that the error names"
    );
    check!(!error.is_retryable(), "trying again cannot help: {error:?}");
    same!(error.outcome(), Outcome::NotApplied, "the outcome");
    let found = arena.backend.read_many(&addresses, Read::STRONG).await?;
    check!(found.iter().all(Option::is_none), "something was written all the same");
    Ok(())
}

async fn bytes_around_the_limit(arena: Arc<Arena>) -> Verdict {
    let TransactionLimits { items, bytes } = limits(&arena);
    let each = arena.capabilities.item_limit.unwrap_or(bytes);
    if bytes > MOST_BYTES || each.saturating_mul(items) <= bytes {
        return Ok(()); // not to be reached
    }
    for (what, total) in [
        ("one byte too many", bytes + 1),
        ("exactly as many bytes as may be", bytes),
    ] {
        let mut sized = Vec::new();
        let mut left = total;
        while left > 0 {
            let size = left.min(each);
            left -= size;
            // Meta counts as the body does.
            let meta = size / 3;
            let body = Some(Bytes::from(vec![b'x'; size - meta]));
            let item = Item {
                meta: Bytes::from(vec![b'm'; meta]),
                body,
                ..item(arena.rev())
            };
            sized.push((arena.at(&format!("{}", sized.len())), item));
        }
        let all = sized.iter().map(|(at, item)| write(at, item, When::Absent)).collect();
        let answer = arena.backend.commit(all).await;
        if total > bytes {
            let error = refused(ErrorKind::TooLarge, what, answer)?;
            same!(
                error.limit(),
                Some((bytes as u64, total as u64)),
                "the limit that the error names"
            );
            same!(arena.get(&sized[0].0).await?, None, "what is there after {what}");
        } else {
            same!(answer?, Committed::Applied, "{what}");
            for (at, item) in sized {
                check!(
                    arena.get(&at).await? == Some(item),
                    "{what}: the item at {at} came back otherwise"
                );
            }
        }
    }
    Ok(())
}

/// Each of two commits writes what the other one demands to be absent: only one of them can be.
async fn checks_hold_until_the_end(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    for round in 0..20 {
        let (a, b) = (arena.at(&format!("a-{round}")), arena.at(&format!("b-{round}")));
        let start = Arc::new(Barrier::new(2));
        let mut tasks = Vec::new();
        for (backend, mine, other) in [(&arena.backend, &a, &b), (&another, &b, &a)] {
            let (backend, start) = (Arc::clone(backend), Arc::clone(&start));
            let all = vec![
                Mutation::Check {
                    at: other.clone(),
                    when: When::Absent,
                },
                write(mine, &item(arena.rev()), When::Absent),
            ];
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                settled(|| backend.commit(all.clone())).await
            }));
        }
        let mut applied = 0;
        for task in tasks {
            applied += usize::from(joined(task).await? == Committed::Applied);
        }
        same!(
            applied,
            1,
            "how many of two commits that exclude each other were applied"
        );
        let found = [arena.get(&a).await?, arena.get(&b).await?];
        same!(found.iter().flatten().count(), 1, "how many of their items are there");
    }
    Ok(())
}

async fn is_seen_by_every_read(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let partition = Partition::new("a");
    let row = |row| Address::new(Space::Log, partition.clone(), row);
    let (created, gone) = (row(1), row(2));
    arena.put(&gone, &item(arena.rev())).await?;
    let (new, removal) = (item(arena.rev()), arena.rev());
    let remove = Mutation::Remove {
        at: gone.clone(),
        rev: removal,
        when: When::Exists,
    };
    let all = vec![write(&created, &new, When::Absent), remove];
    same!(arena.backend.commit(all).await?, Committed::Applied, "the commit");
    for backend in [&arena.backend, &another] {
        let read = backend.read(&created, Read::STRONG).await?;
        same!(read, Some(new.clone()), "read");
        let asked = [created.clone(), gone.clone()];
        let many = backend.read_many(&asked, Read::STRONG).await?;
        same!(many, [Some(new.clone()), None], "read_many");
        let query = RowQuery::all(Space::Log, partition.clone(), Read::STRONG);
        let rows: Vec<_> = backend.rows(query).try_collect().await?;
        same!(rows, [(1, new.clone())], "rows");
        let everything = Listing {
            tombstones: true,
            ..Listing::all(Read::STRONG)
        };
        let mut listed: Vec<_> = backend.list(Space::Log, everything).try_collect().await?;
        listed.sort_by_key(|(at, _)| at.row);
        let expected = [
            (created.clone(), Occupant::Item(new.clone())),
            (gone.clone(), Occupant::Tombstone(removal)),
        ];
        same!(listed, expected, "list");
    }
    Ok(())
}

/// A writer commits round after round to the same items; a reader who has seen a round sees no earlier one after it.
async fn readers_see_all_or_nothing(arena: Arc<Arena>) -> Verdict {
    let addresses: Vec<_> = (0..4).map(|number| arena.at(&format!("part-{number}"))).collect();
    let another = arena.namespace.another().await?;
    let until = Until::new();
    let writer = {
        let (arena, addresses, go_on) = (Arc::clone(&arena), addresses.clone(), until.go_on());
        tokio::spawn(async move {
            for round in (0_u64..).take_while(|_| go_on()) {
                // Now from the first to the last, now from the last to the first.
                let same = item(arena.rev());
                let mut all: Vec<_> = addresses.iter().map(|at| write(at, &same, When::Newer)).collect();
                if round % 2 == 1 {
                    all.reverse();
                }
                same!(arena.backend.commit(all).await?, Committed::Applied, "round {round}");
            }
            Verdict::Ok(())
        })
    };
    let mut random = arena.random();
    // Until enough commits came in between, however slow the writer is to begin.
    let (mut before, mut changes) = (None, 0);
    while changes < 40 && !writer.is_finished() {
        let backend = if random.below(2) == 0 { &arena.backend } else { &another };
        let mut seen = None;
        for _ in 0..2 * addresses.len() {
            let at = &addresses[random.below(addresses.len())];
            let rev = backend.read(at, Read::STRONG).await?.map(|item| item.rev);
            check!(
                rev >= seen,
                "read {rev:?} at {at} after another item of the same commits was at {seen:?}"
            );
            seen = rev;
        }
        changes += usize::from(seen != before);
        before = seen;
        tokio::task::yield_now().await;
    }
    drop(until);
    joined(writer).await
}

/// Tasks move units between accounts; each move is one commit, and every one that was acknowledged counts.
async fn transfers_keep_the_sum(arena: Arc<Arena>) -> Verdict {
    const ACCOUNTS: usize = 4;
    const TASKS: usize = 6;
    const MOVES: usize = 12;
    let accounts: Vec<_> = (0..ACCOUNTS)
        .map(|number| arena.at(&format!("account-{number}")))
        .collect();
    let holding = |rev, units: u64| Item {
        body: Some(Bytes::copy_from_slice(&units.to_be_bytes())),
        ..item(rev)
    };
    let units = |item: &Item| {
        let body = item.body.as_ref().and_then(|body| body[..].try_into().ok());
        body.map(u64::from_be_bytes)
    };
    for at in &accounts {
        arena.put(at, &holding(arena.rev(), 100)).await?;
    }
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (arena, accounts) = (Arc::clone(&arena), accounts.clone());
        let backend = arena.namespace.another().await?;
        tasks.push(tokio::spawn(async move {
            let mut random = Random::new(arena.seed.wrapping_add(task as u64));
            let mut moves = Vec::new();
            for _ in 0..MOVES {
                let from = random.below(ACCOUNTS);
                let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
                loop {
                    let asked = [accounts[from].clone(), accounts[to].clone()];
                    let found = backend.read_many(&asked, Read::STRONG).await?;
                    let [Some(source), Some(target)] = &found[..] else {
                        check!(false, "an account was not found");
                        break;
                    };
                    let (Some(left), Some(right)) = (units(source), units(target)) else {
                        check!(false, "an account is damaged");
                        break;
                    };
                    if left == 0 {
                        break;
                    }
                    // Made after reading, and so higher than what was read.
                    let rev = arena.rev();
                    let all = vec![
                        write(&accounts[from], &holding(rev, left - 1), When::Matches(source.rev)),
                        write(&accounts[to], &holding(rev, right + 1), When::Matches(target.rev)),
                    ];
                    match settled(|| backend.commit(all.clone())).await? {
                        Committed::Applied => {
                            moves.push((from, to));
                            break;
                        }
                        Committed::Refused(_) => tokio::task::yield_now().await,
                    }
                }
            }
            Verdict::Ok(moves)
        }));
    }
    let mut expected = [Some(100); ACCOUNTS];
    for task in tasks {
        for (from, to) in joined(task).await? {
            expected[from] = expected[from].map(|units| units - 1);
            expected[to] = expected[to].map(|units| units + 1);
        }
    }
    let found = arena.backend.read_many(&accounts, Read::STRONG).await?;
    let found: Vec<_> = found.iter().map(|item| item.as_ref().and_then(units)).collect();
    same!(found, expected, "the accounts after every move that was acknowledged");
    Ok(())
}
