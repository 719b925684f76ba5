//! What the records of a batch must be, and the batch that is stored when it is not the one that was sent.

use super::header::{in_bounds, out_of_bounds};
use super::{Refused, RefusedKind, TimestampType, TopicRules};
use crate::record::batch::{Batch, BatchHeader, Codec};
use crate::record::build::BatchBuilder;
use crate::record::compress::CompressionError;
use crate::record::iter::{RawRecord, RecordError, TIMESTAMP_OVERFLOW, Walk};
use crate::time::Timestamp;

/// Errors told one by one: a batch may have millions of records, an answer may not.
const MAX_RECORD_ERRORS: usize = 100;

/// What the records really are.
pub(super) struct Seen {
    /// Their largest timestamp, -1 without any.
    pub(super) max_timestamp: Timestamp,
    /// Whether their offset deltas are 0, 1, 2 and so on.
    pub(super) consecutive: bool,
}

/// Goes over all records, keys and values unread (Kafka: `LogValidator.validateRecord`).
pub(super) fn examine(
    body: &[u8],
    header: &BatchHeader,
    rules: &TopicRules,
    now: Timestamp,
) -> Result<Seen, Refused> {
    let mut seen = Seen { max_timestamp: Timestamp(-1), consecutive: true };
    let mut faults = Faults::default();
    for (index, raw) in (0..).zip(Walk::new(body, header.count)) {
        let raw = raw.map_err(unreadable)?;
        let timestamp = raw
            .timestamp(header)
            .ok_or_else(|| unreadable(RecordError::Malformed { record: index, what: TIMESTAMP_OVERFLOW }))?;
        seen.consecutive &= raw.offset_delta == index;
        seen.max_timestamp = seen.max_timestamp.max(timestamp);
        faults.judge(index, &raw, timestamp, (rules, now));
    }
    faults.verdict().map_or(Ok(seen), Err)
}

pub(super) fn unreadable(error: RecordError) -> Refused {
    let kind = match &error {
        RecordError::Compression(CompressionError::TooLarge { .. }) => RefusedKind::MessageTooLarge,
        RecordError::UnknownCodec => RefusedKind::UnsupportedCompressionType,
        _ => RefusedKind::InvalidRecord,
    };
    Refused::batch(kind, error.to_string())
}

/// The records at fault so far.
#[derive(Default)]
struct Faults {
    count: usize,
    timestamps: bool,
    first: Vec<(i32, Option<String>)>,
}

impl Faults {
    #[inline]
    fn judge(
        &mut self,
        index: i32,
        raw: &RawRecord<'_>,
        timestamp: Timestamp,
        (rules, now): (&TopicRules, Timestamp),
    ) {
        if rules.compacted && raw.key.is_none() {
            self.add(index, || "a compacted topic takes no record without a key".to_owned());
        } else if rules.timestamp_type == TimestampType::CreateTime && !in_bounds(timestamp, rules, now) {
            self.timestamps = true;
            self.add(index, || out_of_bounds(timestamp, rules, now));
        }
    }

    #[cold]
    fn add(&mut self, index: i32, message: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < MAX_RECORD_ERRORS {
            self.first.push((index, Some(message())));
        }
    }

    fn verdict(self) -> Option<Refused> {
        let (index, why) = self.first.first()?;
        let why = why.as_deref().unwrap_or_default();
        let message = format!(
            "{} of the batch's records are refused, the first of them record {index}: {why}",
            self.count
        );
        let kind = if self.timestamps { RefusedKind::InvalidTimestamp } else { RefusedKind::InvalidRecord };
        Some(Refused { kind, message, record_errors: self.first })
    }
}

/// The same records, numbered from 0 without a gap and compressed as the topic wants it. Everything else
/// stays: producer, sequence, timestamps, keys, values, headers.
pub(super) fn rebuild(body: &[u8], header: &BatchHeader, (codec, level): (Codec, Option<i32>)) -> Batch {
    let mut builder = BatchBuilder::like(header).compression(codec, level);
    for raw in Walk::new(body, header.count) {
        builder.push_raw(&raw.expect("these records have been examined"));
    }
    builder.build()
}
