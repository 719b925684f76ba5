//! DescribeTopicPartitions: topics and partitions, page by page.

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for a page of topics and their partitions.
    struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>, 0..;
        response_partition_limit: i32, 0.., default 2000;
        cursor: Option<DescribeTopicPartitionsRequestCursor>, 0.., null 0..;
    }

    /// Part of [`DescribeTopicPartitionsRequest`].
    struct TopicRequest {
        name: String, 0..;
    }

    /// Part of [`DescribeTopicPartitionsRequest`].
    struct DescribeTopicPartitionsRequestCursor {
        topic_name: String, 0..;
        partition_index: i32, 0..;
    }

    /// A page of topics and their partitions.
    struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32, 0.. => ignorable;
        topics: Vec<DescribeTopicPartitionsResponseTopic>, 0..;
        next_cursor: Option<DescribeTopicPartitionsResponseCursor>, 0.., null 0..;
    }

    /// Part of [`DescribeTopicPartitionsResponse`].
    struct DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode, 0..;
        name: Option<String>, 0.., null 0.., default Some(String::new());
        topic_id: TopicId, 0.. => ignorable;
        is_internal: bool, 0.. => ignorable;
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, 0..;
        topic_authorized_operations: i32, 0.., default i32::MIN;
    }

    /// Part of [`DescribeTopicPartitionsResponse`].
    struct DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 0.., default -1 => ignorable;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        eligible_leader_replicas: Option<Vec<i32>>, 0.., null 0..;
        last_known_elr: Option<Vec<i32>>, 0.., null 0..;
        offline_replicas: Vec<i32>, 0.. => ignorable;
    }

    /// Part of [`DescribeTopicPartitionsResponse`].
    struct DescribeTopicPartitionsResponseCursor {
        topic_name: String, 0..;
        partition_index: i32, 0..;
    }
}
