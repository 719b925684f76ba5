//! What is to be thought of what came of a seeded bug: who saw it, and what is no proof.

use super::patch::Mutant;
use super::play::Played;
use super::search::Found;
use crate::scenarios::Departure;

/// Of so many claims that broke without being meant to a failure tells.
const OTHERS_TOLD: usize = 3;

/// By what a bug was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kill {
    /// A claim broke in a seed.
    Seed {
        /// The claim.
        claim: String,
        /// In which seed.
        seed: u64,
        /// How many seeds it took.
        seeds: u64,
        /// Claims that broke in earlier seeds without being meant to.
        others: Vec<String>,
    },
    /// A transcript came out otherwise.
    Transcript {
        /// What it is called.
        name: String,
        /// How it came out.
        how: String,
    },
}

/// What came of one bug.
#[derive(Clone, Debug)]
pub struct Row {
    /// The bug.
    pub mutant: Mutant,
    /// By what it was seen. By nothing: it survived.
    pub kills: Vec<Kill>,
    /// What was meant to see it and did not, and why, in words.
    pub missed: Vec<String>,
}

impl Row {
    /// Whether anything saw it.
    pub fn is_seen(&self) -> bool {
        !self.kills.is_empty()
    }

    pub(super) fn note(&mut self, outcome: Result<Kill, String>) {
        match outcome {
            Ok(kill) => self.kills.push(kill),
            Err(why) => self.missed.push(why),
        }
    }
}

/// Of a sweep that began with the seed `from`, and would have taken `limit`. `without`: what breaks in a seed without the bug.
pub(super) fn of_seeds(
    mutant: &Mutant,
    (from, limit): (u64, u64),
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
        return Err(format!("none of {meant} broke in {limit} seeds{}", others.concat()));
    };
    if let Some(broken) = without(seed) {
        return Err(format!("seed {seed} breaks without the bug, too: {broken}"));
    }
    let mut others: Vec<String> =
        found.others.into_iter().filter(|(at, _)| *at < seed).map(|(_, b)| b.claim).collect();
    others.sort();
    others.dedup();
    Ok(Kill::Seed { claim: broken.claim, seed, seeds: seed - from + 1, others })
}

/// Of a transcript. `without`: how it comes out without the bug, if not as it is written.
pub(super) fn of_transcript(
    mutant: &Mutant,
    played: Played,
    without: impl Fn(&str) -> Option<Departure>,
) -> Result<Kill, String> {
    let Played { name, departure } = played;
    let how = match departure {
        None => return Err(format!("{name} comes out as it is written")),
        Some(Departure::Panicked { story }) if !mutant.intends("P1", &story) => {
            return Err(format!("in {name} it panics, and is not meant to: {story}"));
        }
        Some(Departure::Stuck { why }) => return Err(format!("{name} cannot be played on: {why}")),
        Some(departure) => departure.to_string(),
    };
    match without(&name) {
        Some(departure) => Err(format!("{name} comes out otherwise without the bug, too: {departure}")),
        None => Ok(Kill::Transcript { name, how }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::patch::for_tests::meant;
    use crate::mutants::search::Claimed;

    fn judged(found: Found, without: Option<&str>) -> Result<Kill, String> {
        of_seeds(&meant("C01", &["S1", "H1"]), (100, 50), found, |_| without.map(str::to_string))
    }

    fn broke(seed: u64, claim: &str) -> (u64, Claimed) {
        (seed, Claimed { claim: claim.to_string(), story: "so it went".to_string() })
    }

    #[test]
    fn a_bug_is_seen_where_nothing_breaks_without_it() {
        let found =
            || Found { seen: Some(broke(106, "H1")), others: vec![broke(107, "P1"), broke(101, "P1")] };
        let others = vec!["P1".to_string()];
        let kill = Kill::Seed { claim: "H1".into(), seed: 106, seeds: 7, others };
        assert_eq!(judged(found(), None), Ok(kill));
        assert!(judged(found(), Some("S2")).is_err_and(|why| why.contains("without the bug, too: S2")));
    }

    #[test]
    fn a_claim_that_was_not_meant_to_break_is_no_proof_but_is_told() {
        let why = judged(Found { seen: None, others: vec![broke(101, "P1")] }, None).expect_err("no proof");
        assert!(why.contains("none of S1 H1 broke in 50 seeds; seed 101 broke P1: so it went"), "{why}");
    }

    fn played(mutant: &Mutant, departure: Option<Departure>) -> Result<Kill, String> {
        of_transcript(mutant, Played { name: "vote".into(), departure }, |_| None)
    }

    #[test]
    fn a_transcript_that_comes_out_otherwise_has_seen_a_bug_unless_it_does_so_without_it() {
        let mutant = meant("B01", &["M4"]);
        let differs = || Departure::Differs { line: 3, was: "a".into(), is: "b".into() };
        let kill = Kill::Transcript { name: "vote".into(), how: "line 3 was `a` and is now `b`".into() };
        assert_eq!(played(&mutant, Some(differs())), Ok(kill));
        // Whatever claim it is: what the file says was decided by a person.
        let broke = Departure::Broke { claim: "S1".into(), story: "so it went".into() };
        assert!(played(&mutant, Some(broke)).is_ok());
        assert!(played(&mutant, None).is_err_and(|why| why == "vote comes out as it is written"));
        let both = Played { name: "vote".into(), departure: Some(differs()) };
        let why = of_transcript(&mutant, both, |_| Some(differs())).expect_err("no proof");
        assert!(why.contains("otherwise without the bug, too: line 3"), "{why}");
    }

    #[test]
    fn a_panic_in_a_transcript_counts_only_if_it_is_meant_and_one_of_the_player_never() {
        let (silent, meant) = (meant("B01", &["M4"]), meant("B02", &["M4", "P1"]));
        let panics = || Some(Departure::Panicked { story: "index at core/src/x.rs:1".into() });
        assert!(played(&silent, panics()).is_err_and(|why| why.contains("not meant to: index")));
        assert!(played(&meant, panics()).is_ok());
        let stuck = || Some(Departure::Stuck { why: "a number".into() });
        assert!(played(&meant, stuck()).is_err_and(|why| why.contains("cannot be played on: a number")));
    }
}
