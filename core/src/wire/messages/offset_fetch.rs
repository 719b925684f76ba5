//! OffsetFetch: the kept positions of consumer groups.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the committed offsets of groups.
    struct OffsetFetchRequest {
        group_id: String, 0..=7;
        topics: Option<Vec<OffsetFetchRequestTopic>>, 0..=7, null 2..=7, default Some(Vec::new());
        groups: Vec<OffsetFetchRequestGroup>, 8..;
        require_stable: bool, 7..;
    }

    /// Part of [`OffsetFetchRequest`].
    struct OffsetFetchRequestTopic {
        name: String, 0..=7;
        partition_indexes: Vec<i32>, 0..=7;
    }

    /// Part of [`OffsetFetchRequest`].
    struct OffsetFetchRequestGroup {
        group_id: String, 8..;
        member_id: Option<String>, 9.., null 9.. => ignorable;
        member_epoch: i32, 9.., default -1 => ignorable;
        topics: Option<Vec<OffsetFetchRequestTopics>>, 8.., null 8.., default Some(Vec::new());
    }

    /// Part of [`OffsetFetchRequest`].
    struct OffsetFetchRequestTopics {
        name: String, 8..=9 => ignorable;
        partition_indexes: Vec<i32>, 8..;
    }

    /// The committed offsets.
    struct OffsetFetchResponse {
        throttle_time_ms: i32, 3.. => ignorable;
        topics: Vec<OffsetFetchResponseTopic>, 0..=7;
        error_code: ErrorCode, 2..=7 => ignorable;
        groups: Vec<OffsetFetchResponseGroup>, 8..;
    }

    /// Part of [`OffsetFetchResponse`].
    struct OffsetFetchResponseTopic {
        name: String, 0..=7;
        partitions: Vec<OffsetFetchResponsePartition>, 0..=7;
    }

    /// Part of [`OffsetFetchResponse`].
    struct OffsetFetchResponsePartition {
        partition_index: i32, 0..=7;
        committed_offset: i64, 0..=7;
        committed_leader_epoch: i32, 5..=7, default -1 => ignorable;
        metadata: Option<String>, 0..=7, null 0..=7, default Some(String::new());
        error_code: ErrorCode, 0..=7;
    }

    /// Part of [`OffsetFetchResponse`].
    struct OffsetFetchResponseGroup {
        group_id: String, 8..;
        topics: Vec<OffsetFetchResponseTopics>, 8..;
        error_code: ErrorCode, 8..;
    }

    /// Part of [`OffsetFetchResponse`].
    struct OffsetFetchResponseTopics {
        name: String, 8..=9 => ignorable;
        partitions: Vec<OffsetFetchResponsePartitions>, 8..;
    }

    /// Part of [`OffsetFetchResponse`].
    struct OffsetFetchResponsePartitions {
        partition_index: i32, 8..;
        committed_offset: i64, 8..;
        committed_leader_epoch: i32, 8.., default -1 => ignorable;
        metadata: Option<String>, 8.., null 8.., default Some(String::new());
        error_code: ErrorCode, 8..;
    }
}
