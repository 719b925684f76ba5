//! The configs of the broker that have effect: Kafka's names, then Quipu's own under `quipu.`.

use super::def::Kind::{Boolean, Double, Int, List, Long, Short, String};
use super::def::{ConfigDef, Valid, def, hours, minutes, same, unset};
use super::known_table::KNOWN_CONFIGS;

const COMPRESSION: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const FOREVER: &str = "9223372036854775807";
const MIB: i64 = 1 << 20;
/// Values of `replica.selector.class`: Kafka's classes, by their names.
const LEADER_SELECTOR: &str = "org.apache.kafka.common.replica.LeaderSelector";
pub(super) const RACK_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
const NOT_ALONE: &[(&str, &str)] = &[(
    "replicated",
    "acknowledging what only other brokers' memory holds needs a cluster and a replication factor of at least 2; \
     use synced",
)];

/// Every broker config with effect. Where Kafka's default differs, the doc says so.
pub const BROKER_CONFIGS: &[ConfigDef] = &[
    // Who it is and where it listens.
    def("node.id", Int, "1").at_least(0).at_start().doc("The id of this broker in its cluster."),
    def("broker.id", Int, "-1").at_least(-1).at_start().doc("The old name of node.id."),
    def("listeners", List, "PLAINTEXT://127.0.0.1:9092")
        .valid(Valid::NonEmpty)
        .at_start()
        .doc("Where clients are served. Kafka's default is every address; Quipu's is this machine only."),
    unset("advertised.listeners", List).at_start().doc("The address that clients are told; that of listeners when unset."),
    def("log.dir", String, "./quipu-data").valid(Valid::NonEmpty).at_start().doc("The data directory."),
    unset("log.dirs", List).at_start().doc("The data directory, when log.dir is not used; one."),
    // Topics.
    def("num.partitions", Int, "1").at_least(1).doc("Partitions of a topic created without a number."),
    def("default.replication.factor", Int, "1").at_least(1).doc("Replicas of a topic created without a number."),
    def("auto.create.topics.enable", Boolean, "true").doc("Whether a client that asks for a topic creates it."),
    def("delete.topic.enable", Boolean, "true").doc("Whether topics can be deleted."),
    def("min.insync.replicas", Int, "1").at_least(1).doc("Default of the topic config."),
    def("unclean.leader.election.enable", Boolean, "false").doc("Default of the topic config."),
    // Records.
    def("message.max.bytes", Int, "1048588").at_least(0).doc("Default of max.message.bytes."),
    def("compression.type", String, "producer").valid(Valid::OneOf(COMPRESSION)).doc("Default of the topic config."),
    def("compression.gzip.level", Int, "-1").valid(Valid::MinusOneOr(1, 9)).doc("Default of the topic config."),
    def("compression.zstd.level", Int, "3").valid(Valid::Between(-131_072, 22)).doc("Default of the topic config."),
    def("log.message.timestamp.type", String, "CreateTime")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .doc("Default of message.timestamp.type."),
    def("log.message.timestamp.before.max.ms", Long, FOREVER).at_least(0).doc("Default of message.timestamp.before.max.ms."),
    def("log.message.timestamp.after.max.ms", Long, "3600000").at_least(0).doc("Default of message.timestamp.after.max.ms."),
    // Segments and retention.
    def("log.segment.bytes", Int, "1073741824").at_least(MIB).doc("Default of segment.bytes."),
    unset("log.roll.ms", Long).at_least(1).from(&[hours("log.roll.hours")]).doc("Default of segment.ms."),
    def("log.roll.hours", Int, "168").at_least(1).doc("Default of segment.ms, in hours."),
    unset("log.roll.jitter.ms", Long)
        .at_least(0)
        .from(&[hours("log.roll.jitter.hours")])
        .doc("Default of segment.jitter.ms."),
    def("log.roll.jitter.hours", Int, "0").at_least(0).doc("Default of segment.jitter.ms, in hours."),
    def("log.index.interval.bytes", Int, "4096").at_least(0).doc("Default of index.interval.bytes."),
    def("log.cleanup.policy", List, "delete")
        .valid(Valid::ListOf(&["compact", "delete"]))
        .doc("Default of cleanup.policy."),
    unset("log.retention.ms", Long)
        .at_least(-1)
        .from(&[minutes("log.retention.minutes"), hours("log.retention.hours")])
        .doc("Default of retention.ms."),
    unset("log.retention.minutes", Int)
        .at_least(-1)
        .doc("Default of retention.ms, in minutes; log.retention.ms goes before it."),
    def("log.retention.hours", Int, "168")
        .at_least(-1)
        .doc("Default of retention.ms, in hours; log.retention.ms and .minutes go before it."),
    def("log.retention.bytes", Long, "-1").at_least(-1).doc("Default of retention.bytes."),
    def("log.retention.check.interval.ms", Long, "300000")
        .at_least(1)
        .doc("How often it is looked for segments whose time is over."),
    def("log.flush.offset.checkpoint.interval.ms", Int, "60000")
        .at_least(1)
        .doc("How often the recovery point is moved forward."),
    def("controller.quorum.election.timeout.ms", Int, "1000")
        .at_least(1)
        .at_start()
        .doc("How long votes are waited for, and a leader when there is none; by chance up to twice as long."),
    def("controller.quorum.fetch.timeout.ms", Int, "1500")
        .at_least(1)
        .at_start()
        .doc("How long a voter may be without an answer of the quorum's leader before it asks for votes."),
    def("controller.quorum.request.timeout.ms", Int, "2000")
        .at_least(1)
        .at_start()
        .doc("How long an answer of another voter is waited for before it is asked anew."),
    def("metadata.log.max.record.bytes.between.snapshots", Long, "1048576")
        .at_least(1)
        .at_start()
        .doc("Bytes of metadata records after which the metadata is kept as a snapshot. Kafka's default is 20971520."),
    def("log.cleaner.delete.retention.ms", Long, "86400000").at_least(0).doc("Default of delete.retention.ms."),
    def("log.cleaner.min.compaction.lag.ms", Long, "0").at_least(0).doc("Default of min.compaction.lag.ms."),
    def("log.cleaner.max.compaction.lag.ms", Long, FOREVER).at_least(1).doc("Default of max.compaction.lag.ms."),
    def("log.cleaner.min.cleanable.ratio", Double, "0.5")
        .valid(Valid::Fraction)
        .doc("Default of min.cleanable.dirty.ratio."),
    // Producers.
    def("producer.id.expiration.ms", Int, "86400000")
        .at_least(1)
        .doc("How long a partition remembers an idempotent producer that is silent."),
    def("producer.id.expiration.check.interval.ms", Int, "600000")
        .at_least(1)
        .doc("How often it is looked for producers to forget."),
    // Consumer groups.
    def("group.min.session.timeout.ms", Int, "6000").at_least(1).doc("The shortest session a member may ask for."),
    def("group.max.session.timeout.ms", Int, "1800000").at_least(1).doc("The longest session a member may ask for."),
    def("group.initial.rebalance.delay.ms", Int, "3000")
        .at_least(0)
        .doc("How long an empty group waits for more members before its first generation."),
    def("group.max.size", Int, "2147483647").at_least(1).doc("The most members of one group."),
    def("offsets.topic.num.partitions", Int, "50").at_least(1).at_start().doc("Partitions of __consumer_offsets."),
    def("offsets.topic.replication.factor", Short, "3")
        .at_least(1)
        .at_start()
        .doc("Replicas of __consumer_offsets; never more than there are brokers."),
    def("offsets.topic.segment.bytes", Int, "104857600").at_least(1).at_start().doc("segment.bytes of __consumer_offsets."),
    def("offsets.retention.minutes", Int, "10080")
        .at_least(1)
        .doc("How long committed offsets outlive their group's last member."),
    def("offsets.retention.check.interval.ms", Long, "600000")
        .at_least(1)
        .doc("How often it is looked for offsets whose time is over."),
    def("offset.metadata.max.bytes", Int, "4096").at_least(0).doc("The most text that may go with a committed offset."),
    def("offsets.commit.timeout.ms", Int, "5000").at_least(1).doc("How long an offset commit may wait for its replicas."),
    // Connections, requests and memory.
    def("socket.request.max.bytes", Int, "104857600").at_least(1).at_start().doc("The largest request."),
    def("connections.max.idle.ms", Long, "600000").at_start().doc("After this silence a connection is closed; negative is never."),
    def("max.connections", Int, "2147483647")
        .at_least(1)
        .at_start()
        .doc("The most connections in all; never more than the file descriptors allow."),
    def("max.connections.per.ip", Int, "1000")
        .at_least(0)
        .at_start()
        .doc("The most connections of one address. Kafka's default is no limit."),
    def("max.connections.per.ip.overrides", List, "").at_start().doc("max.connections.per.ip by address: address:limit,..."),
    def("queued.max.request.bytes", Long, "268435456")
        .at_least(-1)
        .at_start()
        .doc("The most bytes of requests under way, in all; -1 is no limit, as in Kafka by default."),
    def("fetch.max.bytes", Int, "57671680").at_least(1024).doc("The most bytes in the answer to one fetch."),
    def("max.request.partition.size.limit", Int, "2000")
        .at_least(1)
        .doc("The most partitions in one page of DescribeTopicPartitions."),
    // Quipu's own.
    def("quipu.durability", String, "synced")
        .valid(Valid::OneOf(&["synced", "none"]))
        .refuse(NOT_ALONE)
        .at_start()
        .doc("synced: records are acknowledged once they are on disk. none: at once; a crash loses the last ones."),
    def("quipu.validate.records", String, "full")
        .valid(Valid::OneOf(&["full", "header"]))
        .at_start()
        .doc("full: check every record of a batch, as Kafka. header: trust producers, check header and checksum only."),
    def("quipu.max.decompressed.bytes", Int, "134217728")
        .at_least(1)
        .at_start()
        .doc("The most bytes that one compressed batch may unpack to."),
    def("quipu.hot.tail.bytes", Long, "67108864")
        .at_least(0)
        .at_start()
        .doc("Memory for the newest records of all partitions, served without reading the disk."),
    def("quipu.disk.reserve.bytes", Long, "67108864")
        .at_least(0)
        .at_start()
        .doc("Below this much free space on the volume, produce requests are refused until there is more."),
    def("quipu.connection.max.requests", Int, "128")
        .valid(Valid::Between(1, 65_536))
        .at_start()
        .doc("The most unanswered requests of one connection; beyond it is not read."),
    def("quipu.connection.max.bytes", Int, "33554432")
        .at_least(1)
        .at_start()
        .doc("The most bytes of unanswered requests of one connection; a larger one is taken alone."),
    def("broker.heartbeat.interval.ms", Int, "200")
        .at_least(1)
        .at_start()
        .doc("How often a broker of a cluster tells the active controller that it lives."),
    def("broker.session.timeout.ms", Int, "1500")
        .at_least(1)
        .at_start()
        .doc("A broker that is silent for longer is fenced: others lead what it led."),
    unset("broker.rack", String).at_start().doc("Where this broker stands; replicas are spread over racks."),
    unset("replica.selector.class", String)
        .valid(Valid::OneOf(&["", LEADER_SELECTOR, RACK_SELECTOR]))
        .at_start()
        .doc("Which replica consumers are told to read from: the leader, or one in sync in their own rack (KIP-392)."),
    def("replica.lag.time.max.ms", Long, "10000")
        .at_least(1)
        .at_start()
        .doc("A follower whose log or disk has not had everything for longer leaves the in-sync replicas."),
    def("replica.fetch.wait.max.ms", Int, "500")
        .at_least(1)
        .at_start()
        .doc("How long a follower's fetch waits at the leader when there is nothing new."),
    def("replica.fetch.response.max.bytes", Int, "4194304")
        .valid(Valid::Between(1024, 64 << 20))
        .at_start()
        .doc("Record bytes in one answer to a follower; a larger batch goes alone."),
    def("replica.fetch.backoff.ms", Int, "100")
        .at_least(1)
        .at_start()
        .doc("How long a follower waits when its leader does not know it yet."),
    def("replica.socket.timeout.ms", Int, "3000")
        .at_least(1)
        .at_start()
        .doc("How long a follower waits for its leader's answer before it asks for everything anew."),
    def("leader.replication.throttled.rate", Long, FOREVER)
        .at_least(0)
        .doc("Bytes a second that leaders here send to throttled replicas that are not in sync (KIP-73)."),
    def("follower.replication.throttled.rate", Long, FOREVER)
        .at_least(0)
        .doc("Bytes a second that throttled replicas here take while they are not in sync (KIP-73)."),
    def("auto.leader.rebalance.enable", Boolean, "true")
        .doc("Whether the active controller puts preferred leaders back by itself."),
    def("leader.imbalance.check.interval.seconds", Long, "300")
        .at_least(1)
        .doc("How often the active controller looks whether leaders are to be put back."),
    def("leader.imbalance.per.broker.percentage", Int, "10")
        .at_least(0)
        .doc("Leaders are put back for a broker when others lead more than so much of what it should lead."),
    unset("quipu.peer.listen", String).at_start().doc("Where other brokers connect; needs a cluster."),
    unset("quipu.peer.advertised", String)
        .at_start()
        .doc("Where other brokers reach one that is not among the voters; the address that it listens at."),
    unset("quipu.voters", List).at_start().doc("The brokers that elect the controller, as id@host:port; this one alone."),
    // Synonyms without a section of their own.
    def("log.flush.scheduler.interval.ms", Long, FOREVER).at_least(0).ignored().doc("Default of flush.ms. Ignored."),
    unset("log.flush.interval.ms", Long)
        .at_least(0)
        .from(&[same("log.flush.scheduler.interval.ms")])
        .ignored()
        .doc("Default of flush.ms. Ignored."),
];

/// The broker config with that name: one with effect, or one that is only known.
pub fn broker_def(name: &str) -> Option<&'static ConfigDef> {
    broker_configs().find(|def| def.name == name)
}

/// Every broker config, those with effect first.
pub fn broker_configs() -> impl Iterator<Item = &'static ConfigDef> {
    BROKER_CONFIGS.iter().chain(KNOWN_CONFIGS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{broker_configs, broker_def};
    use crate::config::def::{ConfigDef, Effect};
    use crate::config::topic_table::TOPIC_CONFIGS;
    use crate::config::value::validate;
    use crate::config::{Settings, settings};

    fn all() -> impl Iterator<Item = &'static ConfigDef> {
        broker_configs().chain(TOPIC_CONFIGS)
    }

    #[test]
    fn every_default_is_valid() {
        for def in all() {
            let valid = def.default.map_or(Ok(()), |value| validate(def, value));
            assert_eq!(valid, Ok(()), "{}", def.name);
        }
    }

    #[test]
    fn no_name_is_in_the_tables_twice() {
        let names: BTreeSet<_> = broker_configs().map(|def| def.name).collect();
        assert_eq!(names.len(), broker_configs().count());
        assert!(
            TOPIC_CONFIGS.windows(2).all(|two| two[0].name < two[1].name),
            "topic configs in order of name"
        );
    }

    #[test]
    fn every_config_says_what_it_is() {
        assert!(all().all(|def| def.doc.ends_with('.') && def.doc.len() < 120));
    }

    #[test]
    fn every_synonym_is_a_broker_config_with_the_same_default() {
        for def in TOPIC_CONFIGS.iter().filter(|def| !def.synonyms.is_empty()) {
            let of_broker = def.synonyms.iter().find_map(|synonym| {
                let row =
                    broker_def(synonym.name).unwrap_or_else(|| panic!("{} is in no table", synonym.name));
                Some(settings::scaled(row.default?, synonym.scale))
            });
            assert_eq!(of_broker.as_deref(), def.default, "{}", def.name);
            assert_eq!(Settings::new().effective(def).as_deref(), def.default);
        }
    }

    #[test]
    fn a_topic_config_without_effect_has_no_broker_config_with_effect() {
        for def in TOPIC_CONFIGS.iter().filter(|def| def.effect == Effect::Ignored) {
            for synonym in def.synonyms {
                let row = broker_def(synonym.name).unwrap();
                assert_eq!(row.effect, Effect::Ignored, "{}", row.name);
            }
        }
    }
}
