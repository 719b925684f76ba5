//! FindCoordinator: where a group or transactional id is coordinated.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks which broker coordinates a group or a transactional id.
    struct FindCoordinatorRequest {
        key: String, 0..=3;
        key_type: i8, 1..;
        coordinator_keys: Vec<String>, 4..;
    }

    /// The coordinators.
    struct FindCoordinatorResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 0..=3;
        error_message: Option<String>, 1..=3, null 1..=3, default Some(String::new()) => ignorable;
        node_id: i32, 0..=3;
        host: String, 0..=3;
        port: i32, 0..=3;
        coordinators: Vec<Coordinator>, 4..;
    }

    /// Part of [`FindCoordinatorResponse`].
    struct Coordinator {
        key: String, 4..;
        node_id: i32, 4..;
        host: String, 4..;
        port: i32, 4..;
        error_code: ErrorCode, 4..;
        error_message: Option<String>, 4.., null 4.., default Some(String::new()) => ignorable;
    }
}
