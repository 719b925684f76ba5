//! Refusals of whole requests: the shape that an error of the coordinator has in each answer.

use super::answers::{join_refused, sync_refused};
use crate::wire::messages as m;
use crate::wire::{ErrorCode, Request, Response};

/// The answer to a request that only the coordinator of one group can take, but this broker cannot.
pub(crate) fn refusal(request: &Request, error: ErrorCode) -> Response {
    match request {
        Request::JoinGroup(r) => join_refused(&r.member_id, error).into(),
        Request::SyncGroup(_) => sync_refused(error).into(),
        Request::Heartbeat(_) => {
            m::heartbeat::HeartbeatResponse { error_code: error, ..Default::default() }.into()
        }
        Request::LeaveGroup(_) => {
            m::leave_group::LeaveGroupResponse { error_code: error, ..Default::default() }.into()
        }
        Request::OffsetDelete(_) => {
            m::offset_delete::OffsetDeleteResponse { error_code: error, ..Default::default() }.into()
        }
        other => panic!("{} does not speak of one group alone", other.key().name()),
    }
}

/// Takes an answer back whose facts could not be appended: the same kind of answer, saying that the coordinator is
/// elsewhere, so that the client looks for it and tries again. (Kafka maps a failed append in the same way.) `None` when it
/// is no answer of the group coordinator.
pub fn not_coordinator(answer: Response) -> Option<Response> {
    let error = ErrorCode::NOT_COORDINATOR;
    Some(match answer {
        Response::JoinGroup(r) => join_refused(&r.member_id, error).into(),
        Response::SyncGroup(_) => sync_refused(error).into(),
        Response::Heartbeat(r) => m::heartbeat::HeartbeatResponse { error_code: error, ..r }.into(),
        Response::LeaveGroup(_) => {
            m::leave_group::LeaveGroupResponse { error_code: error, ..Default::default() }.into()
        }
        Response::OffsetDelete(_) => {
            m::offset_delete::OffsetDeleteResponse { error_code: error, ..Default::default() }.into()
        }
        Response::ListGroups(_) => {
            m::list_groups::ListGroupsResponse { error_code: error, ..Default::default() }.into()
        }
        other => return not_coordinator_of_parts(other, error),
    })
}

/// The same for answers whose errors stand at their parts.
fn not_coordinator_of_parts(mut answer: Response, error: ErrorCode) -> Option<Response> {
    match &mut answer {
        Response::OffsetCommit(r) => {
            r.topics.iter_mut().flat_map(|t| &mut t.partitions).for_each(|p| p.error_code = error);
        }
        Response::DeleteGroups(r) => r.results.iter_mut().for_each(|g| g.error_code = error),
        Response::DescribeGroups(r) => r.groups.iter_mut().for_each(|group| {
            let group_id = std::mem::take(&mut group.group_id);
            *group = m::describe_groups::DescribedGroup { error_code: error, group_id, ..Default::default() };
        }),
        Response::OffsetFetch(r) => r.groups.iter_mut().for_each(|group| {
            group.error_code = error;
            // The partitions stay listed: version 1 has no other place for the error (KAFKA-19439).
            group.topics.iter_mut().flat_map(|t| &mut t.partitions).for_each(|p| {
                (p.committed_offset, p.committed_leader_epoch) = (-1, -1);
            });
        }),
        _ => return None,
    }
    Some(answer)
}
