//! Everything that must hold before a change is accepted.

use std::time::Instant;

use crate::args::Step;
use crate::cargo::{Cargo, duration};
use crate::suites::EVERYTHING;
use crate::{Failure, house, licences};

/// `cargo xtask ci`: one step, or all in order, stopping at the first that fails.
pub(crate) fn run(step: Option<Step>) -> Result<(), Failure> {
    let mut report = Vec::new();
    let started = now();
    for step in step.map_or(Step::ALL.to_vec(), |step| vec![step]) {
        let name = step.name();
        println!("\n==== {name}");
        let begun = now();
        let result = perform(step);
        let took = duration(begun.elapsed());
        if let Err(failure) = result {
            println!("==== {name}: FAILED after {took}");
            return Err(format!(
                "{failure}\n{name} failed; repeat it with: cargo xtask ci {name}"
            ));
        }
        println!("==== {name}: ok, {took}");
        report.push(format!("{name} {took}"));
    }
    println!("\nci: ok in {} ({})", duration(started.elapsed()), report.join(", "));
    Ok(())
}

fn perform(step: Step) -> Result<(), Failure> {
    match step {
        Step::Format => Cargo::new("fmt --all --check")
            .run()
            .map_err(|failure| format!("{failure}\nmend it with: cargo fmt --all")),
        Step::House => house::check(),
        Step::Licences => licences::check(),
        Step::Clippy => Cargo::new("clippy")
            .args(EVERYTHING)
            .args("--all-targets -- -D warnings")
            .run(),
        // The fewest that make a store. Without DynamoDB there is no AWS SDK to be compiled once more.
        Step::Features => Cargo::new("clippy --package konserve --no-default-features --features memory --locked")
            .args("-- -D warnings")
            .run(),
        Step::Documentation => Cargo::new("doc")
            .args(EVERYTHING)
            .args("--no-deps")
            .env("RUSTDOCFLAGS", "-D warnings")
            .run(),
        // As the README says it.
        Step::Test => Cargo::new("xtask test").run(),
    }
}

#[allow(clippy::disallowed_methods)] // no store is involved: this tells people how long they waited
fn now() -> Instant {
    Instant::now()
}
