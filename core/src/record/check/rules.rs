//! The rules by which a connection judges the batches of a produce request, topic by topic.

use std::collections::BTreeMap;

use crate::record::batch::Codec;

/// Default of `max.message.bytes`: 1 MiB of records and the overhead of the oldest format, as Kafka counts
/// it.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;
/// Default of [`Rules::max_decompressed_bytes`]: larger than the default frame limit (100 MiB), so that no
/// batch which would be accepted uncompressed is refused because it is compressed.
pub const DEFAULT_MAX_DECOMPRESSED_BYTES: usize = 128 << 20;
/// Default of `message.timestamp.after.max.ms`: one hour (KIP-1030).
pub const DEFAULT_TIMESTAMP_AFTER_MAX_MS: i64 = 3_600_000;

/// The rules of all topics. The machine publishes them, connections read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For topics without rules of their own, and for those that do not exist yet.
    pub default: TopicRules,
    /// For topics whose configs differ, by name.
    pub topics: BTreeMap<String, TopicRules>,
    /// No batch may be larger than this once it is decompressed, whatever its topic.
    pub max_decompressed_bytes: usize,
}

impl Rules {
    /// The rules of the topic with that name.
    pub fn of(&self, topic: &str) -> &TopicRules {
        self.topics.get(topic).unwrap_or(&self.default)
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            default: TopicRules::default(),
            topics: BTreeMap::new(),
            max_decompressed_bytes: DEFAULT_MAX_DECOMPRESSED_BYTES,
        }
    }
}

/// What the configs of one topic say about its batches. The default is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// `max.message.bytes`: the size limit of a whole batch, as sent and again as stored.
    pub max_message_bytes: usize,
    /// `compression.type` with the level of its codec.
    pub compression: CompressionType,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` contains `compact`: every record needs a key.
    pub compacted: bool,
    /// Whether the producers are trusted with the records themselves: only CRC and header are checked.
    /// Without effect where the records must be looked at anyway: on compacted topics, and when they have to
    /// be compressed anew.
    pub trust: bool,
}

impl Default for TopicRules {
    fn default() -> TopicRules {
        TopicRules {
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            compression: CompressionType::Producer,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: DEFAULT_TIMESTAMP_AFTER_MAX_MS,
            compacted: false,
            trust: false,
        }
    }
}

/// `compression.type`: how batches are stored (KIP-390 for the levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip.
    Gzip {
        /// `compression.gzip.level`: 1 to 9, or -1 for the library's default.
        level: i32,
    },
    /// snappy, which has no levels.
    Snappy,
    /// lz4.
    Lz4 {
        /// `compression.lz4.level`: 1 to 17. Kept for the config's sake: the encoder has one level.
        level: i32,
    },
    /// Zstandard.
    Zstd {
        /// `compression.zstd.level`: -131072 to 22.
        level: i32,
    },
}

impl CompressionType {
    /// The codec to store with, or `None` for the producer's own.
    pub fn codec(&self) -> Option<Codec> {
        match self {
            CompressionType::Producer => None,
            CompressionType::Uncompressed => Some(Codec::None),
            CompressionType::Gzip { .. } => Some(Codec::Gzip),
            CompressionType::Snappy => Some(Codec::Snappy),
            CompressionType::Lz4 { .. } => Some(Codec::Lz4),
            CompressionType::Zstd { .. } => Some(Codec::Zstd),
        }
    }

    /// The level to store with; `None` where the codec has none or none was asked for.
    pub fn level(&self) -> Option<i32> {
        match *self {
            CompressionType::Gzip { level }
            | CompressionType::Lz4 { level }
            | CompressionType::Zstd { level } => Some(level),
            CompressionType::Producer | CompressionType::Uncompressed | CompressionType::Snappy => None,
        }
    }
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's timestamps stand.
    CreateTime,
    /// The broker's clock at the append replaces them.
    LogAppendTime,
}
