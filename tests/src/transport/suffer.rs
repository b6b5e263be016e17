//! What each disturbance does to a request.

use std::sync::atomic::Ordering;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::answers::{Answer, altered, body, content, list, lost, refused, response};
use super::disturbance::{Delay, Disturbance, Refusal};
use super::engine::changes;
use super::faults::{Connector, State};
use super::figures::capacity;

impl Connector {
    /// Lets the engine carry a request out.
    pub(super) async fn send(&self, operation: &str, request: HttpRequest) -> Answer {
        let answer = carry_out(&self.state, &self.network, operation, request).await?;
        let units = capacity(answer.body().bytes().unwrap_or_default());
        self.state.counters.count(operation, |figures| {
            figures.answered += 1;
            figures.capacity += units;
        });
        Ok(answer)
    }

    pub(super) async fn suffer(&self, disturbance: Disturbance, operation: &str, mut request: HttpRequest) -> Answer {
        match disturbance {
            Disturbance::NoConnection => {
                request
                    .set_uri("http://nobody.invalid/")
                    .map_err(|error| ConnectorError::user(error.into()))?;
                self.nobody.call(request).await
            }
            Disturbance::ReplyLost(loss) => {
                self.send(operation, request).await?;
                lost(loss, operation).await
            }
            Disturbance::RequestLost(loss) => lost(loss, operation).await,
            Disturbance::Late(loss, delay) => {
                self.postpone(operation, request, delay);
                lost(loss, operation).await
            }
            Disturbance::Again(delay) => {
                let again = copy(&request)?;
                let answer = self.send(operation, request).await?;
                // A refusal that was heard is believed: an engine could only tell the item to keep the request out, with one
                // request more for each refusal. What was not heard arrives late by `Late`.
                if answer.status().is_success() {
                    self.postpone(operation, again, delay);
                }
                Ok(answer)
            }
            Disturbance::Refused(refusal) => Ok(refused(refusal, operation, &request)),
            Disturbance::Partly => self.send_partly(operation, request).await,
            Disturbance::Stale(behind) => {
                let asked = request.body().bytes().unwrap_or_default();
                let past = self.state.past.as_ref();
                match past.and_then(|past| past.answer(operation, asked, behind)) {
                    Some(answer) => Ok(answer),
                    None => self.send(operation, request).await,
                }
            }
        }
    }

    fn postpone(&self, operation: &str, request: HttpRequest, delay: Delay) {
        let number = self.state.numbers.load(Ordering::Relaxed);
        self.state
            .late
            .put(&self.state, &self.network, operation, request, delay, number);
    }

    async fn send_partly(&self, operation: &str, mut request: HttpRequest) -> Answer {
        let throttled = |request: &HttpRequest| Ok(refused(Refusal::Throttled(0), operation, request));
        let asked = content(request.body().bytes().unwrap_or_default());
        let Some((table, parts)) = parts(operation, &asked) else {
            return match operation {
                "Query" | "Scan" => altered(self.send(operation, request).await?, shorten_page).await,
                _ => throttled(&request),
            };
        };
        // The order in which a client names them may be random; which half is done must follow from what it names.
        let mut parts = parts.to_vec();
        parts.sort_by_cached_key(Value::to_string);
        let (first, rest) = parts.split_at(parts.len() / 2);
        if operation == "BatchGetItem" {
            // All is read, and half of it withheld: a reader cannot tell, and the request stays as it was signed.
            let left = |answer: &mut Value| withhold(answer, table, &asked, first, rest);
            return altered(self.send(operation, request).await?, left).await;
        }
        if request.uri().starts_with("https:") {
            return throttled(&request); // a part would need a signature of its own
        }
        let half = json!({ "RequestItems": { table: first } }).to_string();
        request.headers_mut().insert("content-length", half.len().to_string());
        *request.body_mut() = SdkBody::from(half);
        let left = |answer: &mut Value| {
            let mut left = list(&answer["UnprocessedItems"][table]).to_vec();
            left.extend_from_slice(rest);
            answer["UnprocessedItems"] = json!({ table: left });
        };
        altered(self.send(operation, request).await?, left).await
    }
}

/// Lets the engine carry a request out, and the past learn of it. The answer's body is in memory.
pub(super) async fn carry_out(
    state: &State,
    network: &SharedHttpConnector,
    operation: &str,
    request: HttpRequest,
) -> Answer {
    let past = state.past.as_ref().filter(|_| changes(operation));
    let Some(past) = past else {
        return in_memory(network.call(request).await?).await;
    };
    let _order = state.order.lock().await;
    let asked = copy(&request)?;
    let answer = in_memory(network.call(request).await?).await?;
    past.note(operation, asked.body().bytes().unwrap_or_default());
    Ok(answer)
}

/// A request that can be sent once more.
fn copy(request: &HttpRequest) -> Result<HttpRequest, ConnectorError> {
    let copy = request.try_clone();
    copy.ok_or_else(|| ConnectorError::user("the body of the request is not in memory".into()))
}

async fn in_memory(mut answer: HttpResponse) -> Answer {
    if answer.body().bytes().is_none() {
        let streamed = std::mem::replace(answer.body_mut(), SdkBody::taken());
        let status = answer.status().as_u16();
        let whole = body(response(status, streamed)).await?;
        *answer.body_mut() = SdkBody::from(whole);
    }
    Ok(answer)
}

/// The table that a batch is about, and what it asks for there, if that is more than one thing.
fn parts<'a>(operation: &str, asked: &'a Value) -> Option<(&'a str, &'a [Value])> {
    let (table, wanted) = asked["RequestItems"].as_object()?.iter().next()?;
    let parts = match operation {
        "BatchGetItem" => list(&wanted["Keys"]),
        _ => list(wanted),
    };
    (parts.len() > 1).then_some((table, parts))
}

/// Leaves some of the keys that a batch asked for unprocessed.
fn withhold(answer: &mut Value, table: &str, asked: &Value, first: &[Value], rest: &[Value]) {
    let mut left = list(&answer["UnprocessedKeys"][table]["Keys"]).to_vec();
    left.retain(|key| first.contains(key));
    left.extend_from_slice(rest);
    let mut wanted = asked["RequestItems"][table].clone();
    wanted["Keys"] = json!(left);
    answer["UnprocessedKeys"] = json!({ table: wanted });
    if let Some(items) = answer["Responses"][table].as_array_mut() {
        items.retain(|item| !rest.contains(&key(item)));
    }
}

/// Ends a page early, at least one item after its beginning.
fn shorten_page(page: &mut Value) {
    let Some(items) = page["Items"].as_array_mut() else {
        return;
    };
    items.truncate(items.len().div_ceil(2));
    let count = items.len();
    if let Some(last) = items.last().map(key) {
        page["LastEvaluatedKey"] = last;
        page["Count"] = json!(count);
    }
}

fn key(item: &Value) -> Value {
    json!({ "pk": item["pk"], "sk": item["sk"] })
}
