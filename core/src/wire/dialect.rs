//! What an older version of a request means, so that the machine never sees a version number.

use crate::wire::api::ApiKey;

/// The meaning of a request beyond its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Metadata v0: an empty list of topics asks for all topics; from v1 on null does.
    pub metadata_empty_means_all: bool,
    /// JoinGroup v4: a member must be told its id before it may join (KIP-394).
    pub join_needs_member_id: bool,
    /// JoinGroup v7: no protocol name is null; before it is empty.
    pub join_null_protocol: bool,
    /// JoinGroup v9: a leader can be told to skip the assignment (KIP-814).
    pub join_skips_assignment: bool,
    /// LeaveGroup v3: a list of members, each answered; before one member, answered by the error code of the whole.
    pub leave_is_batched: bool,
    /// OffsetCommit v9: a group that is not there has an error of its own; before it is an illegal generation.
    pub commit_tells_missing_group: bool,
    /// OffsetFetch v2: an error of the group stands beside the topics; before it stands in every partition.
    pub fetch_offsets_tells_group_error: bool,
    /// DescribeGroups v6: a group that is not there is an error; before its state is Dead (KIP-1043).
    pub describe_tells_missing_group: bool,
}

impl Dialect {
    /// What `version` of the request `key` means.
    pub fn of(key: ApiKey, version: i16) -> Dialect {
        let since = |api: ApiKey, first: i16| key == api && version >= first;
        Dialect {
            metadata_empty_means_all: key == ApiKey::Metadata && version == 0,
            join_needs_member_id: since(ApiKey::JoinGroup, 4),
            join_null_protocol: since(ApiKey::JoinGroup, 7),
            join_skips_assignment: since(ApiKey::JoinGroup, 9),
            leave_is_batched: since(ApiKey::LeaveGroup, 3),
            commit_tells_missing_group: since(ApiKey::OffsetCommit, 9),
            fetch_offsets_tells_group_error: since(ApiKey::OffsetFetch, 2),
            describe_tells_missing_group: since(ApiKey::DescribeGroups, 6),
        }
    }
}
