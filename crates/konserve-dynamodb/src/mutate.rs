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
//!   condition cannot hold again, or because the item was told to turn this revision away (it is *barred*; where nothing is, a
//!   tombstone of the revision just below it is made to bear that, which nobody removed anything for).
//!
//! What is left is `unknown_outcome`.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as TransactUpdate,
};
use konserve_core::backend::{Address, Committed, Item, Mutation, Previous, Refusal, Space, When, Written};
use konserve_core::{Error, ErrorKind, Instant, Result, Rev};
use uuid::Uuid;

use crate::call::Call;
use crate::connection::Connection;
use crate::expression::{self, Action, Check, Update};
use crate::layout::{Attributes, ITEM_LIMIT, REVISIONS, TRANSACTION_BYTES, TRANSACTION_ITEMS};
use crate::lineage::{Lineage, Trace};
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
        let current = match verdict.map_err(|error| call.given_up(error))? {
            Verdict::Applied(previous) => return Ok(Written::Applied { previous }),
            Verdict::Refused { current, for_good } if for_good || !call.in_doubt() => {
                return Ok(Written::Refused { current });
            }
            Verdict::Untraceable { current } if !call.in_doubt() => return Ok(Written::Refused { current }),
            Verdict::Refused { current, .. } => current,
            Verdict::Untraceable { .. } => return Err(unresolved(call)),
        };
        let mut vacant = current.is_none();
        // Once more where something came to be, or went, between the refusal and the bar.
        for _ in 0..2 {
            match self.keep_out(call, part, vacant, now).await? {
                Fate::KeptOut => return Ok(Written::Refused { current }),
                Fate::Applied(previous) => return Ok(Written::Applied { previous }),
                Fate::Vacant if !vacant => vacant = true,
                Fate::Open if vacant => vacant = false,
                Fate::Vacant | Fate::Open => break,
            }
        }
        Err(unresolved(call))
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
                        Cancelled::Untraceable { refusals, .. } if !call.in_doubt() => {
                            return Ok(Committed::Refused(refusals));
                        }
                        // A part that can be barred was not applied, and so was none.
                        Cancelled::Refused { refusals, .. } => {
                            let fate = self.keep_any_out(&call, &parts, now).await?;
                            return fate.of_commit(refusals).ok_or_else(|| unresolved(&call));
                        }
                        Cancelled::Untraceable { refusals, too_late } => {
                            let fate = match self.keep_any_out(&call, &parts, now).await? {
                                Fate::Vacant | Fate::Open if too_late => self.trace_any(&call, &parts).await?,
                                fate => fate,
                            };
                            return fate.of_commit(refusals).ok_or_else(|| unresolved(&call));
                        }
                        Cancelled::Hindered(error) => error,
                    }
                }
                _ => call.failed(error),
            };
            call.again(error).await?;
        }
    }

    /// Sees to it that a commit which is still on its way is not applied: one part that cannot be keeps all of them from it. What it
    /// replaced is not told of a commit.
    async fn keep_any_out(&self, doubted: &Call<'_>, parts: &[Part], now: Instant) -> Result<Fate> {
        let mut vacant = Vec::new();
        for part in parts {
            match self.keep_out(doubted, part, false, now).await? {
                Fate::Vacant => vacant.push(part),
                Fate::Open => {}
                settled => return Ok(settled),
            }
        }
        for part in vacant {
            match self.keep_out(doubted, part, true, now).await? {
                Fate::Vacant | Fate::Open => {}
                settled => return Ok(settled),
            }
        }
        Ok(Fate::Open)
    }

    /// Sees to it that a mutation which is still on its way is not applied, now or later, unless it has been meanwhile. Where
    /// something is, nothing else of it changes; where the address is vacant, a tombstone is made.
    ///
    /// # Errors
    ///
    /// `unknown_outcome`: it could not be found out.
    async fn keep_out(&self, doubted: &Call<'_>, part: &Part, vacant: bool, now: Instant) -> Result<Fate> {
        let Some(rev) = part.rev.filter(|_| expression::minds_bars(part.when)) else {
            return Ok(Fate::Open);
        };
        let key = self.layout.key(&part.at)?;
        let bar = match vacant {
            true => expression::bar_vacant(key, rev, self.now()),
            false => Some(expression::bar(key, rev)),
        };
        let Some(bar) = bar else { return Ok(Fate::Open) };
        let call = self
            .call("UpdateItem", false)
            .map_err(|error| doubted.given_up(error))?;
        let mut call = call.sized(0);
        let there = loop {
            let error = match self.update(&mut call, bar.clone(), ReturnValue::None).await {
                Ok(Ok(_)) => return Ok(Fate::KeptOut),
                Ok(Err(there)) => break there,
                Err(error) => error,
            };
            call.again(error).await.map_err(|error| doubted.given_up(error))?;
        };
        if there.is_none() {
            return Ok(Fate::Vacant);
        }
        let verdict = self.judge(doubted, part, there, now);
        Ok(match verdict.map_err(|error| doubted.given_up(error))? {
            Verdict::Applied(previous) => Fate::Applied(previous),
            // What is there keeps it out as well.
            Verdict::Refused { for_good: true, .. } => Fate::KeptOut,
            Verdict::Refused { .. } | Verdict::Untraceable { .. } => Fate::Open,
        })
    }

    /// What became of a commit that can no longer be applied, by the traces that it left, or did not, at one of its items.
    async fn trace_any(&self, doubted: &Call<'_>, parts: &[Part]) -> Result<Fate> {
        for part in parts {
            let Some(rev) = part.rev else { continue };
            let key = self.layout.key(&part.at)?;
            let found = self.get(key, true, Some(REVISIONS.to_owned())).await;
            let Some(found) = found.map_err(|error| doubted.given_up(error))? else {
                continue;
            };
            let lineage = Lineage::of(&found).map_err(|error| doubted.given_up(error))?;
            match lineage.trace(rev) {
                Trace::Stored | Trace::Overwritten => return Ok(Fate::Applied(Previous::Unknown)),
                Trace::Absent => return Ok(Fate::KeptOut),
                Trace::Lost => {}
            }
        }
        Ok(Fate::Open)
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

/// What became of a mutation that was to be kept out.
enum Fate {
    /// It will not be applied.
    KeptOut,
    /// It had been applied.
    Applied(Previous),
    /// Nothing is at its address that could turn it away.
    Vacant,
    /// Nobody knows.
    Open,
}

impl Fate {
    /// The answer to a commit whose fate it is, if it is known.
    fn of_commit(self, refusals: Vec<Refusal>) -> Option<Committed> {
        match self {
            Self::KeptOut => Some(Committed::Refused(refusals)),
            Self::Applied(_) => Some(Committed::Applied),
            Self::Vacant | Self::Open => None,
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
