//! Histories of concurrent calls, and whether they are linearizable.
//!
//! What lives here knows calls and answers, and nothing of engines or stores: a [`Recorder`] that tasks share, the search
//! ([`check`]), and the sequential objects that histories are held against. What makes histories is in `concurrency`.

mod bits;
mod checker;
mod counter;
mod documents;
mod history;
mod items;
mod log;
#[cfg(test)]
mod tests;

pub(crate) use self::checker::{Finding, check};
pub(crate) use self::counter::{Counter, CounterAnswer, CounterCall};
pub(crate) use self::documents::{Documents, DocumentsAnswer, DocumentsCall, Only, ValueId};
pub(crate) use self::history::{History, Pending, Recorder};
pub(crate) use self::items::{Items, ItemsAnswer, ItemsCall, Part, Place};
pub(crate) use self::log::{LogAnswer, LogCall, check_log};
