//! What this engine promises beyond the contract that the conformance suite checks: requests on the wire, the table's
//! life, limits, answers in parts, and what errors mean.

mod conditions;
mod disturbed;
mod engine;
mod faults;
mod lifecycle;
mod limits;
mod listings;
mod observability;
mod outcomes;
mod recorded;
mod requests;
mod snapshots;
mod support;
mod tables;
mod xray;
