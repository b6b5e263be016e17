//! A crate of somebody else, outside of this workspace, runs the suite: with a path dependency and one `main`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use konserve_conformance::{Finding, Report};

const MANIFEST: &str = include_str!("outside/Cargo.toml.template");
const ENGINE: &str = include_str!("outside/engine.rs");
const HARNESS: &str = include_str!("outside/conformance.rs");

#[test]
fn a_crate_outside_of_the_workspace_gets_its_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shelf = Outside::new(&folder.path().join("somebody else's engine"));
    shelf.build();

    let green = shelf.cargo("test --test our-suite");
    let text = text(&green);
    let failures = text
        .split_once("\nfailures:\n")
        .map_or(text.as_str(), |(_, failures)| failures);
    assert!(green.status.success(), "{failures}");
    let report = shelf.report();
    assert!(!report.is_partial(), "{text}");
    assert_eq!(report.version.as_deref(), Some("shelf 0.3.0"));
    let package = report.package.as_ref().expect("cargo names the package");
    assert_eq!((package.name.as_str(), package.version.as_str()), ("shelf", "0.3.0"));
    let (mut passed, mut ignored) = (0, 0);
    for trial in &report.trials {
        match &trial.finding {
            Finding::Passed => passed += 1,
            Finding::Ignored { .. } => ignored += 1,
            other => panic!("{}: {other:?}", trial.id),
        }
    }
    assert!(
        passed > 200,
        "only {passed} trials apply to an engine without transactions"
    );
    assert!(
        text.contains(&format!(
            "test result: ok. {passed} passed; 0 failed; {ignored} ignored;"
        )),
        "the report says {passed} passed, {ignored} ignored\n{text}"
    );

    red_and_again_red(&shelf);
}

/// With a defect the suite fails, and what it prints repeats the failure, from the folder of that crate.
fn red_and_again_red(shelf: &Outside) {
    let trial = "rows.range-and-order";
    let red = shelf.cargo(&format!(
        "test --features forgetful --test our-suite -- --exact {trial}"
    ));
    let printed = text(&red);
    assert!(!red.status.success(), "{printed}");
    assert!(shelf.report().is_partial());
    let command = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("reproduce with: "));
    let command = command.unwrap_or_else(|| panic!("no command in\n{printed}"));
    assert!(command.contains("KONSERVE_CONFORMANCE_SEED="), "{command}");
    assert!(command.contains("SHELF_ROOM='the attic' "), "{command}");

    let mut shell = Command::new("sh");
    let again = shelf.outside(shell.arg("-c").arg(command)).output().expect("a shell");
    let printed = text(&again);
    assert!(!again.status.success(), "{command}\n{printed}");
    assert!(
        printed.contains("test result: FAILED. 0 passed; 1 failed; 0 ignored;") && printed.contains(command),
        "{command}\n{printed}"
    );
}

/// A crate in a folder of its own.
struct Outside {
    folder: PathBuf,
    target: PathBuf,
    reports: PathBuf,
}

impl Outside {
    fn new(folder: &Path) -> Self {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates");
        let workspace = crates.parent().expect("the workspace");
        let manifest = MANIFEST
            .replace("@CORE@", &quoted(&crates.join("konserve-core")))
            .replace("@CONFORMANCE@", &quoted(&crates.join("konserve-conformance")));
        for (name, text) in [
            ("Cargo.toml", manifest.as_str()),
            ("src/lib.rs", ENGINE),
            ("tests/our-suite.rs", HARNESS),
        ] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("a file");
        }
        // The same versions as here: what has been downloaded for this workspace is enough.
        fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
        Self {
            // Kept, so that only the first run compiles everything.
            target: Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside"),
            reports: folder.join("reports"),
            folder: folder.to_owned(),
        }
    }

    /// Builds it without the network, and with it if something has never been downloaded.
    fn build(&self) {
        let offline = self.cargo("test --no-run --offline --test our-suite");
        if offline.status.success() {
            return;
        }
        eprintln!("cannot be built offline, trying with the registry:\n{}", text(&offline));
        let online = self.cargo("test --no-run --test our-suite");
        assert!(
            online.status.success(),
            "the crate builds neither offline nor with the registry:\n{}",
            text(&online)
        );
    }

    /// Runs the cargo that runs this test.
    fn cargo(&self, args: &str) -> Output {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let command = self.outside(command.args(args.split(' ')));
        command.output().expect("cargo can be run")
    }

    /// In the folder, with an environment that says nothing of this package and of this run.
    fn outside<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in env::vars_os() {
            let is_ours = name.to_str().is_some_and(|name| {
                let of_this_package = ["PKG_", "MANIFEST_", "BIN_", "CRATE_", "PRIMARY_", "TARGET_TMPDIR"];
                let of_cargo = name.strip_prefix("CARGO_");
                name.starts_with("KONSERVE_")
                    || of_cargo.is_some_and(|rest| of_this_package.iter().any(|prefix| rest.starts_with(prefix)))
            });
            if is_ours {
                command.env_remove(name);
            }
        }
        // `cargo` in a shell is the same one.
        let cargo = env::var_os("CARGO").map(PathBuf::from);
        let beside = cargo.as_deref().and_then(Path::parent).map(Path::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(beside.into_iter().chain(env::split_paths(&path))).expect("a path");
        command
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            // Smaller and sooner: nobody will debug it.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("KONSERVE_CONFORMANCE_REPORT", &self.reports)
            .env("SHELF_ROOM", "the attic")
    }

    fn report(&self) -> Report {
        let text = fs::read(self.reports.join("shelf.json")).expect("a report was written");
        serde_json::from_slice(&text).expect("the report can be read")
    }
}

/// A path as a string of TOML, whatever is in it.
fn quoted(path: &Path) -> String {
    let path = path.to_str().expect("a path that is text");
    let mut quoted = String::from("\"");
    for c in path.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[test]
fn every_path_can_be_put_into_a_manifest() {
    let path = Path::new("/a \"folder\"/of\\ours/it's\tmine");
    assert_eq!(quoted(path), r#""/a \"folder\"/of\\ours/it's\u0009mine""#);
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
