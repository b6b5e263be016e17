//! konserve-conformance
