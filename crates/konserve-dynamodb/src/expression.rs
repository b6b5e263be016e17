//! Mutations and conditions in DynamoDB's language.
//!
//! Every mutation of every space, alone or in a transaction, is one shape of update: it copies the stored revisions on
//! (all right-hand sides see the item as it was) with what tells whether each of them was an item, sets what it means to keep
//! and removes every other attribute of the layout but the barred revision. So nothing of the predecessor survives but its
//! lineage, which later tells whether a write whose answer was lost had been applied, and over what.

use std::collections::HashMap;
use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use konserve_core::backend::{Address, Item, Mutation, Space, When};
use konserve_core::{Instant, Result, Rev};
use std::time::Duration;

use crate::layout::{self, Attributes, LINEAGE, Layout};

/// How long after a removal or an expiry the table's own expiry may erase what is left: longer than any request that
/// could still be on its way can live.
const ERASE_AFTER: Duration = Duration::from_secs(15 * 60);

/// Sets the revision and copies the stored ones on, each with its creation and its end.
static SHIFT: LazyLock<String> = LazyLock::new(|| {
    let mut shift = "SET r = :r".to_owned();
    let mut stored = ["r", "c", "x"];
    for before in LINEAGE {
        for (to, from) in before.into_iter().zip(stored) {
            shift.push_str(&format!(", {to} = if_not_exists({from}, :none)"));
        }
        stored = before;
    }
    shift
});

/// Holds for items that are not expired: the filter of reads.
pub(crate) const LIVE: &str = "attribute_exists(m) AND (attribute_not_exists(x) OR x > :now)";

/// Holds for what may be erased as the tombstone of a revision.
pub(crate) const TOMBSTONE_OF: &str = "r = :is AND (attribute_not_exists(m) OR x <= :now)";

/// A write or a removal.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) key: Attributes,
    pub(crate) update: String,
    pub(crate) condition: &'static str,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// A condition alone.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) key: Attributes,
    pub(crate) condition: &'static str,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// One action of a request.
#[derive(Debug)]
pub(crate) enum Action {
    Update(Update),
    /// `None` for a condition that a check cannot have.
    Check(Option<Check>),
}

impl Action {
    /// What a mutation is in DynamoDB's language, at this instant of the engine's clock.
    pub(crate) fn new(layout: &Layout, mutation: Mutation, now: Instant) -> Result<Self> {
        Ok(match mutation {
            Mutation::Write { at, item, when } => Self::Update(write(layout, &at, item, when, now)?),
            Mutation::Remove { at, rev, when } => Self::Update(remove(layout, &at, rev, when, now)?),
            Mutation::Check { at, when } => Self::Check(check(layout, &at, when, now)?),
        })
    }
}

/// Whether a write or a removal under this condition is turned away by an item that bars its revision. What asks for one very
/// revision needs no bar: stored revisions do not come back.
pub(crate) fn minds_bars(when: When) -> bool {
    !matches!(when, When::Matches(_))
}

/// Bars a revision that has not been applied, where something is there. A bar for an older revision than the stored one has done its duty, another one has
/// not: there is room for one.
pub(crate) fn bar(key: Attributes, rev: Rev) -> Update {
    Update {
        key,
        update: "SET z = :r".to_owned(),
        condition: "r < :r AND (attribute_not_exists(z) OR z <= r OR z = :r)",
        values: HashMap::from([(":r".to_owned(), layout::revision(rev))]),
    }
}

/// Bars a revision that has not been applied, where nothing is there: by a tombstone, as nothing else can hold the bar. That has the
/// revision just below the barred one, which nobody else ever has: with the barred one itself, its mutation would take the
/// tombstone for its own work. `None` where no revision is below.
pub(crate) fn bar_vacant(key: Attributes, rev: Rev, now: Instant) -> Option<Update> {
    let below = u128::from_be_bytes(rev.to_bytes()).checked_sub(1)?;
    let below = Rev::from_bytes(below.to_be_bytes());
    Some(Update {
        key,
        update: LINEAGE
            .into_iter()
            .fold("SET r = :below, z = :r, t = :t".to_owned(), |update, [rev, ..]| {
                update + ", " + rev + " = :none"
            }),
        // Or it is there already, by an attempt that was not answered.
        condition: "attribute_not_exists(pk) OR (r = :below AND z = :r)",
        values: HashMap::from([
            (":below".to_owned(), layout::revision(below)),
            (":r".to_owned(), layout::revision(rev)),
            (":t".to_owned(), erasable(now.max(rev.instant()))),
            (":none".to_owned(), none()),
        ]),
    })
}

/// Values for `:now`.
pub(crate) fn now_value(now: Instant) -> AttributeValue {
    layout::decimal(now.as_nanos())
}

fn write(layout: &Layout, at: &Address, item: Item, when: When, now: Instant) -> Result<Update> {
    let shard = (at.space == Space::Document).then(|| layout.listing_shard(at.space, &at.partition));
    let kept = [
        ("m", Some(layout::binary(item.meta))),
        ("b", item.body.map(layout::binary)),
        ("c", Some(layout::decimal(item.created.as_millis()))),
        ("p", item.pinned.then_some(AttributeValue::Bool(true))),
        ("x", item.expires.map(|at| layout::decimal(at.as_nanos()))),
        ("t", item.expires.map(erasable)),
        ("l", shard),
    ];
    update(layout.key(at)?, item.rev, &kept, when, now)
}

fn remove(layout: &Layout, at: &Address, rev: Rev, when: When, now: Instant) -> Result<Update> {
    // From the revision and not from the clock, so that the same removal is the same request.
    let erasable = erasable(rev.instant());
    let [m, b, c, p, x, l] = ["m", "b", "c", "p", "x", "l"].map(|name| (name, None));
    let kept = [("t", Some(erasable)), m, b, c, p, x, l];
    update(layout.key(at)?, rev, &kept, when, now)
}

fn update(
    key: Attributes,
    rev: Rev,
    attributes: &[(&str, Option<AttributeValue>)],
    when: When,
    now: Instant,
) -> Result<Update> {
    let mut values = HashMap::from([
        (":r".to_owned(), layout::revision(rev)),
        (":none".to_owned(), none()),
        (":now".to_owned(), now_value(now)),
    ]);
    let mut update = SHIFT.clone();
    let mut removed = String::new();
    for (name, value) in attributes {
        match value {
            Some(value) => {
                update.push_str(&format!(", {name} = :{name}"));
                values.insert(format!(":{name}"), value.clone());
            }
            None => {
                removed.push_str(if removed.is_empty() { " REMOVE " } else { ", " });
                removed.push_str(name);
            }
        }
    }
    update.push_str(&removed);
    let condition = match when {
        When::Always => {
            "attribute_not_exists(pk) OR (r <> :r AND (attribute_not_exists(p) OR x <= :now) \
             AND (attribute_not_exists(z) OR z <> :r))"
        }
        When::Absent => {
            "attribute_not_exists(pk) OR (r < :r AND (attribute_not_exists(m) OR x <= :now) \
             AND (attribute_not_exists(z) OR z <> :r))"
        }
        When::Exists => {
            "r < :r AND attribute_not_exists(p) AND attribute_exists(m) AND (attribute_not_exists(x) OR x > :now) \
             AND (attribute_not_exists(z) OR z <> :r)"
        }
        When::Matches(is) => {
            values.insert(":is".to_owned(), layout::revision(is));
            "r = :is AND r < :r AND attribute_exists(m) AND (attribute_not_exists(x) OR x > :now)"
        }
        When::Newer => {
            "attribute_not_exists(pk) OR (r < :r AND (attribute_not_exists(p) OR x <= :now) \
             AND (attribute_not_exists(z) OR z <> :r))"
        }
    };
    Ok(Update {
        key,
        update,
        condition,
        values,
    })
}

fn check(layout: &Layout, at: &Address, when: When, now: Instant) -> Result<Option<Check>> {
    let mut values = HashMap::from([(":now".to_owned(), now_value(now))]);
    let condition = match when {
        When::Absent => "attribute_not_exists(m) OR x <= :now",
        When::Exists => LIVE,
        When::Matches(is) => {
            values.insert(":is".to_owned(), layout::revision(is));
            "r = :is AND attribute_exists(m) AND (attribute_not_exists(x) OR x > :now)"
        }
        When::Always | When::Newer => return Ok(None),
    };
    let key = layout.key(at)?;
    Ok(Some(Check { key, condition, values }))
}

/// What the lineage has where there was nothing.
fn none() -> AttributeValue {
    layout::binary(Bytes::new())
}

/// The second from which on the table's own expiry may erase what ended at this instant.
fn erasable(end: Instant) -> AttributeValue {
    layout::decimal((end + ERASE_AFTER).as_millis().div_euclid(1000) + 1)
}
