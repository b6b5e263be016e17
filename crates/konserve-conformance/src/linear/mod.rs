//! Histories of concurrent calls, and whether they are linearizable.
//!
//! What lives here knows calls and answers, and nothing of engines or stores: a [`Recorder`] that tasks share, the search
//! (`check`), and the sequential objects that histories are held against. What makes histories is in `concurrency`, and in
//! tests of other crates that make their own:
//!
//! ```
//! use konserve_conformance::linear::{LogAnswer, LogCall, Recorder, check_log};
//!
//! let recorder = Recorder::new();
//! recorder.invoke(0, LogCall::Append(vec![7])).returned(LogAnswer::Appended(0));
//! recorder.invoke(1, LogCall::Read { last: None }).returned(LogAnswer::Entries(vec![]));
//! // The entry was acknowledged before the reading began.
//! assert!(check_log(&recorder.history()).is_err());
//! ```

mod bits;
mod checker;
mod counter;
mod documents;
mod history;
mod items;
mod log;
#[cfg(test)]
mod tests;

pub use self::checker::Finding;
pub(crate) use self::checker::check;
pub(crate) use self::counter::{Counter, CounterAnswer, CounterCall};
pub use self::documents::{DocumentsAnswer, DocumentsCall, Only, ValueId, check_documents};
pub use self::history::{End, History, Operation, Pending, Recorder};
pub(crate) use self::items::{Items, ItemsAnswer, ItemsCall, Part, Place};
pub use self::log::{LogAnswer, LogCall, check_log};
