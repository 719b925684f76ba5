//! Who votes in the metadata quorum: a voter that has come back with an empty disk gets its vote back.
//!
//! A vote belongs to a directory. What was promised from one that is gone, nobody knows any more; so the broker first loses the
//! vote, and gets one for its new directory when that is decided and it has caught up. Each of the two is a change by one voter,
//! so that any majority before and any after have somebody in common, and the next waits until the one before is committed
//! (the Raft dissertation, 4.1; KIP-853, `RemoveRaftVoter` and `AddRaftVoter`).

use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::broker::turn::Turn;
use crate::cluster::brokers::DirectoryId;
use crate::cluster::facts::Fact;
use crate::ids::BrokerId;

type Electorate = BTreeMap<BrokerId, DirectoryId>;

impl Broker {
    /// A broker that takes part was heard of: gives it the vote that the configs promise it, one step each time.
    pub(super) fn give_vote(&mut self, turn: &mut Turn, broker: BrokerId) {
        let Some(cluster_id) = self.controller.image().cluster_id().map(str::to_owned) else { return };
        let Some(directory) = self.may_vote(broker) else { return };
        let Some((voters, why)) = next_electorate(self.controller.image().voters(), broker, directory) else {
            return;
        };
        turn.info(format!("broker {broker} {why}"));
        self.decide(turn, vec![Fact::QuorumFormed { cluster_id, voters }]);
    }

    /// The directory in which a broker is to vote and has caught up; `None` while voters may not change.
    fn may_vote(&self, broker: BrokerId) -> Option<DirectoryId> {
        let (image, draft) = (self.controller.image(), self.controller.draft());
        let quorum = self.quorum.as_ref().filter(|quorum| quorum.is_leader())?;
        let (known, epoch) = self.controller.position();
        // Only who has committed something in its epoch knows that no other change of the voters is on its way.
        let may_change = image.voters() == draft.voters() && epoch == quorum.epoch();
        let registered = image.brokers().get(&broker).filter(|r| r.is_active())?;
        let directory = registered.directory?;
        let mut heard = quorum.progress();
        let follows = heard.any(|(id, p)| id == broker && p.directory == directory && p.flushed >= known);
        (may_change && follows && self.config.voters.contains_key(&broker)).then_some(directory)
    }
}

/// The voters after the next step to one with this vote, and what is to be said of it. `None`: there is nothing to do.
fn next_electorate(
    voters: &Electorate,
    broker: BrokerId,
    directory: DirectoryId,
) -> Option<(Electorate, &'static str)> {
    let mut next = voters.clone();
    match next.remove(&broker) {
        Some(known) if known == directory => None,
        Some(_) => Some((
            next,
            "has come back with another log directory: the vote of the one before is taken from it",
        )),
        None => {
            next.insert(broker, directory);
            Some((next, "has all metadata on its disk: it votes from now on"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_goes_to_another_directory_in_two_steps_and_then_no_further() {
        let (b, old, new) = (BrokerId, [7; 16], [8; 16]);
        let voters = Electorate::from([(b(1), [1; 16]), (b(2), [2; 16]), (b(3), old)]);
        assert_eq!(next_electorate(&voters, b(3), old), None);
        let (without, _) = next_electorate(&voters, b(3), new).unwrap();
        assert_eq!(without.keys().copied().collect::<Vec<_>>(), [b(1), b(2)]);
        let (with, _) = next_electorate(&without, b(3), new).unwrap();
        assert_eq!(with, Electorate::from([(b(1), [1; 16]), (b(2), [2; 16]), (b(3), new)]));
        assert_eq!(next_electorate(&with, b(3), new), None);
    }
}
