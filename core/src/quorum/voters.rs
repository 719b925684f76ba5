//! Who has a vote, and how many are enough.
//!
//! A voter is a node *and* the directory its log is in: a node that comes back with a wiped disk has forgotten what it
//! voted and what it acknowledged, so it is another voter, with no vote until the log gives it one (KIP-853).
//!
//! Which directories those are is in the log. Before anything is in it there is nobody to tell a wiped disk from a new one;
//! so the first leader needs the vote of all, and the first record says whom it got them from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, Offset};

/// A node, and the directory that its log is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    pub id: BrokerId,
    /// Its directory's id: made with the directory.
    pub directory: [u8; 16],
}

/// The voters of a quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Voters {
    /// The nodes that are to form it: it takes all of them.
    Forming(BTreeSet<BrokerId>),
    /// Those that have formed it, or came later: a majority decides.
    Formed(BTreeMap<BrokerId, [u8; 16]>),
}

impl Voters {
    /// Whether it has a vote.
    pub fn holds(&self, voter: Voter) -> bool {
        match self {
            Voters::Forming(ids) => ids.contains(&voter.id),
            Voters::Formed(all) => all.get(&voter.id) == Some(&voter.directory),
        }
    }

    /// The directory that a node's vote was given to, once the quorum has formed.
    pub fn directory(&self, id: BrokerId) -> Option<[u8; 16]> {
        match self {
            Voters::Forming(_) => None,
            Voters::Formed(all) => all.get(&id).copied(),
        }
    }

    /// Their nodes.
    pub fn ids(&self) -> Vec<BrokerId> {
        match self {
            Voters::Forming(ids) => ids.iter().copied().collect(),
            Voters::Formed(all) => all.keys().copied().collect(),
        }
    }

    /// The nodes of all but one.
    pub fn others(&self, than: BrokerId) -> Vec<BrokerId> {
        self.ids().into_iter().filter(|id| *id != than).collect()
    }

    /// How many votes elect a leader.
    pub fn needed(&self) -> usize {
        match self {
            Voters::Forming(ids) => ids.len(),
            Voters::Formed(all) => all.len() / 2 + 1,
        }
    }

    /// Whether this many of them are a majority. That is enough to keep a leader, and to commit; to elect the first one it is not.
    pub fn are_majority(&self, count: usize) -> bool {
        let all = match self {
            Voters::Forming(ids) => ids.len(),
            Voters::Formed(all) => all.len(),
        };
        count > all / 2
    }

    /// The offset below which a majority has everything, if each voter has it below the offset that is asked for here.
    pub fn majority(&self, of: impl Fn(BrokerId) -> Offset) -> Offset {
        let mut all: Vec<Offset> = self.ids().into_iter().map(of).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(id: i32, directory: u8) -> Voter {
        Voter { id: BrokerId(id), directory: [directory; 16] }
    }

    fn formed(count: i32) -> Voters {
        Voters::Formed((1..=count).map(|id| (BrokerId(id), [id as u8; 16])).collect())
    }

    #[test]
    fn a_wiped_disk_has_no_vote_in_a_quorum_that_has_formed() {
        assert!(formed(3).holds(voter(2, 2)));
        assert!(!formed(3).holds(voter(2, 9)), "the same node, another directory");
        assert!(!formed(3).holds(voter(4, 4)));
        let forming = Voters::Forming([1, 2, 3].map(BrokerId).into());
        assert!(forming.holds(voter(2, 9)), "nobody knows the directories yet");
    }

    #[test]
    fn all_elect_the_first_leader_and_a_majority_every_other() {
        assert_eq!(Voters::Forming([1, 2, 3].map(BrokerId).into()).needed(), 3);
        assert_eq!([1, 2, 3, 4, 5].map(|n| formed(n).needed()), [1, 2, 2, 3, 3]);
        assert_eq!([1, 2, 3].map(|count| formed(4).are_majority(count)), [false, false, true]);
    }

    #[test]
    fn a_majority_has_what_the_middle_one_has() {
        let marks = |offsets: &'static [i64]| {
            formed(offsets.len() as i32).majority(|id| Offset(offsets[id.0 as usize - 1])).0
        };
        assert_eq!(marks(&[7]), 7);
        assert_eq!(marks(&[7, 3]), 3, "two of two");
        assert_eq!(marks(&[7, 3, 5]), 5);
        assert_eq!(marks(&[9, 1, 7, 3]), 3, "three of four");
        assert_eq!(marks(&[9, 1, 7, 3, 8]), 7);
    }
}
