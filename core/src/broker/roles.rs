//! What this broker is to each partition, by the committed metadata: its leader, a follower, or nothing.

use crate::broker::answers::Part;
use crate::broker::fetches::FetchId;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica};
use crate::cluster::names;
use crate::cluster::partition::PartitionState;
use crate::ids::{BrokerId, LeaderEpoch, LogId, TopicId};
use crate::replica::following::Following;
use crate::replica::leading::{Leadership, Leading};
use crate::replica::messages::Incarnation;
use crate::replica::{Partition, Role};
use crate::wire::error::ErrorCode;

impl Broker {
    /// Brings a partition in line with the metadata: makes or removes it, and takes up what this broker is to it.
    pub(super) fn settle_partition(&mut self, turn: &mut Turn, log: LogId) {
        let Some(state) = self.controller.image().partition(log) else { return };
        let here = self.partitions.contains_key(&log);
        if !state.replicas.contains(&self.me) {
            if here {
                turn.info(format!("removing the log {log:?}: this broker is no replica of it any more"));
                // The others have what was appended here, or may have: nobody is told that it is not there.
                self.give_up_role(turn, log);
                self.remove_log(turn, log, "this broker is no replica of the partition any more");
            }
            return;
        }
        let state = state.clone();
        if !here {
            let name = self.controller.image().topic_by_id(log.topic).map(|t| t.name.clone());
            return self.make_log(turn, log, name.unwrap_or_default());
        }
        self.take_role(turn, log, &state);
    }

    /// Takes up what the metadata says that this broker is to a partition that is here.
    pub(super) fn take_role(&mut self, turn: &mut Turn, log: LogId, state: &PartitionState) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        if partition.epoch >= state.leader_epoch {
            if let Role::Leads(leading) = &mut partition.role {
                if leading.reassigned(&state.replicas) {
                    self.replication.serving.changed(log);
                }
                if leading.decided(&state.isr, state.partition_epoch) {
                    self.replication.touch(log);
                }
            }
            return self.throttled_isr_changed(log);
        }
        (partition.epoch, partition.heard) = (state.leader_epoch, Default::default());
        if partition.offline.is_some() {
            return;
        }
        self.give_up_role(turn, log);
        match state.leader {
            None => {}
            Some(leader) if leader == self.me => self.lead_partition(turn, log, state),
            Some(leader) => self.follow_partition(log, leader, state.leader_epoch),
        }
    }

    /// Whatever this broker was to a partition, it is not any more: who waits for it looks for another leader.
    fn give_up_role(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        let before = std::mem::take(&mut partition.role);
        if let Role::Follows(following) = &before {
            self.replication.unfollow(following.leader(), log);
        }
        if !matches!(before, Role::Leads(_)) {
            return;
        }
        let is_shard = partition.topic == names::GROUP_OFFSETS;
        let (waiting, parked) = who_waits(partition);
        for part in waiting {
            let why = "the partition has another leader, or is led anew; the record may be in its log or not";
            self.part_failed(turn, part, ErrorCode::NOT_LEADER_OR_FOLLOWER, why);
        }
        parked.into_iter().for_each(|fetch| self.answer_fetch_now(turn, fetch));
        if is_shard {
            self.loads.cancel(log);
            self.resign_shard(turn, log.partition);
        }
    }

    fn lead_partition(&mut self, turn: &mut Turn, log: LogId, state: &PartitionState) {
        let given = Leadership {
            me: self.me,
            epoch: state.leader_epoch,
            replicas: state.replicas.clone(),
            isr: state.isr.clone(),
            partition_epoch: state.partition_epoch,
        };
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        let newest = partition.log.epochs().last().map_or(LeaderEpoch(-1), |last| last.epoch);
        if newest > state.leader_epoch || newest == state.leader_epoch && state.replicas.len() > 1 {
            let why = format!(
                "its log has records of leader epoch {newest}, and it is to be led in epoch {} only now: a disk has lost metadata \
                 or has damaged the log. Nothing was cut off; stop this broker, empty its data directory, and it takes a copy \
                 from the others",
                state.leader_epoch
            );
            return self.partition_lost(turn, log, why);
        }
        partition.role = Role::Leads(Leading::new(turn.now.mono, &given, &partition.log));
        let is_shard = partition.topic == names::GROUP_OFFSETS;
        self.replication.touch(log);
        self.replication.serving.changed(log);
        // Of one replica nothing has to be waited for.
        self.advance(turn, log);
        if is_shard {
            self.lead_shard(turn, log.partition);
        }
    }

    fn follow_partition(&mut self, log: LogId, leader: BrokerId, epoch: LeaderEpoch) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        partition.role = Role::Follows(Following::new(leader, epoch));
        self.replication.follow(leader, self.member.run, log);
    }

    /// Takes a partition out: its files go, and who waits for it is told why.
    pub(super) fn remove_log(&mut self, turn: &mut Turn, log: LogId, why: &str) -> Option<String> {
        self.loads.cancel(log);
        let mut partition = self.partitions.remove(&log)?;
        if let Role::Follows(following) = &partition.role {
            self.replication.unfollow(following.leader(), log);
        }
        self.replication.serving.changed(log);
        partition.log.clear_tail(&mut self.tails);
        let (waiting, parked) = who_waits(&mut partition);
        self.upkeep.forget(log);
        // The partition may come back to this broker before the disk has done what is on its way.
        self.lane.forget(log);
        self.lane.store(turn, crate::storage::ops::StoreOp::Remove { log });
        for part in waiting {
            self.part_failed(turn, part, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why);
        }
        parked.into_iter().for_each(|fetch| self.answer_fetch_now(turn, fetch));
        if partition.topic == names::GROUP_OFFSETS {
            self.resign_shard(turn, log.partition);
        }
        Some(partition.topic)
    }

    /// The partition for a request that reads or writes it, or why this broker cannot serve it.
    pub(super) fn usable(&self, log: LogId) -> Result<&Replica, (ErrorCode, String)> {
        if let Phase::Dead(why) = &self.phase {
            return Err((ErrorCode::KAFKA_STORAGE_ERROR, why.clone()));
        }
        let Some(partition) = self.partitions.get(&log) else {
            return Err(match self.controller.image().partition(log) {
                Some(state) => elsewhere(state),
                None => {
                    let why = "there is no such topic or partition here";
                    (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why.into())
                }
            });
        };
        if let Some(why) = &partition.offline {
            return Err((ErrorCode::KAFKA_STORAGE_ERROR, format!("the partition is offline: {why}")));
        }
        match (&partition.role, self.controller.image().partition(log)) {
            (Role::Leads(_), _) => Ok(partition),
            (_, Some(state)) => Err(elsewhere(state)),
            (_, None) => Err((ErrorCode::NOT_LEADER_OR_FOLLOWER, "another broker leads it".into())),
        }
    }

    /// The partition for a consumer, which may also read what a follower knows to be committed (KIP-392).
    pub(super) fn readable(&self, log: LogId) -> Result<&Replica, (ErrorCode, String)> {
        let followed = self.partitions.get(&log).filter(|p| matches!(p.role, Role::Follows(_)));
        match followed.filter(|partition| partition.offline.is_none() && self.is_ready()) {
            Some(partition) => Ok(partition),
            None => self.usable(log),
        }
    }

    /// Brokers have come or gone: who may be in sync, and which run of each is meant, is known anew.
    pub(super) fn brokers_changed(&mut self, turn: &Turn) {
        let active = self.controller.image().brokers().iter().filter(|(_, r)| r.is_active());
        let active = active.map(|(id, r)| (*id, Incarnation(r.incarnation))).collect();
        let before = std::mem::replace(&mut self.alive, active);
        // Who stops in order has handed over: nothing is left that clients could be in doubt about.
        let brokers = self.controller.image().brokers();
        let stops = |id: &BrokerId| brokers.get(id).is_none_or(|r| r.stopping);
        let left = before.into_keys().filter(|id| !self.alive.contains_key(id) && !stops(id));
        left.for_each(|broker| self.doubt.left(broker, turn.now.mono));
        let led = self.partitions.iter().filter(|(_, p)| matches!(p.role, Role::Leads(_)));
        let led: Vec<LogId> = led.map(|(log, _)| *log).collect();
        led.into_iter().for_each(|log| self.replication.touch(log));
    }

    /// The partitions of a topic that are here.
    pub(super) fn logs_of(&self, topic: TopicId) -> Vec<LogId> {
        let all = LogId { topic, partition: 0 }..=LogId { topic, partition: i32::MAX };
        self.partitions.range(all).map(|(log, _)| *log).collect()
    }
}

fn who_waits(partition: &mut Partition<Part, FetchId>) -> (Vec<Part>, Vec<FetchId>) {
    (partition.take_waiting(), partition.parked.iter().copied().collect())
}

fn elsewhere(state: &PartitionState) -> (ErrorCode, String) {
    let who = state.leader.map_or("nobody".to_string(), |leader| format!("broker {leader}"));
    (ErrorCode::NOT_LEADER_OR_FOLLOWER, format!("the partition is led by {who}"))
}
