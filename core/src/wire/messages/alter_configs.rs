//! AlterConfigs: replaces configurations as a whole.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks to replace all dynamic configurations of resources.
    struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`AlterConfigsRequest`].
    struct AlterConfigsResource {
        resource_type: i8, 0..;
        resource_name: String, 0..;
        configs: Vec<AlterableConfig>, 0..;
    }

    /// Part of [`AlterConfigsRequest`].
    struct AlterableConfig {
        name: String, 0..;
        value: Option<String>, 0.., null 0.., default Some(String::new());
    }

    /// What became of each resource.
    struct AlterConfigsResponse {
        throttle_time_ms: i32, 0..;
        responses: Vec<AlterConfigsResourceResponse>, 0..;
    }

    /// Part of [`AlterConfigsResponse`].
    struct AlterConfigsResourceResponse {
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0.., default Some(String::new());
        resource_type: i8, 0..;
        resource_name: String, 0..;
    }
}
