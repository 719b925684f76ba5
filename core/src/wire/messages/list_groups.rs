//! ListGroups: all groups of a broker.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks which groups this broker coordinates.
    struct ListGroupsRequest {
        states_filter: Vec<String>, 4..;
        types_filter: Vec<String>, 5..;
    }

    /// The groups.
    struct ListGroupsResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        error_code: ErrorCode, 0..;
        groups: Vec<ListedGroup>, 0..;
    }

    /// Part of [`ListGroupsResponse`].
    struct ListedGroup {
        group_id: String, 0..;
        protocol_type: String, 0..;
        group_state: String, 4.. => ignorable;
        group_type: String, 5.. => ignorable;
    }
}
