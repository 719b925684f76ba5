//! DescribeQuorum: who leads the metadata quorum, and how far its voters are.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the state of a quorum.
    struct DescribeQuorumRequest {
        topics: Vec<DescribeQuorumRequestTopic>, 0..;
    }

    /// Part of [`DescribeQuorumRequest`].
    struct DescribeQuorumRequestTopic {
        topic_name: String, 0..;
        partitions: Vec<DescribeQuorumRequestPartition>, 0..;
    }

    /// Part of [`DescribeQuorumRequest`].
    struct DescribeQuorumRequestPartition {
        partition_index: i32, 0..;
    }

    /// The state of a quorum.
    struct DescribeQuorumResponse {
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 2.., null 2.., default Some(String::new()) => ignorable;
        topics: Vec<DescribeQuorumResponseTopic>, 0..;
        nodes: Vec<DescribeQuorumResponseNode>, 2.. => dropped;
    }

    /// Part of [`DescribeQuorumResponse`].
    struct DescribeQuorumResponseTopic {
        topic_name: String, 0..;
        partitions: Vec<DescribeQuorumResponsePartition>, 0..;
    }

    /// Part of [`DescribeQuorumResponse`].
    struct DescribeQuorumResponsePartition {
        partition_index: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 2.., null 2.., default Some(String::new()) => ignorable;
        leader_id: i32, 0..;
        leader_epoch: i32, 0..;
        high_watermark: i64, 0..;
        current_voters: Vec<ReplicaState>, 0..;
        observers: Vec<ReplicaState>, 0..;
    }

    /// Part of [`DescribeQuorumResponse`].
    struct ReplicaState {
        replica_id: i32, 0..;
        replica_directory_id: [u8; 16], 2.. => dropped;
        log_end_offset: i64, 0..;
        last_fetch_timestamp: i64, 1.., default -1 => ignorable;
        last_caught_up_timestamp: i64, 1.., default -1 => ignorable;
    }

    /// Part of [`DescribeQuorumResponse`].
    struct DescribeQuorumResponseNode {
        node_id: i32, 2..;
        listeners: Vec<DescribeQuorumResponseListener>, 2..;
    }

    /// Part of [`DescribeQuorumResponse`].
    struct DescribeQuorumResponseListener {
        name: String, 2..;
        host: String, 2..;
        port: u16, 2..;
    }
}
