//! The table of seeded bugs and who saw them, as it is printed and as it stands in `sim/mutants/README.md`.

use super::{Kill, Mutant, Row};

const HEAD: [&str; 6] = ["id", "bug", "meant to see it", "seen by", "in seed", "seeds"];
/// The widest that `seen by`, `in seed` and `seeds` get.
const NARROW: [usize; 3] = [7, 12, 6];

/// A table that is printed line by line.
pub struct Table {
    widths: [usize; 6],
    seeds: Vec<u64>,
    rows: usize,
}

impl Table {
    /// For these bugs.
    pub fn of(mutants: &[Mutant]) -> Table {
        let widest = |head: &str, of: &dyn Fn(&Mutant) -> usize| {
            mutants.iter().map(of).chain([head.len()]).max().unwrap_or_default()
        };
        let words: [usize; 3] = [
            widest(HEAD[0], &|m| m.id.len()),
            widest(HEAD[1], &|m| m.name.len()),
            widest(HEAD[2], &|m| m.checkers.join(" ").len()),
        ];
        let widths = [words[0], words[1], words[2], NARROW[0], NARROW[1], NARROW[2]];
        Table { widths, seeds: Vec::new(), rows: 0 }
    }

    /// The first two lines.
    pub fn head(&self) -> String {
        let rule = self.widths.map(|width| "-".repeat(width));
        format!("{}\n{}", self.line(&HEAD), self.line(&rule.each_ref().map(String::as_str)))
    }

    /// The line of a bug.
    pub fn row(&mut self, row: &Row) -> String {
        self.rows += 1;
        let (m, meant) = (&row.mutant, row.mutant.checkers.join(" "));
        match &row.outcome {
            Ok(Kill { claim, seed, seeds, .. }) => {
                self.seeds.push(*seeds);
                self.line(&[&m.id, &m.name, &meant, claim, &seed.to_string(), &seeds.to_string()])
            }
            Err(_) => self.line(&[&m.id, &m.name, &meant, "NOBODY", "", ""]),
        }
    }

    /// The last lines.
    pub fn foot(&self) -> String {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        let (seen, rows) = (seeds.len(), self.rows);
        let middle = seeds.get(seen.saturating_sub(1) / 2).copied().unwrap_or(0);
        let most = seeds.last().copied().unwrap_or(0);
        format!(
            "{seen} of {rows} seeded bugs were seen; half of those within {middle} seeds, all within {most}\n\
             checks: {seen} passed, {} failed, 0 skipped",
            rows - seen
        )
    }

    fn line(&self, cells: &[&str; 6]) -> String {
        let cells: Vec<String> =
            cells.iter().zip(self.widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |", cells.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn mutant(id: &str) -> Mutant {
        let (name, checkers) = ("a-name".to_string(), vec!["S1".to_string(), "H1".to_string()]);
        Mutant {
            brokers: Default::default(),
            id: id.into(),
            name,
            checkers,
            panics: vec![],
            unseen: false,
            files: vec![],
            path: PathBuf::new(),
        }
    }

    #[test]
    fn a_table_tells_what_was_seen_and_what_was_not() {
        let all = ["C01", "C02", "C03", "C04"].map(mutant);
        let mut table = Table::of(&all);
        let head = table.head();
        let kill = |seed: u64| Kill { claim: "H1".into(), seed, seeds: seed + 1, others: vec![] };
        let outcomes = [Ok(kill(6)), Err("it survived".to_string()), Ok(kill(99)), Ok(kill(0))];
        let rows = all.into_iter().zip(outcomes).map(|(mutant, outcome)| Row { mutant, outcome });
        let lines: Vec<String> = rows.map(|row| table.row(&row)).collect();
        assert!(lines[0].starts_with("| C01 | a-name | S1 H1           | H1      | 6 "), "{}", lines[0]);
        assert!(lines[1].contains("| NOBODY "), "{}", lines[1]);
        let straight = |line: &str| line.len() == lines[0].len();
        assert!(head.lines().chain(lines.iter().map(String::as_str)).all(straight), "{head}\n{lines:?}");
        let foot = table.foot();
        assert!(
            foot.starts_with("3 of 4 seeded bugs were seen; half of those within 7 seeds, all within 100")
        );
        assert!(foot.ends_with("checks: 3 passed, 1 failed, 0 skipped"), "{foot}");
    }
}
