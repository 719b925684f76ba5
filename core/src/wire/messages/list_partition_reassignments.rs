//! ListPartitionReassignments: which partitions are on their way to other replicas.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the reassignments under way; with null for all of them.
    struct ListPartitionReassignmentsRequest {
        timeout_ms: i32, 0.., default 60000;
        topics: Option<Vec<ListPartitionReassignmentsTopics>>, 0.., null 0..;
    }

    /// Part of [`ListPartitionReassignmentsRequest`].
    struct ListPartitionReassignmentsTopics {
        name: String, 0..;
        partition_indexes: Vec<i32>, 0..;
    }

    /// The reassignments under way.
    struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
        topics: Vec<OngoingTopicReassignment>, 0..;
    }

    /// Part of [`ListPartitionReassignmentsResponse`].
    struct OngoingTopicReassignment {
        name: String, 0..;
        partitions: Vec<OngoingPartitionReassignment>, 0..;
    }

    /// Part of [`ListPartitionReassignmentsResponse`].
    struct OngoingPartitionReassignment {
        partition_index: i32, 0..;
        replicas: Vec<i32>, 0..;
        adding_replicas: Vec<i32>, 0..;
        removing_replicas: Vec<i32>, 0..;
    }
}
