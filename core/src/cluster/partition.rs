//! One partition as the metadata has it: who keeps it, who leads it, and how one change is folded in.

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, LeaderEpoch};

/// Who keeps a partition and who leads it (Kafka: `PartitionRegistration`). All lists but `replicas` stand in the order of
/// `replicas`, so that the same sets are the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// All replicas, the preferred leader first; during a reassignment those to come and those to go are among them.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync. Empty only where none is left, and then there is no leader.
    pub isr: Vec<BrokerId>,
    /// Replicas out of sync that still have every committed record, since the high watermark has not moved without them
    /// (KIP-966: eligible leader replicas). Never in the ISR at the same time.
    pub elr: Vec<BrokerId>,
    /// Who led last, where the ISR is empty (Kafka keeps the last known leader in this field too).
    pub last_known_elr: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment takes away once it is done.
    pub removing: Vec<BrokerId>,
    /// The leader, if any; always in the ISR.
    pub leader: Option<BrokerId>,
    /// Raised whenever the leadership is given out or taken away.
    pub leader_epoch: LeaderEpoch,
    /// Raised with every change.
    pub partition_epoch: i32,
}

/// What changes of a partition; what is `None` stays (Kafka: `PartitionChangeRecord`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionChange {
    /// The leadership is given out anew, in a new leader epoch: to another replica, to the same one, or to nobody.
    pub leader: Option<Option<BrokerId>>,
    /// The new ISR.
    pub isr: Option<Vec<BrokerId>>,
    /// The new eligible leader replicas.
    pub elr: Option<Vec<BrokerId>>,
    /// The new last known leader.
    pub last_known_elr: Option<Vec<BrokerId>>,
    /// The new replicas.
    pub replicas: Option<Vec<BrokerId>>,
    /// The new replicas to come.
    pub adding: Option<Vec<BrokerId>>,
    /// The new replicas to go.
    pub removing: Option<Vec<BrokerId>>,
}

impl PartitionChange {
    /// Whether it changes nothing at all.
    pub fn is_nothing(&self) -> bool {
        *self == PartitionChange::default()
    }
}

impl PartitionState {
    /// A new partition. `awake` tells who can be in sync at once; where nobody can, the first to come may lead, since there is
    /// nothing that it could lack.
    pub fn new(replicas: &[BrokerId], awake: impl Fn(BrokerId) -> bool) -> PartitionState {
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(|b| awake(*b)).collect();
        PartitionState {
            replicas: replicas.to_vec(),
            leader: isr.first().copied(),
            elr: if isr.is_empty() { replicas.to_vec() } else { Vec::new() },
            isr,
            last_known_elr: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
        }
    }

    /// Folds a change in.
    pub fn apply(&mut self, change: &PartitionChange) {
        let put = |to: &mut Vec<BrokerId>, new: &Option<Vec<BrokerId>>| {
            if let Some(new) = new {
                to.clone_from(new);
            }
        };
        put(&mut self.isr, &change.isr);
        put(&mut self.elr, &change.elr);
        put(&mut self.last_known_elr, &change.last_known_elr);
        put(&mut self.replicas, &change.replicas);
        put(&mut self.adding, &change.adding);
        put(&mut self.removing, &change.removing);
        if let Some(leader) = change.leader {
            self.leader = leader;
            self.leader_epoch.0 += 1;
        }
        self.partition_epoch += 1;
    }

    /// Whether a change elects somebody who could lack what is committed: it alone is in sync then, and was neither in the ISR nor
    /// eligible before. (Who leads once a reassignment is complete was not in the ISR either, but is in sync by that very change.)
    pub fn is_unclean(&self, change: &PartitionChange) -> bool {
        let Some(Some(leader)) = change.leader else { return false };
        let alone = change.isr.as_deref() == Some(&[leader]) && change.replicas.is_none();
        alone && !self.isr.contains(&leader) && !self.elr.contains(&leader)
    }

    /// What turns this state into another one. A leadership that is given out again to the same replica does not show in two
    /// states, so it is asked for.
    pub fn difference(&self, to: &PartitionState, new_leadership: bool) -> PartitionChange {
        let list = |old: &Vec<BrokerId>, new: &Vec<BrokerId>| (old != new).then(|| new.clone());
        PartitionChange {
            leader: (new_leadership || self.leader != to.leader).then_some(to.leader),
            isr: list(&self.isr, &to.isr),
            elr: list(&self.elr, &to.elr),
            last_known_elr: list(&self.last_known_elr, &to.last_known_elr),
            replicas: list(&self.replicas, &to.replicas),
            adding: list(&self.adding, &to.adding),
            removing: list(&self.removing, &to.removing),
        }
    }

    /// Whether a reassignment is under way.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas without those that a reassignment adds: what a cancelled one goes back to.
    pub fn original_replicas(&self) -> Vec<BrokerId> {
        self.replicas.iter().copied().filter(|b| !self.adding.contains(b)).collect()
    }

    /// Whether the leader is the preferred one: the first replica.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader.is_some() && self.leader == self.replicas.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[i32]) -> Vec<BrokerId> {
        list.iter().copied().map(BrokerId).collect()
    }

    #[test]
    fn a_new_partition_has_only_those_in_sync_that_are_awake_and_is_led_by_the_first_of_them() {
        let state = PartitionState::new(&ids(&[1, 2, 3]), |b| b.0 != 1);
        assert_eq!((state.isr, state.leader), (ids(&[2, 3]), Some(BrokerId(2))));
        let asleep = PartitionState::new(&ids(&[1, 2]), |_| false);
        assert_eq!((asleep.isr, asleep.elr, asleep.leader), (ids(&[]), ids(&[1, 2]), None));
    }

    #[test]
    fn every_change_raises_the_partition_epoch_and_a_leadership_given_out_the_leader_epoch() {
        let mut state = PartitionState::new(&ids(&[1, 2]), |_| true);
        state.apply(&PartitionChange { isr: Some(ids(&[1])), ..PartitionChange::default() });
        assert_eq!((state.partition_epoch, state.leader_epoch.0), (1, 0));
        state.apply(&PartitionChange { leader: Some(Some(BrokerId(1))), ..PartitionChange::default() });
        state.apply(&PartitionChange { leader: Some(None), ..PartitionChange::default() });
        assert_eq!((state.partition_epoch, state.leader_epoch.0, state.leader), (3, 2, None));
    }

    #[test]
    fn a_difference_applied_to_the_one_state_gives_the_other() {
        let from = PartitionState::new(&ids(&[1, 2, 3]), |_| true);
        let mut to = from.clone();
        (to.isr, to.elr, to.leader) = (ids(&[2]), ids(&[1]), Some(BrokerId(2)));
        (to.replicas, to.adding, to.removing) = (ids(&[2, 4, 1, 3]), ids(&[4]), ids(&[1, 3]));
        let mut changed = from.clone();
        changed.apply(&from.difference(&to, false));
        (to.leader_epoch, to.partition_epoch) = (LeaderEpoch(1), 1);
        assert_eq!(changed, to);
        assert!(from.difference(&from, false).is_nothing() && !from.difference(&from, true).is_nothing());
    }

    #[test]
    fn an_election_is_unclean_when_who_leads_was_neither_in_sync_nor_eligible() {
        let led = |by: i32, isr: &[i32]| PartitionChange {
            leader: Some(Some(BrokerId(by))),
            isr: Some(ids(isr)),
            ..PartitionChange::default()
        };
        let mut state = PartitionState::new(&ids(&[1, 2, 3]), |_| true);
        (state.isr, state.elr, state.leader) = (ids(&[1]), ids(&[2]), None);
        assert!(state.is_unclean(&led(3, &[3])));
        assert!(!state.is_unclean(&led(1, &[1])) && !state.is_unclean(&led(2, &[2])));
        let nobody = PartitionChange { leader: Some(None), ..PartitionChange::default() };
        assert!(!state.is_unclean(&nobody));
        let moved = PartitionChange { replicas: Some(ids(&[4])), ..led(4, &[4]) };
        assert!(!state.is_unclean(&moved), "the end of a reassignment");
    }
}
