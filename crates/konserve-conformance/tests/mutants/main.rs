//! Engines that are wrong on purpose: the suite is trusted because each of them fails the trial that it names.
//!
//! A family of mutants is a file with `mutants()`. A mutant is a [`Wrong`](engine::Wrong) that overrides what it does
//! wrong, and a line in the family's table that names it, the trial that must catch it, and how real engines come by the
//! defect. Every mutant is a test of its own: `cargo test -p konserve-conformance --test mutants -- rows`.

mod addresses;
mod cancellation;
mod capabilities;
mod commits;
mod conditions;
mod engine;
mod expiry;
mod faults;
mod identities;
mod items;
mod lifecycle;
mod limits;
mod listings;
mod logs;
mod mutant;
mod purges;
mod reads;
mod removals;
mod rivals;
mod rows;
mod stats;
mod writes;

use std::collections::HashSet;
use std::process::ExitCode;

use konserve_conformance::catalogue;
use libtest_mimic::{Arguments, Failed, Trial};

use self::mutant::Mutant;

fn mutants() -> Vec<Mutant> {
    let families = [
        addresses::mutants(),
        items::mutants(),
        reads::mutants(),
        conditions::mutants(),
        writes::mutants(),
        removals::mutants(),
        rivals::mutants(),
        commits::mutants(),
        purges::mutants(),
        rows::mutants(),
        listings::mutants(),
        limits::mutants(),
        expiry::mutants(),
        logs::mutants(),
        faults::mutants(),
        capabilities::mutants(),
        identities::mutants(),
        stats::mutants(),
        lifecycle::mutants(),
        cancellation::mutants(),
    ];
    families.into_iter().flatten().collect()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut tests = vec![Trial::test("every-mutant-is-well-described", well_described)];
    tests.extend(mutants().into_iter().map(|mutant| {
        let (name, trial) = (mutant.name(), mutant.trial());
        Trial::test(name, move || mutant.must_be_caught().map_err(Failed::from)).with_kind(trial)
    }));
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// The table is what people read first: names are unique, trials exist, reasons are sentences.
fn well_described() -> Result<(), Failed> {
    let trials: HashSet<String> = catalogue().into_iter().map(|entry| entry.id).collect();
    let mut names = HashSet::new();
    for mutant in mutants() {
        let name = mutant.name();
        if !trials.contains(mutant.trial()) {
            return Err(format!("{name} names the trial {:?}, which there is not", mutant.trial()).into());
        }
        if mutant.why().is_empty() {
            return Err(format!("{name} does not say how a real engine comes by the defect").into());
        }
        if !names.insert(name) {
            return Err(format!("{name} is there twice").into());
        }
    }
    Ok(())
}
