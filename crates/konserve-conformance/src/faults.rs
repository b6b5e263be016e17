//! How an engine is made to fail on purpose.

use std::fmt::Debug;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The request is never sent.
    BeforeDispatch,
    /// The request is carried out, and its answer is lost.
    ReplyLost,
    /// The engine asks to slow down.
    Throttled,
}

/// Makes the calls of a namespace fail.
pub trait FaultControl: Debug + Send + Sync {
    /// Lets a call fail: the next one for 0, the one after it for 1. Replaces what was asked for before.
    fn fail(&self, fault: Fault, after: usize);

    /// Lets nothing fail any longer.
    fn clear(&self);

    /// How many calls were made so far.
    fn calls(&self) -> usize;
}
