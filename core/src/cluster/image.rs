//! The metadata image: what the facts so far amount to. Ordered maps only, so that the same facts give the same bytes everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::names::shown_ambiguously;
use crate::ids::{BrokerId, LeaderEpoch, TopicId};

/// Configs by name, as far as they were set.
pub type Configs = BTreeMap<String, String>;

/// The fold of the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataImage {
    topics: BTreeMap<TopicId, Topic>,
    names: BTreeMap<String, TopicId>,
    /// The names with a `.` or a `_` in them, as metrics show them: no two topics may look alike there.
    shown: BTreeMap<String, String>,
    brokers: BTreeMap<BrokerId, u64>,
    broker_configs: BTreeMap<ConfigOwner, Configs>,
    next_producer_id: i64,
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

/// Who keeps a partition and who leads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// The leader.
    pub leader: BrokerId,
    /// Raised whenever the leadership is given out.
    pub leader_epoch: LeaderEpoch,
    /// Raised with every change.
    pub partition_epoch: i32,
}

impl PartitionState {
    fn new(replicas: &[BrokerId]) -> PartitionState {
        PartitionState {
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: replicas[0],
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
        }
    }
}

impl MetadataImage {
    /// Folds one fact in. Facts that name what does not exist any more change nothing.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::BrokerStarted { broker, incarnation } => self.broker_started(*broker, *incarnation),
            Fact::TopicCreated { id, name, replicas, configs } => {
                let partitions = replicas.iter().map(|r| PartitionState::new(r)).collect();
                let topic = Topic { id: *id, name: name.clone(), partitions, configs: configs.clone() };
                self.names.insert(name.clone(), *id);
                if let Some(shown) = shown_ambiguously(name) {
                    self.shown.insert(shown, name.clone());
                }
                self.topics.insert(*id, topic);
            }
            Fact::PartitionsAdded { id, replicas } => {
                if let Some(topic) = self.topics.get_mut(id) {
                    topic.partitions.extend(replicas.iter().map(|r| PartitionState::new(r)));
                }
            }
            Fact::TopicDeleted { id } => {
                if let Some(topic) = self.topics.remove(id) {
                    self.names.remove(&topic.name);
                    if let Some(shown) = shown_ambiguously(&topic.name) {
                        self.shown.remove(&shown);
                    }
                }
            }
            Fact::ConfigSet { of, name, value } => self.config_set(*of, name, value.as_deref()),
            Fact::ProducerIdsAllocated { next } => self.next_producer_id = self.next_producer_id.max(*next),
        }
    }

    fn broker_started(&mut self, broker: BrokerId, incarnation: u64) {
        self.brokers.insert(broker, incarnation);
        let led = self.topics.values_mut().flat_map(|t| &mut t.partitions).filter(|p| p.leader == broker);
        for partition in led {
            partition.leader_epoch.0 += 1;
            partition.partition_epoch += 1;
        }
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

    /// The brokers that have ever started, with their newest incarnation.
    pub fn brokers(&self) -> &BTreeMap<BrokerId, u64> {
        &self.brokers
    }

    /// The first producer id that was not given out yet.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// The image as the contents of a snapshot: the same bytes for the same facts.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![SNAPSHOT_FORMAT]).expect("an image has a postcard form")
    }

    /// Reads a snapshot back.
    pub fn decode(bytes: &[u8]) -> Result<MetadataImage, String> {
        match bytes.split_first() {
            Some((&SNAPSHOT_FORMAT, body)) => {
                postcard::from_bytes(body).map_err(|e| format!("the metadata snapshot cannot be read: {e}"))
            }
            other => Err(format!(
                "the metadata snapshot has format {:?}, this version reads {SNAPSHOT_FORMAT}",
                other.map(|o| o.0)
            )),
        }
    }
}

const SNAPSHOT_FORMAT: u8 = 1;

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
