//! S5: every member of the in-sync replicas has on disk what is committed, when it is committed and when it is let in
//! (`StrongIsr` in Kafka's TLA+ specification).

use quipu_core::broker::door::{Effect, Note};
use quipu_core::cluster::partition::PartitionState;
use quipu_core::ids::LogId;

use crate::batch::Written;
use crate::claims::{Claim, Cluster, Verdict};
use crate::ledger::{Page, epoch_of, place};
use crate::watch::Scene;

/// The claim.
pub struct InSyncHaveAll;

impl Claim for InSyncHaveAll {
    fn id(&self) -> &'static str {
        "S5"
    }

    fn says(&self) -> &'static str {
        "who is in sync has all that is committed on disk"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Note(Note::Committed { log: of, high }) = effect else { return Ok(()) };
        let ledger = cluster.ledger;
        // Who has begun to lead in this very step has heard as a follower what is committed.
        let leads = scene.broker.leads(*of) && !ledger.has_news(scene);
        if *of == LogId::METADATA || scene.damaged || ledger.forgot || !leads {
            return Ok(());
        }
        let (Some(state), Some(log)) =
            (scene.broker.image().partition(*of), cluster.ghosts[scene.server].logs.get(of))
        else {
            return Ok(());
        };
        let last = log.batches.partition_point(|b| b.next <= high.0);
        let Some(last) = last.checked_sub(1).map(|at| &log.batches[at]) else { return Ok(()) };
        let past = epoch_of(scene, *of).is_none_or(|epoch| {
            // Who is no replica any more has removed its log, and the leader has not heard of it yet.
            ledger.page(*of).is_none_or(|page| page.is_past(epoch))
        });
        if past {
            return Ok(());
        }
        let members = state.isr.iter().map(|b| place(*b));
        has(*of, last, members.filter(|m| !ledger.means_emptied(scene, *m)), cluster)
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        if scene.damaged || !cluster.ledger.has_news(scene) {
            return Ok(());
        }
        for (topic, partition, state) in scene.broker.image().partitions() {
            let of = LogId { topic: topic.id, partition };
            let Some(page) = cluster.ledger.page(of) else { continue };
            let (Some(last), Some(before)) = (page.committed.last(), newer(page, state)) else { continue };
            let joined = state.isr.iter().filter(|b| !before.isr.contains(b)).map(|b| place(*b));
            has(of, &last.0, joined.filter(|m| !cluster.ledger.means_emptied(scene, *m)), cluster)?;
        }
        Ok(())
    }
}

/// The state that is known, if this one follows it.
fn newer<'a>(page: &'a Page, state: &PartitionState) -> Option<&'a PartitionState> {
    page.state.as_ref().filter(|known| known.partition_epoch < state.partition_epoch)
}

fn has(of: LogId, last: &Written, members: impl Iterator<Item = usize>, cluster: &Cluster<'_>) -> Verdict {
    for member in members {
        let log = cluster.ghosts[member].logs.get(&of);
        if log.is_some_and(|log| log.start >= last.next) {
            continue;
        }
        let there = log.filter(|log| log.at(last.base) == Some(last));
        if there.is_some_and(|log| log.is_durable(of, last.base, &cluster.disks[member])) {
            continue;
        }
        let (id, here) = (member + 1, log.and_then(|log| log.at(last.base)));
        return Err(format!(
            "{of:?}: broker {id} is in sync, and has {here:?} instead of {last:?} or not on disk"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quipu_core::ids::TopicId;

    use super::*;
    use crate::canon::Canon;
    use crate::disk::SimDisk;
    use crate::ghost::{Ghost, GhostLog};
    use crate::ledger::Ledger;

    const LOG: LogId = LogId { topic: TopicId([1; 16]), partition: 0 };

    fn batch(base: i64) -> Written {
        let (producer, producer_epoch, sequence, max_timestamp, epoch) = (-1, -1, -1, 0, 1);
        let (next, size, count, hash) = (base + 1, 100, 1, 5);
        Written { base, next, size, epoch, producer, producer_epoch, sequence, count, max_timestamp, hash }
    }

    #[test]
    fn a_member_without_the_batch_or_without_it_on_disk_is_seen_and_one_that_begins_behind_it_is_fine() {
        let mut ghosts: Vec<Ghost> = (0..3).map(|_| Ghost::default()).collect();
        ghosts[1].logs.insert(LOG, GhostLog::of(vec![batch(0)], 0));
        let mut begins_behind = GhostLog::default();
        begins_behind.start = 1;
        ghosts[2].logs.insert(LOG, begins_behind);
        let disks: Vec<SimDisk> = (0..3).map(SimDisk::new).collect();
        let (canon, ledger) = (Canon::new(3), Ledger::new(3));
        let cluster = Cluster { ghosts: &ghosts, canon: &canon, ledger: &ledger, disks: &disks };
        let judged = |member: usize| has(LOG, &batch(0), [member].into_iter(), &cluster);
        assert!(judged(0).is_err_and(|why| why.contains("broker 1")), "it has nothing");
        assert!(judged(1).is_err(), "no disk has it");
        assert!(judged(2).is_ok());
    }
}
