//! What a committed fact does on this broker: logs are made and removed, configs and rules follow.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::door::Effect;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::image::MetadataImage;
use crate::cluster::names;
use crate::cluster::producer_ids;
use crate::config::TopicConfig;
use crate::ids::{BrokerId, LogId, TopicId};
use crate::record::check::Rules;

impl Broker {
    /// A fact is committed: does here what follows from it.
    pub(super) fn realize(&mut self, turn: &mut Turn, fact: &Fact) {
        self.hear(turn, fact);
        if !self.is_ready() && !self.is_alone() {
            return self.start_once_unfenced(turn);
        }
        match fact {
            Fact::BrokerStarted { broker, .. } if *broker == self.me => self.started(turn),
            Fact::BrokerStarted { .. } | Fact::QuorumFormed { .. } | Fact::LeaderElected { .. } => {}
            Fact::TopicCreated { id, name, replicas, .. } => {
                self.reconfigure_topic(*id);
                if name == names::GROUP_OFFSETS {
                    self.count_shards();
                }
                self.settle_partitions(turn, *id, 0..replicas.len());
            }
            Fact::PartitionsAdded { id, .. } => {
                self.settle_partitions(turn, *id, 0..self.partition_count(*id));
            }
            Fact::PartitionChanged { topic, partition, .. } => {
                self.settle_partition(turn, LogId { topic: *topic, partition: *partition });
            }
            Fact::TopicDeleted { id } => self.remove_topic(turn, *id),
            Fact::ConfigSet { of: ConfigOwner::Topic(id), .. } => self.reconfigure_topic(*id),
            Fact::ConfigSet { .. } => self.reconfigure(turn),
            Fact::ProducerIdsAllocated { next } => {
                self.producer_ids_granted(turn, next - producer_ids::BLOCK, *next);
            }
            Fact::ProducerIdsGranted { broker, incarnation, first, end } => {
                if self.is(*broker, *incarnation) {
                    self.producer_ids_granted(turn, *first, *end);
                }
            }
            Fact::BrokerRegistered { .. }
            | Fact::BrokerFenced { .. }
            | Fact::BrokerUnfenced { .. }
            | Fact::BrokerStopping { .. }
            | Fact::BrokerUnregistered { .. } => self.brokers_changed(turn),
        }
    }

    /// What counts before this broker is ready too.
    fn hear(&mut self, turn: &mut Turn, fact: &Fact) {
        self.learn_cluster(turn, fact);
        self.hear_of_addresses(fact);
        if matches!(fact, Fact::BrokerUnregistered { broker, incarnation } if self.is(*broker, *incarnation))
        {
            self.taken_out(turn);
        }
    }

    /// The committed image was replaced by that of a snapshot: does here what follows from all that lies between, in the order in which the
    /// facts would have it. `before` is the image that was there.
    pub(super) fn take_over(&mut self, turn: &mut Turn, before: &MetadataImage) {
        if let Some(cluster) = self.controller.image().cluster_id().map(str::to_owned) {
            self.learn_cluster_id(turn, cluster);
        }
        self.addresses_stale = true;
        let was_registered = before.brokers().get(&self.me).is_some_and(|r| self.is(self.me, r.incarnation));
        if was_registered && !self.is_registered() {
            self.taken_out(turn);
        }
        if !self.is_ready() {
            return self.start_once_unfenced(turn);
        }
        let image = self.controller.image();
        let gone = before.topics().filter(|topic| image.topic_by_id(topic.id).is_none());
        let mut gone: Vec<(bool, TopicId)> =
            gone.map(|topic| (topic.name != names::GROUP_OFFSETS, topic.id)).collect();
        // Groups forget what was committed in a topic that is gone: not those whose own log is gone.
        gone.sort_unstable();
        gone.into_iter().for_each(|(_, id)| self.remove_topic(turn, id));
        self.reconfigure(turn);
        self.brokers_changed(turn);
        let shards = |image: &MetadataImage| image.topic(names::GROUP_OFFSETS).map(|topic| topic.id);
        if shards(before) != shards(self.controller.image()) {
            self.count_shards();
        }
        let all = self.controller.image().partitions();
        let all: Vec<LogId> = all.map(|(topic, partition, _)| LogId { topic: topic.id, partition }).collect();
        all.into_iter().for_each(|log| self.settle_partition(turn, log));
    }

    /// What the image comes to is taken over when this broker takes part for the first time, all at once, and clients are answered from
    /// then on (Kafka: `BrokerServer.startup` awaits `initialUnfenceFuture`). Before, it knows no cluster that it could tell of, and
    /// some clients forget, for ever, the brokers that an answer does not name.
    fn start_once_unfenced(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Starting { .. }) && self.takes_part() {
            self.started(turn);
        }
    }

    fn partition_count(&self, topic: TopicId) -> usize {
        self.controller.image().topic_by_id(topic).map_or(0, |t| t.partitions.len())
    }

    /// Whether this run of this broker is meant.
    fn is(&self, broker: BrokerId, run: u64) -> bool {
        broker == self.me && run == self.member.run.0
    }

    fn settle_partitions(&mut self, turn: &mut Turn, topic: TopicId, range: std::ops::Range<usize>) {
        for index in range {
            self.settle_partition(turn, LogId { topic, partition: index as i32 });
        }
    }

    fn remove_topic(&mut self, turn: &mut Turn, id: TopicId) {
        let mut name = String::new();
        for log in self.logs_of(id) {
            name = self.remove_log(turn, log, "the topic has been deleted").unwrap_or_default();
        }
        if self.topic_configs.remove(&id).is_some() {
            self.rules_stale = true;
        }
        if !name.is_empty() {
            self.group_topic_deleted(turn, &name);
        }
    }

    /// A topic's configs have changed.
    fn reconfigure_topic(&mut self, id: TopicId) {
        let Some(topic) = self.controller.image().topic_by_id(id) else { return };
        if topic.configs.is_empty() {
            self.rules_stale |= self.topic_configs.remove(&id).is_some();
        } else {
            self.topic_configs.insert(id, Arc::new(TopicConfig::resolve(&self.config, &topic.configs)));
            self.rules_stale = true;
        }
        self.throttle_changed();
    }

    /// The broker's configs have changed, or are known for the first time: every topic's follow.
    pub(super) fn reconfigure(&mut self, turn: &mut Turn) {
        let (cluster, own) =
            (self.dynamic_configs(ConfigOwner::Cluster), self.dynamic_configs(ConfigOwner::Broker(self.me)));
        let (config, left_out) = self.config.altered(&cluster, &own);
        left_out.into_iter().for_each(|why| turn.warn(why));
        self.config = config;
        self.reconfigure_active();
        self.default_topic_config = Arc::new(self.config.topic_defaults().clone());
        let image = self.controller.image();
        let own = image.topics().filter(|t| !t.configs.is_empty());
        self.topic_configs =
            own.map(|t| (t.id, Arc::new(TopicConfig::resolve(&self.config, &t.configs)))).collect();
        self.rules_stale = true;
        self.throttle_changed();
    }

    /// Tells the connections how batches are to be checked from now on.
    pub(super) fn publish_rules(&mut self, turn: &mut Turn) {
        let image = self.controller.image();
        let own = self.topic_configs.iter();
        let rules = Rules {
            default: self.default_topic_config.rules(self.config.validation),
            topics: own
                .filter_map(|(id, c)| {
                    Some((image.topic_by_id(*id)?.name.clone(), c.rules(self.config.validation)))
                })
                .collect(),
            max_decompressed_bytes: self.config.limits.decompressed_bytes as usize,
        };
        turn.out.push(Effect::Rules(Arc::new(rules)));
    }
}
