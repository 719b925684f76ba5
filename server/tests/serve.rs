//! `quipu serve` as a process: what it says, how it refuses, how it stops.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// A data directory of one test's own, gone with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("quipu-serve-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    /// A broker there, at a port of the system's choice.
    fn serve(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&self.0).args(more);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A broker that has said that it is ready. Killed when the test ends, however it ends.
struct Running {
    child: Child,
    banner: Vec<String>,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = Vec::new();
        while banner.last().is_none_or(|line: &String| !line.starts_with("durability")) {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let mut told = String::new();
                child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
                panic!("the broker ended before it was ready:\n{told}");
            }
            banner.push(line.trim_end().to_string());
        }
        Running { child, banner, _stdout: stdout }
    }

    /// What the banner says under a name.
    fn told(&self, name: &str) -> &str {
        let line = self.banner.iter().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {:?}", self.banner))[name.len()..].trim()
    }

    /// Asks it to stop, waits, and answers its exit code and what it logged.
    fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let code = self.child.wait().unwrap().code();
        let mut logged = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut logged).unwrap();
        (code, logged)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refused(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_tells_who_it_is_listens_and_stops_in_order() {
    let place = Place::new();
    let broker = Running::start(place.serve(&["--node-id", "7"]));
    assert_eq!(broker.told("quipu"), env!("CARGO_PKG_VERSION"));
    assert_eq!(broker.told("broker"), "7");
    assert_eq!(broker.told("cluster").len(), 22);
    assert_eq!(broker.told("listening"), broker.told("advertised"));
    assert!(broker.told("durability").starts_with("synced"));
    TcpStream::connect(broker.told("listening")).unwrap();
    let cluster = broker.told("cluster").to_string();
    let (code, logged) = broker.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{logged}");
    assert!(logged.lines().all(|line| line.starts_with('{')), "logs are JSON when nobody looks:\n{logged}");
    assert!(logged.contains("everything is on disk"), "{logged}");

    let again = Running::start(place.serve(&["--node-id", "7"]));
    assert_eq!(again.told("cluster"), cluster);
    let (code, logged) = again.stop(Signal::INT);
    assert_eq!(code, Some(0));
    assert!(logged.contains("\"clean\":true"), "{logged}");
}

#[test]
fn a_data_directory_is_served_by_one_process() {
    let place = Place::new();
    let broker = Running::start(place.serve(&[]));
    let told = refused(place.serve(&[]).output().unwrap());
    let pid = broker.child.id();
    assert!(told.contains(&format!("in use by process {pid}")), "{told}");
}

#[test]
fn after_a_kill_it_starts_again_on_the_same_directory() {
    let place = Place::new();
    let broker = Running::start(place.serve(&[]));
    let cluster = broker.told("cluster").to_string();
    broker.stop(Signal::KILL);
    let again = Running::start(place.serve(&[]));
    assert_eq!(again.told("cluster"), cluster);
    let (code, logged) = again.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(logged.contains("\"clean\":false"), "{logged}");
}

#[test]
fn a_directory_of_another_broker_is_refused() {
    let place = Place::new();
    Running::start(place.serve(&["--node-id", "1"])).stop(Signal::TERM);
    let told = refused(place.serve(&["--node-id", "2"]).output().unwrap());
    assert!(told.contains("node.id 1"), "{told}");
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let place = Place::new();
    let broker = Running::start(place.serve(&[]));
    let other = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
    command.args(["serve", "--listen", broker.told("listening"), "--data-dir"]).arg(&other.0);
    let told = refused(command.output().unwrap());
    assert!(told.contains("another process listens at") && told.contains("--listen"), "{told}");
}

#[test]
fn settings_that_are_wrong_end_it_before_anything_is_touched() {
    let place = Place::new();
    let told =
        refused(place.serve(&["--set", "log.retension.ms=1", "--set", "num.partitions=0"]).output().unwrap());
    assert!(told.contains(
        "error: --set: Unknown broker config 'log.retension.ms'; did you mean 'log.retention.ms'?"
    ));
    assert!(told.contains("num.partitions: Value must be at least 1"), "{told}");
    let told = refused(place.serve(&["--advertise", "0.0.0.0:9092"]).output().unwrap());
    assert!(told.contains("no address of a machine; set --advertise"), "{told}");
    let told = refused(place.serve(&["--log-level", "loud=="]).output().unwrap());
    assert!(told.contains("--log-level loud=="), "{told}");
    assert_eq!(std::fs::read_dir(&place.0).unwrap().count(), 0);
}
