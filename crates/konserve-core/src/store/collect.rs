//! `collect`: removes what nobody can read any more.

use std::fmt;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use super::request::{Common, impl_request};
use super::{Operation, Store, everything};
use crate::backend::{Address, Listing, Occupant, Purge, Read, Space};
use crate::log;
use crate::placement::generation::{self, Patience, Step};
use crate::{Error, ErrorKind, Result};

/// How many generations a collector is at, at the same time.
const GENERATIONS_AT_ONCE: usize = 8;

impl Store {
    /// Removes what nobody can read any more: the chunks of large writes that were interrupted, replaced or removed, the rows of
    /// removed logs, and old tombstones.
    ///
    /// Everything has to wait for a while, so that readers that have begun and requests that are still on their way do no harm
    /// (see [`Options`](super::Options)); what still waits is left to the next call. Call it from time to time, from any number
    /// of processes at once. It lists the whole store.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> konserve_core::Result<()> {
    /// # let store = konserve_core::Store::new(konserve_memory::Memory::new());
    /// let report = store.collect().await?;
    /// assert_eq!(report.generations_removed, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the engine. What was removed until then stays removed; dropping the future is harmless as well.
    pub fn collect(&self) -> Collect {
        Collect {
            common: Common::new(self),
            patience: self.inner.patience(),
            progress: None,
        }
    }
}

/// What [`Store::collect`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectReport {
    /// Generations of chunks that were looked at.
    pub generations: u64,
    /// Generations that were removed altogether.
    pub generations_removed: u64,
    /// Purges of chunks. A chunk is purged twice, in case it was still being written the first time.
    pub chunks_purged: u64,
    /// Removed logs of which nothing is left.
    pub logs_removed: u64,
    /// Rows of logs that were purged.
    pub log_rows_purged: u64,
    /// Tombstones and ended documents that were purged.
    pub tombstones_purged: u64,
    /// What is to be removed, but has to wait: generations, logs, tombstones and ended documents.
    pub waiting: u64,
    /// Records that are damaged or of a newer version, and were left alone with what they name. Each is logged as a warning,
    /// with its address.
    pub unreadable: u64,
}

type Progress = Box<dyn FnMut(&CollectReport) + Send>;

/// The request of [`Store::collect`].
#[must_use = "a request does nothing until it is awaited"]
pub struct Collect {
    common: Common,
    patience: Patience,
    progress: Option<Progress>,
}

impl Collect {
    /// Calls this from time to time with what was done until then.
    pub fn progress(mut self, progress: impl FnMut(&CollectReport) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Waits for nothing: for a store that nobody else uses, and that nobody used in the last minutes, by any clock.
    ///
    /// With writers or readers about, this can remove what they are writing or reading: their calls then fail, cleanly, but for
    /// requests that are delayed in the network, which can leave what nothing names.
    pub fn without_waiting(mut self) -> Self {
        self.patience = Patience {
            abandoned_after: Duration::ZERO,
            read_grace: Duration::ZERO,
            request_horizon: Duration::ZERO,
            log_lease: Duration::ZERO,
        };
        self
    }

    async fn run(self) -> Result<CollectReport> {
        let Self {
            common,
            patience,
            progress,
        } = self;
        let mut progress = progress.unwrap_or_else(|| Box::new(|_| {}));
        Operation::run(common.store.inner, "collect", None, common.timeout, async |operation| {
            let mut report = CollectReport::default();
            collect_logs(&operation, patience, &mut report).await?;
            progress(&report);
            collect_generations(&operation, patience, &mut report, &mut progress).await?;
            collect_tombstones(&operation, patience, &mut report, &mut progress).await?;
            Ok(report)
        })
        .await
    }
}

impl_request!([] Collect => Result<CollectReport>);

/// Before the generations: the rows of logs name some.
async fn collect_logs(operation: &Operation, patience: Patience, report: &mut CollectReport) -> Result<()> {
    let swept = log::sweep(operation, patience).await?;
    report.logs_removed += swept.logs;
    report.log_rows_purged += swept.rows;
    report.waiting += swept.waiting;
    report.unreadable += swept.unreadable;
    Ok(())
}

async fn collect_generations(
    operation: &Operation,
    patience: Patience,
    report: &mut CollectReport,
    progress: &mut Progress,
) -> Result<()> {
    let how = Listing::all(Read::STRONG.without_body());
    let rows = everything(&operation.store.backend, Space::Generation, &how);
    let rows = rows.try_filter_map(|(at, row)| std::future::ready(Ok(row.item().map(|_| at))));
    let mut steps = rows
        .map(|at| async { collect_generation(operation, &at?, patience).await })
        .buffer_unordered(GENERATIONS_AT_ONCE);
    while let Some(step) = steps.try_next().await? {
        report.generations += 1;
        report.generations_removed += step.generations_removed;
        report.chunks_purged += step.chunks_purged;
        report.waiting += step.waiting;
        report.unreadable += step.unreadable;
        progress(report);
    }
    Ok(())
}

/// Takes a generation as far as it goes by now.
async fn collect_generation(operation: &Operation, at: &Address, patience: Patience) -> Result<CollectReport> {
    let mut report = CollectReport::default();
    loop {
        let step = match generation::id_of(at) {
            Ok(id) => generation::advance(operation, id, patience).await,
            Err(error) => Err(error),
        };
        match step {
            Ok(Step::Advanced { purged }) => report.chunks_purged += purged,
            Ok(Step::Gone { purged }) => {
                report.chunks_purged += purged;
                report.generations_removed += 1;
                return Ok(report);
            }
            Ok(Step::InUse) => return Ok(report),
            Ok(Step::Waits(_)) => {
                report.waiting += 1;
                return Ok(report);
            }
            Err(error) if is_unreadable(&error) => {
                report.unreadable += report_unreadable(at, &error);
                return Ok(report);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn collect_tombstones(
    operation: &Operation,
    patience: Patience,
    report: &mut CollectReport,
    progress: &mut Progress,
) -> Result<()> {
    let store = &operation.store;
    let mut listing = Listing::all(Read::STRONG.without_body());
    listing.tombstones = true;
    let listed = everything(&store.backend, Space::Document, &listing);
    let mut waiting = 0;
    let old = listed.try_filter_map(|(at, occupant)| {
        let now = store.now();
        // What has ended by this clock has not by all others: a writer may still mean to change it, or a reader to read it.
        let gone_since = match &occupant {
            Occupant::Item(item) => item.expires.filter(|_| item.is_expired(now)),
            Occupant::Tombstone(rev) => Some(rev.instant()),
        };
        let purge = match gone_since {
            None => None,
            Some(since) if now.since(since) < patience.request_horizon => {
                waiting += 1;
                None
            }
            Some(_) => Some(Purge::Tombstone(at, occupant.rev())),
        };
        std::future::ready(Ok(purge))
    });
    report.tombstones_purged += operation.purge_all(old).await?;
    report.waiting += waiting;
    progress(report);
    Ok(())
}

/// Whether an error is about one record, not about the engine.
pub(crate) fn is_unreadable(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt | ErrorKind::Unsupported | ErrorKind::Codec
    )
}

/// Says which record cannot be read, and counts it.
pub(crate) fn report_unreadable(at: &Address, error: &Error) -> u64 {
    tracing::warn!(address = %at, kind = %error.kind(), %error, "a record that cannot be read is left alone");
    1
}

impl fmt::Debug for Collect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
