//! Reading a log from its end, or from a position, back.

use std::ops::Range;

use futures::TryStreamExt;

use super::Position;
use super::row::{Row, Span, segment_of};
use super::site::{Rows, Site};
use crate::Result;
use crate::backend::{Item, Order};

/// Goes from row to row, newest first, down to a position.
pub(super) struct Backward {
    /// The first position that is wanted.
    start: Position,
    /// Where the next row ends; at first, the first position that is not wanted, or anything behind the end of the log.
    end: Position,
    /// The next row does end there, exactly.
    is_aligned: bool,
    segment: u64,
    rows: Option<Rows>,
    /// The most rows that are wanted.
    limit: u64,
}

impl Backward {
    pub(super) fn new(site: &Site, range: Range<Position>, limit: u64) -> Self {
        Self {
            start: range.start,
            end: range.end,
            is_aligned: false,
            segment: segment_of(range.end - 1).min(site.state.segment),
            rows: None,
            limit,
        }
    }

    /// Lets it end sooner.
    pub(super) fn stop_at(&mut self, start: Position) {
        self.start = self.start.max(start);
    }

    /// The next row; `None` at the beginning of what is wanted.
    ///
    /// # Errors
    ///
    /// `trimmed`, `contended` when the log was removed, `corrupt`.
    pub(super) async fn step(&mut self, site: &mut Site) -> Result<Option<(Span, Item)>> {
        loop {
            if self.end <= self.start {
                return Ok(None);
            }
            let mut rows = match self.rows.take() {
                Some(rows) => rows,
                None => {
                    // One of them may be the seal.
                    let limit = self.limit.saturating_add(1);
                    site.rows(self.segment, 0..=self.end - 1, Order::Descending, Some(limit))
                }
            };
            let found = match rows.try_next().await? {
                Some((start, item)) => Some((site.row(start, &item)?, item)),
                None => None,
            };
            let is_broken = match found {
                Some((Row::Entries(span), item)) => {
                    let end = span.end().next;
                    if !self.is_aligned && end < self.end && site.has_grown(end).await? {
                        self.segment = segment_of(self.end - 1).min(site.state.segment);
                        continue;
                    }
                    let fits = match self.is_aligned {
                        true => end == self.end,
                        // Less than what was asked for only where the log ends, and nobody knows where that is by a read that lags.
                        false if self.end < Position::MAX && !site.how.strong => end >= self.end,
                        false => end >= self.end.min(site.full_below()),
                    };
                    if fits {
                        self.end = span.start;
                        self.is_aligned = true;
                        self.limit = self.limit.saturating_sub(1);
                        self.rows = Some(rows);
                        return Ok(Some((span, item)));
                    }
                    true
                }
                Some((Row::Seal, _)) if !self.is_aligned => {
                    self.rows = Some(rows);
                    false
                }
                Some((Row::Seal, _)) => true,
                // An item may reach into a segment that it does not begin in.
                None if self.segment + 1 > segment_of(self.start) && self.segment > 0 => {
                    self.segment -= 1;
                    false
                }
                None if !self.is_aligned => {
                    // Nothing is there, unless it is gone.
                    return site.behind(self.start).await.map(|_| None);
                }
                None => true,
            };
            if is_broken {
                if site.how.strong {
                    return Err(site.why_broken(self.end - 1).await?);
                }
                // It may be that a read that lags left out a row.
                site.how.strong = true;
                self.segment = segment_of(self.end - 1).min(site.state.segment);
            }
        }
    }
}
