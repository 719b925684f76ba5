//! Plays transcripts, and runs seeds until a claim breaks that a seeded bug is meant to break: what `quipu-sim mutants` builds
//! with the bug in it.

use std::path::Path;

use quipu_sim::mutants::{Mutant, perform, serve};

const USAGE: &str = "usage: until_broken PATCH scenarios ROOT | until_broken PATCH seeds FROM TO JOBS";

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let read = |patch: &str| Mutant::read(Path::new(patch));
    match words[..] {
        [patch, "scenarios", root] => perform(&read(patch)?, Path::new(root)),
        [patch, "seeds", ref numbers @ ..] => {
            let numbers: Vec<u64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
            let [from, to, jobs] = numbers[..] else { return Err(USAGE.to_string()) };
            serve(&read(patch)?, from..to, jobs as usize);
            Ok(())
        }
        _ => Err(USAGE.to_string()),
    }
}
