//! What a store does, on the reference engine.

mod appends;
mod binaries;
mod clocks;
mod crashes;
mod documents;
mod eventual;
mod expiry;
mod faults;
mod folds;
mod following;
mod logs;
mod multi;
mod multi_get;
mod ranges;
mod support;
mod trims;
mod updates;
