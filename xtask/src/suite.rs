//! The steps of `cargo xtask test`, in order: what each runs, its limit, and how many tests it must count.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dependencies;
use crate::process::{self, Tally, cargo, command, root};
use crate::report::{Line, Outcome, closing, table};
use crate::tools;

/// One step.
struct Step {
    name: &'static str,
    says: &'static str,
    limit_minutes: u64,
    /// A step that ends well with fewer tests than this has tested nothing, and fails.
    least_tests: usize,
    work: Work,
}

enum Work {
    Command(fn() -> Command),
    Check(fn() -> Result<String, String>),
    /// Like `Command`, but it may not be possible here: the error says why.
    Possible(fn() -> Result<Command, String>),
}

/// Seeds of the event simulator that every run of the suite takes, of one, three and five brokers.
const SIMULATED_SEEDS: [u64; 3] = [2_000, 500, 200];

/// Bugs of history that every run of the suite plants, of all in sim/mutants.
const SEEDED_BUGS: usize = 3;

/// Seeds whose stories two processes tell.
const TOLD_TWICE: u64 = 60;

const QUICK: [&str; 4] = ["fmt", "clippy", "core", "tidy"];

const STEPS: [Step; 20] = [
    step("fmt", "rustfmt would change nothing", 5, 0, Work::Command(fmt)),
    step("clippy", "no warning in any target", 25, 0, Work::Command(clippy)),
    step("dependencies", "licences, sources, banned crates", 5, 0, Work::Check(dependencies::check)),
    step("core", "core's unit tests", 20, 1, Work::Command(core)),
    step("tidy", "the house rules", 20, 10, Work::Command(tidy)),
    step("server", "a release build of the server", 25, 0, Work::Command(server)),
    step("tests", "every test of the workspace", 30, 50, Work::Command(tests)),
    step("docs", "documentation builds without a warning", 20, 0, Work::Command(docs)),
    step("sim", "one simulated broker, seeds drawn by the commit", 20, 1_500, Work::Command(sim)),
    step("sim3", "three simulated brokers, seeds drawn by the commit", 20, 350, Work::Command(sim3)),
    step("sim5", "five simulated brokers, seeds drawn by the commit", 20, 120, Work::Command(sim5)),
    step("planted", "the sources compile with each bug of history", 20, 60, Work::Command(planted)),
    step(
        "mutants",
        "bugs of history, drawn by the commit, are seen",
        20,
        SEEDED_BUGS,
        Work::Command(mutants),
    ),
    step("determinism", "one seed is one story, in two processes", 10, 40, Work::Command(determinism)),
    step("pinned", "plans that simulated clusters once broke with", 10, 5, Work::Command(pinned)),
    step("madsim", "the shell in the deterministic simulator", 25, 1, Work::Command(madsim)),
    step("wire", "our wire tables against Kafka's definitions", 10, 0, Work::Possible(wire)),
    step("clients", "real clients against the server", 20, 20, Work::Command(clients)),
    step("kill9", "kill -9 under load", 15, 1, Work::Command(kill9)),
    step("chaos", "three brokers under real clients, one fault of each kind", 15, 1, Work::Command(chaos)),
];

const fn step(
    name: &'static str,
    says: &'static str,
    limit_minutes: u64,
    least_tests: usize,
    work: Work,
) -> Step {
    Step { name, says, limit_minutes, least_tests, work }
}

/// Prints the steps.
pub(crate) fn list() -> Result<(), String> {
    for step in &STEPS {
        println!("{:<14} {}", step.name, step.says);
    }
    Ok(())
}

/// Runs the wanted steps, or all; an error when one of them failed.
pub(crate) fn run(wanted: &[&str]) -> Result<(), String> {
    let wanted = if wanted == ["quick"] { &QUICK[..] } else { wanted };
    if let Some(name) = wanted.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        return Err(format!("no step is called `{name}`; `cargo xtask steps` lists them"));
    }
    // `tests` holds core's tests and the house rules: alone they serve the quick run.
    let chosen = STEPS.iter().filter(|step| {
        if wanted.is_empty() { !matches!(step.name, "core" | "tidy") } else { wanted.contains(&step.name) }
    });
    let lines: Vec<Line> = chosen.map(perform).collect();
    print!("{}", table(&lines));
    println!("\n{}", closing(&lines));
    let failed: Vec<&str> = lines.iter().filter(|line| fails(line)).map(|line| line.name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn fails(line: &Line) -> bool {
    matches!(line.outcome, Outcome::Failed(_))
}

fn perform(step: &Step) -> Line {
    println!("\n=== {}: {} ===", step.name, step.says);
    let started = Instant::now();
    let limit = Duration::from_secs(step.limit_minutes * 60);
    let (tally, outcome) = match &step.work {
        Work::Command(make) => judged(process::run(make(), limit)),
        Work::Possible(make) => match make() {
            Ok(command) => judged(process::run(command, limit)),
            Err(why) => (Tally::default(), Outcome::Skipped(why)),
        },
        Work::Check(check) => match check() {
            Ok(summary) => {
                println!("{summary}");
                (Tally::default(), Outcome::Passed)
            }
            Err(why) => (Tally::default(), Outcome::Failed(why)),
        },
    };
    let outcome = match outcome {
        Outcome::Passed if tally.passed < step.least_tests => {
            Outcome::Failed(format!("it ran {} tests, at least {} expected", tally.passed, step.least_tests))
        }
        Outcome::Passed if process::in_ci() && tally.skipped > 0 => {
            Outcome::Failed(format!("{} tests were skipped; in CI nothing may be", tally.skipped))
        }
        other => other,
    };
    let took = started.elapsed();
    if let Outcome::Failed(why) | Outcome::Skipped(why) = &outcome {
        println!("*** {}: {why}", step.name);
    }
    println!("--- {} took {:.1} s", step.name, took.as_secs_f64());
    Line { name: step.name, outcome, tally, took }
}

fn judged((tally, result): (Tally, Result<(), String>)) -> (Tally, Outcome) {
    match result {
        Ok(()) if tally.failed > 0 => (tally, Outcome::Failed(format!("{} tests failed", tally.failed))),
        Ok(()) => (tally, Outcome::Passed),
        Err(why) => (tally, Outcome::Failed(why)),
    }
}

fn fmt() -> Command {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Command {
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn core() -> Command {
    cargo(&["test", "-p", "quipu-core", "--lib", "--locked"])
}

fn tidy() -> Command {
    cargo(&["test", "--workspace", "--test", "tidy", "--locked"])
}

fn server() -> Command {
    cargo(&["build", "--release", "-p", "quipu", "--locked"])
}

/// The end-to-end tests run the release build of the step before, so that it is built once.
fn tests() -> Command {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--locked"]);
    command.env("TESTS_SERVER", server_binary());
    command
}

fn docs() -> Command {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn sim() -> Command {
    tools::sweep(SIMULATED_SEEDS[0], 1)
}

fn sim3() -> Command {
    tools::sweep(SIMULATED_SEEDS[1], 3)
}

fn sim5() -> Command {
    tools::sweep(SIMULATED_SEEDS[2], 5)
}

fn planted() -> Command {
    tools::simulator(&["mutants", "--check"])
}

fn mutants() -> Command {
    tools::mutants(SEEDED_BUGS)
}

fn determinism() -> Command {
    tools::determinism(TOLD_TWICE)
}

fn pinned() -> Command {
    tools::simulator(&["regressions"])
}

fn madsim() -> Command {
    tools::simulate(1, 20)
}

/// The definitions lie beside the repository where its authors keep them; the project does not need them.
fn wire() -> Result<Command, String> {
    let check = root().join("../shared/check-wire");
    if !check.exists() {
        return Err("Kafka's message definitions are not beside this repository".into());
    }
    let script = "set -o pipefail; cargo xtask wire-schema | python3 ../shared/check-wire";
    Ok(command("bash", &["-c", script]))
}

fn clients() -> Command {
    let server = server_binary();
    command("python3", &["tests/clients/run", "--server", &server.to_string_lossy()])
}

fn kill9() -> Command {
    tools::KILL9.command(20)
}

fn chaos() -> Command {
    tools::CHAOS.command(0)
}

/// Where the release build of the server lies.
pub(crate) fn server_binary() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir));
    target.join("release").join("quipu")
}
