//! What is random in a test, by a seed that is printed: for tests, and for the stores in them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use konserve_core::{Entropy, Environment};

/// The seed of an earlier run, to repeat what was random in it.
const SEED: &str = "KONSERVE_TESTS_SEED";

/// Numbers that follow from a seed: SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// By the seed in `KONSERVE_TESTS_SEED`, or else by a new one. Prints it: a test that fails shows it.
    pub fn from_environment() -> Self {
        let given = std::env::var(SEED).ok();
        let seed = match given {
            Some(given) => given.parse().expect("KONSERVE_TESTS_SEED is a number"),
            None => {
                let id = Environment::default().random_id();
                u64::from_le_bytes(id[..8].try_into().expect("eight bytes"))
            }
        };
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// By this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit above 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// The same for what is counted.
    pub fn index(&mut self, limit: usize) -> usize {
        self.below(limit as u64) as usize
    }

    /// A time of at most this length, to the microsecond.
    pub fn duration(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64 + 1))
    }
}

/// The entropy of a store whose revisions and pauses follow from a seed.
#[derive(Debug, Clone)]
pub struct Seeded(Arc<Mutex<Random>>);

impl Seeded {
    /// The entropy of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Random::new(seed))))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bytes in buffer.chunks_mut(8) {
            let number = random.number().to_le_bytes();
            bytes.copy_from_slice(&number[..bytes.len()]);
        }
    }
}
