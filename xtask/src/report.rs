//! What the steps did: a table, and the plain closing line.

use std::time::Duration;

use crate::process::Tally;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did what it should.
    Passed,
    /// It failed, and how.
    Failed(String),
    /// It could not run here, and why. In CI this is a failure.
    Skipped(String),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    /// The step.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// The tests it counted.
    pub(crate) tally: Tally,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The table of all steps.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut out =
        format!("\n{:<14} {:<8} {:>7} {:>7} {:>8}  note\n", "step", "result", "tests", "failed", "seconds");
    for line in lines {
        let (word, note) = match &line.outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
            Outcome::Skipped(why) => ("SKIPPED", why.as_str()),
        };
        let Tally { passed, failed, .. } = line.tally;
        let seconds = line.took.as_secs_f64();
        let name = line.name;
        out += &format!("{name:<14} {word:<8} {:>7} {failed:>7} {seconds:>8.1}  {note}\n", passed + failed);
    }
    let total: f64 = lines.iter().map(|line| line.took.as_secs_f64()).sum();
    out + &format!("{:<14} {:<8} {:>7} {:>7} {total:>8.1}\n", "total", "", "", "")
}

/// `N passed, N failed` over all tests; a step without tests counts as one.
pub(crate) fn closing(lines: &[Line]) -> String {
    let mut sum = Tally::default();
    for line in lines {
        let mut tally = line.tally;
        match &line.outcome {
            Outcome::Passed if tally.passed == 0 => tally.passed = 1,
            Outcome::Failed(_) if tally.failed == 0 => tally.failed = 1,
            Outcome::Skipped(_) => tally.skipped += 1,
            _ => {}
        }
        sum.add(tally);
    }
    let Tally { passed, failed, skipped } = sum;
    if skipped == 0 {
        format!("{passed} passed, {failed} failed")
    } else {
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[test]
fn the_closing_line_adds_tests_and_counts_steps_without_tests_once() {
    let line = |outcome, passed, failed| {
        let tally = Tally { passed, failed, skipped: 0 };
        Line { name: "x", outcome, tally, took: Duration::from_secs(1) }
    };
    let lines = [
        line(Outcome::Passed, 5, 0),
        line(Outcome::Passed, 0, 0),
        line(Outcome::Failed("why".into()), 2, 0),
        line(Outcome::Failed("why".into()), 2, 3),
    ];
    assert_eq!(closing(&lines), "10 passed, 4 failed");
    let skipped = [line(Outcome::Skipped("no go".into()), 0, 0)];
    assert_eq!(closing(&skipped), "0 passed, 0 failed, 1 skipped");
    assert!(table(&skipped).contains("SKIPPED"));
}
