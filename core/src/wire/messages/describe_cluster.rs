//! DescribeCluster: the brokers of the cluster.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the cluster's id, controller and brokers.
    struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool, 0..;
        endpoint_type: i8, 1.., default 1;
        include_fenced_brokers: bool, 2..;
    }

    /// The cluster's id, controller and brokers.
    struct DescribeClusterResponse {
        throttle_time_ms: i32, 0..;
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0..;
        endpoint_type: i8, 1.., default 1;
        cluster_id: String, 0..;
        controller_id: i32, 0.., default -1;
        brokers: Vec<DescribeClusterBroker>, 0..;
        cluster_authorized_operations: i32, 0.., default i32::MIN;
    }

    /// Part of [`DescribeClusterResponse`].
    struct DescribeClusterBroker {
        broker_id: i32, 0..;
        host: String, 0..;
        port: i32, 0..;
        rack: Option<String>, 0.., null 0..;
        is_fenced: bool, 2..;
    }
}
