//! How much memory this process takes, where the operating system is Linux.

use std::fs;

/// What this process takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What is resident now: `VmRSS`.
    pub resident: u64,
    /// The most that was resident at any time: `VmHWM`.
    pub peak: u64,
}

impl Memory {
    /// What it takes now; `None` where nobody says.
    pub fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kilobytes * 1024)
        };
        Some(Self {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}
