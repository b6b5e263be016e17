//! Transfers between accounts of a bank: commits with conditions at several addresses.

use std::sync::Arc;

use bytes::Bytes;
use konserve_core::backend::{Backend, Committed, Item, Mutation, When};
use konserve_core::{Outcome, Rev};

use super::watched::{Scene, Watched};
use super::{Extent, crowd, judged, linger};
use crate::arena::{Arena, Random, item};
use crate::failure::{Failure, Verdict, check, same};
use crate::linear::{self, Items, ItemsAnswer, Part, Place};

const ACCOUNTS: usize = 3;
/// The address behind the accounts: while there is an item, the bank is open.
const OFFICE: usize = ACCOUNTS;
/// What every account has in the beginning.
const UNITS: u64 = 100;

/// Whether a bank in which tasks on two handles move units by commits is one linearizable object, and no unit is made or lost.
/// A transfer writes two accounts if both are unchanged and the bank is open; auditors check that all accounts are as they
/// read them. Uses addresses of documents named `account-…` and `office`, which must be vacant. Needs transactions.
pub(crate) async fn transfers(arena: &Arc<Arena>, handles: [Arc<dyn Backend>; 2], extent: Extent) -> Verdict {
    let mut addresses: Vec<_> = (0..ACCOUNTS)
        .map(|number| arena.at(&format!("account-{number}")))
        .collect();
    addresses.push(arena.at("office"));
    let scene = Scene::new(addresses.clone());
    let opened = arena.rev();
    let mut opening = Vec::new();
    for (member, at) in addresses.into_iter().enumerate() {
        let item = holding(opened, UNITS);
        scene.announce(member, &item);
        opening.push(Mutation::Write {
            at,
            item,
            when: When::Absent,
        });
    }
    open(&*handles[0], opening).await?;
    crowd(arena, extent, |task, random| {
        let watched = scene.watch(&handles[task % 2], task);
        run(Arc::clone(arena), watched, extent.calls, random)
    })
    .await?;
    for (number, handle) in handles.iter().enumerate() {
        let watched = scene.watch(handle, extent.tasks + number);
        let mut sum = 0;
        for account in 0..ACCOUNTS {
            sum += units(watched.read_at_last(account).await?.as_ref())?;
        }
        same!(sum, ACCOUNTS as u64 * UNITS, "the sum of all accounts in the end");
        watched.read_at_last(OFFICE).await?;
    }
    let history = scene.history();
    let model = Items::new(vec![Place::Item(opened); ACCOUNTS + 1], &history).after_failures(extent.failures);
    judged("a bank", linear::check(&model, &history))
}

/// Opens the bank, whatever happens on the way: the same commit again and again is one commit.
async fn open(backend: &dyn Backend, opening: Vec<Mutation>) -> Verdict {
    loop {
        match backend.commit(opening.clone()).await {
            Ok(Committed::Applied) => return Ok(()),
            Ok(refused) => return Err(Failure::new(format!("the bank could not be opened: {refused:?}"))),
            Err(error) if error.is_retryable() || error.outcome() == Outcome::Unknown => {}
            Err(error) => return Err(error.into()),
        }
        tokio::task::yield_now().await;
    }
}

async fn run(arena: Arc<Arena>, watched: Watched, calls: usize, mut random: Random) -> Verdict {
    for _ in 0..calls {
        linger(&mut random).await;
        match random.below(100) {
            0..60 => transfer(&arena, &watched, &mut random).await?,
            60..75 => audit(&watched).await?,
            75..82 => drop(watched.remove(OFFICE, arena.rev(), When::Exists).await?),
            82..92 => drop(watched.write(OFFICE, holding(arena.rev(), 0), When::Absent).await?),
            _ => drop(watched.read(random.below(ACCOUNTS)).await?),
        }
    }
    Ok(())
}

async fn transfer(arena: &Arena, watched: &Watched, random: &mut Random) -> Verdict {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let (Some(source), Some(target)) = (watched.read(from).await?, watched.read(to).await?) else {
        return Ok(());
    };
    let (left, right) = (units(source.as_ref())?, units(target.as_ref())?);
    let (Some(source), Some(target)) = (source, target) else {
        return Ok(());
    };
    let amount = 1 + random.below(20) as u64;
    if left < amount {
        return Ok(());
    }
    // Made after reading, and so higher than what was read.
    let rev = arena.rev();
    let mut parts = vec![
        (
            Part::write(from, rev, When::Matches(source.rev)),
            Some(holding(rev, left - amount)),
        ),
        (
            Part::write(to, rev, When::Matches(target.rev)),
            Some(holding(rev, right + amount)),
        ),
    ];
    parts.insert(random.below(3), (Part::check(OFFICE, When::Exists), None));
    watched.commit(parts).await.map(drop)
}

/// Reads all accounts; if none of them has changed meanwhile, that was one view.
async fn audit(watched: &Watched) -> Verdict {
    let (mut parts, mut sum) = (Vec::new(), 0);
    for account in 0..ACCOUNTS {
        let Some(found) = watched.read(account).await? else {
            return Ok(());
        };
        sum += units(found.as_ref())?;
        let Some(found) = found else { return Ok(()) };
        parts.push((Part::check(account, When::Matches(found.rev)), None));
    }
    if let Some(ItemsAnswer::Applied(_)) = watched.commit(parts).await? {
        same!(
            sum,
            ACCOUNTS as u64 * UNITS,
            "the sum of accounts that did not change meanwhile"
        );
    }
    Ok(())
}

fn holding(rev: Rev, units: u64) -> Item {
    Item {
        body: Some(Bytes::copy_from_slice(&units.to_be_bytes())),
        ..item(rev)
    }
}

fn units(account: Option<&Item>) -> Verdict<u64> {
    let body = account.and_then(|item| item.body.as_ref());
    let units = body.and_then(|body| body[..].try_into().ok()).map(u64::from_be_bytes);
    check!(units.is_some(), "an account came back as {account:?}");
    Ok(units.unwrap_or_default())
}
