//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::Failure;

/// What `cargo xtask --help` prints.
pub(crate) const HELP: &str = "\
Every developer and CI command. Needs no other program than cargo.

Usage: cargo xtask <command> [--help]

Commands:
  test          All tests, doc tests and examples; runs the quickstarts on both engines
  test-dynamo   Conformance, tests and scenarios of the DynamoDB engine alone
  conformance   The conformance suite on one engine or on all
  bench         The benchmarks, and a table of what ours costs beside the same thing by hand
  ci            Everything that must hold before a change is accepted
";

const TEST_HELP: &str = "\
All tests of the workspace with all features, doc tests and the code in README.md and ARCHITECTURE.md included; then
both quickstarts on memory and on DynamoDB. The DynamoDB engine is embedded: nothing has to be installed or started.

Usage: cargo xtask test
";

const TEST_DYNAMO_HELP: &str = "\
The tests of konserve-dynamodb, the conformance suite included, and the scenarios that cross crates. Without options they
start an embedded engine by themselves.

Usage: cargo xtask test-dynamo [--endpoint URL | --aws] [filter]

Options:
  --endpoint URL   Against this DynamoDB endpoint, with credentials from the default chain
  --aws            Against Amazon's own, with region and credentials from the default chain. This costs money: little
  filter           Only the tests whose names contain this; it is an error if there are none
";

const CONFORMANCE_HELP: &str = "\
The conformance suite on one engine or on all.

Usage: cargo xtask conformance [memory|dynamodb|directory]
";

const BENCH_HELP: &str = "\
The benchmarks, optimised. Ends with one table: what ours takes, what the same thing takes written by hand, the ratio, and
whether the ratio misses its aim.

Usage: cargo xtask bench [filter]

Options:
  filter   Only the benchmarks whose names contain this, such as `dynamodb get` or `memory`
";

const CI_HELP: &str = "\
Everything that must hold before a change is accepted: formatting, rules of the house, licences, clippy with all features
and with the fewest, documentation, all with warnings denied, and `cargo xtask test`. Names the command that repeats what
failed.

Usage: cargo xtask ci [format|house|licences|clippy|features|documentation|test]
";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print this and nothing else.
    Help(&'static str),
    Test,
    TestDynamo(DynamoOptions),
    Conformance(Option<Engine>),
    Bench {
        filter: Option<String>,
    },
    Ci {
        step: Option<Step>,
    },
}

/// Which DynamoDB to test against, and what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DynamoOptions {
    pub(crate) endpoint: Option<String>,
    pub(crate) aws: bool,
    pub(crate) filter: Option<String>,
}

/// The engines of this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    DynamoDb,
    Directory,
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::DynamoDb, Self::Directory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::DynamoDb => "dynamodb",
            Self::Directory => "directory",
        }
    }
}

/// The steps of CI, in their order: what takes seconds comes before what takes minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Format,
    House,
    Licences,
    Clippy,
    Features,
    Documentation,
    Test,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::Format,
        Self::House,
        Self::Licences,
        Self::Clippy,
        Self::Features,
        Self::Documentation,
        Self::Test,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::House => "house",
            Self::Licences => "licences",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Documentation => "documentation",
            Self::Test => "test",
        }
    }
}

/// Reads the command line, the name of the program left out.
pub(crate) fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Task, Failure> {
    parse_all(&mut lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
}

fn parse_all(parser: &mut lexopt::Parser) -> Result<Task, lexopt::Error> {
    let command = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Task::Help(HELP)),
        Some(Value(command)) => command.string()?,
        Some(other) => return Err(other.unexpected()),
    };
    let (mut task, help) = match command.as_str() {
        "test" => (Task::Test, TEST_HELP),
        "test-dynamo" => (Task::TestDynamo(DynamoOptions::default()), TEST_DYNAMO_HELP),
        "conformance" => (Task::Conformance(None), CONFORMANCE_HELP),
        "bench" => (Task::Bench { filter: None }, BENCH_HELP),
        "ci" => (Task::Ci { step: None }, CI_HELP),
        _ => return Err(format!("no command `{command}`").into()),
    };
    while let Some(arg) = parser.next()? {
        match (&mut task, arg) {
            (_, Short('h') | Long("help")) => return Ok(Task::Help(help)),
            (Task::TestDynamo(options), Long("endpoint")) => options.endpoint = Some(parser.value()?.string()?),
            (Task::TestDynamo(options), Long("aws")) => options.aws = true,
            (Task::TestDynamo(DynamoOptions { filter, .. }) | Task::Bench { filter }, Value(given))
                if filter.is_none() =>
            {
                *filter = Some(given.string()?);
            }
            (Task::Conformance(engine), Value(given)) if engine.is_none() => {
                let given = given.string()?;
                let named = Engine::ALL.into_iter().find(|engine| engine.name() == given);
                *engine = Some(named.ok_or_else(|| format!("no engine `{given}`: memory, dynamodb or directory"))?);
            }
            (Task::Ci { step }, Value(given)) if step.is_none() => {
                let given = given.string()?;
                let named = Step::ALL.into_iter().find(|step| step.name() == given);
                *step = Some(named.ok_or_else(|| format!("no step `{given}`"))?);
            }
            (_, other) => return Err(other.unexpected()),
        }
    }
    match &task {
        Task::TestDynamo(options) if options.aws && options.endpoint.is_some() => {
            Err("--aws and --endpoint exclude each other".into())
        }
        _ => Ok(task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Task, &str>) {
        assert_eq!(
            parse(line.split_whitespace()),
            expected.map_err(str::to_owned),
            "{line}"
        );
    }

    #[test]
    fn the_command_line_means_what_the_help_says() {
        check("", Ok(Task::Help(HELP)));
        check("--help", Ok(Task::Help(HELP)));
        check("test", Ok(Task::Test));
        check("test --help", Ok(Task::Help(TEST_HELP)));
        check("test-dynamo", Ok(Task::TestDynamo(DynamoOptions::default())));
        check(
            "test-dynamo --endpoint http://localhost:8000 writes",
            Ok(Task::TestDynamo(DynamoOptions {
                endpoint: Some("http://localhost:8000".into()),
                aws: false,
                filter: Some("writes".into()),
            })),
        );
        check(
            "test-dynamo --aws",
            Ok(Task::TestDynamo(DynamoOptions {
                aws: true,
                ..Default::default()
            })),
        );
        check("conformance", Ok(Task::Conformance(None)));
        check("conformance directory", Ok(Task::Conformance(Some(Engine::Directory))));
        check(
            "bench memory",
            Ok(Task::Bench {
                filter: Some("memory".into()),
            }),
        );
        check("ci", Ok(Task::Ci { step: None }));
        check(
            "ci licences",
            Ok(Task::Ci {
                step: Some(Step::Licences),
            }),
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check("tset", Err("no command `tset`"));
        check("test now", Err("unexpected argument \"now\""));
        check("ci now", Err("no step `now`"));
        check("test --fast", Err("invalid option '--fast'"));
        check(
            "conformance postgres",
            Err("no engine `postgres`: memory, dynamodb or directory"),
        );
        check(
            "test-dynamo --endpoint",
            Err("missing argument for option '--endpoint'"),
        );
        check(
            "test-dynamo --aws --endpoint http://x",
            Err("--aws and --endpoint exclude each other"),
        );
        check("bench a b", Err("unexpected argument \"b\""));
    }
}
