//! The embedded engine without a socket.

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::response;
use super::faults::operation_of;

/// Answers from a database in this process, at once.
#[derive(Clone)]
pub(super) struct InProcess(pub(super) Database);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = operation_of(&request);
        let body = request.body().bytes().unwrap_or_default();
        let (status, answer) = answer(&self.0, &operation, body);
        HttpConnectorFuture::ready(Ok(response(status, answer)))
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

/// What the engine answers to a request: status and body.
pub(super) fn answer(database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    let answered = match operation {
        "BatchGetItem" => run(body, |asked| database.batch_get_item(asked)),
        "BatchWriteItem" => run(body, |asked| database.batch_write_item(asked)),
        "CreateTable" => run(body, |asked| database.create_table(asked)),
        "DeleteItem" => run(body, |asked| database.delete_item(asked)),
        "DeleteTable" => run(body, |asked| database.delete_table(asked)),
        "DescribeTable" => run(body, |asked| database.describe_table(asked)),
        "DescribeTimeToLive" => run(body, |asked| database.describe_time_to_live(asked)),
        "GetItem" => run(body, |asked| database.get_item(asked)),
        "ListTables" => run(body, |asked| database.list_tables(asked)),
        "ListTagsOfResource" => run(body, |asked| database.list_tags_of_resource(asked)),
        "PutItem" => run(body, |asked| database.put_item(asked)),
        "Query" => run(body, |asked| database.query(asked)),
        "Scan" => run(body, |asked| database.scan(asked)),
        "TagResource" => run(body, |asked| database.tag_resource(asked)),
        "TransactGetItems" => run(body, |asked| database.transact_get_items(asked)),
        "TransactWriteItems" => run(body, |asked| database.transact_write_items(asked)),
        "UntagResource" => run(body, |asked| database.untag_resource(asked)),
        "UpdateItem" => run(body, |asked| database.update_item(asked)),
        "UpdateTable" => run(body, |asked| database.update_table(asked)),
        "UpdateTimeToLive" => run(body, |asked| database.update_time_to_live(asked)),
        other => Err(DynoxideError::ValidationException(format!(
            "{other} is not known without a socket"
        ))),
    };
    match answered {
        Ok(body) => (200, body),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// Whether this changes what the engine holds.
pub(super) fn changes(operation: &str) -> bool {
    matches!(
        operation,
        "BatchWriteItem"
            | "CreateTable"
            | "DeleteItem"
            | "DeleteTable"
            | "PutItem"
            | "TransactWriteItems"
            | "UpdateItem"
            | "UpdateTable"
            | "UpdateTimeToLive"
    )
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    ask: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> dynoxide::Result<String> {
    let malformed = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let answer = ask(serde_json::from_slice(body).map_err(malformed)?)?;
    serde_json::to_string(&answer).map_err(malformed)
}
