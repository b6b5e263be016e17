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
/// `1` lists the trials as ignored where the environment is missing.
const ALLOW_MISSING: &str = "KONSERVE_CONFORMANCE_ALLOW_MISSING";

/// Runs the suite on an engine: the whole `main` of its test target.
///
/// Takes the arguments of the standard test runner (a filter, `--list`, `--exact`, `--skip`, `--test-threads`).
/// `KONSERVE_CONFORMANCE_SEED` repeats what was random in an earlier run.
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
    /// What the environment says instead of a seed.
    wrong_seed: Option<String>,
    allow_missing: bool,
}

impl Suite {
    /// The suite for the engine behind a harness, with the settings of the environment.
    pub fn new(harness: impl Harness) -> Self {
        let given = env::var(SEED).ok();
        let seed = given.as_ref().and_then(|seed| seed.parse().ok());
        let wrong_seed = given.filter(|_| seed.is_none());
        Self {
            harness: Arc::new(harness),
            seed: seed.unwrap_or_else(|| {
                let mut bytes = [0; 4];
                SystemEntropy.fill(&mut bytes);
                u64::from(u32::from_ne_bytes(bytes))
            }),
            wrong_seed,
            allow_missing: env::var(ALLOW_MISSING).is_ok_and(|allow| allow == "1"),
        }
    }

    /// What everything random in the trials follows from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.wrong_seed = None;
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
        if let Some(wrong) = &self.wrong_seed {
            trials.push(failing(
                &name,
                "suite.seed",
                format!("{SEED}={wrong} is no seed: it is a whole number"),
            ));
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

    fn trial(&self, trial: Trial, runtime: &Arc<Runtime>) -> libtest_mimic::Trial {
        let id = trial.entry.id.clone();
        let name = self.harness.name();
        let mut needs = trial.entry.needs.iter();
        if let Some(missing) = needs.find(|capability| !capability.is_declared(&*self.harness)) {
            return ignored(&name, &id, format!("the engine does not declare {missing}"));
        }
        let deviation = self.harness.deviations().into_iter().find(|known| known.trial == id);
        let (harness, runtime, seed) = (Arc::clone(&self.harness), Arc::clone(runtime), self.seed);
        let clauses = trial.entry.clauses.join(", ");
        let reproduce = format!("{SEED}={seed} {} --exact {id}", command());
        let run = move || {
            let outcome = runtime.block_on(perform(&*harness, &trial, seed));
            match (outcome, deviation) {
                (Ok(()), None) => Ok(()),
                (Err(_), Some(_)) => Ok(()),
                (Ok(()), Some(deviation)) => Err(Failed::from(format!(
                    "passes, though it is declared as a known deviation ({}, {})",
                    deviation.reason, deviation.link
                ))),
                (Err(failure), None) => Err(Failed::from(format!(
                    "{failure}\n  clauses {clauses} of docs/contract.md\n  reproduce with: {reproduce}"
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

/// Runs a trial in a namespace of its own.
async fn perform(harness: &dyn Harness, trial: &Trial, seed: u64) -> Result<(), String> {
    let late = |_| format!("not finished after {:?}", harness.patience());
    let namespace = tokio::time::timeout(harness.patience(), harness.open())
        .await
        .map_err(|elapsed| format!("no namespace could be opened: {}", late(elapsed)))?
        .map_err(|error| format!("no namespace could be opened: {error}: {error:?}"))?;
    let arena = Arc::new(Arena::new(namespace, harness.capabilities(), harness.page(), seed));
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
