//! Writers on handles of one store, whose calls are recorded, and whether what they saw is linearizable.
//!
//! Used by the runs that follow from a seed, in one process, and by those of several processes, whose histories are put
//! together.

mod histories;
mod process;
mod world;
mod writer;

pub use self::histories::{Histories, Object, Summary};
pub use self::process::{Share, Work, read_at_last};
pub use self::world::{CALLS, SeededRun, VirtualClock, run_seed, run_seed_with};
pub use self::writer::{Outcomes, Writer};
