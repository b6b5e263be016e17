//! How a store in memory is set up.

use konserve_core::backend::{Capabilities, Durability, Reach, TransactionLimits};
use konserve_core::{Environment, Result};

use crate::data::Data;
use crate::registry;
use crate::{Adversary, Memory};

/// The least that an engine may declare as its item limit, in bytes.
const LEAST_ITEM_LIMIT: usize = 4 * 1024;
/// The least that an engine may declare as its longest partition text, in bytes.
const LEAST_PARTITION: usize = 256;
/// The least that an engine with transactions may declare as their limits.
const LEAST_TRANSACTIONS: TransactionLimits = TransactionLimits {
    items: 4,
    bytes: 4 * 1024,
};

/// Settings of a new store in memory.
///
/// The defaults are the limits of a real engine: items of 400 KiB, transactions of 100 items and 4 MB, partition texts of
/// 1024 bytes; the system's clock; a random order of listing.
///
/// ```
/// use konserve_core::backend::Backend;
/// use konserve_memory::Memory;
///
/// let memory = Memory::builder().seed(7).item_limit(4096).transactions(None).build();
/// assert_eq!(memory.capabilities().item_limit, Some(4096));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    environment: Environment,
    seed: Option<u64>,
    item_limit: Option<usize>,
    longest_partition: usize,
    transactions: Option<TransactionLimits>,
    strong_reads: bool,
    late_arrivals: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            environment: Environment::default(),
            seed: None,
            item_limit: Some(400 * 1024),
            longest_partition: 1024,
            transactions: Some(TransactionLimits {
                items: 100,
                bytes: 4 * 1024 * 1024,
            }),
            strong_reads: true,
            late_arrivals: false,
        }
    }

    /// The clock that items expire by, and the randomness that a seed comes from when none is given.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// What shuffles the listings. The same seed gives the same order for the same addresses.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The most bytes of meta and body of one item together, `None` for no limit. Less than 4 KiB counts as 4 KiB.
    pub fn item_limit(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.item_limit = bytes.into().map(|bytes| bytes.max(LEAST_ITEM_LIMIT));
        self
    }

    /// The most bytes of a partition's text. Less than 256 counts as 256.
    pub fn longest_partition(mut self, bytes: usize) -> Self {
        self.longest_partition = bytes.max(LEAST_PARTITION);
        self
    }

    /// The limits of transactions, `None` for an engine that has none.
    pub fn transactions(mut self, limits: impl Into<Option<TransactionLimits>>) -> Self {
        self.transactions = limits.into();
        self
    }

    /// Whether strong reads work. Without them there are no updates and no logs.
    pub fn strong_reads(mut self, strong_reads: bool) -> Self {
        self.strong_reads = strong_reads;
        self
    }

    /// The least that the contract demands of every engine: items of 4 KiB, transactions of 4 items and 4 KiB, partition
    /// texts of 256 bytes.
    pub fn least_limits(self) -> Self {
        self.item_limit(LEAST_ITEM_LIMIT)
            .longest_partition(LEAST_PARTITION)
            .transactions(LEAST_TRANSACTIONS)
    }

    /// Whether writes, removals and commits whose futures were dropped may take effect later: up to ten seconds by the clock
    /// of the [`environment`](Self::environment), while others use the store. Only for an [`adversary`](Self::adversary). Default
    /// `false`: then they take effect at once or not at all.
    pub fn late_arrivals(mut self, late_arrivals: bool) -> Self {
        self.late_arrivals = late_arrivals;
        self
    }

    /// A new store without a name. It lives as long as handles on it do.
    #[must_use]
    pub fn build(self) -> Memory {
        Memory::over(self.into_data(Data::new))
    }

    /// A new store without a name that is as unkind as the contract allows. Everything that it does follows from the
    /// [`seed`](Self::seed).
    #[must_use]
    pub fn adversary(self) -> Adversary {
        let late_arrivals = self.late_arrivals;
        Adversary::over(Memory::over(self.into_data(Data::with_past)), late_arrivals)
    }

    /// A new store of this name, for the whole process, until it is deleted.
    ///
    /// # Errors
    ///
    /// `already_exists` when there is one.
    pub fn create(self, name: &str) -> Result<Memory> {
        registry::create(name, || self.into_data(Data::new)).map(Memory::sharing)
    }

    /// The store of this name, with the settings it was created with; a new one with these settings when there is none.
    #[must_use]
    pub fn open(self, name: &str) -> Memory {
        Memory::sharing(registry::open(name, || self.into_data(Data::new)))
    }

    fn into_data(self, make: fn(Capabilities, Environment, u64) -> Data) -> Data {
        let mut capabilities = Capabilities::new(Reach::Process, Durability::Memory);
        capabilities.transactions = self.transactions;
        capabilities.item_limit = self.item_limit;
        capabilities.longest_partition = self.longest_partition;
        capabilities.strong_reads = self.strong_reads;
        let seed = self.seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            self.environment.entropy.fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        });
        make(capabilities, self.environment, seed)
    }
}
