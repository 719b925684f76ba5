//! AlterPartitionReassignments, ListPartitionReassignments and UnregisterBroker: where replicas are, and who may have any.

use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::once::repeated;
use crate::broker::turn::Turn;
use crate::cluster::additions::MAX_PARTITIONS;
use crate::cluster::facts::Fact;
use crate::cluster::membership::unregister;
use crate::cluster::reassign::{Reassignment, reassign, under_way};
use crate::cluster::topics::Refusal;
use crate::ids::BrokerId;
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartitionResponse,
    ReassignableTopic, ReassignableTopicResponse,
};
use crate::wire::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};
use crate::wire::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

/// Partitions, each by its topic's name and its number.
type Named<'a> = BTreeSet<(&'a str, i32)>;

impl Broker {
    /// Handles AlterPartitionReassignments (KIP-455; Kafka: `ReplicationControlManager.alterPartitionReassignments`). Each
    /// partition is decided by itself; one that is named twice is refused, since nobody knows which is meant.
    pub(super) fn alter_partition_reassignments(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: AlterPartitionReassignmentsRequest,
    ) {
        let factor_may_change = request.allow_replication_factor_change;
        let mut response = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: factor_may_change,
            ..Default::default()
        };
        if request.topics.iter().map(|t| t.partitions.len()).sum::<usize>() > MAX_PARTITIONS {
            let why = format!("A request moves {MAX_PARTITIONS} partitions at most.");
            (response.error_code, response.error_message) = (ErrorCode::POLICY_VIOLATION, Some(why));
            return turn.reply(to, response.into());
        }
        let named = request.topics.iter();
        let named = named.flat_map(|t| t.partitions.iter().map(|p| (t.name.as_str(), p.partition_index)));
        let (twice, mut seen, mut facts) = (repeated(named), Named::new(), Vec::new());
        for topic in &request.topics {
            let told = self.reassign_topic(topic, factor_may_change, (&twice, &mut seen), &mut facts);
            response.responses.push(told);
        }
        self.decide_and_answer(turn, facts, to, response.into());
    }

    fn reassign_topic<'a>(
        &self,
        topic: &'a ReassignableTopic,
        factor_may_change: bool,
        (twice, seen): (&Named<'a>, &mut Named<'a>),
        facts: &mut Vec<Fact>,
    ) -> ReassignableTopicResponse {
        let mut told = ReassignableTopicResponse { name: topic.name.clone(), partitions: Vec::new() };
        for asked in &topic.partitions {
            let named = (topic.name.as_str(), asked.partition_index);
            if !seen.insert(named) {
                continue;
            }
            let reassignment = Reassignment {
                topic: topic.name.clone(),
                partition: asked.partition_index,
                replicas: asked.replicas.clone(),
            };
            let decided = if twice.contains(&named) {
                Err((ErrorCode::INVALID_REQUEST, "The partition is named more than once.".into()))
            } else {
                reassign(&self.view(), &reassignment, factor_may_change).map(|fact| facts.extend(fact))
            };
            let (error_code, error_message) = told_of(decided);
            told.partitions.push(ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code,
                error_message,
            });
        }
        told
    }

    /// Handles ListPartitionReassignments: what is committed of those that are under way. What there is not is passed over.
    pub(super) fn list_partition_reassignments(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: &ListPartitionReassignmentsRequest,
    ) {
        let named: Option<Named<'_>> = request.topics.as_ref().map(|topics| {
            topics.iter().flat_map(|t| t.partition_indexes.iter().map(|p| (t.name.as_str(), *p))).collect()
        });
        let ids = |list: &[BrokerId]| list.iter().map(|b| b.0).collect();
        let mut topics: Vec<OngoingTopicReassignment> = Vec::new();
        for (topic, partition, state) in under_way(self.controller.image()) {
            if named.as_ref().is_some_and(|named| !named.contains(&(topic.name.as_str(), partition))) {
                continue;
            }
            if topics.last().is_none_or(|last| last.name != topic.name) {
                topics.push(OngoingTopicReassignment { name: topic.name.clone(), partitions: Vec::new() });
            }
            let last = topics.last_mut().expect("a topic was begun");
            last.partitions.push(OngoingPartitionReassignment {
                partition_index: partition,
                replicas: ids(&state.replicas),
                adding_replicas: ids(&state.adding),
                removing_replicas: ids(&state.removing),
            });
        }
        turn.reply(to, ListPartitionReassignmentsResponse { topics, ..Default::default() }.into());
    }

    /// Handles UnregisterBroker (KIP-631).
    pub(super) fn unregister_broker(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: &UnregisterBrokerRequest,
    ) {
        let decided = if self.is_alone() {
            Err((ErrorCode::INVALID_REQUEST, "This broker is a cluster by itself.".to_string()))
        } else {
            unregister(&self.view(), BrokerId(request.broker_id))
        };
        let (facts, (error_code, error_message)) = match decided {
            Ok(facts) => (facts, told_of(Ok(()))),
            Err(refusal) => (Vec::new(), told_of(Err(refusal))),
        };
        let response = UnregisterBrokerResponse { error_code, error_message, ..Default::default() };
        self.decide_and_answer(turn, facts, to, response.into());
    }
}

fn told_of(decided: Result<(), Refusal>) -> (ErrorCode, Option<String>) {
    decided.map_or_else(|(code, why)| (code, Some(why)), |()| (ErrorCode::NONE, None))
}
