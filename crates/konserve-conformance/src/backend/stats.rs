//! Trials of the figures that an engine keeps of what it sends.

use std::sync::Arc;

use konserve_core::Result;
use konserve_core::backend::{Backend, EngineStats, Purge, Read, RequestStats, When};

use crate::arena::{Arena, item};
use crate::failure::{Verdict, check, same};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("stats.never-fall", &["B-STATS-1"], never_fall).needs_nothing(),
        Trial::new("stats.of-one-handle", &["B-STATS-1"], of_one_handle).needs_nothing(),
        Trial::new("stats.after-closing", &["B-STATS-2"], after_closing).needs_nothing(),
    ]
}

async fn never_fall(arena: Arc<Arena>) -> Verdict {
    let mut before = arena.backend.stats();
    for step in 0..4 {
        // Nor when they are only looked at.
        if step % 2 == 0 {
            use_it(&arena, &*arena.backend).await?;
        }
        let after = arena.backend.stats();
        for (operation, earlier) in &before.operations {
            let later = after.of(operation);
            check!(
                falls(earlier, &later).is_none(),
                "in step {step}, {} of {operation} fell from {earlier:?} to {later:?}",
                falls(earlier, &later).unwrap_or_default()
            );
        }
        before = after;
    }
    Ok(())
}

async fn of_one_handle(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    let before = arena.backend.stats();
    use_it(&arena, &*another).await?;
    same!(
        arena.backend.stats(),
        before,
        "the figures of a handle that was not used"
    );
    Ok(())
}

async fn after_closing(arena: Arc<Arena>) -> Verdict {
    use_it(&arena, &*arena.backend).await?;
    let before: EngineStats = arena.backend.stats();
    arena.backend.close().await?;
    same!(arena.backend.stats(), before, "the figures of a closed handle");
    Ok(())
}

/// One request of each kind that every engine has.
async fn use_it(arena: &Arena, backend: &dyn Backend) -> Result<()> {
    let (at, gone) = (arena.at("a"), arena.at("b"));
    backend.write(&at, item(arena.rev()), When::Newer).await?;
    backend.write(&at, item(arena.rev()), When::Absent).await?;
    backend.read(&at, Read::EVENTUAL).await?;
    backend.read_many(&[at, gone.clone()], Read::EVENTUAL).await?;
    backend.remove(&gone, arena.rev(), When::Newer).await?;
    backend.purge(&[Purge::Row(gone)]).await
}

/// The name of a figure that is less than it was.
fn falls(earlier: &RequestStats, later: &RequestStats) -> Option<&'static str> {
    let figures = |stats: &RequestStats| {
        [
            ("requests", stats.requests as f64),
            ("attempts", stats.attempts as f64),
            ("retries", stats.retries.values().sum::<u64>() as f64),
            ("failures", stats.failures.values().sum::<u64>() as f64),
            ("cancelled", stats.cancelled as f64),
            ("capacity", stats.capacity),
            ("batches", stats.batch_items.count as f64),
            ("resolved outcomes", stats.outcomes_resolved as f64),
            ("unresolved outcomes", stats.outcomes_unresolved as f64),
        ]
    };
    let both = figures(earlier).into_iter().zip(figures(later));
    both.filter(|(earlier, later)| earlier.1 > later.1)
        .map(|(figure, _)| figure.0)
        .next()
}
