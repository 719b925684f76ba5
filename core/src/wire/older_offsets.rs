//! OffsetFetch before version 8 asks for one group at the top level; the machine knows the list of groups only.

use crate::wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
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

pub(crate) fn lower_request(fetch: &OffsetFetchRequest) -> Option<OffsetFetchRequest> {
    let [group] = fetch.groups.as_slice() else { return None };
    let lowered = |topic: &OffsetFetchRequestTopics| OffsetFetchRequestTopic {
        name: topic.name.clone(),
        partition_indexes: topic.partition_indexes.clone(),
    };
    Some(OffsetFetchRequest {
        group_id: group.group_id.clone(),
        topics: group.topics.as_ref().map(|topics| topics.iter().map(lowered).collect()),
        groups: Vec::new(),
        require_stable: fetch.require_stable,
    })
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

pub(crate) fn raise_response(fetched: &mut OffsetFetchResponse) {
    let OffsetFetchResponse { throttle_time_ms, topics, error_code, .. } = std::mem::take(fetched);
    let raised_partition = |from: OffsetFetchResponsePartition| OffsetFetchResponsePartitions {
        partition_index: from.partition_index,
        committed_offset: from.committed_offset,
        committed_leader_epoch: from.committed_leader_epoch,
        metadata: from.metadata,
        error_code: from.error_code,
    };
    let raised = |topic: OffsetFetchResponseTopic| OffsetFetchResponseTopics {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(raised_partition).collect(),
    };
    let topics = topics.into_iter().map(raised).collect();
    let group = OffsetFetchResponseGroup { group_id: String::new(), topics, error_code };
    *fetched = OffsetFetchResponse { throttle_time_ms, groups: vec![group], ..Default::default() };
}
