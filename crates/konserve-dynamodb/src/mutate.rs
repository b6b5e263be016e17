//! All mutations of items: sent once each, and what their answers mean.
//!
//! The seam for everything that concerns the outcome of mutations: nothing else in this crate changes an item that a
//! condition is about.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update as TransactUpdate,
};
use konserve_core::backend::{Address, Committed, Item, Mutation, Occupant, Previous, Refusal, Space, When, Written};
use konserve_core::{Error, ErrorKind, Instant, Result, Rev};
use uuid::Uuid;

use crate::connection::{Connection, once};
use crate::expression::{Action, Check, Update};
use crate::fault::Request;
use crate::layout::{Attributes, ITEM_LIMIT, TRANSACTION_BYTES, TRANSACTION_ITEMS};

impl Connection {
    pub(crate) async fn write(&self, at: &Address, item: Item, when: When) -> Result<Written> {
        let at = at.clone();
        self.mutate(Mutation::Write { at, item, when }).await
    }

    pub(crate) async fn remove(&self, at: &Address, rev: Rev, when: When) -> Result<Written> {
        let at = at.clone();
        self.mutate(Mutation::Remove { at, rev, when }).await
    }

    /// A single write or removal.
    async fn mutate(&self, mutation: Mutation) -> Result<Written> {
        check_item(&mutation)?;
        // Nobody asks what a chunk replaced, and its bytes would come back over the wire.
        let returned = match mutation.at().space {
            Space::Chunk if matches!(mutation, Mutation::Write { .. }) => ReturnValue::None,
            _ => ReturnValue::AllOld,
        };
        let (part, now) = (Part::of(&mutation), self.now());
        let Action::Update(update) = Action::new(&self.layout, mutation, now)? else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a check is only a part of a commit",
            ));
        };
        let request = self.mutates("UpdateItem");
        let answer = self
            .client
            .update_item()
            .table_name(request.table)
            .set_key(Some(update.key))
            .update_expression(update.update)
            .condition_expression(update.condition)
            .set_expression_attribute_values(Some(update.values))
            .return_values(returned.clone())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .config_override(once())
            .send()
            .await;
        match answer {
            Ok(output) => {
                request.log(output.consumed_capacity());
                let previous = match returned {
                    ReturnValue::None => Previous::Unknown,
                    _ => self.previous(&part.at, output.attributes, now),
                };
                Ok(Written::Applied { previous })
            }
            Err(SdkError::ServiceError(context)) if context.err().is_conditional_check_failed_exception() => {
                request.log([]);
                let UpdateItemError::ConditionalCheckFailedException(refused) = context.into_err() else {
                    return Err(request.error(ErrorKind::Conflict, "the condition does not hold"));
                };
                match self.refused(request, &part, refused.item, now)? {
                    Some(current) if Some(current.rev()) == part.rev => Ok(Written::Applied {
                        previous: Previous::Unknown,
                    }),
                    current => Ok(Written::Refused { current }),
                }
            }
            Err(error) => Err(request.failed(error)),
        }
    }

    /// Several mutations as one.
    pub(crate) async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        check_commit(&all)?;
        let parts: Vec<Part> = all.iter().map(Part::of).collect();
        let now = self.now();
        // For this very request, which holds the time: DynamoDB refuses a token that comes with another request. When
        // the same mutations arrive in another call, it is their revisions that are recognised.
        let token = Uuid::from_bytes(self.environment.random_id()).to_string();
        let mut items = Vec::with_capacity(all.len());
        for mutation in all {
            items.push(self.transact(Action::new(&self.layout, mutation, now)?)?);
        }
        let request = self.mutates("TransactWriteItems");
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .config_override(once())
            .send()
            .await;
        match answer {
            Ok(output) => {
                request.log(output.consumed_capacity());
                Ok(Committed::Applied)
            }
            Err(SdkError::ServiceError(context)) if context.err().is_transaction_canceled_exception() => {
                request.log([]);
                let TransactWriteItemsError::TransactionCanceledException(cancelled) = context.into_err() else {
                    return Err(request.error(ErrorKind::Conflict, "the transaction was cancelled"));
                };
                self.cancelled(request, &parts, cancelled.cancellation_reasons.unwrap_or_default(), now)
            }
            Err(error) => Err(request.failed(error)),
        }
    }

    /// What the reasons mean for which a transaction was cancelled, in the order of its parts.
    fn cancelled(
        &self,
        request: Request<'_>,
        parts: &[Part],
        reasons: Vec<CancellationReason>,
        now: Instant,
    ) -> Result<Committed> {
        let mut refusals = Vec::new();
        let mut obstacle = None;
        let mut is_hidden = false;
        for (index, (part, reason)) in parts.iter().zip(reasons).enumerate() {
            match reason.code.as_deref() {
                None | Some("None") => {}
                Some("ConditionalCheckFailed") => {
                    let current = self.refused(request, part, reason.item, now)?;
                    if part.rev.is_some() && current.as_ref().map(Occupant::rev) == part.rev {
                        return Ok(Committed::Applied);
                    }
                    refusals.push(Refusal { index, current });
                }
                Some(code) => {
                    is_hidden |= part.rev.is_some();
                    obstacle.get_or_insert_with(|| request.cancelled(code, reason.message.as_deref()));
                }
            }
        }
        // What an obstacle hides may be this commit's own revision, if it is here for the second time.
        match obstacle {
            Some(obstacle) if refusals.is_empty() || is_hidden => Err(obstacle),
            _ if refusals.is_empty() => Err(request.error(ErrorKind::Contended, "cancelled without a reason")),
            _ => Ok(Committed::Refused(refusals)),
        }
    }

    fn transact(&self, action: Action) -> Result<TransactWriteItem> {
        let table = self.layout.table();
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        let built = match action {
            Action::Update(Update {
                key,
                update,
                condition,
                values,
            }) => TransactUpdate::builder()
                .table_name(table)
                .set_key(Some(key))
                .update_expression(update)
                .condition_expression(condition)
                .set_expression_attribute_values(Some(values))
                .return_values_on_condition_check_failure(old)
                .build()
                .map(|update| item.update(update)),
            Action::Check(Some(Check { key, condition, values })) => ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression(condition)
                .set_expression_attribute_values(Some(values))
                .return_values_on_condition_check_failure(old)
                .build()
                .map(|check| item.condition_check(check)),
            Action::Check(None) => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a check asks for `Absent`, `Exists` or `Matches`",
                ));
            }
        };
        built
            .map(|item| item.build())
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "an incomplete mutation").with_source(error))
    }

    /// What a mutation that was applied replaced. What cannot be read must not make its success an error.
    fn previous(&self, at: &Address, attributes: Option<Attributes>, now: Instant) -> Previous {
        // Some engines answer with the bare key where nothing was.
        let stored = attributes.filter(|attributes| attributes.keys().any(|name| name != "pk" && name != "sk"));
        match stored.map(|attributes| self.occupant(at, attributes, now)).transpose() {
            Ok(occupant) => Previous::Known(occupant),
            Err(_) => Previous::Unknown,
        }
    }

    /// What is there, as of a condition that did not hold.
    fn refused(
        &self,
        request: Request<'_>,
        part: &Part,
        attributes: Option<Attributes>,
        now: Instant,
    ) -> Result<Option<Occupant>> {
        match attributes {
            Some(attributes) => self.occupant(&part.at, attributes, now).map(Some),
            // Nothing is there, by which the condition would hold: not the answer that was asked for.
            None if part.admits_vacant => Err(request.error(
                ErrorKind::Unsupported,
                "the endpoint does not tell what is there when a condition does not hold",
            )),
            None => Ok(None),
        }
    }
}

/// What the answer to a mutation is read by.
struct Part {
    at: Address,
    /// What it stores, none for a check.
    rev: Option<Rev>,
    admits_vacant: bool,
}

impl Part {
    fn of(mutation: &Mutation) -> Self {
        Self {
            at: mutation.at().clone(),
            rev: mutation.rev(),
            admits_vacant: matches!(mutation.when(), When::Always | When::Absent | When::Newer),
        }
    }
}

fn check_item(mutation: &Mutation) -> Result<()> {
    match mutation.size() {
        size if size <= ITEM_LIMIT => Ok(()),
        size => Err(Error::new(ErrorKind::TooLarge, "bytes of one item").with_limit(ITEM_LIMIT as u64, size as u64)),
    }
}

fn check_commit(all: &[Mutation]) -> Result<()> {
    if all.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "a commit of nothing"));
    }
    if all.len() > TRANSACTION_ITEMS {
        return Err(Error::new(ErrorKind::TooManyItems, "items in one transaction")
            .with_limit(TRANSACTION_ITEMS as u64, all.len() as u64));
    }
    let mut addresses = std::collections::HashSet::with_capacity(all.len());
    if !all.iter().all(|mutation| addresses.insert(mutation.at())) {
        return Err(Error::new(ErrorKind::InvalidInput, "one address twice in a commit"));
    }
    all.iter().try_for_each(check_item)?;
    match all.iter().map(Mutation::size).sum::<usize>() {
        bytes if bytes <= TRANSACTION_BYTES => Ok(()),
        bytes => Err(Error::new(ErrorKind::TooLarge, "bytes in one transaction")
            .with_limit(TRANSACTION_BYTES as u64, bytes as u64)),
    }
}
