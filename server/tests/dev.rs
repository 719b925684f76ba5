//! `quipu dev` and clusters of `quipu serve` as processes: they find one another, are ended together, say what is wrong.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// A directory and an address of one test's own: Linux gives a process all of 127.0.0.0/8.
struct Place {
    path: PathBuf,
    host: String,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [.., a, b] = (std::process::id() % (250 * 250)).to_be_bytes();
        let path = std::env::temp_dir().join(format!("quipu-dev-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place { path, host: format!("127.{}.{b}.{}", a.max(1), 100 + number) }
    }

    fn quipu(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
        command.args(words).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn dev(&self) -> Running {
        let listen = format!("{}:9092", self.host);
        Running::start(self.quipu(&["dev", "--listen", &listen, "--data-dir", self.path.to_str().unwrap()]))
    }

    /// The process of a broker, as it wrote it into its directory.
    fn pid(&self, id: &str) -> Pid {
        let held = std::fs::read_to_string(self.path.join(id).join(".lock")).unwrap();
        Pid::from_raw(held.trim().parse().unwrap()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A process, and what it logs. Killed when the test ends, however it ends.
struct Running {
    child: Child,
    logged: BufReader<ChildStderr>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let logged = BufReader::new(child.stderr.take().unwrap());
        Running { child, logged }
    }

    /// Reads on until a line of which this makes something.
    fn read_until<T>(&mut self, mut found: impl FnMut(&str) -> Option<T>) -> T {
        let mut all = String::new();
        loop {
            let from = all.len();
            assert!(self.logged.read_line(&mut all).unwrap() > 0, "it ended:\n{all}");
            if let Some(found) = found(all[from..].trim_end()) {
                return found;
            }
        }
    }

    /// Waits for its end: its exit code, and all that it logged until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.logged.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of a line such as `1 | ... epoch 3, led by broker 2`: who says it, and who leads.
fn leader_in(line: &str) -> Option<(String, String)> {
    let (by, what) = line.split_once(" | ")?;
    Some((by.to_string(), what.split_once("led by broker ")?.1.to_string()))
}

/// Waits until the three have formed their cluster; who leads it.
fn formed(dev: &mut Running) -> String {
    let (mut leader, mut members) = (None, 0);
    // Before the cluster has formed, all of them are needed.
    dev.read_until(|line| {
        leader = leader_in(line).map(|(_, leads)| leads).or(leader.take());
        members += usize::from(line.contains("this broker belongs to the cluster"));
        leader.clone().filter(|_| members == 3)
    })
}

#[test]
fn brokers_find_one_another_and_another_leader_when_theirs_is_killed_and_are_ended_together() {
    let place = Place::new();
    let mut dev = place.dev();
    let leader = formed(&mut dev);
    kill_process(place.pid(&leader), Signal::KILL).unwrap();
    dev.read_until(|line| line.contains(&format!("broker {leader} has ended (signal: 9")).then_some(()));
    let again = dev.read_until(|line| line.contains("quipu serve").then(|| line.to_string()));
    assert!(again.contains(&format!("--node-id {leader} ")), "{again}");
    let (by, next) = dev.read_until(|line| leader_in(line).filter(|(_, next)| *next != leader));
    assert!(by != next && by != leader);
    kill_process(Pid::from_child(&dev.child), Signal::INT).unwrap();
    let (code, rest) = dev.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("SIGINT: stopping all brokers"), "{rest}");
    for id in ["1", "2", "3"].iter().filter(|id| **id != leader) {
        let stopped =
            |line: &str| line.starts_with(&format!("{id} | ")) && line.ends_with("everything is on disk");
        assert!(rest.lines().any(stopped), "broker {id} stops in order:\n{rest}");
    }
}

/// A process that is held, and goes on when the test ends, however it ends.
struct Held(Pid);

impl Held {
    fn new(pid: Pid) -> Held {
        kill_process(pid, Signal::STOP).unwrap();
        Held(pid)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// What a command says, once it ends with that code.
fn said(place: &Place, bootstrap: &str, code: i32, words: &[&str]) -> serde_json::Value {
    let mut told = serde_json::Value::Null;
    for _ in 0..300 {
        let mut command = place.quipu(words);
        command.args(["-b", bootstrap, "--format", "json"]).stdout(Stdio::piped());
        let output = command.output().unwrap();
        told = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.status.code() == Some(code) {
            return told;
        }
    }
    panic!("{words:?} does not end with {code}: {told}");
}

#[test]
fn a_cluster_is_unhealthy_while_a_broker_is_silent_and_says_which_and_what_lacks_it() {
    let place = Place::new();
    let mut dev = place.dev();
    let leader = formed(&mut dev);
    let silent = ["1", "2", "3"].into_iter().find(|id| *id != leader).unwrap();
    let id: i32 = silent.parse().unwrap();
    // Whoever is asked that is not the active controller asks it.
    let asked = (1..=3).find(|other| *other != id && other.to_string() != leader).unwrap();
    let bootstrap = format!("{}:{}", place.host, 9091 + asked);
    // Until all three take part it is refused.
    said(&place, &bootstrap, 0, &["topic", "create", "t", "-r", "3", "-c", "min.insync.replicas=3"]);
    let health = |code| said(&place, &bootstrap, code, &["cluster", "health"]);
    health(0);
    let held = Held::new(place.pid(silent));
    dev.read_until(|line| line.contains(&format!("broker {silent} is fenced")).then_some(()));
    let told = health(3);
    let kinds =
        told["problems"].as_array().unwrap().iter().map(|p| (p["kind"].as_str().unwrap(), &p["nodes"]));
    let kinds: Vec<_> = kinds.collect();
    assert!(kinds.contains(&("broker_missing", &serde_json::json!([id]))), "{told}");
    drop(held);
    health(0);
}

#[test]
fn a_broker_that_cannot_start_ends_the_others() {
    let place = Place::new();
    let second = place.path.join("2");
    let listen = format!("{}:1234", place.host);
    let words = ["serve", "--node-id", "2", "--listen", &listen, "--data-dir", second.to_str().unwrap()];
    let mut holder = Running::start(place.quipu(&words));
    holder.read_until(|line| line.contains("opened the data directory").then_some(()));
    let (code, told) = place.dev().end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("2 | error: the data directory") && told.contains("in use by process"), "{told}");
    assert!(told.ends_with("error: broker 2 could not go on (exit status: 1), see above\n"), "{told}");
}

#[test]
fn a_broker_whose_parent_has_gone_stops_in_order() {
    let place = Place::new();
    let listen = format!("{}:9092", place.host);
    let home = place.path.to_str().unwrap();
    let mut command = place.quipu(&["serve", "--listen", &listen, "--data-dir", home, "--stop-at-eof"]);
    command.stdin(Stdio::piped());
    let mut broker = Running::start(command);
    broker.read_until(|line| line.contains("opened the data directory").then_some(()));
    assert!(broker.child.try_wait().unwrap().is_none());
    broker.child.stdin = None;
    let (code, rest) = broker.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(
        rest.contains("end of standard input: stopping") && rest.contains("everything is on disk"),
        "{rest}"
    );
}

#[test]
fn a_port_for_brokers_that_is_taken_is_told_with_its_own_flag() {
    let place = Place::new();
    let (clients, peers) = (format!("{}:9092", place.host), format!("{}:19092", place.host));
    let _taken = std::net::TcpListener::bind(&peers).unwrap();
    let voters = format!("1@{peers},2@{}:19093", place.host);
    let home = place.path.to_str().unwrap();
    let command = place.quipu(&["serve", "--listen", &clients, "--voters", &voters, "--data-dir", home]);
    let (code, told) = Running::start(command).end();
    assert_eq!(code, Some(1));
    let expected = format!(
        "another process listens at {peers} already; stop it, or choose another port with --peer-listen"
    );
    assert!(told.contains(&expected), "{told}");
}
