//! From append to answer: facts and batches go to the lane, completions raise the marks, the marks release who waits.

use crate::broker::Broker;
use crate::broker::answers::{Part, Pending};
use crate::broker::door::{Effect, Note};
use crate::broker::fetches::FetchId;
use crate::broker::lane::{Append, Waiting};
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::cluster::names;
use crate::config::TopicConfig;
use crate::ids::{LogId, Offset};
use crate::log::segments::Shape;
use crate::log::{AppendContext, Appended};
use crate::mix::mix;
use crate::record::Batch;
use crate::record::build::BatchBuilder;
use crate::replica::{Partition, Role};
use crate::storage::ops::{LogFailure, StoreOp, Stored};
use crate::wire::Response;
use crate::wire::error::ErrorCode;

impl Broker {
    /// Appends a batch to a partition and sends it to the disk. The partition is known to be usable.
    pub(super) fn append(&mut self, turn: &mut Turn, log: LogId, mut batch: Batch) -> Appended {
        let shape = self.shape(log);
        let partition = self.partitions.get_mut(&log).expect("an append to a partition that is here");
        let context = AppendContext { epoch: partition.epoch, shape, at: turn.now.wall };
        let before = partition.log.end();
        let appended = partition.log.append(&mut batch, &context, &mut self.tails);
        if let Role::Leads(leading) = &mut partition.role {
            leading.appended(turn.now.mono, before);
            self.replication.serving.changed(log);
        } else if log == LogId::METADATA {
            // The others may have it while the disk here is still busy with it.
            self.metadata_changed = true;
        }
        let (cuts, start) = (partition.log.cuts(), partition.log.start());
        self.write(turn, (log, batch), appended, (cuts, start));
        appended
    }

    /// Appends a batch as its leader has stamped it, and sends it to the disk.
    pub(super) fn append_as_is(&mut self, turn: &mut Turn, log: LogId, batch: &Batch) -> Result<(), String> {
        let shape = self.shape(log);
        let partition = self.partitions.get_mut(&log).expect("an append to a partition that is here");
        let appended = partition.log.follow(batch, shape, turn.now.wall, &mut self.tails)?;
        let (cuts, start) = (partition.log.cuts(), partition.log.start());
        self.write(turn, (log, batch.clone()), appended, (cuts, start));
        Ok(())
    }

    fn write(
        &mut self,
        turn: &mut Turn,
        (log, batch): (LogId, Batch),
        appended: Appended,
        (cuts, start): (u64, Offset),
    ) {
        self.upkeep.appended(log, batch.size());
        let op = StoreOp::Append { log, batches: vec![batch], roll: appended.roll };
        self.lane.append(turn, op, appended.end, cuts);
        if appended.roll && start == appended.base {
            self.lane.store(turn, StoreOp::Trim { log, start });
        }
    }

    fn shape(&self, log: LogId) -> Shape {
        let config = self.topic_config(log.topic);
        Shape { bytes: u64::from(config.segment_bytes), age_ms: config.segment_ms - jitter_ms(log, config) }
    }

    /// Appends facts to the metadata log. They count for the next decision at once, and for everybody once committed.
    pub(super) fn decide(&mut self, turn: &mut Turn, facts: Vec<Fact>) -> Offset {
        let values: Vec<Vec<u8>> = facts.iter().map(Fact::encode).collect();
        let records: Vec<_> = values.into_iter().map(|v| (None, Some(v.into()))).collect();
        let batch = BatchBuilder::plain(turn.now.wall, &records);
        let appended = self.append(turn, LogId::METADATA, batch);
        let epoch = self.partitions[&LogId::METADATA].epoch;
        self.controller.decided(facts, appended.end, epoch);
        appended.end
    }

    /// Decides facts and answers once they are committed. Without any, the answer tells what was decided before, and waits until that is
    /// committed: a topic that is said to exist must not be gone with the controller that said so (Kafka: `QuorumController`, whose
    /// answers wait for the highest pending offset). Metadata and FindCoordinator tell only what is committed, and are most needed when
    /// nothing can be.
    pub(super) fn decide_and_answer(
        &mut self,
        turn: &mut Turn,
        facts: Vec<Fact>,
        to: super::Caller,
        response: Response,
    ) {
        let metadata = &self.partitions[&LogId::METADATA].log;
        let decides = self.is_alone() || self.active.is_some();
        let of_committed = matches!(response, Response::Metadata(_) | Response::FindCoordinator(_));
        let waits = decides && metadata.high() < metadata.end() && !of_committed;
        if facts.is_empty() && !waits {
            return turn.reply(to, response);
        }
        let end = if facts.is_empty() { metadata.end() } else { self.decide(turn, facts) };
        let answer = self.answers.reserve();
        self.wait_at(LogId::METADATA, end, Part { answer, topic: 0, partition: 0 });
        self.answers.wait(answer, to, response, 1, None);
    }

    /// Lets part of an answer wait until everything below `offset` is committed.
    pub(super) fn wait_at(&mut self, log: LogId, offset: Offset, part: Part) {
        self.partitions.get_mut(&log).expect("a wait at a partition that is here").waiters.push(offset, part);
    }

    /// A lane has finished a round.
    pub(super) fn stored(&mut self, turn: &mut Turn, result: Result<Stored, String>) {
        let stored = match result {
            Ok(stored) => stored,
            Err(why) => return self.disk_died(turn, why),
        };
        self.space = (stored.free_bytes, stored.total_bytes);
        self.watch_space(turn);
        while let Some(append) = self.lane.next_append(stored.done) {
            if !stored.failed.iter().any(|f| f.log == append.log) {
                self.flushed(turn, append);
            }
        }
        for (log, start) in self.lane.kept_starts(&stored) {
            self.start_kept(log, start);
        }
        for failure in &stored.failed {
            if failure.full { self.cut_back(turn, failure) } else { self.take_offline(turn, failure) }
        }
        while let Some(waiting) = self.lane.next_wait(stored.done) {
            let metadata = stored.failed.iter().any(|failure| failure.log == LogId::METADATA);
            self.operation_done(turn, waiting, (stored.kept, !metadata));
        }
    }

    fn flushed(&mut self, turn: &mut Turn, append: Append) {
        // A completion from before a cut says nothing about what lies at these offsets now.
        let current = self.partitions.get_mut(&append.log).filter(|p| p.log.cuts() == append.cuts);
        let Some(partition) = current else { return };
        partition.log.flushed_to(append.end);
        match &partition.role {
            // What is committed of the metadata log is for its quorum to say.
            _ if append.log == LogId::METADATA => {
                self.metadata_changed = true;
                self.follow_marks(turn, LogId::METADATA);
            }
            Role::Leads(_) => {
                self.replication.touch(append.log);
                self.replication.serving.changed(append.log);
                self.locally_durable(turn, append.log);
            }
            Role::Follows(following) => {
                self.replication.followed_changed(following.leader(), append.log);
                self.follow_marks(turn, append.log);
            }
            Role::Idle => {}
        }
    }

    /// This broker's disk has more of a log that it leads: that is all that acks=1 waits for.
    fn locally_durable(&mut self, turn: &mut Turn, log: LogId) {
        while let Some(partition) = self.partitions.get_mut(&log)
            && let Some(part) = partition.local.pop(partition.log.flushed())
        {
            self.part_done(turn, part);
        }
        let flushed = self.partitions.get(&log).map_or(Offset(0), |p| p.log.flushed());
        if self.shards_behind.get(&log).is_some_and(|end| *end <= flushed) {
            self.shards_behind.remove(&log);
            self.lead_shard(turn, log.partition);
        }
    }

    /// `kept`: the recovery point has moved; `metadata`: nothing has failed of that log.
    fn operation_done(&mut self, turn: &mut Turn, waiting: Waiting, (kept, metadata): (bool, bool)) {
        match waiting {
            // The disk is full: a start after a crash would find the logs as they were.
            Waiting::Answer(answer) if !kept => self.deletion_failed(turn, answer),
            Waiting::Answer(answer) => self.part_done(turn, Part { answer, topic: 0, partition: 0 }),
            Waiting::Checkpoint => self.upkeep.checkpoint_done(),
            Waiting::Starts => self.upkeep.starts_kept(),
            Waiting::Election(write) => {
                self.steer(turn, |quorum, now, log, out| quorum.kept(now, write, log, out));
            }
            Waiting::Snapshot => self.snapshot_stored(turn, metadata),
            Waiting::Stop => turn.out.push(Effect::Stopped),
        }
    }

    /// The high watermark of a log has moved.
    pub(super) fn committed(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get(&log) else { return };
        let high = partition.log.high();
        turn.out.push(Effect::Note(Note::Committed { log, high }));
        if log == LogId::METADATA {
            self.metadata_committed(turn, high);
        }
        while let Some(part) = self.partitions.get_mut(&log).and_then(|p| p.waiters.pop(high)) {
            self.part_done(turn, part);
        }
        self.replication.serving.changed(log);
        self.wake_fetches(turn, log);
    }

    fn metadata_committed(&mut self, turn: &mut Turn, high: Offset) {
        while let Some(facts) = self.controller.commit(high) {
            facts.iter().for_each(|fact| self.realize(turn, fact));
        }
    }

    pub(super) fn part_done(&mut self, turn: &mut Turn, part: Part) {
        if let Some(Pending { to, response, .. }) = self.answers.part_done(part.answer) {
            turn.reply(to, response);
        }
    }

    /// What part of an answer waits for will not come: writes the error into the answer of a write or a deletion, and sends a group's client to
    /// look for its coordinator; anything else has no place for it, so the connection is closed and the client finds out by
    /// asking again.
    pub(super) fn part_failed(&mut self, turn: &mut Turn, part: Part, code: ErrorCode, why: &str) {
        let Some(pending) = self.answers.get_mut(part.answer) else { return };
        if let Response::Produce(response) = &mut pending.response {
            let slot = &mut response.responses[part.topic].partition_responses[part.partition];
            slot.error_code = code;
            slot.error_message = Some(why.to_string());
            // Where it was appended is kept when it may still be there: with the offset it says so, as Kafka's DelayedProduce does.
            if code != ErrorCode::NOT_LEADER_OR_FOLLOWER {
                slot.base_offset = -1;
            }
            self.part_done(turn, part);
        } else if let Response::DeleteRecords(response) = &mut pending.response {
            if matches!(self.phase, Phase::Dead(_)) {
                return self.deletion_failed(turn, part.answer);
            }
            let slot = &mut response.topics[part.topic].partitions[part.partition];
            (slot.error_code, slot.low_watermark) = (code, -1);
            self.part_done(turn, part);
        } else if let Some(Pending { to, response, .. }) = self.answers.take(part.answer) {
            let key = response.key();
            match crate::group::not_coordinator(response) {
                Some(refusal) => turn.reply(to, refusal),
                // Whoever forwarded it is told by itself.
                None if super::forward::is_forwarded(to) => {}
                None => turn.close(to.conn, format!("a {} request cannot be answered: {why}", key.name())),
            }
        }
    }

    /// An append found the disk full: the log goes back to what is durable, and whoever waited is told.
    fn cut_back(&mut self, turn: &mut Turn, failure: &LogFailure) {
        if failure.log == LogId::METADATA && !self.is_alone() {
            // What goes now, others may have fetched: in this epoch it must not lead any more.
            self.steer(turn, |quorum, now, _, out| quorum.resign(now, out));
        }
        let Some(partition) = self.partitions.get_mut(&failure.log) else { return };
        let to = partition.log.flushed().max(partition.log.high());
        turn.warn(format!(
            "{}-{}: cut back to offset {to}: {}",
            partition.topic, failure.log.partition, failure.message
        ));
        partition.log.truncate(to, &mut self.tails);
        let waiting = partition.take_waiting();
        // Followers may have what goes now.
        let shared = matches!(&partition.role, Role::Leads(leading) if leading.is_shared());
        if shared {
            partition.role = Role::Idle;
        }
        if let Role::Follows(following) = &partition.role {
            self.replication.found_no_room(turn.now.mono, following.leader(), failure.log);
        }
        let unfinished = partition.log.flushed() < partition.log.start();
        let (end, cuts) = (partition.log.end(), partition.log.cuts());
        let op = StoreOp::Truncate { log: failure.log, to };
        // A log that could not begin anew tries again with this.
        if unfinished {
            self.lane.append(turn, op, end, cuts);
        } else {
            self.lane.store(turn, op);
        }
        self.trim_again(turn, failure.log);
        if shared {
            self.begin_new_run(turn);
        }
        for part in waiting {
            self.part_failed(turn, part, ErrorCode::KAFKA_STORAGE_ERROR, &failure.message);
        }
        self.facts_lost(turn, failure.log, to);
    }

    /// One log cannot be used any more, for damage that came to light: whoever waited for it is told.
    fn take_offline(&mut self, turn: &mut Turn, failure: &LogFailure) {
        if failure.log == LogId::METADATA {
            return self.disk_died(turn, format!("the metadata log: {}", failure.message));
        }
        let Some(partition) = self.partitions.get_mut(&failure.log) else { return };
        if partition.offline.is_some() {
            return;
        }
        turn.warn(format!("{}-{} is offline: {}", partition.topic, failure.log.partition, failure.message));
        partition.offline = Some(failure.message.clone());
        let is_shard = partition.topic == names::GROUP_OFFSETS;
        let waiting = partition.take_waiting();
        let parked: Vec<FetchId> = partition.parked.iter().copied().collect();
        for part in waiting {
            self.part_failed(turn, part, ErrorCode::KAFKA_STORAGE_ERROR, &failure.message);
        }
        parked.into_iter().for_each(|fetch| self.answer_fetch_now(turn, fetch));
        if is_shard {
            self.loads.cancel(failure.log);
            self.resign_shard(turn, failure.log.partition);
        }
    }

    /// State that was folded from what a log does not hold any more is given up.
    fn facts_lost(&mut self, turn: &mut Turn, log: LogId, to: Offset) {
        if log == LogId::METADATA {
            self.controller.cut(to);
            self.producer_ids.give_up(turn);
            if matches!(self.phase, Phase::Starting { .. }) {
                self.die(turn, "the disk is full: there is no room for the metadata log; free some space and start again".into());
            }
        } else {
            self.reload_shard(turn, log);
        }
    }

    fn disk_died(&mut self, turn: &mut Turn, why: String) {
        self.die(turn, format!("the log directory failed and is not used any more: {why}"));
        let logs: Vec<LogId> = self.partitions.keys().copied().collect();
        for log in logs {
            let waiting = self.partitions.get_mut(&log).map(Partition::take_waiting).unwrap_or_default();
            for part in waiting {
                self.part_failed(turn, part, ErrorCode::KAFKA_STORAGE_ERROR, &why);
            }
        }
    }

    fn watch_space(&mut self, turn: &mut Turn) {
        let low = self.disk_is_low();
        if low && !self.disk_was_low {
            turn.warn(format!(
                "the disk is nearly full: {} bytes are free, {} are kept in reserve (quipu.disk.reserve.bytes). \
                 Produce is refused until there is room; reads and deletes go on",
                self.space.0, self.config.disk_reserve_bytes
            ));
        } else if self.disk_was_low && !low {
            turn.info(format!("there is room on the disk again: {} bytes are free", self.space.0));
        }
        self.disk_was_low = low;
    }

    /// Whether less is free than the reserve.
    pub(super) fn disk_is_low(&self) -> bool {
        self.space.0 < self.config.disk_reserve_bytes
    }
}

/// How much earlier a log's segments roll than others': so that those of one topic do not all roll at the same moment.
fn jitter_ms(log: LogId, config: &TopicConfig) -> i64 {
    let [a, b] =
        [0, 8].map(|at| u64::from_be_bytes(log.topic.0[at..at + 8].try_into().expect("eight bytes")));
    let most = config.segment_jitter_ms.min(config.segment_ms).max(0) as u64;
    (mix(a ^ mix(b ^ log.partition as u64)) % (most + 1)) as i64
}
