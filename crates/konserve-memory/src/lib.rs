//! konserve-memory
