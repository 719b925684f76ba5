//! A controller that never fails: it fences who is silent, elects leaders among the in-sync, and compares before it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch, LogId};
use crate::replica::isr::{NotChanged, Proposal};
use crate::replica::messages::Incarnation;
use crate::time::Instant;

/// A broker that is silent for so long is fenced.
const SESSION: Duration = Duration::from_millis(2_000);

/// A partition in the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) leader: Option<BrokerId>,
    pub(super) epoch: LeaderEpoch,
    pub(super) isr: Vec<BrokerId>,
    pub(super) partition_epoch: i32,
}

/// The metadata.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) version: u64,
    pub(super) partitions: BTreeMap<LogId, Partition>,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) alive: BTreeMap<BrokerId, Incarnation>,
    pub(super) runs: BTreeMap<BrokerId, Incarnation>,
}

#[derive(Default)]
pub(super) struct Controller {
    pub(super) image: Image,
    heard: BTreeMap<BrokerId, Instant>,
}

impl Controller {
    /// Partitions that nobody leads yet; all are in sync.
    pub(super) fn new(logs: impl Iterator<Item = LogId>, replicas: &[BrokerId]) -> Controller {
        let partition =
            Partition { leader: None, epoch: LeaderEpoch(0), isr: replicas.to_vec(), partition_epoch: 0 };
        let partitions = logs.map(|log| (log, partition.clone())).collect();
        Controller {
            image: Image { partitions, replicas: replicas.to_vec(), ..Image::default() },
            heard: BTreeMap::new(),
        }
    }

    /// A broker says that it lives. A new run of it loses what the one before led.
    pub(super) fn heartbeat(&mut self, now: Instant, from: BrokerId, run: Incarnation) {
        let known = self.image.runs.get(&from).copied().unwrap_or_default();
        if run < known {
            return;
        }
        if run > known {
            self.fence(from);
            self.image.runs.insert(from, run);
        }
        self.heard.insert(from, now);
        if self.image.alive.insert(from, run) != Some(run) {
            self.image.version += 1;
            self.elect(|_, p| p.leader.is_none());
        }
    }

    /// Fences who has been silent for too long.
    pub(super) fn tick(&mut self, now: Instant) {
        let silent: Vec<BrokerId> =
            self.heard.iter().filter(|(_, then)| now.since(**then) > SESSION).map(|(id, _)| *id).collect();
        for id in silent.into_iter().filter(|id| self.image.alive.contains_key(id)).collect::<Vec<_>>() {
            self.fence(id);
        }
    }

    /// A broker is out: it leads nothing, and is in sync only where it is the last one.
    pub(super) fn fence(&mut self, id: BrokerId) {
        self.image.alive.remove(&id);
        self.image.version += 1;
        for partition in self.image.partitions.values_mut().filter(|p| p.isr.contains(&id)) {
            if partition.isr.len() > 1 {
                partition.isr.retain(|member| *member != id);
                partition.partition_epoch += 1;
            }
        }
        self.elect(|_, p| p.leader == Some(id));
    }

    /// Gives the leadership of these to the first one in sync that is alive.
    fn elect(&mut self, which: impl Fn(LogId, &Partition) -> bool) {
        let alive: BTreeSet<BrokerId> = self.image.alive.keys().copied().collect();
        for (_, partition) in self.image.partitions.iter_mut().filter(|(log, p)| which(**log, p)) {
            let next = partition.isr.iter().copied().find(|id| alive.contains(id));
            if next.is_some() || partition.leader.is_some() {
                partition.leader = next;
                partition.epoch = LeaderEpoch(partition.epoch.0 + 1);
                partition.partition_epoch += 1;
                self.image.version += 1;
            }
        }
    }

    /// Gives the leadership of a partition to another one in sync, or anew to the same.
    pub(super) fn move_leader(&mut self, log: LogId, turn: usize) {
        let partition = self.image.partitions.get_mut(&log).expect("there is one");
        let by = turn % partition.isr.len();
        partition.isr.rotate_left(by);
        self.elect(|other, _| other == log);
    }

    /// A leader proposes other in-sync replicas.
    pub(super) fn proposed(
        &mut self,
        from: BrokerId,
        run: Incarnation,
        log: LogId,
        proposal: &Proposal,
    ) -> Result<(), NotChanged> {
        let alive = &self.image.alive;
        let partition = self.image.partitions.get_mut(&log).expect("there is one");
        let knows =
            partition.epoch == proposal.epoch && partition.partition_epoch == proposal.partition_epoch;
        if partition.leader != Some(from) || self.image.runs.get(&from) != Some(&run) || !knows {
            return Err(NotChanged::Stale);
        }
        let eligible = |(id, run): &(BrokerId, Option<Incarnation>)| {
            partition.isr.contains(id) && run.is_none()
                || alive.get(id).is_some_and(|now| run.is_some_and(|run| run == *now))
                || *id == from
        };
        if !proposal.isr.iter().all(eligible) {
            return Err(NotChanged::Ineligible);
        }
        assert!(proposal.isr.iter().any(|(id, _)| *id == from), "a leader proposes itself out");
        partition.isr = proposal.isr.iter().map(|(id, _)| *id).collect();
        partition.partition_epoch += 1;
        self.image.version += 1;
        Ok(())
    }
}
