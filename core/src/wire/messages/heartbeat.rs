//! Heartbeat: a member of a consumer group is still there.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Says that a member lives.
    struct HeartbeatRequest {
        group_id: String, 0..;
        generation_id: i32, 0..;
        member_id: String, 0..;
        group_instance_id: Option<String>, 3.., null 3..;
    }

    /// Whether a rebalance is due.
    struct HeartbeatResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 0..;
    }
}
