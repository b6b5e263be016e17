//! Group commit: appends to one log that come while another is under way go into one row together.
//!
//! Each log that is being appended to has a queue and a driver, a task that writes one row and hands over to the next one, on the
//! runtime of somebody who waits, until nobody does. The driver owns what it writes: a caller that goes away harms nobody, and what
//! still waits can be withdrawn. Nothing waits on purpose: an append to a log at rest is written at once, and what comes meanwhile
//! goes with the next row.
//!
//! Nobody waits for ever for an engine that does not answer somebody else: what nobody is there for any more is given up, and who has
//! waited for long while nothing went on goes alone.
//!
//! ```text
//! waiting ──take──► taken ──► answered          a row that lost its place is put back, so that the next attempt
//!    ▲                │                         takes along who has come, and not who has gone
//!    └────put back────┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::append::{Round, append_one_row};
use super::{Position, SEGMENT};
use crate::backend::{self, Address, Partition};
use crate::head::HeadKind;
use crate::placement::{self, Placed};
use crate::record::Content;
use crate::store::{Inner, Operation};
use crate::{Error, ErrorKind, Key, Outcome, Result, Value};

/// What a row needs beside its entries, generously.
const ROW_OVERHEAD: usize = 256;

/// For how long a row is seen through when all who wait for it have gone: mostly to its end, so that nothing is left in doubt.
const PARTING: Duration = Duration::from_secs(1);

/// The entries of one append.
#[derive(Debug)]
pub(crate) struct Entries {
    load: Load,
    count: u64,
    /// In their codec.
    bytes: u64,
}

#[derive(Debug)]
enum Load {
    /// They can share a row: the entries, and the row that they would be alone.
    Small { values: Vec<Value>, plain: Bytes },
    /// They are a row of their own, which is with the driver while it is taken.
    Alone(Option<Box<Placed>>),
}

/// The queues of the logs that are being appended to.
#[derive(Debug, Default)]
pub(crate) struct Groups(Mutex<HashMap<Partition, Arc<Queue>>>);

/// The appends to one log.
#[derive(Debug, Default)]
pub(super) struct Queue {
    list: Mutex<Waitlist>,
    /// Told when somebody has gone.
    withdrawn: Notify,
}

#[derive(Debug, Default)]
struct Waitlist {
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    /// How many rows have been written, or not, so far.
    rounds: u64,
}

/// One append, from when it is queued until it is answered.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: u64,
    /// Its caller has gone. Changes only while the queue is locked.
    is_withdrawn: Arc<AtomicBool>,
    operation: Operation,
    runtime: Option<Handle>,
    deadline: Option<Instant>,
    span: Span,
    entries: Entries,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Answer {
    Done(Result<Position>),
    /// Nobody drives the queue any more: the entries again.
    Abandoned(Entries),
}

/// The appends that go into one row together.
#[derive(Debug)]
pub(super) struct Batch {
    appends: Vec<Waiting>,
    pub(super) row: Box<Placed>,
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// Until when the last of them waits.
    deadline: Option<Instant>,
}

impl Entries {
    /// Makes entries ready to be appended: what is too large to share a row is stored already, all but its head.
    pub(crate) async fn place(operation: &Operation, values: Vec<Value>) -> Result<Self> {
        let store = &operation.store;
        let codec = store.options.codec;
        let count = values.len() as u64;
        let list = Value::List(values);
        let plain = Bytes::from(codec.encode(&list)?);
        let bytes = plain.len() as u64;
        let load = match list {
            Value::List(values) if plain.len().saturating_add(ROW_OVERHEAD) <= store.inline_limit => {
                Load::Small { values, plain }
            }
            _ => Load::Alone(Some(Box::new(place(operation, count, plain).await?))),
        };
        Ok(Self { load, count, bytes })
    }

    fn is_alone(&self) -> bool {
        matches!(self.load, Load::Alone(_))
    }

    /// Gives up what was stored already.
    fn discard(&self, operation: &Operation) {
        if let Load::Alone(Some(placed)) = &self.load {
            placement::discard(operation, placed);
        }
    }
}

/// Places a row of entries. Where it goes is not known yet, so its head says the longest that can become of it.
async fn place(operation: &Operation, count: u64, plain: Bytes) -> Result<Placed> {
    let kind = HeadKind::Entries {
        count,
        before: u64::MAX,
    };
    placement::place(operation, kind, Content::Encoded(operation.store.options.codec), plain).await
}

/// Appends entries to the log at a key, together with what others append at the same time, and says at which position they begin.
///
/// # Errors
///
/// As [`append_one_row`]; `unavailable` or `unknown_outcome` when the runtime is shut down under the driver.
///
/// # Cancellation
///
/// Leaves them in the log or not, all or none.
pub(crate) async fn append(operation: &Operation, key: &Key, entries: Entries) -> Result<Position> {
    let store = &operation.store;
    let at = store.address(key);
    let mut entries = entries;
    let mut runtime = Handle::try_current().ok();
    loop {
        let (sender, receiver) = oneshot::channel();
        let is_withdrawn = Arc::<AtomicBool>::default();
        let waiting = Waiting {
            ticket: 0,
            is_withdrawn: Arc::clone(&is_withdrawn),
            operation: operation.clone(),
            runtime: runtime.clone(),
            deadline: backend::deadline(),
            span: Span::current(),
            entries,
            answer: sender,
        };
        let (queue, ticket) = store.groups.join(store, key, &at, waiting);
        let withdraw = Withdraw {
            groups: &store.groups,
            partition: &at.partition,
            queue: &queue,
            ticket,
            is_withdrawn,
        };
        let answer = match runtime.take() {
            Some(_) => {
                let patience = store.options.contention_timeout().max(PARTING);
                withdraw.wait(receiver, patience).await
            }
            None => {
                drive(store, key, &queue, None).await;
                receiver.await
            }
        };
        entries = match answer {
            Ok(Answer::Done(result)) => return result,
            // From here on alone.
            Ok(Answer::Abandoned(entries)) => entries,
            Err(_) => {
                let message = "the runtime that carried the append was shut down";
                return Err(Error::new(ErrorKind::UnknownOutcome, message));
            }
        };
    }
}

/// Takes an append out of its queue when its caller goes away.
struct Withdraw<'a> {
    groups: &'a Groups,
    partition: &'a Partition,
    queue: &'a Queue,
    ticket: u64,
    is_withdrawn: Arc<AtomicBool>,
}

impl Withdraw<'_> {
    /// Waits for the answer, and for this long for a queue in which nothing goes on.
    async fn wait(
        &self,
        mut answer: oneshot::Receiver<Answer>,
        patience: Duration,
    ) -> Result<Answer, oneshot::error::RecvError> {
        loop {
            let rounds = self.queue.lock().rounds;
            if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
                return answer;
            }
            let has_stopped = self.queue.lock().rounds == rounds;
            // What is taken can only be waited for.
            if has_stopped && let Some(waiting) = self.queue.take_back(self.ticket) {
                self.groups.leave(self.partition, self.queue);
                return Ok(Answer::Abandoned(waiting.entries));
            }
        }
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.queue.withdraw(self.ticket, &self.is_withdrawn) {
            waiting.entries.discard(&waiting.operation);
        }
    }
}

impl Groups {
    /// Queues an append, and starts a driver where there is none; without a runtime, in a queue of its own, for the caller to drive.
    fn join(&self, store: &Arc<Inner>, key: &Key, at: &Address, waiting: Waiting) -> (Arc<Queue>, u64) {
        let Some(runtime) = waiting.runtime.clone() else {
            let queue = Arc::<Queue>::default();
            let ticket = queue.push(waiting);
            return (queue, ticket);
        };
        let mut queues = self.lock();
        if let Some(queue) = queues.get(&at.partition) {
            let ticket = queue.push(waiting);
            return (Arc::clone(queue), ticket);
        }
        let queue = Arc::<Queue>::default();
        let ticket = queue.push(waiting);
        queues.insert(at.partition.clone(), Arc::clone(&queue));
        drop(queues);
        let driver = Driver {
            store: Arc::clone(store),
            key: key.clone(),
            partition: at.partition.clone(),
            queue: Some(Arc::clone(&queue)),
        };
        driver.start(&runtime);
        (queue, ticket)
    }

    /// Ends a queue if nobody waits in it.
    fn end_if_idle(&self, partition: &Partition, queue: &Queue) -> bool {
        let mut queues = self.lock();
        let is_idle = queue.lock().waiting.is_empty();
        if is_idle {
            forget(&mut queues, partition, queue);
        }
        is_idle
    }

    /// Lets nobody join a queue any more.
    fn leave(&self, partition: &Partition, queue: &Queue) {
        forget(&mut self.lock(), partition, queue);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Partition, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a queue out, unless another one is in its place.
fn forget(queues: &mut HashMap<Partition, Arc<Queue>>, partition: &Partition, queue: &Queue) {
    if queues.get(partition).is_some_and(|there| std::ptr::eq(&**there, queue)) {
        queues.remove(partition);
    }
}

/// Writes one row of a log, and is followed by another one if somebody waits then.
struct Driver {
    store: Arc<Inner>,
    key: Key,
    partition: Partition,
    /// Until it has ended, or handed over.
    queue: Option<Arc<Queue>>,
}

impl Driver {
    fn start(self, runtime: &Handle) {
        let run: BoxFuture<'static, ()> = Box::pin(self.run());
        runtime.spawn(run);
    }

    async fn run(mut self) {
        // Whoever is about to append as well can do so first.
        tokio::task::yield_now().await;
        let Some(queue) = self.queue.clone() else {
            return;
        };
        if drive(&self.store, &self.key, &queue, Some(&self.partition)).await {
            self.queue = None;
            return;
        }
        // Whoever waits runs his runtime; nobody may run this one any more.
        let runtime = queue.runtime();
        let next = Self {
            store: Arc::clone(&self.store),
            key: self.key.clone(),
            partition: self.partition.clone(),
            queue: self.queue.take(),
        };
        match runtime {
            Some(runtime) => next.start(&runtime),
            None => drop(next),
        }
    }
}

impl Drop for Driver {
    /// When the runtime is shut down under it, those who wait elsewhere go on alone.
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else {
            return;
        };
        self.store.groups.leave(&self.partition, &queue);
        for waiting in queue.empty() {
            let _ = waiting.answer.send(Answer::Abandoned(waiting.entries)); // its caller may have gone
        }
    }
}

/// Writes one row of what waits and answers those concerned; `true` when nobody waits any more.
///
/// A driver ends before it answers the last ones: when their runtime is not run any more after that, nobody waits for it.
async fn drive(store: &Arc<Inner>, key: &Key, queue: &Queue, driven: Option<&Partition>) -> bool {
    let asked = queue.next_ticket();
    let round = match Operation::begin(Arc::clone(store), "append") {
        Ok(operation) => {
            let span = queue.span();
            append_one_row(&operation, key, queue, asked).instrument(span).await
        }
        Err(closed) => Round::Failed(None, closed),
    };
    let (appends, result) = match round {
        Round::Appended(batch, first) => {
            store.figures.appended(batch.count);
            (batch.appends, Ok(first))
        }
        Round::Failed(Some(batch), error) => (batch.take_apart(), Err(error)),
        // What comes while something fails is not concerned.
        Round::Failed(None, error) => (queue.take_before(asked), Err(error)),
        Round::Nobody => (Vec::new(), Ok(0)),
    };
    queue.lock().rounds += 1;
    let has_ended = driven.is_none_or(|partition| store.groups.end_if_idle(partition, queue));
    let mut next = match &result {
        Ok(first) => *first,
        Err(_) => 0,
    };
    for waiting in appends {
        let result = match &result {
            Ok(_) => Ok(next),
            Err(error) => {
                waiting.entries.discard(&waiting.operation);
                waiting.operation.leave_undecided(error.outcome() == Outcome::Unknown);
                Err(error.clone())
            }
        };
        next = next.saturating_add(waiting.entries.count);
        let _ = waiting.answer.send(Answer::Done(result)); // its caller may have gone
    }
    has_ended
}

impl Queue {
    /// Takes as many appends as fit into one row, in the order in which they came. From here on their callers cannot know whether
    /// they are appended, until they are told. `None` when nobody waits.
    ///
    /// # Errors
    ///
    /// Those of placing the row, for which all wait again.
    pub(super) async fn take(&self, operation: &Operation) -> Result<Option<Batch>> {
        let mut appends = self.take_fitting(operation);
        if appends.is_empty() {
            return Ok(None);
        }
        match Batch::place(operation, &mut appends).await {
            Ok((row, bytes)) => Ok(Some(Batch {
                count: appends.iter().map(|waiting| waiting.entries.count).sum(),
                bytes,
                deadline: latest(appends.iter()),
                row,
                appends,
            })),
            Err(error) => {
                self.wait_again(appends);
                Err(error)
            }
        }
    }

    /// Lets what was taken wait again, before all others: it was not appended.
    pub(super) fn put_back(&self, batch: Option<Batch>) {
        self.wait_again(batch.map(Batch::take_apart).unwrap_or_default());
    }

    fn wait_again(&self, appends: Vec<Waiting>) {
        let mut list = self.lock();
        for waiting in appends.into_iter().rev() {
            waiting.operation.leave_undecided(false);
            if waiting.is_withdrawn.load(Ordering::Relaxed) {
                waiting.entries.discard(&waiting.operation);
            } else {
                list.waiting.push_front(waiting);
            }
        }
    }

    /// The ticket of who comes next.
    pub(super) fn next_ticket(&self) -> u64 {
        self.lock().next_ticket
    }

    /// Runs a future for as long as somebody waits who came before a ticket was given out; `None` when nobody does any more. Who has
    /// come later begins anew.
    pub(super) async fn while_waited_for<F: Future>(&self, ticket: u64, future: F) -> Option<F::Output> {
        let deadline = latest(self.lock().waiting.iter());
        let have_gone = |list: &Waitlist| list.waiting.front().is_none_or(|waiting| waiting.ticket >= ticket);
        tokio::select! {
            biased;
            output = until(deadline, future) => Some(output),
            () = self.until_list(have_gone) => None,
        }
    }

    /// Runs a future for as long as somebody waits for what was taken, and a little longer; `None` when nobody does any more.
    pub(super) async fn while_wanted<F: Future>(&self, wanted: Wanted, future: F) -> Option<F::Output> {
        let unwanted = async {
            let is_withdrawn = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
            self.until_list(|_| wanted.flags.iter().all(is_withdrawn)).await;
            tokio::time::sleep(PARTING).await;
        };
        tokio::select! {
            biased;
            output = until(wanted.deadline, future) => Some(output),
            () = unwanted => None,
        }
    }

    async fn until_list(&self, holds: impl Fn(&Waitlist) -> bool) {
        loop {
            let withdrawn = self.withdrawn.notified();
            if holds(&self.lock()) {
                return;
            }
            withdrawn.await;
        }
    }

    fn take_fitting(&self, operation: &Operation) -> Vec<Waiting> {
        let store = &operation.store;
        let mut list = self.lock();
        let mut taken = Vec::new();
        let (mut bytes, mut count) = (ROW_OVERHEAD as u64, 0_u64);
        while let Some(waiting) = list.waiting.pop_front() {
            let entries = &waiting.entries;
            bytes = bytes.saturating_add(entries.bytes);
            count = count.saturating_add(entries.count);
            let fits = !entries.is_alone()
                && bytes <= store.inline_limit as u64
                && count <= store.options.append_batch.min(SEGMENT);
            if !taken.is_empty() && !fits {
                list.waiting.push_front(waiting);
                break;
            }
            waiting.operation.leave_undecided(true);
            taken.push(waiting);
            if !fits {
                break;
            }
        }
        taken
    }

    fn push(&self, mut waiting: Waiting) -> u64 {
        let mut list = self.lock();
        waiting.ticket = list.next_ticket;
        list.next_ticket += 1;
        let ticket = waiting.ticket;
        list.waiting.push_back(waiting);
        ticket
    }

    /// Takes out what waits, for a caller that goes. What is taken is not put back any more.
    fn withdraw(&self, ticket: u64, is_withdrawn: &AtomicBool) -> Option<Waiting> {
        is_withdrawn.store(true, Ordering::Relaxed);
        let withdrawn = self.take_back(ticket);
        self.withdrawn.notify_waiters();
        withdrawn
    }

    /// Takes out what waits.
    fn take_back(&self, ticket: u64) -> Option<Waiting> {
        let mut list = self.lock();
        let index = list.waiting.iter().position(|waiting| waiting.ticket == ticket);
        index.and_then(|index| list.waiting.remove(index))
    }

    /// Those who came before a ticket was given out.
    fn take_before(&self, ticket: u64) -> Vec<Waiting> {
        let mut list = self.lock();
        let count = list
            .waiting
            .iter()
            .take_while(|waiting| waiting.ticket < ticket)
            .count();
        list.waiting.drain(..count).collect()
    }

    fn empty(&self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// On which the first one of those who wait does.
    fn runtime(&self) -> Option<Handle> {
        self.lock().waiting.front().and_then(|waiting| waiting.runtime.clone())
    }

    /// In which the requests for the first one are to be seen.
    fn span(&self) -> Span {
        self.lock()
            .waiting
            .front()
            .map_or_else(Span::none, |waiting| waiting.span.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Waitlist> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// The row of several appends, unless the only one brought its own, and the bytes of its entries.
    async fn place(operation: &Operation, appends: &mut [Waiting]) -> Result<(Box<Placed>, u64)> {
        let count = appends.iter().map(|waiting| waiting.entries.count).sum();
        let plain = match appends {
            [one] => match &mut one.entries.load {
                Load::Small { plain, .. } => plain.clone(),
                Load::Alone(row) => {
                    let row = row.take().unwrap_or_default();
                    return Ok((row, one.entries.bytes));
                }
            },
            all => encode_together(operation, all)?,
        };
        let bytes = plain.len() as u64;
        Ok((Box::new(place(operation, count, plain).await?), bytes))
    }

    /// Who is there for it.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            flags: self
                .appends
                .iter()
                .map(|waiting| Arc::clone(&waiting.is_withdrawn))
                .collect(),
            deadline: self.deadline,
        }
    }

    /// The appends, each with what it brought.
    fn take_apart(mut self) -> Vec<Waiting> {
        if let [one] = self.appends.as_mut_slice()
            && let Load::Alone(row) = &mut one.entries.load
        {
            *row = Some(self.row);
        }
        self.appends
    }
}

/// Who is there for what was taken, and until when.
pub(super) struct Wanted {
    flags: Vec<Arc<AtomicBool>>,
    deadline: Option<Instant>,
}

/// Runs a future of whose end somebody waits until this deadline, if there is one.
async fn until<F: Future>(deadline: Option<Instant>, future: F) -> F::Output {
    match deadline {
        Some(deadline) => backend::until(deadline, future).await,
        None => future.await,
    }
}

/// The row that several appends make together.
fn encode_together(operation: &Operation, appends: &mut [Waiting]) -> Result<Bytes> {
    let mut together = Vec::new();
    for waiting in appends.iter_mut() {
        if let Load::Small { values, .. } = &mut waiting.entries.load {
            together.append(values);
        }
    }
    let list = Value::List(together);
    let encoded = operation.store.options.codec.encode(&list);
    if let Value::List(together) = list {
        let mut rest = together.into_iter();
        for waiting in appends {
            if let Load::Small { values, .. } = &mut waiting.entries.load {
                values.extend(rest.by_ref().take(waiting.entries.count as usize));
            }
        }
    }
    Ok(encoded?.into())
}

/// The latest of their deadlines, none if one has none.
fn latest<'a>(mut appends: impl Iterator<Item = &'a Waiting>) -> Option<Instant> {
    appends.try_fold(None, |latest: Option<Instant>, waiting| {
        let deadline = waiting.deadline?;
        Some(Some(latest.map_or(deadline, |latest| latest.max(deadline))))
    })?
}
