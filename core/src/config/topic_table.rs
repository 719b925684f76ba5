//! The configs of a topic: Kafka's names, types, defaults and ranges (Kafka: `TopicConfig`, `LogConfig`,
//! `ServerTopicConfigSynonyms`).

use super::def::Kind::{Boolean, Double, Int, List, Long, String};
use super::def::{ConfigDef, Valid, def, hours, minutes, same, unset};

/// Values of `compression.type`.
const COMPRESSION: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const FOREVER: &str = "9223372036854775807";
const NO_TIERS: &[(&str, &str)] = &[("true", "this broker has no tiered storage")];

/// Every config of a topic, by name.
pub const TOPIC_CONFIGS: &[ConfigDef] = &[
    def("cleanup.policy", List, "delete")
        .valid(Valid::ListOf(&["compact", "delete"]))
        .from(&[same("log.cleanup.policy")])
        .doc("delete: drop old segments by time and size. compact: keep the last value of each key. Or both."),
    def("compression.gzip.level", Int, "-1")
        .valid(Valid::MinusOneOr(1, 9))
        .from(&[same("compression.gzip.level")])
        .doc("Level when compression.type is gzip; -1 is the codec's own choice."),
    def("compression.lz4.level", Int, "9")
        .valid(Valid::Between(1, 17))
        .from(&[same("compression.lz4.level")])
        .ignored()
        .doc("Level when compression.type is lz4. Ignored: there is one level."),
    def("compression.type", String, "producer")
        .valid(Valid::OneOf(COMPRESSION))
        .from(&[same("compression.type")])
        .doc("Codec of the stored batches; producer keeps what arrives."),
    def("compression.zstd.level", Int, "3")
        .valid(Valid::Between(-131_072, 22))
        .from(&[same("compression.zstd.level")])
        .doc("Level when compression.type is zstd."),
    def("delete.retention.ms", Long, "86400000")
        .at_least(0)
        .from(&[same("log.cleaner.delete.retention.ms")])
        .doc("How long compaction keeps tombstones."),
    def("file.delete.delay.ms", Long, "60000")
        .at_least(0)
        .from(&[same("log.segment.delete.delay.ms")])
        .ignored()
        .doc("Wait before the file of a deleted segment goes. Ignored: it goes when nobody reads it any more."),
    def("flush.messages", Long, FOREVER)
        .at_least(1)
        .from(&[same("log.flush.interval.messages")])
        .ignored()
        .doc("Messages between two flushes. Ignored: what is acknowledged is on disk, but with quipu.durability=none."),
    def("flush.ms", Long, FOREVER)
        .at_least(0)
        .from(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")])
        .ignored()
        .doc("Time between two flushes. Ignored: what is acknowledged is on disk, but with quipu.durability=none."),
    def("follower.replication.throttled.replicas", List, "")
        .valid(Valid::ThrottledReplicas)
        .doc("Followers that take follower.replication.throttled.rate while not in sync: partition:broker,... or *."),
    def("index.interval.bytes", Int, "4096")
        .at_least(0)
        .from(&[same("log.index.interval.bytes")])
        .doc("Bytes of the log between two entries of its offset index."),
    unset("internal.segment.bytes", Int)
        .at_least(14)
        .hidden()
        .doc("segment.bytes without its lower limit, for tests (Kafka 4.1)."),
    def("leader.replication.throttled.replicas", List, "")
        .valid(Valid::ThrottledReplicas)
        .doc("Leaders that send leader.replication.throttled.rate to who is not in sync: partition:broker,... or *."),
    def("local.retention.bytes", Long, "-2")
        .at_least(-2)
        .from(&[same("log.local.retention.bytes")])
        .ignored()
        .doc("Bytes kept on local disk with tiered storage; -2 is retention.bytes."),
    def("local.retention.ms", Long, "-2")
        .at_least(-2)
        .from(&[same("log.local.retention.ms")])
        .ignored()
        .doc("Time kept on local disk with tiered storage; -2 is retention.ms."),
    def("max.compaction.lag.ms", Long, FOREVER)
        .at_least(1)
        .from(&[same("log.cleaner.max.compaction.lag.ms")])
        .doc("A record becomes eligible for compaction at the latest after this time."),
    def("max.message.bytes", Int, "1048588")
        .at_least(0)
        .from(&[same("message.max.bytes")])
        .doc("The largest record batch accepted, as it arrives."),
    def("message.downconversion.enable", Boolean, "true").ignored().hidden().doc("Of Kafka before 4.0."),
    def("message.format.version", String, "3.0-IV1").ignored().hidden().doc("Of Kafka before 4.0."),
    def("message.timestamp.after.max.ms", Long, "3600000")
        .at_least(0)
        .from(&[same("log.message.timestamp.after.max.ms")])
        .doc("How far a CreateTime may lie in the broker's future."),
    def("message.timestamp.before.max.ms", Long, FOREVER)
        .at_least(0)
        .from(&[same("log.message.timestamp.before.max.ms")])
        .doc("How far a CreateTime may lie in the broker's past."),
    def("message.timestamp.difference.max.ms", Long, FOREVER)
        .at_least(0)
        .ignored()
        .hidden()
        .doc("Of Kafka before 4.0: see message.timestamp.before.max.ms and .after.max.ms."),
    def("message.timestamp.type", String, "CreateTime")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .from(&[same("log.message.timestamp.type")])
        .doc("Whose timestamps records carry: the producer's or the broker's."),
    def("min.cleanable.dirty.ratio", Double, "0.5")
        .valid(Valid::Fraction)
        .from(&[same("log.cleaner.min.cleanable.ratio")])
        .doc("Share of the log that must be new since the last compaction before the next one."),
    def("min.compaction.lag.ms", Long, "0")
        .at_least(0)
        .from(&[same("log.cleaner.min.compaction.lag.ms")])
        .doc("A record is not compacted before it has this age."),
    def("min.insync.replicas", Int, "1")
        .at_least(1)
        .from(&[same("min.insync.replicas")])
        .doc("In-sync replicas without which a produce with acks=all is refused."),
    def("preallocate", Boolean, "false")
        .from(&[same("log.preallocate")])
        .ignored()
        .doc("Reserve the space of a whole segment. Ignored: the storage prepares ahead as it sees fit."),
    def("remote.log.copy.disable", Boolean, "false").ignored().doc("With tiered storage: copy nothing more."),
    def("remote.log.delete.on.disable", Boolean, "false")
        .ignored()
        .doc("With tiered storage: delete what was copied when it is switched off."),
    def("remote.storage.enable", Boolean, "false")
        .refuse(NO_TIERS)
        .ignored()
        .doc("Tiered storage, which this broker does not have."),
    def("retention.bytes", Long, "-1")
        .at_least(-1)
        .from(&[same("log.retention.bytes")])
        .doc("Bytes of a partition beyond which its oldest segments are deleted; -1 is without limit."),
    def("retention.ms", Long, "604800000")
        .at_least(-1)
        .from(&[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")])
        .doc("Age beyond which segments are deleted; -1 is never."),
    def("segment.bytes", Int, "1073741824")
        .at_least(1_048_576)
        .from(&[same("log.segment.bytes")])
        .doc("Size at which a new segment begins."),
    def("segment.index.bytes", Int, "10485760")
        .at_least(4)
        .from(&[same("log.index.size.max.bytes")])
        .ignored()
        .doc("Largest size of an index. Ignored: indexes grow with their segment."),
    def("segment.jitter.ms", Long, "0")
        .at_least(0)
        .from(&[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")])
        .doc("Upper limit of what is taken off segment.ms at random, so that not all segments roll at once."),
    def("segment.ms", Long, "604800000")
        .at_least(1)
        .from(&[same("log.roll.ms"), hours("log.roll.hours")])
        .doc("Age of its first record at which a segment is closed and a new one begins."),
    def("unclean.leader.election.enable", Boolean, "false")
        .from(&[same("unclean.leader.election.enable")])
        .doc("Whether a replica that is not in sync may lead when no other is left; acknowledged records can be lost."),
];

/// The config of a topic with that name.
pub fn topic_def(name: &str) -> Option<&'static ConfigDef> {
    TOPIC_CONFIGS.iter().find(|def| def.name == name)
}
