//! One `quipu serve` process: started, killed, paused and stopped at will, its output kept in a file over all its lives.

use std::fs::File;
use std::io::{BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take until it accepts connections, and until it has ended in order.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that may run or not. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    address: SocketAddr,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet: where it will listen for clients, what `quipu` is started with, where its output goes.
    pub fn new(address: SocketAddr, arguments: Vec<String>, log: PathBuf) -> Process {
        Process { address, arguments, log, child: None }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it, with the same arguments as ever; returns how long it took to accept connections.
    pub fn start(&mut self) -> Duration {
        let started = Instant::now();
        self.spawn();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.ended() {
                panic!("the server ended with {status}:\n{}", self.last_lines(40));
            }
            let late = started.elapsed() > PATIENCE;
            assert!(!late, "no connection after {PATIENCE:?}:\n{}", self.last_lines(40));
            std::thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(&self.log).expect("the log can be opened");
        let errors = log.try_clone().expect("the log's handle can be doubled");
        let mut command = Command::new(binary());
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", binary().display())));
    }

    /// Whether it was started and has ended by itself since.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child can be asked")
    }

    /// kill -9, and nothing else: no goodbye, no flush.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// Asks it to stop in order (SIGTERM), and returns at once.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended in order after it was asked to; panics when it ends otherwise, or not at all.
    pub fn wait_for_end(&mut self) {
        let asked = Instant::now();
        let status = loop {
            match self.ended() {
                Some(status) => break status,
                None if asked.elapsed() > PATIENCE => {
                    panic!("the server was asked to stop {PATIENCE:?} ago:\n{}", self.last_lines(40))
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(status.success(), "asked to stop, it ended with {status}:\n{}", self.last_lines(40));
        self.child = None;
    }

    /// It stands still from here on (SIGSTOP), its connections open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on (SIGCONT), and does not know that it stood still.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        kill_process(Pid::from_child(child), signal).expect("a child can be signalled");
    }

    /// The last so many lines that it printed.
    pub fn last_lines(&self, count: usize) -> String {
        let mut text = String::new();
        if let Ok(file) = File::open(&self.log) {
            // Whatever can be read helps whoever reads the failure.
            let _ = BufReader::new(file).read_to_string(&mut text);
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Ends it in whatever way, if it runs: the test is over, and what is left is only to be tidy.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The binary under test: `TESTS_SERVER`, or the one that a build beside this test makes.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("TESTS_SERVER") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// `cargo test` does not build the binaries of other packages, so this does.
fn build() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let status =
        Command::new(cargo).args(["build", "--quiet", "-p", "quipu"]).status().expect("cargo starts");
    assert!(status.success(), "the server does not build");
    let test = std::env::current_exe().expect("a test knows where it lies");
    // target/debug/deps/test-0123 -> target/debug/quipu
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    profile.join("quipu")
}
