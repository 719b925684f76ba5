//! Judges what a producer sent before anything is appended, as Kafka's `LogValidator` and `UnifiedLog` do.

mod header;
mod records;
mod refused;
mod rules;

pub use refused::{Refused, RefusedKind};
pub use rules::{
    CompressionType, DEFAULT_MAX_DECOMPRESSED_BYTES, DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_TIMESTAMP_AFTER_MAX_MS, Rules, TimestampType, TopicRules,
};

use bytes::Bytes;

use crate::record::batch::{Batch, BatchHeader};
use crate::record::compress::{CEILING_BYTES, output_limit};
use crate::record::iter::open_body;
use crate::time::Timestamp;

/// What a batch is judged by besides the rules of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The wall clock now.
    pub now: Timestamp,
    /// [`Rules::max_decompressed_bytes`].
    pub max_decompressed_bytes: usize,
    /// Whether the version of the request may carry zstd: Produce 7 and above (KIP-110).
    pub zstd_allowed: bool,
}

/// Judges the bytes that a produce request carries for one partition (null counts as empty) and answers with
/// the batch to append, or why there is none. In the ordinary case the batch is the slice that was sent; it
/// gets bytes of its own where the topic wants another codec or LogAppendTime, and where the client told the
/// wrong `max_timestamp` or offset deltas.
///
/// As Kafka: `ProduceRequest.validateRecords`, then `UnifiedLog.analyzeAndValidateRecords`, then
/// `LogValidator`.
pub fn check(bytes: Bytes, rules: &TopicRules, terms: &Terms) -> Result<Batch, Refused> {
    let batch = header::sole_batch(bytes)?;
    let sent = header::check(&batch, rules, terms)?;
    let target = rules.compression.codec().unwrap_or(sent);
    if rules.trust && !rules.compacted && target == sent {
        return trusted(batch, rules, terms.now);
    }
    let limit = output_limit(batch.size(), terms.max_decompressed_bytes);
    let body = open_body(&batch, limit).map_err(records::unreadable)?;
    let seen = records::examine(&body, batch.header(), rules, terms.now)?;

    let mut wanted = BatchHeader { max_timestamp: seen.max_timestamp, ..*batch.header() };
    if rules.timestamp_type == TimestampType::LogAppendTime {
        wanted.set_log_append_time(terms.now);
    }
    if seen.consecutive && target == sent {
        return Ok(under(batch, wanted));
    }
    if body.len() > CEILING_BYTES {
        let message =
            format!("the record batch has {} bytes of records, too many to compress anew", body.len());
        return Err(Refused::batch(RefusedKind::MessageTooLarge, message));
    }
    let rebuilt = records::rebuild(&body, &wanted, (target, rules.compression.level()));
    header::check_size(&rebuilt, rules)?;
    Ok(rebuilt)
}

/// The batch of a trusted producer: its header is believed.
fn trusted(batch: Batch, rules: &TopicRules, now: Timestamp) -> Result<Batch, Refused> {
    let mut wanted = *batch.header();
    if rules.timestamp_type == TimestampType::LogAppendTime {
        wanted.set_log_append_time(now);
    } else if !header::in_bounds(wanted.max_timestamp, rules, now) {
        let message = header::out_of_bounds(wanted.max_timestamp, rules, now);
        return Err(Refused::batch(RefusedKind::InvalidTimestamp, message));
    }
    Ok(under(batch, wanted))
}

/// The batch with that header, in the bytes it came in if it has it already.
fn under(batch: Batch, wanted: BatchHeader) -> Batch {
    if *batch.header() == wanted { batch } else { batch.with_header(wanted) }
}

#[cfg(test)]
mod tests;
