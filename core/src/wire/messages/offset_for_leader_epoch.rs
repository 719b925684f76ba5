//! OffsetForLeaderEpoch: where leader epochs end.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the end offset of leader epochs.
    struct OffsetForLeaderEpochRequest {
        replica_id: i32, 3.., default -2 => ignorable;
        topics: Vec<OffsetForLeaderTopic>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochRequest`].
    struct OffsetForLeaderTopic {
        topic: String, 0..;
        partitions: Vec<OffsetForLeaderPartition>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochRequest`].
    struct OffsetForLeaderPartition {
        partition: i32, 0..;
        current_leader_epoch: i32, 2.., default -1 => ignorable;
        leader_epoch: i32, 0..;
    }

    /// The end offsets.
    struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32, 2.. => ignorable;
        topics: Vec<OffsetForLeaderTopicResult>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochResponse`].
    struct OffsetForLeaderTopicResult {
        topic: String, 0..;
        partitions: Vec<EpochEndOffset>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochResponse`].
    struct EpochEndOffset {
        error_code: ErrorCode, 0..;
        partition: i32, 0..;
        leader_epoch: i32, 1.., default -1 => ignorable;
        end_offset: i64, 0.., default -1;
    }
}
