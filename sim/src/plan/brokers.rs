//! How many brokers the plan of a seed has.

use std::str::FromStr;

use super::Plan;
use crate::rng::Rng;

/// How many brokers plans have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Brokers {
    /// One.
    #[default]
    One,
    /// Three.
    Three,
    /// Five.
    Five,
    /// One, three or five, as the seed says; three most often.
    Mixed,
}

impl Brokers {
    /// The plan of a seed.
    pub fn plan(self, seed: u64) -> Plan {
        match self.count(seed) {
            1 => Plan::draw(seed),
            count => Plan::draw_cluster(seed, count),
        }
    }

    fn count(self, seed: u64) -> usize {
        match self {
            Brokers::One => 1,
            Brokers::Three => 3,
            Brokers::Five => 5,
            Brokers::Mixed => [1, 3, 3, 5][Rng::new(seed ^ 0x006d_6978_6564).below(4) as usize],
        }
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Brokers::One => "1",
            Brokers::Three => "3",
            Brokers::Five => "5",
            Brokers::Mixed => "mixed",
        }
    }
}

impl FromStr for Brokers {
    type Err = String;

    fn from_str(text: &str) -> Result<Brokers, String> {
        [Brokers::One, Brokers::Three, Brokers::Five, Brokers::Mixed]
            .into_iter()
            .find(|brokers| brokers.word() == text)
            .ok_or_else(|| format!("{text} brokers: there are plans for 1, 3, 5 and mixed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_brokers_as_are_asked_for_and_one_by_default_as_ever() {
        let count = |word: &str, seed| word.parse::<Brokers>().expect("a number").plan(seed).servers.len();
        assert_eq!([count("1", 7), count("3", 7), count("5", 7)], [1, 3, 5]);
        let mixed: std::collections::BTreeSet<usize> = (0..40).map(|seed| count("mixed", seed)).collect();
        assert_eq!(mixed, [1, 3, 5].into());
        assert!("4".parse::<Brokers>().is_err());
        let same = |plan: Plan| serde_json::to_string(&plan).expect("a plan can be written");
        assert_eq!(same(Brokers::default().plan(3)), same(Plan::draw(3)));
    }
}
