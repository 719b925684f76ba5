//! The commands that talk to a cluster, as processes, against a broker of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A broker with a data directory of its own; both are gone when the test ends.
struct Broker {
    child: Child,
    dir: PathBuf,
    bootstrap: String,
    _stdout: BufReader<ChildStdout>,
}

fn quipu() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Broker {
    fn start() -> Broker {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("quipu-tools-{}-{number}", std::process::id()));
        let mut command = quipu();
        command.args(["serve", "--listen", "127.0.0.1:0", "--set", "group.initial.rebalance.delay.ms=0"]);
        command.arg("--data-dir").arg(&dir).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut bootstrap = String::new();
        let mut line = String::new();
        while !line.starts_with("durability") {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the broker ended before it was ready");
            if let Some(address) = line.strip_prefix("listening") {
                bootstrap = address.trim().to_string();
            }
        }
        Broker { child, dir, bootstrap, _stdout: stdout }
    }

    /// Runs a command with that standard input.
    fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut command = quipu();
        command.args(args).env("QUIPU_BOOTSTRAP", &self.bootstrap).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a command that must succeed writes.
    fn said(&self, args: &[&str]) -> String {
        self.said_with(args, "")
    }

    fn said_with(&self, args: &[&str], input: &str) -> String {
        let output = self.run_with(args, input);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail complains about.
    fn complained(&self, args: &[&str]) -> String {
        let output = self.run_with(args, "");
        assert!(!output.status.success(), "{args:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_topic_is_made_shown_and_deleted() {
    let broker = Broker::start();
    let made = broker.said(&["topic", "create", "orders", "-p", "3", "-c", "retention.ms=60000"]);
    assert_eq!(made, "created topic orders: 3 partitions, replication factor 1\n");
    assert!(broker.complained(&["topic", "create", "orders"]).contains("TOPIC_ALREADY_EXISTS"));
    assert!(broker.said(&["topic", "create", "orders", "--if-not-exists"]).contains("exists already"));
    assert!(broker.complained(&["topic", "create", "x", "-c", "retention.m=1"]).contains("retention.m"));
    let described = broker.said(&["topic", "describe", "orders"]);
    assert!(described.contains("retention.ms=60000") && described.lines().count() == 6, "{described}");
    assert_eq!(broker.said(&["topic", "delete", "orders"]), "deleted topic orders\n");
    assert!(broker.complained(&["topic", "describe", "orders"]).contains("does not exist"));
    assert_eq!(broker.said(&["topic", "list", "--format", "json"]), "[]\n");
}

#[test]
fn what_is_produced_is_consumed_with_keys_headers_and_every_codec() {
    let broker = Broker::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let wrote = broker.said_with(
            &["produce", codec, "-K", ":", "-H", "from=test", "-z", codec, "--format", "json"],
            "k1:one\nk2:two\nno key\n",
        );
        assert!(wrote.contains("\"written\":3"), "{wrote}");
        let shown = broker.said(&["consume", codec, "-e", "-f", "%o %k=%s %h\\n"]);
        assert_eq!(shown, "0 k1=one from=test\n1 k2=two from=test\n2 =no key from=test\n");
    }
    let last = broker.said(&["consume", "zstd", "-e", "-o", "-1", "--format", "json"]);
    assert!(last.contains("\"payload\":\"no key\"") && last.lines().count() == 1, "{last}");
    assert_eq!(broker.said(&["consume", "zstd", "-c", "1", "-o", "1"]), "two\n");
}

#[test]
fn records_without_acknowledgement_have_arrived_when_the_command_ends() {
    let broker = Broker::start();
    broker.said(&["topic", "create", "t"]);
    let lines: String = (0..1000).map(|i| format!("{i}\n")).collect();
    broker.said_with(&["produce", "t", "--acks", "0"], &lines);
    assert_eq!(broker.said(&["consume", "t", "-e"]), lines);
}

#[test]
fn a_group_goes_on_where_it_left_off_and_where_it_is_moved_to() {
    let broker = Broker::start();
    broker.said(&["topic", "create", "t"]);
    broker.said_with(&["produce", "t"], "a\nb\nc\nd\n");
    assert_eq!(broker.said(&["consume", "t", "-g", "g", "-c", "3"]), "a\nb\nc\n");
    let described = broker.said(&["group", "describe", "g"]);
    let row = described.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row[..5], ["t", "0", "3", "4", "1"], "{described}");
    assert_eq!(broker.said(&["consume", "t", "-g", "g", "-e"]), "d\n");

    let reset = ["group", "reset-offsets", "g", "--topic", "t", "--to", "2"];
    let dry = broker.said(&[&reset[..], &["--dry-run"]].concat());
    assert!(dry.contains("dry run"), "{dry}");
    assert_eq!(broker.said(&["consume", "t", "-g", "g", "-e"]), "", "a dry run changes nothing");
    broker.said(&reset);
    assert_eq!(broker.said(&["consume", "t", "-g", "g", "-e"]), "c\nd\n");
    assert!(broker.said(&["group", "list"]).contains("Empty"));
    assert_eq!(broker.said(&["group", "delete", "g"]), "deleted group g\n");
    assert!(broker.complained(&["group", "describe", "g"]).contains("no group g"));
}

#[test]
fn failures_name_their_reason_and_end_with_an_error_code() {
    let broker = Broker::start();
    broker.said(&["topic", "create", "t"]);
    assert!(broker.complained(&["consume", "nope", "-e"]).contains("topic nope does not exist"));
    assert!(broker.complained(&["consume", "t", "-p", "7"]).contains("there is no 7"));
    assert!(broker.complained(&["consume", "t", "-g", "g", "-o", "5"]).contains("reset-offsets"));
    let unreachable = broker.complained(&["topic", "list", "-b", "127.0.0.1:1", "--timeout", "0.5"]);
    assert!(unreachable.contains("127.0.0.1:1: connection refused"), "{unreachable}");
}

#[test]
fn a_cluster_tells_what_it_is_made_of_and_is_unhealthy_by_its_exit_code() {
    let broker = Broker::start();
    broker.said(&["topic", "create", "t", "-p", "2"]);
    let info = broker.said(&["cluster", "info"]);
    for part in ["active controller  1\n", "leader 1 in epoch", &broker.bootstrap, "active"] {
        assert!(info.contains(part), "{part} is not in\n{info}");
    }
    let told: serde_json::Value =
        serde_json::from_str(&broker.said(&["cluster", "info", "--format", "json"])).unwrap();
    assert!(info.starts_with(&format!("cluster id         {}\n", told["cluster_id"].as_str().unwrap())));
    assert_eq!((&told["active_controller"], &told["brokers"][0]["fenced"]), (&1.into(), &false.into()));
    let me = &told["quorum"]["replicas"][0];
    assert_eq!(
        (&me["role"], &me["lag"], &told["quorum"]["leader"]),
        (&"leader".into(), &0.into(), &1.into())
    );
    assert_eq!(me["listeners"][0], format!("PLAINTEXT://{}", broker.bootstrap));
    assert!(me["end_offset"].as_i64().unwrap() > 0 && me["end_offset"] == told["quorum"]["high_watermark"]);

    assert_eq!(broker.said(&["cluster", "health"]), "healthy: 1 brokers, 2 partitions\n");
    broker.said(&["topic", "create", "few", "-c", "min.insync.replicas=2"]);
    let output = broker.run_with(&["cluster", "health", "--format", "json"], "");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["healthy"]), (Some(3), &false.into()), "{told}");
    let problem = &told["problems"][0];
    assert_eq!(
        (&problem["kind"], &problem["partitions"][0]["topic"]),
        (&"under_min_isr".into(), &"few".into())
    );
    let nobody = broker.run_with(&["cluster", "health", "-b", "127.0.0.1:1", "--timeout", "0.5"], "");
    let why = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!((nobody.status.code(), nobody.stdout.len()), (Some(1), 0), "{why}");
    assert!(why.contains("127.0.0.1:1: connection refused") && why.contains("--bootstrap"), "{why}");
}

#[test]
fn the_doctor_finds_nothing_wrong_here_and_something_where_nobody_listens() {
    let broker = Broker::start();
    let healthy = broker.said(&["doctor"]);
    assert!(healthy.contains("cluster id") && healthy.contains("round trip"), "{healthy}");
    assert!(!healthy.contains("FAIL"), "{healthy}");
    let output = broker.run_with(&["doctor", "-b", "127.0.0.1:1", "--format", "json"], "");
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && found.contains("\"ok\":false") && found.contains("listeners"),
        "{found}"
    );
}
