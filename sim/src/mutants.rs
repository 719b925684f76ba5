//! Seeded bugs: each patch in `sim/mutants` plants a bug of history in a copy of the sources, and a claim or a transcript must see it.
//!
//! A bug counts as seen when a claim that its patch names breaks, in a seed in which nothing breaks without the bug, or when a
//! transcript that its patch names comes out otherwise, and does not without the bug.

mod check;
mod patch;
mod pipe;
mod play;
mod search;
mod table;
mod verdict;
mod workshop;

use std::path::Path;

pub use check::check_types;
pub use patch::Mutant;
pub use play::perform;
pub use search::serve;
pub use table::Table;
pub use verdict::{Kill, Row};
pub use workshop::Workshop;

use crate::batch;
use crate::rng::Rng;
use crate::run;
use crate::scenarios::{Departure, Scenario};

/// How hard to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// Seeds after which a bug counts as not seen.
    pub limit: u64,
    /// Seeds that run at once.
    pub jobs: usize,
    /// Sweep seeds for those, too, whose heads say that it is in vain.
    pub sweep: bool,
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

/// So many of those that have been seen before, drawn by a text such as the name of a commit: everyone draws the same.
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

/// Plants a bug, plays the transcripts that are meant to see it, and looks for a seed in which a claim breaks that is meant to.
pub fn judge(mutant: Mutant, workshop: &Workshop, options: &Options) -> Row {
    let program = workshop.build(&mutant, options.jobs);
    let mut row = Row { mutant, kills: Vec::new(), missed: Vec::new() };
    let program = match program {
        Ok(program) => program,
        Err(why) => {
            row.missed.push(why);
            return row;
        }
    };
    if !row.mutant.scenarios.is_empty() {
        watch(&mut row, &program, workshop.root());
    }
    if row.mutant.is_swept() || options.sweep {
        sweep(&mut row, &program, options);
    }
    row
}

fn watch(row: &mut Row, program: &Path, root: &Path) {
    let (played, ended) = play::play(program, &row.mutant, root);
    for one in played {
        let outcome = verdict::of_transcript(&row.mutant, one, |name| without(root, name));
        row.note(outcome);
    }
    row.missed.extend(ended.err());
}

/// How a transcript comes out with the sources as they are. The runner was built of them.
fn without(root: &Path, name: &str) -> Option<Departure> {
    match Scenario::named(root, name) {
        Ok(scenario) => scenario.departure(|_| {}),
        Err(why) => Some(Departure::Stuck { why }),
    }
}

fn sweep(row: &mut Row, program: &Path, options: &Options) {
    let (from, limit, brokers) = (options.from, options.limit, row.mutant.brokers);
    let seeds = from..from.saturating_add(limit);
    let outcome = search::search(program, &row.mutant, &seeds, options.jobs).and_then(|found| {
        verdict::of_seeds(&row.mutant, (from, limit), found, |seed| {
            run::run(brokers.plan(seed), false).broken.map(|b| format!("{}: {}", b.claim, b.story))
        })
    });
    row.note(outcome);
}
