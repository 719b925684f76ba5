//! Who asks the wrong broker is told who leads instead, and where that one is, so that it need not ask for metadata first (KIP-951).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::addresses::Reached;
use crate::broker::door::{Client, Effect};
use crate::broker::turn::Turn;
use crate::ids::{BrokerId, ConnId, LogId, TopicId};
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{fetch, produce};

/// By which listener clients have come that may be told of another leader.
#[derive(Debug, Default)]
pub(super) struct Hints {
    clients: BTreeMap<ConnId, Arc<Client>>,
}

impl Hints {
    /// A client writes or reads.
    pub(super) fn asked(&mut self, conn: ConnId, from: &Arc<Client>) {
        self.clients.entry(conn).or_insert_with(|| Arc::clone(from));
    }

    /// It is gone.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.clients.remove(&conn);
    }
}

impl Broker {
    /// Adds to what this step has answered who leads what this broker does not. `first` is the step's first effect.
    pub(super) fn hint_leaders(&self, turn: &mut Turn, first: usize) {
        if self.is_alone() {
            return;
        }
        for effect in &mut turn.out[first..] {
            let Effect::Reply { to, response } = effect else { continue };
            let Some(from) = self.hints.clients.get(&to.conn) else { continue };
            match response {
                Response::Produce(response) => self.hint_produce(from, response),
                Response::Fetch(response) => self.hint_fetch(from, response),
                _ => {}
            }
        }
    }

    fn hint_produce(&self, from: &Client, response: &mut produce::ProduceResponse) {
        let mut leaders = BTreeSet::new();
        for topic in &mut response.responses {
            let id = || self.controller.image().topic(&topic.name).map(|topic| topic.id);
            for partition in &mut topic.partition_responses {
                let code = partition.error_code;
                if let Some((leader, epoch)) = self.hint(code, id, partition.index) {
                    let leader_id = leader.map_or(-1, |leader| leader.0);
                    partition.current_leader = produce::LeaderIdAndEpoch { leader_id, leader_epoch: epoch };
                    leaders.extend(leader);
                }
            }
        }
        let node = |(id, host, port, rack): Reached| produce::NodeEndpoint {
            node_id: id.0,
            host,
            port: i32::from(port),
            rack,
        };
        response.node_endpoints = self.found_at(from, &leaders).map(node).collect();
    }

    fn hint_fetch(&self, from: &Client, response: &mut fetch::FetchResponse) {
        let mut leaders = BTreeSet::new();
        for topic in &mut response.responses {
            let named = || self.controller.image().topic(&topic.topic).map(|topic| topic.id);
            let id = || if topic.topic_id.is_zero() { named() } else { Some(topic.topic_id) };
            for partition in &mut topic.partitions {
                let code = partition.error_code;
                if let Some((leader, epoch)) = self.hint(code, id, partition.partition_index) {
                    let leader_id = leader.map_or(-1, |leader| leader.0);
                    partition.current_leader = fetch::LeaderIdAndEpoch { leader_id, leader_epoch: epoch };
                    leaders.extend(leader);
                }
            }
        }
        let node = |(id, host, port, rack): Reached| fetch::NodeEndpoint {
            node_id: id.0,
            host,
            port: i32::from(port),
            rack,
        };
        response.node_endpoints = self.found_at(from, &leaders).map(node).collect();
    }

    /// Who leads a partition of which a client was told this, and in which epoch; `None` where there is nothing to add.
    fn hint(
        &self,
        code: ErrorCode,
        topic: impl Fn() -> Option<TopicId>,
        partition: i32,
    ) -> Option<(Option<BrokerId>, i32)> {
        let elsewhere = code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
        if !elsewhere && code != ErrorCode::FENCED_LEADER_EPOCH {
            return None;
        }
        let state = self.controller.image().partition(LogId { topic: topic()?, partition })?;
        // A leader that has just been deposed may not know its successor yet.
        let unknown = elsewhere && state.leader == Some(self.me);
        (!unknown).then_some((state.leader, state.leader_epoch.0))
    }

    /// Where these brokers are for a client.
    fn found_at(&self, from: &Client, brokers: &BTreeSet<BrokerId>) -> impl Iterator<Item = Reached> {
        let all = if brokers.is_empty() { Vec::new() } else { self.reached_by(from) };
        all.into_iter().filter(|(id, ..)| brokers.contains(id))
    }
}
