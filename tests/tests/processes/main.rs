//! Several processes on one store: nothing is lost between them, one that is killed leaves old or new, and what each takes is
//! bounded.
//!
//! The program `writer` of this package is the processes; the engine is in the process of the test, or in one of its own.

mod appending;
mod child;
mod collectors;
mod killed;
mod large;
mod together;
