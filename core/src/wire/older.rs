//! What older requests say in another form than newer ones: translated here and the answer back, so that the machine knows
//! the newer form only.

use crate::ids::TopicId;
use crate::wire::api::{Request, Response};
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_topics::DeleteTopicState;
use crate::wire::messages::fetch::FetchResponse;
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use crate::wire::messages::leave_group::{LeaveGroupResponse, MemberIdentity};
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
        Response::Fetch(fetched) if version <= 5 => lower_storage_error(fetched).map(Response::Fetch),
        Response::OffsetFetch(fetched) if version <= 7 => {
            offsets::lower_response(fetched, version).map(Response::OffsetFetch)
        }
        _ => None,
    }
}

/// A client that does not know KAFKA_STORAGE_ERROR would give up: it is told to look for another leader, which it will do
/// until the log is back (`KafkaApis.maybeDownConvertStorageError`).
fn lower_storage_error(fetched: &FetchResponse) -> Option<FetchResponse> {
    let failed = |code: ErrorCode| code == ErrorCode::KAFKA_STORAGE_ERROR;
    if !fetched.responses.iter().flat_map(|t| &t.partitions).any(|p| failed(p.error_code)) {
        return None;
    }
    let mut fetched = fetched.clone();
    for partition in fetched.responses.iter_mut().flat_map(|t| &mut t.partitions) {
        if failed(partition.error_code) {
            partition.error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        }
    }
    Some(fetched)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::delete_topics::DeleteTopicsRequest;
    use crate::wire::messages::fetch::{FetchableTopicResponse, PartitionData};
    use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
    use crate::wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
    use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberResponse};

    fn raised(request: impl Into<Request>, version: i16) -> Request {
        let mut request = request.into();
        raise_request(&mut request, version);
        request
    }

    #[test]
    fn join_group_0_rebalances_for_a_session_and_not_forever() {
        let join = JoinGroupRequest { session_timeout_ms: 6000, ..Default::default() };
        let Request::JoinGroup(old) = raised(join.clone(), 0) else { panic!("another request") };
        assert_eq!(old.rebalance_timeout_ms, 6000);
        let Request::JoinGroup(new) = raised(join, 1) else { panic!("another request") };
        assert_eq!(new.rebalance_timeout_ms, -1);
    }

    #[test]
    fn one_member_leaves_as_a_list_of_one_and_is_answered_at_the_top() {
        let leave = LeaveGroupRequest { member_id: "m".to_owned(), ..Default::default() };
        let Request::LeaveGroup(leave) = raised(leave, 2) else { panic!("another request") };
        assert_eq!((leave.members.len(), leave.members[0].member_id.as_str()), (1, "m"));
        let left = MemberResponse { error_code: ErrorCode::UNKNOWN_MEMBER_ID, ..Default::default() };
        let answer = Response::from(LeaveGroupResponse { members: vec![left], ..Default::default() });
        let Some(Response::LeaveGroup(old)) = lower_response(&answer, 2) else { panic!("no older form") };
        assert_eq!((old.error_code, old.members.len()), (ErrorCode::UNKNOWN_MEMBER_ID, 0));
        assert_eq!(lower_response(&answer, 3), None);
    }

    #[test]
    fn one_coordinator_is_asked_for_as_a_list_and_answered_at_the_top() {
        let find = FindCoordinatorRequest { key: "g".to_owned(), ..Default::default() };
        let Request::FindCoordinator(find) = raised(find, 3) else { panic!("another request") };
        assert_eq!((find.coordinator_keys, find.key.as_str()), (vec!["g".to_owned()], ""));
        let one = Coordinator {
            key: "g".to_owned(),
            node_id: 4,
            host: "h".to_owned(),
            port: 9,
            ..Default::default()
        };
        let answer =
            Response::from(FindCoordinatorResponse { coordinators: vec![one], ..Default::default() });
        let Some(Response::FindCoordinator(old)) = lower_response(&answer, 3) else {
            panic!("no older form")
        };
        assert_eq!((old.node_id, old.host.as_str(), old.port, old.coordinators.len()), (4, "h", 9, 0));
    }

    #[test]
    fn a_dead_log_is_another_leaders_before_fetch_6() {
        let part =
            |error_code, partition_index| PartitionData { error_code, partition_index, ..Default::default() };
        let partitions =
            vec![part(ErrorCode::KAFKA_STORAGE_ERROR, 0), part(ErrorCode::OFFSET_OUT_OF_RANGE, 1)];
        let topic = FetchableTopicResponse { partitions, ..Default::default() };
        let answer = Response::from(FetchResponse { responses: vec![topic], ..Default::default() });
        let Some(Response::Fetch(old)) = lower_response(&answer, 5) else { panic!("no older form") };
        let codes: Vec<_> = old.responses[0].partitions.iter().map(|p| p.error_code).collect();
        assert_eq!(codes, [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::OFFSET_OUT_OF_RANGE]);
        assert_eq!(lower_response(&answer, 6), None);
    }

    #[test]
    fn topics_are_deleted_by_name_in_older_versions() {
        let delete =
            DeleteTopicsRequest { topic_names: vec!["a".to_owned(), "b".to_owned()], ..Default::default() };
        let Request::DeleteTopics(delete) = raised(delete, 5) else { panic!("another request") };
        let names: Vec<_> = delete.topics.iter().map(|t| t.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
        assert!(delete.topics.iter().all(|t| t.topic_id.is_zero()) && delete.topic_names.is_empty());
    }

    #[test]
    fn no_protocol_name_is_empty_before_join_group_7() {
        let answer = Response::from(JoinGroupResponse { protocol_name: None, ..Default::default() });
        let Some(Response::JoinGroup(old)) = lower_response(&answer, 6) else { panic!("no older form") };
        assert_eq!(old.protocol_name.as_deref(), Some(""));
        assert_eq!(lower_response(&answer, 7), None);
    }
}
