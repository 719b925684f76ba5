//! What is true of the cluster: one enum of facts, each a record of the metadata log, in postcard behind a format byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, TopicId};

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
}
