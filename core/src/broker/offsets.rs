//! ListOffsets and OffsetForLeaderEpoch: from timestamps and epochs to offsets.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::answers::{AnswerId, Part};
use crate::broker::door::{Caller, Effect};
use crate::broker::fetch::check_epoch;
use crate::broker::once::repeated;
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica};
use crate::ids::{ConnId, LeaderEpoch, LogId, LookupId, Offset};
use crate::storage::ops::{Found, Lookup};
use crate::time::Timestamp;
use crate::wire::Response;
use crate::wire::dialect::Dialect;
use crate::wire::error::ErrorCode;
use crate::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use crate::wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Questions to the time index that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    next: u64,
    under_way: BTreeMap<LookupId, (Caller, Part)>,
}

impl Lookups {
    /// Forgets the questions of a connection that is gone.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.under_way.retain(|_, (to, _)| to.conn != conn);
    }

    fn ask(&mut self, to: Caller, part: Part) -> LookupId {
        self.next += 1;
        self.under_way.insert(LookupId(self.next), (to, part));
        LookupId(self.next)
    }
}

/// What one partition is answered: at once, or after a look at the time index.
enum Answer {
    Now { timestamp: i64, offset: i64, epoch: i32 },
    Look(Lookup, Offset),
}

const NO_MATCH: Answer = Answer::Now { timestamp: -1, offset: -1, epoch: -1 };

impl Broker {
    /// Handles ListOffsets.
    pub(super) fn list_offsets(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        dialect: Dialect,
        request: ListOffsetsRequest,
    ) {
        let answer = self.answers.reserve();
        let mut looks = 0;
        let twice = asked_twice(&request);
        let mut response = ListOffsetsResponse::default();
        let committed = request.isolation_level == 1;
        for (t, topic) in request.topics.into_iter().enumerate() {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (p, asked) in topic.partitions.iter().enumerate() {
                let again = !twice.is_empty() && twice.contains(&(topic.name.clone(), asked.partition_index));
                let result = if again {
                    Err(ErrorCode::INVALID_REQUEST)
                } else {
                    self.list_one(&topic.name, asked, dialect, committed)
                };
                if let Ok((log, Answer::Look(what, below))) = result {
                    let part = Part { answer, topic: t, partition: p };
                    let lookup = self.lookups.ask(to, part);
                    turn.out.push(Effect::Look { lookup, log, what, below });
                    looks += 1;
                }
                partitions.push(listed(asked.partition_index, result.map(|(_, a)| a)));
            }
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
        match looks {
            0 => turn.reply(to, response.into()),
            parts => self.answers.wait(answer, to, response.into(), parts, None),
        }
    }

    fn list_one(
        &self,
        topic: &str,
        asked: &ListOffsetsPartition,
        dialect: Dialect,
        committed: bool,
    ) -> Result<(LogId, Answer), ErrorCode> {
        let log = self.log_of(topic, asked.partition_index)?;
        let partition = self.usable(log).map_err(|(code, _)| code)?;
        check_epoch(partition, asked.current_leader_epoch)?;
        let end = if committed { partition.log.stable() } else { partition.log.high() };
        if !partition.knows_end() && !matches!(asked.timestamp, EARLIEST | EARLIEST_LOCAL | LATEST_TIERED) {
            // A new leader may not know yet all that was committed before: no offset that was told must seem to go back (KIP-207).
            return Err(if dialect.list_offsets_knows_new_leaders {
                ErrorCode::OFFSET_NOT_AVAILABLE
            } else {
                ErrorCode::LEADER_NOT_AVAILABLE
            });
        }
        let at = |offset: Offset| Answer::Now {
            timestamp: -1,
            offset: offset.0,
            epoch: epoch_at(partition, offset),
        };
        let answer = match asked.timestamp {
            LATEST => at(end),
            EARLIEST => at(partition.log.start()),
            special if special < 0 && special < dialect.list_offsets_lowest => {
                return Err(ErrorCode::UNSUPPORTED_VERSION);
            }
            MAX_TIMESTAMP => Answer::Look(Lookup::MaxTimestamp, end),
            EARLIEST_LOCAL => at(partition.log.start()),
            // Nothing is ever tiered here.
            LATEST_TIERED => NO_MATCH,
            unknown if unknown < 0 => return Err(ErrorCode::UNSUPPORTED_VERSION),
            timestamp => Answer::Look(Lookup::AtOrAfter(Timestamp(timestamp)), end),
        };
        Ok((log, answer))
    }

    /// An index has answered.
    pub(super) fn looked(
        &mut self,
        turn: &mut Turn,
        lookup: LookupId,
        result: Result<Option<Found>, String>,
    ) {
        let Some((to, part)) = self.lookups.under_way.remove(&lookup) else { return };
        if let Some(pending) = self.answers.get_mut(part.answer)
            && let Response::ListOffsets(response) = &mut pending.response
        {
            let slot = &mut response.topics[part.topic].partitions[part.partition];
            match result {
                Ok(Some(found)) => {
                    (slot.timestamp, slot.offset, slot.leader_epoch) =
                        (found.timestamp.0, found.offset.0, found.epoch.0);
                }
                Ok(None) => {}
                Err(why) => {
                    turn.warn(format!("a time index cannot be read: {why}"));
                    slot.error_code = ErrorCode::KAFKA_STORAGE_ERROR;
                }
            }
        }
        self.answer_part(turn, to, part.answer);
    }

    fn answer_part(&mut self, turn: &mut Turn, to: Caller, answer: AnswerId) {
        if let Some(pending) = self.answers.part_done(answer) {
            turn.reply(to, pending.response);
        }
    }

    /// Handles OffsetForLeaderEpoch (KIP-320).
    pub(super) fn offset_for_leader_epoch(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: OffsetForLeaderEpochRequest,
    ) {
        let mut response = OffsetForLeaderEpochResponse::default();
        for topic in request.topics {
            let partitions =
                topic.partitions.iter().map(|asked| self.epoch_end(&topic.topic, asked)).collect();
            response.topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
        }
        turn.reply(to, response.into());
    }

    fn epoch_end(&self, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
        let found = self.log_of(topic, asked.partition).and_then(|log| {
            let partition = self.usable(log).map_err(|(code, _)| code)?;
            check_epoch(partition, asked.current_leader_epoch)?;
            // The end and not the high watermark, as in Kafka: a leader that does not know all yet that was committed before
            // would tell a consumer that what it has read is gone.
            let end = partition.log.end();
            Ok(partition.log.epochs().end_of(LeaderEpoch(asked.leader_epoch), partition.epoch, end))
        });
        let (error_code, end) = match found {
            Ok(end) => (ErrorCode::NONE, end),
            Err(code) => (code, None),
        };
        let (leader_epoch, end_offset) = end.map_or((-1, -1), |(epoch, offset)| (epoch.0, offset.0));
        EpochEndOffset { error_code, partition: asked.partition, leader_epoch, end_offset }
    }

    /// The log of a partition by name.
    pub(super) fn log_of(&self, topic: &str, partition: i32) -> Result<LogId, ErrorCode> {
        let state = self.controller.image().topic(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let exists = usize::try_from(partition).is_ok_and(|i| i < state.partitions.len());
        if exists {
            Ok(LogId { topic: state.id, partition })
        } else {
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
    }
}

/// The partitions that a request names more than once: none of the times is answered.
fn asked_twice(request: &ListOffsetsRequest) -> BTreeSet<(String, i32)> {
    let all = request.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.name, p.partition_index)));
    repeated(all).into_iter().map(|(name, index)| (name.clone(), index)).collect()
}

fn listed(partition_index: i32, result: Result<Answer, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (error_code, (timestamp, offset, leader_epoch)) = match result {
        Ok(Answer::Now { timestamp, offset, epoch }) => (ErrorCode::NONE, (timestamp, offset, epoch)),
        Ok(Answer::Look(..)) => (ErrorCode::NONE, (-1, -1, -1)),
        Err(code) => (code, (-1, -1, -1)),
    };
    ListOffsetsPartitionResponse { partition_index, error_code, timestamp, offset, leader_epoch }
}

/// The epoch of the record at an offset, not the leader's: what a consumer commits with it must lead back to it. At the end
/// of the log, where no record is yet, the leader's.
fn epoch_at(partition: &Replica, offset: Offset) -> i32 {
    if offset >= partition.log.end() {
        return partition.epoch.0;
    }
    partition.log.epochs().of(offset).map_or(partition.epoch.0, |e| e.0)
}
