//! Who coordinates which groups by the newest committed metadata: one who was deposed and does not know it yet may tell what was.

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::cluster::names::GROUP_OFFSETS;
use quipu_core::ids::{LeaderEpoch, LogId, Offset};

use crate::probe::sometimes;

/// The newest leader epoch of every partition of groups that any broker has seen committed.
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
        for (log, epoch) in epochs(broker) {
            let newest = self.newest.entry(log).or_insert(epoch);
            *newest = (*newest).max(epoch);
        }
    }

    /// Whether this broker takes itself for a coordinator, and another has that office (Kafka has the same weakness: its coordinator
    /// answers OffsetFetch from memory until it hears that it was deposed).
    pub fn is_deposed(&self, broker: &Broker) -> bool {
        let older = |(log, epoch): (LogId, LeaderEpoch)| {
            broker.leads(log) && self.newest.get(&log).is_some_and(|newest| epoch < *newest)
        };
        let deposed = epochs(broker).any(older);
        if deposed {
            sometimes("groups: a coordinator answers that was deposed and does not know it");
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
