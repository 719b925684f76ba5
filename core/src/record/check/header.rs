//! What the header of a batch must say, before any record is looked at.

use bytes::Bytes;

use super::{Refused, RefusedKind, Terms, TopicRules};
use crate::record::batch::{Batch, BatchError, BatchHeader, Codec};
use crate::time::Timestamp;

use RefusedKind::{
    CorruptMessage, InvalidRecord, InvalidTimestamp, MessageTooLarge, UnsupportedCompressionType,
};

/// Where every format of records keeps its number.
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;

/// The one batch that `bytes` are (Kafka: `ProduceRequest.validateRecords`).
pub(super) fn sole_batch(mut bytes: Bytes) -> Result<Batch, Refused> {
    if bytes.is_empty() {
        return Err(Refused::batch(
            InvalidRecord,
            "a produce request carries one record batch per partition, not none",
        ));
    }
    if let Some(magic) = bytes.get(MAGIC_AT).filter(|m| **m != MAGIC) {
        return Err(malformed(&BatchError::Magic(*magic as i8)));
    }
    let batch = Batch::take(&mut bytes).map_err(|e| malformed(&e))?;
    if !bytes.is_empty() {
        let message = format!(
            "{} bytes follow the record batch; a produce request carries one per partition",
            bytes.len()
        );
        return Err(Refused::batch(InvalidRecord, message));
    }
    Ok(batch)
}

fn malformed(error: &BatchError) -> Refused {
    let kind = match error {
        BatchError::Truncated | BatchError::Magic(_) => InvalidRecord,
        BatchError::Length(_) | BatchError::Crc { .. } => CorruptMessage,
    };
    Refused::batch(kind, error.to_string())
}

/// Size, checksum and the fields of the header, in Kafka's order. Answers the codec.
pub(super) fn check(batch: &Batch, rules: &TopicRules, terms: &Terms) -> Result<Codec, Refused> {
    let header = batch.header();
    let codec = codec_of(header, terms)?;
    if header.base_offset.0 != 0 {
        let message =
            format!("the base offset of a record batch that is sent is 0, not {}", header.base_offset);
        return Err(Refused::batch(InvalidRecord, message));
    }
    check_size(batch, rules)?;
    batch.check_crc().map_err(|e| malformed(&e))?;
    check_count(header)?;
    check_attributes(header)?;
    check_producer(header)?;
    Ok(codec)
}

fn codec_of(header: &BatchHeader, terms: &Terms) -> Result<Codec, Refused> {
    match header.codec() {
        None => {
            let message = format!("compression type {} does not exist", header.attributes & 7);
            Err(Refused::batch(UnsupportedCompressionType, message))
        }
        Some(Codec::Zstd) if !terms.zstd_allowed => {
            let message =
                "zstd needs version 7 of the produce request; upgrade the client or choose another codec";
            Err(Refused::batch(UnsupportedCompressionType, message))
        }
        Some(codec) => Ok(codec),
    }
}

/// A batch is measured whole, header included, as Kafka does.
pub(super) fn check_size(batch: &Batch, rules: &TopicRules) -> Result<(), Refused> {
    if batch.size() <= rules.max_message_bytes {
        return Ok(());
    }
    let message = format!(
        "the record batch has {} bytes; max.message.bytes of the topic allows {}",
        batch.size(),
        rules.max_message_bytes
    );
    Err(Refused::batch(MessageTooLarge, message))
}

fn check_count(header: &BatchHeader) -> Result<(), Refused> {
    if header.count <= 0 {
        let message = format!("the record batch claims to have {} records", header.count);
        return Err(Refused::batch(InvalidRecord, message));
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(header.count) {
        let message = format!(
            "the record batch claims {} records, but {} for the offset delta of the last",
            header.count, header.last_offset_delta
        );
        return Err(Refused::batch(InvalidRecord, message));
    }
    Ok(())
}

fn check_attributes(header: &BatchHeader) -> Result<(), Refused> {
    if header.is_control() {
        return Err(Refused::batch(InvalidRecord, "clients may not write control records"));
    }
    if header.has_delete_horizon() || header.has_unknown_attributes() {
        let message = format!(
            "the attributes of the record batch are not a client's to set: {:#06x}",
            header.attributes
        );
        return Err(Refused::batch(InvalidRecord, message));
    }
    if header.is_log_append_time() {
        let message = "the record batch claims LogAppendTime, which only a broker sets";
        return Err(Refused::batch(InvalidTimestamp, message));
    }
    if header.base_timestamp.0 < -1 {
        let message = format!("the base timestamp of the record batch is {}", header.base_timestamp.0);
        return Err(Refused::batch(InvalidTimestamp, message));
    }
    Ok(())
}

fn check_producer(header: &BatchHeader) -> Result<(), Refused> {
    let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
    let message = if !header.has_producer() {
        if !header.is_transactional() {
            return Ok(());
        }
        "a transactional record batch needs a producer id".to_owned()
    } else if sequence < 0 {
        format!("the record batch of producer {id} has sequence number {sequence}")
    } else if epoch < 0 {
        format!("the record batch of producer {id} has producer epoch {epoch}")
    } else {
        return Ok(());
    };
    Err(Refused::batch(InvalidRecord, message))
}

/// Whether a timestamp lies within the topic's bounds (Kafka: `LogValidator.validateTimestamp`). -1 is none,
/// and allowed.
#[inline]
pub(super) fn in_bounds(timestamp: Timestamp, rules: &TopicRules, now: Timestamp) -> bool {
    if timestamp.0 < 0 {
        return timestamp.0 == -1;
    }
    let (from, to) = bounds(rules, now);
    from <= timestamp.0 && timestamp.0 <= to
}

/// What to tell of a timestamp out of bounds.
pub(super) fn out_of_bounds(timestamp: Timestamp, rules: &TopicRules, now: Timestamp) -> String {
    let (from, to) = bounds(rules, now);
    format!("timestamp {} is out of range: the topic allows {} to {to} now", timestamp.0, from.max(0))
}

fn bounds(rules: &TopicRules, now: Timestamp) -> (i64, i64) {
    (now.0.saturating_sub(rules.timestamp_before_max_ms), now.0.saturating_add(rules.timestamp_after_max_ms))
}
