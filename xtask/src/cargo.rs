//! Running cargo, and saying what was run.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Failure;

/// One call of cargo at the root of the workspace, without standard input.
#[derive(Debug, Clone)]
pub(crate) struct Cargo {
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Cargo {
    /// `cargo` with these arguments, separated by blanks.
    pub(crate) fn new(args: &str) -> Self {
        Self {
            args: args.split_whitespace().map(str::to_owned).collect(),
            env: Vec::new(),
        }
    }

    /// Adds arguments, separated by blanks.
    pub(crate) fn args(mut self, args: &str) -> Self {
        self.args.extend(args.split_whitespace().map(str::to_owned));
        self
    }

    /// Adds one argument as it is.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Runs it with output going where ours goes.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        self.announce();
        let status = self.command().status().map_err(|error| format!("{self}: {error}"))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("`{self}` failed: {status}")),
        }
    }

    /// Runs it with output going where ours goes, and gives the lines of its standard output as well.
    pub(crate) fn run_and_read(&self) -> Result<Vec<String>, Failure> {
        self.announce();
        let failed = |error: std::io::Error| format!("{self}: {error}");
        let mut command = self.command();
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut lines = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let mut ours = std::io::stdout();
            for line in BufReader::new(stdout).split(b'\n') {
                let line = String::from_utf8_lossy(&line.map_err(failed)?).into_owned();
                writeln!(ours, "{line}").map_err(failed)?;
                lines.push(line);
            }
        }
        let status = child.wait().map_err(failed)?;
        match status.success() {
            true => Ok(lines),
            false => Err(format!("`{self}` failed: {status}")),
        }
    }

    /// Runs it in silence and gives its standard output; its standard error is part of the failure.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        let output = self.command().output().map_err(|error| format!("{self}: {error}"))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!(
                "`{self}` failed:\n{}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            )),
        }
    }

    fn announce(&self) {
        // Standard error, as cargo's own progress: standard output belongs to what is run.
        eprintln!("$ {self}");
    }

    fn command(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(root()).stdin(Stdio::null()).args(&self.args);
        // The embedded engines are asked over loopback, which no proxy can reach.
        for name in ["NO_PROXY", "no_proxy"] {
            let own = std::env::var(name).map(|own| format!("{own},")).unwrap_or_default();
            command.env(name, format!("{own}127.0.0.1,localhost"));
        }
        // `cargo run` describes this package in the environment. Build scripts of dependencies watch those variables and
        // would be built again each time cargo is called from here and then by hand.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&*name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl fmt::Display for Cargo {
    /// As it can be typed into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str("cargo")?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    match !arg.is_empty() && arg.chars().all(plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    // At run time, so that a workspace can be moved together with what was built in it.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

/// What cargo knows of the workspace and of all its dependencies. The lock file must be as the manifests demand.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let output = Cargo::new("metadata --format-version 1 --all-features --locked").read()?;
    serde_json::from_slice(&output).map_err(|error| format!("cargo metadata: {error}"))
}

/// Seconds and minutes, for people.
pub(crate) fn duration(took: Duration) -> String {
    match took.as_secs() {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_prints_as_it_can_be_typed() {
        let call = Cargo::new("test --bench *")
            .arg("it's me")
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            call.to_string(),
            r"RUSTDOCFLAGS='-D warnings' cargo test --bench '*' 'it'\''s me'"
        );
    }
}
