//! Mutants that do not know one store from another.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use konserve_core::Result;
use konserve_core::backend::{Address, Backend, Item, When, Written};

use crate::engine::{Right, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "identities.of-each-handle",
            "identity.of-one-store",
            "the identity is that of the connection",
            || Says(|right| right.identity().map(|identity| format!("{identity}/{}", right.number))),
        ),
        Mutant::new(
            "identities.of-some-handles",
            "identity.of-one-store",
            "the identity is known to the handle that created the store, and to no other",
            || Says(|right| right.identity().filter(|_| right.number == 0)),
        ),
        Mutant::new(
            "identities.that-change",
            "identity.of-one-store",
            "the server says which one it is with the first answer, and the identity is the configured one until then",
            || Learns(AtomicUsize::new(0)),
        ),
        Mutant::new(
            "identities.of-all-stores",
            "identity.of-different-stores",
            "the identity is that of the server, and not of the store on it",
            || Says(|_| Some("mutant".to_owned())),
        ),
    ]
}

struct Says(fn(&Right) -> Option<String>);
struct Learns(AtomicUsize);

impl Wrong for Says {
    fn identity(&self, right: &Right) -> Option<String> {
        self.0(right)
    }
}

#[async_trait]
impl Wrong for Learns {
    fn identity(&self, right: &Right) -> Option<String> {
        let identity = right.identity()?;
        Some(match self.0.load(Ordering::Relaxed) {
            0 => format!("{identity}, as configured"),
            _ => identity,
        })
    }

    async fn write(&self, right: &Right, at: &Address, item: Item, when: When) -> Result<Written> {
        self.0.fetch_add(1, Ordering::Relaxed);
        right.write(at, item, when).await
    }
}
