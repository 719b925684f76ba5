//! Newtypes for every id, offset and epoch, so that no two of them can be confused.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// The position of a record in its partition's log. The first record ever has offset 0.
    Offset(i64)
}
id! {
    /// How often the leadership of a partition (or of the metadata log) has been given out.
    LeaderEpoch(i32)
}
id! {
    /// A broker, as `node.id` names it. Clients see it in metadata answers.
    BrokerId(i32)
}
id! {
    /// An idempotent producer, as InitProducerId handed it out. Never issued twice.
    ProducerId(i64)
}
id! {
    /// One client connection in the life of this process. Never issued twice.
    ConnId(u64)
}
id! {
    /// One ordered queue of disk work: one per log directory.
    LaneId(u32)
}
id! {
    /// Names a completion of a lane: every operation sent with this mark or a lower one is done.
    Mark(u64)
}
id! {
    /// Names one request of the machine to read record batches back from disk.
    LoadId(u64)
}
id! {
    /// Names one question of the machine to an index on disk.
    LookupId(u64)
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, records: i64) -> Offset {
        Offset(self.0 + records)
    }
}

impl Sub for Offset {
    type Output = i64;
    fn sub(self, other: Offset) -> i64 {
        self.0 - other.0
    }
}

/// The id of a topic for its whole life: a topic deleted and created again under the same name has another one (KIP-516).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// No topic: what a request carries that names its topics by name.
    pub const ZERO: TopicId = TopicId([0; 16]);
    /// The metadata log's topic, `__cluster_metadata` (Kafka's `Uuid.METADATA_TOPIC_ID`).
    pub const METADATA: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// Whether this is [`TopicId::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == TopicId::ZERO
    }

    /// The id with that text form (22 characters of unpadded URL-safe base64), if it is one.
    pub fn parse(text: &str) -> Option<TopicId> {
        base64::decode16(text).map(TopicId)
    }
}

/// As Kafka's `Uuid.toString`: 22 characters of unpadded URL-safe base64.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode16(&self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One log: a partition of a topic on this broker. The identity under which files, waits and loads are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// Its topic.
    pub topic: TopicId,
    /// Its number within the topic, from 0.
    pub partition: i32,
}

impl LogId {
    /// The metadata log.
    pub const METADATA: LogId = LogId { topic: TopicId::METADATA, partition: 0 };
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Unpadded URL-safe base64 of 16 bytes, the text form of every Kafka `Uuid`.
pub mod base64 {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// The 22 characters for 16 bytes.
    pub fn encode16(bytes: &[u8; 16]) -> String {
        let bits = u128::from_be_bytes(*bytes);
        (0..22)
            .map(|i| {
                let shift = 122 - 6 * i;
                let six = if shift >= 0 { bits >> shift } else { bits << -shift };
                char::from(ALPHABET[(six & 63) as usize])
            })
            .collect()
    }

    /// The 16 bytes for 22 characters, or `None` when the text is not their canonical form.
    pub fn decode16(text: &str) -> Option<[u8; 16]> {
        if text.len() != 22 {
            return None;
        }
        let mut bits: u128 = 0;
        for (i, c) in text.bytes().enumerate() {
            let six = ALPHABET.iter().position(|a| *a == c)? as u128;
            bits = if i < 21 { (bits << 6) | six } else { (bits << 2) | (six >> 4) };
        }
        let bytes = bits.to_be_bytes();
        (encode16(&bytes) == text).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_reads_back_from_its_text() {
        for id in [TopicId::ZERO, TopicId::METADATA, TopicId([0xff; 16]), TopicId(*b"0123456789abcdef")] {
            assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAA/"), None);
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAAR"), None, "two texts must not name one id");
    }
}
