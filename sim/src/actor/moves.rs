//! What an operator of several brokers asks for: preferred leaders back, replicas elsewhere, and moves called off midway.

use quipu_core::wire::Request;
use quipu_core::wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use quipu_core::wire::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use serde::{Deserialize, Serialize};

use super::operator::TopicPlan;
use crate::rng::Rng;

/// How an operator moves leaders and replicas.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MovesPlan {
    /// How many brokers there are.
    pub brokers: usize,
    /// How many deeds in a hundred are moves.
    pub percent: u64,
    /// How many moves in a hundred are of the partitions in which groups live.
    pub others_percent: u64,
}

impl MovesPlan {
    /// One move.
    pub fn draw(&self, rng: &mut Rng, topics: &[TopicPlan]) -> Request {
        let topic = &topics[rng.below(topics.len() as u64) as usize];
        let (name, partition) = (topic.name.clone(), rng.below(topic.partitions as u64) as i32);
        let groups = rng.percent(self.others_percent);
        let (name, factor) =
            if groups { ("__consumer_offsets".into(), 3) } else { (name, topic.replicas.unwrap_or(1)) };
        match rng.below(10) {
            0 => elect(None),
            1..=3 => elect(Some(TopicPartitions { topic: name, partitions: vec![partition] })),
            4 => reassign(name, partition, None),
            _ => {
                let same = rng.percent(30);
                let count = if same { factor as usize } else { 1 + rng.below(self.brokers as u64) as usize };
                reassign(name, partition, Some(self.some(rng, count)))
            }
        }
    }

    /// So many brokers, in any order.
    fn some(&self, rng: &mut Rng, count: usize) -> Vec<i32> {
        let mut all: Vec<i32> = (1..=self.brokers as i32).collect();
        (1..all.len()).rev().for_each(|i| all.swap(i, rng.below(i as u64 + 1) as usize));
        all.truncate(count.max(1));
        all
    }
}

fn elect(named: Option<TopicPartitions>) -> Request {
    let topic_partitions = named.map(|named| vec![named]);
    ElectLeadersRequest { election_type: 0, topic_partitions, timeout_ms: 5_000 }.into()
}

fn reassign(name: String, partition_index: i32, replicas: Option<Vec<i32>>) -> Request {
    let partitions = vec![ReassignablePartition { partition_index, replicas }];
    let topics = vec![ReassignableTopic { name, partitions }];
    AlterPartitionReassignmentsRequest { timeout_ms: 5_000, topics, ..Default::default() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_between_brokers_that_there_are_and_no_broker_is_named_twice() {
        let topic = TopicPlan { name: "t".into(), partitions: 2, configs: Vec::new(), replicas: Some(2) };
        let plan = MovesPlan { brokers: 3, percent: 100, others_percent: 20 };
        let mut rng = Rng::new(7);
        let (mut moved, mut called_off) = (0, 0);
        for _ in 0..500 {
            let request = plan.draw(&mut rng, std::slice::from_ref(&topic));
            let Request::AlterPartitionReassignments(asked) = request else { continue };
            match &asked.topics[0].partitions[0].replicas {
                None => called_off += 1,
                Some(list) => {
                    moved += 1;
                    let ids: std::collections::BTreeSet<i32> = list.iter().copied().collect();
                    assert!(ids.len() == list.len() && ids.iter().all(|id| (1..=3).contains(id)), "{list:?}");
                }
            }
        }
        assert!(moved > 100 && called_off > 10);
    }
}
