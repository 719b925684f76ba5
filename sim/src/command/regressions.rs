//! `quipu-sim regressions`: the plans that bugs were found with, run again.

use crate::claims;
use crate::plan::Plan;
use crate::run;

/// The plans, as they are pinned in the source.
const PINNED: &str = include_str!("../../regressions.txt");

/// A plan that once broke a claim.
struct Pinned {
    claim: String,
    /// What it was.
    words: String,
    plan: Plan,
}

/// Runs them all. Whether everything holds in each.
pub(super) fn run_all() -> Result<bool, String> {
    let (mut passed, mut failed) = (0, 0);
    for Pinned { claim, words, plan } in read(PINNED)? {
        let seed = plan.seed;
        let broken = run::run(plan, false).broken;
        if broken.is_none() {
            passed += 1
        } else {
            failed += 1
        }
        let state = broken.map_or("holds".to_string(), |b| format!("{} BREAKS: {}", b.claim, b.story));
        println!("{claim} seed {seed}: {words}\n    {state}");
    }
    println!("checks: {passed} passed, {failed} failed, 0 skipped");
    Ok(failed == 0 && passed > 0)
}

/// Two lines each: the claim and what it was; then the plan. Lines with `#` say something to readers.
fn read(text: &str) -> Result<Vec<Pinned>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut all = Vec::new();
    while let Some(head) = lines.next() {
        let wrong = |why: &str| format!("{why}: '{head}'");
        let (claim, words) = head.split_once(' ').ok_or_else(|| wrong("no words"))?;
        if !claims::names().contains(claim) {
            return Err(wrong("no claim"));
        }
        let plan = lines.next().ok_or_else(|| wrong("no plan"))?;
        let plan = serde_json::from_str(plan).map_err(|e| wrong(&format!("no plan ({e})")))?;
        all.push(Pinned { claim: claim.to_string(), words: words.to_string(), plan });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_without_a_claim_or_words_or_a_plan_is_refused() {
        assert!(read("mended a panic\n{}").is_err());
        assert!(read("P1\n{}").is_err());
        assert!(read("P1 a panic\n{}").is_err());
        assert!(read("P1 a panic").is_err());
        let plan = serde_json::to_string(&Plan::draw(1)).unwrap();
        let pinned = read(&format!("# for readers\nP1 a panic\n{plan}\n")).unwrap();
        assert_eq!((pinned.len(), pinned[0].claim.as_str(), pinned[0].words.as_str()), (1, "P1", "a panic"));
    }

    #[test]
    fn every_pin_can_be_read() {
        assert!(read(PINNED).is_ok_and(|all| all.len() > 5));
    }
}
