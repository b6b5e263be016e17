//! The adversary keeps the contract, and really does use what that leaves open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use konserve_conformance::ManualClock;
use konserve_core::backend::{
    Address, Backend, Committed, Item, Listing, Mutation, Occupant, Order, Partition, Previous, Purge, Read, RowQuery,
    Space, When, Written,
};
use konserve_core::{Instant, Rev};
use konserve_memory::{Adversary, Memory};

/// How many seeds the tests over random histories take.
const SEEDS: u64 = 20;
/// The rows of the one partition that they play in.
const ROWS: u64 = 6;

fn at(row: u64) -> Address {
    Address::new(Space::Log, Partition::new("p"), row)
}

fn rev(number: u64) -> Rev {
    Rev::from_bytes((u128::from(number) + 1).to_be_bytes())
}

/// An item that tells by each part which write it is from.
fn item(number: u64) -> Item {
    Item {
        rev: rev(number),
        pinned: false,
        expires: None,
        created: Instant::from_millis(number as i64),
        meta: Bytes::from(format!("meta {number}")),
        body: Some(Bytes::from(format!("body {number}"))),
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

type States = HashMap<u64, Vec<Option<Occupant>>>;

/// Changes something at random, `number` being the next revision, and keeps the states of every row.
async fn change(adversary: &Adversary, dice: &mut Dice, number: u64, states: &mut States) {
    let row = dice.below(ROWS);
    let (at, states) = (at(row), states.entry(row).or_insert_with(|| vec![None]));
    match dice.below(6) {
        0..=2 => {
            adversary.write(&at, item(number), When::Always).await.unwrap();
            states.push(Some(Occupant::Item(item(number))));
        }
        3 => {
            adversary.remove(&at, rev(number), When::Always).await.unwrap();
            states.push(Some(Occupant::Tombstone(rev(number))));
        }
        4 => {
            let write = Mutation::Write {
                at,
                item: item(number),
                when: When::Newer,
            };
            assert_eq!(adversary.commit(vec![write]).await.unwrap(), Committed::Applied);
            states.push(Some(Occupant::Item(item(number))));
        }
        _ => {
            adversary.purge(&[Purge::Row(at)]).await.unwrap();
            states.push(None);
        }
    }
}

fn items(states: &States) -> Vec<(u64, Item)> {
    let mut items: Vec<_> = (0..ROWS)
        .filter_map(|row| {
            let last = states.get(&row)?.last()?.clone();
            Some((row, last?.into_item()?))
        })
        .collect();
    items.sort_by_key(|(row, _)| *row);
    items
}

#[tokio::test]
async fn strong_reads_are_exact() {
    for seed in 0..SEEDS {
        let (adversary, mut dice, mut states) = (Adversary::new(seed), Dice(seed), States::new());
        let other = adversary.handle();
        for number in 0..60 {
            change(&adversary, &mut dice, number, &mut states).await;
            let expected = items(&states);
            let all: Vec<_> = (0..ROWS).map(at).collect();
            let many = other.read_many(&all, Read::STRONG).await.unwrap();
            let many: Vec<_> = (0..ROWS)
                .zip(many)
                .filter_map(|(row, item)| Some((row, item?)))
                .collect();
            assert_eq!(many, expected, "read_many, seed {seed}");

            let query = RowQuery::all(Space::Log, Partition::new("p"), Read::STRONG);
            let rows: Vec<_> = other.rows(query.clone()).try_collect().await.unwrap();
            assert_eq!(rows, expected, "rows, seed {seed}");
            let descending = RowQuery {
                order: Order::Descending,
                limit: Some(2),
                ..query
            };
            let rows: Vec<_> = other.rows(descending).try_collect().await.unwrap();
            let last: Vec<_> = expected.iter().rev().take(2).cloned().collect();
            assert_eq!(rows, last, "the last rows, seed {seed}");

            let mut how = Listing::all(Read::STRONG);
            how.tombstones = true;
            let listed: Vec<_> = other.list(Space::Log, how).try_collect().await.unwrap();
            let listed: BTreeMap<_, _> = listed.into_iter().map(|(at, occupant)| (at.row, occupant)).collect();
            let occupants: BTreeMap<_, _> = states
                .iter()
                .filter_map(|(row, states)| Some((*row, states.last()?.clone()?)))
                .collect();
            assert_eq!(listed, occupants, "list, seed {seed}");
        }
    }
}

/// What eventual reads of all kinds say of each row, one after the other.
async fn eventual(adversary: &Adversary) -> Vec<(u64, Option<Occupant>)> {
    let mut seen = Vec::new();
    let all: Vec<_> = (0..ROWS).map(at).collect();
    for at in &all {
        let item = adversary.read(at, Read::EVENTUAL).await.unwrap();
        seen.push((at.row, item.map(Occupant::Item)));
    }
    let many = adversary.read_many(&all, Read::EVENTUAL).await.unwrap();
    seen.extend((0..ROWS).zip(many).map(|(row, item)| (row, item.map(Occupant::Item))));

    let query = RowQuery::all(Space::Log, Partition::new("p"), Read::EVENTUAL);
    let rows: Vec<_> = adversary.rows(query).try_collect().await.unwrap();
    assert!(rows.is_sorted_by(|a, b| a.0 < b.0), "rows out of order: {rows:?}");
    seen.extend(rows.into_iter().map(|(row, item)| (row, Some(Occupant::Item(item)))));

    let mut how = Listing::all(Read::EVENTUAL);
    how.tombstones = true;
    let listed: Vec<_> = adversary.list(Space::Log, how).try_collect().await.unwrap();
    let distinct: BTreeSet<_> = listed.iter().map(|(at, _)| at).collect();
    assert_eq!(distinct.len(), listed.len(), "an address was listed twice");
    seen.extend(listed.into_iter().map(|(at, occupant)| (at.row, Some(occupant))));
    seen
}

#[tokio::test]
async fn eventual_reads_return_what_once_was_and_often_what_no_longer_is() {
    let (mut fresh, mut stale, mut back) = (0, 0, 0);
    for seed in 0..SEEDS {
        let (adversary, mut dice, mut states) = (Adversary::new(seed), Dice(seed), States::new());
        let mut newest: HashMap<u64, Rev> = HashMap::new();
        for number in 0..60 {
            change(&adversary, &mut dice, number, &mut states).await;
            for (row, seen) in eventual(&adversary).await {
                let states = states.get(&row).map_or(&[None][..], Vec::as_slice);
                let absent = |state: &Option<Occupant>| state.as_ref().is_none_or(|state| state.item().is_none());
                let once = |state: &Option<Occupant>| *state == seen || seen.is_none() && absent(state);
                assert!(states.iter().any(once), "{seen:?} never was at row {row}, seed {seed}");
                match states.last().is_some_and(once) {
                    true => fresh += 1,
                    false => stale += 1,
                }
                if let Some(seen) = seen {
                    let newest = newest.entry(row).or_insert(seen.rev());
                    back += usize::from(seen.rev() < *newest);
                    *newest = (*newest).max(seen.rev());
                }
            }
        }
    }
    let all = fresh + stale;
    assert!(stale > all / 5, "only {stale} of {all} reads lagged");
    assert!(fresh > all / 3, "only {fresh} of {all} reads were up to date");
    assert!(
        back > all / 20,
        "only {back} of {all} reads went back behind an earlier one"
    );
}

#[tokio::test]
async fn an_eventual_listing_misses_what_is_new_and_shows_what_is_gone() {
    let adversary = Adversary::new(1);
    adversary.write(&at(0), item(0), When::Newer).await.unwrap();
    adversary.write(&at(1), item(1), When::Newer).await.unwrap();
    adversary.purge(&[Purge::Row(at(1))]).await.unwrap();
    let (mut missed, mut shown) = (0, 0);
    for _ in 0..200 {
        let listed = adversary.list(Space::Log, Listing::all(Read::EVENTUAL));
        let rows: Vec<_> = listed.map_ok(|(at, _)| at.row).try_collect().await.unwrap();
        missed += usize::from(!rows.contains(&0));
        shown += usize::from(rows.contains(&1));
    }
    assert!(
        (20..150).contains(&missed),
        "what is there was missed {missed} times of 200"
    );
    assert!(
        (20..150).contains(&shown),
        "what is gone was shown {shown} times of 200"
    );
}

/// Everything that some calls answer, as text.
async fn transcript(adversary: Adversary) -> String {
    let (mut dice, mut states, mut answers) = (Dice(3), States::new(), String::new());
    for number in 0..40 {
        change(&adversary, &mut dice, number, &mut states).await;
        let refused = adversary
            .write(&at(0), item(1000 + number), When::Matches(rev(9999)))
            .await;
        let seen = eventual(&adversary).await;
        answers += &format!("{refused:?} {seen:?}\n");
    }
    answers
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answers() {
    let first = transcript(Adversary::new(5)).await;
    assert_eq!(first, transcript(Adversary::new(5)).await);
    assert_ne!(first, transcript(Adversary::new(6)).await);
    let other = transcript(Adversary::new(5).handle()).await;
    assert_ne!(first, other, "a second handle chooses like the first");
}

/// Writers on real threads race for the same addresses; whatever lags must have been stored by one of them, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_lags_was_stored_also_when_writers_race() {
    let adversary = Adversary::new(11);
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let handle = adversary.handle();
            tokio::spawn(async move {
                let mut applied = BTreeSet::new();
                for step in 0..300 {
                    let number = step * 4 + writer;
                    // Half of them are refused, because somebody was faster.
                    match handle.write(&at(step % 2), item(number), When::Newer).await.unwrap() {
                        Written::Applied { .. } => applied.insert((step % 2, number)),
                        Written::Refused { .. } => false,
                    };
                }
                applied
            })
        })
        .collect();
    let reader = adversary.handle();
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        for step in 0..2000 {
            seen.push((step % 2, reader.read(&at(step % 2), Read::EVENTUAL).await.unwrap()));
        }
        seen
    });
    let mut applied = BTreeSet::new();
    for writer in writers {
        applied.append(&mut writer.await.unwrap());
    }
    let all: Vec<_> = applied.iter().map(|(row, number)| (*row, item(*number))).collect();
    for (row, seen) in reading.await.unwrap() {
        if let Some(seen) = seen {
            assert!(
                all.contains(&(row, seen.clone())),
                "{seen:?} was never stored at row {row}"
            );
        }
    }
}

/// What one handle tells, of 100 answers each: how many writes did not tell what they replaced, and how many answers came
/// with the body.
async fn habits(adversary: &Adversary) -> (usize, usize) {
    let (mut unknown, mut full) = (0, 0);
    let mut note = |seen: Option<Occupant>, stored: &Item| match seen {
        Some(Occupant::Item(seen)) => {
            assert_eq!((seen.rev, &seen.meta), (stored.rev, &stored.meta));
            assert!(seen.body.is_none() || seen.body == stored.body);
            full += usize::from(seen.body.is_some());
        }
        other => panic!("told of {other:?}"),
    };
    adversary.purge(&[Purge::Row(at(0))]).await.unwrap();
    adversary.write(&at(0), item(3), When::Newer).await.unwrap();
    for number in 1..=100 {
        let (old, new) = (item(3 * number), item(3 * number + 3));
        let rival = item(3 * number + 1);
        match adversary.write(&at(0), rival, When::Absent).await.unwrap() {
            Written::Refused { current } => note(current, &old),
            applied @ Written::Applied { .. } => panic!("{applied:?}"),
        }
        match adversary.write(&at(0), new, When::Newer).await.unwrap() {
            Written::Applied {
                previous: Previous::Unknown,
            } => unknown += 1,
            Written::Applied {
                previous: Previous::Known(Some(seen)),
            } => assert_eq!(seen.rev(), old.rev),
            answer => panic!("{answer:?}"),
        }
    }
    // A removal always tells.
    let removal = adversary.remove(&at(0), rev(1000), When::Newer).await.unwrap();
    let Written::Applied {
        previous: Previous::Known(Some(seen)),
    } = removal
    else {
        panic!("{removal:?}");
    };
    assert_eq!(seen.rev(), rev(303));
    (unknown, full)
}

#[tokio::test]
async fn answers_to_mutations_vary_within_the_contract_by_the_habits_of_the_handle() {
    let adversary = Adversary::new(2);
    let kind = |count: usize| match count {
        0 => "never",
        1..99 => "sometimes",
        _ => "always",
    };
    let (mut hides, mut tells) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..20 {
        let (unknown, full) = habits(&adversary.handle()).await;
        hides.insert(kind(unknown));
        tells.insert(kind(full));
    }
    assert_eq!((hides.len(), tells.len()), (3, 3), "{hides:?} {tells:?}");
}

#[tokio::test]
async fn a_refused_commit_names_some_of_what_refused_it() {
    let adversary = Adversary::new(3);
    let all: Vec<_> = (0..4)
        .map(|row| Mutation::Write {
            at: at(row),
            item: item(0),
            when: When::Exists,
        })
        .collect();
    // One is refused because of what is there, the others because nothing is.
    adversary.write(&at(2), item(1), When::Newer).await.unwrap();
    let (mut seen, mut always_all, mut always_one) = (BTreeSet::new(), 0, 0);
    for _ in 0..20 {
        let (handle, mut sizes) = (adversary.handle(), BTreeSet::new());
        for _ in 0..40 {
            let Committed::Refused(refusals) = handle.commit(all.clone()).await.unwrap() else {
                panic!("a commit over nothing was applied");
            };
            sizes.insert(refusals.len());
            seen.insert(refusals.iter().map(|refusal| refusal.index).collect::<Vec<_>>());
        }
        always_all += usize::from(sizes == BTreeSet::from([4]));
        always_one += usize::from(sizes == BTreeSet::from([1]));
    }
    let subsets: BTreeSet<_> = (1..16)
        .map(|mask| (0..4).filter(|index| mask >> index & 1 == 1).collect::<Vec<usize>>())
        .collect();
    assert_eq!(seen, subsets);
    assert!(
        always_all > 2 && always_one > 2,
        "{always_all} handles name all, {always_one} one"
    );
}

#[tokio::test]
async fn listings_have_an_order_of_their_own_which_stays() {
    async fn order(adversary: &Adversary, how: Read) -> Vec<u64> {
        let listed = adversary.list(Space::Log, Listing::all(how));
        listed.map_ok(|(at, _)| at.row).try_collect().await.unwrap()
    }
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        let adversary = Adversary::new(seed);
        for row in 0..20 {
            adversary.write(&at(row), item(0), When::Newer).await.unwrap();
        }
        let strong = order(&adversary, Read::STRONG).await;
        assert_eq!(strong, order(&adversary.handle(), Read::STRONG).await);
        // One that lags leaves out some, and keeps to the order.
        let eventual = order(&adversary, Read::EVENTUAL).await;
        let mut rest = strong.iter();
        assert!(
            eventual.iter().all(|row| rest.any(|other| other == row)),
            "{eventual:?}"
        );
        assert!(!strong.is_sorted());
        orders.insert(strong);
    }
    assert_eq!(orders.len(), 20, "two stores list alike");
}

/// Between any two steps of a call, others may get their turn.
#[tokio::test]
async fn others_get_their_turn_everywhere() {
    let adversary = Memory::builder().seed(4).adversary();
    for row in 0..100 {
        adversary.write(&at(row), item(0), When::Newer).await.unwrap();
    }
    let turns = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&turns);
    let others = tokio::spawn(async move {
        loop {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let mut between = [0; 3];
    let mut last = 0;
    let mut passed = |what: usize| {
        let now = turns.load(Ordering::Relaxed);
        between[what] += usize::from(now != std::mem::replace(&mut last, now));
    };
    let mut rows = adversary.rows(RowQuery::all(Space::Log, Partition::new("p"), Read::STRONG));
    while rows.next().await.is_some() {
        passed(0);
    }
    let mut listed = adversary.list(Space::Log, Listing::all(Read::STRONG));
    while listed.next().await.is_some() {
        passed(1);
    }
    for row in 0..100 {
        adversary.write(&at(row), item(1), When::Newer).await.unwrap();
        passed(2);
    }
    others.abort();
    assert!(
        between.iter().all(|turns| *turns > 70),
        "turns of others: {between:?} of 100 each"
    );
}

/// Drops writes on their way, then looks for so long.
async fn given_up(adversary: &Adversary, clock: &ManualClock, wait: Duration) -> usize {
    let mut arrived = 0;
    for row in 0..100 {
        let at = at(row);
        let mut write = adversary.write(&at, item(row), When::Newer);
        // Those that arrive in time do not count.
        if (&mut write).now_or_never().is_some() {
            continue;
        }
        drop(write);
        if adversary.read(&at, Read::STRONG).await.unwrap().is_some() {
            continue;
        }
        clock.advance(wait);
        for _ in 0..30 {
            if let Some(found) = adversary.read(&at, Read::STRONG).await.unwrap() {
                assert_eq!(found, item(row));
                arrived += 1;
                break;
            }
        }
    }
    arrived
}

#[tokio::test]
async fn what_was_given_up_may_arrive_later_but_not_after_its_time() {
    let clock = ManualClock::new(Instant::from_millis(1_800_000_000_000));
    let late = |seed| {
        let builder = Memory::builder().seed(seed).environment(clock.environment());
        builder.late_arrivals(true).adversary()
    };
    assert!(given_up(&late(1), &clock, Duration::from_secs(9)).await > 20);
    assert_eq!(given_up(&late(2), &clock, Duration::from_secs(11)).await, 0);
    assert_eq!(given_up(&Adversary::new(3), &clock, Duration::ZERO).await, 0);
}
