//! M2: an epoch of the metadata quorum has one leader at most, over all lives of all brokers.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::door::{Effect, Note};

use crate::canon::Canon;
use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The claim.
pub struct OneLeaderAnEpoch {
    /// Who has led each epoch: the broker, and which life of it.
    leaders: Leaders,
    lives: Vec<u64>,
    /// Who has forgotten whom it voted for: if it had a vote, nobody can promise it any more.
    mute: BTreeSet<usize>,
}

type Leaders = BTreeMap<i32, (usize, u64)>;

impl OneLeaderAnEpoch {
    /// For so many brokers.
    pub fn new(servers: usize) -> OneLeaderAnEpoch {
        OneLeaderAnEpoch { leaders: Leaders::new(), lives: vec![0; servers], mute: BTreeSet::new() }
    }

    fn is_mute(&self, canon: &Canon) -> bool {
        self.mute.iter().any(|server| canon.may_vote(*server))
    }
}

impl Claim for OneLeaderAnEpoch {
    fn id(&self) -> &'static str {
        "M2"
    }

    fn says(&self) -> &'static str {
        "an epoch has one leader at most"
    }

    fn forgets(&mut self, server: usize) {
        self.mute.insert(server);
    }

    fn told_among(&mut self, _: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        match effect {
            Effect::Note(Note::DiskDead(why))
                if why.contains("both lead the metadata quorum") && !self.is_mute(cluster.canon) =>
            {
                Err(why.clone())
            }
            _ => Ok(()),
        }
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        match scene.broker.quorum() {
            Some(quorum) if quorum.leads && !self.is_mute(cluster.canon) => {
                leads(&mut self.leaders, quorum.epoch.0, (scene.server, self.lives[scene.server]))
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.lives[server] += 1;
    }
}

fn leads(leaders: &mut Leaders, epoch: i32, who: (usize, u64)) -> Verdict {
    let first = *leaders.entry(epoch).or_insert(who);
    if first == who {
        return Ok(());
    }
    let name = |(server, life): (usize, u64)| format!("broker {} in its life {life}", server + 1);
    Err(format!("epoch {epoch} is led by {}, and was led by {}", name(who), name(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_leader_of_an_epoch_is_seen_also_when_it_is_the_first_one_come_back() {
        let mut leaders = Leaders::new();
        assert!(leads(&mut leaders, 3, (0, 0)).is_ok());
        assert!(leads(&mut leaders, 3, (1, 0)).is_err());
        assert!(leads(&mut leaders, 3, (0, 1)).is_err());
    }

    #[test]
    fn a_leader_that_goes_on_and_two_leaders_of_two_epochs_at_once_are_fine() {
        let mut leaders = Leaders::new();
        assert!(leads(&mut leaders, 3, (0, 0)).is_ok() && leads(&mut leaders, 4, (1, 0)).is_ok());
        assert!(leads(&mut leaders, 3, (0, 0)).is_ok());
    }
}
