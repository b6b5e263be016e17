//! The command that runs the conformance suite, what it leaves behind, and the page that is kept current.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::args::{ConformanceOptions, Engine};
use crate::cargo::{Cargo, metadata, root};
use crate::report::{Report, merged, read_all};
use crate::{markdown, suites};

/// The page that tells what each engine keeps.
const PAGE: &str = "docs/conformance.md";

/// Where the suite leaves its reports, for whoever sets it.
const REPORT: &str = "KONSERVE_CONFORMANCE_REPORT";

/// `cargo xtask conformance`
pub(crate) fn run(options: &ConformanceOptions) -> Result<(), Failure> {
    let home = home()?;
    let folder = Folder::new(home.join("engines"))?;
    // Together with `konserve-tests`, which has no such test: the selections are built of the same artefacts that way.
    // A failure in one engine does not keep the others from being tested.
    let mut cargo = Cargo::new("test --package konserve-tests --all-features --locked --no-fail-fast");
    let engines = options.engine.map_or(Engine::ALL.to_vec(), |engine| vec![engine]);
    let (packages, tests): (BTreeSet<_>, BTreeSet<_>) = engines.into_iter().map(suite).unzip();
    for package in packages {
        cargo = cargo.args("--package").arg(package);
    }
    for test in tests {
        cargo = cargo.args("--test").arg(test);
    }
    if let Some(seeds) = options.thorough {
        cargo = cargo.env("KONSERVE_CONFORMANCE_THOROUGH", seeds.to_string());
    }
    if let Some(seed) = options.seed {
        cargo = cargo.env("KONSERVE_CONFORMANCE_SEED", seed.to_string());
    }
    let ran = suites::against(cargo, options.endpoint.as_deref(), options.aws);
    let ran = folder.given_to(ran).run();

    let reports = folder.reports()?;
    if reports.is_empty() {
        ran?;
        return Err(format!("no report was written to {}", folder.0.display()));
    }
    write(&home.join("report.json"), &format!("{:#}\n", merged(&reports)))?;
    write(&home.join("report.md"), &markdown::full(&reports))?;
    println!();
    for report in &reports {
        println!("{}", report.summary());
    }
    println!("\nreport: {}", home.join("report.md").display());
    println!("        {}", home.join("report.json").display());
    ran?;
    if options.bless {
        if let Some(reason) = incomparable(&reports) {
            return Err(format!("{PAGE} is not written: {reason}"));
        }
        write(&root().join(PAGE), &markdown::promises(&reports))?;
        println!("page:   {PAGE}");
    }
    Ok(())
}

/// A folder that holds the reports of one run.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// For the reports of the run of all tests.
    pub(crate) fn of_tests() -> Result<Self, Failure> {
        Self::new(home()?.join("tests"))
    }

    /// Without what an earlier run left.
    fn new(path: PathBuf) -> Result<Self, Failure> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", path.display())),
            _ => Ok(Self(path)),
        }
    }

    /// Lets the suites that are run leave their reports here.
    pub(crate) fn given_to(&self, cargo: Cargo) -> Cargo {
        cargo.env(REPORT, self.0.to_string_lossy())
    }

    fn reports(&self) -> Result<Vec<Report>, Failure> {
        read_all(&self.0)
    }

    /// Compares the page with what the tests have found.
    pub(crate) fn compare(&self) -> Result<(), Failure> {
        let reports = self.reports()?;
        if let Some(reason) = incomparable(&reports) {
            println!("{PAGE} is not compared: {reason}");
            return Ok(());
        }
        let found = markdown::promises(&reports);
        let page = fs::read_to_string(root().join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
        match difference(&page, &found) {
            None => Ok(()),
            Some(difference) => Err(format!(
                "{PAGE} is not what the tests have found: {difference}\n\
                update it with: cargo xtask conformance --bless"
            )),
        }
    }
}

/// Why the page says nothing of such a run.
fn incomparable(reports: &[Report]) -> Option<String> {
    let reasons = reports.iter().filter_map(|report| {
        let engine = &report.engine;
        if let Some((name, value)) = report.settings.first() {
            return Some(format!("{engine} was run with {name}={value}"));
        }
        if report.left_out > 0 {
            return Some(format!("{engine} was run in part"));
        }
        (report.count().failed > 0).then(|| format!("{engine} has failed"))
    });
    reasons.min()
}

/// The first line that differs.
fn difference(page: &str, found: &str) -> Option<String> {
    if page == found {
        return None;
    }
    let mut lines = page.lines().map(Some).chain(std::iter::repeat(None));
    let found = found.lines().map(Some).chain([None]);
    let differing = found
        .enumerate()
        .map(|(number, found)| (number + 1, lines.next().flatten(), found))
        .find(|(_, page, found)| page != found);
    let (number, page, found) = differing?;
    let shown = |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("`{line}`"));
    Some(format!("line {number} says {}, not {}", shown(page), shown(found)))
}

/// The package and the test that run the suite on an engine.
fn suite(engine: Engine) -> (&'static str, &'static str) {
    match engine {
        Engine::Memory => ("konserve-memory", "conformance"),
        Engine::Adversarial => ("konserve-memory", "adversarial"),
        Engine::DynamoDb => ("konserve-dynamodb", "conformance"),
        // The example of an engine.
        Engine::Directory => ("konserve-conformance", "conformance"),
    }
}

fn home() -> Result<PathBuf, Failure> {
    let target = metadata()?["target_directory"].as_str().map(PathBuf::from);
    Ok(target.ok_or("cargo metadata: no target directory")?.join("conformance"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    written
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n").unwrap(), "line 2 says `b`, not `c`");
        assert_eq!(difference("a\nb\n", "a\n").unwrap(), "line 2 says `b`, not the end");
        assert_eq!(difference("", "a\n").unwrap(), "line 1 says the end, not `a`");
    }

    #[test]
    fn only_whole_runs_of_the_usual_engines_are_compared() {
        let mut report = example("mine", &[("a.1", "passed")]);
        assert_eq!(incomparable(std::slice::from_ref(&report)), None);
        let failed = example("mine", &[("a.1", "failed")]);
        assert!(incomparable(&[failed]).unwrap().contains("failed"));
        report.left_out = 1;
        assert!(incomparable(std::slice::from_ref(&report)).unwrap().contains("in part"));
        report.settings.push(("MINE".to_owned(), "yours".to_owned()));
        assert!(incomparable(&[report]).unwrap().contains("MINE=yours"));
    }

    #[test]
    fn reports_of_earlier_runs_are_gone() {
        let path = std::env::temp_dir().join(format!("konserve-xtask-{}", std::process::id()));
        write(&path.join("mine.json"), "{").unwrap();
        assert!(read_all(&path).is_err());
        let folder = Folder::new(path.clone()).unwrap();
        assert!(folder.reports().unwrap().is_empty());
        let whole = example("mine", &[("a.1", "passed")]).whole.to_string();
        write(&path.join("mine.json"), &whole).unwrap();
        assert_eq!(folder.reports().unwrap().len(), 1);
        fs::remove_dir_all(path).unwrap();
    }
}
