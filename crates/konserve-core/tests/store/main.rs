//! What a store does, on the reference engine.

mod appends;
mod binaries;
mod clocks;
mod crashes;
mod documents;
mod eventual;
mod expiry;
mod faults;
mod logs;
mod multi;
mod multi_get;
mod support;
mod updates;
