//! DeleteRecords: moves the start of partitions forward.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to delete all records below an offset.
    struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>, 0..;
        timeout_ms: i32, 0..;
    }

    /// Part of [`DeleteRecordsRequest`].
    struct DeleteRecordsTopic {
        name: String, 0..;
        partitions: Vec<DeleteRecordsPartition>, 0..;
    }

    /// Part of [`DeleteRecordsRequest`].
    struct DeleteRecordsPartition {
        partition_index: i32, 0..;
        offset: i64, 0..;
    }

    /// The new start of each partition.
    struct DeleteRecordsResponse {
        throttle_time_ms: i32, 0..;
        topics: Vec<DeleteRecordsTopicResult>, 0..;
    }

    /// Part of [`DeleteRecordsResponse`].
    struct DeleteRecordsTopicResult {
        name: String, 0..;
        partitions: Vec<DeleteRecordsPartitionResult>, 0..;
    }

    /// Part of [`DeleteRecordsResponse`].
    struct DeleteRecordsPartitionResult {
        partition_index: i32, 0..;
        low_watermark: i64, 0..;
        error_code: ErrorCode, 0..;
    }
}
