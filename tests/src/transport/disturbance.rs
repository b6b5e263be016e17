//! What can happen to a request, and who decides it.

use std::time::Duration;

/// The codes by which DynamoDB asks to slow down, as they come over the wire.
pub const THROTTLING: [&str; 3] = [
    "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "com.amazon.coral.availability#ThrottlingException",
    "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
];

/// The reasons for which a transaction is cancelled that are worth another try.
pub const CANCELLATIONS: [&str; 3] = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];

/// The answers of a server, or of who stands before it, that do not say what became of the request.
pub const SERVER_ERRORS: [(u16, Option<&str>); 7] = [
    (500, Some("com.amazonaws.dynamodb.v20120810#InternalServerError")),
    (503, Some("com.amazonaws.dynamodb.v20120810#ServiceUnavailable")),
    (500, Some("com.amazon.coral.service#InternalFailure")),
    (500, None),
    (502, None),
    (503, None),
    (504, None),
];

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// There is no connection, so that it is certain that nothing is sent.
    NoConnection,
    /// It is carried out, and this is all that is heard of it.
    ReplyLost(Loss),
    /// It is never carried out, and this is all that is heard of it.
    RequestLost(Loss),
    /// This is heard of it, and it is carried out later: a zombie whose first arrival is late.
    Late(Loss, Delay),
    /// It is carried out and answered, and if that was a success, the same bytes arrive once more: a zombie.
    Again(Delay),
    /// DynamoDB refuses it.
    Refused(Refusal),
    /// Of many parts, some are carried out or delivered, and the rest is left to be asked for again; a page ends early. What
    /// has no parts is throttled.
    Partly,
    /// A read that is not strong is answered as it would have been this many mutations ago. Everything else is not disturbed.
    Stale(usize),
}

impl Disturbance {
    /// Whether the caller is told of it, or the request comes more than once: not what only takes time or is allowed of any
    /// read.
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::Stale(_))
    }
}

/// What is heard of a request whose answer does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks.
    Reset,
    /// The transport gives up waiting.
    Timeout,
    /// Nothing ever: the caller gives up.
    Silence,
    /// One of [`SERVER_ERRORS`], by index.
    Server(usize),
    /// `TransactionInProgressException`; for what is no transaction, `InternalServerError`.
    InProgress,
}

/// How DynamoDB refuses what it could carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By one of [`THROTTLING`], by index; of a transaction, as a reason for one of its parts.
    Throttled(usize),
    /// Another transaction is at work on the item: `TransactionConflictException`, or the reason of a transaction. Reads that
    /// are no transactions never hear this, and are throttled.
    Conflict,
    /// A transaction is cancelled for one of [`CANCELLATIONS`], by index, at one of its parts, by index. What is no transaction
    /// is throttled.
    Cancelled(usize, usize),
}

/// When something arrives that is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Before the request that comes after so many others.
    Requests(u64),
    /// After this time, by tokio's clock.
    Time(Duration),
}

/// A request, as far as plans care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// By DynamoDB's name.
    pub operation: &'a str,
    /// How many requests came before it.
    pub number: u64,
    /// Whether it can be stale: it reads, and not strongly.
    pub is_eventual: bool,
}

impl Asked<'_> {
    /// Whether it can change an item under a condition: an unknown outcome of it matters.
    pub fn mutates(&self) -> bool {
        mutates(self.operation)
    }
}

/// Whether a request of this operation can change an item under a condition.
pub fn mutates(operation: &str) -> bool {
    matches!(
        operation,
        "UpdateItem" | "TransactWriteItems" | "PutItem" | "DeleteItem"
    )
}

/// How a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// How long it takes until it arrives,
    pub before: Duration,
    /// and until its answer does.
    pub after: Duration,
    /// What happens to it.
    pub disturbance: Option<Disturbance>,
}

impl From<Option<Disturbance>> for Course {
    fn from(disturbance: Option<Disturbance>) -> Self {
        Self {
            disturbance,
            ..Self::default()
        }
    }
}

/// Decides on each request about items when it begins.
pub trait Plan: Send + Sync {
    /// How this request goes.
    fn decide(&self, asked: Asked<'_>) -> Course;
}

impl<F: Fn(Asked<'_>) -> Course + Send + Sync> Plan for F {
    fn decide(&self, asked: Asked<'_>) -> Course {
        self(asked)
    }
}
