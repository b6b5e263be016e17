//! What a refusal means: that the mutation was not applied, or that it is the mutation itself that is in its own way.

use aws_sdk_dynamodb::types::CancellationReason;
use konserve_core::backend::{Address, Mutation, Occupant, Previous, Refusal, When};
use konserve_core::{Error, ErrorKind, Instant, Result, Rev};

use crate::call::Call;
use crate::connection::Connection;
use crate::layout::Attributes;
use crate::lineage::{Lineage, Trace};

/// What the answer to a mutation is read by.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) at: Address,
    /// What it stores, none for a check.
    pub(crate) rev: Option<Rev>,
    pub(crate) when: When,
}

/// What a refusal means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// An attempt before this one was applied.
    Applied(Previous),
    /// It was not applied.
    Refused {
        current: Option<Occupant>,
        /// Nor will an attempt be that is still on its way: the condition cannot hold any more.
        for_good: bool,
    },
    /// It was refused now, but may have been applied by an earlier attempt, too long ago for its traces.
    Untraceable { current: Option<Occupant> },
}

/// What the reasons mean for which a transaction was cancelled.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// An attempt before this one was applied.
    Applied,
    /// It was not applied.
    Refused { refusals: Vec<Refusal>, for_good: bool },
    /// It was refused now, but may have been applied by an earlier attempt.
    Untraceable {
        refusals: Vec<Refusal>,
        /// What was not applied so far will not be: too much has happened since.
        too_late: bool,
    },
    /// Something was in its way that passes.
    Hindered(Error),
}

impl Part {
    pub(crate) fn of(mutation: &Mutation) -> Self {
        Self {
            at: mutation.at().clone(),
            rev: mutation.rev(),
            when: mutation.when(),
        }
    }

    fn admits_vacant(&self) -> bool {
        matches!(self.when, When::Always | When::Absent | When::Newer)
    }

    /// Whether a condition that did not hold over something stored under this revision will never hold again. Stored revisions
    /// only grow, and none comes back.
    fn is_over(&self, stored: Rev) -> bool {
        match self.when {
            When::Matches(_) => true,
            When::Always => false,
            When::Absent | When::Exists | When::Newer => self.rev.is_some_and(|rev| rev < stored),
        }
    }
}

impl Connection {
    /// What it means that a condition did not hold over these attributes.
    pub(crate) fn judge(
        &self,
        call: &Call<'_>,
        part: &Part,
        attributes: Option<Attributes>,
        now: Instant,
    ) -> Result<Verdict> {
        let Some(attributes) = attributes else {
            if part.admits_vacant() {
                // Nothing is there, by which the condition would hold: not the answer that was asked for.
                let message = "the endpoint does not tell what is there when a condition does not hold";
                return Err(call.request().error(ErrorKind::Unsupported, message));
            }
            return Ok(Verdict::Refused {
                current: None,
                for_good: matches!(part.when, When::Matches(_)),
            });
        };
        let lineage = Lineage::of(&attributes).map_err(|error| error.with_key(&part.at.partition))?;
        let trace = part.rev.map(|rev| (lineage.trace(rev), rev));
        Ok(match trace {
            Some((Trace::Stored, rev)) => Verdict::Applied(lineage.replaced_by(rev, now)),
            Some((Trace::Overwritten, rev)) if call.in_doubt() => Verdict::Applied(lineage.replaced_by(rev, now)),
            // Not by this call: whoever sends an old mutation again is too late.
            None | Some((Trace::Overwritten | Trace::Absent, _)) => Verdict::Refused {
                for_good: part.is_over(lineage.stored),
                current: Some(self.occupant(&part.at, attributes, now)?),
            },
            Some((Trace::Lost, _)) => Verdict::Untraceable {
                current: Some(self.occupant(&part.at, attributes, now)?),
            },
        })
    }

    /// What the reasons mean for which a transaction was cancelled, in the order of its parts.
    pub(crate) fn judge_all(
        &self,
        call: &Call<'_>,
        parts: &[Part],
        reasons: Vec<CancellationReason>,
        now: Instant,
    ) -> Result<Cancelled> {
        let mut refusals = Vec::new();
        let mut obstacle = None;
        let mut is_hidden = false;
        // Nothing changes by a commit of checks alone, whenever it arrives.
        let changes = parts.iter().any(|part| part.rev.is_some());
        let (mut is_over, mut is_absent, mut too_late) = (!changes, !changes, false);
        for (index, (part, reason)) in parts.iter().zip(reasons).enumerate() {
            match reason.code.as_deref() {
                // Says nothing of an earlier attempt: whether it was looked at is not known.
                None | Some("None") => {}
                Some("ConditionalCheckFailed") => {
                    let current = match self.judge(call, part, reason.item, now)? {
                        Verdict::Applied(_) => return Ok(Cancelled::Applied),
                        Verdict::Refused { current, for_good } => {
                            is_over |= for_good;
                            is_absent |= part.rev.is_some();
                            current
                        }
                        Verdict::Untraceable { current } => {
                            too_late = true;
                            current
                        }
                    };
                    refusals.push(Refusal { index, current });
                }
                Some(code) => {
                    is_hidden |= part.rev.is_some();
                    obstacle.get_or_insert_with(|| call.request().cancelled(code, reason.message.as_deref()));
                }
            }
        }
        // What an obstacle hides may be this commit's own revision.
        Ok(match obstacle {
            Some(obstacle) if refusals.is_empty() || is_hidden => Cancelled::Hindered(obstacle),
            _ if refusals.is_empty() => {
                Cancelled::Hindered(call.request().error(ErrorKind::Contended, "cancelled without a reason"))
            }
            _ if is_absent => Cancelled::Refused {
                refusals,
                for_good: is_over,
            },
            _ => Cancelled::Untraceable { refusals, too_late },
        })
    }
}
