//! Answers whose records are still on disk.

use bytes::Bytes;

use crate::storage::error::ReadError;
use crate::storage::ops::LogRange;
use crate::wire::messages::fetch::{FetchResponse, PartitionData};
use crate::wire::{ErrorCode, Records, Response};

/// Whether records of this answer must still be read from disk.
pub fn is_on_disk(answer: &Response) -> bool {
    ranges(answer).next().is_some()
}

/// The stretch that must still be read, where it is only one.
pub fn one_on_disk(answer: &Response) -> Option<LogRange> {
    let mut ranges = ranges(answer);
    ranges.next().copied().filter(|_| ranges.next().is_none())
}

/// At most how many bytes are to be read, going by the limits asked for.
pub fn on_disk_bytes(answer: &Response) -> usize {
    ranges(answer).fold(0, |sum, range| sum.saturating_add(range.max_bytes))
}

/// Puts the records in. A partition that cannot be read gets an error, the others go out all the same.
pub fn fill(answer: &mut Response, mut read: impl FnMut(LogRange) -> Result<Vec<Bytes>, ReadError>) {
    let Response::Fetch(fetch) = answer else { return };
    for partition in partitions_mut(fetch) {
        if let Some(Records::OnDisk(range)) = partition.records {
            put(partition, read(range));
        }
    }
}

fn put(partition: &mut PartitionData, read: Result<Vec<Bytes>, ReadError>) {
    match read {
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
        }
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
    use crate::ids::{LogId, Offset};
    use crate::wire::messages::fetch::FetchableTopicResponse;

    /// A disk on which partition 0 can be read and no other.
    fn first(range: LogRange, otherwise: fn(String) -> ReadError) -> Result<Vec<Bytes>, ReadError> {
        match range.log.partition {
            0 => Ok(vec![Bytes::from_static(b"records")]),
            _ => Err(otherwise("it is not there".to_owned())),
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
            fill(&mut answer, |range| first(range, error));
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
