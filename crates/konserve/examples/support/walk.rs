//! The steps of a walkthrough: each call is printed with what it returned, and checked.

use std::error::Error as StdError;
use std::fmt::{self, Debug};
use std::time::Duration;

use konserve::dynamodb::RequestCounter;
use konserve::value::to_value;
use konserve::{Environment, Error, Value};
use serde::Serialize;

use super::engine::requests;

/// The most characters of a returned value that are printed.
const LONGEST: usize = 160;

/// Why a walkthrough ended early.
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// An error with all that caused it.
    pub(crate) fn of(error: &dyn StdError) -> Self {
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(error) = next {
            message.push_str(&format!(": {error}"));
            next = error.source();
        }
        Self(message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a walkthrough is.
pub(crate) struct Walk {
    counter: Option<RequestCounter>,
    environment: Environment,
    steps: u32,
}

impl Walk {
    /// At the start.
    pub(crate) fn new(counter: Option<RequestCounter>) -> Self {
        let environment = Environment::default();
        Self {
            counter,
            environment,
            steps: 0,
        }
    }

    /// How many steps were begun.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }

    /// Begins a step.
    pub(crate) fn step(&mut self, subject: &str) {
        self.steps += 1;
        println!("\n{}. {subject}", self.steps);
    }

    /// Prints a call that has been made, and hands out what it returned.
    pub(crate) fn made<T: Serialize>(&self, call: &str, returned: Result<T, Error>) -> Result<T, Failure> {
        let requests = self.requests();
        match returned {
            Ok(value) => {
                println!("   {call} => {}{requests}", shown(&value)?);
                Ok(value)
            }
            Err(error) => {
                println!("   {call} failed{requests}");
                Err(error.into())
            }
        }
    }

    /// Prints a call that has been made, which must have returned this.
    pub(crate) fn returned<T: Serialize + PartialEq>(
        &self,
        call: &str,
        returned: Result<T, Error>,
        must: T,
    ) -> Result<(), Failure> {
        match self.made(call, returned)? {
            value if value == must => Ok(()),
            _ => Err(Failure::new(format!("{call} must return {}", shown(&must)?))),
        }
    }

    /// Prints a call that must have been refused because of too many keys, with nothing sent.
    pub(crate) fn refused<T: Debug>(
        &self,
        call: &str,
        returned: Result<T, Error>,
        limit: u64,
        given: u64,
    ) -> Result<(), Failure> {
        let sent = self.counter.as_ref().map_or(0, RequestCounter::total);
        let requests = self.requests();
        let Err(error) = returned else {
            return Err(Failure::new(format!("{call} must be refused")));
        };
        println!("   {call} => {}: {error}{requests}", error.kind());
        if error.kind() != konserve::ErrorKind::TooManyItems || error.limit() != Some((limit, given)) || sent != 0 {
            let message = format!("{call} must be refused with limit {limit} and {given} given, and no request");
            return Err(Failure::new(message));
        }
        Ok(())
    }

    /// States what must be true.
    pub(crate) fn check(&self, what: &str, is_true: bool) -> Result<(), Failure> {
        match is_true {
            true => {
                println!("   checked: {what}");
                Ok(())
            }
            false => Err(Failure::new(format!("this is not true: {what}"))),
        }
    }

    /// The time, as a start for [`since`](Self::since).
    pub(crate) fn now(&self) -> Duration {
        self.environment.clock.uptime()
    }

    /// Says how long so many bytes took.
    pub(crate) fn since(&self, start: Duration, what: &str, bytes: usize) {
        let seconds = (self.now().saturating_sub(start)).as_secs_f64();
        let mib = bytes as f64 / f64::from(1 << 20);
        println!("   {what}: {seconds:.3} s, {:.1} MiB/s", mib / seconds.max(1e-9));
    }

    fn requests(&self) -> String {
        self.counter.as_ref().map(requests).unwrap_or_default()
    }
}

/// A value as EDN.
fn shown(value: &impl Serialize) -> Result<String, Failure> {
    let value: Value = to_value(value)?;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Ok(format!("{}…", &text[..end])),
        None => Ok(text),
    }
}
