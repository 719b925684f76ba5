//! What the shell must know of answers beyond writing them: records still on disk, and throttling.

use quipu_core::storage::error::ReadError;
use quipu_core::storage::ops::LogRange;
use quipu_core::wire::messages::fetch::{FetchResponse, PartitionData};
use quipu_core::wire::{ErrorCode, Records, Response};

use crate::reads::Reads;

/// Whether records of this answer must still be read from disk.
pub(crate) fn is_on_disk(answer: &Response) -> bool {
    ranges(answer).next().is_some()
}

/// At most how many bytes are to be read, going by the limits asked for.
pub(crate) fn on_disk_bytes(answer: &Response) -> usize {
    ranges(answer).fold(0, |sum, range| sum.saturating_add(range.max_bytes))
}

/// Puts the records in. A partition that cannot be read gets an error, the others go out all the same.
pub(crate) fn read_records(answer: &mut Response, reads: &dyn Reads) {
    let Response::Fetch(fetch) = answer else { return };
    for partition in partitions_mut(fetch) {
        if let Some(Records::OnDisk(range)) = partition.records {
            read_partition(partition, &range, reads);
        }
    }
}

fn read_partition(partition: &mut PartitionData, range: &LogRange, reads: &dyn Reads) {
    match reads.bytes(*range) {
        Ok(chunks) => partition.records = Some(Records::Held(chunks)),
        Err(error) => {
            partition.records = Some(Records::default());
            (partition.high_watermark, partition.last_stable_offset, partition.log_start_offset) =
                (-1, -1, -1);
            partition.error_code = match error {
                // Retention or a deletion was faster than this answer.
                ReadError::Gone(_) => ErrorCode::OFFSET_OUT_OF_RANGE,
                ReadError::Damaged(_) | ReadError::Io(_) => ErrorCode::KAFKA_STORAGE_ERROR,
            };
            tracing::warn!("reading {:?} from offset {} for a fetch failed: {error}", range.log, range.from);
        }
    }
}

/// How long the client is told to be quiet, in milliseconds (KIP-219).
pub(crate) fn throttle_ms(answer: &Response) -> i32 {
    match answer {
        Response::Produce(r) => r.throttle_time_ms,
        Response::Fetch(r) => r.throttle_time_ms,
        Response::ListOffsets(r) => r.throttle_time_ms,
        Response::Metadata(r) => r.throttle_time_ms,
        Response::OffsetCommit(r) => r.throttle_time_ms,
        Response::OffsetFetch(r) => r.throttle_time_ms,
        Response::FindCoordinator(r) => r.throttle_time_ms,
        Response::JoinGroup(r) => r.throttle_time_ms,
        Response::Heartbeat(r) => r.throttle_time_ms,
        Response::LeaveGroup(r) => r.throttle_time_ms,
        Response::SyncGroup(r) => r.throttle_time_ms,
        Response::DescribeGroups(r) => r.throttle_time_ms,
        Response::ListGroups(r) => r.throttle_time_ms,
        Response::ApiVersions(r) => r.throttle_time_ms,
        Response::CreateTopics(r) => r.throttle_time_ms,
        Response::DeleteTopics(r) => r.throttle_time_ms,
        Response::DeleteRecords(r) => r.throttle_time_ms,
        Response::InitProducerId(r) => r.throttle_time_ms,
        Response::OffsetForLeaderEpoch(r) => r.throttle_time_ms,
        Response::DescribeConfigs(r) => r.throttle_time_ms,
        Response::AlterConfigs(r) => r.throttle_time_ms,
        Response::DescribeLogDirs(r) => r.throttle_time_ms,
        Response::CreatePartitions(r) => r.throttle_time_ms,
        Response::DeleteGroups(r) => r.throttle_time_ms,
        Response::IncrementalAlterConfigs(r) => r.throttle_time_ms,
        Response::OffsetDelete(r) => r.throttle_time_ms,
        Response::DescribeCluster(r) => r.throttle_time_ms,
        Response::DescribeProducers(r) => r.throttle_time_ms,
        Response::DescribeTopicPartitions(r) => r.throttle_time_ms,
    }
}

fn ranges(answer: &Response) -> impl Iterator<Item = &LogRange> {
    let fetch = match answer {
        Response::Fetch(fetch) => Some(fetch),
        _ => None,
    };
    fetch.into_iter().flat_map(|fetch| &fetch.responses).flat_map(|topic| &topic.partitions).filter_map(
        |partition| match &partition.records {
            Some(Records::OnDisk(range)) => Some(range),
            Some(Records::Held(_)) | None => None,
        },
    )
}

fn partitions_mut(fetch: &mut FetchResponse) -> impl Iterator<Item = &mut PartitionData> {
    fetch.responses.iter_mut().flat_map(|topic| &mut topic.partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::Question;
    use bytes::Bytes;
    use quipu_core::ids::{LogId, Offset};
    use quipu_core::record::Batch;
    use quipu_core::storage::ops::Found;
    use quipu_core::wire::messages::fetch::FetchableTopicResponse;

    /// A disk on which partition 0 can be read and no other.
    struct First(fn(String) -> ReadError);

    impl Reads for First {
        fn bytes(&self, range: LogRange) -> Result<Vec<Bytes>, ReadError> {
            match range.log.partition {
                0 => Ok(vec![Bytes::from_static(b"records")]),
                _ => Err(self.0("it is not there".to_owned())),
            }
        }

        fn batches(&self, _: LogRange) -> Result<Vec<Batch>, ReadError> {
            panic!("a fetch is answered with bytes")
        }

        fn look(&self, _: &Question) -> Result<Option<Found>, ReadError> {
            panic!("a fetch looks nothing up")
        }
    }

    fn on_disk(index: i32) -> PartitionData {
        let log = LogId { partition: index, ..LogId::METADATA };
        let range = LogRange { log, from: Offset(3), below: Offset(9), max_bytes: 100, at_least_one: true };
        PartitionData {
            partition_index: index,
            high_watermark: 9,
            last_stable_offset: 9,
            log_start_offset: 1,
            records: Some(Records::OnDisk(range)),
            ..Default::default()
        }
    }

    #[test]
    fn a_partition_that_cannot_be_read_has_an_error_that_fetch_knows_and_no_marks_and_others_go_out() {
        for (error, code) in [
            (ReadError::Gone as fn(String) -> ReadError, ErrorCode::OFFSET_OUT_OF_RANGE),
            (ReadError::Damaged, ErrorCode::KAFKA_STORAGE_ERROR),
        ] {
            let topic =
                FetchableTopicResponse { partitions: vec![on_disk(0), on_disk(1)], ..Default::default() };
            let mut answer = Response::from(FetchResponse { responses: vec![topic], ..Default::default() });
            read_records(&mut answer, &First(error));
            assert!(!is_on_disk(&answer));
            let Response::Fetch(fetch) = answer else { panic!("another answer") };
            let marks = |p: &PartitionData| (p.high_watermark, p.last_stable_offset, p.log_start_offset);
            let [good, bad] = &fetch.responses[0].partitions[..] else { panic!("two partitions") };
            assert_eq!((good.error_code, marks(good)), (ErrorCode::NONE, (9, 9, 1)));
            assert_eq!(good.records.as_ref().map(Records::held_bytes), Some(7));
            assert_eq!((bad.error_code, marks(bad)), (code, (-1, -1, -1)));
            assert_eq!(bad.records, Some(Records::default()), "empty, and not null");
        }
    }
}
