//! Who leads which partition, and so coordinates which groups, by the newest committed metadata: one who was deposed and does not know
//! it yet may tell what was.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::cluster::names::GROUP_OFFSETS;
use quipu_core::ids::{LeaderEpoch, LogId, Offset};
use quipu_core::wire::messages::list_offsets::ListOffsetsResponse;

use crate::probe::sometimes;

/// The newest leader epoch of every partition that any broker has seen committed.
pub struct Offices {
    /// How far each broker was with the metadata when it was last looked at.
    looked: Vec<Offset>,
    newest: BTreeMap<LogId, LeaderEpoch>,
}

impl Offices {
    /// For so many brokers.
    pub fn new(servers: usize) -> Offices {
        Offices { looked: vec![Offset(0); servers], newest: BTreeMap::new() }
    }

    /// A broker has taken an input.
    pub fn stepped(&mut self, server: usize, broker: &Broker) {
        let at = broker.metadata_position();
        if std::mem::replace(&mut self.looked[server], at) == at {
            return;
        }
        for (topic, partition, state) in broker.image().partitions() {
            let (log, epoch) = (LogId { topic: topic.id, partition }, state.leader_epoch);
            let newest = self.newest.entry(log).or_insert(epoch);
            *newest = (*newest).max(epoch);
        }
    }

    /// Whether this broker tells of offsets in a partition, and another leads that by now (as in Kafka: only who names the leader epoch
    /// that it knows, KIP-320, is told so).
    pub fn tells_what_was(&self, broker: &Broker, told: &ListOffsetsResponse) -> bool {
        told.topics.iter().any(|topic| {
            let known = broker.image().topic(&topic.name);
            topic.partitions.iter().filter(|slot| slot.error_code.is_none()).any(|slot| {
                let state =
                    known.and_then(|t| Some((t.id, t.partitions.get(slot.partition_index as usize)?)));
                state.is_none_or(|(topic, state)| {
                    let newest = self.newest.get(&LogId { topic, partition: slot.partition_index });
                    newest.is_some_and(|newest| state.leader_epoch < *newest)
                })
            })
        })
    }

    /// Whether this broker takes itself for a coordinator, and another has that office (Kafka has the same weakness: its coordinator
    /// answers OffsetFetch from memory until it hears that it was deposed).
    pub fn is_deposed(&self, broker: &Broker) -> bool {
        let older = |(log, epoch): (LogId, LeaderEpoch)| {
            broker.leads(log) && self.newest.get(&log).is_some_and(|newest| epoch < *newest)
        };
        let deposed = epochs(broker).any(older);
        if deposed {
            sometimes("groups: a deposed coordinator answers");
        }
        deposed
    }
}

fn epochs(broker: &Broker) -> impl Iterator<Item = (LogId, LeaderEpoch)> {
    let shards = broker.image().topic(GROUP_OFFSETS).into_iter();
    shards.flat_map(|topic| {
        let log = move |partition: usize| LogId { topic: topic.id, partition: partition as i32 };
        topic.partitions.iter().enumerate().map(move |(index, state)| (log(index), state.leader_epoch))
    })
}
