//! Where time and randomness come from: injected, so that tests decide.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::Instant;

/// Tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock. It may jump.
    fn now(&self) -> Instant;

    /// Time since some fixed moment. Never runs backwards and goes on while the machine is suspended, where the
    /// operating system has such a clock.
    fn uptime(&self) -> Duration;
}

/// Gives random bytes.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Fills the buffer with bytes that nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}

/// The clock and the randomness that a store uses.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl Environment {
    /// Sixteen random bytes, as generations and logs are named by.
    pub fn random_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        id
    }

    /// A time between none and this.
    pub(crate) fn random_part(&self, whole: Duration) -> Duration {
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        whole.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
    }
}

impl Default for Environment {
    /// The operating system's.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that asks the operating system
    fn now(&self) -> Instant {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Instant::UNIX_EPOCH + since_epoch
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn uptime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::disallowed_methods)]
    fn uptime(&self) -> Duration {
        use std::sync::OnceLock;
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// The operating system's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// Panics only where the operating system has no randomness to give, which no program can go on from safely.
    #[allow(clippy::disallowed_methods)]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}
