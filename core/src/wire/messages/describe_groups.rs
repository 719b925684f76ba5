//! DescribeGroups: classic consumer groups in detail.

use bytes::Bytes;

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for state and members of groups.
    struct DescribeGroupsRequest {
        groups: Vec<String>, 0..;
        include_authorized_operations: bool, 3..;
    }

    /// State and members of the groups.
    struct DescribeGroupsResponse {
        throttle_time_ms: i32, 1.. => ignorable;
        groups: Vec<DescribedGroup>, 0..;
    }

    /// Part of [`DescribeGroupsResponse`].
    struct DescribedGroup {
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 6.., null 6.. => dropped;
        group_id: String, 0..;
        group_state: String, 0..;
        protocol_type: String, 0..;
        protocol_data: String, 0..;
        members: Vec<DescribedGroupMember>, 0..;
        authorized_operations: i32, 3.., default i32::MIN;
    }

    /// Part of [`DescribeGroupsResponse`].
    struct DescribedGroupMember {
        member_id: String, 0..;
        group_instance_id: Option<String>, 4.., null 4.. => ignorable;
        client_id: String, 0..;
        client_host: String, 0..;
        member_metadata: Bytes, 0..;
        member_assignment: Bytes, 0..;
    }
}
