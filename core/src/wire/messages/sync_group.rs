//! SyncGroup: assignments of a generation, second half of a rebalance.

use bytes::Bytes;

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the member's assignment; the leader's brings all of them.
    struct SyncGroupRequest {
        group_id: String, 0..;
        generation_id: i32, 0..;
        member_id: String, 0..;
        group_instance_id: Option<String>, 3.., null 3..;
        protocol_type: Option<String>, 5.., null 5.. => ignorable;
        protocol_name: Option<String>, 5.., null 5.. => ignorable;
        assignments: Vec<SyncGroupRequestAssignment>, 0..;
    }

    /// Part of [`SyncGroupRequest`].
    struct SyncGroupRequestAssignment {
        member_id: String, 0..;
        assignment: Bytes, 0..;
    }

    /// The member's assignment.
    struct SyncGroupResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 0..;
        protocol_type: Option<String>, 5.., null 5.. => ignorable;
        protocol_name: Option<String>, 5.., null 5.. => ignorable;
        assignment: Bytes, 0..;
    }
}
