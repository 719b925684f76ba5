//! `quipu-sim mutants`: plants bugs of history, and demands that a claim or a transcript sees each.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::mutants::{self, Kill, Mutant, Row, Table, Workshop};

/// Which bugs, and how hard to look for them.
#[derive(Debug, Args)]
pub struct Mutants {
    /// Their ids, such as C01; all if none is named.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Seeds after which a bug counts as not seen.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// How many seeds at once [default: as many as there are processors].
    #[arg(long)]
    jobs: Option<usize>,
    /// Draw so many instead of naming them.
    #[arg(long, value_name = "N", conflicts_with = "ids", requires = "by")]
    drawn: Option<usize>,
    /// What they are drawn by, such as the name of a commit: the same text draws the same bugs.
    #[arg(long, value_name = "TEXT", requires = "drawn")]
    by: Option<String>,
    /// Sweep seeds for those, too, whose heads say that only transcripts see them.
    #[arg(long)]
    sweep: bool,
    /// Only look whether the sources compile with each of them.
    #[arg(long, conflicts_with_all = ["limit", "from", "sweep"])]
    check: bool,
    /// The root of the sources [default: the one this is run in].
    #[arg(long, value_name = "DIR")]
    sources: Option<PathBuf>,
}

impl Mutants {
    /// Whether every bug was seen.
    pub(super) fn run(self) -> Result<bool, String> {
        let root = root_of(self.sources.as_deref())?;
        let chosen = match (self.drawn, &self.by) {
            (Some(count), Some(by)) => mutants::drawn(&root, count, by)?,
            _ => mutants::named(&root, &self.ids)?,
        };
        let jobs = self.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let jobs = jobs.unwrap_or(1).max(1);
        let options = mutants::Options { from: self.from, limit: self.limit, jobs, sweep: self.sweep };
        let workshop = Workshop::open(&root, &root.join("target/mutants"))?;
        if self.check {
            return Ok(check_all(&chosen, &workshop, jobs));
        }
        Ok(judge_all(chosen, &workshop, &options))
    }
}

fn judge_all(chosen: Vec<Mutant>, workshop: &Workshop, options: &mutants::Options) -> bool {
    let mut table = Table::of(&chosen);
    let (mut good, mut remarks) = (true, Vec::new());
    println!("{}", table.head());
    for mutant in chosen {
        let row = mutants::judge(mutant, workshop, options);
        println!("{}", table.row(&row));
        // Each takes a minute: a pipe should see it when it is there. If it is closed, the last line says so.
        let _ = std::io::stdout().flush();
        good &= row.is_seen();
        for remark in remarks_on(&row) {
            // Somebody who waits for the rest may already look into it.
            eprintln!("{remark}");
            remarks.push(remark);
        }
    }
    remarks.iter().for_each(|remark| println!("{remark}"));
    println!("{}", table.foot());
    good
}

fn remarks_on(row: &Row) -> Vec<String> {
    let id = &row.mutant.id;
    let of_kill = |kill: &Kill| match kill {
        Kill::Seed { others, .. } if others.is_empty() => None,
        Kill::Seed { others, .. } => Some(format!("{id}: before, {} broke", others.join(" "))),
        Kill::Transcript { name, how } => Some(format!("{id}: in {name}, {how}")),
    };
    let missed = row.missed.iter().map(|why| format!("{id}: {why}"));
    row.kills.iter().filter_map(of_kill).chain(missed).collect()
}

fn check_all(chosen: &[Mutant], workshop: &Workshop, jobs: usize) -> bool {
    let wrong = mutants::check_types(chosen, workshop, jobs);
    wrong.iter().for_each(|why| println!("{why}"));
    println!("checks: {} passed, {} failed, 0 skipped", chosen.len() - wrong.len(), wrong.len());
    wrong.is_empty()
}

/// The directory itself, or the nearest above it that has seeded bugs.
fn root_of(named: Option<&Path>) -> Result<PathBuf, String> {
    let here = std::env::current_dir().map_err(|e| format!("the current directory: {e}"))?;
    let is_root = |dir: &&Path| dir.join("sim/mutants").is_dir();
    match named {
        Some(dir) if is_root(&dir) => Ok(dir.to_path_buf()),
        Some(dir) => Err(format!("{} has no sim/mutants: name the root of the sources", dir.display())),
        None => here.ancestors().find(is_root).map(Path::to_path_buf).ok_or_else(|| {
            "no sim/mutants here or above: run this in the sources, or name their root with --sources DIR"
                .into()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_sources_is_found_from_within_and_anything_else_refused() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root_of(package.parent()).is_ok());
        assert!(root_of(Some(package)).is_err_and(|why| why.contains("has no sim/mutants")));
        // Tests run in the directory of their package.
        assert_eq!(root_of(None).ok().as_deref(), package.parent());
    }
}
