//! The metadata image as a snapshot on disk, and the snapshots of earlier versions.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cluster::brokers::Registration;
use crate::cluster::facts::ConfigOwner;
use crate::cluster::image::{Configs, MetadataImage, Topic};
use crate::cluster::partition::PartitionState;
use crate::ids::{BrokerId, LeaderEpoch, TopicId};

/// The format that is written: since unclean elections are remembered.
const FORMAT: u8 = 3;
/// The format since several brokers share a partition, which knows of no unclean election; it is still read.
const SHARED: u8 = 2;
/// The format of the node alone; it is still read.
const ALONE: u8 = 1;

/// An empty map, in postcard.
const NO_ENTRIES: &[u8] = &[0];

impl MetadataImage {
    /// The image as the contents of a snapshot: the same bytes for the same facts.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("an image has a postcard form")
    }

    /// Reads a snapshot back.
    pub fn decode(bytes: &[u8]) -> Result<MetadataImage, String> {
        let read = match bytes.split_first() {
            Some((&FORMAT, body)) => postcard::from_bytes(body),
            // The same, but for the map at its end.
            Some((&SHARED, body)) => postcard::from_bytes(&[body, NO_ENTRIES].concat()),
            Some((&ALONE, body)) => postcard::from_bytes(body).map(Alone::into_image),
            other => {
                let found = other.map(|o| o.0);
                return Err(format!(
                    "the metadata snapshot has format {found:?}, this version reads {ALONE} to {FORMAT}"
                ));
            }
        };
        read.map_err(|e| format!("the metadata snapshot cannot be read: {e}"))
    }
}

/// The image of format 1.
#[derive(Deserialize)]
struct Alone {
    topics: BTreeMap<TopicId, AloneTopic>,
    names: BTreeMap<String, TopicId>,
    shown: BTreeMap<String, String>,
    brokers: BTreeMap<BrokerId, u64>,
    broker_configs: BTreeMap<ConfigOwner, Configs>,
    next_producer_id: i64,
}

#[derive(Deserialize)]
struct AloneTopic {
    id: TopicId,
    name: String,
    partitions: Vec<AlonePartition>,
    configs: Configs,
}

#[derive(Deserialize)]
struct AlonePartition {
    replicas: Vec<BrokerId>,
    isr: Vec<BrokerId>,
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
}

impl Alone {
    fn into_image(self) -> MetadataImage {
        let topics = self.topics.into_iter().map(|(id, topic)| (id, topic.into_topic()));
        let brokers = self.brokers.into_iter().map(|(id, run)| (id, Registration::alone(run)));
        MetadataImage {
            topics: topics.collect(),
            names: self.names,
            shown: self.shown,
            brokers: brokers.collect(),
            broker_configs: self.broker_configs,
            next_producer_id: self.next_producer_id,
            ..MetadataImage::default()
        }
    }
}

impl AloneTopic {
    fn into_topic(self) -> Topic {
        let partitions = self.partitions.into_iter().map(AlonePartition::into_state).collect();
        Topic { id: self.id, name: self.name, partitions, configs: self.configs }
    }
}

impl AlonePartition {
    fn into_state(self) -> PartitionState {
        PartitionState {
            replicas: self.replicas,
            isr: self.isr,
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            adding: Vec::new(),
            removing: Vec::new(),
            leader: Some(self.leader),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::Fact;

    /// A snapshot and the facts before it, both as the first version wrote them.
    const WRITTEN: &str = "0101010101010101010101010101010101010101010101010101010101010101010103612e6202010201020202020102010202\
                           0202010c726574656e74696f6e2e6d7301310103612e62010101010101010101010101010101010103615f6203612e62010\
                           20601020101780137d00f";
    const FACTS: [&str; 6] = [
        "01000205",
        "01010101010101010101010101010101010103612e62020102010200",
        "010400010101010101010101010101010101010c726574656e74696f6e2e6d73010131",
        "0104020178010137",
        "01000206",
        "0105d00f",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_snapshot_of_the_first_version_reads_as_what_its_facts_come_to() {
        let mut image = MetadataImage::default();
        FACTS.iter().for_each(|hex| image.apply(&Fact::decode(&bytes(hex)).unwrap()));
        assert_eq!(MetadataImage::decode(&bytes(WRITTEN)), Ok(image.clone()));
        assert_eq!(image.topic("a.b").unwrap().partitions[1].leader_epoch, LeaderEpoch(1));
        assert_eq!(image.encode()[0], FORMAT);
        assert_eq!(MetadataImage::decode(&image.encode()), Ok(image));
    }

    #[test]
    fn a_snapshot_from_before_unclean_elections_were_remembered_reads_as_one_without_any() {
        let mut image = MetadataImage::default();
        FACTS.iter().for_each(|hex| image.apply(&Fact::decode(&bytes(hex)).unwrap()));
        let mut before = image.encode();
        assert_eq!(before.pop(), Some(0), "the map is the last field");
        before[0] = SHARED;
        assert_eq!(MetadataImage::decode(&before), Ok(image));
    }

    #[test]
    fn a_snapshot_of_an_unknown_format_is_refused_by_name() {
        let told = MetadataImage::decode(&[9, 0]).unwrap_err();
        assert!(told.contains("Some(9)"), "{told}");
        assert!(MetadataImage::decode(&[]).is_err() && MetadataImage::decode(&[FORMAT, 200]).is_err());
    }
}
