//! What shortens logs from the front: DeleteRecords, and retention by time and by size.

use crate::broker::Broker;
use crate::broker::answers::{AnswerId, Part};
use crate::broker::door::Caller;
use crate::broker::lane::Waiting;
use crate::broker::turn::Turn;
use crate::ids::{LogId, Offset};
use crate::log::segments::Retention;
use crate::storage::ops::StoreOp;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

/// DeleteRecords: everything committed.
const HIGH_WATERMARK: i64 = -1;

impl Broker {
    /// Handles DeleteRecords: answered once the new starts are durable.
    pub(super) fn delete_records(&mut self, turn: &mut Turn, to: Caller, request: DeleteRecordsRequest) {
        let mut trimmed = false;
        let mut response = DeleteRecordsResponse::default();
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let done = self.delete_before(turn, &topic.name, asked.partition_index, asked.offset);
                trimmed |= done.is_ok();
                let (error_code, low_watermark) =
                    done.map_or_else(|code| (code, -1), |start| (ErrorCode::NONE, start.0));
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
        let answer: AnswerId = self.answers.reserve();
        self.keep_producers(turn);
        let part = Part { answer, topic: 0, partition: 0 };
        self.lane.store_and_wait(turn, StoreOp::Checkpoint { clean: false }, Waiting::Answer(part));
        self.answers.wait(answer, to, response.into(), 1, None);
    }

    fn delete_before(
        &mut self,
        turn: &mut Turn,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Offset, ErrorCode> {
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
        Ok(self.partitions[&log].log.start())
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
            self.keep_producers_of(turn, log);
            self.lane.store(turn, StoreOp::Trim { log, start: to });
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
