//! Every developer and CI command: `cargo xtask --help`.
//!
//! Needs no other program than cargo. What CI does is what `cargo xtask ci` does, and nothing else.

mod args;
mod bench;
mod cargo;
mod ci;
mod conformance;
mod house;
mod licences;
mod markdown;
mod report;
mod suites;

use std::process::ExitCode;

use crate::args::Task;

/// Why a command failed, for people.
type Failure = String;

fn main() -> ExitCode {
    let task = match args::parse(std::env::args_os().skip(1)) {
        Ok(task) => task,
        Err(failure) => {
            eprintln!("xtask: {failure}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Help(text) => {
            print!("{text}");
            Ok(())
        }
        Task::Test => suites::everything(),
        Task::TestDynamo(options) => suites::dynamo(&options),
        Task::Conformance(options) => conformance::run(&options),
        Task::Bench { filter } => bench::run(filter.as_deref()),
        Task::Ci { step } => ci::run(step),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
