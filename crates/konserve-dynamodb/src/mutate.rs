//! All mutations of items: sent, sent again while it is open whether they were applied, and what their answers mean.
//!
//! The seam for everything that concerns the outcome of mutations: nothing else in this crate changes an item that a condition is
//! about. All attempts of a mutation are one and the same request, revision, time and token included, so whichever of them arrives,
//! and however late, can be applied at most once:
//!
//! - every condition over something stored demands a higher revision than the stored one (but for chunks, which never change), so an attempt that was applied is in the
//!   way of all others, and what has been overwritten since stays overwritten;
//! - a refusal comes with the stored revisions (see [`lineage`](crate::lineage)), which tell whether it is an earlier attempt that
//!   was in the way: then the mutation was applied;
//! - a refusal while an earlier attempt may still be on its way counts only once that attempt cannot be applied any more: because its
//!   condition cannot hold again, or because the item was told to turn this revision away (it is *barred*).
//!
//! What is left is `unknown_outcome`.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as TransactUpdate,
};
use konserve_core::backend::{Address, Committed, Item, Mutation, Previous, Space, When, Written};
use konserve_core::{Error, ErrorKind, Instant, Result, Rev};
use uuid::Uuid;

use crate::call::Call;
use crate::connection::Connection;
use crate::expression::{self, Action, Check, Update};
use crate::layout::{Attributes, ITEM_LIMIT, TRANSACTION_BYTES, TRANSACTION_ITEMS};
use crate::verdict::{Cancelled, Part, Verdict};

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
        let (part, bytes, now) = (Part::of(&mutation), mutation.size(), self.now());
        let Action::Update(update) = Action::new(&self.layout, mutation, now)? else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a check is only a part of a commit",
            ));
        };
        let mut call = self.call("UpdateItem", true)?.sized(bytes);
        loop {
            let error = match self.update(&mut call, update.clone(), returned.clone()).await {
                Ok(Ok(attributes)) => {
                    let previous = match returned {
                        ReturnValue::None => Previous::Unknown,
                        _ => self.previous(&part.at, attributes, now),
                    };
                    return Ok(Written::Applied { previous });
                }
                Ok(Err(refused)) => {
                    call.answered();
                    return self.refused(&call, &part, refused, now).await;
                }
                Err(error) => error,
            };
            call.again(error).await?;
        }
    }

    /// What a refusal of the last attempt comes to.
    async fn refused(&self, call: &Call<'_>, part: &Part, item: Option<Attributes>, now: Instant) -> Result<Written> {
        let verdict = self.judge(call, part, item, now);
        let mut verdict = verdict.map_err(|error| call.given_up(error))?;
        loop {
            match verdict {
                Verdict::Applied(previous) => return Ok(Written::Applied { previous }),
                Verdict::Refused { current, for_good } if for_good || !call.in_doubt() => {
                    return Ok(Written::Refused { current });
                }
                Verdict::Untraceable { current } if !call.in_doubt() => return Ok(Written::Refused { current }),
                Verdict::Refused { current, .. } => match self.bar(call, part).await? {
                    Ok(()) => return Ok(Written::Refused { current }),
                    Err(attributes) => {
                        let next = self.judge(call, part, attributes, now);
                        verdict = next.map_err(|error| call.given_up(error))?;
                        if matches!(verdict, Verdict::Refused { for_good: false, .. }) {
                            return Err(unresolved(call));
                        }
                    }
                },
                Verdict::Untraceable { .. } => return Err(unresolved(call)),
            }
        }
    }

    /// Several mutations as one.
    pub(crate) async fn commit(&self, all: Vec<Mutation>) -> Result<Committed> {
        check_commit(&all)?;
        let parts: Vec<Part> = all.iter().map(Part::of).collect();
        let (bytes, now) = (all.iter().map(Mutation::size).sum(), self.now());
        // For all attempts of this very request, which holds the time: DynamoDB refuses a token that comes with another request.
        // When the same mutations arrive in another call, it is their revisions that are recognised.
        let token = Uuid::from_bytes(self.environment.random_id()).to_string();
        let mut items = Vec::with_capacity(all.len());
        for mutation in all {
            items.push(self.transact(Action::new(&self.layout, mutation, now)?)?);
        }
        let commit = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut call = self.call("TransactWriteItems", true)?.sized(bytes);
        call.batch(parts.len());
        loop {
            let error = match call.attempt(Box::pin(commit.clone().send())).await {
                Ok(_) => return Ok(Committed::Applied),
                Err(error) => error,
            };
            let error = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons().to_vec();
                    let judged = self.judge_all(&call, &parts, reasons, now);
                    match judged.map_err(|error| call.given_up(error))? {
                        Cancelled::Applied => return Ok(Committed::Applied),
                        Cancelled::Refused { refusals, for_good } if for_good || !call.in_doubt() => {
                            return Ok(Committed::Refused(refusals));
                        }
                        Cancelled::Untraceable(refusals) if !call.in_doubt() => {
                            return Ok(Committed::Refused(refusals));
                        }
                        // A part that can be barred was not applied, and so was none.
                        Cancelled::Refused { refusals, .. } | Cancelled::Untraceable(refusals) => {
                            return match self.bar_any(&call, &parts, now).await? {
                                Barred::Yes => Ok(Committed::Refused(refusals)),
                                Barred::TooLate => Ok(Committed::Applied),
                                Barred::No => Err(unresolved(&call)),
                            };
                        }
                        Cancelled::Hindered(error) => error,
                    }
                }
                _ => call.failed(error),
            };
            call.again(error).await?;
        }
    }

    /// Sees to it that a commit which is still on its way is not applied: one part that cannot be keeps all of them from it.
    async fn bar_any(&self, doubted: &Call<'_>, parts: &[Part], now: Instant) -> Result<Barred> {
        for part in parts {
            let Err(there) = self.bar(doubted, part).await? else {
                return Ok(Barred::Yes);
            };
            if there.is_none() {
                continue;
            }
            match self
                .judge(doubted, part, there, now)
                .map_err(|error| doubted.given_up(error))?
            {
                Verdict::Applied(_) => return Ok(Barred::TooLate),
                // What is there now keeps it out as well.
                Verdict::Refused { for_good: true, .. } => return Ok(Barred::Yes),
                Verdict::Refused { .. } | Verdict::Untraceable { .. } => {}
            }
        }
        Ok(Barred::No)
    }

    /// Sees to it that a mutation which is still on its way is not applied, now or later: then `Ok(())`, and nothing else of the
    /// item has changed. Otherwise what is there; the mutation may have been applied meanwhile.
    ///
    /// # Errors
    ///
    /// `unknown_outcome`: it could not be found out.
    async fn bar(&self, doubted: &Call<'_>, part: &Part) -> Result<Result<(), Option<Attributes>>> {
        let Some(rev) = part.rev.filter(|_| expression::minds_bars(part.when)) else {
            return Ok(Err(None));
        };
        let update = expression::bar(self.layout.key(&part.at)?, rev);
        let call = self
            .call("UpdateItem", false)
            .map_err(|error| doubted.given_up(error))?;
        let mut call = call.sized(0);
        loop {
            let error = match self.update(&mut call, update.clone(), ReturnValue::None).await {
                Ok(barred) => return Ok(barred.map(|_| ())),
                Err(error) => error,
            };
            call.again(error).await.map_err(|error| doubted.given_up(error))?;
        }
    }

    /// One attempt of an update: what it replaced, or what refused it.
    async fn update(
        &self,
        call: &mut Call<'_>,
        update: Update,
        returned: ReturnValue,
    ) -> Result<Result<Option<Attributes>, Option<Attributes>>> {
        let send = self
            .client
            .update_item()
            .table_name(self.layout.table())
            .set_key(Some(update.key))
            .update_expression(update.update)
            .condition_expression(update.condition)
            .set_expression_attribute_values(Some(update.values))
            .return_values(returned)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send();
        match call.attempt(Box::pin(send)).await {
            Ok(output) => Ok(Ok(output.attributes)),
            Err(SdkError::ServiceError(context)) if context.err().is_conditional_check_failed_exception() => {
                match context.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(refused) => Ok(Err(refused.item)),
                    _ => Ok(Err(None)),
                }
            }
            Err(error) => Err(call.failed(error)),
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
}

/// A refusal that does not tell whether an earlier attempt was applied, or still may be.
fn unresolved(call: &Call<'_>) -> Error {
    let message = "it was refused, but an earlier attempt that was not answered may have been applied";
    call.given_up(call.request().error(ErrorKind::UnknownOutcome, message))
}

/// What became of a commit that was to be barred.
enum Barred {
    /// It will not be applied.
    Yes,
    /// It had been applied.
    TooLate,
    /// Nobody knows.
    No,
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
