//! Judges what a producer sent before anything is appended, as Kafka's `LogValidator` and `UnifiedLog` do.

mod refused;
mod rules;

pub use refused::{Refused, RefusedKind};
pub use rules::{
    CompressionType, DEFAULT_MAX_DECOMPRESSED_BYTES, DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_TIMESTAMP_AFTER_MAX_MS, Rules, TimestampType, TopicRules,
};

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
