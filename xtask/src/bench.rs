//! The benchmarks, and the table of what ours costs beside the same thing by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::Failure;
use crate::cargo::{Cargo, metadata};

/// The two halves of a pair: `<group>/konserve` and `<group>/by-hand`.
const OURS: &str = "konserve";
const BY_HAND: &str = "by-hand";

/// The most that ours may take in relation to by hand, by what the name of the group begins with.
const AIMS: [(&str, f64); 2] = [("dynamodb ", 1.05), ("memory get", 1.5)];

/// `cargo xtask bench`
pub(crate) fn run(filter: Option<&str>) -> Result<(), Failure> {
    let target = metadata()?["target_directory"].as_str().map(PathBuf::from);
    let home = target.ok_or("cargo metadata: no target directory")?.join("criterion");
    let started = now();
    let mut cargo = Cargo::new("bench --workspace --all-features --locked --bench *");
    if let Some(filter) = filter {
        cargo = cargo.arg("--").arg(filter);
    }
    // Cargo and criterion would agree on the place anyway, but only by default.
    cargo.env("CRITERION_HOME", home.to_string_lossy()).run()?;

    let mut measured = Vec::new();
    collect(&home, started, &mut measured)?;
    print!("{}", table(&pairs(&measured)));
    Ok(())
}

/// A time in nanoseconds, and the interval that it lies in with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time {
    lower: f64,
    median: f64,
    upper: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Pair {
    group: String,
    ours: Time,
    by_hand: Time,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.ours.median / self.by_hand.median
    }

    fn aim(&self) -> Option<f64> {
        let aim = AIMS.into_iter().find(|(start, _)| self.group.starts_with(start));
        aim.map(|(_, aim)| aim)
    }
}

/// The benchmarks that ran since, by their full names, from what criterion left in a folder and below.
fn collect(folder: &Path, since: SystemTime, found: &mut Vec<(String, Time)>) -> Result<(), Failure> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(()); // a filter can leave nothing to run
    };
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if !path.is_dir() {
            continue;
        }
        let estimates = path.join("estimates.json");
        if path.file_name().is_none_or(|name| name != "new") {
            collect(&path, since, found)?;
        } else if fs::metadata(&estimates)
            .and_then(|file| file.modified())
            .is_ok_and(|at| at >= since)
        {
            let name = json(&path.join("benchmark.json"))?["full_id"]
                .as_str()
                .map(str::to_owned);
            let name = name.ok_or_else(|| format!("{}: names no benchmark", path.display()))?;
            let time = time(&json(&estimates)?).ok_or_else(|| format!("{}: no median", estimates.display()))?;
            found.push((name, time));
        }
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value, Failure> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn time(estimates: &Value) -> Option<Time> {
    // Not the mean: the machine has other things to do now and then.
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    Some(Time {
        lower: interval["lower_bound"].as_f64()?,
        median: median["point_estimate"].as_f64()?,
        upper: interval["upper_bound"].as_f64()?,
    })
}

fn pairs(measured: &[(String, Time)]) -> Vec<Pair> {
    let times: BTreeMap<&str, Time> = measured.iter().map(|(name, time)| (name.as_str(), *time)).collect();
    let found = times.iter().filter_map(|(name, ours)| {
        let group = name.strip_suffix(OURS)?.strip_suffix('/')?;
        let by_hand = times.get(format!("{group}/{BY_HAND}").as_str())?;
        Some(Pair {
            group: group.to_owned(),
            ours: *ours,
            by_hand: *by_hand,
        })
    });
    found.collect()
}

fn table(pairs: &[Pair]) -> String {
    if pairs.is_empty() {
        return "\nno benchmark that ran has a counterpart by hand\n".to_owned();
    }
    let width = pairs
        .iter()
        .map(|pair| pair.group.len())
        .max()
        .unwrap_or(0)
        .max("benchmark".len());
    let mut text = format!(
        "\n{:width$}  {:>10}  {:>10}  {:>6}  {:>13}  {:>5}\n",
        "benchmark", OURS, BY_HAND, "ratio", "95 %", "aim"
    );
    for pair in pairs {
        let interval = format!(
            "{:.2} to {:.2}",
            pair.ours.lower / pair.by_hand.upper,
            pair.ours.upper / pair.by_hand.lower
        );
        let (aim, verdict) = match pair.aim() {
            None => (String::new(), ""),
            Some(aim) if pair.ratio() <= aim => (format!("{aim:.2}"), ""),
            Some(aim) => (format!("{aim:.2}"), "  MISSED"),
        };
        let line = format!(
            "{:width$}  {:>10}  {:>10}  {:>6.2}  {interval:>13}  {aim:>5}{verdict}",
            pair.group,
            readable(pair.ours.median),
            readable(pair.by_hand.median),
            pair.ratio(),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Nanoseconds, for people.
fn readable(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

#[allow(clippy::disallowed_methods)] // no store is involved: this is compared with the times of files
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_and_misses_are_marked() {
        let at = |median: f64| Time {
            lower: median * 0.9,
            median,
            upper: median * 1.1,
        };
        let measured = [
            ("dynamodb get/by-hand", 100_000.0),
            ("dynamodb get/konserve", 104_000.0),
            ("dynamodb update_in/by-hand", 200_000.0),
            ("dynamodb update_in/konserve", 220_000.0),
            ("memory assoc/by-hand", 500.0),
            ("memory assoc/konserve", 5_000.0),
            ("memory get/by-hand", 1_000.0),
            ("paths get_in/1000", 80.0),
        ]
        .map(|(name, median)| (name.to_owned(), at(median)));
        let expected = "
benchmark             konserve     by-hand   ratio           95 %    aim
dynamodb get         104.00 µs   100.00 µs    1.04   0.85 to 1.27   1.05
dynamodb update_in   220.00 µs   200.00 µs    1.10   0.90 to 1.34   1.05  MISSED
memory assoc           5.00 µs      500 ns   10.00  8.18 to 12.22
";
        assert_eq!(table(&pairs(&measured)), expected);
        assert!(table(&[]).contains("no benchmark"));
    }

    #[test]
    fn the_median_of_an_estimate_is_read() {
        let estimates = serde_json::json!({
            "mean": {"confidence_interval": {"lower_bound": 8.0, "upper_bound": 10.0}, "point_estimate": 9.0},
            "median": {"confidence_interval": {"lower_bound": 1.0, "upper_bound": 3.5}, "point_estimate": 2.0},
        });
        let expected = Time {
            lower: 1.0,
            median: 2.0,
            upper: 3.5,
        };
        assert_eq!(time(&estimates), Some(expected));
        assert_eq!(time(&serde_json::json!({})), None);
    }
}
