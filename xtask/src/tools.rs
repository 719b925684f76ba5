//! The single tools: wire schema, simulator, fuzzing, and the scripts that need a release build.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::process::{cargo, command, exists, root, run};
use crate::suite::server_binary;

/// No tool of these runs longer than a working day.
const LIMIT: Duration = Duration::from_secs(8 * 3600);

/// Prints the wire tables: an example of core, so that xtask itself builds without core.
pub(crate) fn wire_schema() -> Result<(), String> {
    run(cargo(&["run", "--quiet", "-p", "quipu-core", "--example", "wire_schema"]), LIMIT).1
}

/// So many seeds of so many simulated brokers, from one that the commit draws: every commit looks at seeds of its own.
pub(crate) fn sweep(count: u64, brokers: usize) -> Command {
    simulator(&["sweep", "--brokers", &brokers.to_string(), "--seeds", &drawn(count)])
}

/// So many of the same seeds, in two processes, which must tell the same stories.
pub(crate) fn determinism(count: u64) -> Command {
    simulator(&["determinism", "--brokers", "mixed", "--seeds", &drawn(count)])
}

fn drawn(count: u64) -> String {
    let first = commit().and_then(|hash| u64::from_str_radix(hash.get(..7)?, 16).ok()).unwrap_or(0);
    format!("{first}..{}", first + count)
}

/// So many bugs of history, planted one after the other in a copy of the sources: a claim of the
/// simulator or a transcript must see each.
pub(crate) fn mutants(count: usize) -> Command {
    let by = commit().unwrap_or_else(|| "no commit".into());
    simulator(&["mutants", "--drawn", &count.to_string(), "--by", &by])
}

/// The simulator with these arguments.
pub(crate) fn simulator(arguments: &[&str]) -> Command {
    let mut command = cargo(&["run", "--release", "--locked", "--quiet", "-p", "quipu-sim", "--"]);
    command.args(arguments);
    command
}

/// The commit of the work tree, if git knows it.
fn commit() -> Option<String> {
    let asked = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root()).output().ok()?;
    asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).trim().to_string())
}

/// The simulator's tests for the seeds `first..first + count`: every file of sim/tests that says
/// `cfg(madsim)`, each of which is empty in an ordinary build.
pub(crate) fn simulate(first: u64, count: u64) -> Command {
    let mut command = cargo(&["simtest", "--locked"]);
    for name in madsim_tests() {
        command.args(["--test", &name]);
    }
    // It would win over the flags of the alias, and the simulator would quietly not be there.
    command.env_remove("RUSTFLAGS");
    command.env("MADSIM_TEST_SEED", first.to_string()).env("MADSIM_TEST_NUM", count.to_string());
    command
}

fn madsim_tests() -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join("sim/tests")) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("#![cfg(madsim)]")))
        .filter_map(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// `madsim [--seeds A..B]`.
pub(crate) fn madsim(args: &[&str]) -> Result<(), String> {
    let (first, end) = match args {
        [] => (1, 21),
        ["--seeds", range] => seeds(range)?,
        other => return Err(format!("madsim takes `--seeds A..B`, not `{}`", other.join(" "))),
    };
    if madsim_tests().is_empty() {
        return Err("sim/tests has no file with `#![cfg(madsim)]`: nothing to run".into());
    }
    let (tally, result) = run(simulate(first, end - first), LIMIT);
    result?;
    if tally.passed == 0 { Err("the simulator ran no test".into()) } else { Ok(()) }
}

fn seeds(range: &str) -> Result<(u64, u64), String> {
    let parts = range.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match parts {
        Some((first, end)) if first < end => Ok((first, end)),
        _ => Err(format!("`{range}` is no range of seeds; write A..B, with A below B")),
    }
}

/// `fuzz TARGET [--seconds N]`, on stable Rust: a sanitizer would want nightly, and nothing that is fuzzed is `unsafe`.
pub(crate) fn fuzz(target: &str, args: &[&str]) -> Result<(), String> {
    let seconds: u32 = match args {
        [] => 60,
        ["--seconds", number] => number.parse().map_err(|_| format!("`{number}` is no number of seconds"))?,
        other => return Err(format!("fuzz takes `--seconds N`, not `{}`", other.join(" "))),
    };
    if !exists("cargo", &["fuzz", "--version"]) {
        return Err("cargo-fuzz is missing: cargo install cargo-fuzz --locked".into());
    }
    let corpus = format!("fuzz/corpus/{target}");
    let given = format!("fuzz/seeds/{target}");
    for directory in [&corpus, &given] {
        fs::create_dir_all(root().join(directory)).map_err(|error| format!("{directory}: {error}"))?;
    }
    let time = format!("-max_total_time={seconds}");
    let how = ["--sanitizer", "none", "--features", "libfuzzer"];
    let mut command = cargo(&["fuzz", "run", target]);
    command.args(how).args([&corpus, &given, "--", &time]);
    // Link-time optimization of instrumented code takes longer than the fuzzing.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run(command, LIMIT).1
}

/// Builds the server for release, then runs one of the repository's scripts with it as the value of `flag`.
pub(crate) fn script(path: &str, flag: &str, args: &[&str]) -> Result<(), String> {
    if !root().join(path).exists() {
        return Err(format!("{path} does not exist in this checkout"));
    }
    build()?;
    let server = server_binary();
    let mut command = command("python3", &[path, flag, &server.to_string_lossy()]);
    command.args(args);
    run(command, LIMIT).1
}

fn build() -> Result<(), String> {
    run(cargo(&["build", "--release", "-p", "quipu", "--locked"]), LIMIT).1
}

/// A long test of the release build in real processes, as a command: one that takes a number from the environment.
pub(crate) struct Ordeal {
    test: &'static str,
    variable: &'static str,
    unless_told: u32,
}

/// kill -9 of one server, so many rounds.
pub(crate) const KILL9: Ordeal = Ordeal { test: "kill9", variable: "KILL9_ROUNDS", unless_told: 50 };

/// Every fault in a cluster of three, so many minutes; 0 is one of each kind.
pub(crate) const CHAOS: Ordeal = Ordeal { test: "chaos", variable: "CHAOS_MINUTES", unless_told: 10 };

/// How long failover takes, so many rounds.
pub(crate) const FAILOVER: Ordeal = Ordeal { test: "failover", variable: "FAILOVER_ROUNDS", unless_told: 50 };

impl Ordeal {
    /// With this number; it needs the release build of the server.
    pub(crate) fn command(&self, number: u32) -> Command {
        // `--workspace`, so that it is built with the features that every other step builds with, and only once.
        let mut command =
            cargo(&["test", "--workspace", "--test", self.test, "--locked", "--", "--nocapture"]);
        command.env(self.variable, number.to_string()).env("TESTS_SERVER", server_binary());
        command
    }

    /// `NAME [NUMBER]`: builds the server first.
    pub(crate) fn run(&self, args: &[&str]) -> Result<(), String> {
        let number = self.number(args)?;
        build()?;
        run(self.command(number), LIMIT).1
    }

    fn number(&self, args: &[&str]) -> Result<u32, String> {
        match args {
            [] => Ok(self.unless_told),
            [number] => number.parse().map_err(|_| format!("`{number}` is no number")),
            other => Err(format!("{} takes one number, not `{}`", self.test, other.join(" "))),
        }
    }
}

#[test]
fn a_range_of_seeds_is_read_and_an_empty_one_refused() {
    assert_eq!(seeds("3..10"), Ok((3, 10)));
    assert!(seeds("10..3").is_err() && seeds("x").is_err() && seeds("3").is_err());
}

#[test]
fn an_ordeal_takes_one_number_or_its_own() {
    assert_eq!((CHAOS.number(&[]), CHAOS.number(&["0"])), (Ok(10), Ok(0)));
    assert!(CHAOS.number(&["ten"]).is_err() && CHAOS.number(&["1", "2"]).is_err());
}
