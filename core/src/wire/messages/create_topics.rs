//! CreateTopics: makes topics.

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for new topics.
    struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>, 0..;
        timeout_ms: i32, 0.., default 60000;
        validate_only: bool, 1..;
    }

    /// Part of [`CreateTopicsRequest`].
    struct CreatableTopic {
        name: String, 0..;
        num_partitions: i32, 0..;
        replication_factor: i16, 0..;
        assignments: Vec<CreatableReplicaAssignment>, 0..;
        configs: Vec<CreatableTopicConfig>, 0..;
    }

    /// Part of [`CreateTopicsRequest`].
    struct CreatableReplicaAssignment {
        partition_index: i32, 0..;
        broker_ids: Vec<i32>, 0..;
    }

    /// Part of [`CreateTopicsRequest`].
    struct CreatableTopicConfig {
        name: String, 0..;
        value: Option<String>, 0.., null 0.., default Some(String::new());
    }

    /// What became of each new topic.
    struct CreateTopicsResponse {
        throttle_time_ms: i32, 2.. => ignorable;
        topics: Vec<CreatableTopicResult>, 0..;
    }

    /// Part of [`CreateTopicsResponse`].
    struct CreatableTopicResult {
        name: String, 0..;
        topic_id: TopicId, 7.. => ignorable;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 1.., null 0.., default Some(String::new()) => ignorable;
        num_partitions: i32, 5.., default -1 => ignorable;
        replication_factor: i16, 5.., default -1 => ignorable;
        configs: Option<Vec<CreatableTopicConfigs>>, 5.., null 5.., default Some(Vec::new()) => ignorable;
        topic_config_error_code: ErrorCode, 5.., tag 0 => ignorable;
    }

    /// Part of [`CreateTopicsResponse`].
    struct CreatableTopicConfigs {
        name: String, 5..;
        value: Option<String>, 5.., null 5.., default Some(String::new());
        read_only: bool, 5..;
        config_source: i8, 5.., default -1 => ignorable;
        is_sensitive: bool, 5..;
    }
}
