//! What an older version of a request means, so that the machine never sees a version number.

use crate::wire::api::ApiKey;

/// The meaning of a request beyond its fields. Made from key and version when a request is decoded, and carried along.
///
/// A field is about one kind of request and says nothing (its default) for the others. What older versions merely say in
/// another form never shows here: decoding brings it into the newest form, encoding an answer brings it back. That is so for
/// one group, key or member instead of a list (OffsetFetch 1-7, FindCoordinator 0-3, LeaveGroup 0-2), no protocol name instead of an empty one (JoinGroup 0-6), topic names instead of
/// topics (DeleteTopics 1-5), JoinGroup 0, whose rebalance timeout is its session timeout, and Metadata 0-3, which always allow
/// topics to be created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Metadata 0: an empty list of topics asks for all topics. Later, null does, and an empty list asks for none.
    pub metadata_empty_means_all: bool,
    /// Metadata 12: topics may be asked for by id. In 10 and 11 an id is there but must not be used: INVALID_REQUEST.
    pub metadata_topic_ids: bool,
    /// Produce 7: batches may be compressed with zstd; before, they get UNSUPPORTED_COMPRESSION_TYPE (KIP-110).
    pub produce_zstd: bool,

    /// Fetch 13: topics are named by id, and an unknown one, 0 among them, gets UNKNOWN_TOPIC_ID (KIP-516). Before, by name,
    /// with UNKNOWN_TOPIC_OR_PARTITION.
    pub fetch_topic_ids: bool,
    /// Fetch 10: the client understands zstd. Before, a topic whose `compression.type` is zstd gets
    /// UNSUPPORTED_COMPRESSION_TYPE (KIP-110). Batches are not looked at: what producers compressed with zstd by themselves is
    /// sent to everybody, as Kafka does.
    pub fetch_zstd: bool,
    /// Fetch 11: the client says where it stands, may be told to read from a follower, and may do so (KIP-392). Before, only the leader
    /// is read from.
    pub fetch_followers: bool,
    /// ListOffsets: the lowest of the special timestamps, -2 up to version 6, then -3 (largest timestamp, 7), -4 (earliest
    /// local, 8), -5 (latest tiered, 9). A lower one gets UNSUPPORTED_VERSION for its partition.
    pub list_offsets_lowest: i64,
    /// ListOffsets 5: a leader that does not know its high watermark yet says OFFSET_NOT_AVAILABLE; before, LEADER_NOT_AVAILABLE
    /// (KIP-207).
    pub list_offsets_knows_new_leaders: bool,
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
}

impl Dialect {
    /// What `version` of the request `key` means.
    pub fn of(key: ApiKey, version: i16) -> Dialect {
        let from = |of: ApiKey, first: i16| key == of && version >= first;
        Dialect {
            metadata_empty_means_all: key == ApiKey::Metadata && version == 0,
            metadata_topic_ids: from(ApiKey::Metadata, 12),
            produce_zstd: from(ApiKey::Produce, 7),
            fetch_topic_ids: from(ApiKey::Fetch, 13),
            fetch_zstd: from(ApiKey::Fetch, 10),
            fetch_followers: from(ApiKey::Fetch, 11),
            list_offsets_lowest: if key == ApiKey::ListOffsets { lowest_timestamp(version) } else { 0 },
            list_offsets_knows_new_leaders: from(ApiKey::ListOffsets, 5),
            join_needs_member_id: from(ApiKey::JoinGroup, 4),
            join_skips_assignment: from(ApiKey::JoinGroup, 9),
            sync_names_protocol: from(ApiKey::SyncGroup, 5),
            commit_tells_missing_group: from(ApiKey::OffsetCommit, 9),
            fetch_offsets_tells_group_error: from(ApiKey::OffsetFetch, 2),
            describe_tells_missing_group: from(ApiKey::DescribeGroups, 6),
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
}
