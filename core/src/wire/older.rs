//! What older versions say in another form than newer ones: translated here, so that the machine knows the newer form only.

use crate::ids::TopicId;
use crate::wire::api::{Request, Response};
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use crate::wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use crate::wire::older_offsets as offsets;

/// Brings a request that was read in `version` into the newest form.
pub(crate) fn raise_request(request: &mut Request, version: i16) {
    match request {
        // Without a rebalance timeout of its own a rebalance lasts a session (KAFKA-8653: not forever).
        Request::JoinGroup(join) if version == 0 => join.rebalance_timeout_ms = join.session_timeout_ms,
        Request::LeaveGroup(leave) if version <= 2 => {
            let member_id = std::mem::take(&mut leave.member_id);
            leave.members.push(MemberIdentity { member_id, ..MemberIdentity::default() });
        }
        Request::FindCoordinator(find) if version <= 3 => {
            find.coordinator_keys.push(std::mem::take(&mut find.key));
        }
        Request::DeleteTopics(delete) if version <= 5 => {
            delete.topics = std::mem::take(&mut delete.topic_names)
                .into_iter()
                .map(|name| DeleteTopicState { name: Some(name), topic_id: TopicId::ZERO })
                .collect();
        }
        Request::OffsetFetch(fetch) if version <= 7 => offsets::raise_request(fetch),
        _ => {}
    }
}

/// The form that `version` has, if it is another one. A request that has no older form stays, and fails to be written.
pub(crate) fn lower_request(request: &Request, version: i16) -> Option<Request> {
    match request {
        Request::LeaveGroup(leave) if version <= 2 => lower_leave(leave).map(Request::LeaveGroup),
        Request::FindCoordinator(find) if version <= 3 => match find.coordinator_keys.as_slice() {
            [key] => Some(Request::FindCoordinator(FindCoordinatorRequest {
                key: key.clone(),
                coordinator_keys: Vec::new(),
                ..find.clone()
            })),
            _ => None,
        },
        Request::DeleteTopics(delete) if version <= 5 => lower_delete(delete).map(Request::DeleteTopics),
        Request::OffsetFetch(fetch) if version <= 7 => {
            offsets::lower_request(fetch).map(Request::OffsetFetch)
        }
        _ => None,
    }
}

fn lower_leave(leave: &LeaveGroupRequest) -> Option<LeaveGroupRequest> {
    match leave.members.as_slice() {
        [member] if member.group_instance_id.is_none() => Some(LeaveGroupRequest {
            member_id: member.member_id.clone(),
            members: Vec::new(),
            ..leave.clone()
        }),
        _ => None,
    }
}

fn lower_delete(delete: &DeleteTopicsRequest) -> Option<DeleteTopicsRequest> {
    if delete.topics.is_empty() {
        return None;
    }
    let names: Option<Vec<String>> = delete.topics.iter().map(|topic| topic.name.clone()).collect();
    Some(DeleteTopicsRequest { topic_names: names?, topics: Vec::new(), timeout_ms: delete.timeout_ms })
}

/// The form that `version` has of an answer, if it is another one.
pub(crate) fn lower_response(response: &Response, version: i16) -> Option<Response> {
    match response {
        Response::JoinGroup(join) if version <= 6 && join.protocol_name.is_none() => {
            let mut join = join.clone();
            join.protocol_name = Some(String::new());
            Some(Response::JoinGroup(join))
        }
        Response::LeaveGroup(leave) if version <= 2 && !leave.members.is_empty() => {
            Some(Response::LeaveGroup(lower_left(leave)))
        }
        Response::FindCoordinator(found) if version <= 3 => match found.coordinators.as_slice() {
            [one] => Some(Response::FindCoordinator(lower_found(one, found.throttle_time_ms))),
            _ => None,
        },
        Response::OffsetFetch(fetched) if version <= 7 => {
            offsets::lower_response(fetched, version).map(Response::OffsetFetch)
        }
        _ => None,
    }
}

/// The one member's error becomes that of the answer.
fn lower_left(leave: &LeaveGroupResponse) -> LeaveGroupResponse {
    let first = leave.members.first().map_or(ErrorCode::NONE, |member| member.error_code);
    LeaveGroupResponse {
        error_code: if leave.error_code.is_err() { leave.error_code } else { first },
        members: Vec::new(),
        throttle_time_ms: leave.throttle_time_ms,
    }
}

fn lower_found(one: &Coordinator, throttle_time_ms: i32) -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        throttle_time_ms,
        error_code: one.error_code,
        error_message: one.error_message.clone(),
        node_id: one.node_id,
        host: one.host.clone(),
        port: one.port,
        coordinators: Vec::new(),
    }
}

/// Brings an answer that was read in `version` into the newest form. What the old form does not repeat (which key, which
/// group) is empty: there was only one to ask for.
pub(crate) fn raise_response(response: &mut Response, version: i16) {
    match response {
        Response::FindCoordinator(found) if version <= 3 => {
            let FindCoordinatorResponse {
                throttle_time_ms,
                error_code,
                error_message,
                node_id,
                host,
                port,
                ..
            } = std::mem::take(found);
            let one = Coordinator { key: String::new(), node_id, host, port, error_code, error_message };
            *found =
                FindCoordinatorResponse { throttle_time_ms, coordinators: vec![one], ..Default::default() };
        }
        Response::OffsetFetch(fetched) if version <= 7 => offsets::raise_response(fetched),
        _ => {}
    }
}
