//! JoinGroup: a member joins a consumer group, first half of a rebalance.

use bytes::Bytes;

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to become or to stay a member of a group.
    struct JoinGroupRequest {
        group_id: String, 0..;
        session_timeout_ms: i32, 0..;
        rebalance_timeout_ms: i32, 1.., default -1 => ignorable;
        member_id: String, 0..;
        group_instance_id: Option<String>, 5.., null 5..;
        protocol_type: String, 0..;
        protocols: Vec<JoinGroupRequestProtocol>, 0..;
        reason: Option<String>, 8.., null 8.. => ignorable;
    }

    /// Part of [`JoinGroupRequest`].
    struct JoinGroupRequestProtocol {
        name: String, 0..;
        metadata: Bytes, 0..;
    }

    /// The new generation, and for its leader all members.
    struct JoinGroupResponse {
        throttle_time_ms: i32, 2.. => ignorable;
        error_code: ErrorCode, 0..;
        generation_id: i32, 0.., default -1;
        protocol_type: Option<String>, 7.., null 7.. => ignorable;
        protocol_name: Option<String>, 0.., null 7.., default Some(String::new());
        leader: String, 0..;
        skip_assignment: bool, 9..;
        member_id: String, 0..;
        members: Vec<JoinGroupResponseMember>, 0..;
    }

    /// Part of [`JoinGroupResponse`].
    struct JoinGroupResponseMember {
        member_id: String, 0..;
        group_instance_id: Option<String>, 5.., null 5.. => ignorable;
        metadata: Bytes, 0..;
    }
}
