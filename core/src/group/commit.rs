//! OffsetCommit and OffsetDelete: what a group has read becomes a fact, or is forgotten.

use super::facts::{Committed, Id, offset_committed, offset_removed};
use super::state::{Group, State};
use super::subscription;
use super::turn::Turn;
use crate::time::{Now, Timestamp};
use crate::wire::ErrorCode;
use crate::wire::messages::offset_commit as oc;
use crate::wire::messages::offset_delete as od;

/// What a group must know of the cluster's topics.
pub trait TopicView {
    /// How many partitions a topic has, if there is such a topic.
    fn partitions(&self, topic: &str) -> Option<i32>;
}

/// Whether that topic has that partition.
pub(crate) fn exists(topics: &dyn TopicView, topic: &str, partition: i32) -> bool {
    topics.partitions(topic).is_some_and(|count| (0..count).contains(&partition))
}

impl Group {
    /// Whether a commit by that member in that generation may be taken (`ClassicGroup.validateOffsetCommit`).
    pub(crate) fn check_commit(&self, request: &oc::OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let instance = request.group_instance_id.as_deref();
        if generation < 0 && self.state == State::Empty {
            // An administrator, or a consumer that assigns itself: while nobody is in the group it may.
            return Ok(());
        }
        if generation < 0 && request.member_id.is_empty() && instance.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.roster.check(&request.member_id, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A commit proves that its member lives.
    pub(crate) fn commit_is_heartbeat(&self, turn: &mut Turn<'_>, member: &str) {
        if matches!(self.state, State::Stable | State::PreparingRebalance)
            && let Some((id, _)) = self.roster.members.get_key_value(member)
        {
            self.heard_of(turn, id);
        }
    }

    /// Removes committed offsets that nobody in the group could still need (`OffsetMetadataManager.deleteOffsets`).
    pub(crate) fn delete_offsets(
        &self,
        turn: &mut Turn<'_>,
        request: od::OffsetDeleteRequest,
        topics: &dyn TopicView,
    ) -> od::OffsetDeleteResponse {
        let consumers = self.roster.protocol_type.as_deref() == Some(subscription::CONSUMER);
        if self.state != State::Empty && !consumers {
            return od::OffsetDeleteResponse { error_code: ErrorCode::NON_EMPTY_GROUP, ..Default::default() };
        }
        let subscribed = subscription::of_group(&self.roster, self.protocol.as_deref());
        // Members whose subscription cannot be read may subscribe to anything.
        let is_read = |topic: &str| {
            self.state != State::Empty && subscribed.as_ref().is_none_or(|all| all.contains(topic))
        };
        let mut delete = |topic: &str, partition: i32| {
            if !exists(topics, topic, partition) {
                return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            } else if is_read(topic) {
                return ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
            } else if self.offsets.get(topic).is_some_and(|p| p.contains_key(&partition)) {
                turn.record(offset_removed(&self.id, topic, partition));
            }
            ErrorCode::NONE
        };
        let answer = request.topics.into_iter().map(|topic| od::OffsetDeleteResponseTopic {
            partitions: topic
                .partitions
                .iter()
                .map(|p| od::OffsetDeleteResponsePartition {
                    partition_index: p.partition_index,
                    error_code: delete(&topic.name, p.partition_index),
                })
                .collect(),
            name: topic.name,
        });
        od::OffsetDeleteResponse { topics: answer.collect(), ..Default::default() }
    }
}

/// Decides each partition of a commit; `verdict` is what the group says of the whole.
pub(crate) fn commit(
    turn: &mut Turn<'_>,
    request: oc::OffsetCommitRequest,
    verdict: Result<(), ErrorCode>,
    topics: &dyn TopicView,
) -> oc::OffsetCommitResponse {
    let group = Id::from(request.group_id);
    let expires = expiry(turn.now, request.retention_time_ms);
    let mut decide = |topic: &str, p: oc::OffsetCommitRequestPartition| {
        if !exists(topics, topic, p.partition_index) {
            return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        }
        if let Err(error) = verdict {
            return error;
        }
        let metadata = p.committed_metadata.unwrap_or_default();
        if is_longer(&metadata, turn.config.offset_metadata_max_bytes) {
            return ErrorCode::OFFSET_METADATA_TOO_LARGE;
        }
        let (offset, leader_epoch) = (p.committed_offset, p.committed_leader_epoch);
        let value = Committed { offset, leader_epoch, metadata, committed: turn.now.wall, expires };
        turn.record(offset_committed(&group, topic, p.partition_index, &value));
        ErrorCode::NONE
    };
    let answer = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|p| oc::OffsetCommitResponsePartition {
            partition_index: p.partition_index,
            error_code: decide(&topic.name, p),
        });
        let partitions = partitions.collect();
        oc::OffsetCommitResponseTopic { name: topic.name, partitions }
    });
    oc::OffsetCommitResponse { topics: answer.collect(), ..Default::default() }
}

/// Up to v4 a client could ask for a retention of its own; a negative one says that it does not.
fn expiry(now: Now, retention_time_ms: i64) -> Option<Timestamp> {
    (retention_time_ms >= 0).then(|| Timestamp(now.wall.0.saturating_add(retention_time_ms)))
}

/// Whether a text has more UTF-16 units than that, which is how Kafka counts.
fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && text.encode_utf16().count() > most
}
