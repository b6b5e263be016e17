//! The report says what came out, of each trial and of the run.

use std::sync::Arc;

use async_trait::async_trait;
use konserve_conformance::{Deviation, Finding, Harness, Namespace, Report, Suite, TrialReport};
use konserve_core::Result;
use konserve_core::backend::{Backend, Capabilities};
use konserve_memory::Memory;
use libtest_mimic::Arguments;

/// Memory, of which something wrong is expected.
#[derive(Default)]
struct Mistaken {
    expect_longer_partitions: bool,
    deviations: Vec<Deviation>,
}

#[async_trait]
impl Harness for Mistaken {
    fn name(&self) -> String {
        "mistaken / one".to_owned()
    }

    fn version(&self) -> Option<String> {
        Some("memory 1".to_owned())
    }

    fn settings(&self) -> Vec<&'static str> {
        vec!["CARGO_PKG_NAME", "KONSERVE_NEVER_SET"]
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Memory::builder().transactions(None).build().capabilities();
        capabilities.longest_partition += usize::from(self.expect_longer_partitions);
        capabilities
    }

    async fn open(&self) -> Result<Box<dyn Namespace>> {
        Ok(Box::new(Store(Memory::builder().transactions(None).build())))
    }

    fn deviations(&self) -> Vec<Deviation> {
        self.deviations.clone()
    }
}

struct Store(Memory);

#[async_trait]
impl Namespace for Store {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.0.clone())
    }

    async fn another(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.0.handle()))
    }

    async fn reopen(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.0.handle()))
    }
}

/// The trial that finds the mistake.
const TRIAL: &str = "capabilities.as-expected";

const KNOWN: Deviation = Deviation {
    trial: TRIAL,
    reason: "partitions are shorter",
    link: "https://example.com/1",
};

/// Runs the trials whose ids contain this, away from the output of the tests.
fn report(harness: Mistaken, filter: &str) -> Report {
    let log = tempfile::NamedTempFile::new().unwrap();
    let arguments = Arguments {
        filter: Some(filter.to_owned()),
        logfile: Some(log.path().to_str().unwrap().to_owned()),
        ..Arguments::default()
    };
    let (trials, recorder) = Suite::new(harness).seed(7).thorough(1).record();
    let _ = libtest_mimic::run(&arguments, trials);
    recorder.report()
}

fn only(report: &Report) -> &TrialReport {
    assert_eq!(report.trials.len(), 1, "{report:?}");
    &report.trials[0]
}

#[test]
fn a_run_is_described_and_what_was_not_run_is_counted() {
    let whole = report(Mistaken::default(), "");
    assert!(!whole.is_partial());
    assert_eq!(
        (
            whole.format,
            whole.engine.as_str(),
            whole.version.as_deref(),
            whole.seed
        ),
        (Report::FORMAT, "mistaken / one", Some("memory 1"), 7)
    );
    assert_eq!(whole.package.as_ref().unwrap().name, "konserve-conformance");
    let settings: Vec<_> = whole.settings.iter().collect();
    assert_eq!(settings, [(&"CARGO_PKG_NAME".into(), &"konserve-conformance".into())]);
    assert_eq!(
        (whole.capabilities.reach.as_str(), whole.clock, whole.faults),
        ("process", false, false)
    );
    assert!(whole.trials.iter().any(|trial| trial.finding == Finding::Passed));
    let commit = whole
        .trials
        .iter()
        .find(|trial| trial.id == "commit.many-refusals")
        .unwrap();
    let reason = "the engine does not declare transactions".to_owned();
    assert_eq!(commit.finding, Finding::Ignored { reason });
    assert!(commit.needs.contains(&"transactions".to_owned()));
    assert!(!commit.clauses.is_empty());
    let order: Vec<_> = konserve_conformance::catalogue()
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    let places = whole
        .trials
        .iter()
        .map(|trial| order.iter().position(|id| *id == trial.id));
    assert!(places.is_sorted());

    let part = report(Mistaken::default(), "list.");
    assert!(part.is_partial());
    assert!(part.trials.iter().all(|trial| trial.id.contains("list.")));
    assert_eq!(part.trials.len() + part.left_out, whole.trials.len());
}

#[test]
fn failures_deviations_and_unexpected_passes_are_told_apart() {
    let mistaken = |deviations: &[Deviation]| Mistaken {
        expect_longer_partitions: true,
        deviations: deviations.to_vec(),
    };
    let failed = report(mistaken(&[]), TRIAL);
    let Finding::Failed { message, command } = &only(&failed).finding else {
        panic!("{failed:?}");
    };
    assert!(message.contains("partition"), "{message}");
    let command = command.as_deref().unwrap();
    assert!(
        command.contains(" KONSERVE_CONFORMANCE_SEED=7 cargo test -p konserve-conformance --test report"),
        "{command}"
    );
    assert!(
        command.ends_with(&format!("-- --exact '[mistaken / one] {TRIAL}'")),
        "{command}"
    );
    assert!(command.starts_with("CARGO_PKG_NAME=konserve-conformance "), "{command}");

    let known = report(mistaken(&[KNOWN]), TRIAL);
    assert!(
        matches!(&only(&known).finding, Finding::Deviation { link, message: same, .. }
            if link == KNOWN.link && same == message),
        "{known:?}"
    );

    let deviations = vec![KNOWN];
    let passes = Mistaken {
        deviations,
        ..Mistaken::default()
    };
    let passes = report(passes, TRIAL);
    assert!(
        matches!(&only(&passes).finding, Finding::Failed { message, .. } if message.starts_with("passes, though")),
        "{passes:?}"
    );
}

#[test]
fn a_panic_is_a_failure_in_the_report() {
    struct Panicking;

    #[async_trait]
    impl Harness for Panicking {
        fn name(&self) -> String {
            "panicking".to_owned()
        }

        fn capabilities(&self) -> Capabilities {
            Memory::new().capabilities()
        }

        async fn open(&self) -> Result<Box<dyn Namespace>> {
            panic!("no store today");
        }
    }

    let (trials, recorder) = Suite::new(Panicking).seed(7).thorough(1).record();
    let log = tempfile::NamedTempFile::new().unwrap();
    let arguments = Arguments {
        filter: Some(TRIAL.to_owned()),
        logfile: Some(log.path().to_str().unwrap().to_owned()),
        ..Arguments::default()
    };
    assert_eq!(libtest_mimic::run(&arguments, trials).num_failed, 1);
    let report = recorder.report();
    assert!(
        matches!(&only(&report).finding, Finding::Failed { message, .. } if message == "a panic: no store today"),
        "{report:?}"
    );
}

#[test]
fn what_is_written_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let deviations = vec![KNOWN];
    let written = report(
        Mistaken {
            expect_longer_partitions: true,
            deviations,
        },
        "capabilities.",
    );
    let path = written.write(&folder.path().join("new folder")).unwrap();
    assert_eq!(path.file_name().unwrap(), "mistaken---one.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), written);
    // For readers in other languages.
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let trial = &json["trials"][0];
    assert_eq!((&json["format"], &trial["outcome"]), (&1.into(), &"deviation".into()));
    assert_eq!(trial["reason"], KNOWN.reason);
}
