//! The trials for one engine, and the program that runs them.

use std::collections::HashSet;
use std::env;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures::FutureExt;
use konserve_core::{Entropy, SystemEntropy};
use libtest_mimic::{Arguments, Completion, Failed};
use tokio::runtime::Runtime;

use crate::Harness;
use crate::arena::Arena;
use crate::trial::{self, Trial};

/// A number that everything random in a run follows from.
const SEED: &str = "KONSERVE_CONFORMANCE_SEED";
/// For how many seeds, this one and those after it, the trials that follow from the seed are run.
const THOROUGH: &str = "KONSERVE_CONFORMANCE_THOROUGH";
/// `1` lists the trials as ignored where the environment is missing.
const ALLOW_MISSING: &str = "KONSERVE_CONFORMANCE_ALLOW_MISSING";

/// Runs the suite on an engine: the whole `main` of its test target.
///
/// Takes the arguments of the standard test runner (a filter, `--list`, `--exact`, `--skip`, `--test-threads`).
/// `KONSERVE_CONFORMANCE_SEED` repeats what was random in an earlier run; with `KONSERVE_CONFORMANCE_THOROUGH=100` the
/// trials that follow from the seed are run for 100 seeds, beginning with that one.
pub fn run(harness: impl Harness) -> ExitCode {
    run_all([Suite::new(harness)])
}

/// Runs several suites as one program, for an engine that can be set up in several ways.
pub fn run_all(suites: impl IntoIterator<Item = Suite>) -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = suites.into_iter().flat_map(Suite::trials).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
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
        let name = self.harness.name();
        let missing = self.harness.environment().err().map(|missing| missing.to_string());
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => return vec![failing(&name, "suite.runtime", format!("no runtime: {error}"))],
        };
        let all = trial::all();
        let mut trials = self.wrong_deviations(&all);
        if !self.wrong.is_empty() {
            trials.push(failing(&name, "suite.settings", self.wrong.join(", ")));
        }
        if let Some(missing) = missing.as_ref().filter(|_| !self.allow_missing) {
            trials.push(failing(&name, "suite.environment", format!("missing: {missing}")));
        }
        for trial in all {
            let without = trial.entry.without;
            if without.is_some_and(|capability| capability.is_declared(&*self.harness)) {
                continue;
            }
            trials.push(match &missing {
                Some(missing) => ignored(&name, &trial.entry.id, format!("missing: {missing}")),
                None => self.trial(trial, &runtime),
            });
        }
        trials
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

    fn trial(&self, trial: Trial, runtime: &Arc<Runtime>) -> libtest_mimic::Trial {
        let id = trial.entry.id.clone();
        let name = self.harness.name();
        if let Some(reason) = inapplicable(&*self.harness, &trial) {
            return ignored(&name, &id, reason);
        }
        let deviation = self.harness.deviations().into_iter().find(|known| known.trial == id);
        let (harness, runtime) = (Arc::clone(&self.harness), Arc::clone(runtime));
        let (seed, seeds) = (self.seed, self.seeds);
        let clauses = trial.entry.clauses.join(", ");
        let command = format!("{} --exact {id}", command());
        let run = move || {
            let outcome = runtime.block_on(perform(&harness, &trial, seed, seeds));
            match (outcome, deviation) {
                (Ok(()), None) => Ok(()),
                (Err(_), Some(_)) => Ok(()),
                (Ok(()), Some(deviation)) => Err(Failed::from(format!(
                    "passes, though it is declared as a known deviation ({}, {})",
                    deviation.reason, deviation.link
                ))),
                (Err((seed, failure)), None) => Err(Failed::from(format!(
                    "{failure}\n  clauses {clauses} of docs/contract.md\n  reproduce with: {SEED}={seed} {command}"
                ))),
            }
        };
        libtest_mimic::Trial::test(id, run).with_kind(name)
    }

    /// Deviations that name no trial are mistakes.
    fn wrong_deviations(&self, all: &[Trial]) -> Vec<libtest_mimic::Trial> {
        let ids: HashSet<&str> = all.iter().map(|trial| trial.entry.id.as_str()).collect();
        let deviations = self.harness.deviations().into_iter();
        deviations
            .filter(|deviation| !ids.contains(deviation.trial))
            .map(|deviation| {
                let message = format!(
                    "a known deviation names the trial {:?}, which there is not",
                    deviation.trial
                );
                failing(&self.harness.name(), "suite.deviations", message)
            })
            .collect()
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

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

fn ignored(kind: &str, id: &str, reason: String) -> libtest_mimic::Trial {
    libtest_mimic::Trial::ignorable_test(id, move || Ok(Completion::ignored_with(&reason))).with_kind(kind)
}

fn failing(kind: &str, id: &str, message: String) -> libtest_mimic::Trial {
    libtest_mimic::Trial::test(id, move || Err(Failed::from(&message))).with_kind(kind)
}

/// The command that runs this test target, as far as it can be told from inside.
fn command() -> String {
    let package = env::var("CARGO_PKG_NAME").ok();
    let file = env::current_exe().ok();
    let stem = file.as_ref().and_then(|file| file.file_stem()?.to_str());
    // Cargo adds a dash and sixteen hexadecimal digits to the name of the target.
    let target = stem.and_then(|stem| stem.rsplit_once('-')).map(|(target, _)| target);
    match (package, target) {
        (Some(package), Some(target)) => format!("cargo test -p {package} --test {target} --"),
        _ => file.map_or_else(|| "<test>".to_owned(), |file| file.display().to_string()),
    }
}
