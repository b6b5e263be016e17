//! What the conformance suite found, as documents for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use crate::cargo::duration;
use crate::report::{Counts, Finding, Report, Trial, group, ids};

/// How many of the slowest trials are told.
const SLOWEST: usize = 10;

const LEGEND: &str = "✓ passed; ✗ failed; D fails, as is known; – not applicable; blank: not for this engine, as a trial of \
a refusal is for engines that lack something";

/// The document for everyone: what each engine keeps. The same for every run that finds the same.
pub(crate) fn promises(reports: &[Report]) -> String {
    let mut text = String::from(
        "# What each engine keeps\n\n\
        <!-- Generated. Update it with: cargo xtask conformance --bless -->\n\n\
        The [conformance suite](../crates/konserve-conformance), run on every engine of this repository in every way that it \
        is set up in for tests. `cargo xtask test` compares this page with what it finds. What the trials stand for is \
        stated in [the contract](contract.md); `cargo xtask conformance` writes a report with every single trial, times and \
        seeds.\n",
    );
    text.push_str("\n## Engines\n\n");
    text.push_str(&engines(reports, &[]));
    text.push_str("\n## Trials by group\n\n");
    _ = writeln!(text, "{LEGEND}.\n");
    text.push_str(&groups(reports));
    text.push_str(&exceptions(reports));
    text.push_str(&not_applicable(reports));
    text.push_str(&deviations(reports));
    text
}

/// The document of one run: everything.
pub(crate) fn full(reports: &[Report]) -> String {
    let mut text = String::from("# Conformance report\n\n");
    let cell = |what: fn(&Report) -> String| reports.iter().map(what).collect::<Vec<_>>();
    text.push_str(&engines(
        reports,
        &[
            ("failed", cell(|report| report.count().failed.to_string())),
            ("not run", cell(|report| report.left_out.to_string())),
            ("seed", cell(|report| report.seed.to_string())),
            ("seeds", cell(|report| report.seeds.to_string())),
            ("time", cell(|report| readable(report.milliseconds))),
            ("settings", cell(settings)),
        ],
    ));
    text.push_str(&failures(reports));
    text.push_str(&deviations(reports));
    text.push_str(&not_applicable(reports));
    text.push_str("\n## Slowest trials\n\n");
    text.push_str(&slowest(reports));
    _ = writeln!(text, "\n## Trials\n\n{LEGEND}.\n");
    text.push_str(&groups(reports));
    for (name, ids) in grouped(reports) {
        _ = writeln!(text, "\n### {name}\n");
        let head = ["trial", "needs", "clauses"].map(str::to_owned);
        let head = head.into_iter().chain(names(reports));
        let rows = ids.iter().map(|id| {
            let trial = reports.iter().find_map(|report| report.trial(id));
            let needs = trial.map(|trial| trial.needs.join(", ")).unwrap_or_default();
            let clauses = trial.map(|trial| trial.clauses.join(" ")).unwrap_or_default();
            let cells = pattern(reports, id).into_iter().map(str::to_owned);
            [code(id), needs, clauses].into_iter().chain(cells).collect()
        });
        text.push_str(&table(head, rows));
    }
    text
}

/// What is known of each engine, one column for each.
fn engines(reports: &[Report], more: &[(&str, Vec<String>)]) -> String {
    let head = std::iter::once(String::new()).chain(names(reports));
    let row = |name: &str, what: &dyn Fn(&Report) -> String| -> Vec<String> {
        std::iter::once(name.to_owned())
            .chain(reports.iter().map(what))
            .collect()
    };
    let declared = |report: &Report, name: &str| report.whole["capabilities"][name].clone();
    let mut rows = vec![
        row("engine", &|report| report.version.clone()),
        row("conditions hold for", &|report| {
            match declared(report, "reach").as_str() {
                Some("process") => "one process",
                Some("machine") => "one machine",
                Some("everywhere") => "everyone",
                _ => "?",
            }
            .to_owned()
        }),
        row("a write survives", &|report| {
            match declared(report, "durability").as_str() {
                Some("memory") => "nothing",
                Some("disk") => "the process",
                Some("replicated") => "a disk",
                _ => "?",
            }
            .to_owned()
        }),
        row("strong reads", &|report| yes(&declared(report, "strong_reads"))),
        row("transactions", &|report| {
            let limits = declared(report, "transactions");
            match (limits["items"].as_u64(), limits["bytes"].as_u64()) {
                (Some(items), Some(bytes)) => format!("{items} items, {}", size(bytes)),
                _ => "–".to_owned(),
            }
        }),
        row("largest item", &|report| {
            declared(report, "item_limit")
                .as_u64()
                .map_or("any size".to_owned(), size)
        }),
        row("longest partition", &|report| {
            declared(report, "longest_partition")
                .as_u64()
                .map_or("?".to_owned(), |bytes| format!("{bytes} bytes"))
        }),
        row("clock that tests set", &|report| yes(&report.whole["clock"])),
        row("failures on demand", &|report| yes(&report.whole["faults"])),
        row("trials", &|report| report.count().total().to_string()),
        row("passed", &|report| report.count().passed.to_string()),
        row("known deviations", &|report| report.count().deviations.to_string()),
        row("not applicable", &|report| report.count().ignored.to_string()),
    ];
    rows.extend(more.iter().map(|(name, cells)| {
        std::iter::once((*name).to_owned())
            .chain(cells.iter().cloned())
            .collect()
    }));
    table(head, rows)
}

/// How many trials of each group came out how.
fn groups(reports: &[Report]) -> String {
    let head = ["group", "trials"].map(str::to_owned).into_iter().chain(names(reports));
    let rows = grouped(reports).into_iter().map(|(name, ids)| {
        let cells = reports.iter().map(|report| {
            let counts = Counts::of(report.trials.iter().filter(|trial| trial.group() == name));
            let parts = [
                ("✓", counts.passed),
                ("✗", counts.failed),
                ("D", counts.deviations),
                ("–", counts.ignored),
            ];
            let parts = parts.into_iter().filter(|(_, count)| *count > 0);
            parts
                .map(|(sign, count)| format!("{sign} {count}"))
                .collect::<Vec<_>>()
                .join(", ")
        });
        let cells = cells.collect::<Vec<_>>();
        [code(name), ids.len().to_string()].into_iter().chain(cells).collect()
    });
    table(head, rows)
}

/// The trials that come out differently from most of their group.
fn exceptions(reports: &[Report]) -> String {
    let rows: Vec<Vec<String>> = grouped(reports)
        .into_iter()
        .flat_map(|(_, ids)| {
            let patterns: Vec<_> = ids.iter().map(|id| (*id, pattern(reports, id))).collect();
            let mut counts: BTreeMap<_, usize> = BTreeMap::new();
            for (_, pattern) in &patterns {
                *counts.entry(pattern.clone()).or_default() += 1;
            }
            let usual = counts
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(pattern, _)| pattern);
            let unusual = patterns
                .into_iter()
                .filter(move |(_, pattern)| Some(pattern) != usual.as_ref());
            unusual.map(|(id, pattern)| {
                let cells = pattern.into_iter().map(str::to_owned);
                std::iter::once(code(id)).chain(cells).collect()
            })
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = std::iter::once("trial".to_owned()).chain(names(reports));
    format!(
        "\n## Trials that come out differently from most of their group\n\n{}",
        table(head, rows)
    )
}

/// Why trials do not apply.
fn not_applicable(reports: &[Report]) -> String {
    let mut rows = Vec::new();
    for report in reports {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for trial in &report.trials {
            if let Finding::Ignored { reason } = &trial.finding {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        rows.extend(
            reasons
                .into_iter()
                .map(|(reason, count)| vec![report.engine.clone(), plain(reason), count.to_string()]),
        );
    }
    let rows = match rows.is_empty() {
        true => "None.\n".to_owned(),
        false => table(["engine", "reason", "trials"].map(str::to_owned), rows),
    };
    format!("\n## Not applicable\n\n{rows}")
}

fn deviations(reports: &[Report]) -> String {
    let rows: Vec<_> = trials(reports)
        .filter_map(|(report, trial)| match &trial.finding {
            Finding::Deviation { reason, link } => Some(vec![
                report.engine.clone(),
                code(&trial.id),
                plain(reason),
                format!("<{link}>"),
            ]),
            _ => None,
        })
        .collect();
    let rows = match rows.is_empty() {
        true => "None.\n".to_owned(),
        false => table(["engine", "trial", "reason", "tracked at"].map(str::to_owned), rows),
    };
    format!("\n## Known deviations\n\n{rows}")
}

fn failures(reports: &[Report]) -> String {
    let mut text = "\n## Failures\n\n".to_owned();
    let mut none = true;
    for (report, trial) in trials(reports) {
        if let Finding::Failed { message, command } = &trial.finding {
            none = false;
            let clauses = trial.clauses.join(", ");
            _ = writeln!(text, "- {} on {} ({clauses})\n", code(&trial.id), report.engine);
            text.push_str("  ```text\n");
            let lines = message.lines().chain(command.as_deref().map(|_| ""));
            for line in lines.chain(command.as_deref()) {
                _ = writeln!(text, "{}", format!("  {line}").trim_end());
            }
            text.push_str("  ```\n\n");
        }
    }
    if none {
        text.push_str("None.\n");
    }
    text
}

fn slowest(reports: &[Report]) -> String {
    let mut all: Vec<_> = trials(reports).collect();
    all.sort_by_key(|(_, trial)| std::cmp::Reverse(trial.milliseconds));
    let rows = all
        .into_iter()
        .take(SLOWEST)
        .map(|(report, trial)| vec![report.engine.clone(), code(&trial.id), readable(trial.milliseconds)]);
    table(["engine", "trial", "time"].map(str::to_owned), rows)
}

fn trials(reports: &[Report]) -> impl Iterator<Item = (&Report, &Trial)> {
    reports
        .iter()
        .flat_map(|report| report.trials.iter().map(move |trial| (report, trial)))
}

/// How a trial came out on each engine.
fn pattern(reports: &[Report], id: &str) -> Vec<&'static str> {
    let sign = |report: &Report| match report.trial(id).map(|trial| &trial.finding) {
        None => "",
        Some(Finding::Passed) => "✓",
        Some(Finding::Failed { .. }) => "✗",
        Some(Finding::Deviation { .. }) => "D",
        Some(Finding::Ignored { .. }) => "–",
    };
    reports.iter().map(sign).collect()
}

/// The ids of each group, groups in the order in which they first appear.
fn grouped(reports: &[Report]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for id in ids(reports) {
        match groups.iter_mut().find(|(name, _)| *name == group(id)) {
            Some((_, ids)) => ids.push(id),
            None => groups.push((group(id), vec![id])),
        }
    }
    groups
}

fn names(reports: &[Report]) -> impl Iterator<Item = String> {
    reports.iter().map(|report| report.engine.clone())
}

fn settings(report: &Report) -> String {
    let settings = report.settings.iter().map(|(name, value)| format!("{name}={value}"));
    plain(&settings.collect::<Vec<_>>().join(" "))
}

fn table(head: impl IntoIterator<Item = String>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.into_iter().collect();
    let ruler = vec!["---".to_owned(); head.len()];
    let rows = rows.into_iter().map(line);
    format!("{}|{}|\n{}", line(head), ruler.join("|"), rows.collect::<String>())
}

/// A text in a cell of a table.
fn plain(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', r"\|")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn yes(value: &Value) -> String {
    if value == true { "yes" } else { "–" }.to_owned()
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % 1024 == 0 => format!("{} KiB", bytes / 1024),
        bytes => format!("{bytes} bytes"),
    }
}

fn readable(milliseconds: u64) -> String {
    duration(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    fn some() -> [Report; 2] {
        [
            example(
                "one",
                &[
                    ("a.1", "passed"),
                    ("a.2", "passed"),
                    ("a.3", "ignored"),
                    ("b.1", "passed"),
                ],
            ),
            example(
                "two",
                &[
                    ("a.1", "passed"),
                    ("a.2", "passed"),
                    ("a.3", "deviation"),
                    ("b.2", "passed"),
                ],
            ),
        ]
    }

    #[test]
    fn the_page_tells_what_is_promised_and_what_is_not_kept() {
        let page = promises(&some());
        for line in [
            "|  | one | two |",
            "| engine | mine 0.1.0 | mine 0.1.0 |",
            "| transactions | 100 items, 4096 KiB | 100 items, 4096 KiB |",
            "| `a` | 3 | ✓ 2, – 1 | ✓ 2, D 1 |",
            "| `a.3` | – | D |",
            "| one | because | 1 |",
            "| two | `a.3` | because | <https://example.com/1> |",
        ] {
            assert!(page.lines().any(|there| there == line), "{line}\n{page}");
        }
        assert!(!page.contains("`a.1`"), "what comes out as most is not listed\n{page}");
    }

    #[test]
    fn the_page_does_not_depend_on_times_and_seeds() {
        let mut later = some();
        for report in &mut later {
            (report.seed, report.seeds, report.milliseconds) = (8, 100, 1);
            report.trials.iter_mut().for_each(|trial| trial.milliseconds = 1);
        }
        assert_eq!(promises(&some()), promises(&later));
        assert_ne!(full(&some()), full(&later));
    }

    #[test]
    fn the_report_has_every_trial_and_says_how_to_repeat_failures() {
        let report = full(&[example("one", &[("a.1", "passed"), ("a.2", "failed")])]);
        for line in [
            "| seed | 7 |",
            "| time | 1 min 01 s |",
            "- `a.2` on one (B-1)",
            "    got 2 | 3",
            "  cargo test -p mine",
            "| `a.1` | transactions, not strong reads | B-1 | ✓ |",
            "| `a.2` | transactions, not strong reads | B-1 | ✗ |",
        ] {
            assert!(report.lines().any(|there| there == line), "{line}\n{report}");
        }
    }
}
