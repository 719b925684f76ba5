//! The broker's configs as typed values: what the machine and the shell read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::ClusterConfig;
use super::peers::{self, peer_address, voter};
use super::settings::Settings;
use super::topic::TopicConfig;
use super::value::words;
use crate::ids::BrokerId;

/// When a record counts as stored, for acknowledgements (`quipu.durability`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once its bytes are synced to disk.
    Synced,
    /// Once it is appended in memory; the last records before a crash of the machine or the process are lost.
    None,
}

/// How thoroughly batches are checked before they are appended (`quipu.validate.records`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Every record, unpacked if need be, as Kafka's `LogValidator`.
    Full,
    /// Header and checksum only: the producers are trusted.
    Header,
}

/// All that a broker's configs come to. Cheap to share; made anew when a config is altered.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    settings: Arc<Settings>,
    topics: Arc<TopicConfig>,
    /// `node.id`, or `broker.id` where only that is set.
    pub node_id: BrokerId,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`: how often the recovery point moves.
    pub checkpoint_interval_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_expiration_check_ms: i64,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `max.request.partition.size.limit`.
    pub partitions_per_page: i32,
    /// The metadata quorum.
    pub quorum: QuorumConfig,
    /// The brokers that vote in it, with their peer addresses (`quipu.voters`); none: this one alone. A broker that is not among them
    /// takes part in all but the votes.
    pub voters: BTreeMap<BrokerId, String>,
    /// Where other brokers reach this one, as `host:port`: its address among the voters, else `quipu.peer.advertised`, else
    /// `quipu.peer.listen`. `None` where it is alone.
    pub peer_address: Option<String>,
    /// Its part in a cluster.
    pub cluster: ClusterConfig,
    /// Consumer groups and their offsets.
    pub groups: GroupConfig,
    /// Connections and memory: what the shell bounds.
    pub limits: Limits,
    /// `quipu.durability`.
    pub durability: Durability,
    /// `quipu.validate.records`.
    pub validation: Validation,
    /// `quipu.hot.tail.bytes`.
    pub hot_tail_bytes: u64,
    /// `quipu.disk.reserve.bytes`: with less free space than this, produce is refused.
    pub disk_reserve_bytes: u64,
}

/// The times of the metadata quorum, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumConfig {
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: u64,
    /// `controller.quorum.fetch.timeout.ms`.
    pub fetch_timeout_ms: u64,
    /// `controller.quorum.request.timeout.ms`.
    pub request_timeout_ms: u64,
}

/// The bounds and times of consumer groups (`group.*`, `offsets.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub max_size: i32,
    /// `offsets.topic.num.partitions`.
    pub offsets_partitions: i32,
    /// `offsets.topic.replication.factor`, to be clamped to the number of brokers.
    pub offsets_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_segment_bytes: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_ms: i64,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.commit.timeout.ms`.
    pub offsets_commit_timeout_ms: i32,
}

/// What connections may take (`socket.*`, `max.connections*`, `queued.*`, `quipu.connection.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `socket.request.max.bytes`: the largest frame.
    pub request_bytes: u32,
    /// `queued.max.request.bytes`: bytes of requests under way in all; `None` is no limit.
    pub queued_bytes: Option<u64>,
    /// `max.connections`.
    pub connections: u32,
    /// `max.connections.per.ip`.
    pub connections_per_ip: u32,
    /// `max.connections.per.ip.overrides`: address and limit.
    pub connections_per_ip_overrides: Vec<(String, u32)>,
    /// `connections.max.idle.ms`; `None` is never.
    pub idle_ms: Option<u64>,
    /// `quipu.connection.max.requests`: unanswered requests of one connection.
    pub requests_per_connection: u32,
    /// `quipu.connection.max.bytes`: bytes of unanswered requests of one connection; a larger one is taken alone.
    pub bytes_per_connection: u32,
    /// `quipu.max.decompressed.bytes`: what one compressed batch may unpack to.
    pub decompressed_bytes: u32,
}

impl Durability {
    fn of(text: &str) -> Durability {
        if text == "none" { Durability::None } else { Durability::Synced }
    }
}

impl Validation {
    fn of(text: &str) -> Validation {
        if text == "header" { Validation::Header } else { Validation::Full }
    }
}

impl Default for BrokerConfig {
    fn default() -> BrokerConfig {
        BrokerConfig::new(Settings::new())
    }
}

impl BrokerConfig {
    /// What the settings come to. Settings are valid one by one; [`BrokerConfig::check`] looks at them together.
    pub fn new(settings: Settings) -> BrokerConfig {
        let s = &settings;
        let voters: BTreeMap<BrokerId, String> =
            words(s.get("quipu.voters").unwrap_or_default()).filter_map(voter).collect();
        BrokerConfig {
            peer_address: peer_address(s, BrokerId(node_id(s)), &voters),
            topics: Arc::new(TopicConfig::of_broker(s)),
            node_id: BrokerId(node_id(s)),
            num_partitions: s.number("num.partitions"),
            default_replication_factor: s.number::<i64>("default.replication.factor").min(i64::from(i16::MAX))
                as i16,
            auto_create_topics: s.flag("auto.create.topics.enable"),
            delete_topics: s.flag("delete.topic.enable"),
            retention_check_interval_ms: s.number("log.retention.check.interval.ms"),
            checkpoint_interval_ms: s.number("log.flush.offset.checkpoint.interval.ms"),
            producer_expiration_ms: s.number("producer.id.expiration.ms"),
            snapshot_bytes: s.number("metadata.log.max.record.bytes.between.snapshots"),
            producer_expiration_check_ms: s.number("producer.id.expiration.check.interval.ms"),
            fetch_max_bytes: s.number("fetch.max.bytes"),
            partitions_per_page: s.number("max.request.partition.size.limit"),
            quorum: QuorumConfig {
                election_timeout_ms: s.number("controller.quorum.election.timeout.ms"),
                fetch_timeout_ms: s.number("controller.quorum.fetch.timeout.ms"),
                request_timeout_ms: s.number("controller.quorum.request.timeout.ms"),
            },
            voters,
            cluster: ClusterConfig::new(s),
            groups: GroupConfig::new(s),
            limits: Limits::new(s),
            durability: Durability::of(&s.text("quipu.durability")),
            validation: Validation::of(&s.text("quipu.validate.records")),
            hot_tail_bytes: s.number("quipu.hot.tail.bytes"),
            disk_reserve_bytes: s.number("quipu.disk.reserve.bytes"),
            settings: Arc::new(settings),
        }
    }

    /// What is wrong with the settings taken together, one sentence each.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let g = &self.groups;
        if g.min_session_timeout_ms > g.max_session_timeout_ms {
            wrong.push(format!(
                "group.min.session.timeout.ms ({}) must not be greater than group.max.session.timeout.ms ({})",
                g.min_session_timeout_ms, g.max_session_timeout_ms
            ));
        }
        if self
            .settings
            .text("max.connections.per.ip.overrides")
            .split(',')
            .any(|o| !o.trim().is_empty() && over(o).is_none())
        {
            wrong.push("max.connections.per.ip.overrides must be a list of address:limit".to_string());
        }
        wrong.extend(self.cluster.check());
        wrong.extend(peers::check(self));
        wrong.extend(self.topics.check().err());
        wrong
    }

    /// The same broker after an alteration of its configs; the second part tells what was left out, and why.
    pub fn altered(
        &self,
        cluster: &super::TopicOverrides,
        broker: &super::TopicOverrides,
    ) -> (BrokerConfig, Vec<String>) {
        let mut settings = (*self.settings).clone();
        let wrong = settings.set_dynamic(cluster, broker);
        (BrokerConfig::new(settings), wrong)
    }

    /// Whether this broker is a whole cluster by itself, in which nobody else can take part: no voters are named. One that is the only
    /// voter may have others with it.
    pub fn is_alone(&self) -> bool {
        self.voters.is_empty()
    }

    /// Whether it is among the voters that are named; else it takes part without a vote (Kafka: `process.roles=broker`).
    pub fn is_voter(&self) -> bool {
        self.voters.contains_key(&self.node_id)
    }

    /// What was set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a topic without configs of its own has.
    pub fn topic_defaults(&self) -> &TopicConfig {
        &self.topics
    }
}

impl GroupConfig {
    fn new(s: &Settings) -> GroupConfig {
        GroupConfig {
            min_session_timeout_ms: s.number("group.min.session.timeout.ms"),
            max_session_timeout_ms: s.number("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: s.number("group.initial.rebalance.delay.ms"),
            max_size: s.number("group.max.size"),
            offsets_partitions: s.number("offsets.topic.num.partitions"),
            offsets_replication_factor: s.number("offsets.topic.replication.factor"),
            offsets_segment_bytes: s.number("offsets.topic.segment.bytes"),
            offsets_retention_ms: s.number::<i64>("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_ms: s.number("offsets.retention.check.interval.ms"),
            offset_metadata_max_bytes: s.number("offset.metadata.max.bytes"),
            offsets_commit_timeout_ms: s.number("offsets.commit.timeout.ms"),
        }
    }
}

impl Limits {
    fn new(s: &Settings) -> Limits {
        Limits {
            request_bytes: s.number("socket.request.max.bytes"),
            queued_bytes: u64::try_from(s.number::<i64>("queued.max.request.bytes")).ok(),
            connections: s.number("max.connections"),
            connections_per_ip: s.number("max.connections.per.ip"),
            connections_per_ip_overrides: words(&s.text("max.connections.per.ip.overrides"))
                .filter_map(over)
                .collect(),
            idle_ms: u64::try_from(s.number::<i64>("connections.max.idle.ms")).ok(),
            requests_per_connection: s.number("quipu.connection.max.requests"),
            bytes_per_connection: s.number("quipu.connection.max.bytes"),
            decompressed_bytes: s.number("quipu.max.decompressed.bytes"),
        }
    }
}

fn node_id(s: &Settings) -> i32 {
    let old = s.number::<i32>("broker.id");
    if s.get("node.id").is_none() && old >= 0 { old } else { s.number("node.id") }
}

/// `address:limit`; the address may hold colons itself.
fn over(word: &str) -> Option<(String, u32)> {
    let (address, limit) = word.trim().rsplit_once(':')?;
    Some((address.trim().to_string(), limit.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{BrokerConfig, Durability};
    use crate::config::Settings;

    #[test]
    fn the_defaults_are_kafkas_but_for_the_bounds_on_connections() {
        let config = BrokerConfig::default();
        assert_eq!((config.num_partitions, config.default_replication_factor), (1, 1));
        assert_eq!(config.groups.offsets_partitions, 50);
        assert_eq!(config.groups.offsets_retention_ms, 604_800_000);
        assert_eq!(config.limits.connections_per_ip, 1000);
        assert_eq!(config.limits.idle_ms, Some(600_000));
        assert_eq!(config.durability, Durability::Synced);
        assert!(config.check().is_empty());
    }

    #[test]
    fn the_old_name_of_the_node_id_counts_when_the_new_one_is_not_set() {
        let mut settings = Settings::new();
        settings.set("broker.id", "7").unwrap();
        assert_eq!(BrokerConfig::new(settings.clone()).node_id.0, 7);
        settings.set("node.id", "8").unwrap();
        assert_eq!(BrokerConfig::new(settings).node_id.0, 8);
        assert_eq!(BrokerConfig::default().node_id.0, 1);
    }

    #[test]
    fn settings_that_contradict_each_other_are_told() {
        let mut settings = Settings::new();
        settings.set("group.min.session.timeout.ms", "7000").unwrap();
        settings.set("group.max.session.timeout.ms", "6000").unwrap();
        settings.set("max.connections.per.ip.overrides", "10.0.0.1:5,here").unwrap();
        let told = BrokerConfig::new(settings).check();
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn overrides_by_address_may_be_ipv6() {
        let mut settings = Settings::new();
        settings.set("max.connections.per.ip.overrides", "10.0.0.1:5, ::1:7").unwrap();
        let limits = BrokerConfig::new(settings).limits;
        assert_eq!(
            limits.connections_per_ip_overrides,
            [("10.0.0.1".to_string(), 5), ("::1".to_string(), 7)]
        );
    }

    #[test]
    fn acknowledging_from_memory_of_others_is_refused_with_the_reason() {
        let told = Settings::new().set("quipu.durability", "replicated").unwrap_err();
        assert!(told.contains("replication factor of at least 2"), "{told}");
    }
}
