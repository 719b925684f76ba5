//! One command for everything a developer or CI does: `cargo xtask`.

mod dependencies;
mod licences;
mod process;
mod report;
mod suite;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test                          everything CI runs; ends with a table and `N passed, N failed`
  test quick                    formatting, lints, core's unit tests, the house rules
  test STEP..                   only the named steps (`cargo xtask steps` lists them)
  steps                         the steps of `test`, in order
  dependencies                  licences, sources and banned crates alone
  wire-schema                   the wire tables, field by field: MESSAGE VERSION PATH TYPE NULL TAG
  madsim [--seeds A..B]         the shell in the deterministic simulator, one run a seed
  fuzz TARGET [--seconds N]     one fuzz target (needs `cargo install cargo-fuzz`)
  clients [ARGS]                real clients against a release build (tests/clients/run --help)
  kill9 [ROUNDS]                kill -9 under load against a release build
  chaos [MINUTES]               a cluster of three under librdkafka, Java and franz-go, with faults (10); 0: one of each kind
  failover [ROUNDS]             how long partitions are without a leader, each way 50 times
  bench [ARGS]                  figures of a release build (tests/bench/run --help)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", wanted @ ..] => suite::run(wanted),
        ["steps"] => suite::list(),
        ["dependencies"] => dependencies::check().map(|summary| println!("{summary}")),
        ["wire-schema"] => tools::wire_schema(),
        ["madsim", rest @ ..] => tools::madsim(rest),
        ["fuzz", target, rest @ ..] => tools::fuzz(target, rest),
        ["clients", rest @ ..] => tools::script("tests/clients/run", "--server", rest),
        ["kill9", rest @ ..] => tools::KILL9.run(rest),
        ["chaos", rest @ ..] => tools::CHAOS.run(rest),
        ["failover", rest @ ..] => tools::FAILOVER.run(rest),
        ["bench", rest @ ..] => tools::script("tests/bench/run", "--binary", rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("unknown command `{}`\n\n{USAGE}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
