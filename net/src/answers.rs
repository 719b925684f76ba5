//! How long answers tell a client to be quiet.

use quipu_core::wire::Response;

/// How long the client is told to be quiet, in milliseconds (KIP-219).
pub(crate) fn throttle_ms(answer: &Response) -> i32 {
    match answer {
        Response::Produce(r) => r.throttle_time_ms,
        Response::Fetch(r) => r.throttle_time_ms,
        Response::ListOffsets(r) => r.throttle_time_ms,
        Response::Metadata(r) => r.throttle_time_ms,
        Response::OffsetCommit(r) => r.throttle_time_ms,
        Response::OffsetFetch(r) => r.throttle_time_ms,
        Response::FindCoordinator(r) => r.throttle_time_ms,
        Response::JoinGroup(r) => r.throttle_time_ms,
        Response::Heartbeat(r) => r.throttle_time_ms,
        Response::LeaveGroup(r) => r.throttle_time_ms,
        Response::SyncGroup(r) => r.throttle_time_ms,
        Response::DescribeGroups(r) => r.throttle_time_ms,
        Response::ListGroups(r) => r.throttle_time_ms,
        Response::ApiVersions(r) => r.throttle_time_ms,
        Response::CreateTopics(r) => r.throttle_time_ms,
        Response::DeleteTopics(r) => r.throttle_time_ms,
        Response::DeleteRecords(r) => r.throttle_time_ms,
        Response::InitProducerId(r) => r.throttle_time_ms,
        Response::OffsetForLeaderEpoch(r) => r.throttle_time_ms,
        Response::DescribeConfigs(r) => r.throttle_time_ms,
        Response::AlterConfigs(r) => r.throttle_time_ms,
        Response::DescribeLogDirs(r) => r.throttle_time_ms,
        Response::CreatePartitions(r) => r.throttle_time_ms,
        Response::DeleteGroups(r) => r.throttle_time_ms,
        Response::ElectLeaders(r) => r.throttle_time_ms,
        Response::IncrementalAlterConfigs(r) => r.throttle_time_ms,
        Response::AlterPartitionReassignments(r) => r.throttle_time_ms,
        Response::ListPartitionReassignments(r) => r.throttle_time_ms,
        Response::OffsetDelete(r) => r.throttle_time_ms,
        Response::DescribeCluster(r) => r.throttle_time_ms,
        Response::DescribeProducers(r) => r.throttle_time_ms,
        // It has no such field.
        Response::DescribeQuorum(_) => 0,
        Response::UnregisterBroker(r) => r.throttle_time_ms,
        Response::DescribeTopicPartitions(r) => r.throttle_time_ms,
    }
}
