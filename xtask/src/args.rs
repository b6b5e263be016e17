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
  conformance   The conformance suite on one engine or on all, and a report
  bench         The benchmarks, and a table of what ours costs beside the same thing by hand
  ci            Everything that must hold before a change is accepted
";

const TEST_HELP: &str = "\
All tests of the workspace with all features, doc tests and the code in README.md and ARCHITECTURE.md included; then
both quickstarts on memory and on DynamoDB. The DynamoDB engine is embedded: nothing has to be installed or started. In
the end docs/conformance.md is compared with what the conformance suite found.

Usage: cargo xtask test
";

const TEST_DYNAMO_HELP: &str = "\
The tests of konserve-dynamodb, the conformance suite included, and the scenarios that cross crates. Without options they
start an embedded engine by themselves.

Usage: cargo xtask test-dynamo [--endpoint URL | --aws] [--large] [--seeds N] [filter]

Options:
  --seeds N        Only the runs of writers whose requests fail by a seed, for the seeds 0 to N - 1, optimised
  --endpoint URL   Against this DynamoDB endpoint, with credentials from the default chain
  --aws            Against Amazon's own, with region and credentials from the default chain. This costs money: little
  --large          The stream whose memory is measured has 1 GiB, not 64 MiB; on the embedded engine. Takes minutes
  filter           Only the tests whose names contain this; it is an error if there are none
";

const CONFORMANCE_HELP: &str = "\
The conformance suite on one engine or on all. Leaves a report of every trial in `target/conformance/`: `report.md` for
people, `report.json` for programs; also when trials failed.

Usage: cargo xtask conformance [memory|adversarial|dynamodb|directory] [options]

Options:
  --thorough [N]   Run the trials that follow from a seed for N seeds; without a number for 20
  --seed S         Begin with this seed instead of a random one
  --endpoint URL   dynamodb against this endpoint, with credentials from the default chain
  --aws            dynamodb against Amazon's own, as with `test-dynamo`. This costs money: little
  --bless          Write what was found on all engines to docs/conformance.md
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
    Conformance(ConformanceOptions),
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
    pub(crate) large: bool,
    /// For how many seeds writers are checked, and nothing else.
    pub(crate) seeds: Option<u64>,
    pub(crate) filter: Option<String>,
}

/// What the conformance suite is run on, how, and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConformanceOptions {
    /// All, if none.
    pub(crate) engine: Option<Engine>,
    /// For how many seeds.
    pub(crate) thorough: Option<u64>,
    pub(crate) seed: Option<u64>,
    pub(crate) endpoint: Option<String>,
    pub(crate) aws: bool,
    pub(crate) bless: bool,
}

/// For how many seeds `--thorough` without a number is.
const THOROUGH: u64 = 20;

/// The engines of this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Adversarial,
    DynamoDb,
    Directory,
}

impl Engine {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Adversarial, Self::DynamoDb, Self::Directory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Adversarial => "adversarial",
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
        "conformance" => (Task::Conformance(ConformanceOptions::default()), CONFORMANCE_HELP),
        "bench" => (Task::Bench { filter: None }, BENCH_HELP),
        "ci" => (Task::Ci { step: None }, CI_HELP),
        _ => return Err(format!("no command `{command}`").into()),
    };
    while let Some(arg) = parser.next()? {
        match (&mut task, arg) {
            (_, Short('h') | Long("help")) => return Ok(Task::Help(help)),
            (Task::TestDynamo(options), Long("endpoint")) => options.endpoint = Some(parser.value()?.string()?),
            (Task::TestDynamo(options), Long("aws")) => options.aws = true,
            (Task::TestDynamo(options), Long("large")) => options.large = true,
            (Task::TestDynamo(options), Long("seeds")) => options.seeds = Some(parser.value()?.parse()?),
            (Task::TestDynamo(DynamoOptions { filter, .. }) | Task::Bench { filter }, Value(given))
                if filter.is_none() =>
            {
                *filter = Some(given.string()?);
            }
            (Task::Conformance(options), Value(given)) if options.engine.is_none() => {
                let given = given.string()?;
                let named = Engine::ALL.into_iter().find(|engine| engine.name() == given);
                let known = "memory, adversarial, dynamodb or directory";
                options.engine = Some(named.ok_or_else(|| format!("no engine `{given}`: {known}"))?);
            }
            (Task::Conformance(options), Long("thorough")) => options.thorough = Some(thorough(parser)?),
            (Task::Conformance(options), Long("seed")) => options.seed = Some(parser.value()?.parse()?),
            (Task::Conformance(options), Long("endpoint")) => options.endpoint = Some(parser.value()?.string()?),
            (Task::Conformance(options), Long("aws")) => options.aws = true,
            (Task::Conformance(options), Long("bless")) => options.bless = true,
            (Task::Ci { step }, Value(given)) if step.is_none() => {
                let given = given.string()?;
                let named = Step::ALL.into_iter().find(|step| step.name() == given);
                *step = Some(named.ok_or_else(|| format!("no step `{given}`"))?);
            }
            (_, other) => return Err(other.unexpected()),
        }
    }
    consistent(&task)?;
    Ok(task)
}

/// The number behind `--thorough`, if there is one. What is no number is the next argument.
fn thorough(parser: &mut lexopt::Parser) -> Result<u64, lexopt::Error> {
    if let Some(given) = parser.optional_value() {
        return given.parse();
    }
    let is_number = |arg: &std::ffi::OsStr| arg.to_str().is_some_and(|arg| arg.parse::<u64>().is_ok());
    let next = parser.try_raw_args().and_then(|mut raw| raw.next_if(is_number));
    next.map_or(Ok(THOROUGH), |given| given.parse())
}

fn consistent(task: &Task) -> Result<(), &'static str> {
    let (endpoint, aws) = match task {
        Task::TestDynamo(options) => {
            let elsewhere = options.endpoint.is_some() || options.aws;
            if options.seeds.is_some() && (elsewhere || options.filter.is_some()) {
                return Err("--seeds is for the embedded engine, and for itself");
            }
            (&options.endpoint, options.aws)
        }
        Task::Conformance(options) => {
            let elsewhere = options.endpoint.is_some() || options.aws;
            if elsewhere && options.engine != Some(Engine::DynamoDb) {
                return Err("--endpoint and --aws are for `dynamodb`");
            }
            if options.bless && options.engine.is_some() {
                return Err("--bless is for all engines together");
            }
            (&options.endpoint, options.aws)
        }
        _ => return Ok(()),
    };
    match aws && endpoint.is_some() {
        true => Err("--aws and --endpoint exclude each other"),
        false => Ok(()),
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
                filter: Some("writes".into()),
                ..Default::default()
            })),
        );
        check(
            "test-dynamo --large stream",
            Ok(Task::TestDynamo(DynamoOptions {
                large: true,
                filter: Some("stream".into()),
                ..Default::default()
            })),
        );
        check(
            "test-dynamo --seeds 200",
            Ok(Task::TestDynamo(DynamoOptions {
                seeds: Some(200),
                ..Default::default()
            })),
        );
        check(
            "test-dynamo --aws",
            Ok(Task::TestDynamo(DynamoOptions {
                aws: true,
                ..Default::default()
            })),
        );
        let conformance = |options| Ok(Task::Conformance(options));
        check("conformance", conformance(ConformanceOptions::default()));
        check("conformance --help", Ok(Task::Help(CONFORMANCE_HELP)));
        for line in [
            "conformance directory --thorough 100 --seed 7",
            "conformance --seed=7 --thorough=100 directory",
            "conformance --thorough 100 directory --seed 7",
        ] {
            check(
                line,
                conformance(ConformanceOptions {
                    engine: Some(Engine::Directory),
                    thorough: Some(100),
                    seed: Some(7),
                    ..Default::default()
                }),
            );
        }
        for line in [
            "conformance adversarial --thorough",
            "conformance --thorough adversarial",
        ] {
            check(
                line,
                conformance(ConformanceOptions {
                    engine: Some(Engine::Adversarial),
                    thorough: Some(20),
                    ..Default::default()
                }),
            );
        }
        check(
            "conformance dynamodb --endpoint http://localhost:8000",
            conformance(ConformanceOptions {
                engine: Some(Engine::DynamoDb),
                endpoint: Some("http://localhost:8000".into()),
                ..Default::default()
            }),
        );
        check(
            "conformance --bless",
            conformance(ConformanceOptions {
                bless: true,
                ..Default::default()
            }),
        );
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
            Err("no engine `postgres`: memory, adversarial, dynamodb or directory"),
        );
        check(
            "conformance memory --aws",
            Err("--endpoint and --aws are for `dynamodb`"),
        );
        check(
            "conformance dynamodb --aws --endpoint http://x",
            Err("--aws and --endpoint exclude each other"),
        );
        check("conformance memory --bless", Err("--bless is for all engines together"));
        check("conformance memory directory", Err("unexpected argument \"directory\""));
        check("conformance --seed", Err("missing argument for option '--seed'"));
        check(
            "test-dynamo --endpoint",
            Err("missing argument for option '--endpoint'"),
        );
        check(
            "test-dynamo --aws --endpoint http://x",
            Err("--aws and --endpoint exclude each other"),
        );
        check(
            "test-dynamo --seeds 200 --aws",
            Err("--seeds is for the embedded engine, and for itself"),
        );
        check("bench a b", Err("unexpected argument \"b\""));
    }
}
