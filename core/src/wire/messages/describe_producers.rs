//! DescribeProducers: idempotent producers that partitions know.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the producers active in partitions.
    struct DescribeProducersRequest {
        topics: Vec<TopicRequest>, 0..;
    }

    /// Part of [`DescribeProducersRequest`].
    struct TopicRequest {
        name: String, 0..;
        partition_indexes: Vec<i32>, 0..;
    }

    /// The producers.
    struct DescribeProducersResponse {
        throttle_time_ms: i32, 0..;
        topics: Vec<TopicResponse>, 0..;
    }

    /// Part of [`DescribeProducersResponse`].
    struct TopicResponse {
        name: String, 0..;
        partitions: Vec<PartitionResponse>, 0..;
    }

    /// Part of [`DescribeProducersResponse`].
    struct PartitionResponse {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
        active_producers: Vec<ProducerState>, 0..;
    }

    /// Part of [`DescribeProducersResponse`].
    struct ProducerState {
        producer_id: i64, 0..;
        producer_epoch: i32, 0..;
        last_sequence: i32, 0.., default -1;
        last_timestamp: i64, 0.., default -1;
        coordinator_epoch: i32, 0..;
        current_txn_start_offset: i64, 0.., default -1;
    }
}
