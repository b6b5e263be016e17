//! One request from its first attempt to its last: sent, cut off at the deadline, repeated for as long as that can help.
//!
//! All requests go through here, and the SDK repeats none of them: it would not tell a refusal of the first attempt from one that
//! the first attempt itself has caused.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use konserve_core::{Error, ErrorKind, Outcome, Result, backend};
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::connection::Connection;
use crate::fault::Request;
use crate::observe::Observation;

/// What DynamoDB's answer to one attempt was.
pub(crate) type Attempt<O, E> = Result<O, SdkError<E, HttpResponse>>;

/// How the next attempt is paced, by what was wrong with the last one.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The first pause is at most this, and each one after it at most twice the one before.
    first: Duration,
    longest: Duration,
    /// What a repetition takes from the budget.
    price: u32,
}

/// DynamoDB asks to slow down.
const THROTTLED: Pace = Pace {
    first: Duration::from_millis(50),
    longest: Duration::from_secs(5),
    price: 5,
};

/// Another transaction was at the same item, and will soon be done.
const CONTENDED: Pace = Pace {
    first: Duration::from_millis(10),
    longest: Duration::from_millis(500),
    price: 1,
};

/// No answer, or none that says anything. The sooner a mutation asks again, the surer it finds its traces.
const FAILED: Pace = Pace {
    first: Duration::from_millis(25),
    longest: Duration::from_secs(2),
    price: 5,
};

/// How long an attempt of a mutation may take, beside the time for a connection and for its bytes. The sooner a mutation that got no answer asks again,
/// the surer it finds its traces.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// The slowest line that bytes are expected to come over, in bytes for each second.
const SLOWEST_LINE: u64 = 100 * 1024;

/// One request, with all its attempts.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    connection: &'a Connection,
    request: Request<'a>,
    deadline: Instant,
    /// How long an attempt may take, if less than what the client is told.
    attempt_timeout: Option<Duration>,
    /// Attempts, but for the last one, since there was progress.
    pauses: u32,
    /// What the last repetition took from the budget.
    paid: u32,
    /// Some attempt may have been applied, now or later.
    in_doubt: bool,
    /// What the attempt before this one failed with.
    before: Option<Error>,
    /// The last attempt ended because the time of the whole request was over.
    is_cut: bool,
    observation: Observation<'a>,
}

impl Connection {
    /// Sends a request that can be repeated blindly until it is answered.
    pub(crate) async fn ask<O, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<O>
    where
        O: Answer,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        F: Future<Output = Attempt<O, E>>,
    {
        let mut call = self.call(operation, false)?;
        loop {
            match call.attempt(Box::pin(send())).await {
                Ok(output) => return Ok(output),
                Err(error) => call.again(call.failed(error)).await?,
            }
        }
    }

    /// For a request whose attempts need more than repeating; `mutates` when repeating it blindly is not harmless.
    ///
    /// # Errors
    ///
    /// `unavailable` when the caller's deadline has passed: nothing is sent whose answer nobody waits for.
    pub(crate) fn call(&self, operation: &'static str, mutates: bool) -> Result<Call<'_>> {
        let request = Request {
            operation,
            table: self.layout.table(),
            mutates,
            attempt: 0,
        };
        let deadline = self.until();
        if deadline <= Instant::now() {
            return Err(request.error(ErrorKind::Unavailable, "no time was left to send it"));
        }
        Ok(Call {
            connection: self,
            request,
            deadline,
            attempt_timeout: None,
            pauses: 0,
            paid: 0,
            in_doubt: false,
            before: None,
            is_cut: false,
            observation: self.observer.begin(operation),
        })
    }

    /// Until when a request may go on that begins or makes progress now.
    fn until(&self) -> Instant {
        let own = Instant::now().checked_add(self.patience);
        match (own, backend::deadline()) {
            (Some(own), Some(callers)) => own.min(callers),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Instant::now() + Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl<'a> Call<'a> {
    pub(crate) fn request(&self) -> Request<'a> {
        self.request
    }

    /// Bounds each attempt by what so many bytes need.
    pub(crate) fn sized(mut self, bytes: usize) -> Self {
        let transfer = (bytes as u64).saturating_mul(1000) / SLOWEST_LINE;
        // Behind the time for a connection: what ends for want of one was certainly not sent.
        self.attempt_timeout = Some(self.connection.connect_timeout + ANSWER_TIME + Duration::from_millis(transfer));
        self
    }

    /// Whether some attempt may have been applied, now or later.
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Each attempt from now on asks for so many items, or sends them.
    pub(crate) fn batch(&mut self, items: usize) {
        self.observation.batch(items);
    }

    /// Sends it once. Pass the future of the SDK in a box: it is large, and nested deeper than the compiler likes.
    pub(crate) async fn attempt<O, E>(&mut self, send: impl Future<Output = Attempt<O, E>>) -> Attempt<O, E>
    where
        O: Answer,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.request.attempt += 1;
        let own = self
            .attempt_timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let until = own.map_or(self.deadline, |own| own.min(self.deadline));
        let answer = match timeout_at(until, self.observation.attempt(send)).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                self.is_cut = until == self.deadline;
                Err(SdkError::timeout_error(elapsed))
            }
        };
        match &answer {
            Ok(output) => {
                self.answered();
                self.observation.answered(output);
            }
            Err(error) => self.observation.refused(error),
        }
        answer
    }

    /// What an attempt failed with, as an error of the workspace.
    pub(crate) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.request.failed(error)
    }

    /// The last attempt was answered as a success is, though the SDK calls it an error.
    pub(crate) fn answered(&mut self) {
        self.connection.budget.put_back(std::mem::take(&mut self.paid));
    }

    /// A part of what was asked for was done: patience starts again.
    pub(crate) fn progressed(&mut self) {
        self.pauses = 0;
        self.deadline = self.connection.until();
    }

    /// Waits until it is time for another attempt.
    ///
    /// # Errors
    ///
    /// This error, when another attempt cannot help, comes too late or is not affordable; `unknown_outcome` when an earlier
    /// attempt may have been applied.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        if error.outcome() == Outcome::Unknown {
            self.doubt();
        } else if self.is_cut
            && let Some(before) = self.before.take()
        {
            // That time was up says less than what it was spent on.
            return Err(self.given_up(before));
        }
        let pace = match error.kind() {
            ErrorKind::Throttled => THROTTLED,
            ErrorKind::Contended => CONTENDED,
            _ => FAILED,
        };
        if !error.is_retryable() && error.outcome() == Outcome::NotApplied {
            return Err(self.given_up(error));
        }
        let sent = self.pauses + 1;
        let pause = self.pause(pace);
        let resume = Instant::now() + pause;
        let is_last = self.connection.max_attempts.is_some_and(|most| sent >= most.get());
        if is_last || resume >= self.deadline || !self.connection.budget.take(pace.price) {
            return Err(self.given_up(error));
        }
        self.paid = pace.price;
        self.observation.repeated(&error, pause);
        self.before = Some(error);
        tokio::time::sleep_until(resume).await;
        Ok(())
    }

    /// As [`again`](Self::again), but for a request that must not be sent again while it may have been applied.
    pub(crate) async fn again_if_certain(&mut self, error: Error) -> Result<()> {
        match error.outcome() {
            Outcome::NotApplied => self.again(error).await,
            Outcome::Unknown => {
                self.doubt();
                Err(self.given_up(error))
            }
        }
    }

    /// The error that the request ends with when this is the last that was heard of it.
    pub(crate) fn given_up(&self, error: Error) -> Error {
        let error = if error.outcome() == Outcome::Unknown || !self.in_doubt {
            error
        } else {
            let message = "an earlier attempt was not answered, and whether it was applied could not be found out";
            let unknown = self.request.error(ErrorKind::UnknownOutcome, message);
            unknown.with_source(error)
        };
        self.observation.failed(&error);
        error
    }

    /// From now on, some attempt may have been applied.
    fn doubt(&mut self) {
        self.in_doubt = true;
        self.observation.doubted();
    }

    /// Growing, with full jitter.
    fn pause(&mut self, pace: Pace) -> Duration {
        let longest = pace
            .first
            .saturating_mul(2_u32.saturating_pow(self.pauses))
            .min(pace.longest);
        self.pauses += 1;
        let mut random = [0; 4];
        self.connection.environment.entropy.fill(&mut random);
        longest.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
    }
}
