//! ElectLeaders: elects preferred leaders, or any where nobody leads.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for elections; with null for all partitions.
    struct ElectLeadersRequest {
        election_type: i8, 1..;
        topic_partitions: Option<Vec<TopicPartitions>>, 0.., null 0.., default Some(Vec::new());
        timeout_ms: i32, 0.., default 60000;
    }

    /// Part of [`ElectLeadersRequest`].
    struct TopicPartitions {
        topic: String, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// What became of each partition.
    struct ElectLeadersResponse {
        throttle_time_ms: i32, 0..;
        error_code: ErrorCode, 1..;
        replica_election_results: Vec<ReplicaElectionResult>, 0..;
    }

    /// Part of [`ElectLeadersResponse`].
    struct ReplicaElectionResult {
        topic: String, 0..;
        partition_result: Vec<PartitionResult>, 0..;
    }

    /// Part of [`ElectLeadersResponse`].
    struct PartitionResult {
        partition_id: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
    }
}
