//! DeleteGroups: removes empty consumer groups.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to delete groups.
    struct DeleteGroupsRequest {
        groups_names: Vec<String>, 0..;
    }

    /// What became of each group.
    struct DeleteGroupsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<DeletableGroupResult>, 0..;
    }

    /// Part of [`DeleteGroupsResponse`].
    struct DeletableGroupResult {
        group_id: String, 0..;
        error_code: ErrorCode, 0..;
    }
}
