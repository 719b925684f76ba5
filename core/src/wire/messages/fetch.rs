//! Fetch: reads record batches.

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::records::Records;
use crate::wire::table::messages;

messages! {
    /// Asks for record batches of partitions from given offsets on.
    struct FetchRequest {
        replica_id: i32, 0..=14, default -1;
        max_wait_ms: i32, 0..;
        min_bytes: i32, 0..;
        max_bytes: i32, 3.., default i32::MAX => ignorable;
        isolation_level: i8, 4.. => ignorable;
        session_id: i32, 7.. => ignorable;
        session_epoch: i32, 7.., default -1 => ignorable;
        topics: Vec<FetchTopic>, 0..;
        forgotten_topics_data: Vec<ForgottenTopic>, 7..;
        rack_id: String, 11.. => ignorable;
        cluster_id: Option<String>, 12.., null 12.., tag 0 => ignorable;
        replica_state: ReplicaState, 15.., tag 1;
    }

    /// Part of [`FetchRequest`].
    struct ReplicaState {
        replica_id: i32, 15.., default -1;
        replica_epoch: i64, 15.., default -1;
    }

    /// Part of [`FetchRequest`].
    struct FetchTopic {
        topic: String, 0..=12 => ignorable;
        topic_id: TopicId, 13.. => ignorable;
        partitions: Vec<FetchPartition>, 0..;
    }

    /// Part of [`FetchRequest`].
    struct FetchPartition {
        partition: i32, 0..;
        current_leader_epoch: i32, 9.., default -1 => ignorable;
        fetch_offset: i64, 0..;
        last_fetched_epoch: i32, 12.., default -1;
        log_start_offset: i64, 5.., default -1 => ignorable;
        partition_max_bytes: i32, 0..;
    }

    /// Part of [`FetchRequest`].
    struct ForgottenTopic {
        topic: String, 7..=12 => ignorable;
        topic_id: TopicId, 13.. => ignorable;
        partitions: Vec<i32>, 7..;
    }

    /// Record batches of the partitions asked for.
    struct FetchResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 7.. => ignorable;
        session_id: i32, 7..;
        responses: Vec<FetchableTopicResponse>, 0..;
        node_endpoints: Vec<NodeEndpoint>, 16.., tag 0 => dropped;
    }

    /// Part of [`FetchResponse`].
    struct FetchableTopicResponse {
        topic: String, 0..=12 => ignorable;
        topic_id: TopicId, 13.. => ignorable;
        partitions: Vec<PartitionData>, 0..;
    }

    /// Part of [`FetchResponse`].
    struct PartitionData {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
        high_watermark: i64, 0..;
        last_stable_offset: i64, 4.., default -1 => ignorable;
        log_start_offset: i64, 5.., default -1 => ignorable;
        aborted_transactions: Option<Vec<AbortedTransaction>>, 4.., null 4.., default Some(Vec::new()) => ignorable;
        preferred_read_replica: i32, 11.., default -1;
        records: Option<Records>, 0.., null 0.., default Some(Records::default());
        diverging_epoch: EpochEndOffset, 12.., tag 0;
        current_leader: LeaderIdAndEpoch, 12.., tag 1 => dropped;
        snapshot_id: SnapshotId, 12.., tag 2;
    }

    /// Part of [`FetchResponse`].
    struct EpochEndOffset {
        epoch: i32, 12.., default -1;
        end_offset: i64, 12.., default -1;
    }

    /// Part of [`FetchResponse`].
    struct LeaderIdAndEpoch {
        leader_id: i32, 12.., default -1;
        leader_epoch: i32, 12.., default -1;
    }

    /// Part of [`FetchResponse`].
    struct SnapshotId {
        end_offset: i64, 0.., default -1;
        epoch: i32, 0.., default -1;
    }

    /// Part of [`FetchResponse`].
    struct AbortedTransaction {
        producer_id: i64, 4..;
        first_offset: i64, 4..;
    }

    /// Part of [`FetchResponse`].
    struct NodeEndpoint {
        node_id: i32, 16..;
        host: String, 16..;
        port: i32, 16..;
        rack: Option<String>, 16.., null 16..;
    }
}
