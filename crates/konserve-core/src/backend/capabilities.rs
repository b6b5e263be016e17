//! What an engine declares that it can do.

/// What an engine can do and how much of it. Constant for the life of a handle.
///
/// What is not declared is answered with an error of kind `unsupported`, and nothing is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether [`commit`](super::Backend::commit) works, and up to where.
    pub transactions: Option<TransactionLimits>,
    /// The most bytes of meta and body of one item together; `None` when there is no limit. At least 4 KiB. Larger values
    /// are split into chunks, which takes transactions.
    pub item_limit: Option<usize>,
    /// The most bytes of a partition's text. At least 256. Longer keys are hashed.
    pub longest_partition: usize,
    /// Whether strong reads work. Without them there are no updates and no logs.
    pub strong_reads: bool,
    /// How far conditions and strong reads reach.
    pub reach: Reach,
    /// What an acknowledged write survives.
    pub durability: Durability,
}

impl Capabilities {
    /// An engine that can do nothing but strong reads in its own process: the start for a declaration.
    ///
    /// ```
    /// use konserve_core::backend::{Capabilities, Durability, Reach};
    ///
    /// let capabilities = Capabilities::new(Reach::Machine, Durability::Disk).with_longest_partition(1024);
    /// assert!(capabilities.transactions.is_none());
    /// ```
    pub fn new(reach: Reach, durability: Durability) -> Self {
        Self {
            transactions: None,
            item_limit: None,
            longest_partition: 256,
            strong_reads: true,
            reach,
            durability,
        }
    }

    /// Declares that [`commit`](super::Backend::commit) works within these limits.
    #[must_use]
    pub fn with_transactions(mut self, limits: TransactionLimits) -> Self {
        self.transactions = Some(limits);
        self
    }

    /// Declares the most bytes of meta and body of one item together.
    #[must_use]
    pub fn with_item_limit(mut self, bytes: usize) -> Self {
        self.item_limit = Some(bytes);
        self
    }

    /// Declares the most bytes of a partition's text.
    #[must_use]
    pub fn with_longest_partition(mut self, bytes: usize) -> Self {
        self.longest_partition = bytes;
        self
    }

    /// Declares whether strong reads work.
    #[must_use]
    pub fn with_strong_reads(mut self, strong_reads: bool) -> Self {
        self.strong_reads = strong_reads;
        self
    }
}

/// How much one [`commit`](super::Backend::commit) takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionLimits {
    /// The most mutations. At least 4.
    pub items: usize,
    /// The most bytes of meta and body of all items together. At least 4 KiB.
    pub bytes: usize,
}

/// How far conditions and strong reads reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The handles of one process.
    Process,
    /// The processes of one machine.
    Machine,
    /// Everyone who uses the store.
    Everywhere,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing: it lives as long as the process.
    Memory,
    /// The death of the process.
    Disk,
    /// The loss of a disk.
    Replicated,
}
