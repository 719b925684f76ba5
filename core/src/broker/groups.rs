//! The group coordinators at work: their facts go to `__consumer_offsets`, their answers wait until the facts are committed.

use crate::broker::Broker;
use crate::broker::answers::Part;
use crate::broker::door::{Caller, Client};
use crate::broker::turn::Turn;
use crate::cluster::image::MetadataImage;
use crate::cluster::names;
use crate::config::BrokerConfig;
use crate::coordinator::{Answer, Decision, Fact};
use crate::group::{GroupConfig, Groups, TopicView};
use crate::ids::LogId;
use crate::record::build::BatchBuilder;
use crate::record::iter::Record;
use crate::wire::Request;
use crate::wire::dialect::Dialect;

/// Facts of one batch at most: what they weigh together stays far below a segment.
const FACTS_IN_A_BATCH: usize = 1000;

/// What the coordinator is told of the broker's configs.
pub(super) fn config(broker: &BrokerConfig, id_seed: u64) -> GroupConfig {
    let g = &broker.groups;
    GroupConfig {
        min_session_timeout_ms: g.min_session_timeout_ms,
        max_session_timeout_ms: g.max_session_timeout_ms,
        initial_rebalance_delay_ms: g.initial_rebalance_delay_ms,
        max_size: g.max_size.max(0) as usize,
        offset_metadata_max_bytes: g.offset_metadata_max_bytes.max(0) as usize,
        offsets_retention_ms: g.offsets_retention_ms,
        offsets_retention_check_interval_ms: g.offsets_retention_check_ms,
        id_seed,
        ..GroupConfig::default()
    }
}

struct Topics<'a>(&'a MetadataImage);

impl TopicView for Topics<'_> {
    fn partitions(&self, topic: &str) -> Option<i32> {
        self.0.topic(topic).map(|t| t.partitions.len() as i32)
    }
}

impl Broker {
    /// A request about groups.
    pub(super) fn group_request(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        (from, dialect): (&Client, Dialect),
        request: Request,
    ) {
        let topics = Topics(self.controller.image());
        let decision = self.groups.handle(turn.now, to, from, dialect, request, &topics);
        self.carry_out(turn, decision);
    }

    /// Sessions, rebalances and retention whose time has come.
    pub(super) fn wake_groups(&mut self, turn: &mut Turn) {
        if self.groups.next_deadline().is_some_and(|at| at <= turn.now.mono) {
            let decision = self.groups.on_wake(turn.now);
            self.carry_out(turn, decision);
        }
    }

    /// A topic is gone, and with it the offsets that groups have committed in it.
    pub(super) fn group_topic_deleted(&mut self, turn: &mut Turn, name: &str) {
        let decision = self.groups.topic_deleted(turn.now, name);
        self.carry_out(turn, decision);
    }

    /// Appends and applies the facts of a decision, then lets its answers wait for them.
    fn carry_out(&mut self, turn: &mut Turn, decision: Decision) {
        let mut facts = decision.facts.into_iter().peekable();
        while let Some((shard, first)) = facts.next() {
            let mut batch = vec![first];
            while batch.len() < FACTS_IN_A_BATCH
                && let Some((_, fact)) = facts.next_if(|(next, _)| *next == shard)
            {
                batch.push(fact);
            }
            self.append_facts(turn, shard, batch);
        }
        decision.replies.into_iter().for_each(|answer| self.answer_after(turn, answer));
    }

    fn append_facts(&mut self, turn: &mut Turn, shard: i32, facts: Vec<Fact>) {
        let log = self.shard_log(shard).expect("facts of a shard that is led here");
        let records: Vec<_> = facts.iter().map(|f| (Some(f.key.clone()), f.value.clone())).collect();
        self.append(turn, log, BatchBuilder::plain(turn.now.wall, &records));
        facts.iter().for_each(|fact| self.groups.apply(shard, fact, turn.now.wall));
    }

    fn answer_after(&mut self, turn: &mut Turn, Answer { to, response, after }: Answer) {
        let behind = |log: &LogId| self.partitions.get(log).is_some_and(|p| p.log.high() < p.log.end());
        let logs: Vec<LogId> =
            after.into_iter().filter_map(|shard| self.shard_log(shard)).filter(behind).collect();
        if logs.is_empty() {
            return turn.reply(to, response);
        }
        let answer = self.answers.reserve();
        let parts = logs.len();
        for log in logs {
            let end = self.partitions[&log].log.end();
            self.wait_at(log, end, Part { answer, topic: 0, partition: 0 });
        }
        self.answers.wait(answer, to, response, parts, None);
    }

    fn shard_log(&self, shard: i32) -> Option<LogId> {
        let topic = self.controller.image().topic(names::GROUP_OFFSETS)?;
        Some(LogId { topic: topic.id, partition: shard })
    }

    /// Counts the shards anew: as many as the topic has partitions, whoever made it and whatever is configured today, since a
    /// group's shard depends on it.
    pub(super) fn count_shards(&mut self) {
        let topic = self.controller.image().topic(names::GROUP_OFFSETS);
        if let Some(count) = topic.map(|t| t.partitions.len() as i32).filter(|count| *count > 0) {
            self.groups = Groups::new(config(&self.config, self.seed), count);
        }
    }

    /// Takes over a shard: it answers once its log is replayed.
    pub(super) fn lead_shard(&mut self, turn: &mut Turn, shard: i32) {
        let Some(log) = self.shard_log(shard) else { return };
        let Ok(partition) = self.usable(log) else { return };
        let (start, end, flushed) = (partition.log.start(), partition.log.end(), partition.log.flushed());
        // It may have waited for the disk since it began to lead.
        if !self.groups.is_loading(shard) {
            self.groups.lead(shard);
        }
        if flushed < end {
            // Only what is on disk is read back. Whoever led before may have counted on the rest.
            self.shards_behind.insert(log, end);
            return;
        }
        if start < end { self.loads.begin(turn, log, start, end) } else { self.shard_loaded(turn, log) }
    }

    /// A record of a group's log is read back.
    pub(super) fn replay_group_record(&mut self, log: LogId, record: Record) {
        if let Some(key) = record.key {
            self.groups.replay(log.partition, key, record.value, record.timestamp);
        }
    }

    /// A shard's log is replayed.
    pub(super) fn shard_loaded(&mut self, turn: &mut Turn, log: LogId) {
        let topics = Topics(self.controller.image());
        let decision = self.groups.loaded(turn.now, log.partition, &topics);
        let skipped = self.groups.skipped(log.partition);
        if skipped > 0 {
            turn.warn(format!(
                "{}-{}: {skipped} records were passed over, for they are damaged or of a kind that this version of Quipu \
                 does not know; what they say of groups and offsets is not in force",
                names::GROUP_OFFSETS,
                log.partition
            ));
        }
        self.carry_out(turn, decision);
    }

    /// A shard's log cannot be read: its groups are not available.
    pub(super) fn shard_unreadable(&mut self, turn: &mut Turn, log: LogId, why: String) {
        turn.warn(format!(
            "{}-{} cannot be read, its groups are not available: {why}",
            names::GROUP_OFFSETS,
            log.partition
        ));
        self.resign_shard(turn, log.partition);
    }

    /// Gives a shard up: who waits is sent away.
    pub(super) fn resign_shard(&mut self, turn: &mut Turn, shard: i32) {
        self.shards_behind.retain(|log, _| log.partition != shard);
        let answers = self.groups.resign(shard);
        answers.into_iter().for_each(|answer| turn.reply(answer.to, answer.response));
    }

    /// A log of a shard was cut back: what was folded from what is gone must go too.
    pub(super) fn reload_shard(&mut self, turn: &mut Turn, log: LogId) {
        if self.shard_log(log.partition) == Some(log) {
            self.loads.cancel(log);
            self.resign_shard(turn, log.partition);
            self.lead_shard(turn, log.partition);
        }
    }
}
