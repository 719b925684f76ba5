//! What an older version of a request means, so that the machine never sees a version number.

use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;

/// The meaning of a request beyond its fields. Made from key and version when a request is decoded, and carried along.
///
/// A field is about one kind of request and says nothing (its default) for the others. What older versions merely say in
/// another form never shows here: decoding brings it into the newest form, encoding an answer brings it back. That is so for
/// one group, key or member instead of a list (OffsetFetch 1-7, FindCoordinator 0-3, LeaveGroup 0-2), no protocol name instead of an empty one (JoinGroup 0-6), topic names instead of
/// topics (DeleteTopics 1-5), JoinGroup 0, whose rebalance timeout is its session timeout, and Metadata 0-3, which always allow
/// topics to be created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Any request: the answer is sent at once and the connection is muted afterwards for `throttle_time_ms`; the client
    /// knows that and waits by itself (KIP-219). Kafka's broker mutes the others in the same way.
    pub throttled_after_reply: bool,
    /// CreateTopics 6, DeleteTopics 5, CreatePartitions 3: beyond the mutation quota they get THROTTLING_QUOTA_EXCEEDED, while
    /// older versions are carried out and throttled (KIP-599).
    pub mutation_quota_refuses: bool,

    /// Metadata 0: an empty list of topics asks for all topics. Later, null does, and an empty list asks for none.
    pub metadata_empty_means_all: bool,
    /// Metadata 12: topics may be asked for by id. In 10 and 11 an id is there but must not be used: INVALID_REQUEST.
    pub metadata_topic_ids: bool,
    /// Metadata 0: a partition with a replica on a broker that is gone answers REPLICA_NOT_AVAILABLE.
    /// Later it answers no error.
    pub metadata_missing_replica_is_error: bool,
    /// Metadata 6: a leader without a listener like the one asked on answers LISTENER_NOT_FOUND; before,
    /// LEADER_NOT_AVAILABLE (KIP-302).
    pub metadata_listener_not_found: bool,

    /// Produce 7: batches may be compressed with zstd; before, they get UNSUPPORTED_COMPRESSION_TYPE (KIP-110).
    pub produce_zstd: bool,

    /// Fetch 13: topics are named by id, and an unknown one gets UNKNOWN_TOPIC_ID (KIP-516). Before, by name, with
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub fetch_topic_ids: bool,
    /// Fetch 10: the client understands zstd. Before, a topic whose `compression.type` is zstd gets
    /// UNSUPPORTED_COMPRESSION_TYPE (KIP-110).
    pub fetch_zstd: bool,
    /// Fetch 6: KAFKA_STORAGE_ERROR is known. Before, a dead log directory answers NOT_LEADER_OR_FOLLOWER
    /// (`KafkaApis.maybeDownConvertStorageError`).
    pub fetch_storage_error: bool,

    /// ListOffsets: the lowest of the special timestamps, -2 up to version 6, then -3 (largest timestamp, 7), -4 (earliest
    /// local, 8), -5 (latest tiered, 9). A lower one gets UNSUPPORTED_VERSION for its partition.
    pub list_offsets_lowest: i64,
    /// ListOffsets 5: a new leader that does not know its high watermark answers OFFSET_NOT_AVAILABLE; before,
    /// LEADER_NOT_AVAILABLE (KIP-207).
    pub list_offsets_not_available: bool,

    /// JoinGroup 4: a dynamic member that joins without a member id gets one with MEMBER_ID_REQUIRED and must join again with
    /// it (KIP-394).
    pub join_needs_member_id: bool,
    /// JoinGroup 9: a leader can be told to skip the assignment (KIP-814). Before, a static leader that comes back to a
    /// stable group is not told that it leads.
    pub join_skips_assignment: bool,
    /// SyncGroup 5: names protocol type and protocol name; without them it gets INCONSISTENT_GROUP_PROTOCOL (KIP-559).
    pub sync_names_protocol: bool,
    /// OffsetCommit 9: a group that is not there has an error of its own, GROUP_ID_NOT_FOUND; before, ILLEGAL_GENERATION.
    pub commit_tells_missing_group: bool,
    /// OffsetFetch 2: an error of the group stands beside its topics. Version 1 has no such place: the error reaches the client
    /// only where a partition is listed, so list every partition asked for (KAFKA-19439).
    pub fetch_offsets_tells_group_error: bool,
    /// DescribeGroups 6: an unknown group gets GROUP_ID_NOT_FOUND; before, no error and the state "Dead" (KIP-1043).
    pub describe_tells_missing_group: bool,

    /// InitProducerId 4: PRODUCER_FENCED is known. Before, a fenced producer gets INVALID_PRODUCER_EPOCH (KIP-588).
    pub producer_fenced: bool,

    /// CreateTopics 4: -1 partitions and a replication factor of -1 ask for the broker's defaults (KIP-464).
    pub create_topics_defaults: bool,
    /// DeleteTopics 6: topics may be named by id (KIP-516).
    pub delete_topics_by_id: bool,
}

impl Dialect {
    /// What `version` of the request `key` means.
    pub fn of(key: ApiKey, version: i16) -> Dialect {
        let from = |of: ApiKey, first: i16| key == of && version >= first;
        Dialect {
            throttled_after_reply: throttled_after_reply(key, version),
            mutation_quota_refuses: from(ApiKey::CreateTopics, 6)
                || from(ApiKey::DeleteTopics, 5)
                || from(ApiKey::CreatePartitions, 3),
            metadata_empty_means_all: key == ApiKey::Metadata && version == 0,
            metadata_topic_ids: from(ApiKey::Metadata, 12),
            metadata_missing_replica_is_error: key == ApiKey::Metadata && version == 0,
            metadata_listener_not_found: from(ApiKey::Metadata, 6),
            produce_zstd: from(ApiKey::Produce, 7),
            fetch_topic_ids: from(ApiKey::Fetch, 13),
            fetch_zstd: from(ApiKey::Fetch, 10),
            fetch_storage_error: from(ApiKey::Fetch, 6),
            list_offsets_lowest: if key == ApiKey::ListOffsets { lowest_timestamp(version) } else { 0 },
            list_offsets_not_available: from(ApiKey::ListOffsets, 5),
            join_needs_member_id: from(ApiKey::JoinGroup, 4),
            join_skips_assignment: from(ApiKey::JoinGroup, 9),
            sync_names_protocol: from(ApiKey::SyncGroup, 5),
            commit_tells_missing_group: from(ApiKey::OffsetCommit, 9),
            fetch_offsets_tells_group_error: from(ApiKey::OffsetFetch, 2),
            describe_tells_missing_group: from(ApiKey::DescribeGroups, 6),
            producer_fenced: from(ApiKey::InitProducerId, 4),
            create_topics_defaults: from(ApiKey::CreateTopics, 4),
            delete_topics_by_id: from(ApiKey::DeleteTopics, 6),
        }
    }

    /// The error code as this version of the request knows it, where it knows another one instead.
    pub fn error(self, key: ApiKey, code: ErrorCode) -> ErrorCode {
        match (key, code) {
            (ApiKey::Fetch, ErrorCode::KAFKA_STORAGE_ERROR) if !self.fetch_storage_error => {
                ErrorCode::NOT_LEADER_OR_FOLLOWER
            }
            (ApiKey::ListOffsets, ErrorCode::OFFSET_NOT_AVAILABLE) if !self.list_offsets_not_available => {
                ErrorCode::LEADER_NOT_AVAILABLE
            }
            (ApiKey::Metadata, ErrorCode::LISTENER_NOT_FOUND) if !self.metadata_listener_not_found => {
                ErrorCode::LEADER_NOT_AVAILABLE
            }
            (ApiKey::InitProducerId, ErrorCode::PRODUCER_FENCED) if !self.producer_fenced => {
                ErrorCode::INVALID_PRODUCER_EPOCH
            }
            _ => code,
        }
    }
}

fn lowest_timestamp(version: i16) -> i64 {
    match version {
        ..=6 => -2,
        7 => -3,
        8 => -4,
        _ => -5,
    }
}

/// The versions whose clients wait by themselves (`shouldClientThrottle` of Kafka's responses).
fn throttled_after_reply(key: ApiKey, version: i16) -> bool {
    let first = match key {
        ApiKey::Fetch => 8,
        ApiKey::Produce | ApiKey::Metadata => 6,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 4,
        ApiKey::ListOffsets | ApiKey::JoinGroup | ApiKey::CreateTopics => 3,
        ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::ApiVersions
        | ApiKey::DeleteTopics
        | ApiKey::DescribeConfigs => 2,
        ApiKey::DeleteRecords
        | ApiKey::InitProducerId
        | ApiKey::AlterConfigs
        | ApiKey::DescribeLogDirs
        | ApiKey::CreatePartitions
        | ApiKey::DeleteGroups => 1,
        ApiKey::IncrementalAlterConfigs
        | ApiKey::OffsetDelete
        | ApiKey::DescribeCluster
        | ApiKey::DescribeProducers
        | ApiKey::DescribeTopicPartitions
        | ApiKey::OffsetForLeaderEpoch => 0,
    };
    version >= first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_come_with_their_versions() {
        let lowest = |version| Dialect::of(ApiKey::ListOffsets, version).list_offsets_lowest;
        assert_eq!([1, 6, 7, 8, 9].map(lowest), [-2, -2, -3, -4, -5]);
    }

    #[test]
    fn only_version_0_of_metadata_takes_an_empty_list_for_all() {
        assert!(Dialect::of(ApiKey::Metadata, 0).metadata_empty_means_all);
        assert!(!Dialect::of(ApiKey::Metadata, 1).metadata_empty_means_all);
        assert!(!Dialect::of(ApiKey::Fetch, 0).metadata_empty_means_all);
    }

    #[test]
    fn topic_ids_may_be_used_in_metadata_from_version_12_on() {
        assert_eq!(
            [9, 10, 11, 12, 13].map(|v| Dialect::of(ApiKey::Metadata, v).metadata_topic_ids),
            [false, false, false, true, true]
        );
    }

    #[test]
    fn an_old_client_gets_the_error_code_it_knows() {
        let told = |key, version, code| Dialect::of(key, version).error(key, code);
        assert_eq!(told(ApiKey::Fetch, 5, ErrorCode::KAFKA_STORAGE_ERROR), ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(told(ApiKey::Fetch, 6, ErrorCode::KAFKA_STORAGE_ERROR), ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(told(ApiKey::Produce, 3, ErrorCode::KAFKA_STORAGE_ERROR), ErrorCode::KAFKA_STORAGE_ERROR);
        assert_eq!(
            told(ApiKey::ListOffsets, 4, ErrorCode::OFFSET_NOT_AVAILABLE),
            ErrorCode::LEADER_NOT_AVAILABLE
        );
        assert_eq!(
            told(ApiKey::InitProducerId, 3, ErrorCode::PRODUCER_FENCED),
            ErrorCode::INVALID_PRODUCER_EPOCH
        );
    }

    #[test]
    fn a_client_of_fetch_8_and_produce_6_waits_by_itself() {
        let after = |key, version| Dialect::of(key, version).throttled_after_reply;
        assert_eq!([after(ApiKey::Fetch, 7), after(ApiKey::Fetch, 8)], [false, true]);
        assert_eq!([after(ApiKey::Produce, 5), after(ApiKey::Produce, 6)], [false, true]);
    }
}
