//! How a store behaves, apart from its engine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::Codec;

/// How a store behaves, apart from its engine. Everything has a default; unknown fields are refused.
///
/// All of it can be changed at any time without migration: each record says itself how it is to be read. The times
/// (`max_clock_drift_ms` and those below it) are an agreement between all who use a store: a collector that waits for less
/// than a writer needs can remove what it is writing. Change them while nobody else is at it.
///
/// ```
/// use konserve_core::store::Options;
///
/// let options: Options = serde_json::from_str(r#"{ "codec": "json", "consistent_read": true }"#)?;
/// assert!(options.consistent_read);
/// assert!(serde_json::from_str::<Options>(r#"{ "consistent_reads": true }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// The codec of new documents and log entries. Default CBOR.
    pub codec: Codec,
    /// Whether reads are strong unless they say otherwise. Default `false`: a read may lag behind a write, even one's own,
    /// on engines whose reads can. Updates always read strongly.
    pub consistent_read: bool,
    /// The most bytes of a record that is stored as one item; a larger one is split into chunks. Default and upper bound:
    /// what the engine can store as one item.
    pub inline_limit: Option<usize>,
    /// The bytes of a chunk, before compression. Default 384 KiB; at least 1 KiB, and never more than fits into one item of the
    /// engine.
    pub chunk_size: usize,
    /// How many chunks of one value are on their way at the same time, and for a stream how many are in memory. Default 8.
    ///
    /// A stream in or out takes this times [`chunk_size`](Self::chunk_size), whatever its length, and what the engine needs to
    /// carry that: on DynamoDB, which has bytes as text on the wire, about three times as much on top, so 12 MiB with the
    /// defaults. Reads of a whole value ask for more at a time, as they have it in memory in the end anyway: for four
    /// answers of up to 15 MiB each.
    pub chunks_in_flight: usize,
    /// How long an update or an append goes on trying while other writers win, in milliseconds, from when it holds the lock of
    /// its key; and for how long it waits for one of this process that holds that lock and does not go on, an append for one before
    /// it in the queue of the log and then for that lock. Default 30,000.
    pub contention_timeout_ms: u64,
    /// The most entries that appends of several tasks to one log are put together in one item; its size is another bound. Default
    /// 4,096.
    pub append_batch: u64,
    /// How far apart the clocks of all who use the store may be, in milliseconds. Default 5 minutes, which is also what AWS
    /// accepts in a signature. A stored revision that is further ahead is an error, and whatever waits for time to pass by
    /// somebody else's clock waits for this much longer.
    pub max_clock_drift_ms: u64,
    /// Whether a writer that replaced or removed a large value removes its chunks in the background, and one that trimmed a log its
    /// items. Default `true`; otherwise only [`collect`](crate::Store::collect) does. To it is left as well what a call on several keys removed, or replaced by
    /// values that are all small: such a call is one transaction, which does not tell what was there. About a
    /// thousand replaced values wait for their end at a time, 20 minutes and more each; what comes on top is left to it too.
    pub background_cleanup: bool,
    /// How long the chunks of a replaced value stay readable for readers that have begun, in milliseconds. Default 60,000.
    pub read_grace_ms: u64,
    /// After how long a large write that does not go on counts as abandoned, in milliseconds. Default one hour.
    pub abandoned_after_ms: u64,
    /// The longest that a request can be on its way before it takes effect, in milliseconds. Tombstones live longer than that.
    /// Default 15 minutes.
    pub request_horizon_ms: u64,
    /// For how long a writer may go on by what it knows of a log, in milliseconds: the items of a log that was removed or trimmed are
    /// kept for this and for the request horizon, with the clock drift. Default 10 minutes.
    pub log_lease_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            codec: Codec::Cbor,
            consistent_read: false,
            inline_limit: None,
            chunk_size: 384 * 1024,
            chunks_in_flight: 8,
            contention_timeout_ms: 30_000,
            append_batch: 4096,
            max_clock_drift_ms: 5 * 60 * 1000,
            background_cleanup: true,
            read_grace_ms: 60_000,
            abandoned_after_ms: 60 * 60 * 1000,
            request_horizon_ms: 15 * 60 * 1000,
            log_lease_ms: 10 * 60 * 1000,
        }
    }
}

impl Options {
    pub(crate) fn contention_timeout(&self) -> Duration {
        Duration::from_millis(self.contention_timeout_ms)
    }

    pub(crate) fn max_clock_drift(&self) -> Duration {
        Duration::from_millis(self.max_clock_drift_ms)
    }

    pub(crate) fn read_grace(&self) -> Duration {
        Duration::from_millis(self.read_grace_ms)
    }

    pub(crate) fn abandoned_after(&self) -> Duration {
        Duration::from_millis(self.abandoned_after_ms)
    }

    pub(crate) fn request_horizon(&self) -> Duration {
        Duration::from_millis(self.request_horizon_ms)
    }

    pub(crate) fn log_lease(&self) -> Duration {
        Duration::from_millis(self.log_lease_ms)
    }
}
