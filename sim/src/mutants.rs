//! Seeded bugs: each patch in `sim/mutants` plants a bug of history in a copy of the sources, and a claim must see it.
//!
//! A bug counts as seen when a claim that its patch names breaks, in a seed in which nothing breaks without the bug.

mod patch;
mod workshop;

use std::fmt;
use std::path::Path;

pub use patch::Mutant;
use workshop::{Found, Workshop};

use crate::batch;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::run;

/// Seeds tried at first; each next try has twice as many.
const FIRST_SEEDS: u64 = 16;

/// How hard to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seeds after which a bug counts as not seen.
    pub limit: u64,
    /// Seeds that run at once.
    pub jobs: u64,
}

impl Default for Options {
    fn default() -> Options {
        let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        Options { limit: 2_000, jobs }
    }
}

/// How a bug was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The claim that broke.
    pub claim: String,
    /// How many seeds it took.
    pub seeds: u64,
    /// What happened.
    pub story: String,
}

/// What came of one bug.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it was seen; else what is wrong, in words.
    pub outcome: Result<Kill, String>,
}

/// What came of all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each, in the order they were asked for.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether every bug was seen, by a claim that was meant to.
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.outcome.is_ok())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<5} {:<32} {:<10} {:>6}", "id", "name", "killed by", "seeds")?;
        for Row { id, name, outcome } in &self.rows {
            match outcome {
                Ok(kill) => writeln!(f, "{id:<5} {name:<32} {:<10} {:>6}", kill.claim, kill.seeds)?,
                Err(why) => writeln!(f, "{id:<5} {name:<32} FAILED: {why}")?,
            }
        }
        let seen = self.rows.iter().filter(|row| row.outcome.is_ok()).count();
        writeln!(f, "{seen} of {} seeded bugs were seen", self.rows.len())
    }
}

/// Plants each of these bugs (all, if none is named) and looks for a seed in which a claim breaks. `root` is the root of the
/// sources. Tells `said` what came of each as soon as it is known.
pub fn run(ids: &[String], root: &Path, options: &Options, mut said: impl FnMut(&Row)) -> Report {
    let mut report = Report::default();
    let (chosen, unknown) = match patch::all(root) {
        Ok(all) => choose(all, ids),
        Err(why) => (Vec::new(), vec![failed("-", why)]),
    };
    report.rows.extend(unknown);
    if chosen.is_empty() {
        return report;
    }
    let workshop = Workshop::open(root);
    for mutant in chosen {
        let outcome = workshop.as_ref().map_err(Clone::clone).and_then(|shop| judge(&mutant, shop, options));
        let row = Row { id: mutant.id, name: mutant.name, outcome };
        said(&row);
        report.rows.push(row);
    }
    report
}

/// Whether every patch can still be applied. Else which cannot, and why.
pub fn check_apply(root: &Path) -> Result<(), String> {
    let all = patch::all(root)?;
    let wrong: Vec<String> = all.iter().filter_map(|m| workshop::applies(root, m).err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Three bugs that a commit is tried with: drawn by its hash, so that everyone draws the same.
pub fn draw_three(root: &Path, commit: &str) -> Result<Vec<String>, String> {
    let mut ids: Vec<String> = patch::all(root)?.into_iter().map(|m| m.id).collect();
    let mut rng = Rng::new(batch::hash(commit.as_bytes()));
    let drawn = (0..3.min(ids.len())).map(|_| ids.remove(rng.below(ids.len() as u64) as usize)).collect();
    Ok(drawn)
}

/// Those that are named, and a row for each name that nothing has.
fn choose(all: Vec<Mutant>, ids: &[String]) -> (Vec<Mutant>, Vec<Row>) {
    if ids.is_empty() {
        return (all, Vec::new());
    }
    let is_known = |id: &&String| all.iter().any(|m| m.id == **id);
    let unknown = ids.iter().filter(|id| !is_known(id));
    let unknown = unknown.map(|id| failed(id, "there is no such seeded bug".into())).collect();
    (all.into_iter().filter(|m| ids.contains(&m.id)).collect(), unknown)
}

fn failed(id: &str, why: String) -> Row {
    Row { id: id.to_string(), name: String::new(), outcome: Err(why) }
}

fn judge(mutant: &Mutant, workshop: &Workshop, options: &Options) -> Result<Kill, String> {
    let binary = workshop.build(mutant)?;
    let (mut from, mut count) = (0, FIRST_SEEDS);
    while from < options.limit {
        let to = (from + count).min(options.limit);
        if let Some(found) = workshop::search(&binary, from..to, options.jobs)? {
            return verdict(mutant, found);
        }
        (from, count) = (to, count * 2);
    }
    Err(format!("no claim broke in {} seeds; meant to: {}", options.limit, mutant.checkers.join(" ")))
}

fn verdict(mutant: &Mutant, found: Found) -> Result<Kill, String> {
    let Found { seed, claim, story } = found;
    if !mutant.intends(&claim, &story) {
        let meant = mutant.checkers.join(" ");
        return Err(format!("seed {seed} broke {claim}, meant to break: {meant}. {story}"));
    }
    if let Some(broken) = run::run(Plan::draw(seed), false).broken {
        return Err(format!("seed {seed} breaks {} without the bug, too: {}", broken.claim, broken.story));
    }
    Ok(Kill { claim, seeds: seed + 1, story })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(id: &str) -> Mutant {
        let text = "checkers: S1 P1\npanic: at the end\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n";
        Mutant::parse(&format!("{id}-a-name"), text).expect("a mutant")
    }

    #[test]
    fn only_a_claim_that_is_named_counts_and_a_panic_only_with_its_words() {
        let m = mutant("C01");
        assert!(m.intends("S1", "") && m.intends("P1", "it ended at the end"));
        assert!(!m.intends("S2", "") && !m.intends("P1", "index out of bounds"));
    }

    #[test]
    fn a_name_that_nothing_has_is_a_failure() {
        let (chosen, unknown) = choose(vec![mutant("C01"), mutant("C02")], &["C02".into(), "X".into()]);
        assert_eq!(chosen.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["C02"]);
        assert!(!Report { rows: unknown }.is_good());
    }

    #[test]
    fn a_table_tells_what_was_seen_and_what_was_not() {
        let kill = Kill { claim: "S10".into(), seeds: 7, story: String::new() };
        let row = |id: &str, outcome| Row { id: id.into(), name: "a-name".into(), outcome };
        let report = Report { rows: vec![row("C01", Ok(kill)), row("C02", Err("it survived".into()))] };
        let table = report.to_string();
        assert!(table.contains("S10") && table.contains("FAILED: it survived"), "{table}");
        assert!(table.ends_with("1 of 2 seeded bugs were seen\n"), "{table}");
    }
}
