//! CreatePartitions: adds partitions to topics.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for more partitions.
    struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>, 0..;
        timeout_ms: i32, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`CreatePartitionsRequest`].
    struct CreatePartitionsTopic {
        name: String, 0..;
        count: i32, 0..;
        assignments: Option<Vec<CreatePartitionsAssignment>>, 0.., null 0.., default Some(Vec::new());
    }

    /// Part of [`CreatePartitionsRequest`].
    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>, 0..;
    }

    /// What became of each topic.
    struct CreatePartitionsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<CreatePartitionsTopicResult>, 0..;
    }

    /// Part of [`CreatePartitionsResponse`].
    struct CreatePartitionsTopicResult {
        name: String, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
    }
}
