//! The one error type of the workspace.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarsely: what a program decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A condition that the caller stated (`if_absent`, `if_revision`) does not hold. Nothing was written.
    Conflict,
    /// Other writers kept winning until the deadline.
    Contended,
    /// A path cannot be followed for writing: a step into a scalar or a set, or a list index out of range.
    Path,
    /// The key holds something of another kind: a document, a binary or a log.
    WrongKind,
    /// The arguments make no sense together, whatever is stored.
    InvalidInput,
    /// What was to be created exists.
    AlreadyExists,
    /// What was to be opened does not exist.
    NotFound,
    /// More keys in one operation than it can take.
    TooManyItems,
    /// More bytes than the operation or the engine can take.
    TooLarge,
    /// A value does not fit the type that was asked for, or cannot be encoded.
    Codec,
    /// What is stored is damaged.
    Corrupt,
    /// Log entries below the first position were asked for.
    Trimmed,
    /// The engine, this build or this version cannot do it.
    Unsupported,
    /// The engine asks to slow down.
    Throttled,
    /// The engine did not answer, or could not.
    Unavailable,
    /// The engine refused the credentials or the rights they carry.
    Denied,
    /// A write may or may not have happened, and it could not be found out.
    UnknownOutcome,
    /// The configuration is wrong.
    Config,
    /// The store was closed.
    Closed,
}

impl ErrorKind {
    /// The name of the kind in `snake_case`, as documented and as used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Contended => "contended",
            Self::Path => "path",
            Self::WrongKind => "wrong_kind",
            Self::InvalidInput => "invalid_input",
            Self::AlreadyExists => "already_exists",
            Self::NotFound => "not_found",
            Self::TooManyItems => "too_many_items",
            Self::TooLarge => "too_large",
            Self::Codec => "codec",
            Self::Corrupt => "corrupt",
            Self::Trimmed => "trimmed",
            Self::Unsupported => "unsupported",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Config => "config",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the write that failed may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was changed by this call.
    NotApplied,
    /// The change may have been made, or may still be made.
    Unknown,
}

/// An error of a store or of its engine.
///
/// Decide on [`kind`](Error::kind), [`outcome`](Error::outcome) and [`is_retryable`](Error::is_retryable); the text is
/// for people and not a contract. Values and secrets are never part of it.
///
/// ```
/// use konserve_core::{Error, ErrorKind, Outcome};
///
/// let error = Error::new(ErrorKind::TooManyItems, "too many keys")
///     .with_operation("multi_get")
///     .with_limit(100, 101);
/// assert_eq!(error.kind(), ErrorKind::TooManyItems);
/// assert_eq!(error.limit(), Some((100, 101)));
/// assert_eq!(error.outcome(), Outcome::NotApplied);
/// assert_eq!(error.to_string(), "multi_get: too many keys: limit 100, given 101");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static str>,
    key: Option<String>,
    limit: Option<(u64, u64)>,
    position: Option<u64>,
    outcome: Outcome,
    retryable: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind. The message is lower case, without a trailing period, and does not repeat the source.
    ///
    /// The outcome is [`Outcome::Unknown`] for [`ErrorKind::UnknownOutcome`] and [`Outcome::NotApplied`] for the rest;
    /// `contended`, `throttled` and `unavailable` are retryable. Both can be set otherwise.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            key: None,
            limit: None,
            position: None,
            outcome: match kind {
                ErrorKind::UnknownOutcome => Outcome::Unknown,
                _ => Outcome::NotApplied,
            },
            retryable: matches!(
                kind,
                ErrorKind::Contended | ErrorKind::Throttled | ErrorKind::Unavailable
            ),
            source: None,
        }))
    }

    /// What a program decides on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, by the name of its method.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The key or the path concerned, in EDN.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The limit that was hit and what was given, where a limit was hit.
    pub fn limit(&self) -> Option<(u64, u64)> {
        self.0.limit
    }

    /// The position in a log that the error is about, where it is about one: of the entry that does not fit its type (`codec`), of a
    /// gap (`corrupt`), or the first one that can be read (`trimmed`).
    pub fn position(&self) -> Option<u64> {
        self.0.position
    }

    /// Whether the write that failed may have happened. For reads always [`Outcome::NotApplied`].
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether the same call can succeed later with nothing else changed.
    ///
    /// A write with an unknown outcome is not retryable in this sense: read first, or make the call conditional.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Names the operation, unless an inner layer named it.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Names the key or the path, unless an inner layer named it.
    #[must_use]
    pub fn with_key(mut self, key: impl fmt::Display) -> Self {
        self.0.key.get_or_insert_with(|| key.to_string());
        self
    }

    /// States the limit that was hit and what was given.
    #[must_use]
    pub fn with_limit(mut self, limit: u64, given: u64) -> Self {
        self.0.limit = Some((limit, given));
        self
    }

    /// States the position in a log that this is about.
    #[must_use]
    pub fn with_position(mut self, position: u64) -> Self {
        self.0.position = Some(position);
        self
    }

    /// States whether the write may have happened.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// States whether the same call can succeed later.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Keeps what caused this.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        match (inner.operation, &inner.key) {
            (Some(operation), Some(key)) => write!(f, "{operation} {key}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(key)) => write!(f, "{key}: ")?,
            (None, None) => {}
        }
        f.write_str(&inner.message)?;
        if let Some((limit, given)) = inner.limit {
            write!(f, ": limit {limit}, given {given}")?;
        }
        if inner.outcome == Outcome::Unknown {
            f.write_str(" (the write may have happened)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("key", &inner.key)
            .field("message", &inner.message)
            .field("limit", &inner.limit)
            .field("position", &inner.position)
            .field("outcome", &inner.outcome)
            .field("retryable", &inner.retryable)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
