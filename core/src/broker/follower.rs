//! The follower's end of replication: it asks its leaders, takes what they have, cuts what they have not, and says what is on disk.

use crate::broker::Broker;
use crate::broker::replication::Replication;
use crate::broker::throttle::Throttled;
use crate::broker::turn::Turn;
use crate::ids::{BrokerId, LogId, Offset};
use crate::peer::message::{Carried, PeerMessage};
use crate::record::Batch;
use crate::replica::Role;
use crate::replica::following::Step;
use crate::replica::messages::{News, PartitionAnswer, ReplicaAnswer, Tip};
use crate::storage::ops::StoreOp;

impl Broker {
    /// A leader has answered.
    pub(super) fn leader_answers(&mut self, turn: &mut Turn, from: BrokerId, answer: ReplicaAnswer<Carried>) {
        let now = turn.now.mono;
        let Some(asking) = self.replication.asking.get_mut(&from) else { return };
        for (log, answer) in asking.take(now, from, answer) {
            let topics = &self.topic_configs;
            let throttled = Throttled { me: self.me, image: self.controller.image(), topics }.follower(log);
            let Some(partition) = self.partitions.get_mut(&log) else { continue };
            let Role::Follows(following) = &mut partition.role else { continue };
            let PartitionAnswer { epoch, news } = answer;
            if throttled && let News::Records { records, .. } = &news {
                self.replication.throttle.took(now, log, records.batches.iter().map(Batch::size).sum());
            }
            let answer = PartitionAnswer { epoch, news: news.map(|carried| carried.batches) };
            for step in following.answered(answer, &partition.log) {
                self.follow_step(turn, log, step);
            }
        }
    }

    fn follow_step(&mut self, turn: &mut Turn, log: LogId, step: Step) {
        match step {
            Step::Take(batches) => self.take_batches(turn, log, &batches),
            Step::Cut(to) => self.cut_follower(turn, log, to),
            Step::Restart(at) => self.restart_follower(turn, log, at, "its leader has nothing older"),
            Step::Commit(high) => {
                if let Some(partition) = self.partitions.get_mut(&log) {
                    partition.heard.0 = high;
                }
                self.follow_marks(turn, log);
            }
            Step::Start(to) => {
                if let Some(partition) = self.partitions.get_mut(&log) {
                    partition.heard.1 = to;
                }
                self.follow_marks(turn, log);
            }
            Step::Lost { anew, .. } if self.is_lost_by_election(log) => {
                let why =
                    "its leader was elected without having all that was committed (an unclean election)";
                self.restart_follower(turn, log, anew, why);
            }
            Step::Lost { to, high, .. } => {
                let why = format!(
                    "its leader has it only up to offset {to}, but up to {high} it was committed here: committed records \
                     would be lost. Look for a broker that was started on an old copy of its disk; nothing was cut off here"
                );
                self.partition_lost(turn, log, why);
            }
            // The leader says more once that changes.
            Step::Wait(_) => {}
        }
    }

    /// Whether what is committed here may be lacking at the leader: somebody was elected who could lack it, since the last record here.
    fn is_lost_by_election(&self, log: LogId) -> bool {
        let tip = self.partitions.get(&log).map(|partition| Tip::of(&partition.log).epoch);
        let elected = self.image().unclean_election(log);
        elected.zip(tip).is_some_and(|(elected, tip)| elected > tip)
    }

    /// The leader's marks, or how far the disk here is, have moved.
    pub(super) fn follow_marks(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        let (moved, start) = partition.follow_marks();
        if moved {
            self.moved.insert(log);
        }
        if let Some(start) = start {
            self.trim(turn, log, start);
        }
    }

    fn take_batches(&mut self, turn: &mut Turn, log: LogId, batches: &[Batch]) {
        for batch in batches {
            if let Err(why) = self.append_as_is(turn, log, batch) {
                return turn.warn(format!("what the leader of {log:?} has is passed over: {why}"));
            }
        }
    }

    fn cut_follower(&mut self, turn: &mut Turn, log: LogId, to: Offset) {
        let Broker { partitions, tails, .. } = self;
        let Some(partition) = partitions.get_mut(&log) else { return };
        let end = partition.log.end();
        partition.log.truncate(to, tails);
        turn.info(format!(
            "{}-{}: the log is cut from offset {end} to {to}: its leader has another history from there",
            partition.topic, log.partition
        ));
        self.lane.store(turn, StoreOp::Truncate { log, to });
    }

    /// Gives up the log here and begins anew: its leader has nothing that this one could go on from. What was heard of the marks of
    /// leaders before says nothing of the new one.
    fn restart_follower(&mut self, turn: &mut Turn, log: LogId, at: Offset, why: &str) {
        let Broker { partitions, tails, .. } = self;
        let Some(partition) = partitions.get_mut(&log) else { return };
        let end = partition.log.end();
        partition.log.restart(at, None, tails);
        partition.heard = (at, at);
        turn.info(format!(
            "{}-{}: the log ended at offset {end} and begins anew at {at}: {why}",
            partition.topic, log.partition
        ));
        let cuts = partition.log.cuts();
        self.lane.append(turn, StoreOp::Restart { log, at, epoch: None }, at, cuts);
    }

    /// A replica that would lose committed records is taken out of use, for a person to look at.
    pub(super) fn partition_lost(&mut self, turn: &mut Turn, log: LogId, why: String) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        turn.warn(format!("{}-{} is offline: {why}", partition.topic, log.partition));
        partition.offline = Some(why);
        if let Role::Follows(following) = std::mem::take(&mut partition.role) {
            self.replication.unfollow(following.leader(), log);
        }
    }

    /// Asks every leader that is not asked already, and tells the others how far the disk is and which log starts are durable.
    pub(super) fn ask_leaders(&mut self, turn: &mut Turn) {
        let now = turn.now.mono;
        let Broker { replication, partitions, me, controller, topic_configs, .. } = self;
        let throttled = Throttled { me: *me, image: controller.image(), topics: topic_configs };
        replication.try_for_room(now);
        replication.try_for_quota(now);
        let Replication { asking, throttle, .. } = replication;
        let mut said = Vec::new();
        for (leader, asking) in asking {
            let fetch = asking.ask(now, |log| {
                let partition = partitions.get_mut(&log)?;
                match &mut partition.role {
                    Role::Follows(_) if throttled.follower(log) && throttle.holds_back(now, log, *leader) => {
                        None
                    }
                    Role::Follows(following) => Some(following.ask(&partition.log)),
                    Role::Leads(_) | Role::Idle => None,
                }
            });
            let fetch = fetch.map(|mut fetch| {
                throttle.order(&mut fetch.partitions);
                fetch
            });
            let flushed = asking.tell(|log| {
                let partition = partitions.get_mut(&log)?;
                match &mut partition.role {
                    Role::Follows(following) => following.flushed(&partition.log),
                    Role::Leads(_) | Role::Idle => None,
                }
            });
            said.extend(fetch.map(|fetch| (*leader, PeerMessage::ReplicaFetch(fetch))));
            said.extend(flushed.map(|flushed| (*leader, PeerMessage::ReplicaFlushed(flushed))));
        }
        said.into_iter().for_each(|(to, message)| self.tell(turn, to, message));
    }
}
