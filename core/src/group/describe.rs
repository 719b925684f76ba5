//! DescribeGroups, ListGroups and DeleteGroups: what administrators see of groups, and how they end one.

use super::facts::{group_removed, offset_removed};
use super::roster::Member;
use super::state::{Group, State};
use super::turn::Turn;
use crate::wire::ErrorCode;
use crate::wire::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use crate::wire::messages::list_groups::{ListGroupsRequest, ListedGroup};

/// The type of every group that this coordinator keeps.
const CLASSIC: &str = "Classic";
/// READ, DELETE and DESCRIBE, as bits of Kafka's `AclOperation`: everything that can be done to a group here.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// Describes a group. Metadata and assignments are shown only while they hold, in Stable.
pub(crate) fn describe(group: &Group) -> DescribedGroup {
    let stable = group.state == State::Stable;
    let members = group.roster.members.iter().map(|(id, member)| described_member(group, id, member));
    DescribedGroup {
        group_id: group.id.to_string(),
        group_state: group.state.name().to_owned(),
        protocol_type: group.roster.protocol_type.clone().unwrap_or_default(),
        protocol_data: group.protocol.clone().filter(|_| stable).unwrap_or_default(),
        members: members.collect(),
        ..Default::default()
    }
}

fn described_member(group: &Group, id: &str, member: &Member) -> DescribedGroupMember {
    let described = DescribedGroupMember {
        member_id: id.to_owned(),
        group_instance_id: member.instance.as_deref().map(str::to_owned),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        ..Default::default()
    };
    if group.state != State::Stable {
        return described;
    }
    DescribedGroupMember {
        member_metadata: member.metadata(group.protocol.as_deref()).cloned().unwrap_or_default(),
        member_assignment: group.assignment(id),
        ..described
    }
}

/// A group that is not there: dead, and from v6 on an error too (KIP-1043).
pub(crate) fn describe_missing(group_id: String, is_error: bool) -> DescribedGroup {
    let dead = DescribedGroup { group_state: "Dead".to_owned(), ..Default::default() };
    if !is_error {
        return DescribedGroup { group_id, ..dead };
    }
    let message = format!("Group {group_id} not found.");
    let error_code = ErrorCode::GROUP_ID_NOT_FOUND;
    DescribedGroup { error_code, error_message: Some(message), group_id, ..dead }
}

/// Says what the asker may do with the group, when it wants to know.
pub(crate) fn with_operations(group: DescribedGroup, asked: bool) -> DescribedGroup {
    if asked { DescribedGroup { authorized_operations: ALL_OPERATIONS, ..group } } else { group }
}

/// The line of a group in ListGroups, if the filters let it pass. Filters ignore case; an unknown word matches nothing.
pub(crate) fn list(group: &Group, request: &ListGroupsRequest) -> Option<ListedGroup> {
    let passes = |filter: &[String], own: &str| {
        filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(own))
    };
    if !passes(&request.states_filter, group.state.name()) || !passes(&request.types_filter, CLASSIC) {
        return None;
    }
    Some(ListedGroup {
        group_id: group.id.to_string(),
        protocol_type: group.roster.protocol_type.clone().unwrap_or_default(),
        group_state: group.state.name().to_owned(),
        group_type: CLASSIC.to_owned(),
    })
}

/// Deletes a group with all its offsets, if nobody is in it.
pub(crate) fn delete(turn: &mut Turn<'_>, group: Option<&Group>) -> ErrorCode {
    let Some(group) = group else { return ErrorCode::GROUP_ID_NOT_FOUND };
    if group.state != State::Empty {
        return ErrorCode::NON_EMPTY_GROUP;
    }
    for (topic, offsets) in &group.offsets {
        for partition in offsets.keys() {
            turn.record(offset_removed(&group.id, topic, *partition));
        }
    }
    // Also for a group that was never stored: it takes the ids that were given out with it.
    turn.record(group_removed(&group.id));
    ErrorCode::NONE
}
