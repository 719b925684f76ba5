//! `quipu-sim determinism`: the same seeds in two processes, and the first seed whose stories differ.

use std::ops::Range;
use std::process::{Child, Command, Stdio};

use crate::plan::brokers::Brokers;
use crate::run;

/// Prints a line a seed: the seed, the hash of its story, and how many things happened.
pub(super) fn print_hashes(seeds: &Range<u64>, brokers: Brokers) {
    for seed in seeds.clone() {
        let outcome = run::run(brokers.plan(seed), false);
        println!("{seed} {:016x} {}", outcome.hash, outcome.events);
    }
}

/// Runs the seeds in two processes at once. Whether all stories are the same.
pub(super) fn compare(seeds: &Range<u64>, brokers: Brokers) -> Result<bool, String> {
    let (first, second) = (spawn(seeds, brokers)?, spawn(seeds, brokers)?);
    let (first, second) = (lines_of(first)?, lines_of(second)?);
    for (seed, (a, b)) in seeds.clone().zip(first.iter().zip(&second)) {
        if a != b {
            println!("seed {seed} is two stories (seed, hash, events):\n  {a}\n  {b}");
            println!(
                "  again    quipu-sim run --seed {seed} --brokers {} --trace, twice, and compare",
                brokers.word()
            );
            return Ok(false);
        }
    }
    let wanted = (seeds.end - seeds.start) as usize;
    if (first.len(), second.len()) != (wanted, wanted) {
        return Err(format!("{} and {} of {wanted} seeds came to an end", first.len(), second.len()));
    }
    println!("{wanted} seeds ran in two processes: every hash is the same");
    println!("checks: {wanted} passed, 0 failed, 0 skipped");
    Ok(true)
}

fn spawn(seeds: &Range<u64>, brokers: Brokers) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program is not found again: {e}"))?;
    Command::new(program)
        .args(["hashes", "--brokers", brokers.word()])
        .args(["--seeds", &format!("{}..{}", seeds.start, seeds.end)])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("a second process does not start: {e}"))
}

fn lines_of(child: Child) -> Result<Vec<String>, String> {
    let output = child.wait_with_output().map_err(|e| format!("a process is lost: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_string).collect())
}
