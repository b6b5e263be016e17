//! A transport below the SDK that disturbs requests as the network and DynamoDB do on a bad day.
//!
//! It stands in front of the embedded engine, in the same process without a socket, or in front of any endpoint over the
//! network. What is sent is never altered where its signature matters, so that this works on the real DynamoDB as well.
//!
//! ```text
//! SDK ── Transport (one for each handle) ── TransportFaults (a plan decides, figures are counted) ── engine
//!                                             └─ on their way: late requests, and the past of the table
//! ```
//!
//! Nothing here waits by a clock other than tokio's, and nothing is random but by the seed of a plan: on a paused
//! single-threaded runtime the same seed gives the same course.

mod answers;
mod chance;
mod disturbance;
mod engine;
mod faults;
mod figures;
mod late;
mod past;
mod suffer;

pub use self::chance::Chance;
pub use self::disturbance::{
    Asked, CANCELLATIONS, Course, Delay, Disturbance, Loss, Plan, Refusal, SERVER_ERRORS, THROTTLING, mutates,
};
pub use self::faults::{Defect, Transport, TransportFaults};
pub use self::figures::{Figures, Tally};
