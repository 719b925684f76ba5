//! The metadata image: what the facts so far amount to. Ordered maps only, so that the same facts give the same bytes everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::brokers::{DirectoryId, Registration};
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::names::shown_ambiguously;
use crate::cluster::partition::{PartitionChange, PartitionState};
use crate::ids::{BrokerId, LeaderEpoch, LogId, TopicId};

/// Configs by name, as far as they were set.
pub type Configs = BTreeMap<String, String>;

/// The fold of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataImage {
    pub(super) topics: BTreeMap<TopicId, Topic>,
    pub(super) names: BTreeMap<String, TopicId>,
    /// The names with a `.` or a `_` in them, as metrics show them: no two topics may look alike there.
    pub(super) shown: BTreeMap<String, String>,
    pub(super) brokers: BTreeMap<BrokerId, Registration>,
    pub(super) broker_configs: BTreeMap<ConfigOwner, Configs>,
    pub(super) next_producer_id: i64,
    pub(super) cluster_id: Option<String>,
    pub(super) voters: BTreeMap<BrokerId, DirectoryId>,
    pub(super) metadata_leader: Option<(BrokerId, LeaderEpoch)>,
    /// In which leader epoch a partition was last led by somebody who could lack what was committed.
    pub(super) unclean: BTreeMap<LogId, LeaderEpoch>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionState>,
    /// Its own configs.
    pub configs: Configs,
}

impl MetadataImage {
    /// Folds one fact in. Facts that name what does not exist any more change nothing.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::BrokerStarted { broker, incarnation } => self.broker_started(*broker, *incarnation),
            Fact::TopicCreated { id, name, replicas, configs } => {
                let partitions = self.new_partitions(replicas);
                self.topic_created(Topic {
                    id: *id,
                    name: name.clone(),
                    partitions,
                    configs: configs.clone(),
                });
            }
            Fact::PartitionsAdded { id, replicas } => {
                let partitions = self.new_partitions(replicas);
                if let Some(topic) = self.topics.get_mut(id) {
                    topic.partitions.extend(partitions);
                }
            }
            Fact::TopicDeleted { id } => self.topic_deleted(*id),
            Fact::ConfigSet { of, name, value } => self.config_set(*of, name, value.as_deref()),
            Fact::ProducerIdsAllocated { next: end } | Fact::ProducerIdsGranted { end, .. } => {
                self.next_producer_id = self.next_producer_id.max(*end);
            }
            Fact::PartitionChanged { topic, partition, change } => {
                self.partition_changed(LogId { topic: *topic, partition: *partition }, change);
            }
            Fact::QuorumFormed { cluster_id, voters } => {
                (self.cluster_id, self.voters) = (Some(cluster_id.clone()), voters.clone());
            }
            Fact::LeaderElected { leader, epoch } => self.metadata_leader = Some((*leader, *epoch)),
            Fact::BrokerRegistered { .. }
            | Fact::BrokerFenced { .. }
            | Fact::BrokerUnfenced { .. }
            | Fact::BrokerStopping { .. }
            | Fact::BrokerUnregistered { .. } => self.broker_changed(fact),
        }
    }

    /// Folds in a fact about a registered broker.
    fn broker_changed(&mut self, fact: &Fact) {
        match fact {
            Fact::BrokerRegistered { broker, incarnation, at, directory, endpoints, peer, rack } => {
                let registration = Registration {
                    incarnation: *incarnation,
                    at: *at,
                    directory: Some(*directory),
                    endpoints: endpoints.clone(),
                    peer: Some(peer.clone()),
                    rack: rack.clone(),
                    fenced: true,
                    stopping: false,
                };
                self.brokers.insert(*broker, registration);
            }
            Fact::BrokerFenced { broker, incarnation } => {
                self.change_broker(*broker, *incarnation, |r| (r.fenced, r.stopping) = (true, false));
            }
            Fact::BrokerUnfenced { broker, incarnation } => {
                self.change_broker(*broker, *incarnation, |r| r.fenced = false);
            }
            Fact::BrokerStopping { broker, incarnation } => {
                self.change_broker(*broker, *incarnation, |r| r.stopping = true);
            }
            Fact::BrokerUnregistered { broker, incarnation } => {
                if self.brokers.get(broker).is_some_and(|r| r.incarnation == *incarnation) {
                    self.brokers.remove(broker);
                }
            }
            other => unreachable!("{other:?} is not about a registered broker"),
        }
    }

    fn change_broker(&mut self, broker: BrokerId, incarnation: u64, change: impl FnOnce(&mut Registration)) {
        // What is said of an earlier run does not hold for this one.
        if let Some(registration) = self.brokers.get_mut(&broker).filter(|r| r.incarnation == incarnation) {
            change(registration);
        }
    }

    fn broker_started(&mut self, broker: BrokerId, incarnation: u64) {
        self.brokers.insert(broker, Registration::alone(incarnation));
        let led = self.topics.values_mut().flat_map(|t| &mut t.partitions);
        for partition in led.filter(|p| p.leader == Some(broker)) {
            partition.leader_epoch.0 += 1;
            partition.partition_epoch += 1;
        }
    }

    /// Replicas that are fenced are not in sync; brokers that never registered are nodes alone, of the first version.
    fn new_partitions(&self, replicas: &[Vec<BrokerId>]) -> Vec<PartitionState> {
        let awake = |broker| self.brokers.get(&broker).is_none_or(Registration::is_active);
        replicas.iter().map(|r| PartitionState::new(r, awake)).collect()
    }

    fn topic_created(&mut self, topic: Topic) {
        self.names.insert(topic.name.clone(), topic.id);
        if let Some(shown) = shown_ambiguously(&topic.name) {
            self.shown.insert(shown, topic.name.clone());
        }
        self.topics.insert(topic.id, topic);
    }

    fn topic_deleted(&mut self, id: TopicId) {
        if let Some(topic) = self.topics.remove(&id) {
            self.names.remove(&topic.name);
            self.unclean.retain(|log, _| log.topic != id);
            if let Some(shown) = shown_ambiguously(&topic.name) {
                self.shown.remove(&shown);
            }
        }
    }

    fn partition_changed(&mut self, log: LogId, change: &PartitionChange) {
        let Some(state) = self.partition_mut(log.topic, log.partition) else { return };
        let unclean = state.is_unclean(change);
        state.apply(change);
        let epoch = state.leader_epoch;
        if unclean {
            self.unclean.insert(log, epoch);
        }
    }

    fn partition_mut(&mut self, topic: TopicId, partition: i32) -> Option<&mut PartitionState> {
        self.topics.get_mut(&topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    fn config_set(&mut self, of: ConfigOwner, name: &str, value: Option<&str>) {
        let configs = match of {
            ConfigOwner::Topic(id) => match self.topics.get_mut(&id) {
                Some(topic) => &mut topic.configs,
                None => return,
            },
            owner => self.broker_configs.entry(owner).or_default(),
        };
        match value {
            Some(value) => configs.insert(name.to_owned(), value.to_owned()),
            None => configs.remove(name),
        };
    }

    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).and_then(|id| self.topics.get(id))
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// Another topic whose name would be the same in metrics, where `.` and `_` are one.
    pub fn colliding(&self, name: &str) -> Option<&str> {
        let other = self.shown.get(&shown_ambiguously(name)?)?;
        (other != name).then_some(other)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// The names from `first` on, with their topics.
    pub fn topics_from<'a>(&'a self, first: &str) -> impl Iterator<Item = &'a Topic> {
        self.names
            .range::<str, _>((std::ops::Bound::Included(first), std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.topics.get(id))
    }

    /// How many partitions there are in all.
    pub fn partition_count(&self) -> usize {
        self.topics.values().map(|t| t.partitions.len()).sum()
    }

    /// The configs set for a broker or for all of them.
    pub fn broker_configs(&self, of: ConfigOwner) -> Option<&Configs> {
        self.broker_configs.get(&of)
    }

    /// The brokers of the cluster, each as it registered last.
    pub fn brokers(&self) -> &BTreeMap<BrokerId, Registration> {
        &self.brokers
    }

    /// Whether a broker may lead and be in sync: registered, not fenced, not stopping.
    pub fn is_active(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(Registration::is_active)
    }

    /// One partition.
    pub fn partition(&self, log: LogId) -> Option<&PartitionState> {
        self.topics.get(&log.topic)?.partitions.get(usize::try_from(log.partition).ok()?)
    }

    /// The leader epoch of the last election of somebody who could lack what was committed before: it was neither in the ISR nor
    /// eligible (Kafka marks such a leader until it has recovered, `LeaderRecoveryState`, KIP-704).
    pub fn unclean_election(&self, log: LogId) -> Option<LeaderEpoch> {
        self.unclean.get(&log).copied()
    }

    /// Every partition with its topic, by topic name and number.
    pub fn partitions(&self) -> impl Iterator<Item = (&Topic, i32, &PartitionState)> {
        self.topics().flat_map(|topic| {
            topic.partitions.iter().enumerate().map(move |(index, state)| (topic, index as i32, state))
        })
    }

    /// The cluster's id, once its quorum has formed.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The voters of the metadata quorum, each with its data directory; none for a node alone.
    pub fn voters(&self) -> &BTreeMap<BrokerId, DirectoryId> {
        &self.voters
    }

    /// The newest leader of the metadata log that the log itself names, and its epoch.
    pub fn metadata_leader(&self) -> Option<(BrokerId, LeaderEpoch)> {
        self.metadata_leader
    }

    /// The first producer id that was not given out yet.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(id: u8, name: &str) -> Fact {
        let replicas = vec![vec![BrokerId(1)]; 2];
        Fact::TopicCreated { id: TopicId([id; 16]), name: name.into(), replicas, configs: Configs::new() }
    }

    #[test]
    fn a_snapshot_and_the_facts_after_it_give_what_all_facts_give() {
        let facts = [
            created(1, "a"),
            Fact::BrokerStarted { broker: BrokerId(1), incarnation: 5 },
            created(2, "b"),
            Fact::ConfigSet {
                of: ConfigOwner::Topic(TopicId([2; 16])),
                name: "retention.ms".into(),
                value: Some("1".into()),
            },
            Fact::TopicDeleted { id: TopicId([1; 16]) },
            created(3, "a"),
            Fact::PartitionsAdded { id: TopicId([3; 16]), replicas: vec![vec![BrokerId(1)]] },
            Fact::ProducerIdsAllocated { next: 1000 },
        ];
        let fold = |mut image: MetadataImage, facts: &[Fact]| {
            facts.iter().for_each(|f| image.apply(f));
            image
        };
        let whole = fold(MetadataImage::default(), &facts);
        for cut in 0..=facts.len() {
            let snapshot = fold(MetadataImage::default(), &facts[..cut]).encode();
            assert_eq!(fold(MetadataImage::decode(&snapshot).unwrap(), &facts[cut..]), whole);
        }
        assert_eq!(whole.topic("a").unwrap().partitions.len(), 3);
    }

    #[test]
    fn a_started_broker_leads_in_new_epochs() {
        let mut image = MetadataImage::default();
        image.apply(&created(1, "a"));
        image.apply(&Fact::BrokerStarted { broker: BrokerId(1), incarnation: 1 });
        image.apply(&Fact::BrokerStarted { broker: BrokerId(2), incarnation: 2 });
        assert_eq!(image.topic("a").unwrap().partitions[0].leader_epoch, LeaderEpoch(1));
    }
}
