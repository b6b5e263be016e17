//! What the author of an engine implements, and the words it is said in.
//!
//! An engine stores [`Item`]s at [`Address`]es and compares revisions. It knows nothing of documents, paths, logs or
//! codecs, and nothing here may teach it. The clauses of the contract are numbered in `docs/contract.md`; the crate
//! `konserve-conformance` checks an engine against each of them.

mod address;
mod capabilities;
mod condition;
mod deadline;
mod encoding;
mod item;
mod requests;
mod shared;
mod stats;

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use self::address::{Address, Partition, Space};
pub use self::capabilities::{Capabilities, Durability, Reach, TransactionLimits};
pub use self::condition::When;
pub use self::deadline::{deadline, until};
pub use self::item::{Item, Occupant};
pub use self::requests::{
    Committed, Listing, ListingPart, Mutation, Order, Previous, Purge, Read, Refusal, RowQuery, Written,
};
pub use self::stats::{Distribution, EngineStats, RequestStats};

use crate::{Result, Rev};

/// A storage engine.
///
/// No method has a default: a wrapper that forgets one must not compile. A refused condition is a value
/// ([`Written::Refused`]), not an error; absence is `None`, and only absence is. What an engine cannot do it declares in
/// its [`Capabilities`] and answers with an error of kind `unsupported`, leaving everything untouched.
///
/// # Terms
///
/// An address is *vacant* when nothing was ever written there or what was there has been purged. Otherwise it has an
/// [`Occupant`]: an item, or the tombstone that a removal left. An item whose `expires` is not after the engine's clock
/// counts as a tombstone of its revision everywhere: in reads, in listings and in conditions.
///
/// # Revisions
///
/// The revisions of one address only grow: every condition over an occupant demands a revision higher than the occupant's
/// (see [`When`]). One exception: a write or a removal whose revision is already stored *is* the stored one, arriving
/// again. It is [`Written::Applied`], whatever its condition, and changes nothing.
///
/// # Errors
///
/// Every method may answer `throttled`, `unavailable`, `denied` and `closed`. A mutation says with
/// [`Outcome`](crate::Outcome) whether it may have been applied; an engine that does not know says
/// [`Outcome::Unknown`](crate::Outcome::Unknown), and never answers `Refused` or `Applied` for what it does not know.
///
/// # Cancellation
///
/// Dropping the future of a read has no effect. Dropping the future of a mutation leaves it applied or not applied as a
/// whole, now or later, but no later than a request can be on its way
/// ([`Options::request_horizon_ms`](crate::store::Options::request_horizon_ms)); the same holds when the process dies.
#[async_trait]
pub trait Backend: Debug + Send + Sync + 'static {
    /// What this engine can do and how much of it. Constant for the life of the handle.
    fn capabilities(&self) -> Capabilities;

    /// What tells this store from all others that are open in this process; `None` when the engine does not know.
    /// Constant for the life of the handle.
    ///
    /// Handles of equal identity share what spares requests, such as the locks of keys, and nothing that anybody's answer
    /// depends on.
    ///
    /// # Behavior
    ///
    /// - All handles of a store that were opened in the same way have the same identity, clones and other handles alike.
    /// - Different stores have different ones, those of other engines included: begin it with the engine's name. It may hold
    ///   no secret.
    /// - A wrapper has the identity of what it wraps.
    fn identity(&self) -> Option<String>;

    /// The item at an address.
    ///
    /// # Behavior
    ///
    /// - `None` when the address is vacant or holds a tombstone or an expired item, and in no other case.
    /// - A strong read ([`Read::strong`]) sees every mutation that was acknowledged before it began, through whatever
    ///   handle. Another read may lag, each by itself, but returns something that was once stored there whole.
    /// - Meta and body come from one and the same write. Without [`Read::body`], the body is `None`.
    ///
    /// # Errors
    ///
    /// `unsupported` for a strong read where [`Capabilities::strong_reads`] is `false`.
    async fn read(&self, at: &Address, how: Read) -> Result<Option<Item>>;

    /// The items at several addresses, in the order of the addresses.
    ///
    /// # Behavior
    ///
    /// - Each as by [`read`](Self::read). Any number of addresses, repeated ones and none included.
    /// - Complete or an error: what the engine left out of one answer is asked for again.
    /// - Together they are one view only with [`Read::snapshot`]: all as of one moment between the call and its answer. That is a
    ///   strong read, and one that no [`commit`](Self::commit) comes in between. Works for as many different addresses as a
    ///   commit takes mutations, and for as many bytes, bodies included, asked for or not.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). With [`Read::snapshot`], `unsupported` where [`Capabilities::transactions`] is `None`, and above its
    /// limits `too_many_items`, before anything is sent, and, unless it works all the same, `too_large`.
    async fn read_many(&self, at: &[Address], how: Read) -> Result<Vec<Option<Item>>>;

    /// Stores an item if the condition holds, atomically with checking it.
    ///
    /// # Behavior
    ///
    /// - [`Written::Applied`] tells what was replaced, or [`Previous::Unknown`] where the engine cannot tell; meta is part
    ///   of it, the body only where it costs nothing.
    /// - [`Written::Refused`] tells what is there, as of the check, with meta, and the body where that costs nothing.
    ///   Nothing was changed; but to keep an earlier attempt out that may still arrive, an engine may leave a tombstone of a
    ///   revision below this one where the address is vacant.
    ///
    /// # Errors
    ///
    /// `too_large` for an item above [`Capabilities::item_limit`] or a partition text above
    /// [`Capabilities::longest_partition`], checked before anything is sent.
    async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written>;

    /// Replaces the occupant by a tombstone of revision `rev` if the condition holds, atomically with checking it.
    ///
    /// # Behavior
    ///
    /// - A tombstone is left also where the address was vacant: it fences off writes that are still on their way.
    /// - [`Previous::Known`] is required here, except when `rev` is already stored, or was and has been overwritten since.
    /// - Otherwise as [`write`](Self::write).
    async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written>;

    /// Applies all mutations or none, as one atomic step.
    ///
    /// # Behavior
    ///
    /// - No reader and no other mutation of a single item or of a commit sees a part of it.
    /// - [`Committed::Refused`] names at least one mutation whose condition does not hold, in ascending order of index
    ///   and as many as the engine knows, each with what is there. Nothing was changed, as for a write.
    /// - A commit of which any write or removal is already stored happened as a whole: it is [`Committed::Applied`] and
    ///   changes nothing.
    ///
    /// # Requires
    ///
    /// At least one mutation, no address twice, and no [`Mutation::Check`] with [`When::Always`] or [`When::Newer`];
    /// otherwise `invalid_input`.
    ///
    /// # Errors
    ///
    /// `unsupported` where [`Capabilities::transactions`] is `None`; `too_many_items` and `too_large` above its limits,
    /// checked before anything is sent.
    async fn commit(&self, all: Vec<Mutation>) -> Result<Committed>;

    /// Erases physically and without a trace: rows that are never written again, and tombstones that are old enough.
    ///
    /// # Behavior
    ///
    /// - [`Purge::Row`] makes the address vacant, whatever is there.
    /// - [`Purge::Tombstone`] makes the address vacant if it still holds this very tombstone (or an expired item of this
    ///   revision), and otherwise leaves it alone.
    /// - Any number, each by itself; repeating is harmless. After an error some may be done.
    async fn purge(&self, what: &[Purge]) -> Result<()>;

    /// The items of one partition whose rows lie in a range, ordered by row.
    ///
    /// # Behavior
    ///
    /// - Every item of the range that is there during the whole read comes, once, in the order asked for; one that comes or
    ///   goes meanwhile may or may not. Tombstones and expired items do not come.
    /// - Unless [`RowQuery::how`] is strong, each row by itself may lag as by [`read`](Self::read): one that came recently may be
    ///   missing, one that went recently may come.
    /// - All pages. After an error the stream ends.
    /// - [`RowQuery::limit`] is the number of items to deliver; the engine does not fetch many more than that.
    fn rows(&self, query: RowQuery) -> BoxStream<'static, Result<(u64, Item)>>;

    /// Everything in one space.
    ///
    /// # Behavior
    ///
    /// - Every occupant that is there during the whole listing comes, once; one that comes or goes meanwhile may or may
    ///   not. Without [`Listing::tombstones`], items come that have not expired; with it, everything that is stored, tombstones and
    ///   expired items, these as they were written: who purges them has to know when they ended.
    /// - Unless [`Listing::how`] is strong, each address by itself may lag, as in [`rows`](Self::rows).
    /// - The order is the engine's own and nothing may rely on it, but it is stable: with [`Listing::after`], the listing
    ///   goes on behind that address, whether or not there is still something at it.
    /// - With [`Listing::part`], only what is in that part. Each part has an order of its own.
    /// - All pages. Removing, writing or purging what was delivered disturbs nothing. After an error the stream ends.
    fn list(&self, space: Space, how: Listing) -> BoxStream<'static, Result<(Address, Occupant)>>;

    /// What this handle has sent so far, in figures.
    ///
    /// # Behavior
    ///
    /// - Figures only grow, and are there after [`close`](Self::close) as well. Asking sends nothing.
    /// - An engine that sends no requests, or does not count them, answers with the default.
    /// - A wrapper answers with what it wraps.
    fn stats(&self) -> EngineStats;

    /// The parts in which a listing like this one is best read now: side by side, each as a listing of its own. At least one.
    ///
    /// # Behavior
    ///
    /// - An address is in exactly one of the parts that are named together, whether or not anything is there. So the parts
    ///   bring what the whole ([`ListingPart::whole`]) brings.
    /// - It may name others each time; what it once named can be listed ever after, by every handle and after a restart. One
    ///   that the engine never names is `invalid_input`, and so is a part for listings of another kind
    ///   ([`Listing::how`], [`Listing::tombstones`]) than it was named for, if that makes a difference.
    /// - Asks nobody: [`Listing::part`] and [`Listing::after`] are not looked at, and a closed handle may answer.
    ///
    /// An engine that cannot read a space in parts answers with the whole.
    fn parts(&self, space: Space, how: &Listing) -> Vec<ListingPart>;

    /// Lets go of everything the handle holds. Later calls on it answer `closed`; other handles are not concerned.
    ///
    /// # Behavior
    ///
    /// - Acknowledged mutations are as durable as [`Capabilities::durability`] says before this returns. Closing twice is
    ///   harmless.
    async fn close(&self) -> Result<()>;
}
