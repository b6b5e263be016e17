//! konserve
