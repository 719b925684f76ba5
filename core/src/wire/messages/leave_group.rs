//! LeaveGroup: members leave a consumer group.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Says that members leave a group.
    struct LeaveGroupRequest {
        group_id: String, 0..;
        member_id: String, 0..=2;
        members: Vec<MemberIdentity>, 3..;
    }

    /// Part of [`LeaveGroupRequest`].
    struct MemberIdentity {
        member_id: String, 3..;
        group_instance_id: Option<String>, 3.., null 3..;
        reason: Option<String>, 5.., null 5.. => ignorable;
    }

    /// What became of each leaving member.
    struct LeaveGroupResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 0..;
        members: Vec<MemberResponse>, 3..;
    }

    /// Part of [`LeaveGroupResponse`].
    struct MemberResponse {
        member_id: String, 3..;
        group_instance_id: Option<String>, 3.., null 3.., default Some(String::new());
        error_code: ErrorCode, 3..;
    }
}
