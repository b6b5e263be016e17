//! Why a trial failed, and where in it.

use std::fmt;
use std::panic::Location;

use konserve_core::{Error, ErrorKind};

/// How long the description of one value may get.
const LONGEST: usize = 600;

/// How a trial ends.
pub(crate) type Verdict<T = ()> = std::result::Result<T, Failure>;

/// Why a trial failed, and where in it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    location: &'static Location<'static>,
}

impl Failure {
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            location: Location::caller(),
        }
    }

    /// It happened under these circumstances.
    pub(crate) fn within(mut self, circumstances: impl fmt::Display) -> Self {
        self.message = format!("{circumstances}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  at {}", self.message, self.location)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format!("the engine answered with an error: {error}: {error:?}"))
    }
}

/// The error of a call that must fail with this kind.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(kind: ErrorKind, what: &str, answer: Result<T, Error>) -> Verdict<Error> {
    match answer {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Failure::new(format!(
            "{what}: expected an error of kind {kind}, got {error:?}"
        ))),
        Ok(answer) => Err(Failure::new(format!(
            "{what}: expected an error of kind {kind}, got {}",
            brief(&answer)
        ))),
    }
}

/// A value as it is shown, cut where it gets long.
pub(crate) fn brief(value: &(impl fmt::Debug + ?Sized)) -> String {
    let mut text = format!("{value:?}");
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// Fails the trial unless a condition holds.
macro_rules! check {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err($crate::failure::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails the trial unless something is as expected.
macro_rules! same {
    ($actual:expr, $expected:expr, $($message:tt)+) => {
        match (&$actual, &$expected) {
            (actual, expected) => {
                if actual != expected {
                    return Err($crate::failure::Failure::new(format!(
                        "{}: expected {}, got {}",
                        format_args!($($message)+),
                        $crate::failure::brief(expected),
                        $crate::failure::brief(actual),
                    )));
                }
            }
        }
    };
}

pub(crate) use {check, same};
