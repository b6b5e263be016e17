//! The reference engine of konserve: everything in memory, and no nicer than the contract.
//!
//! [`Memory`] keeps a store as long as a handle on it lives, or, when it has a name, as long as the process lives and
//! nobody deletes it. It does what `docs/contract.md` demands and avoids what the contract leaves open: listings come in
//! a shuffled order, answers to mutations come without bodies, and it declares the limits of a real engine, so that code
//! which works on memory works elsewhere.
//!
//! [`Adversary`] goes further and makes use of everything that the contract leaves open, as a seed has it: for tests of code
//! that must not depend on the kindness of an engine.
//!
//! ```
//! use konserve_core::backend::{Address, Backend, Partition, Read, Space};
//! use konserve_memory::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> konserve_core::Result<()> {
//! let memory = Memory::new();
//! let at = Address::new(Space::Document, Partition::new("a"), 0);
//! assert_eq!(memory.read(&at, Read::STRONG).await?, None);
//! # Ok(()) }
//! ```

mod adversary;
mod builder;
mod data;
mod memory;
mod past;
mod registry;
mod shard;

pub use self::adversary::Adversary;
pub use self::builder::Builder;
pub use self::memory::Memory;
