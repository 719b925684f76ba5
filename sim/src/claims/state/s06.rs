//! S6: in-sync replicas are replicas that take part, and the leader is one of them.

use quipu_core::cluster::partition::PartitionState;
use quipu_core::ids::BrokerId;

use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The claim.
pub struct InSyncTakePart;

impl Claim for InSyncTakePart {
    fn id(&self) -> &'static str {
        "S6"
    }

    fn says(&self) -> &'static str {
        "who is in sync is a replica and takes part, and the leader is one of them"
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        if scene.damaged || cluster.canon.torn || !cluster.ledger.has_news(scene) {
            return Ok(());
        }
        let image = scene.broker.image();
        image.partitions().try_for_each(|(topic, partition, state)| {
            holds(state, |b| image.is_active(b)).map_err(|why| format!("{}-{partition}: {why}", topic.name))
        })
    }
}

fn holds(state: &PartitionState, is_active: impl Fn(BrokerId) -> bool) -> Verdict {
    if let Some(other) = state.isr.iter().find(|b| !state.replicas.contains(b)) {
        return Err(format!("broker {other} is in sync and no replica: {state:?}"));
    }
    if let Some(away) = state.isr.iter().find(|b| !is_active(**b)) {
        return Err(format!("broker {away} is in sync and takes no part: {state:?}"));
    }
    if state.leader.is_some_and(|leader| !state.isr.contains(&leader)) {
        return Err(format!("its leader is not in sync: {state:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(isr: &[i32], leader: i32) -> PartitionState {
        let replicas: Vec<BrokerId> = (1..=3).map(BrokerId).collect();
        let isr = isr.iter().copied().map(BrokerId).collect();
        PartitionState { isr, leader: Some(BrokerId(leader)), ..PartitionState::new(&replicas, |_| true) }
    }

    #[test]
    fn a_stranger_one_that_is_away_and_a_leader_out_of_sync_are_seen() {
        assert!(holds(&state(&[1, 4], 1), |_| true).is_err());
        assert!(holds(&state(&[1, 2], 1), |b| b.0 != 2).is_err());
        assert!(holds(&state(&[1, 2], 3), |_| true).is_err());
        assert!(holds(&state(&[1, 2], 1), |b| b.0 != 3).is_ok());
    }
}
