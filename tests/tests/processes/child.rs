//! Processes of the programs of this package.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

/// The program that works on a store.
pub(crate) const WRITER: &str = env!("CARGO_BIN_EXE_writer");
/// The program that is an engine.
pub(crate) const ENGINE: &str = env!("CARGO_BIN_EXE_engine");

/// A process that works on the store, or that is the engine. It ends with the test.
pub(crate) struct Child {
    process: Process,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process and returns what it says first.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> (Self, String) {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process starts");
        let input = process.stdin.take();
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("it says something").expect("text");
        let process = Process(process);
        (Self { process, input, lines }, first)
    }

    /// Starts a process that works on the store and returns when it is ready to begin.
    pub(crate) fn writer(arguments: &[&str]) -> Self {
        let (child, first) = Self::start(WRITER, arguments);
        assert_eq!(first, "ready");
        child
    }

    /// Lets it begin.
    pub(crate) fn begin(&mut self) {
        let input = self.input.as_mut().expect("it has not been told to end");
        input.write_all(b"begin\n").expect("it listens");
    }

    /// Tells it that this is enough.
    pub(crate) fn end(&mut self) {
        self.input = None;
    }

    /// What it printed until its end, which must be a good one.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let lines = self.lines.by_ref().map(|line| line.expect("text")).collect();
        let status = self.process.0.wait().expect("it ends");
        assert!(status.success(), "{status}");
        lines
    }

    /// What it printed until it is killed, which happens now.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.0.kill().expect("it can be killed");
        self.process.0.wait().expect("it ends");
        self.lines.by_ref().map(|line| line.expect("text")).collect()
    }

    /// Reads what it prints from now on, so that it never waits for that.
    pub(crate) fn listened_to(self) -> Talker {
        let Self { process, input, lines } = self;
        let listener = std::thread::spawn(|| lines.map_while(Result::ok).collect());
        Talker {
            process,
            _input: input,
            listener,
        }
    }
}

/// The process itself, which is ended when nobody has to do with it any more.
struct Process(process::Child);

/// A process that prints more than a pipe holds.
pub(crate) struct Talker {
    process: Process,
    _input: Option<ChildStdin>,
    listener: JoinHandle<Vec<String>>,
}

impl Talker {
    /// What it printed until it is killed, which happens now. The last line may be a part of one.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.0.kill().expect("it can be killed");
        self.process.0.wait().expect("it ends");
        self.listener.join().expect("no panic")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has mostly ended by now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs processes at the same time and gives what each printed.
pub(crate) fn run(all: &[&[&str]]) -> Vec<Vec<String>> {
    let mut children: Vec<_> = all.iter().map(|arguments| Child::writer(arguments)).collect();
    children.iter_mut().for_each(Child::begin);
    finish(children)
}

/// What each printed until its end.
pub(crate) fn finish(children: Vec<Child>) -> Vec<Vec<String>> {
    // Each on a thread of its own, so that none waits for its output to be read.
    let threads: Vec<_> = children
        .into_iter()
        .map(|child| std::thread::spawn(|| child.finish()))
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .collect()
}
