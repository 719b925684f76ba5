//! S4: who begins to lead a partition has everything that was committed in earlier leader epochs.

use std::collections::BTreeMap;

use quipu_core::broker::door::{Effect, Note};
use quipu_core::ids::LogId;

use crate::batch::Written;
use crate::claims::{Claim, Cluster, Verdict};
use crate::ghost::GhostLog;
use crate::ledger::epoch_of;
use crate::watch::Scene;

/// What a follower says whose leader lacks what is committed.
const LOST: &str = "committed records would be lost";

/// The claim.
pub struct LeadersHaveAll {
    /// In which epoch each broker was last seen to lead.
    led: Vec<BTreeMap<LogId, i32>>,
}

impl LeadersHaveAll {
    /// For so many brokers.
    pub fn new(servers: usize) -> LeadersHaveAll {
        LeadersHaveAll { led: vec![BTreeMap::new(); servers] }
    }
}

impl Claim for LeadersHaveAll {
    fn id(&self) -> &'static str {
        "S4"
    }

    fn says(&self) -> &'static str {
        "who is elected has all that is committed"
    }

    fn told_among(&mut self, _: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        match effect {
            // Its leader lacks what it knows to be committed, it says.
            Effect::Note(Note::Warn(why)) if why.contains(LOST) && !cluster.ledger.forgot => Err(why.clone()),
            _ => Ok(()),
        }
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        if scene.damaged || !cluster.ledger.has_news(scene) {
            return Ok(());
        }
        for (log, ..) in scene.broker.logs() {
            let id = log.id();
            let leads = epoch_of(scene, id).filter(|_| scene.broker.leads(id));
            let before = match leads {
                Some(epoch) => self.led[scene.server].insert(id, epoch),
                None => self.led[scene.server].remove(&id),
            };
            let known = (cluster.ledger.page(id), cluster.ghosts[scene.server].logs.get(&id));
            if let (Some(epoch), (Some(page), Some(log))) = (leads.filter(|e| before != Some(*e)), known) {
                has_all(&page.committed, log, epoch).map_err(|why| format!("{id:?}: {why}"))?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.led[server].clear();
    }
}

fn has_all(committed: &[(Written, i32)], log: &GhostLog, epoch: i32) -> Verdict {
    let there = committed.iter().filter(|(b, in_epoch)| *in_epoch < epoch && b.base >= log.start);
    match there.map(|(b, _)| b).find(|b| log.at(b.base) != Some(*b)) {
        Some(b) => Err(format!(
            "it leads in epoch {epoch} and has {:?} instead of {b:?}, which is committed",
            log.at(b.base)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, epoch: i32) -> Written {
        let (producer, producer_epoch, sequence, max_timestamp) = (-1, -1, -1, 0);
        let (next, size, count, hash) = (base + 1, 100, 1, 5);
        Written { base, next, size, epoch, producer, producer_epoch, sequence, count, max_timestamp, hash }
    }

    #[test]
    fn a_leader_that_lacks_what_was_committed_before_it_is_seen() {
        let committed = [(batch(0, 1), 1), (batch(1, 1), 1), (batch(2, 3), 3)];
        assert!(has_all(&committed, &GhostLog::of(vec![batch(0, 1)], 0), 2).is_err());
        assert!(has_all(&committed, &GhostLog::of(vec![batch(0, 1), batch(1, 2)], 0), 2).is_err());
        let whole = GhostLog::of(vec![batch(0, 1), batch(1, 1)], 0);
        assert!(has_all(&committed, &whole, 3).is_ok(), "what its own epoch and later ones commit");
        let mut trimmed = GhostLog::of(vec![batch(1, 1)], 0);
        trimmed.start = 1;
        assert!(has_all(&committed, &trimmed, 2).is_ok());
    }
}
