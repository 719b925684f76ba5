//! Finds a record of a batch by its timestamp, for lookups by time.

use crate::ids::Offset;
use crate::record::batch::Batch;
use crate::record::compress::CEILING_BYTES;
use crate::record::iter::{RecordError, TIMESTAMP_OVERFLOW, Walk, open_body};
use crate::time::Timestamp;

/// The first record at or after `from` in the log whose timestamp is `target` or later, with its timestamp
/// (Kafka: `FileRecords.searchForTimestamp`). Reads a batch from our own disk: what was accepted is
/// decompressed without a further limit.
pub fn first_at_or_after(
    batch: &Batch,
    target: Timestamp,
    from: Offset,
) -> Result<Option<(Offset, Timestamp)>, RecordError> {
    if batch.header().max_timestamp < target || batch.header().last_offset() < from {
        return Ok(None);
    }
    find(batch, |offset, timestamp| timestamp >= target && offset >= from)
}

/// The record that has the largest timestamp of the batch, as the header tells it: the first of them, but the
/// last record of the batch when the time is the broker's (Kafka: `DefaultRecordBatch.offsetOfMaxTimestamp`).
/// `None` when the batch has no timestamps, or when compaction has removed the record.
pub fn of_max_timestamp(batch: &Batch) -> Result<Option<(Offset, Timestamp)>, RecordError> {
    let header = batch.header();
    let max = header.max_timestamp;
    if max.0 < 0 {
        return Ok(None);
    }
    if header.is_log_append_time() {
        return Ok(Some((header.last_offset(), max)));
    }
    find(batch, |_, timestamp| timestamp == max)
}

fn find(
    batch: &Batch,
    wanted: impl Fn(Offset, Timestamp) -> bool,
) -> Result<Option<(Offset, Timestamp)>, RecordError> {
    let header = batch.header();
    let body = open_body(batch, CEILING_BYTES)?;
    for (record, raw) in (0..).zip(Walk::new(&body, header.count)) {
        let raw = raw?;
        let overflow = RecordError::Malformed { record, what: TIMESTAMP_OVERFLOW };
        let timestamp = raw.timestamp(header).ok_or(overflow)?;
        let offset = header.base_offset + i64::from(raw.offset_delta);
        if wanted(offset, timestamp) {
            return Ok(Some((offset, timestamp)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::record::batch::Codec;
    use crate::record::build::BatchBuilder;

    fn batch(codec: Codec, timestamps: &[i64]) -> Batch {
        let mut builder = BatchBuilder::new().compression(codec, None);
        timestamps.iter().for_each(|t| builder.push(Timestamp(*t), None, Some(b"v")));
        let mut batch = builder.build();
        batch.stamp(Offset(100), LeaderEpoch(0));
        batch
    }

    fn first(batch: &Batch, target: i64, from: i64) -> Option<(i64, i64)> {
        first_at_or_after(batch, Timestamp(target), Offset(from)).unwrap().map(|(o, t)| (o.0, t.0))
    }

    #[test]
    fn the_first_record_at_or_after_a_time_is_found_even_where_times_are_out_of_order() {
        for codec in [Codec::None, Codec::Lz4] {
            let b = batch(codec, &[10, 50, 20, 30]);
            assert_eq!(first(&b, 0, 0), Some((100, 10)));
            assert_eq!(first(&b, 11, 0), Some((101, 50)));
            assert_eq!(first(&b, 51, 0), None);
        }
    }

    #[test]
    fn records_before_the_start_of_the_log_are_passed_over() {
        let b = batch(Codec::None, &[10, 50, 20, 30]);
        assert_eq!(first(&b, 15, 102), Some((102, 20)));
        assert_eq!(first(&b, 15, 104), None);
    }

    #[test]
    fn the_first_of_the_records_with_the_largest_time_is_found() {
        let b = batch(Codec::None, &[10, 50, 50, 30]);
        assert_eq!(of_max_timestamp(&b).unwrap(), Some((Offset(101), Timestamp(50))));
        assert_eq!(of_max_timestamp(&batch(Codec::None, &[-1])).unwrap(), None);
    }

    #[test]
    fn with_log_append_time_every_record_has_the_brokers_time() {
        let b = batch(Codec::None, &[10, 50]);
        let mut header = *b.header();
        header.set_log_append_time(Timestamp(1000));
        let b = b.with_header(header);
        assert_eq!(first(&b, 900, 0), Some((100, 1000)));
        assert_eq!(first(&b, 900, 101), Some((101, 1000)));
        assert_eq!(of_max_timestamp(&b).unwrap(), Some((Offset(101), Timestamp(1000))));
    }
}
