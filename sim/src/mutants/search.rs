//! The search for a seed in which a seeded bug shows: on both sides of the pipe between the runner and what it has built.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::patch::Mutant;
use super::pipe;
use crate::run::run;

/// In how long some seed must come to its end: one that a bug keeps from ending is no proof of anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// A seed has come to its end. A line of the pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) seed: u64,
    pub(super) broken: Option<Claimed>,
}

/// A claim that broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claimed {
    pub(super) claim: String,
    pub(super) story: String,
}

/// What a search came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The first seed in which a claim broke that was meant to.
    pub(super) seen: Option<(u64, Claimed)>,
    /// Other claims that broke before that.
    pub(super) others: Vec<(u64, Claimed)>,
}

/// In the program: runs seeds until one breaks a claim that is meant to, and tells of each that has ended.
pub fn serve(mutant: &Mutant, seeds: Range<u64>, jobs: usize) {
    // A panic is a claim that breaks; its words are in the story.
    crate::panics::keep_quiet();
    let (next, first) = (AtomicU64::new(seeds.start), AtomicU64::new(seeds.end));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first.load(Relaxed) {
                        return;
                    }
                    let broken = run(mutant.brokers.plan(seed), false).broken;
                    let broken = broken.map(|b| Claimed { claim: b.claim.to_string(), story: b.story });
                    if broken.as_ref().is_some_and(|b| mutant.intends(&b.claim, &b.story)) {
                        first.fetch_min(seed, Relaxed);
                    }
                    // Nobody listens any more: nothing is left to do.
                    if !pipe::tell(&Ended { seed, broken }) {
                        return;
                    }
                }
            });
        }
    });
}

/// In the runner: starts the program and listens.
pub(super) fn search(
    program: &Path,
    mutant: &Mutant,
    seeds: &Range<u64>,
    jobs: usize,
) -> Result<Found, String> {
    let mut command = Command::new(program);
    command.arg(&mutant.path).arg("seeds");
    command.args([seeds.start, seeds.end, jobs as u64].map(|n| n.to_string()));
    hear(command, mutant, PATIENCE)
}

fn hear(command: Command, mutant: &Mutant, patience: Duration) -> Result<Found, String> {
    let mut found = Found::default();
    match pipe::listen(command, patience, |ended| found.note(mutant, ended)) {
        Ok(()) => Ok(found),
        Err(why) => found.or(format!("in a run of seeds, {why}")),
    }
}

impl Found {
    fn note(&mut self, mutant: &Mutant, ended: Ended) {
        let Ended { seed, broken: Some(broken) } = ended else { return };
        if !mutant.intends(&broken.claim, &broken.story) {
            self.others.push((seed, broken));
        } else if self.seen.as_ref().is_none_or(|(before, _)| seed < *before) {
            self.seen = Some((seed, broken));
        }
    }

    /// Something has gone wrong, which is of no interest if the bug had been seen by then.
    fn or(self, why: String) -> Result<Found, String> {
        if self.seen.is_some() { Ok(self) } else { Err(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::patch::for_tests::meant;

    /// What comes of a program that prints these lines and then does this.
    fn heard(lines: &[&str], then: &str) -> Result<Found, String> {
        let mut program = Command::new("sh");
        program.args(["-c", &format!("printf '%s\\n' '{}'; {then}", lines.join("' '"))]);
        hear(program, &meant("C01", &["S1"]), Duration::from_millis(500))
    }

    fn line(seed: u64, claim: &str) -> String {
        let broken = Some(Claimed { claim: claim.into(), story: String::new() });
        serde_json::to_string(&Ended { seed, broken }).expect("plain values")
    }

    #[test]
    fn the_lowest_seed_with_a_claim_that_is_meant_counts_and_others_are_kept() {
        let (a, b, c) = (line(4, "S1"), line(2, "S1"), line(1, "P1"));
        let found = heard(&[r#"{"seed":0,"broken":null}"#, &a, &c, &b], "true").expect("all is well");
        assert_eq!(found.seen.map(|(seed, _)| seed), Some(2));
        assert_eq!(found.others.iter().map(|(seed, _)| *seed).collect::<Vec<_>>(), [1]);
        assert_eq!(heard(&[r#"{"seed":0,"broken":null}"#], "true"), Ok(Found::default()));
    }

    #[test]
    fn a_program_that_fails_hangs_or_talks_nonsense_proves_nothing() {
        let quiet = r#"{"seed":0,"broken":null}"#;
        assert!(heard(&[quiet], "exit 3").is_err_and(|why| why.contains("ended with")));
        assert!(heard(&[quiet], "exec sleep 30").is_err_and(|why| why.contains("nothing came to its end")));
        assert!(heard(&["what?"], "true").is_err_and(|why| why.contains("what?")));
        let seen = heard(&[&line(3, "S1")], "exec sleep 30").expect("it was seen before");
        assert_eq!(seen.seen.map(|(seed, _)| seed), Some(3));
    }
}
