//! Metadata: brokers, topics, partitions and their leaders.

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks who leads which partition, and may create topics that do not exist.
    struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>>, 0.., null 1.., default Some(Vec::new());
        allow_auto_topic_creation: bool, 4.., default true;
        include_cluster_authorized_operations: bool, 8..=10;
        include_topic_authorized_operations: bool, 8..;
    }

    /// Part of [`MetadataRequest`].
    struct MetadataRequestTopic {
        topic_id: TopicId, 10.. => ignorable;
        name: Option<String>, 0.., null 10.., default Some(String::new());
    }

    /// The cluster as clients need to know it.
    struct MetadataResponse {
        throttle_time_ms: i32, 3.. => ignorable;
        brokers: Vec<MetadataResponseBroker>, 0..;
        cluster_id: Option<String>, 2.., null 2.. => ignorable;
        controller_id: i32, 1.., default -1 => ignorable;
        topics: Vec<MetadataResponseTopic>, 0..;
        cluster_authorized_operations: i32, 8..=10, default i32::MIN;
        error_code: ErrorCode, 13.. => ignorable;
    }

    /// Part of [`MetadataResponse`].
    struct MetadataResponseBroker {
        node_id: i32, 0..;
        host: String, 0..;
        port: i32, 0..;
        rack: Option<String>, 1.., null 1.. => ignorable;
    }

    /// Part of [`MetadataResponse`].
    struct MetadataResponseTopic {
        error_code: ErrorCode, 0..;
        name: Option<String>, 0.., null 12.., default Some(String::new());
        topic_id: TopicId, 10.. => ignorable;
        is_internal: bool, 1.. => ignorable;
        partitions: Vec<MetadataResponsePartition>, 0..;
        topic_authorized_operations: i32, 8.., default i32::MIN;
    }

    /// Part of [`MetadataResponse`].
    struct MetadataResponsePartition {
        error_code: ErrorCode, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 7.., default -1 => ignorable;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 5.. => ignorable;
    }
}
