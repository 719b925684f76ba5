//! ApiVersions: what a broker understands.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks which requests the broker accepts in which versions.
    struct ApiVersionsRequest {
        client_software_name: String, 3.. => ignorable;
        client_software_version: String, 3.. => ignorable;
    }

    /// Keys and versions of the accepted requests.
    struct ApiVersionsResponse {
        error_code: ErrorCode, 0..;
        api_keys: Vec<ApiVersion>, 0..;
        throttle_time_ms: i32, 1.. => ignorable;
        supported_features: Vec<SupportedFeatureKey>, 3.., tag 0 => ignorable;
        finalized_features_epoch: i64, 3.., tag 1, default -1 => ignorable;
        finalized_features: Vec<FinalizedFeatureKey>, 3.., tag 2 => ignorable;
        zk_migration_ready: bool, 3.., tag 3 => ignorable;
    }

    /// Part of [`ApiVersionsResponse`].
    struct ApiVersion {
        api_key: i16, 0..;
        min_version: i16, 0..;
        max_version: i16, 0..;
    }

    /// Part of [`ApiVersionsResponse`].
    struct SupportedFeatureKey {
        name: String, 3..;
        min_version: i16, 3..;
        max_version: i16, 3..;
    }

    /// Part of [`ApiVersionsResponse`].
    struct FinalizedFeatureKey {
        name: String, 3..;
        max_version_level: i16, 3..;
        min_version_level: i16, 3..;
    }
}
