//! OffsetFetch before version 8 asks for one group at the top level; the machine knows the list of groups only.

use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

pub(crate) fn raise_request(fetch: &mut OffsetFetchRequest) {
    let OffsetFetchRequest { group_id, topics, require_stable, .. } = std::mem::take(fetch);
    let raised = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
    };
    let topics = topics.map(|topics| topics.into_iter().map(raised).collect());
    let group = OffsetFetchRequestGroup { group_id, topics, ..Default::default() };
    *fetch = OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
}

/// Version 1 has no error of the group: there it stands at every partition (KAFKA-19439).
pub(crate) fn lower_response(fetched: &OffsetFetchResponse, version: i16) -> Option<OffsetFetchResponse> {
    let [group] = fetched.groups.as_slice() else { return None };
    let lowered_partition = |from: &OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: from.partition_index,
        committed_offset: from.committed_offset,
        committed_leader_epoch: from.committed_leader_epoch,
        metadata: from.metadata.clone(),
        error_code: if version <= 1 && group.error_code.is_err() {
            group.error_code
        } else {
            from.error_code
        },
    };
    let lowered = |topic: &OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(lowered_partition).collect(),
    };
    Some(OffsetFetchResponse {
        throttle_time_ms: fetched.throttle_time_ms,
        topics: group.topics.iter().map(lowered).collect(),
        error_code: group.error_code,
        groups: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error::ErrorCode;
    use crate::wire::messages::offset_fetch::OffsetFetchResponseGroup;

    #[test]
    fn one_group_is_asked_for_as_a_list_and_null_still_means_all_topics() {
        let mut fetch = OffsetFetchRequest { group_id: "g".to_owned(), topics: None, ..Default::default() };
        raise_request(&mut fetch);
        assert_eq!(fetch.groups.len(), 1);
        assert_eq!((fetch.groups[0].group_id.as_str(), &fetch.groups[0].topics), ("g", &None));
        assert_eq!(fetch.topics, Some(Vec::new()), "the old form is at its default again");
    }

    #[test]
    fn a_groups_error_stands_at_every_partition_in_version_1_and_beside_them_later() {
        let partition =
            OffsetFetchResponsePartitions { partition_index: 3, committed_offset: -1, ..Default::default() };
        let topic = OffsetFetchResponseTopics { name: "t".to_owned(), partitions: vec![partition] };
        let error_code = ErrorCode::NOT_COORDINATOR;
        let group = OffsetFetchResponseGroup { group_id: "g".to_owned(), topics: vec![topic], error_code };
        let fetched = OffsetFetchResponse { groups: vec![group], ..Default::default() };
        for version in [1, 2, 7] {
            let old = lower_response(&fetched, version).unwrap();
            let at_partition = if version == 1 { error_code } else { ErrorCode::NONE };
            assert_eq!((old.error_code, old.groups.len()), (error_code, 0));
            assert_eq!(old.topics[0].partitions[0].error_code, at_partition, "version {version}");
        }
    }
}
