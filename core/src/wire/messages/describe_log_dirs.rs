//! DescribeLogDirs: log directories and what is in them.

use crate::wire::error::ErrorCode;
use crate::wire::table::messages;

messages! {
    /// Asks for sizes in the log directories.
    struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>>, 0.., null 0.., default Some(Vec::new());
    }

    /// Part of [`DescribeLogDirsRequest`].
    struct DescribableLogDirTopic {
        topic: String, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// The log directories with their replicas.
    struct DescribeLogDirsResponse {
        throttle_time_ms: i32, 0..;
        error_code: ErrorCode, 3.. => ignorable;
        results: Vec<DescribeLogDirsResult>, 0..;
    }

    /// Part of [`DescribeLogDirsResponse`].
    struct DescribeLogDirsResult {
        error_code: ErrorCode, 0..;
        log_dir: String, 0..;
        topics: Vec<DescribeLogDirsTopic>, 0..;
        total_bytes: i64, 4.., default -1 => ignorable;
        usable_bytes: i64, 4.., default -1 => ignorable;
    }

    /// Part of [`DescribeLogDirsResponse`].
    struct DescribeLogDirsTopic {
        name: String, 0..;
        partitions: Vec<DescribeLogDirsPartition>, 0..;
    }

    /// Part of [`DescribeLogDirsResponse`].
    struct DescribeLogDirsPartition {
        partition_index: i32, 0..;
        partition_size: i64, 0..;
        offset_lag: i64, 0..;
        is_future_key: bool, 0..;
    }
}
