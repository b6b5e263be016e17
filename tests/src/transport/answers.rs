//! Answers that DynamoDB did not give, and its own ones taken apart.

use std::io;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use serde_json::{Value, json};

use super::disturbance::{CANCELLATIONS, Loss, Refusal, SERVER_ERRORS, THROTTLING};

pub(super) type Answer = Result<HttpResponse, ConnectorError>;

/// What is heard instead of an answer.
pub(super) async fn lost(loss: Loss, operation: &str) -> Answer {
    let (status, code) = match loss {
        Loss::Reset => {
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            return Err(ConnectorError::io(reset.into()));
        }
        Loss::Timeout => return Err(ConnectorError::timeout("no answer in time".into())),
        Loss::Silence => std::future::pending().await,
        Loss::Server(index) => SERVER_ERRORS[index % SERVER_ERRORS.len()],
        Loss::InProgress if operation == "TransactWriteItems" => (
            400,
            Some("com.amazonaws.dynamodb.v20120810#TransactionInProgressException"),
        ),
        Loss::InProgress => SERVER_ERRORS[0],
    };
    Ok(match code {
        Some(code) => error(status, code, json!({})),
        // From who stands between.
        None if status == 503 => response(status, "<html><body>Service Unavailable</body></html>"),
        None => response(status, ""),
    })
}

/// DynamoDB will not.
pub(super) fn refused(refusal: Refusal, operation: &str, request: &HttpRequest) -> HttpResponse {
    let (code, at) = match (refusal, operation) {
        (Refusal::Throttled(index), "TransactWriteItems") => (CANCELLATIONS[1 + index % 2], index),
        (Refusal::Conflict, "TransactWriteItems") => (CANCELLATIONS[0], 0),
        (Refusal::Cancelled(code, at), "TransactWriteItems") => (CANCELLATIONS[code % CANCELLATIONS.len()], at),
        (Refusal::Conflict, "UpdateItem" | "PutItem" | "DeleteItem") => {
            let code = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
            return error(400, code, json!({}));
        }
        (Refusal::Throttled(index) | Refusal::Cancelled(index, _), _) => {
            return error(400, THROTTLING[index % THROTTLING.len()], json!({}));
        }
        (Refusal::Conflict, _) => return error(400, THROTTLING[0], json!({})),
    };
    let asked = content(request.body().bytes().unwrap_or_default());
    let mut reasons = vec![json!({ "Code": "None" }); list(&asked["TransactItems"]).len()];
    let at = at % reasons.len().max(1);
    if let Some(reason) = reasons.get_mut(at) {
        *reason = json!({ "Code": code, "Message": "made up" });
    }
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    error(400, kind, json!({ "CancellationReasons": reasons }))
}

/// This answer with other content, if it is one of success.
pub(super) async fn altered(answer: HttpResponse, alter: impl FnOnce(&mut Value)) -> Answer {
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let mut whole = content(&body(answer).await?);
    alter(&mut whole);
    Ok(response(status, whole.to_string()))
}

/// The bytes of an answer.
pub(super) async fn body(answer: HttpResponse) -> Result<Bytes, ConnectorError> {
    let body = ByteStream::new(answer.into_body()).collect().await;
    Ok(body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes())
}

fn error(status: u16, kind: &str, mut content: Value) -> HttpResponse {
    content["__type"] = json!(kind);
    content["message"] = json!("made up");
    response(status, content.to_string())
}

pub(super) fn response(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    HttpResponse::new(status, body.into())
}

pub(super) fn content(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
