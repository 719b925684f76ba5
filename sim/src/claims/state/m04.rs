//! M4: metadata is committed once a majority has it on disk, with a record of the leader's own epoch at its end; and it stays.

use quipu_core::broker::door::{Effect, Note};
use quipu_core::cluster::names::CLUSTER_METADATA;
use quipu_core::ids::LogId;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Body, Question};
use quipu_core::storage::ops::StoreOp;

use crate::batch::Written;
use crate::canon::Canon;
use crate::claims::{Claim, Cluster, Verdict};
use crate::disk::SimDisk;
use crate::ghost::GhostLog;
use crate::watch::Scene;

/// The claim.
pub struct CommittedByMajority {
    /// In which epoch each broker was last seen to lead.
    led: Vec<Option<i32>>,
    /// In which directory each broker has said up to where its disk has the metadata. What it has not said, it may cut off.
    said: Vec<([u8; 16], i64)>,
}

impl CommittedByMajority {
    /// For so many brokers.
    pub fn new(servers: usize) -> CommittedByMajority {
        CommittedByMajority { led: vec![None; servers], said: vec![([0; 16], 0); servers] }
    }

    /// Up to where a broker had said that its disk has the metadata, before this effect.
    fn said_before(&mut self, scene: &Scene<'_>, canon: &Canon, effect: &Effect) -> i64 {
        let (directory, said) = &mut self.said[scene.server];
        if *directory != canon.directory(scene.server) {
            (*directory, *said) = (canon.directory(scene.server), 0);
        }
        let before = *said;
        *said = match effect {
            Effect::Send { message: PeerMessage::Quorum(message), .. } => match &message.body {
                Body::Question(Question::Fetch(fetch)) => before.max(fetch.flushed.0),
                Body::Flushed(to) => before.max(to.0),
                _ => before,
            },
            // Who leads says it to itself.
            Effect::Note(Note::Committed { log: LogId::METADATA, .. }) => {
                before.max(scene.broker.log(LogId::METADATA).map_or(0, |log| log.flushed().0))
            }
            Effect::Store { op: StoreOp::Truncate { log: LogId::METADATA, to }, .. } => before.min(to.0),
            _ => before,
        };
        before
    }
}

impl Claim for CommittedByMajority {
    fn id(&self) -> &'static str {
        "M4"
    }

    fn says(&self) -> &'static str {
        "metadata is committed by a majority of disks, and stays"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let canon = cluster.canon;
        let said = self.said_before(scene, canon, effect);
        if scene.damaged || canon.torn {
            return Ok(());
        }
        let log = cluster.ghosts[scene.server].logs.get(&LogId::METADATA);
        match (effect, log) {
            (Effect::Note(Note::Committed { log: LogId::METADATA, high }), Some(log)) => {
                let leads = scene.broker.quorum().filter(|quorum| quorum.leads);
                commits(canon, log, high.0, leads.map(|quorum| quorum.epoch.0))
            }
            (Effect::Store { op: StoreOp::Truncate { log: LogId::METADATA, to }, .. }, Some(log)) => {
                let durable =
                    |b: &Written| b.next <= said && log.is_durable(LogId::METADATA, b.base, scene.disk);
                let epoch = scene.broker.quorum().map_or(i32::MAX - 1, |quorum| quorum.epoch.0);
                cuts(canon, log, (to.0, epoch), durable)
            }
            (Effect::Store { op: StoreOp::Restart { log: LogId::METADATA, at, .. }, .. }, _) => {
                begins(canon, at.0, &durable_snapshots(scene.disk))
            }
            (Effect::Note(Note::DiskDead(why)), _)
                if why.contains("has another metadata log from offset")
                    || why.contains("nothing that follows on what is here") =>
            {
                if canon.voter_forgot() {
                    Ok(())
                } else {
                    Err(why.clone())
                }
            }
            _ => Ok(()),
        }
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        let leads = scene.broker.quorum().filter(|quorum| quorum.leads).map(|quorum| quorum.epoch.0);
        let before = std::mem::replace(&mut self.led[scene.server], leads);
        let log = cluster.ghosts[scene.server].logs.get(&LogId::METADATA);
        match (leads, log) {
            (Some(epoch), Some(log)) if before != leads && !scene.damaged && !cluster.canon.torn => {
                is_elected(cluster.canon, log, epoch)
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.led[server] = None;
    }
}

/// What is committed anew a majority has had on disk; a leader ends it with its own epoch (Raft 5.4.2).
fn commits(canon: &Canon, log: &GhostLog, high: i64, leads: Option<i32>) -> Verdict {
    let end = canon.end();
    let anew: Vec<&Written> = log.batches.iter().filter(|b| b.base >= end && b.next <= high).collect();
    // A disk that lies says that it has what it has not, and its broker believes it.
    let lies = canon.voter_forgot();
    if let Some(few) = anew.iter().find(|batch| !lies && !canon.was_on_majority(batch, log)) {
        return Err(format!("{few:?} is committed, and no majority has had it on disk"));
    }
    match (anew.last(), leads) {
        (Some(last), Some(epoch)) if last.epoch != epoch => {
            Err(format!("the leader of epoch {epoch} commits up to {last:?}, of an epoch that is over"))
        }
        _ => Ok(()),
    }
}

/// What is committed is not cut off where it is on disk and was said to be. What was committed in a later epoch than this broker is in, the
/// leader that it follows may lack: whoever committed it does not count on this copy.
fn cuts(
    canon: &Canon,
    log: &GhostLog,
    (to, epoch): (i64, i32),
    durable: impl Fn(&Written) -> bool,
) -> Verdict {
    let there = canon.before(epoch + 1).filter(|b| b.base >= to && log.at(b.base) == Some(*b));
    let gone = there.into_iter().find(|b| canon.is_safe(b) && durable(b));
    gone.map_or(Ok(()), |b| Err(format!("its metadata log is cut back to {to}, but {b:?} is committed")))
}

/// Where the snapshots of the metadata end that a power loss would leave.
fn durable_snapshots(disk: &SimDisk) -> Vec<i64> {
    let dirs = disk.durable_names("").into_iter().filter(|name| name.starts_with(CLUSTER_METADATA));
    let names = dirs.flat_map(|dir| disk.durable_names(&dir));
    names.filter_map(|name| name.strip_suffix(".checkpoint")?.split('-').next()?.parse().ok()).collect()
}

/// A log begins anew where only what is committed lies before it, and when a snapshot of that is on disk.
fn begins(canon: &Canon, at: i64, snapshots: &[i64]) -> Verdict {
    if at > canon.end() {
        return Err(format!("its metadata log begins anew at {at}, and {} are committed", canon.end()));
    }
    if !snapshots.iter().any(|end| *end >= at) {
        return Err(format!(
            "its metadata log begins anew at {at}, and on disk there are {snapshots:?} alone"
        ));
    }
    Ok(())
}

/// Who is elected has everything that is committed.
fn is_elected(canon: &Canon, log: &GhostLog, epoch: i32) -> Verdict {
    let there = canon.before(epoch).filter(|b| b.base >= log.start);
    let lacks = there.filter(|b| canon.is_safe(b)).find(|b| log.at(b.base) != Some(*b));
    lacks.map_or(Ok(()), |b| {
        Err(format!(
            "it leads in epoch {epoch} and has {:?} instead of {b:?}, which is committed",
            log.at(b.base)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, epoch: i32) -> Written {
        let (producer, producer_epoch, sequence, max_timestamp) = (-1, -1, -1, 0);
        let (next, size, count, hash) = (base + 1, 100, 1, 5);
        Written { base, next, size, epoch, producer, producer_epoch, sequence, count, max_timestamp, hash }
    }

    fn log(epochs: &[i32]) -> GhostLog {
        GhostLog::of(epochs.iter().zip(0..).map(|(epoch, base)| batch(base, *epoch)).collect(), 0)
    }

    /// Three voters, and on how many of their disks each batch is.
    fn held(by: &[(Written, usize)]) -> Canon {
        let mut canon = Canon::formed(3);
        by.iter().for_each(|(b, count)| (0..*count).for_each(|server| canon.hold(server, b)));
        canon
    }

    #[test]
    fn what_no_majority_has_on_disk_is_not_committed() {
        let canon = held(&[(batch(0, 1), 2), (batch(1, 1), 1)]);
        assert!(commits(&canon, &log(&[1, 1]), 2, Some(1)).is_err());
        assert!(commits(&canon, &log(&[1, 1]), 1, Some(1)).is_ok());
    }

    #[test]
    fn a_record_of_an_earlier_epoch_is_not_committed_by_counting() {
        let canon = held(&[(batch(0, 1), 3), (batch(1, 2), 2)]);
        assert!(commits(&canon, &log(&[1, 2, 4]), 2, Some(4)).is_err(), "figure 8 of the Raft paper");
        let canon = held(&[(batch(0, 1), 3), (batch(1, 2), 2), (batch(2, 4), 2)]);
        assert!(commits(&canon, &log(&[1, 2, 4]), 3, Some(4)).is_ok(), "with its own it is");
    }

    #[test]
    fn a_cut_and_an_election_without_what_is_committed_are_seen() {
        let mut canon = held(&[(batch(0, 1), 2), (batch(1, 1), 2)]);
        canon.commit(&log(&[1, 1]), 2, 1);
        assert!(cuts(&canon, &log(&[1, 1]), (1, 1), |_| true).is_err());
        assert!(cuts(&canon, &log(&[1, 1]), (1, 1), |_| false).is_ok(), "it never was on that disk");
        assert!(cuts(&canon, &log(&[1, 2]), (1, 1), |_| true).is_ok(), "another batch of the same offset");
        assert!(cuts(&canon, &log(&[1, 1]), (1, 0), |_| true).is_ok(), "committed in a later epoch");
        assert!(is_elected(&canon, &log(&[1]), 2).is_err());
        assert!(is_elected(&canon, &log(&[1, 1, 2]), 3).is_ok());
        assert!(
            is_elected(&canon, &log(&[1]), 1).is_ok(),
            "it was committed when that epoch was nobody's yet"
        );
    }

    #[test]
    fn a_log_that_begins_anew_without_a_snapshot_on_disk_or_beyond_what_is_committed_is_seen() {
        let mut canon = held(&[(batch(0, 1), 2), (batch(1, 1), 2)]);
        canon.commit(&log(&[1, 1]), 2, 1);
        assert!(begins(&canon, 2, &[1]).is_err() && begins(&canon, 2, &[]).is_err());
        assert!(begins(&canon, 3, &[3]).is_err());
        assert!(begins(&canon, 2, &[1, 2]).is_ok() && begins(&canon, 1, &[2]).is_ok());
    }

    #[test]
    fn whose_disk_has_no_vote_counts_for_no_majority_and_excuses_nothing_when_it_forgets() {
        let mut canon = Canon::formed_among(4, 3);
        canon.hold(0, &batch(0, 1));
        canon.hold(3, &batch(0, 1));
        assert!(commits(&canon, &log(&[1]), 1, Some(1)).is_err(), "one disk of three voters");
        canon.damaged(3, false);
        assert!(commits(&canon, &log(&[1]), 1, Some(1)).is_err());
        canon.damaged(2, false);
        assert!(commits(&canon, &log(&[1]), 1, Some(1)).is_ok(), "that one may have lied");
    }

    #[test]
    fn what_was_on_damaged_disks_may_be_gone() {
        let mut canon = held(&[(batch(0, 1), 2)]);
        canon.commit(&log(&[1]), 1, 1);
        canon.damaged(0, false);
        assert!(is_elected(&canon, &log(&[]), 2).is_ok());
    }
}
