//! What came out of a run of the suite, for programs that read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use konserve_core::backend::{Capabilities, Durability, Reach};
use serde::{Deserialize, Serialize};

/// What came out of a run of the suite on one engine.
///
/// [`run`](crate::run) writes it as JSON into the folder that `KONSERVE_CONFORMANCE_REPORT` names, as `<engine>.json`.
/// Programs that run the trials by themselves get it from a [`Recorder`].
///
/// ```no_run
/// # use konserve_conformance::Report;
/// # fn read() -> Result<(), Box<dyn std::error::Error>> {
/// let report: Report = serde_json::from_slice(&std::fs::read("reports/mine.json")?)?;
/// assert_eq!(report.format, Report::FORMAT);
/// for trial in report.trials {
///     println!("{}: {:?}", trial.id, trial.finding);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this format, [`Report::FORMAT`]. Fields may be added without a new one.
    pub format: u32,
    /// What the engine is called: [`Harness::name`](crate::Harness::name).
    pub engine: String,
    /// What stands behind it: [`Harness::version`](crate::Harness::version).
    pub version: Option<String>,
    /// The package that was tested, as `cargo` tells it to the program; `None` when it was not run by `cargo`.
    pub package: Option<Package>,
    /// The version of this suite.
    pub suite: String,
    /// What everything random followed from.
    pub seed: u64,
    /// For how many seeds, this one and those after it, the trials that follow from the seed were run.
    pub seeds: u64,
    /// What the engine is expected to be able to do.
    pub capabilities: Declared,
    /// Whether its clock can be set.
    pub clock: bool,
    /// Whether it can be made to fail.
    pub faults: bool,
    /// What was tested, as the environment said it: [`Harness::settings`](crate::Harness::settings).
    pub settings: BTreeMap<String, String>,
    /// How many trials were not run, because something else was asked for.
    pub left_out: usize,
    /// From the start of the first trial to the end of the last one.
    pub milliseconds: u64,
    /// The trials that were run, in the order of the catalogue.
    pub trials: Vec<TrialReport>,
}

impl Report {
    /// The version of the format that this crate writes.
    pub const FORMAT: u32 = 1;

    /// Whether only some of the trials were run.
    pub fn is_partial(&self) -> bool {
        self.left_out > 0
    }

    /// Writes it into a folder, which is made if it is not there, and tells the name of the file. A report of the same
    /// engine is replaced.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", file_name(&self.engine)));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        // Whoever reads the folder meanwhile finds whole reports.
        let fresh = path.with_extension("json.new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &path)?;
        Ok(path)
    }
}

/// A package and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// `konserve-memory`
    pub name: String,
    /// `0.1.0`
    pub version: String,
}

/// What an engine is expected to be able to do: [`Capabilities`], as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Declared {
    /// Whether strong reads work.
    pub strong_reads: bool,
    /// What one atomic commit takes; `None` when there are none.
    pub transactions: Option<DeclaredTransactions>,
    /// The most bytes of one item; `None` when there is no limit.
    pub item_limit: Option<usize>,
    /// The most bytes of a partition's text.
    pub longest_partition: usize,
    /// How far conditions reach: `process`, `machine` or `everywhere`.
    pub reach: String,
    /// What an acknowledged write survives: on `memory` nothing, on `disk` the process, when `replicated` a disk.
    pub durability: String,
}

/// What one atomic commit takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredTransactions {
    /// The most mutations.
    pub items: usize,
    /// The most bytes of all items together.
    pub bytes: usize,
}

impl From<Capabilities> for Declared {
    fn from(capabilities: Capabilities) -> Self {
        let reach = match capabilities.reach {
            Reach::Process => "process",
            Reach::Machine => "machine",
            Reach::Everywhere => "everywhere",
        };
        let durability = match capabilities.durability {
            Durability::Memory => "memory",
            Durability::Disk => "disk",
            Durability::Replicated => "replicated",
        };
        Self {
            strong_reads: capabilities.strong_reads,
            transactions: capabilities.transactions.map(|limits| DeclaredTransactions {
                items: limits.items,
                bytes: limits.bytes,
            }),
            item_limit: capabilities.item_limit,
            longest_partition: capabilities.longest_partition,
            reach: reach.to_owned(),
            durability: durability.to_owned(),
        }
    }
}

/// What came out of one trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrialReport {
    /// Its stable id. Those that begin with `suite.` are about the run itself, and are there only when they fail.
    pub id: String,
    /// The clauses of `docs/contract.md` that it stands for.
    pub clauses: Vec<String>,
    /// What an engine must be able to do for it, in words.
    pub needs: Vec<String>,
    /// What an engine must not be able to do, in words: it is a trial of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// Whether its course follows from the seed.
    pub seeded: bool,
    /// How long it took, with opening and deleting its namespace.
    pub milliseconds: u64,
    /// What came out.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What came out of one trial, known deviations considered. In JSON the field `outcome` and those of the variant, beside
/// the others of the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// The engine keeps what the trial is about.
    Passed,
    /// It does not, or it does so though it is known not to.
    Failed {
        /// What was expected and what was found.
        message: String,
        /// The command that repeats it, with the seed, if running it again could tell more.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    },
    /// The trial does not apply.
    Ignored {
        /// Why.
        reason: String,
    },
    /// It does not, as is known.
    Deviation {
        /// Why.
        reason: String,
        /// Where that is tracked.
        link: String,
        /// What was expected and what was found.
        message: String,
    },
}

/// Takes down what comes out of the trials of a suite, whoever runs them: [`Suite::record`](crate::Suite::record). Clones
/// are the same.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Recording>>);

#[derive(Debug)]
struct Recording {
    /// The report, without trials.
    head: Report,
    planned: usize,
    first: Option<Duration>,
    last: Duration,
    trials: BTreeMap<usize, TrialReport>,
}

impl Recorder {
    pub(crate) fn new(head: Report) -> Self {
        Self(Arc::new(Mutex::new(Recording {
            head,
            planned: 0,
            first: None,
            last: Duration::ZERO,
            trials: BTreeMap::new(),
        })))
    }

    /// The report on the trials that have ended so far.
    pub fn report(&self) -> Report {
        let recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let span = recording.last.saturating_sub(recording.first.unwrap_or_default());
        Report {
            left_out: recording.planned - recording.trials.len(),
            milliseconds: milliseconds(span),
            trials: recording.trials.values().cloned().collect(),
            ..recording.head.clone()
        }
    }

    /// Says that there is one more trial, and gives its place in the report.
    pub(crate) fn plan(&self) -> usize {
        let mut recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recording.planned += 1;
        recording.planned - 1
    }

    /// Takes down what came out of the trial at a place, from and to which uptime it ran.
    pub(crate) fn add(&self, place: usize, trial: TrialReport, from: Duration, to: Duration) {
        let mut recording = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = milliseconds(to.saturating_sub(from));
        recording.trials.insert(place, TrialReport { milliseconds, ..trial });
        recording.first = Some(recording.first.map_or(from, |first| first.min(from)));
        recording.last = recording.last.max(to);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The name of an engine as part of a file name. Several names can come to the same.
pub(crate) fn file_name(engine: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    engine.chars().map(plain).collect()
}
