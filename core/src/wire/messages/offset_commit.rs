//! OffsetCommit: keeps the positions of a consumer group.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Commits offsets of a group.
    struct OffsetCommitRequest {
        group_id: String, 0..;
        generation_id_or_member_epoch: i32, 1.., default -1 => ignorable;
        member_id: String, 1.. => ignorable;
        group_instance_id: Option<String>, 7.., null 7..;
        retention_time_ms: i64, 2..=4, default -1 => ignorable;
        topics: Vec<OffsetCommitRequestTopic>, 0..;
    }

    /// Part of [`OffsetCommitRequest`].
    struct OffsetCommitRequestTopic {
        name: String, 0..=9 => ignorable;
        partitions: Vec<OffsetCommitRequestPartition>, 0..;
    }

    /// Part of [`OffsetCommitRequest`].
    struct OffsetCommitRequestPartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 6.., default -1 => ignorable;
        committed_metadata: Option<String>, 0.., null 0.., default Some(String::new());
    }

    /// What became of each committed offset.
    struct OffsetCommitResponse {
        throttle_time_ms: i32, 3.. => ignorable;
        topics: Vec<OffsetCommitResponseTopic>, 0..;
    }

    /// Part of [`OffsetCommitResponse`].
    struct OffsetCommitResponseTopic {
        name: String, 0..=9 => ignorable;
        partitions: Vec<OffsetCommitResponsePartition>, 0..;
    }

    /// Part of [`OffsetCommitResponse`].
    struct OffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
    }
}
