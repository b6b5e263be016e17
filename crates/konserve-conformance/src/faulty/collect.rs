//! The trial of `collect`.

use std::sync::Arc;

use konserve_core::backend::{Listing, Read, Space};
use konserve_core::{Result, Store};

use super::store::{large, log, over};
use super::sweep::{Effect, Nature, Operation, sweep};
use crate::arena::Arena;
use crate::failure::{Verdict, check};
use crate::ticking::Ticking;
use crate::trial::{Capability, Trial};

pub(super) fn trials() -> Vec<Trial> {
    let clauses = &["S-ERROR-1", "S-FAULT-6", "S-FAULT-7"];
    vec![
        Trial::new("faults.store-collect", clauses, |arena| async move {
            let clock = Ticking::new();
            let collecting = Collecting {
                tested: over(Arc::clone(&arena.backend), &clock, 100),
                other: over(arena.namespace.another().await?, &clock, 10_000),
                arena: Arc::clone(&arena),
            };
            sweep(&arena, &collecting).await
        })
        .needs(Capability::Transactions)
        .needs(Capability::Faults),
    ]
}

struct Collecting {
    arena: Arc<Arena>,
    tested: Store,
    other: Store,
}

/// A document, a log, and a log that is removed. The first two are the same in every place, so that a collection does not
/// take longer each time.
const KEYS: [&str; 3] = ["document", "log", "removed"];

impl Operation for Collecting {
    type Place = ();

    fn nature(&self) -> Nature {
        Nature {
            effect: Effect::Steps,
            names: Some(("collect", false)),
            most: 3,
        }
    }

    async fn prepare(&self, number: usize, _outage: bool) -> Verdict {
        let [document, log, removed] = KEYS;
        let store = &self.other;
        store.assoc(document, &large("o")).await?;
        store.assoc(document, &large("n")).await?;
        if number == 0 {
            store.append(log, &large("e")).await?;
        }
        store.append(removed, "entry").await?;
        store.dissoc(removed).await?;
        Ok(())
    }

    async fn run(&self, _place: &(), _outage: bool) -> Result<String> {
        // How much there was to do depends on what was done before.
        self.tested.collect().without_waiting().await?;
        Ok("done".to_owned())
    }

    async fn look(&self, _place: &()) -> Verdict<String> {
        let [document, kept, removed] = KEYS;
        // What users see stays, whatever happens.
        let found: Option<String> = self.other.get(document).await?;
        check!(found == Some(large("n")), "the document is lost");
        let found = log(self.other.clone(), kept.to_owned()).await?;
        check!(found == (true, vec![large("e")]), "the log is lost");
        let found = log(self.other.clone(), removed.to_owned()).await?;
        check!(found == (false, Vec::new()), "the removed log is back");
        let mut left = Vec::new();
        for space in [Space::Document, Space::Chunk, Space::Generation, Space::Log] {
            let mut listing = Listing::all(Read::STRONG.without_body());
            listing.tombstones = true;
            left.push(self.arena.list(space, listing).await?.len());
        }
        Ok(format!("{left:?} items in each space"))
    }
}
