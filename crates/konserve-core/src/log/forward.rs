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
        if self.seen.1 > 4 * PIECE {
            // What was seen long ago says little of what comes.
            self.seen = (self.seen.0.div_ceil(2), self.seen.1 / 2);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::backend::Item;
    use crate::rev::Rev;

    /// So many rows of so many bytes, which counts those that were taken.
    fn rows(count: u64, bytes: usize, taken: &Arc<AtomicU64>) -> Rows {
        let taken = Arc::clone(taken);
        let rows = (0..count).map(move |row| {
            taken.fetch_add(1, Ordering::SeqCst);
            let body = Some(vec![0; bytes].into());
            let item = Item {
                rev: Rev::from_bytes([0; 16]),
                pinned: false,
                expires: None,
                created: Instant::UNIX_EPOCH,
                meta: bytes::Bytes::new(),
                body,
            };
            Ok((row, item))
        });
        stream::iter(rows).boxed()
    }

    #[tokio::test]
    async fn a_piece_that_is_larger_than_it_was_taken_for_is_not_read_as_a_whole_before_its_turn() {
        let taken = Arc::default();
        let piece = read_ahead(rows(1000, 10_000, &taken)).await.unwrap();
        let most = 2 * PIECE / 10_000 + 1;
        assert_eq!(taken.load(Ordering::SeqCst), most);
        let all: Vec<u64> = piece.map_ok(|(row, _)| row).try_collect().await.unwrap();
        assert!(all.into_iter().eq(0..1000));
    }
}
