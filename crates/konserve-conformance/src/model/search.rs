//! The search: sequences by seed, one after the other, and when one fails, shorter ones that fail as well.

use std::collections::HashMap;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use konserve_core::{Clock, SystemClock};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::sync::{mpsc, oneshot};

use super::step::{Setup, Step};
use super::strategies::{Sequences, Subjects, sequences};
use super::subject::{Subject, abilities};
use crate::arena::{Arena, Random};
use crate::failure::{Failure, Verdict};
use crate::suite::text_of;

/// How many sequences one seed makes.
const CASES: usize = 3;

/// How many steps a sequence has.
const STEPS: std::ops::RangeInclusive<usize> = 30..=40;

/// How many sequences are tried at most in search of a shorter one.
const ATTEMPTS: usize = 2000;

/// Into how many parts the time of a trial is cut: a sequence gets one of them, and making one shorter two, so that there is
/// always an answer in time.
const SHARES: u32 = 5;

/// Tries some sequences that follow from the seed. The one that fails is made shorter.
pub(super) async fn search(arena: Arc<Arena>, subjects: Subjects) -> Verdict {
    let abilities = abilities(&arena);
    let share = arena.patience() / SHARES;
    let seed = arena.seed;
    let (asks, mut asked) = mpsc::channel(1);
    // What `proptest` keeps of a sequence cannot go from thread to thread, so it stays on one, and asks from there. It ends
    // when nobody answers any more.
    let asking = tokio::task::spawn_blocking(move || {
        let found = find(sequences(subjects, abilities, STEPS), seed, 2 * share, &asks);
        found.map(|found| found.text())
    });
    while let Some(Question { sequence, answer }) = asked.recv().await {
        let failure = attempt(&arena, &sequence, share).await.err();
        // Who does not wait for the answer any more has no use for it.
        let _ = answer.send(failure.map(|failure| failure.to_string()));
    }
    match asking.await {
        Ok(None) => Ok(()),
        Ok(Some(text)) => Err(Failure::new(text)),
        Err(error) => Err(Failure::new(format!("no sequences could be made: {error}"))),
    }
}

/// Does given steps, as a sequence that was found once.
pub(super) async fn replay(arena: &Arc<Arena>, setup: Setup, steps: Vec<Step>) -> Verdict {
    let seen = Arc::default();
    let sequence = Sequence { setup, steps, seen };
    attempt(arena, &sequence, arena.patience() / SHARES).await
}

/// A sequence, and how many of its steps were begun.
#[derive(Clone)]
struct Sequence {
    setup: Setup,
    steps: Vec<Step>,
    seen: Arc<AtomicUsize>,
}

/// Whether a sequence fails, and how.
struct Question {
    sequence: Sequence,
    answer: oneshot::Sender<Option<String>>,
}

/// A sequence that fails.
struct Found {
    setup: Setup,
    steps: Vec<Step>,
    failure: String,
    /// How many steps it had at first.
    length: usize,
    attempts: usize,
}

impl Found {
    fn text(&self) -> String {
        let Self {
            setup,
            steps,
            failure,
            length,
            attempts,
        } = self;
        let mut text = format!(
            "{failure}\n  the shortest sequence that was found: {} of {length} steps, ",
            steps.len()
        );
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "after {attempts} more\n    let setup = {setup:?};\n    let steps = vec!["
        );
        for step in steps {
            let _ = writeln!(text, "        {step:?},");
        }
        text + "    ];\n    Ok((setup, steps))\n  these lines are the body of a function in src/model/regressions.rs of konserve-conformance"
    }
}

/// Does the steps in a fresh namespace, and looks at what is there at the end.
async fn attempt(arena: &Arc<Arena>, sequence: &Sequence, patience: Duration) -> Verdict {
    let Sequence { setup, steps, seen } = sequence.clone();
    let run = arena.elsewhere(async |arena| {
        let mut subject = Subject::open(arena, setup).await?;
        for (number, step) in steps.iter().enumerate() {
            seen.fetch_add(1, Ordering::Relaxed);
            let done = subject.step(step).await;
            done.map_err(|failure| Failure::new(format!("step {}, {step:?}: {failure}", number + 1)))?;
        }
        subject.end().await
    });
    match tokio::time::timeout(patience, AssertUnwindSafe(run).catch_unwind()).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(panic)) => Err(Failure::new(format!("a panic: {}", text_of(&*panic)))),
        Err(_) => Err(Failure::new(format!("not finished after {patience:?}"))),
    }
}

/// The first sequence that fails, as short as it could be made.
fn find(sequences: Sequences, seed: u64, time: Duration, asks: &mpsc::Sender<Question>) -> Option<Found> {
    let mut random = Random::new(seed);
    let bytes: Vec<u8> = (0..32).map(|_| random.below(256) as u8).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    // Nothing but the rejections of strategies is taken from the configuration, and there are none.
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..CASES {
        let mut tree = sequences.new_tree(&mut runner).ok()?;
        let sequence = sequence(&tree.current());
        if let Some(failure) = ask(asks, &sequence)? {
            let Sequence { setup, steps, .. } = sequence;
            let length = steps.len();
            let found = Found {
                setup,
                steps,
                failure,
                length,
                attempts: 0,
            };
            let mut shortening = Shortening {
                best: found,
                known: HashMap::new(),
                began: SystemClock.uptime(),
                time,
                asks,
            };
            shortening.simplify(&mut tree);
            shortening.thin_out();
            return Some(shortening.best);
        }
    }
    None
}

/// Makes a sequence that fails shorter.
struct Shortening<'a> {
    best: Found,
    /// Whether a sequence that was tried failed: what is undone comes again.
    known: HashMap<String, bool>,
    began: Duration,
    time: Duration,
    asks: &'a mpsc::Sender<Question>,
}

impl Shortening<'_> {
    /// By the strategies: step after step is left out, then what is left is made simpler.
    fn simplify(&mut self, tree: &mut <Sequences as Strategy>::Tree) {
        let mut changed = tree.simplify();
        while changed && self.goes_on() {
            changed = match self.fails(sequence(&tree.current())) {
                true => tree.simplify(),
                false => tree.complicate(),
            };
        }
    }

    /// Step after step is left out, again and again: what is simpler may need less.
    fn thin_out(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..self.best.steps.len()).rev() {
                if !self.goes_on() {
                    return;
                }
                let mut steps = self.best.steps.clone();
                steps.remove(at);
                let (setup, seen) = (self.best.setup, Arc::default());
                changed |= self.fails(Sequence { setup, steps, seen });
            }
        }
    }

    fn goes_on(&self) -> bool {
        self.best.attempts < ATTEMPTS && SystemClock.uptime().saturating_sub(self.began) < self.time
    }

    /// Whether a sequence fails; then it is the best one.
    fn fails(&mut self, sequence: Sequence) -> bool {
        let name = format!("{:?} {:?}", sequence.setup, sequence.steps);
        if let Some(fails) = self.known.get(&name) {
            return *fails;
        }
        self.best.attempts += 1;
        let failure = ask(self.asks, &sequence).flatten();
        self.known.insert(name, failure.is_some());
        let Some(failure) = failure else {
            return false;
        };
        self.best.failure = failure;
        self.best.setup = sequence.setup;
        self.best.steps = sequence.steps;
        true
    }
}

fn sequence((start, steps, seen): &<Sequences as Strategy>::Value) -> Sequence {
    Sequence {
        setup: start.setup,
        steps: steps.clone(),
        seen: seen.clone().unwrap_or_default(),
    }
}

/// Whether a sequence fails, and how; `None` when there is nobody to say.
fn ask(asks: &mpsc::Sender<Question>, sequence: &Sequence) -> Option<Option<String>> {
    let (answer, told) = oneshot::channel();
    let question = Question {
        sequence: sequence.clone(),
        answer,
    };
    asks.blocking_send(question).ok()?;
    told.blocking_recv().ok()
}
