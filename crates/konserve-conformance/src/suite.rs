//! The trials for one engine, and the program that runs them.

use std::collections::HashSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use futures::FutureExt;
use konserve_core::{Clock, Entropy, SystemClock, SystemEntropy};
use libtest_mimic::{Arguments, Completion, Failed};
use tokio::runtime::Runtime;

use crate::arena::Arena;
use crate::report::file_name;
use crate::trial::{self, Entry, Trial};
use crate::{Finding, Harness, Package, Recorder, Report, TrialReport, reproduce};

/// A number that everything random in a run follows from.
pub(crate) const SEED: &str = "KONSERVE_CONFORMANCE_SEED";
/// For how many seeds, this one and those after it, the trials that follow from the seed are run.
const THOROUGH: &str = "KONSERVE_CONFORMANCE_THOROUGH";
/// `1` lists the trials as ignored where the environment is missing.
const ALLOW_MISSING: &str = "KONSERVE_CONFORMANCE_ALLOW_MISSING";

/// The folder that reports are written into.
const REPORT: &str = "KONSERVE_CONFORMANCE_REPORT";

/// Runs the suite on an engine: the whole `main` of its test target.
///
/// Takes the arguments of the standard test runner (a filter, `--list`, `--exact`, `--skip`, `--test-threads`).
/// `KONSERVE_CONFORMANCE_SEED` repeats what was random in an earlier run; with `KONSERVE_CONFORMANCE_THOROUGH=100` the
/// trials that follow from the seed are run for 100 seeds, beginning with that one. `KONSERVE_CONFORMANCE_REPORT` names a
/// folder that a [`Report`] is written into, relative to that of the package.
pub fn run(harness: impl Harness) -> ExitCode {
    run_all([Suite::new(harness)])
}

/// Runs several suites as one program, for an engine that can be set up in several ways.
pub fn run_all(suites: impl IntoIterator<Item = Suite>) -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut trials, mut recorders) = (Vec::new(), Vec::new());
    let mut names = HashSet::new();
    for suite in suites {
        let name = suite.harness.name();
        let file = file_name(&name);
        if !names.insert(file.clone()) {
            let failed = move || {
                let message = format!("two suites have this name, or one like it: both reports would be {file}.json");
                Err(Failed::from(message))
            };
            trials.push(libtest_mimic::Trial::test("suite.name", failed).with_kind(name));
        }
        let (more, recorder) = suite.record();
        trials.extend(more);
        recorders.push(recorder);
    }
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    let Some(folder) = env::var_os(REPORT).filter(|folder| !folder.is_empty() && !arguments.list) else {
        return code;
    };
    // What was not asked for at all leaves an earlier report alone.
    let reports = recorders.iter().map(Recorder::report);
    for report in reports.filter(|report| !report.trials.is_empty()) {
        if let Err(error) = report.write(Path::new(&folder)) {
            eprintln!("the report on {} cannot be written: {error}", report.engine);
            return ExitCode::FAILURE;
        }
    }
    code
}

/// The trials for one engine.
pub struct Suite {
    harness: Arc<dyn Harness>,
    seed: u64,
    seeds: u64,
    /// What is wrong in the environment.
    wrong: Vec<String>,
    allow_missing: bool,
}

/// What came out of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The engine keeps what the trial is about.
    Passed,
    /// It does not; with what was expected and what was found.
    Failed(String),
    /// The trial does not apply; with the reason.
    Ignored(String),
}

impl Suite {
    /// The suite for the engine behind a harness, with the settings of the environment.
    pub fn new(harness: impl Harness) -> Self {
        let mut wrong = Vec::new();
        let mut number = |name| {
            let given = env::var(name).ok()?;
            let number = given.parse::<u64>().ok();
            if number.is_none() {
                wrong.push(format!("{name}={given} is not a whole number"));
            }
            number
        };
        let (seed, seeds) = (number(SEED), number(THOROUGH));
        Self {
            harness: Arc::new(harness),
            seed: seed.unwrap_or_else(|| {
                let mut bytes = [0; 4];
                SystemEntropy.fill(&mut bytes);
                u64::from(u32::from_ne_bytes(bytes))
            }),
            seeds: seeds.unwrap_or(1).max(1),
            wrong,
            allow_missing: env::var(ALLOW_MISSING).is_ok_and(|allow| allow == "1"),
        }
    }

    /// What everything random in the trials follows from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// For how many seeds, the given one and those after it, the trials that follow from the seed are run, each in a fresh
    /// namespace. Default 1.
    #[must_use]
    pub fn thorough(mut self, seeds: u64) -> Self {
        self.seeds = seeds.max(1);
        self
    }

    /// Whether a missing environment lets the trials be ignored instead of failed.
    #[must_use]
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    /// The trials, for any runner that knows `libtest-mimic`. Their kind is the name of the engine.
    #[must_use]
    pub fn trials(self) -> Vec<libtest_mimic::Trial> {
        self.record().0
    }

    /// The trials, and what takes down what comes out of them.
    ///
    /// ```no_run
    /// # use konserve_conformance::{Harness, Suite};
    /// # fn run(harness: impl Harness) -> std::io::Result<()> {
    /// let (trials, recorder) = Suite::new(harness).record();
    /// let conclusion = libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials);
    /// recorder.report().write("reports".as_ref())?;
    /// conclusion.exit()
    /// # }
    /// ```
    #[must_use]
    pub fn record(self) -> (Vec<libtest_mimic::Trial>, Recorder) {
        let recorder = Recorder::new(self.head());
        let desk = Desk {
            kind: self.harness.name(),
            recorder: recorder.clone(),
        };
        let missing = self.harness.environment().err().map(|missing| missing.to_string());
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => {
                return (
                    vec![desk.failing("suite.runtime", format!("no runtime: {error}"))],
                    recorder,
                );
            }
        };
        let all = trial::all();
        let mut trials = self.wrong_deviations(&desk, &all);
        if !self.wrong.is_empty() {
            trials.push(desk.failing("suite.settings", self.wrong.join(", ")));
        }
        if let Some(missing) = missing.as_ref().filter(|_| !self.allow_missing) {
            trials.push(desk.failing("suite.environment", format!("missing: {missing}")));
        }
        for trial in all {
            let without = trial.entry.without;
            if without.is_some_and(|capability| capability.is_declared(&*self.harness)) {
                continue;
            }
            let missing = missing.as_ref().map(|missing| format!("missing: {missing}"));
            trials.push(match missing.or_else(|| inapplicable(&*self.harness, &trial)) {
                Some(reason) => desk.trial(trial.entry, move || Finding::Ignored { reason }),
                None => self.trial(&desk, trial, &runtime),
            });
        }
        (trials, recorder)
    }

    /// Runs one trial and tells what came out; `None` when there is none of this id, or when it is one for engines that
    /// lack something that this one has. Deviations count for nothing here.
    ///
    /// Must be called on a `tokio` runtime.
    pub async fn outcome(&self, id: &str) -> Option<Outcome> {
        let trial = trial::all().into_iter().find(|trial| trial.entry.id == id)?;
        let without = trial.entry.without;
        if without.is_some_and(|capability| capability.is_declared(&*self.harness)) {
            return None;
        }
        if let Some(reason) = inapplicable(&*self.harness, &trial) {
            return Some(Outcome::Ignored(reason));
        }
        Some(match perform(&self.harness, &trial, self.seed, self.seeds).await {
            Ok(()) => Outcome::Passed,
            Err((_, failure)) => Outcome::Failed(failure),
        })
    }

    /// The report before anything has run.
    fn head(&self) -> Report {
        let package = env::var("CARGO_PKG_NAME").ok().zip(env::var("CARGO_PKG_VERSION").ok());
        Report {
            format: Report::FORMAT,
            engine: self.harness.name(),
            version: self.harness.version(),
            package: package.map(|(name, version)| Package { name, version }),
            suite: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.seed,
            seeds: self.seeds,
            capabilities: self.harness.capabilities().into(),
            clock: self.harness.has_clock(),
            faults: self.harness.has_faults(),
            settings: reproduce::settings(&*self.harness).into_iter().collect(),
            left_out: 0,
            milliseconds: 0,
            trials: Vec::new(),
        }
    }

    fn trial(&self, desk: &Desk, trial: Trial, runtime: &Arc<Runtime>) -> libtest_mimic::Trial {
        let id = trial.entry.id.clone();
        let deviation = self.harness.deviations().into_iter().find(|known| known.trial == id);
        let (harness, runtime) = (Arc::clone(&self.harness), Arc::clone(runtime));
        let (first, seeds) = (self.seed, self.seeds);
        desk.trial(trial.entry.clone(), move || {
            let performed = AssertUnwindSafe(|| runtime.block_on(perform(&harness, &trial, first, seeds)));
            let performed = catch_unwind(performed);
            let outcome = performed.unwrap_or_else(|panic| Err((first, format!("a panic: {}", text_of(&*panic)))));
            let command = |seed| Some(reproduce::command(&*harness, &id, seed));
            match (outcome, deviation) {
                (Ok(()), None) => Finding::Passed,
                (Err((_, message)), Some(known)) => Finding::Deviation {
                    reason: known.reason.to_owned(),
                    link: known.link.to_owned(),
                    message,
                },
                (Ok(()), Some(known)) => Finding::Failed {
                    message: format!(
                        "passes, though it is declared as a known deviation ({}, {})",
                        known.reason, known.link
                    ),
                    command: command(first),
                },
                (Err((seed, message)), None) => Finding::Failed {
                    message,
                    command: command(seed),
                },
            }
        })
    }

    /// Deviations that name no trial are mistakes.
    fn wrong_deviations(&self, desk: &Desk, all: &[Trial]) -> Vec<libtest_mimic::Trial> {
        let ids: HashSet<&str> = all.iter().map(|trial| trial.entry.id.as_str()).collect();
        let deviations = self.harness.deviations().into_iter();
        deviations
            .filter(|deviation| !ids.contains(deviation.trial))
            .map(|deviation| {
                let message = format!(
                    "a known deviation names the trial {:?}, which there is not",
                    deviation.trial
                );
                desk.failing("suite.deviations", message)
            })
            .collect()
    }
}

/// Where trials become trials of the runner, and what comes out of them is taken down.
struct Desk {
    kind: String,
    recorder: Recorder,
}

impl Desk {
    fn trial(&self, entry: Entry, run: impl FnOnce() -> Finding + Send + 'static) -> libtest_mimic::Trial {
        let (recorder, place) = (self.recorder.clone(), self.recorder.plan());
        let id = entry.id.clone();
        let perform = move || {
            let started = SystemClock.uptime();
            let finding = run();
            let completion = completion(&finding, &entry);
            recorder.add(place, taken_down(entry, finding), started, SystemClock.uptime());
            completion
        };
        libtest_mimic::Trial::ignorable_test(id, perform).with_kind(&self.kind)
    }

    /// A trial of the run itself.
    fn failing(&self, id: &str, message: String) -> libtest_mimic::Trial {
        let entry = Entry {
            id: id.to_owned(),
            clauses: &[],
            needs: Vec::new(),
            without: None,
            seeded: false,
        };
        self.trial(entry, move || Finding::Failed { message, command: None })
    }
}

fn taken_down(entry: Entry, finding: Finding) -> TrialReport {
    TrialReport {
        id: entry.id,
        clauses: entry.clauses.iter().map(|&clause| clause.to_owned()).collect(),
        needs: entry.needs.iter().map(ToString::to_string).collect(),
        without: entry.without.map(|capability| capability.to_string()),
        seeded: entry.seeded,
        milliseconds: 0,
        finding,
    }
}

/// What the runner is told.
fn completion(finding: &Finding, entry: &Entry) -> Result<Completion, Failed> {
    match finding {
        Finding::Passed | Finding::Deviation { .. } => Ok(Completion::Completed),
        Finding::Ignored { reason } => Ok(Completion::ignored_with(reason)),
        Finding::Failed { message, command } => {
            let mut text = message.clone();
            if !entry.clauses.is_empty() {
                text.push_str(&format!("\n  clauses {} of docs/contract.md", entry.clauses.join(", ")));
            }
            if let Some(command) = command {
                text.push_str(&format!("\n  reproduce with: {command}"));
            }
            Err(Failed::from(text))
        }
    }
}

/// Why a trial does not apply to an engine.
fn inapplicable(harness: &dyn Harness, trial: &Trial) -> Option<String> {
    let mut needs = trial.entry.needs.iter();
    let missing = needs.find(|capability| !capability.is_declared(harness))?;
    Some(format!("the engine does not declare {missing}"))
}

/// Runs a trial, for each seed in a namespace of its own. Tells the seed that fails.
async fn perform(harness: &Arc<dyn Harness>, trial: &Trial, seed: u64, seeds: u64) -> Result<(), (u64, String)> {
    let seeds = if trial.entry.seeded { seeds } else { 1 };
    for seed in (0..seeds).map(|more| seed.wrapping_add(more)) {
        once(harness, trial, seed).await.map_err(|failure| (seed, failure))?;
    }
    Ok(())
}

/// Runs a trial in a namespace of its own.
async fn once(harness: &Arc<dyn Harness>, trial: &Trial, seed: u64) -> Result<(), String> {
    let late = |_| format!("not finished after {:?}", harness.patience());
    let arena = tokio::time::timeout(harness.patience(), Arena::open(Arc::clone(harness), seed))
        .await
        .map_err(|elapsed| format!("no namespace could be opened: {}", late(elapsed)))?
        .map_err(|error| format!("no namespace could be opened: {error}: {error:?}"))?;
    let run = AssertUnwindSafe((trial.run)(Arc::clone(&arena))).catch_unwind();
    let verdict = match tokio::time::timeout(harness.patience(), run).await {
        Ok(Ok(verdict)) => verdict.map_err(|failure| failure.to_string()),
        Ok(Err(panic)) => Err(format!("a panic: {}", text_of(&*panic))),
        Err(elapsed) => Err(late(elapsed)),
    };
    let cleaned = tokio::time::timeout(harness.patience(), arena.namespace.clean_up()).await;
    verdict?;
    let cleaned = cleaned.map_err(|elapsed| format!("the namespace could not be cleaned up: {}", late(elapsed)))?;
    cleaned.map_err(|error| format!("the namespace could not be cleaned up: {error}: {error:?}"))
}

/// The message of a panic.
pub(crate) fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
