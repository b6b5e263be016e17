//! What an error of the SDK means: the one place that decides, by codes and types and never by text.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ThrottlingReason;
use aws_sdk_dynamodb::types::error::{
    ProvisionedThroughputExceededException, RequestLimitExceeded, ThrottlingException,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use konserve_core::{Error, ErrorKind, Outcome};

/// A request that failed: what the meaning of an error depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// By DynamoDB's name.
    pub(crate) operation: &'static str,
    pub(crate) table: &'a str,
    /// Whether it can change something, and repeating it blindly is not harmless.
    pub(crate) mutates: bool,
    /// How often it was sent.
    pub(crate) attempt: u32,
}

/// What DynamoDB answered, without what it may repeat of the request.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    pub(crate) code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    /// Which limit was exceeded, where DynamoDB says it.
    throttling: Option<String>,
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    kind: ErrorKind,
    /// Whether a mutation that is answered so was certainly not applied.
    certain: bool,
    retryable: bool,
}

impl Request<'_> {
    /// The error of the workspace for an error of the SDK.
    pub(crate) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let Some(credentials) = find::<CredentialsError>(&error) {
            let missing = matches!(credentials, CredentialsError::CredentialsNotLoaded(_));
            let message = if missing {
                "no credentials: set access_key_id and secret_access_key or profile in the configuration, or \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine"
            } else {
                "the credentials provider failed"
            };
            return self
                .error(ErrorKind::Denied, message)
                .with_source(Text::of(credentials));
        }
        let throttling = throttling_reasons(&error);
        match error {
            SdkError::ServiceError(context) => {
                let meta = context.err().meta();
                self.answered(Answer {
                    status: context.raw().status().as_u16(),
                    code: meta.code().map(str::to_owned),
                    message: meta.message().map(str::to_owned),
                    request_id: meta.extra("aws_request_id").map(str::to_owned),
                    throttling,
                })
            }
            SdkError::ConstructionFailure(_) => self
                .error(ErrorKind::Config, "the request could not be built")
                .with_source(Text::chain(&error)),
            SdkError::DispatchFailure(_) if never_connected(&error) => self
                .error(ErrorKind::Unavailable, "no connection to the endpoint")
                .with_source(Text::chain(&error)),
            SdkError::TimeoutError(_) => self
                .unknown(ErrorKind::Unavailable, "no answer in time")
                .with_source(Text::chain(&error)),
            SdkError::DispatchFailure(_) => self
                .unknown(ErrorKind::Unavailable, "the connection failed before the answer came")
                .with_source(Text::chain(&error)),
            SdkError::ResponseError(ref context) => {
                let status = context.raw().status().as_u16();
                self.unknown(
                    ErrorKind::Unavailable,
                    &format!("not an answer of DynamoDB (status {status})"),
                )
            }
            other => self
                .unknown(ErrorKind::Unavailable, "the request failed")
                .with_source(Text::chain(&other)),
        }
    }

    /// The error for a reason for which a transaction was cancelled. Nothing of it was applied.
    pub(crate) fn cancelled(&self, code: &str, message: Option<&str>) -> Error {
        let meaning = meaning(code, 400);
        self.error(
            meaning.kind,
            &format!("the transaction was cancelled, with the reason {code}"),
        )
        .with_retryable(meaning.retryable)
        .with_source(Answer {
            status: 400,
            code: Some(code.to_owned()),
            message: message.map(str::to_owned),
            request_id: None,
            throttling: None,
        })
    }

    /// An error of this kind that says which request it is about. Nothing was changed.
    pub(crate) fn error(&self, kind: ErrorKind, message: &str) -> Error {
        let Self {
            operation,
            table,
            attempt,
            ..
        } = self;
        match attempt {
            0 | 1 => Error::new(kind, format!("{operation} on table {table}: {message}")),
            _ => Error::new(
                kind,
                format!("{operation} on table {table}, attempt {attempt}: {message}"),
            ),
        }
    }

    fn answered(&self, mut answer: Answer) -> Error {
        let (status, code) = (answer.status, answer.code.as_deref());
        let meaning = meaning(code.unwrap_or_default(), status);
        let named = match code {
            Some("ResourceNotFoundException") => "there is no such table".to_owned(),
            Some(code) => format!("answered {code}"),
            None => format!("answered status {status}"),
        };
        // The text about a wrong signature repeats the headers that were signed, the session token among them.
        if code.is_some_and(|code| code.contains("Signature")) {
            answer.message = None;
        }
        let error = if meaning.certain {
            self.error(meaning.kind, &named).with_retryable(meaning.retryable)
        } else {
            self.unknown(meaning.kind, &named)
        };
        error.with_source(answer)
    }

    /// The request may have been carried out: an unknown outcome if that matters, else an error of this kind.
    fn unknown(&self, kind: ErrorKind, message: &str) -> Error {
        match self.mutates {
            true => self
                .error(ErrorKind::UnknownOutcome, message)
                .with_outcome(Outcome::Unknown),
            false => self.error(kind, message),
        }
    }
}

/// What a code of DynamoDB, or the status where there is no code that is known, stands for.
fn meaning(code: &str, status: u16) -> Meaning {
    use ErrorKind::*;
    let kind = match code {
        "ProvisionedThroughputExceededException"
        | "ProvisionedThroughputExceeded"
        | "ThrottlingException"
        | "ThrottlingError"
        | "Throttling"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "SlowDown" => Throttled,
        "TransactionConflictException" | "TransactionConflict" | "ReplicatedWriteConflictException" => Contended,
        "ResourceNotFoundException" | "TableNotFoundException" => NotFound,
        "ResourceInUseException" | "TableInUseException" => Unavailable,
        "AccessDeniedException"
        | "AccessDenied"
        | "ExpiredToken"
        | "ExpiredTokenException"
        // The key that the table is encrypted with, as some services of AWS name it; mostly it is `AccessDeniedException`.
        | "InaccessibleEncryptionCredentials"
        | "InaccessibleEncryptionCredentialsException"
        | "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Denied,
        "ItemCollectionSizeLimitExceededException"
        | "ItemCollectionSizeLimitExceeded"
        | "RequestEntityTooLargeException" => TooLarge,
        "ValidationException"
        | "ValidationError"
        | "SerializationException"
        | "DuplicateItemException"
        | "DuplicateItem"
        | "IdempotentParameterMismatchException" => InvalidInput,
        "InvalidEndpointException" => Config,
        "UnknownOperationException" => Unsupported,
        "ConditionalCheckFailedException" | "ConditionalCheckFailed" => Conflict,
        // The request that is in progress is this very one, sent before.
        "TransactionInProgressException" => return Meaning::uncertain(Unavailable),
        "InternalServerError"
        | "RequestAborted"
        | "RequestAbortedException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "InternalServerErrorException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => return Meaning::uncertain(Unavailable),
        _ => match status {
            401 | 403 => Denied,
            413 => TooLarge,
            429 => Throttled,
            400 => InvalidInput,
            _ => return Meaning::uncertain(Unavailable),
        },
    };
    // A known code in an answer of status 5xx comes from whoever stands between: it proves nothing.
    Meaning {
        kind,
        certain: (400..500).contains(&status),
        retryable: matches!(kind, Throttled | Contended | Unavailable),
    }
}

impl Meaning {
    fn uncertain(kind: ErrorKind) -> Self {
        Self {
            kind,
            certain: false,
            retryable: true,
        }
    }
}

/// Whether the failure proves that no connection was there to send anything over.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    // An `io::Error` alone does not prove it: a system can report an unreachable network on a connection that was there.
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

/// What DynamoDB answered, if the error is about an answer.
pub(crate) fn answer(error: &Error) -> Option<&Answer> {
    error.source().and_then(find)
}

/// What was throttled, as precisely as DynamoDB says it, if the error is about that.
pub(crate) fn throttling(error: &Error) -> Option<&str> {
    let answer = answer(error).filter(|_| error.kind() == ErrorKind::Throttled)?;
    answer.throttling.as_deref().or(answer.code.as_deref())
}

/// Which limits were exceeded, as `TableWriteProvisionedThroughputExceeded`.
fn throttling_reasons(error: &(dyn StdError + 'static)) -> Option<String> {
    let reasons = if let Some(error) = find::<ThrottlingException>(error) {
        error.throttling_reasons()
    } else if let Some(error) = find::<ProvisionedThroughputExceededException>(error) {
        error.throttling_reasons()
    } else {
        find::<RequestLimitExceeded>(error)?.throttling_reasons()
    };
    let mut reasons: Vec<_> = reasons.iter().filter_map(ThrottlingReason::reason).collect();
    reasons.sort_unstable();
    reasons.dedup();
    (!reasons.is_empty()).then(|| reasons.join(","))
}

/// The first error of this type among an error and its sources.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (status {}",
            self.code.as_deref().unwrap_or("no code"),
            self.status
        )?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for Answer {}

/// The texts of an error and its sources. The errors themselves are not kept: their debug output holds the request.
#[derive(Debug)]
struct Text(String);

impl Text {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut texts = vec![error.to_string()];
        let mut next = error.source();
        while let Some(error) = next {
            texts.push(error.to_string());
            next = error.source();
        }
        Self(texts.join(": "))
    }

    /// Without the error itself, whose text says nothing that is not said already.
    fn chain(error: &(dyn StdError + 'static)) -> Self {
        error.source().map_or_else(|| Self::of(error), Self::of)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Text {}
