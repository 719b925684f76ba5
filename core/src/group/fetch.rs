//! OffsetFetch: what groups have committed.

use super::facts::Committed;
use super::state::Group;
use crate::wire::ErrorCode;
use crate::wire::messages::offset_fetch as of;

/// Offset of a partition that has none.
const NO_OFFSET: i64 = -1;

/// Which partitions a request asks for, by topic; `None` asks for all that have an offset.
pub(crate) type Asked = Option<Vec<(String, Vec<i32>)>>;

/// What one group is asked for.
pub(crate) fn asked(request: &mut of::OffsetFetchRequestGroup) -> Asked {
    let topics = request.topics.take()?;
    Some(topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect())
}

/// The committed offsets of a group; of one that is not there none, which is no error (`OffsetMetadataManager.fetchOffsets`).
pub(crate) fn offsets(group: Option<&Group>, asked: Asked) -> Vec<of::OffsetFetchResponseTopics> {
    let Some(asked) = asked else {
        return group.map_or_else(Vec::new, all_offsets);
    };
    let topics = asked.into_iter().map(|(name, partitions)| {
        let known = group.and_then(|g| g.offsets.get(&name));
        let partitions = partitions.into_iter().map(|p| partition(p, known.and_then(|o| o.get(&p))));
        of::OffsetFetchResponseTopics { partitions: partitions.collect(), name }
    });
    topics.collect()
}

fn all_offsets(group: &Group) -> Vec<of::OffsetFetchResponseTopics> {
    let topics = group.offsets.iter().map(|(name, offsets)| of::OffsetFetchResponseTopics {
        name: name.clone(),
        partitions: offsets.iter().map(|(p, committed)| partition(*p, Some(committed))).collect(),
    });
    topics.collect()
}

fn partition(partition_index: i32, committed: Option<&Committed>) -> of::OffsetFetchResponsePartitions {
    of::OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: committed.map_or(NO_OFFSET, |c| c.offset),
        committed_leader_epoch: committed.map_or(-1, |c| c.leader_epoch),
        metadata: Some(committed.map_or_else(String::new, |c| c.metadata.clone())),
        error_code: ErrorCode::NONE,
    }
}

/// The refusal of a whole group. Version 1 has no place for it but beside each partition, so those are listed
/// (KAFKA-19439).
pub(crate) fn refused(asked: Asked, beside: bool) -> Vec<of::OffsetFetchResponseTopics> {
    if beside { Vec::new() } else { offsets(None, asked) }
}
