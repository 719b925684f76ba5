//! What shortens logs from the front: DeleteRecords, and retention by time and by size.

use crate::broker::Broker;
use crate::broker::answers::{AnswerId, Part, Pending};
use crate::broker::door::Caller;
use crate::broker::lane::Waiting;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::ids::{LogId, Offset};
use crate::log::segments::Retention;
use crate::replica::Role;
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

/// DeleteRecords: everything committed.
const HIGH_WATERMARK: i64 = -1;

impl Broker {
    /// Handles DeleteRecords: answered once the new starts are durable, here and at every other in-sync replica, so that nothing of what
    /// is deleted comes back with another leader (Kafka: `DelayedDeleteRecords`).
    pub(super) fn delete_records(&mut self, turn: &mut Turn, to: Caller, request: DeleteRecordsRequest) {
        let answer = self.answers.reserve();
        let (mut trimmed, mut others) = (false, 0);
        let mut response = DeleteRecordsResponse::default();
        for (t, topic) in request.topics.into_iter().enumerate() {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (p, asked) in topic.partitions.iter().enumerate() {
                let done = self.delete_before(turn, &topic.name, asked.partition_index, asked.offset);
                trimmed |= done.is_ok();
                let part = Part { answer, topic: t, partition: p };
                others += usize::from(done.is_ok_and(|(log, start)| self.waits_for_others(log, start, part)));
                let (error_code, low_watermark) =
                    done.map_or_else(|code| (code, -1), |(_, start)| (ErrorCode::NONE, start.0));
                partitions.push(DeleteRecordsPartitionResult {
                    partition_index: asked.partition_index,
                    low_watermark,
                    error_code,
                });
            }
            response.topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
        }
        if !trimmed {
            return turn.reply(to, response.into());
        }
        self.store_checkpoint(turn, Waiting::Answer(answer));
        let deadline = (others > 0).then(|| turn.now.mono.after_ms(i64::from(request.timeout_ms)));
        self.answers.wait(answer, to, response.into(), 1 + others, deadline);
    }

    /// Lets part of an answer wait until a log starts there at the other replicas too. Answers whether there are any.
    fn waits_for_others(&mut self, log: LogId, start: Offset, part: Part) -> bool {
        let Some(partition) = self.partitions.get_mut(&log) else { return false };
        let waits = matches!(&partition.role, Role::Leads(leading) if leading.is_shared());
        if waits {
            partition.deleting.push(start, part);
            self.replication.touch(log);
        }
        waits
    }

    /// The low watermark of a log that is led here is there: whoever waits for it is told so.
    pub(super) fn deleted(&mut self, turn: &mut Turn, log: LogId, low: Offset) {
        while let Some(part) = self.partitions.get_mut(&log).and_then(|p| p.deleting.pop(low)) {
            if let Some(Pending { response: Response::DeleteRecords(response), .. }) =
                self.answers.get_mut(part.answer)
            {
                response.topics[part.topic].partitions[part.partition].low_watermark = low.0;
            }
            self.part_done(turn, part);
        }
    }

    /// The disk here cannot keep the new starts: nothing of the answer is so.
    pub(super) fn deletion_failed(&mut self, turn: &mut Turn, answer: AnswerId) {
        let Some(Pending { to, mut response, .. }) = self.answers.take(answer) else { return };
        if let Response::DeleteRecords(response) = &mut response {
            for slot in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                if slot.error_code.is_none() {
                    (slot.error_code, slot.low_watermark) = (ErrorCode::KAFKA_STORAGE_ERROR, -1);
                }
            }
        }
        turn.reply(to, response);
    }

    /// Writes into an answer whose time has run out for which partitions something is missing yet: their starts have moved, and may come
    /// back with another leader. Until now each has the start that it waits for.
    pub(super) fn deletion_timed_out(&self, response: &mut DeleteRecordsResponse) {
        for topic in &mut response.topics {
            for slot in topic.partitions.iter_mut().filter(|slot| slot.error_code.is_none()) {
                let log = self.log_of(&topic.name, slot.partition_index).ok();
                let low = log.and_then(|log| match &self.partitions.get(&log)?.role {
                    Role::Leads(leading) => Some(leading.low().0),
                    Role::Follows(_) | Role::Idle => None,
                });
                if matches!(self.phase, Phase::Dead(_)) {
                    (slot.error_code, slot.low_watermark) = (ErrorCode::KAFKA_STORAGE_ERROR, -1);
                } else if low.is_none_or(|low| low < slot.low_watermark) {
                    (slot.error_code, slot.low_watermark) = (ErrorCode::REQUEST_TIMED_OUT, low.unwrap_or(-1));
                }
            }
        }
    }

    fn delete_before(
        &mut self,
        turn: &mut Turn,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(LogId, Offset), ErrorCode> {
        let log = self.log_of(topic, partition)?;
        let high = self.usable(log).map_err(|(code, _)| code)?.log.high();
        if !self.topic_config(log.topic).deletes {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let to = if offset == HIGH_WATERMARK { high } else { Offset(offset) };
        if to < Offset(0) || to > high {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.trim(turn, log, to);
        Ok((log, self.partitions[&log].log.start()))
    }

    /// Moves the start of a log forward. Its producers are kept first: a start rebuilds them from the batches that were
    /// appended since they last were, and those may be among what goes.
    pub(super) fn trim(&mut self, turn: &mut Turn, log: LogId, to: Offset) {
        let partition = self.partitions.get_mut(&log).expect("a partition that is here");
        if partition.log.raise_start(to) {
            if to == partition.log.end() {
                // Nothing is left in the active segment: what comes next begins a new one, so that this one can go.
                partition.log.roll_next();
            }
            match &partition.role {
                Role::Leads(_) => self.replication.serving.changed(log),
                Role::Follows(_) => self.upkeep.trimmed(),
                Role::Idle => {}
            }
            self.keep_producers_of(turn, log);
            self.lane.trim(turn, log, to);
        }
    }

    /// A log here starts durably there.
    pub(super) fn start_kept(&mut self, log: LogId, start: Offset) {
        let Some(partition) = self.partitions.get_mut(&log) else { return };
        partition.log.start_kept(start);
        match &partition.role {
            Role::Leads(_) => self.replication.touch(log),
            Role::Follows(following) => self.replication.followed_changed(following.leader(), log),
            Role::Idle => {}
        }
    }

    /// What was under way for a log did not count: its start is moved again, unless it is kept. Of a broker alone nobody waits for it.
    pub(super) fn trim_again(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get(&log).filter(|_| !self.is_alone()) else { return };
        let (start, unkept) = (partition.log.start(), partition.log.start() > partition.log.kept_start());
        // One that has yet to begin anew is kept with that.
        if log != LogId::METADATA && unkept && partition.log.flushed() >= start {
            self.upkeep.trimmed();
            self.lane.trim(turn, log, start);
        }
    }

    /// Applies the retention of one log.
    pub(super) fn retain(&mut self, turn: &mut Turn, log: LogId) {
        let config = self.topic_config(log.topic);
        if !config.deletes || log == LogId::METADATA || self.usable(log).is_err() {
            return;
        }
        let keep = Retention { age_ms: config.retention_ms, bytes: config.retention_bytes };
        let partition = &self.partitions[&log];
        let expired = partition.log.segments().expired(keep, turn.now.wall, partition.log.end());
        let Some(to) =
            expired.map(|to| to.min(partition.log.high())).filter(|to| *to > partition.log.start())
        else {
            return;
        };
        turn.info(format!(
            "{}-{}: retention moves the start of the log to offset {to}",
            partition.topic, log.partition
        ));
        self.trim(turn, log, to);
    }
}
