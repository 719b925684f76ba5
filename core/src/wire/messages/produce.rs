//! Produce: appends record batches to partitions.

use bytes::Bytes;

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Appends record batches to partitions of which this broker is the leader.
    struct ProduceRequest {
        transactional_id: Option<String>, 3.., null 3..;
        acks: i16, 0..;
        timeout_ms: i32, 0..;
        topic_data: Vec<TopicProduceData>, 0..;
    }

    /// Part of [`ProduceRequest`].
    struct TopicProduceData {
        name: String, 0..=12 => ignorable;
        partition_data: Vec<PartitionProduceData>, 0..;
    }

    /// Part of [`ProduceRequest`].
    struct PartitionProduceData {
        index: i32, 0..;
        records: Option<Bytes> as records, 0.., null 0..;
    }

    /// What became of each appended batch.
    struct ProduceResponse {
        responses: Vec<TopicProduceResponse>, 0..;
        throttle_time_ms: i32, 1.. => ignorable;
        node_endpoints: Vec<NodeEndpoint>, 10.., tag 0 => dropped;
    }

    /// Part of [`ProduceResponse`].
    struct TopicProduceResponse {
        name: String, 0..=12 => ignorable;
        partition_responses: Vec<PartitionProduceResponse>, 0..;
    }

    /// Part of [`ProduceResponse`].
    struct PartitionProduceResponse {
        index: i32, 0..;
        error_code: ErrorCode, 0..;
        base_offset: i64, 0..;
        log_append_time_ms: i64, 2.., default -1 => ignorable;
        log_start_offset: i64, 5.., default -1 => ignorable;
        record_errors: Vec<BatchIndexAndErrorMessage>, 8.. => ignorable;
        error_message: Option<String>, 8.., null 8.. => ignorable;
        current_leader: LeaderIdAndEpoch, 10.., tag 0 => dropped;
    }

    /// Part of [`ProduceResponse`].
    struct BatchIndexAndErrorMessage {
        batch_index: i32, 8..;
        batch_index_error_message: Option<String>, 8.., null 8..;
    }

    /// Part of [`ProduceResponse`].
    struct LeaderIdAndEpoch {
        leader_id: i32, 10.., default -1;
        leader_epoch: i32, 10.., default -1;
    }

    /// Part of [`ProduceResponse`].
    struct NodeEndpoint {
        node_id: i32, 10..;
        host: String, 10..;
        port: i32, 10..;
        rack: Option<String>, 10.., null 10..;
    }
}
