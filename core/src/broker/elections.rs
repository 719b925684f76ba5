//! ElectLeaders, and leaders that the active controller puts back by itself.

use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::turn::Turn;
use crate::cluster::additions::MAX_PARTITIONS;
use crate::cluster::change::Election;
use crate::cluster::elections::{elect, elect_leaderless, rebalance};
use crate::cluster::facts::Fact;
use crate::wire::error::ErrorCode;
use crate::wire::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult, TopicPartitions,
};

/// Leaders that are put back at once. What is left over has its turn a moment later.
const BACK_AT_ONCE: usize = 256;

/// Elections of one request: what is decided, and what is told of each topic.
#[derive(Debug, Default)]
struct Elections {
    facts: Vec<Fact>,
    told: Vec<ReplicaElectionResult>,
}

impl Elections {
    /// Tells what became of one partition of the topic that was begun last.
    fn tell(&mut self, partition_id: i32, (error_code, error_message): (ErrorCode, Option<String>)) {
        let topic = self.told.last_mut().expect("a topic was begun");
        topic.partition_result.push(PartitionResult { partition_id, error_code, error_message });
    }

    fn begin(&mut self, topic: &str) {
        self.told.push(ReplicaElectionResult { topic: topic.to_string(), partition_result: Vec::new() });
    }
}

impl Broker {
    /// Handles ElectLeaders (KIP-183, KIP-460; Kafka: `ReplicationControlManager.electLeaders`).
    pub(super) fn elect_leaders(&mut self, turn: &mut Turn, to: Caller, request: ElectLeadersRequest) {
        let refused = |error_code| ElectLeadersResponse { error_code, ..Default::default() }.into();
        let election = match request.election_type {
            0 => Election::Preferred,
            1 => Election::Unclean,
            _ => return turn.reply(to, refused(ErrorCode::INVALID_REQUEST)),
        };
        let named = request.topic_partitions.iter().flatten().map(|t| t.partitions.len()).sum::<usize>();
        if named > MAX_PARTITIONS {
            return turn.reply(to, refused(ErrorCode::POLICY_VIOLATION));
        }
        let Elections { facts, told } = match &request.topic_partitions {
            Some(topics) => self.elect_named(topics, election),
            None => self.elect_everywhere(election),
        };
        let response = ElectLeadersResponse { replica_election_results: told, ..Default::default() };
        self.decide_and_answer(turn, facts, to, response.into());
    }

    /// Elections in partitions that are named, each once.
    fn elect_named(&self, topics: &[TopicPartitions], election: Election) -> Elections {
        let (view, mut seen, mut elections) = (self.view(), BTreeSet::new(), Elections::default());
        for TopicPartitions { topic, partitions } in topics {
            elections.begin(topic);
            for partition in partitions.iter().filter(|p| seen.insert((topic.as_str(), **p))) {
                let told = match elect(&view, (topic, *partition), election) {
                    Ok(fact) => {
                        elections.facts.push(fact);
                        (ErrorCode::NONE, None)
                    }
                    Err((code, why)) => (code, Some(why)),
                };
                elections.tell(*partition, told);
            }
        }
        elections
    }

    /// Elections wherever one is needed: nothing is told of the others. More than fits into one decision is for the next request.
    fn elect_everywhere(&self, election: Election) -> Elections {
        let (view, mut elections) = (self.view(), Elections::default());
        for (topic, partition, _) in view.image.partitions() {
            let told = match elect(&view, (&topic.name, partition), election) {
                Ok(_) if elections.facts.len() == MAX_PARTITIONS => {
                    (ErrorCode::POLICY_VIOLATION, Some("Too many elections at once; ask again.".into()))
                }
                Ok(fact) => {
                    elections.facts.push(fact);
                    (ErrorCode::NONE, None)
                }
                Err((ErrorCode::ELECTION_NOT_NEEDED, _)) => continue,
                Err((code, why)) => (code, Some(why)),
            };
            if elections.told.last().is_none_or(|last| last.topic != topic.name) {
                elections.begin(&topic.name);
            }
            elections.tell(partition, told);
        }
        elections
    }

    /// The active controller finds leaders where nobody leads and somebody may by now, and puts preferred leaders back (Kafka:
    /// `maybeElectUncleanLeaders`, `maybeBalancePartitionLeaders`). Answers whether there may be more to do.
    pub(super) fn look_at_leaders(&mut self, turn: &mut Turn) -> bool {
        if self.active.is_none() {
            return false;
        }
        let view = self.view();
        let mut facts = elect_leaderless(&view, BACK_AT_ONCE);
        let found = facts.len();
        if view.config.cluster.balance {
            let percent = view.config.cluster.imbalance_percent;
            // Who leads nothing yet and who is to give way are never the same partition.
            facts.extend(rebalance(&view, Some(percent), BACK_AT_ONCE));
        }
        if facts.is_empty() {
            return false;
        }
        let back = facts.len() - found;
        turn.info(format!("{back} partitions go back to their preferred leaders, {found} get one at last"));
        self.decide(turn, facts);
        found.max(back) == BACK_AT_ONCE
    }
}
