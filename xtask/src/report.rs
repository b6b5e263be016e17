//! Reports of the conformance suite, as its runs leave them: read and merged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;
use crate::cargo::duration;

/// The version of the format that is understood.
const FORMAT: u64 = 1;

/// What came out of the suite on one engine.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) engine: String,
    /// What stands behind the engine, with its version.
    pub(crate) version: String,
    pub(crate) seed: u64,
    pub(crate) seeds: u64,
    pub(crate) milliseconds: u64,
    /// Trials that were not run.
    pub(crate) left_out: u64,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) trials: Vec<Trial>,
    /// All of it, as it was read.
    pub(crate) whole: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) id: String,
    /// What the engine must be able to do, or must not.
    pub(crate) needs: Vec<String>,
    pub(crate) clauses: Vec<String>,
    pub(crate) milliseconds: u64,
    pub(crate) finding: Finding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    Passed,
    Failed { message: String, command: Option<String> },
    Ignored { reason: String },
    Deviation { reason: String, link: String },
}

impl Report {
    pub(crate) fn read(text: &[u8]) -> Result<Self, Failure> {
        let whole: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let format = number(&whole, "format")?;
        if format != FORMAT {
            return Err(format!("has the format {format}; {FORMAT} is understood"));
        }
        let package = &whole["package"];
        let version = whole["version"].as_str().map(str::to_owned).or_else(|| {
            let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
            Some(format!("{name} {version}"))
        });
        let settings = whole["settings"].as_object().into_iter().flatten();
        let trials = whole["trials"].as_array().ok_or("has no list `trials`")?;
        Ok(Self {
            engine: text_of(&whole, "engine")?,
            version: version.unwrap_or_default(),
            seed: number(&whole, "seed")?,
            seeds: number(&whole, "seeds")?,
            milliseconds: number(&whole, "milliseconds")?,
            left_out: number(&whole, "left_out")?,
            settings: settings
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            trials: trials.iter().map(Trial::read).collect::<Result<_, _>>()?,
            whole,
        })
    }

    pub(crate) fn trial(&self, id: &str) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.id == id)
    }

    pub(crate) fn count(&self) -> Counts {
        Counts::of(&self.trials)
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let counts = self.count();
        let seeds = match self.seeds {
            1 => format!("seed {}", self.seed),
            seeds => format!("{seeds} seeds from {}", self.seed),
        };
        let partial = match self.left_out {
            0 => String::new(),
            left_out => format!(", {left_out} not run"),
        };
        format!(
            "{} ({}): {} passed, {} failed, {} known deviations, {} not applicable{partial}; {seeds}; {}",
            self.engine,
            self.version,
            counts.passed,
            counts.failed,
            counts.deviations,
            counts.ignored,
            duration(Duration::from_millis(self.milliseconds)),
        )
    }
}

impl Trial {
    fn read(value: &Value) -> Result<Self, Failure> {
        let finding = match text_of(value, "outcome")?.as_str() {
            "passed" => Finding::Passed,
            "failed" => Finding::Failed {
                message: text_of(value, "message")?,
                command: value["command"].as_str().map(str::to_owned),
            },
            "ignored" => Finding::Ignored {
                reason: text_of(value, "reason")?,
            },
            "deviation" => Finding::Deviation {
                reason: text_of(value, "reason")?,
                link: text_of(value, "link")?,
            },
            other => return Err(format!("has the unknown outcome `{other}`")),
        };
        let texts = |name: &str| -> Vec<String> {
            let list = value[name].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let without = value["without"].as_str().map(|without| format!("not {without}"));
        Ok(Self {
            id: text_of(value, "id")?,
            needs: texts("needs").into_iter().chain(without).collect(),
            clauses: texts("clauses"),
            milliseconds: number(value, "milliseconds")?,
            finding,
        })
    }

    /// What comes before the first dot of its id.
    pub(crate) fn group(&self) -> &str {
        group(&self.id)
    }
}

/// The group of a trial.
pub(crate) fn group(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

/// How many trials came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) deviations: usize,
    pub(crate) ignored: usize,
}

impl Counts {
    pub(crate) fn of<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Self {
        let mut counts = Self::default();
        for trial in trials {
            *match trial.finding {
                Finding::Passed => &mut counts.passed,
                Finding::Failed { .. } => &mut counts.failed,
                Finding::Deviation { .. } => &mut counts.deviations,
                Finding::Ignored { .. } => &mut counts.ignored,
            } += 1;
        }
        counts
    }

    pub(crate) fn total(self) -> usize {
        self.passed + self.failed + self.deviations + self.ignored
    }
}

/// The reports in a folder, by engine. None where there is no folder.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Report>, Failure> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let failed = |error: String| format!("{}: {error}", path.display());
            let text = fs::read(&path).map_err(|error| failed(error.to_string()))?;
            let report = Report::read(&text).map_err(failed)?;
            found.insert(report.engine.clone(), report);
        }
    }
    Ok(found.into_values().collect())
}

/// All of them as one document.
pub(crate) fn merged(reports: &[Report]) -> Value {
    let engines: Vec<_> = reports.iter().map(|report| &report.whole).collect();
    json!({"format": FORMAT, "engines": engines})
}

/// The ids of all trials, in the order that each report has them in.
pub(crate) fn ids(reports: &[Report]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for report in reports {
        let mut place = 0;
        for trial in &report.trials {
            place = match ids.iter().position(|id| *id == trial.id) {
                Some(found) => found + 1,
                None => {
                    ids.insert(place, &trial.id);
                    place + 1
                }
            };
        }
    }
    ids
}

fn text_of(value: &Value, name: &str) -> Result<String, Failure> {
    let text = value[name].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("has no text `{name}`"))
}

fn number(value: &Value, name: &str) -> Result<u64, Failure> {
    value[name].as_u64().ok_or_else(|| format!("has no number `{name}`"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report with trials of these ids and outcomes.
    pub(crate) fn example(engine: &str, trials: &[(&str, &str)]) -> Report {
        let trials = trials.iter().map(|(id, outcome)| {
            json!({
                "id": id, "clauses": ["B-1"], "needs": ["transactions"], "without": "strong reads", "seeded": false, "milliseconds": 12, "outcome": outcome,
                "reason": "because", "link": "https://example.com/1", "message": "expected 1,\n  got 2 | 3",
                "command": "cargo test -p mine",
            })
        });
        let report = json!({
            "format": 1, "engine": engine, "version": null, "package": {"name": "mine", "version": "0.1.0"},
            "suite": "0.1.0", "seed": 7, "seeds": 1, "clock": true, "faults": false, "settings": {}, "left_out": 0,
            "milliseconds": 61_000,
            "capabilities": {
                "strong_reads": true, "transactions": {"items": 100, "bytes": 4_194_304}, "item_limit": 405_504,
                "longest_partition": 1024, "reach": "everywhere", "durability": "replicated",
            },
            "trials": trials.collect::<Vec<_>>(),
        });
        Report::read(report.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_report_is_read_and_summed_up() {
        let report = example(
            "mine",
            &[
                ("a.1", "passed"),
                ("a.2", "ignored"),
                ("b.1", "deviation"),
                ("b.2", "failed"),
            ],
        );
        assert_eq!(
            report.summary(),
            "mine (mine 0.1.0): 1 passed, 1 failed, 1 known deviations, 1 not applicable; seed 7; 1 min 01 s"
        );
        assert_eq!(report.trial("b.2").unwrap().group(), "b");
        assert_eq!(merged(&[report])["engines"][0]["engine"], "mine");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(Report::read(b"{").is_err());
        let refused = |text: &str| Report::read(text.as_bytes()).unwrap_err();
        assert_eq!(refused(r#"{"format": 2}"#), "has the format 2; 1 is understood");
        let mut strange = example("mine", &[("a.1", "passed")]).whole;
        strange["trials"][0]["outcome"] = "perhaps".into();
        assert_eq!(refused(&strange.to_string()), "has the unknown outcome `perhaps`");
    }

    #[test]
    fn trials_keep_their_order_over_all_engines() {
        let one = example("one", &[("a.1", "passed"), ("b.2", "passed")]);
        let two = example(
            "two",
            &[
                ("a.0", "passed"),
                ("a.1", "passed"),
                ("b.1", "passed"),
                ("c.1", "passed"),
            ],
        );
        assert_eq!(ids(&[one, two]), ["a.0", "a.1", "b.1", "c.1", "b.2"]);
    }
}
