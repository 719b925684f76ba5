//! Whether an answer says no more than that it came from the wrong broker, or at the wrong moment.

use crate::wire::{ApiKey, ErrorCode, Response};

/// The error of an answer that did nothing because somebody else, or the same broker a little later, must be asked. `None`
/// when any part of the answer is a real result.
pub(crate) fn misrouted(response: &Response) -> Option<ErrorCode> {
    let codes = codes(response);
    let first = codes.first().copied()?;
    codes.iter().all(|c| asks_elsewhere(*c)).then_some(first)
}

/// Whether asking changes nothing, so that it may be asked again when the answer is lost.
pub(crate) fn only_reads(key: ApiKey) -> bool {
    matches!(
        key,
        ApiKey::ApiVersions
            | ApiKey::Metadata
            | ApiKey::ListOffsets
            | ApiKey::OffsetFetch
            | ApiKey::FindCoordinator
            | ApiKey::DescribeGroups
            | ApiKey::ListGroups
            | ApiKey::OffsetForLeaderEpoch
            | ApiKey::DescribeConfigs
            | ApiKey::DescribeLogDirs
            | ApiKey::DescribeCluster
            | ApiKey::DescribeQuorum
            | ApiKey::DescribeProducers
            | ApiKey::DescribeTopicPartitions
            | ApiKey::ListPartitionReassignments
            | ApiKey::Fetch
    )
}

fn asks_elsewhere(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_CONTROLLER
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::OFFSET_NOT_AVAILABLE
            | ErrorCode::UNSTABLE_OFFSET_COMMIT
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
    )
}

/// The errors of all items of an answer; of one without items its own.
fn codes(response: &Response) -> Vec<ErrorCode> {
    match response {
        Response::CreateTopics(r) => r.topics.iter().map(|t| t.error_code).collect(),
        Response::DeleteTopics(r) => r.responses.iter().map(|t| t.error_code).collect(),
        Response::CreatePartitions(r) => r.results.iter().map(|t| t.error_code).collect(),
        Response::DeleteRecords(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect()
        }
        Response::ListOffsets(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect()
        }
        Response::OffsetCommit(r) => {
            r.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect()
        }
        Response::OffsetFetch(r) => r.groups.iter().map(|g| g.error_code).collect(),
        Response::OffsetDelete(r) => vec![r.error_code],
        Response::DescribeGroups(r) => r.groups.iter().map(|g| g.error_code).collect(),
        Response::DeleteGroups(r) => r.results.iter().map(|g| g.error_code).collect(),
        Response::ListGroups(r) => vec![r.error_code],
        Response::FindCoordinator(r) => r.coordinators.iter().map(|c| c.error_code).collect(),
        Response::DescribeConfigs(r) => r.results.iter().map(|c| c.error_code).collect(),
        Response::AlterConfigs(r) => r.responses.iter().map(|c| c.error_code).collect(),
        Response::IncrementalAlterConfigs(r) => r.responses.iter().map(|c| c.error_code).collect(),
        Response::InitProducerId(r) => vec![r.error_code],
        Response::DescribeCluster(r) => vec![r.error_code],
        Response::DescribeQuorum(r) => vec![r.error_code],
        Response::ListPartitionReassignments(r) => vec![r.error_code],
        Response::UnregisterBroker(r) => vec![r.error_code],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::create_topics::{CreatableTopicResult, CreateTopicsResponse};

    fn created(codes: &[ErrorCode]) -> Response {
        let topic =
            |error_code: &ErrorCode| CreatableTopicResult { error_code: *error_code, ..Default::default() };
        CreateTopicsResponse { topics: codes.iter().map(topic).collect(), ..Default::default() }.into()
    }

    #[test]
    fn an_answer_with_any_real_result_is_not_asked_for_again() {
        let (wrong, real) = (ErrorCode::NOT_CONTROLLER, ErrorCode::TOPIC_ALREADY_EXISTS);
        assert_eq!(misrouted(&created(&[wrong, wrong])), Some(wrong));
        assert_eq!(misrouted(&created(&[wrong, real])), None);
        assert_eq!(misrouted(&created(&[wrong, ErrorCode::NONE])), None);
        assert_eq!(misrouted(&created(&[])), None);
    }
}
