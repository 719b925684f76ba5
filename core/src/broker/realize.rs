//! What a committed fact does on this broker: logs are made and removed, configs and rules follow.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::answers::Part;
use crate::broker::door::Effect;
use crate::broker::fetches::FetchId;
use crate::broker::turn::Turn;
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::names;
use crate::config::TopicConfig;
use crate::ids::{LogId, TopicId};
use crate::record::check::Rules;
use crate::storage::ops::StoreOp;
use crate::wire::error::ErrorCode;

impl Broker {
    /// A fact is committed: does here what follows from it.
    pub(super) fn realize(&mut self, turn: &mut Turn, fact: &Fact) {
        self.learn_cluster(turn, fact);
        if !self.is_ready() && !self.is_alone() {
            // What the image comes to is taken over when this broker is ready.
            return;
        }
        match fact {
            Fact::BrokerStarted { broker, .. } if *broker == self.me => self.started(turn),
            Fact::BrokerStarted { .. } => {}
            Fact::TopicCreated { id, name, replicas, configs } => {
                if !configs.is_empty() {
                    self.reconfigure_topic(*id);
                }
                self.make_partitions(turn, (*id, name), 0..replicas.len());
                if name == names::GROUP_OFFSETS {
                    self.lead_shards(turn);
                }
            }
            Fact::PartitionsAdded { id, replicas } => {
                if let Some(topic) = self.controller.image().topic_by_id(*id) {
                    let (name, count) = (topic.name.clone(), topic.partitions.len());
                    self.make_partitions(turn, (*id, &name), count - replicas.len()..count);
                }
            }
            Fact::TopicDeleted { id } => self.remove_topic(turn, *id),
            Fact::ConfigSet { of: ConfigOwner::Topic(id), .. } => self.reconfigure_topic(*id),
            Fact::ConfigSet { .. } => self.reconfigure(turn),
            Fact::ProducerIdsAllocated { next } => self.producer_ids_allocated(turn, *next),
            // What only several brokers decide: a node alone has none of it.
            Fact::BrokerRegistered { .. }
            | Fact::BrokerFenced { .. }
            | Fact::BrokerUnfenced { .. }
            | Fact::BrokerStopping { .. }
            | Fact::BrokerUnregistered { .. }
            | Fact::PartitionChanged { .. }
            | Fact::QuorumFormed { .. }
            | Fact::LeaderElected { .. }
            | Fact::ProducerIdsGranted { .. } => {}
        }
    }

    fn make_partitions(
        &mut self,
        turn: &mut Turn,
        (id, name): (TopicId, &str),
        range: std::ops::Range<usize>,
    ) {
        for index in range {
            let log = LogId { topic: id, partition: index as i32 };
            let state = self.controller.image().topic_by_id(id).map(|t| t.partitions[index].leader_epoch);
            // Deleted again by a later fact of the same commit: there is nothing to make.
            let Some(epoch) = state else { continue };
            self.make_log(turn, log, name.to_string(), epoch);
        }
    }

    fn remove_topic(&mut self, turn: &mut Turn, id: TopicId) {
        let of_topic = LogId { topic: id, partition: 0 }..=LogId { topic: id, partition: i32::MAX };
        let logs: Vec<LogId> = self.partitions.range(of_topic).map(|(log, _)| *log).collect();
        let mut name = String::new();
        for log in logs {
            self.loads.cancel(log);
            let Some(mut partition) = self.partitions.remove(&log) else { continue };
            partition.log.clear_tail(&mut self.tails);
            let waiting: Vec<Part> = partition.waiters.drain().collect();
            let parked: Vec<FetchId> = partition.parked.iter().copied().collect();
            name = partition.topic;
            self.upkeep.forget(log);
            self.lane.store(turn, StoreOp::Remove { log });
            for part in waiting {
                self.part_failed(
                    turn,
                    part,
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    "the topic has been deleted",
                );
            }
            parked.into_iter().for_each(|fetch| self.answer_fetch_now(turn, fetch));
            if name == names::GROUP_OFFSETS {
                self.resign_shard(turn, log.partition);
            }
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
            self.topic_configs.remove(&id);
        } else {
            self.topic_configs.insert(id, Arc::new(TopicConfig::resolve(&self.config, &topic.configs)));
        }
        self.rules_stale = true;
    }

    /// The broker's configs have changed, or are known for the first time: every topic's follow.
    pub(super) fn reconfigure(&mut self, turn: &mut Turn) {
        let (cluster, own) =
            (self.dynamic_configs(ConfigOwner::Cluster), self.dynamic_configs(ConfigOwner::Broker(self.me)));
        let (config, left_out) = self.config.altered(&cluster, &own);
        left_out.into_iter().for_each(|why| turn.warn(why));
        self.config = config;
        self.default_topic_config = Arc::new(self.config.topic_defaults().clone());
        let image = self.controller.image();
        let own = image.topics().filter(|t| !t.configs.is_empty());
        self.topic_configs =
            own.map(|t| (t.id, Arc::new(TopicConfig::resolve(&self.config, &t.configs)))).collect();
        self.rules_stale = true;
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
