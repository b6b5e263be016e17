//! The commands that run tests.

use crate::Failure;
use crate::args::DynamoOptions;
use crate::cargo::Cargo;
use crate::conformance::Folder;

/// The selection that every step of CI shares: other features would build the AWS SDK again.
pub(crate) const EVERYTHING: &str = "--workspace --all-features --locked";

/// Programs that must run through, with their arguments and the engine that they run on.
const QUICKSTARTS: [(&str, &str); 4] = [
    ("quickstart", "memory"),
    ("quickstart", "dynamodb"),
    ("quickstart_blocking", "memory"),
    ("quickstart_blocking", "dynamodb"),
];

/// What the last line of a quickstart begins with.
const COMPLETE: &str = "walkthrough complete: ";

/// `cargo xtask test`
pub(crate) fn everything() -> Result<(), Failure> {
    // Compiles the examples as well. What the README and the architecture say in Rust runs as doc tests of
    // `konserve-tests`.
    let reports = Folder::of_tests()?;
    reports.given_to(Cargo::new("test").args(EVERYTHING)).run()?;
    for (example, engine) in QUICKSTARTS {
        quickstart(example, engine)?;
    }
    reports.compare()
}

/// `cargo xtask test-dynamo`
pub(crate) fn dynamo(options: &DynamoOptions) -> Result<(), Failure> {
    if let Some(seeds) = options.seeds {
        // The AWS SDK takes most of the time, and several times more of it without optimisation.
        let cargo =
            Cargo::new("test --release --package konserve-tests --all-features --locked --test linearizability");
        return cargo
            .env("KONSERVE_SEEDS", seeds.to_string())
            .args("-- --nocapture seeds::")
            .run();
    }
    // Without doc tests: those of `konserve-tests` are the documents of the workspace.
    let cargo = Cargo::new("test --package konserve-dynamodb --package konserve-tests --all-features --locked --tests");
    let mut cargo = against(cargo, options.endpoint.as_deref(), options.aws);
    if options.large {
        cargo = cargo.env("KONSERVE_TESTS_LARGE", "1");
    }
    match &options.filter {
        None => cargo.run(),
        Some(filter) => match passed(&cargo.arg("--").arg(filter).run_and_read()?) {
            0 => Err(format!("no test has a name that contains `{filter}`")),
            _ => Ok(()),
        },
    }
}

/// Lets the tests of the DynamoDB engine use this endpoint, or Amazon's own service.
pub(crate) fn against(mut cargo: Cargo, endpoint: Option<&str>, aws: bool) -> Cargo {
    if let Some(endpoint) = endpoint {
        cargo = cargo.env("KONSERVE_DYNAMODB_ENDPOINT", endpoint);
    }
    if aws {
        cargo = cargo.env("KONSERVE_DYNAMODB_AWS", "1");
    }
    cargo
}

/// Runs a walkthrough and believes its last line, not its exit status alone.
fn quickstart(example: &str, engine: &str) -> Result<(), Failure> {
    // Of all packages and with all features, as the tests: nothing is compiled for it.
    let cargo = Cargo::new("run --quiet --all-features --locked --example")
        .arg(example)
        .args("-- --backend")
        .arg(engine);
    let lines = cargo.run_and_read()?;
    let last = lines.iter().rev().find(|line| !line.trim().is_empty());
    match last.and_then(|line| line.strip_prefix(COMPLETE)) {
        Some(_) => Ok(()),
        None => Err(format!("`{cargo}` ended without `{COMPLETE}<n> steps`")),
    }
}

/// How many tests passed, by the summaries in the output of `cargo test`.
fn passed(output: &[String]) -> u64 {
    let counts = output.iter().filter_map(|line| {
        let (_, rest) = line.split_once("test result: ")?;
        let (before, _) = rest.split_once(" passed")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_over_all_binaries_and_with_colours() {
        let output = [
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "",
            "test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 40 passed; 0 failed; 0 ignored",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out",
        ];
        assert_eq!(passed(&output.map(str::to_owned)), 42);
    }
}
