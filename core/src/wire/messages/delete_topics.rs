//! DeleteTopics: removes topics.

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to delete topics by name or by id.
    struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState>, 6..;
        topic_names: Vec<String>, 0..=5 => ignorable;
        timeout_ms: i32, 0..;
    }

    /// Part of [`DeleteTopicsRequest`].
    struct DeleteTopicState {
        name: Option<String>, 6.., null 6..;
        topic_id: TopicId, 6..;
    }

    /// What became of each topic.
    struct DeleteTopicsResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        responses: Vec<DeletableTopicResult>, 0..;
    }

    /// Part of [`DeleteTopicsResponse`].
    struct DeletableTopicResult {
        name: Option<String>, 0.., null 6.., default Some(String::new());
        topic_id: TopicId, 6.. => ignorable;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 5.., null 5.. => ignorable;
    }
}
