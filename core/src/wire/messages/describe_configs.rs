//! DescribeConfigs: configurations as they are in effect.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for the configurations of topics or brokers.
    struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>, 0..;
        include_synonyms: bool, 1..;
        include_documentation: bool, 3..;
    }

    /// Part of [`DescribeConfigsRequest`].
    struct DescribeConfigsResource {
        resource_type: i8, 0..;
        resource_name: String, 0..;
        configuration_keys: Option<Vec<String>>, 0.., null 0.., default Some(Vec::new());
    }

    /// The configurations with their sources.
    struct DescribeConfigsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<DescribeConfigsResult>, 0..;
    }

    /// Part of [`DescribeConfigsResponse`].
    struct DescribeConfigsResult {
        error_code: ErrorCode, 0..;
        error_message: Option<String>, 0.., null 0.., default Some(String::new());
        resource_type: i8, 0..;
        resource_name: String, 0..;
        configs: Vec<DescribeConfigsResourceResult>, 0..;
    }

    /// Part of [`DescribeConfigsResponse`].
    struct DescribeConfigsResourceResult {
        name: String, 0..;
        value: Option<String>, 0.., null 0.., default Some(String::new());
        read_only: bool, 0..;
        config_source: i8, 1.., default -1 => ignorable;
        is_sensitive: bool, 0..;
        synonyms: Vec<DescribeConfigsSynonym>, 1.. => ignorable;
        config_type: i8, 3.. => ignorable;
        documentation: Option<String>, 3.., null 0.., default Some(String::new()) => ignorable;
    }

    /// Part of [`DescribeConfigsResponse`].
    struct DescribeConfigsSynonym {
        name: String, 1..;
        value: Option<String>, 1.., null 0.., default Some(String::new());
        source: i8, 1..;
    }
}
