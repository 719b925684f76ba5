//! The table of seeded bugs and who saw them, as it is printed and as it stands in `sim/mutants/README.md`.

use super::{Kill, Mutant, Row};

const HEAD: [&str; 7] = ["id", "bug", "meant to see it", "seen by", "in seed", "seeds", "transcripts"];
/// The widest that `seen by`, `in seed` and `seeds` get.
const NARROW: [usize; 3] = [7, 12, 6];

/// A table that is printed line by line.
pub struct Table {
    widths: [usize; 7],
    /// How many it took of those that seeds showed.
    seeds: Vec<u64>,
    seen: usize,
    rows: usize,
}

impl Table {
    /// For these bugs.
    pub fn of(mutants: &[Mutant]) -> Table {
        let widest = |head: &str, of: &dyn Fn(&Mutant) -> usize| {
            mutants.iter().map(of).chain([head.len()]).max().unwrap_or_default()
        };
        let words: [usize; 4] = [
            widest(HEAD[0], &|m| m.id.len()),
            widest(HEAD[1], &|m| m.name.len()),
            widest(HEAD[2], &|m| m.checkers.join(" ").len()),
            widest(HEAD[6], &|m| m.scenarios.join(" ").len()),
        ];
        let widths = [words[0], words[1], words[2], NARROW[0], NARROW[1], NARROW[2], words[3]];
        Table { widths, seeds: Vec::new(), seen: 0, rows: 0 }
    }

    /// The first two lines.
    pub fn head(&self) -> String {
        let rule = self.widths.map(|width| "-".repeat(width));
        format!("{}\n{}", self.line(&HEAD), self.line(&rule.each_ref().map(String::as_str)))
    }

    /// The line of a bug.
    pub fn row(&mut self, row: &Row) -> String {
        self.rows += 1;
        self.seen += usize::from(row.is_seen());
        let (m, meant) = (&row.mutant, row.mutant.checkers.join(" "));
        let nobody = if row.is_seen() { "" } else { "NOBODY" };
        let (mut claimed, mut transcripts) = ([nobody.to_string(), String::new(), String::new()], Vec::new());
        for kill in &row.kills {
            match kill {
                Kill::Seed { claim, seed, seeds, .. } => {
                    self.seeds.push(*seeds);
                    claimed = [claim.clone(), seed.to_string(), seeds.to_string()];
                }
                Kill::Transcript { name, .. } => transcripts.push(name.as_str()),
            }
        }
        let [claim, seed, seeds] = &claimed;
        self.line(&[&m.id, &m.name, &meant, claim, seed, seeds, &transcripts.join(" ")])
    }

    /// The last lines.
    pub fn foot(&self) -> String {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        let (swept, seen, rows) = (seeds.len(), self.seen, self.rows);
        let middle = seeds.get(swept.saturating_sub(1) / 2).copied().unwrap_or(0);
        let most = seeds.last().copied().unwrap_or(0);
        format!(
            "{seen} of {rows} seeded bugs were seen, {} by transcripts alone; half of the rest within {middle} seeds, \
             all within {most}\nchecks: {seen} passed, {} failed, 0 skipped",
            seen - swept,
            rows - seen
        )
    }

    fn line(&self, cells: &[&str; 7]) -> String {
        let cells: Vec<String> =
            cells.iter().zip(self.widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |", cells.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::patch::for_tests::meant;

    #[test]
    fn a_table_tells_what_was_seen_and_what_was_not() {
        let all = ["C01", "C02", "C03", "C04", "C05"].map(|id| Mutant {
            scenarios: vec!["vote".into(), "figure-8".into()],
            ..meant(id, &["S1", "H1"])
        });
        let mut table = Table::of(&all);
        let head = table.head();
        let kill = |seed: u64| Kill::Seed { claim: "H1".into(), seed, seeds: seed + 1, others: vec![] };
        let other = || Kill::Transcript { name: "figure-8".into(), how: "line 3".into() };
        let outcomes = [vec![kill(6)], vec![], vec![other(), kill(99)], vec![kill(0)], vec![other()]];
        let rows = all.into_iter().zip(outcomes).map(|(mutant, kills)| Row { mutant, kills, missed: vec![] });
        let lines: Vec<String> = rows.map(|row| table.row(&row)).collect();
        assert!(lines[0].starts_with("| C01 | a-name | S1 H1           | H1      | 6 "), "{}", lines[0]);
        assert!(lines[1].contains("| NOBODY "), "{}", lines[1]);
        assert!(lines[2].contains("| H1 ") && lines[2].contains("| figure-8 "), "{}", lines[2]);
        assert!(!lines[4].contains("NOBODY") && lines[4].contains("| figure-8 "), "{}", lines[4]);
        let straight = |line: &str| line.len() == lines[0].len();
        assert!(head.lines().chain(lines.iter().map(String::as_str)).all(straight), "{head}\n{lines:?}");
        let foot = table.foot();
        let seen = "4 of 5 seeded bugs were seen, 1 by transcripts alone; ";
        assert!(
            foot.starts_with(&format!("{seen}half of the rest within 7 seeds, all within 100")),
            "{foot}"
        );
        assert!(foot.ends_with("checks: 4 passed, 1 failed, 0 skipped"), "{foot}");
    }
}
