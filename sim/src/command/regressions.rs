//! `quipu-sim regressions`: the plans that bugs were found with, run again.

use crate::plan::Plan;
use crate::run;

/// The plans, as they are pinned in the source.
const PINNED: &str = include_str!("../../regressions.txt");

/// A plan that once broke a claim.
struct Pinned {
    /// The bug is mended: everything holds. Else this claim may still break, and no other.
    mended: bool,
    claim: String,
    /// What it was.
    words: String,
    plan: Plan,
}

/// Runs them all. Whether each comes to what is said of it.
pub fn run_all() -> Result<bool, String> {
    let (mut passed, mut failed) = (0, 0);
    for Pinned { mended, claim, words, plan } in read(PINNED)? {
        let seed = plan.seed;
        let broken = run::run(plan, false).broken;
        let fine = broken.as_ref().is_none_or(|b| !mended && b.claim == claim);
        let state = match (&broken, mended) {
            (None, true) => "holds".to_string(),
            (None, false) => "holds, though it is said to be open: call it mended".to_string(),
            (Some(b), _) => format!("{} BREAKS: {}", b.claim, b.story),
        };
        println!("{claim} seed {seed}: {words}\n    {state}");
        if fine { passed += 1 } else { failed += 1 }
    }
    println!("checks: {passed} passed, {failed} failed, 0 skipped");
    Ok(failed == 0 && passed > 0)
}

/// Two lines each, `mended` or `open`, the claim and what it was; then the plan. Lines with `#` say something to readers.
fn read(text: &str) -> Result<Vec<Pinned>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut all = Vec::new();
    while let Some(head) = lines.next() {
        let wrong = |why: &str| format!("{why}: '{head}'");
        let mut words = head.splitn(3, ' ');
        let mended = match words.next() {
            Some("mended") => true,
            Some("open") => false,
            _ => return Err(wrong("neither mended nor open")),
        };
        let claim = words.next().ok_or_else(|| wrong("no claim"))?.to_string();
        let words = words.next().ok_or_else(|| wrong("no words"))?.to_string();
        let plan = lines.next().ok_or_else(|| wrong("no plan"))?;
        let plan = serde_json::from_str(plan).map_err(|e| wrong(&format!("no plan ({e})")))?;
        all.push(Pinned { mended, claim, words, plan });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_without_a_state_or_a_plan_is_refused() {
        assert!(read("P1 a panic\n{}").is_err());
        assert!(read("mended P1 a panic\n{}").is_err());
        assert!(read("mended P1 a panic").is_err());
        let plan = serde_json::to_string(&Plan::draw(1)).unwrap();
        let pinned = read(&format!("# for readers\nopen P1 a panic\n{plan}\n")).unwrap();
        assert_eq!((pinned.len(), pinned[0].mended, pinned[0].words.as_str()), (1, false, "a panic"));
    }
}
