//! What both walkthroughs share: the command line, the engine, and the checking and printing of each call.

mod arguments;
mod engine;
mod walk;

pub(crate) use self::arguments::{Arguments, Task};
pub(crate) use self::engine::start;
pub(crate) use self::walk::{Failure, Walk};

use std::process::ExitCode;

/// Runs a walkthrough with the arguments of this process.
pub(crate) fn run(program: &str, walk: impl FnOnce(&Arguments) -> Result<Walk, Failure>) -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Task::Walk(arguments)) => arguments,
        Ok(Task::Help) => {
            print!("{}", arguments::help(program));
            return ExitCode::SUCCESS;
        }
        Err(failure) => {
            eprintln!("{program}: {failure}\n\n{}", arguments::help(program));
            return ExitCode::from(2);
        }
    };
    match walk(&arguments) {
        Ok(walk) => {
            println!("\nwalkthrough complete: {} steps", walk.steps());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("\n{program}: {failure}");
            ExitCode::FAILURE
        }
    }
}
