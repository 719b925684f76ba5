//! Runs seeds until a claim breaks that a seeded bug is meant to break: what `quipu-sim mutants` builds with the bug in it.

use std::path::Path;

use quipu_sim::mutants::{Mutant, serve};

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: until_broken PATCH FROM TO JOBS";
    let [patch, numbers @ ..] = &args[..] else { return Err(usage.to_string()) };
    let numbers: Vec<u64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let [from, to, jobs] = numbers[..] else { return Err(usage.to_string()) };
    serve(&Mutant::read(Path::new(patch))?, from..to, jobs as usize);
    Ok(())
}
