//! Choices that follow from a seed, and pauses that are chosen so.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The step of SplitMix64, whose outputs pass for random however alike the seeds are.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Makes choices. The same seed makes the same ones in the same order.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// One that makes choices of its own, which do not depend on how many are made here meanwhile.
    pub(crate) fn branch(&self) -> Self {
        Self::new(self.next())
    }

    /// A number below `bound`. 0 where the bound is.
    pub(crate) fn below(&self, bound: usize) -> usize {
        // Below the bound, which is a `usize`.
        self.next().checked_rem(bound as u64).unwrap_or(0) as usize
    }

    /// Yes once in so many times.
    pub(crate) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A habit, which is as likely to be never, now and then, or always.
    pub(crate) fn habit(&self) -> Habit {
        match self.below(3) {
            0 => Habit::Never,
            1 => Habit::Sometimes,
            _ => Habit::Always,
        }
    }

    /// Whether somebody of this habit does it this time.
    pub(crate) fn keeps(&self, habit: Habit) -> bool {
        match habit {
            Habit::Never => false,
            Habit::Sometimes => self.one_in(2),
            Habit::Always => true,
        }
    }

    /// Lets others go first, often not at all and now and then for long.
    pub(crate) fn pause(&self) -> Pause {
        Pause(match self.one_in(8) {
            true => self.below(24),
            false => self.below(3),
        })
    }

    fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// How often something is done. What is done at random is found by trying again: habits find who counts on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Never,
    Sometimes,
    Always,
}

/// Gives up the turn so many times.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pause(usize);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = self.0.checked_sub(1) else {
            return Poll::Ready(());
        };
        self.0 = rest;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
