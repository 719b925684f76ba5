//! ListOffsets: finds offsets by timestamp.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the offset of a timestamp, or of the start or the end of partitions.
    struct ListOffsetsRequest {
        replica_id: i32, 0..;
        isolation_level: i8, 2..;
        topics: Vec<ListOffsetsTopic>, 0..;
    }

    /// Part of [`ListOffsetsRequest`].
    struct ListOffsetsTopic {
        name: String, 0..;
        partitions: Vec<ListOffsetsPartition>, 0..;
    }

    /// Part of [`ListOffsetsRequest`].
    struct ListOffsetsPartition {
        partition_index: i32, 0..;
        current_leader_epoch: i32, 4.., default -1 => ignorable;
        timestamp: i64, 0..;
    }

    /// The offset found in each partition.
    struct ListOffsetsResponse {
        throttle_time_ms: i32, 2.. => ignorable;
        topics: Vec<ListOffsetsTopicResponse>, 0..;
    }

    /// Part of [`ListOffsetsResponse`].
    struct ListOffsetsTopicResponse {
        name: String, 0..;
        partitions: Vec<ListOffsetsPartitionResponse>, 0..;
    }

    /// Part of [`ListOffsetsResponse`].
    struct ListOffsetsPartitionResponse {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
        timestamp: i64, 1.., default -1;
        offset: i64, 1.., default -1;
        leader_epoch: i32, 4.., default -1 => dropped;
    }
}
