//! The command line of the walkthroughs.

use std::ffi::OsString;

use lexopt::prelude::*;

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Print how the program is called.
    Help,
    /// Walk.
    Walk(Arguments),
}

/// On which engine to walk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    /// In memory, not on DynamoDB.
    pub memory: bool,
    /// On the DynamoDB at this URL, not on an embedded one.
    pub endpoint: Option<String>,
    /// In this table.
    pub table: Option<String>,
    /// Also when there is such a table.
    pub allow_existing: bool,
}

pub(crate) fn help(program: &str) -> String {
    format!(
        "\
A walk through a document store. Prints each call, what it returned and how many DynamoDB requests it took, and fails
when a call does not return what it must. Without options it runs on a DynamoDB engine embedded in this program.

Usage: cargo run --example {program} -- [options]

Options:
  --backend memory|dynamodb  The engine; dynamodb unless said otherwise
  --endpoint URL             The DynamoDB at this URL, with credentials from the default chain of the AWS SDK, and the
                             region as well, us-west-1 if it has none. A table of a fresh name is made and deleted
  --table NAME               The name of the table; refused when there is one
  --allow-existing           Use the table if there is one. Only what the walk itself stores in it is deleted
  --help                     This text
"
    )
}

pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Task, lexopt::Error> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Task::Help),
            Long("backend") => {
                arguments.memory = match parser.value()?.string()?.as_str() {
                    "memory" => true,
                    "dynamodb" => false,
                    _ => return Err("--backend is memory or dynamodb".into()),
                }
            }
            Long("endpoint") => arguments.endpoint = Some(parser.value()?.string()?),
            Long("table") => arguments.table = Some(parser.value()?.string()?),
            Long("allow-existing") => arguments.allow_existing = true,
            _ => return Err(argument.unexpected()),
        }
    }
    if arguments.memory && (arguments.endpoint.is_some() || arguments.table.is_some() || arguments.allow_existing) {
        return Err("--endpoint, --table and --allow-existing are for DynamoDB".into());
    }
    Ok(Task::Walk(arguments))
}
