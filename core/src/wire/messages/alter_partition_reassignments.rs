//! AlterPartitionReassignments: moves partitions to other replicas, or calls that off.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for other replicas.
    struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32, 0.., default 60000;
        allow_replication_factor_change: bool, 1.., default true;
        topics: Vec<ReassignableTopic>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsRequest`].
    struct ReassignableTopic {
        name: String, 0..;
        partitions: Vec<ReassignablePartition>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsRequest`]. No replicas call a reassignment off.
    struct ReassignablePartition {
        partition_index: i32, 0..;
        replicas: Option<Vec<i32>>, 0.., null 0..;
    }

    /// What became of each partition.
    struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32, 0..;
        allow_replication_factor_change: bool, 1.., default true => ignorable;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
        responses: Vec<ReassignableTopicResponse>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsResponse`].
    struct ReassignableTopicResponse {
        name: String, 0..;
        partitions: Vec<ReassignablePartitionResponse>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsResponse`].
    struct ReassignablePartitionResponse {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
    }
}
