//! The checker is right: on histories that people wrote, on random ones against a naive search, and fast enough.

mod known;
mod known_logs;
mod random;
mod worlds;
