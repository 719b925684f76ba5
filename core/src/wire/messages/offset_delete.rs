//! OffsetDelete: removes committed offsets of a group.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to delete committed offsets.
    struct OffsetDeleteRequest {
        group_id: String, 0..;
        topics: Vec<OffsetDeleteRequestTopic>, 0..;
    }

    /// Part of [`OffsetDeleteRequest`].
    struct OffsetDeleteRequestTopic {
        name: String, 0..;
        partitions: Vec<OffsetDeleteRequestPartition>, 0..;
    }

    /// Part of [`OffsetDeleteRequest`].
    struct OffsetDeleteRequestPartition {
        partition_index: i32, 0..;
    }

    /// What became of each partition.
    struct OffsetDeleteResponse {
        error_code: ErrorCode, 0..;
        throttle_time_ms: i32, 0.. => ignorable;
        topics: Vec<OffsetDeleteResponseTopic>, 0..;
    }

    /// Part of [`OffsetDeleteResponse`].
    struct OffsetDeleteResponseTopic {
        name: String, 0..;
        partitions: Vec<OffsetDeleteResponsePartition>, 0..;
    }

    /// Part of [`OffsetDeleteResponse`].
    struct OffsetDeleteResponsePartition {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
    }
}
