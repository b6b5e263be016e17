//! Reading a log from a position on.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::row::{Row, Span, segment_of, start_of};
use super::site::{Behind, Rows, Site};
use super::{Position, SEGMENT};
use crate::Result;
use crate::backend::{Item, Order};

/// How many pieces of a long log are read at the same time.
const PIECES_AT_ONCE: usize = 4;

/// The bytes of a piece: a little less than an answer of DynamoDB holds, so that it seldom takes two.
const PIECE: u64 = 800 << 10;

/// Goes from row to row, up to a position.
pub(super) struct Forward {
    /// Where the next row begins; at first, the first position that is wanted.
    next: Position,
    /// The first position that is not wanted.
    end: Position,
    /// A row begins at `next`, or the log ends there.
    is_aligned: bool,
    stretch: Option<Stretch>,
    /// The positions and bytes that were seen.
    seen: (u64, u64),
    /// How many positions make a piece, by what was seen.
    width: Arc<AtomicU64>,
}

/// The rows from `next` on that are being read.
struct Stretch {
    rows: Rows,
    /// They begin below this position.
    end: Position,
}

/// What comes next.
pub(super) enum Step {
    Row(Span, Item),
    /// Nothing so far: the log ends here.
    End,
    /// Nothing ever: the log was removed here.
    Seal,
    /// All that was wanted has been delivered.
    Done,
}

impl Forward {
    pub(super) fn new(range: Range<Position>) -> Self {
        Self {
            next: range.start,
            end: range.end,
            is_aligned: range.start == 0,
            stretch: None,
            seen: (0, 0),
            width: Arc::new(AtomicU64::new(SEGMENT)),
        }
    }

    /// Where a row begins, or will.
    pub(super) fn from_row(range: Range<Position>) -> Self {
        Self {
            is_aligned: true,
            ..Self::new(range)
        }
    }

    /// Where the next row begins.
    pub(super) fn next_position(&self) -> Position {
        self.next
    }

    /// # Errors
    ///
    /// `trimmed`, `contended` when the log was removed, `corrupt`.
    pub(super) async fn step(&mut self, site: &mut Site) -> Result<Step> {
        loop {
            if self.next >= self.end {
                return Ok(Step::Done);
            }
            let mut stretch = match self.stretch.take() {
                Some(stretch) => stretch,
                None => self.open(site),
            };
            let found = stretch.rows.try_next().await?;
            let row = match &found {
                Some((start, item)) => Some((*start, site.row(*start, item)?)),
                None => None,
            };
            match (row, found) {
                (Some((start, Row::Entries(span))), Some((_, item))) if start == self.next => {
                    self.stretch = Some(stretch);
                    return Ok(self.pass(span, item));
                }
                (Some((start, Row::Seal)), _) if start == self.next => return Ok(Step::Seal),
                (None, None) if self.next >= stretch.end => {} // on to the next stretch
                (row, found) => {
                    if !self.is_aligned
                        && let Some((span, item)) = site.row_at(self.next).await?
                    {
                        if span.end().next > self.next {
                            // The row that holds the first position begins before it.
                            stretch.rows = stream::iter(found.map(Ok)).chain(stretch.rows).boxed();
                            self.stretch = Some(stretch);
                            return Ok(self.pass(span, item));
                        }
                        self.is_aligned = span.end().next == self.next;
                    }
                    if row.is_none() && self.next >= site.full_below() {
                        match site.behind(self.next).await? {
                            Behind::Nothing => return Ok(Step::End),
                            Behind::More => {}
                        }
                    } else if site.how.strong {
                        return Err(site.why_broken(self.next).await?);
                    } else {
                        // A read that lags may leave out a row.
                        site.how.strong = true;
                    }
                }
            }
        }
    }

    fn pass(&mut self, span: Span, item: Item) -> Step {
        self.next = span.end().next;
        self.is_aligned = true;
        self.seen.0 = self.seen.0.saturating_add(span.count);
        self.seen.1 = self.seen.1.saturating_add(item.size() as u64);
        let width = u128::from(self.seen.0) * u128::from(PIECE) / u128::from(self.seen.1.max(1));
        self.width.store((width as u64).clamp(1, SEGMENT), Ordering::Relaxed);
        Step::Row(span, item)
    }

    /// The rows from here on: those of this segment; behind the first one, those of all segments that are full, in pieces.
    fn open(&self, site: &Site) -> Stretch {
        let segment = segment_of(self.next);
        let full = site.full_below().min(self.end);
        if self.seen.0 > 0 && self.next < full {
            return Stretch {
                rows: in_pieces(site, self.next..full, Arc::clone(&self.width)),
                end: full,
            };
        }
        let end = start_of(segment + 1).min(self.end);
        Stretch {
            rows: site.rows(segment, self.next..=end - 1, Order::Ascending, None),
            end,
        }
    }
}

/// The rows that begin in a range, in order, several pieces of it at the same time. Each piece is in memory, as far as it was
/// read before its turn.
fn in_pieces(site: &Site, range: Range<Position>, width: Arc<AtomicU64>) -> Rows {
    let mut next = range.start;
    let pieces = std::iter::from_fn(move || {
        let start = next;
        let end = start.saturating_add(width.load(Ordering::Relaxed));
        next = end.min(range.end).min(start_of(segment_of(start) + 1));
        (start < range.end).then_some(start..next)
    });
    let site = site.clone();
    stream::iter(pieces)
        .map(move |piece| {
            read_ahead(site.rows(
                segment_of(piece.start),
                piece.start..=piece.end - 1,
                Order::Ascending,
                None,
            ))
        })
        .buffered(PIECES_AT_ONCE)
        .try_flatten()
        .boxed()
}

/// Reads rows until they are twice as many bytes as a piece should have; the rest is read in its turn.
async fn read_ahead(mut rows: Rows) -> Result<Rows> {
    let mut read = Vec::new();
    let mut bytes = 0;
    while bytes < 2 * PIECE {
        let Some((start, item)) = rows.try_next().await? else {
            return Ok(stream::iter(read.into_iter().map(Ok)).boxed());
        };
        bytes += item.size() as u64;
        read.push((start, item));
    }
    Ok(stream::iter(read.into_iter().map(Ok)).chain(rows).boxed())
}
