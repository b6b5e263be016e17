//! Reading logs: the entries that were asked for, from rows that are checked to have neither gaps nor overlaps.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::time::Instant;

use super::Position;
use super::backward::Backward;
use super::forward::{Forward, Step};
use super::row::Span;
use super::site::{Site, removed, trimmed};
use super::tail::Reached;
use crate::backend::{Item, Read};
use crate::head::LogMeta;
use crate::store::Operation;
use crate::{ErrorKind, Key, Result, Value};

/// Up to how many bytes of rows are kept to deliver the last entries in order without looking where they begin.
const KEPT: usize = 2 << 20;

/// Whatever pace a follower is given, it looks no more often than this, and no more seldom than that.
const BRIEFEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Which entries to read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) which: Which,
    /// Newest first.
    pub(crate) reverse: bool,
    /// Go on when the end is reached.
    pub(crate) follow: Option<Pace>,
    pub(crate) consistent: bool,
}

/// Which entries to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// From this position, or from the first one that there is, up to and without that.
    Range(Option<Position>, Position),
    /// So many at the end.
    Last(u64),
}

/// How often a follower looks for new entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Right after the last one.
    pub(crate) shortest: Duration,
    /// When none has come for long.
    pub(crate) longest: Duration,
}

impl Selection {
    pub(crate) const ALL: Self = Self {
        which: Which::Range(None, Position::MAX),
        reverse: false,
        follow: None,
        consistent: false,
    };

    /// How many entries it selects of a log that reaches this far.
    ///
    /// # Errors
    ///
    /// `trimmed`.
    pub(crate) fn count(&self, extent: &LogMeta) -> Result<u64> {
        match self.which {
            Which::Last(count) => Ok(count.min(extent.entries)),
            Which::Range(Some(start), end) if start < extent.first && start < end => Err(trimmed(extent.first)),
            Which::Range(start, end) => Ok(end.min(extent.next).saturating_sub(start.unwrap_or(extent.first))),
        }
    }
}

impl Pace {
    pub(crate) const DEFAULT: Self = Self {
        shortest: Duration::from_millis(20),
        longest: Duration::from_secs(1),
    };
}

/// The entries of the log at a key, with their positions: of this log, if it was looked up already. An absent key has none.
///
/// # Errors
///
/// `wrong_kind` for a document or a binary; `trimmed` for positions below the first; `contended` when the log is removed
/// while it is read; `corrupt`.
pub(crate) fn entries(
    operation: Operation,
    key: Key,
    site: Option<Site>,
    selection: Selection,
) -> impl Stream<Item = Result<(Position, Value)>> + Send + 'static {
    let reader = Reader {
        how: operation.store.how(selection.consistent),
        operation,
        key,
        site,
        wanted: 0..Position::MAX,
        selection,
        cursor: None,
        ready: VecDeque::new(),
        idle: Duration::ZERO,
        told: 0,
    };
    stream::try_unfold((reader, false), |(mut reader, has_begun)| async move {
        if !has_begun {
            reader.begin().await?;
        }
        let next = reader.next().await?;
        Ok(next.map(|entry| (entry, (reader, true))))
    })
}

struct Reader {
    operation: Operation,
    key: Key,
    how: Read,
    selection: Selection,
    site: Option<Site>,
    /// The positions that are delivered, of whatever rows have.
    wanted: Range<Position>,
    /// Where it is; `None` when no more rows are to be read.
    cursor: Option<Cursor>,
    /// Entries that were read and not delivered yet.
    ready: VecDeque<(Position, Value)>,
    /// How long a follower has waited for an entry.
    idle: Duration,
    /// How far this process had appended when a follower was last told so.
    told: Position,
}

enum Cursor {
    Forward(Forward),
    Backward(Backward),
}

impl Reader {
    async fn begin(&mut self) -> Result<()> {
        if self.site.is_some() {
            return self.position().await;
        }
        let at = self.operation.store.address(&self.key);
        self.site = match self.selection.follow {
            Some(_) => None,
            None => Site::remembered(&self.operation, &at, self.how).await?,
        };
        if self.site.is_some() {
            self.position().await?;
            // What is remembered may be a log that was removed meanwhile: that shows when it seems empty, or sealed at once, or
            // broken off.
            match self.read_row().await {
                Ok(true) => return Ok(()),
                Ok(false) if !self.ready.is_empty() => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Contended => {}
                Err(error) => return Err(error),
            }
        }
        loop {
            self.site = Site::look_up(&self.operation, &self.key, self.how).await?;
            match (&self.site, &self.selection.follow) {
                (Some(_), _) => return self.position().await,
                (None, None) => return Ok(()),
                (None, Some(pace)) => {
                    let pace = pace.clone();
                    self.wait(&pace, 0).await;
                }
            }
        }
    }

    /// Goes to where the selection begins.
    async fn position(&mut self) -> Result<()> {
        self.cursor = None;
        let Some(site) = &mut self.site else {
            return Ok(());
        };
        let first = site.state.first.next;
        match self.selection.which {
            Which::Range(Some(start), end) if start < first && start < end => return Err(trimmed(first)),
            Which::Range(start, end) => {
                self.wanted = start.unwrap_or(first)..end;
                if self.wanted.is_empty() {
                    return Ok(());
                }
                self.cursor = Some(match self.selection.reverse {
                    false => Cursor::Forward(Forward::new(self.wanted.clone())),
                    true => {
                        let most = end - self.wanted.start;
                        Cursor::Backward(Backward::new(site, self.wanted.clone(), most))
                    }
                });
            }
            Which::Last(0) if self.selection.follow.is_none() => {}
            Which::Last(count) => {
                let mut back = Backward::new(site, first..Position::MAX, count.max(1));
                let Some((span, item)) = back.step(site).await? else {
                    // Nothing can be seen yet.
                    self.wanted = first..Position::MAX;
                    let ahead = Forward::new(self.wanted.clone());
                    self.cursor = self.selection.follow.is_some().then_some(Cursor::Forward(ahead));
                    return Ok(());
                };
                let end = span.end().next;
                self.wanted = first.max(end.saturating_sub(count))..end;
                back.stop_at(self.wanted.start);
                match self.selection.reverse {
                    true => {
                        self.deliver(&span, item).await?;
                        self.cursor = Some(Cursor::Backward(back));
                    }
                    false => self.last(back, (span, item)).await?,
                }
            }
        }
        Ok(())
    }

    /// Delivers the last entries in order, of which the last row was read.
    async fn last(&mut self, mut back: Backward, last: (Span, Item)) -> Result<()> {
        let Some(site) = &mut self.site else {
            return Ok(());
        };
        let mut kept = last.1.size();
        let mut rows = vec![last];
        while kept < KEPT
            && let Some((span, item)) = back.step(site).await?
        {
            kept += item.size();
            rows.push((span, item));
        }
        let end = self.wanted.end;
        if self.selection.follow.is_some() {
            self.wanted.end = Position::MAX;
        }
        if rows.last().is_some_and(|(span, _)| span.start > self.wanted.start) {
            self.cursor = Some(Cursor::Forward(Forward::new(self.wanted.clone())));
            return Ok(());
        }
        for (span, item) in rows.into_iter().rev() {
            self.deliver(&span, item).await?;
        }
        self.cursor = Some(Cursor::Forward(Forward::from_row(end..self.wanted.end)));
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<(Position, Value)>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if !self.read_row().await? {
                return Ok(None);
            }
        }
    }

    /// Reads the next row; `false` at the end.
    async fn read_row(&mut self) -> Result<bool> {
        loop {
            let (Some(site), Some(cursor)) = (&mut self.site, &mut self.cursor) else {
                return Ok(false);
            };
            let step = match cursor {
                Cursor::Forward(forward) => forward.step(site).await?,
                Cursor::Backward(backward) => match backward.step(site).await? {
                    Some((span, item)) => Step::Row(span, item),
                    None => Step::Done,
                },
            };
            match (step, &self.selection.follow) {
                (Step::Row(span, item), _) => {
                    self.idle = Duration::ZERO;
                    self.deliver(&span, item).await?;
                    return Ok(true);
                }
                (Step::End, Some(pace)) => {
                    let pace = pace.clone();
                    let next = match cursor {
                        Cursor::Forward(forward) => forward.next_position(),
                        Cursor::Backward(_) => 0,
                    };
                    self.wait(&pace, next).await;
                }
                (Step::Seal, Some(_)) => return Err(removed()),
                (Step::End | Step::Seal | Step::Done, _) => {
                    self.cursor = None;
                    return Ok(false);
                }
            }
        }
    }

    /// Waits until it is time to look for entries from a position on: soon, when this process has appended some.
    async fn wait(&mut self, pace: &Pace, next: Position) {
        let store = self.operation.store.clone();
        let at = store.address(&self.key);
        // For as long as nothing has come so far: what is seen late is late in proportion.
        let shortest = pace.shortest.clamp(BRIEFEST, LONGEST);
        let pause = self.idle.clamp(shortest, pace.longest.clamp(shortest, LONGEST));
        let until = Instant::now() + pause;
        loop {
            let grown = store.tails.grown.notified();
            let reached = store.tails.get(&at).map(|tail| tail.reached());
            if let Some(Reached { id, end }) = reached
                && self.site.as_ref().is_none_or(|site| site.id() == id)
                && end.next > next.max(self.told)
            {
                // Once: when a read that lags does not show it, time has to pass.
                self.told = end.next;
                return;
            }
            if tokio::time::timeout_at(until, grown).await.is_err() {
                self.idle += pause;
                return;
            }
        }
    }

    /// Makes the wanted entries of a row ready.
    async fn deliver(&mut self, span: &Span, item: Item) -> Result<()> {
        let Some(site) = &self.site else {
            return Ok(());
        };
        let wanted = self.wanted.clone();
        let entries = site.open(span, item).await?;
        let entries = entries.into_iter().filter(|(position, _)| wanted.contains(position));
        match self.selection.reverse {
            false => self.ready.extend(entries),
            true => self.ready.extend(entries.rev()),
        }
        Ok(())
    }
}
