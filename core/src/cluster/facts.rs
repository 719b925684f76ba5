//! What is true of the cluster: one enum of facts, each a record of the metadata log, in postcard behind a format byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::brokers::{DirectoryId, Endpoint, PeerAddress};
use crate::cluster::partition::PartitionChange;
use crate::ids::{BrokerId, LeaderEpoch, Offset, TopicId};

/// The format of a fact's encoding; a later one may add variants at the end.
const FORMAT: u8 = 1;

/// One thing that became true. Past tense: whoever reads it does not judge it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A broker has started and leads again what it led, in new leader epochs.
    BrokerStarted {
        /// Which broker.
        broker: BrokerId,
        /// This run of its process. Never the same twice.
        incarnation: u64,
    },
    /// A topic was created.
    TopicCreated {
        /// Its id.
        id: TopicId,
        /// Its name.
        name: String,
        /// The replicas of each partition, the preferred leader first.
        replicas: Vec<Vec<BrokerId>>,
        /// Its configs as far as they were given.
        configs: BTreeMap<String, String>,
    },
    /// A topic got more partitions.
    PartitionsAdded {
        /// Which topic.
        id: TopicId,
        /// The replicas of each new partition.
        replicas: Vec<Vec<BrokerId>>,
    },
    /// A topic was deleted.
    TopicDeleted {
        /// Which topic.
        id: TopicId,
    },
    /// A config was set, or with no value, put back to its default.
    ConfigSet {
        /// Whose config.
        of: ConfigOwner,
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// Producer ids below this one have been given out to brokers (Kafka: `ProducerIdsRecord`).
    ProducerIdsAllocated {
        /// The next one to give out.
        next: i64,
    },
    /// A broker has registered: it is kept out until it has read this (Kafka: `RegisterBrokerRecord`).
    BrokerRegistered {
        /// Which broker.
        broker: BrokerId,
        /// This run of its process. Never the same twice.
        incarnation: u64,
        /// Where in the metadata log the facts of this registration begin.
        at: Offset,
        /// Its data directory.
        directory: DirectoryId,
        /// Where clients reach it.
        endpoints: Vec<Endpoint>,
        /// Where brokers reach it.
        peer: PeerAddress,
        /// `broker.rack`.
        rack: Option<String>,
    },
    /// A broker was fenced (Kafka: `BrokerRegistrationChangeRecord`, as the next two).
    BrokerFenced {
        /// Which broker.
        broker: BrokerId,
        /// Which run of it.
        incarnation: u64,
    },
    /// A broker takes part from now on.
    BrokerUnfenced {
        /// Which broker.
        broker: BrokerId,
        /// Which run of it.
        incarnation: u64,
    },
    /// A broker has begun its controlled shutdown.
    BrokerStopping {
        /// Which broker.
        broker: BrokerId,
        /// Which run of it.
        incarnation: u64,
    },
    /// A broker belongs to the cluster no longer (Kafka: `UnregisterBrokerRecord`).
    BrokerUnregistered {
        /// Which broker.
        broker: BrokerId,
        /// Which run of it.
        incarnation: u64,
    },
    /// A partition has changed.
    PartitionChanged {
        /// Its topic.
        topic: TopicId,
        /// Its number within the topic.
        partition: i32,
        /// What is new.
        change: PartitionChange,
    },
    /// A quorum was formed: the first record of its metadata log.
    QuorumFormed {
        /// The cluster's id.
        cluster_id: String,
        /// The voters, each with its data directory (KIP-853).
        voters: BTreeMap<BrokerId, DirectoryId>,
    },
    /// A leader of the metadata log was elected: the first record of each of its epochs (Kafka: `LeaderChangeMessage`).
    LeaderElected {
        /// Who.
        leader: BrokerId,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// Producer ids were given out to one broker (Kafka: `ProducerIdsRecord`).
    ProducerIdsGranted {
        /// Whom they belong to.
        broker: BrokerId,
        /// Which run of it.
        incarnation: u64,
        /// The first one.
        first: i64,
        /// The one after the last.
        end: i64,
    },
}

/// Whose config a config is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigOwner {
    /// A topic's.
    Topic(TopicId),
    /// One broker's.
    Broker(BrokerId),
    /// The default of all brokers.
    Cluster,
}

impl Fact {
    /// The fact as the value of a record.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a fact has a postcard form")
    }

    /// Reads a record's value back.
    pub fn decode(value: &[u8]) -> Result<Fact, String> {
        match value.split_first() {
            Some((&FORMAT, body)) => {
                postcard::from_bytes(body).map_err(|e| format!("a metadata record cannot be read: {e}"))
            }
            Some((format, _)) => {
                Err(format!("a metadata record has format {format}, this version reads format {FORMAT}"))
            }
            None => Err("a metadata record is empty".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_reads_back_and_an_unknown_format_is_refused_by_name() {
        let fact = Fact::TopicDeleted { id: TopicId([3; 16]) };
        let mut bytes = fact.encode();
        assert_eq!(Fact::decode(&bytes), Ok(fact));
        bytes[0] = 9;
        assert!(Fact::decode(&bytes).unwrap_err().contains("format 9"));
        assert!(Fact::decode(&[FORMAT, 200]).is_err());
    }

    #[test]
    fn facts_that_the_first_version_wrote_read_as_they_did() {
        let golden = [
            ("01000205", Fact::BrokerStarted { broker: BrokerId(1), incarnation: 5 }),
            (
                "0104020178010137",
                Fact::ConfigSet { of: ConfigOwner::Cluster, name: "x".into(), value: Some("7".into()) },
            ),
            ("0105d00f", Fact::ProducerIdsAllocated { next: 1000 }),
        ];
        for (hex, fact) in golden {
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            assert_eq!(Fact::decode(&bytes).as_ref(), Ok(&fact));
            assert_eq!(fact.encode(), bytes);
        }
    }

    #[test]
    fn the_newer_facts_keep_their_places_in_the_enum() {
        let (broker, incarnation) = (BrokerId(1), 5);
        let facts = [
            Fact::BrokerFenced { broker, incarnation },
            Fact::BrokerUnfenced { broker, incarnation },
            Fact::BrokerStopping { broker, incarnation },
            Fact::BrokerUnregistered { broker, incarnation },
            Fact::PartitionChanged {
                topic: TopicId([1; 16]),
                partition: 0,
                change: PartitionChange { leader: Some(None), ..PartitionChange::default() },
            },
            Fact::QuorumFormed { cluster_id: "c".into(), voters: BTreeMap::from([(broker, [7; 16])]) },
            Fact::LeaderElected { leader: broker, epoch: LeaderEpoch(3) },
            Fact::ProducerIdsGranted { broker, incarnation, first: 0, end: 1000 },
        ];
        for (at, fact) in facts.iter().enumerate() {
            let bytes = fact.encode();
            assert_eq!(usize::from(bytes[1]), at + 7, "{fact:?}");
            assert_eq!(Fact::decode(&bytes).as_ref(), Ok(fact));
        }
    }
}
