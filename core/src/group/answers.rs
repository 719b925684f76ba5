//! The answers to joins and syncs, by what became of them.

use bytes::Bytes;

use super::facts::Id;
use super::state::Group;
use crate::wire::ErrorCode;
use crate::wire::messages::join_group::{JoinGroupResponse, JoinGroupResponseMember};
use crate::wire::messages::sync_group::SyncGroupResponse;

/// A join that did not succeed. `member_id` is the id that the member is to use from now on.
pub(crate) fn join_refused(member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error,
        member_id: member_id.to_owned(),
        protocol_name: None,
        ..Default::default()
    }
}

/// A join of the present generation. Only the leader is told who else is in it.
pub(crate) fn joined(group: &Group, member_id: &Id) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: group.generation,
        protocol_type: group.roster.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        leader: group.roster.leader.as_deref().unwrap_or("").to_owned(),
        member_id: member_id.to_string(),
        members: if group.roster.is_leader(member_id) { members(group) } else { Vec::new() },
        ..Default::default()
    }
}

/// Every member with its metadata for the chosen protocol.
pub(crate) fn members(group: &Group) -> Vec<JoinGroupResponseMember> {
    let members = group.roster.members.iter().map(|(id, member)| JoinGroupResponseMember {
        member_id: id.to_string(),
        group_instance_id: member.instance.as_deref().map(str::to_owned),
        metadata: member.metadata(group.protocol.as_deref()).cloned().unwrap_or_default(),
    });
    members.collect()
}

/// A sync that did not succeed.
pub(crate) fn sync_refused(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error, ..Default::default() }
}

/// A sync that did: what the leader assigned.
pub(crate) fn synced(group: &Group, assignment: Bytes) -> SyncGroupResponse {
    SyncGroupResponse {
        protocol_type: group.roster.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        assignment,
        ..Default::default()
    }
}
