//! Seeded bugs: each patch in `sim/mutants` plants a bug of history in a copy of the sources, and a claim must see it.
//!
//! A bug counts as seen when a claim that its patch names breaks, in a seed in which nothing breaks without the bug.

mod patch;
mod search;
mod table;
mod workshop;

use std::path::Path;

pub use patch::Mutant;
use search::Found;
pub use search::serve;
pub use table::Table;
pub use workshop::Workshop;

use crate::batch;
use crate::rng::Rng;
use crate::run;

/// Of so many claims that broke without being meant to a failure tells.
const OTHERS_TOLD: usize = 3;

/// How hard to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// Seeds after which a bug counts as not seen.
    pub limit: u64,
    /// Seeds that run at once.
    pub jobs: usize,
}

/// How a bug was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The claim that broke.
    pub claim: String,
    /// In which seed.
    pub seed: u64,
    /// How many seeds it took.
    pub seeds: u64,
    /// Claims that broke in earlier seeds without being meant to.
    pub others: Vec<String>,
}

/// What came of one bug.
#[derive(Clone, Debug)]
pub struct Row {
    /// The bug.
    pub mutant: Mutant,
    /// How it was seen; else what is wrong, in words.
    pub outcome: Result<Kill, String>,
}

/// The seeded bugs with these ids; all, if none is named. `root` is the root of the sources.
pub fn named(root: &Path, ids: &[String]) -> Result<Vec<Mutant>, String> {
    let all = patch::all(root)?;
    if let Some(unknown) = ids.iter().find(|id| !all.iter().any(|m| m.id == **id)) {
        let known: Vec<&str> = all.iter().map(|m| m.id.as_str()).collect();
        return Err(format!("there is no seeded bug {unknown}; there are {}", known.join(" ")));
    }
    Ok(all.into_iter().filter(|m| ids.is_empty() || ids.contains(&m.id)).collect())
}

/// So many of those that a claim has seen before, drawn by a text such as the name of a commit: everyone draws the same.
pub fn drawn(root: &Path, count: usize, by: &str) -> Result<Vec<Mutant>, String> {
    let mut all = patch::all(root)?;
    all.retain(|m| !m.unseen);
    let mut rng = Rng::new(batch::hash(by.as_bytes()));
    let count = count.min(all.len());
    Ok((0..count).map(|_| all.remove(rng.below(all.len() as u64) as usize)).collect())
}

/// Whether every patch can still be applied. Else which cannot, and why.
pub fn check_apply(root: &Path) -> Result<(), String> {
    let all = patch::all(root)?;
    let wrong: Vec<String> = all.iter().filter_map(|m| workshop::applies(root, m).err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Plants a bug and looks for a seed in which a claim breaks that is meant to.
pub fn judge(mutant: Mutant, workshop: &Workshop, options: &Options) -> Row {
    let brokers = mutant.brokers;
    let outcome = workshop.build(&mutant, options.jobs).and_then(|program| {
        let seeds = options.from..options.from.saturating_add(options.limit);
        let found = search::search(&program, &mutant, &seeds, options.jobs)?;
        verdict(&mutant, options, found, |seed| {
            run::run(brokers.plan(seed), false).broken.map(|b| format!("{}: {}", b.claim, b.story))
        })
    });
    Row { mutant, outcome }
}

/// What is to be thought of what was found. `without`: what breaks in a seed without the bug.
fn verdict(
    mutant: &Mutant,
    options: &Options,
    found: Found,
    without: impl Fn(u64) -> Option<String>,
) -> Result<Kill, String> {
    let Some((seed, broken)) = found.seen else {
        let meant = mutant.checkers.join(" ");
        let others: Vec<String> = found
            .others
            .iter()
            .take(OTHERS_TOLD)
            .map(|(seed, b)| format!("; seed {seed} broke {}: {}", b.claim, b.story))
            .collect();
        return Err(format!("none of {meant} broke in {} seeds{}", options.limit, others.concat()));
    };
    if let Some(broken) = without(seed) {
        return Err(format!("seed {seed} breaks without the bug, too: {broken}"));
    }
    let mut others: Vec<String> =
        found.others.into_iter().filter(|(at, _)| *at < seed).map(|(_, b)| b.claim).collect();
    others.sort();
    others.dedup();
    Ok(Kill { claim: broken.claim, seed, seeds: seed - options.from + 1, others })
}

#[cfg(test)]
mod tests {
    use super::search::Claimed;
    use super::*;

    fn judged(found: Found, without: Option<&str>) -> Result<Kill, String> {
        let text = |text: &str| text.to_string();
        let (files, path) = (vec![], Path::new("").to_path_buf());
        let checkers = vec![text("S1"), text("H1")];
        let mutant = Mutant {
            id: text("C01"),
            name: text("x"),
            checkers,
            panics: vec![],
            unseen: false,
            brokers: Default::default(),
            files,
            path,
        };
        let options = Options { from: 100, limit: 50, jobs: 1 };
        verdict(&mutant, &options, found, |_| without.map(text))
    }

    fn broke(seed: u64, claim: &str) -> (u64, Claimed) {
        (seed, Claimed { claim: claim.to_string(), story: "so it went".to_string() })
    }

    #[test]
    fn a_bug_is_seen_where_nothing_breaks_without_it() {
        let found =
            || Found { seen: Some(broke(106, "H1")), others: vec![broke(107, "P1"), broke(101, "P1")] };
        let kill = judged(found(), None).expect("it was seen");
        assert_eq!((kill.claim.as_str(), kill.seed, kill.seeds), ("H1", 106, 7));
        assert_eq!(kill.others, ["P1"]);
        assert!(judged(found(), Some("S2")).is_err_and(|why| why.contains("without the bug, too: S2")));
    }

    #[test]
    fn a_claim_that_was_not_meant_to_break_is_no_proof_but_is_told() {
        let why = judged(Found { seen: None, others: vec![broke(101, "P1")] }, None).expect_err("no proof");
        assert!(why.contains("none of S1 H1 broke in 50 seeds; seed 101 broke P1: so it went"), "{why}");
    }
}
