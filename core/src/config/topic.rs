//! A topic's configs as typed values: its own overrides over what the broker gives every topic.

use std::collections::BTreeMap;

use super::broker::{BrokerConfig, Validation};
use super::nearest::unknown;
use super::settings::Settings;
use super::throttle::ThrottledReplicas;
use super::topic_table::{TOPIC_CONFIGS, topic_def};
use super::value::{boolean, validate, words};
use crate::record::check::{CompressionType, TimestampType, TopicRules};

/// The configs that a topic sets for itself, by name.
pub type TopicOverrides = BTreeMap<String, String>;

/// What a topic's configs come to.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy` has `compact`.
    pub compacts: bool,
    /// `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// `compression.type`, with the level of its codec.
    pub compression: CompressionType,
    levels: Levels,
    /// `retention.ms`; `None` is forever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None` is without limit.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes` (or `internal.segment.bytes`).
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` is without limit.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` is without limit.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`; `i64::MAX` is without limit.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `leader.replication.throttled.replicas`.
    pub leaders_throttled: ThrottledReplicas,
    /// `follower.replication.throttled.replicas`.
    pub followers_throttled: ThrottledReplicas,
}

/// The levels of all codecs, of which the topic's codec uses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Levels {
    gzip: i32,
    lz4: i32,
    zstd: i32,
}

/// Kafka's defaults, before any broker config.
const KAFKAS: TopicConfig = TopicConfig {
    compacts: false,
    deletes: true,
    compression: CompressionType::Producer,
    levels: Levels { gzip: -1, lz4: 9, zstd: 3 },
    retention_ms: Some(604_800_000),
    retention_bytes: None,
    segment_bytes: 1 << 30,
    segment_ms: 604_800_000,
    segment_jitter_ms: 0,
    index_interval_bytes: 4096,
    max_message_bytes: 1_048_588,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    min_insync_replicas: 1,
    unclean_leader_election: false,
    delete_retention_ms: 86_400_000,
    min_compaction_lag_ms: 0,
    max_compaction_lag_ms: i64::MAX,
    min_cleanable_dirty_ratio: 0.5,
    leaders_throttled: ThrottledReplicas::NONE,
    followers_throttled: ThrottledReplicas::NONE,
};

impl TopicConfig {
    /// What a topic with these overrides has on a broker with that config. An override that is not valid (written by
    /// another version of the broker) counts as not there.
    pub fn resolve(broker: &BrokerConfig, overrides: &TopicOverrides) -> TopicConfig {
        let mut config = broker.topic_defaults().clone();
        config.lay(overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        config
    }

    /// What a topic without overrides has.
    pub(super) fn of_broker(settings: &Settings) -> TopicConfig {
        let mut config = KAFKAS;
        for def in TOPIC_CONFIGS {
            if let Some(value) = settings.effective(def) {
                config.set(def.name, value.trim());
            }
        }
        config.settle_levels();
        config
    }

    fn lay<'a>(&mut self, overrides: impl Iterator<Item = (&'a str, &'a str)>) {
        // `internal.segment.bytes` comes before `segment.bytes` in the order of names, and wins over it as in Kafka.
        let mut internal = None;
        for (name, value) in overrides {
            if topic_def(name).is_some_and(|def| validate(def, value).is_ok()) {
                self.set(name, value.trim());
                internal = if name == "internal.segment.bytes" { Some(self.segment_bytes) } else { internal };
            }
        }
        self.segment_bytes = internal.unwrap_or(self.segment_bytes);
        self.settle_levels();
    }

    /// Gives the codec its level, in whatever order the two were set.
    fn settle_levels(&mut self) {
        match &mut self.compression {
            CompressionType::Gzip { level } => *level = self.levels.gzip,
            CompressionType::Lz4 { level } => *level = self.levels.lz4,
            CompressionType::Zstd { level } => *level = self.levels.zstd,
            CompressionType::Producer | CompressionType::Uncompressed | CompressionType::Snappy => {}
        }
    }

    /// The rules by which connections judge the batches for this topic.
    pub fn rules(&self, validation: Validation) -> TopicRules {
        TopicRules {
            max_message_bytes: self.max_message_bytes as usize,
            compression: self.compression,
            timestamp_type: self.timestamp_type,
            timestamp_before_max_ms: self.timestamp_before_max_ms,
            timestamp_after_max_ms: self.timestamp_after_max_ms,
            compacted: self.compacts,
            trust: validation == Validation::Header,
        }
    }

    /// Puts a valid value into its field; names without effect have none.
    fn set(&mut self, name: &str, value: &str) {
        let number = || value.parse::<i64>().unwrap_or_else(|_| panic!("{name}={value} passed its checks"));
        let bytes = || u32::try_from(number()).unwrap_or_else(|_| panic!("{name}={value} passed its checks"));
        let level = || i32::try_from(number()).unwrap_or_else(|_| panic!("{name}={value} passed its checks"));
        match name {
            "cleanup.policy" => {
                self.compacts = words(value).any(|word| word == "compact");
                self.deletes = words(value).any(|word| word == "delete");
            }
            "compression.type" => self.compression = compression(value, self.levels),
            "compression.gzip.level" => self.levels.gzip = level(),
            "compression.lz4.level" => self.levels.lz4 = level(),
            "compression.zstd.level" => self.levels.zstd = level(),
            "retention.ms" => self.retention_ms = Some(number()).filter(|ms| *ms >= 0),
            "retention.bytes" => self.retention_bytes = u64::try_from(number()).ok(),
            "segment.bytes" | "internal.segment.bytes" => self.segment_bytes = bytes(),
            "segment.ms" => self.segment_ms = number(),
            "segment.jitter.ms" => self.segment_jitter_ms = number(),
            "index.interval.bytes" => self.index_interval_bytes = bytes(),
            "max.message.bytes" => self.max_message_bytes = bytes(),
            "message.timestamp.type" => self.timestamp_type = timestamp_type(value),
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = number(),
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = number(),
            "min.insync.replicas" => self.min_insync_replicas = bytes(),
            "unclean.leader.election.enable" => self.unclean_leader_election = boolean(value) == Some(true),
            "delete.retention.ms" => self.delete_retention_ms = number(),
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = number(),
            "max.compaction.lag.ms" => self.max_compaction_lag_ms = number(),
            "min.cleanable.dirty.ratio" => self.min_cleanable_dirty_ratio = value.parse().unwrap_or(0.5),
            "leader.replication.throttled.replicas" => self.leaders_throttled = throttled(value),
            "follower.replication.throttled.replicas" => self.followers_throttled = throttled(value),
            _ => {}
        }
    }

    /// What is wrong with the configs taken together (Kafka: `LogConfig.validateValues`).
    pub(super) fn check(&self) -> Result<(), String> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(format!(
                "min.compaction.lag.ms ({}) must not be greater than max.compaction.lag.ms ({})",
                self.min_compaction_lag_ms, self.max_compaction_lag_ms
            ));
        }
        Ok(())
    }
}

fn compression(value: &str, levels: Levels) -> CompressionType {
    match value {
        "uncompressed" => CompressionType::Uncompressed,
        "gzip" => CompressionType::Gzip { level: levels.gzip },
        "snappy" => CompressionType::Snappy,
        "lz4" => CompressionType::Lz4 { level: levels.lz4 },
        "zstd" => CompressionType::Zstd { level: levels.zstd },
        _ => CompressionType::Producer,
    }
}

fn timestamp_type(value: &str) -> TimestampType {
    if value == "LogAppendTime" { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
}

fn throttled(value: &str) -> ThrottledReplicas {
    ThrottledReplicas::parse(value).unwrap_or(ThrottledReplicas::NONE)
}

/// Judges one config of a topic. The error is for the client's `error_message` (INVALID_CONFIG).
pub fn validate_topic(name: &str, value: &str) -> Result<(), String> {
    validate(known(name)?, value)
}

/// Judges all overrides of a topic: each of them, and together with what the broker gives.
pub fn validate_overrides(broker: &BrokerConfig, overrides: &TopicOverrides) -> Result<(), String> {
    overrides.iter().try_for_each(|(name, value)| validate_topic(name, value))?;
    TopicConfig::resolve(broker, overrides).check()
}

pub(super) fn known(name: &str) -> Result<&'static super::ConfigDef, String> {
    topic_def(name).ok_or_else(|| unknown("topic config", name, TOPIC_CONFIGS.iter().map(|def| def.name)))
}

#[cfg(test)]
mod tests {
    use super::{KAFKAS, TopicConfig, TopicOverrides, validate_overrides, validate_topic};
    use crate::config::{BrokerConfig, Settings, Validation};
    use crate::record::check::{CompressionType, TimestampType, TopicRules};

    fn overrides(pairs: &[(&str, &str)]) -> TopicOverrides {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn resolve(broker: &[(&str, &str)], topic: &[(&str, &str)]) -> TopicConfig {
        let mut settings = Settings::new();
        broker.iter().for_each(|(name, value)| settings.set(name, value).unwrap());
        TopicConfig::resolve(&BrokerConfig::new(settings), &overrides(topic))
    }

    #[test]
    fn the_table_and_the_typed_defaults_say_the_same() {
        assert_eq!(resolve(&[], &[]), KAFKAS);
    }

    #[test]
    fn an_override_goes_before_the_broker_and_the_broker_before_the_default() {
        assert_eq!(resolve(&[("log.retention.hours", "1")], &[]).retention_ms, Some(3_600_000));
        assert_eq!(resolve(&[("log.retention.hours", "1")], &[("retention.ms", "-1")]).retention_ms, None);
        assert_eq!(resolve(&[("log.retention.hours", "-1")], &[]).retention_ms, None);
        let logged = resolve(&[("log.message.timestamp.type", "LogAppendTime")], &[]);
        assert_eq!(logged.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(resolve(&[("message.max.bytes", "9")], &[]).max_message_bytes, 9);
    }

    #[test]
    fn every_field_follows_its_config() {
        let config = resolve(
            &[],
            &[
                ("cleanup.policy", " compact , delete "),
                ("compression.type", "zstd"),
                ("compression.zstd.level", "-7"),
                ("retention.bytes", "77"),
                ("unclean.leader.election.enable", "TRUE"),
                ("min.cleanable.dirty.ratio", "0.25"),
                ("min.insync.replicas", "2"),
                ("segment.bytes", "2000000"),
            ],
        );
        assert!(config.compacts && config.deletes && config.unclean_leader_election);
        assert_eq!(config.compression, CompressionType::Zstd { level: -7 });
        assert_eq!(config.retention_bytes, Some(77));
        assert_eq!((config.min_insync_replicas, config.segment_bytes), (2, 2_000_000));
        assert_eq!(config.min_cleanable_dirty_ratio, 0.25);
        assert!(!resolve(&[], &[("cleanup.policy", "compact")]).deletes);
    }

    #[test]
    fn a_level_counts_in_whatever_order_it_is_set() {
        let gzip = resolve(&[("compression.gzip.level", "2")], &[("compression.type", "gzip")]);
        assert_eq!(gzip.compression, CompressionType::Gzip { level: 2 });
        let lz4 = resolve(&[("compression.type", "lz4")], &[("compression.lz4.level", "4")]);
        assert_eq!(lz4.compression, CompressionType::Lz4 { level: 4 });
    }

    #[test]
    fn the_rules_for_connections_follow_the_configs() {
        assert_eq!(resolve(&[], &[]).rules(Validation::Full), TopicRules::default());
        let rules = resolve(&[], &[("cleanup.policy", "compact"), ("max.message.bytes", "7")])
            .rules(Validation::Header);
        assert!(rules.compacted && rules.trust);
        assert_eq!(rules.max_message_bytes, 7);
    }

    #[test]
    fn internal_segment_bytes_may_be_small_and_wins() {
        let config = resolve(&[], &[("segment.bytes", "2000000"), ("internal.segment.bytes", "1000")]);
        assert_eq!(config.segment_bytes, 1000);
        assert!(validate_topic("segment.bytes", "1000").unwrap_err().contains("at least 1048576"));
    }

    #[test]
    fn an_override_of_another_version_that_is_not_valid_counts_as_not_there() {
        assert_eq!(resolve(&[], &[("retention.ms", "soon"), ("of.the.future", "1")]), KAFKAS);
    }

    #[test]
    fn known_names_without_meaning_are_accepted_and_unknown_ones_refused() {
        assert_eq!(validate_topic("flush.messages", "1"), Ok(()));
        assert_eq!(validate_topic("message.format.version", "2.8"), Ok(()));
        let told = validate_topic("retension.ms", "1").unwrap_err();
        assert_eq!(told, "Unknown topic config 'retension.ms'; did you mean 'retention.ms'?");
    }

    #[test]
    fn configs_that_contradict_each_other_are_refused() {
        let broker = BrokerConfig::default();
        let wrong = overrides(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")]);
        assert!(validate_overrides(&broker, &wrong).unwrap_err().contains("min.compaction.lag.ms (10)"));
        assert_eq!(validate_overrides(&broker, &overrides(&[("max.compaction.lag.ms", "5")])), Ok(()));
    }
}
