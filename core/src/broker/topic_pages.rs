//! DescribeTopicPartitions: topics and partitions a page at a time (KIP-966).

use crate::broker::Broker;
use crate::broker::door::Caller;
use crate::broker::turn::Turn;
use crate::cluster::image::Topic;
use crate::cluster::names;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor as Cursor, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};

impl Broker {
    /// Handles DescribeTopicPartitions.
    pub(super) fn describe_topic_partitions(
        &mut self,
        turn: &mut Turn,
        to: Caller,
        request: DescribeTopicPartitionsRequest,
    ) {
        let limit =
            request.response_partition_limit.clamp(1, self.config.partitions_per_page.max(1)) as usize;
        let (first, from_partition) =
            request.cursor.map_or((String::new(), 0), |c| (c.topic_name, c.partition_index.max(0) as usize));
        let mut names: Vec<String> = if request.topics.is_empty() {
            self.controller.image().topics_from(&first).map(|t| t.name.clone()).take(limit + 1).collect()
        } else {
            request.topics.into_iter().map(|t| t.name).filter(|name| *name >= first).collect()
        };
        names.sort();
        names.dedup();
        let mut response = DescribeTopicPartitionsResponse::default();
        let mut left = limit;
        for name in names {
            if left == 0 {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
                break;
            }
            let skip = if name == first { from_partition } else { 0 };
            let (topic, more) = self.page(&name, skip, left);
            // A topic without partitions to show still takes a place, so that a page always ends.
            left -= topic.partitions.len().clamp(1, left);
            response.topics.push(topic);
            if let Some(partition_index) = more {
                response.next_cursor = Some(Cursor { topic_name: name, partition_index });
                break;
            }
        }
        turn.reply(to, response.into());
    }

    /// Up to `limit` partitions of a topic from `skip` on, and the first one left out.
    fn page(
        &self,
        name: &str,
        skip: usize,
        limit: usize,
    ) -> (DescribeTopicPartitionsResponseTopic, Option<i32>) {
        let Some(topic) = self.controller.image().topic(name) else {
            let error_code = match names::refuse(name) {
                Some(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            let name = Some(name.to_string());
            return (DescribeTopicPartitionsResponseTopic { error_code, name, ..Default::default() }, None);
        };
        let until = topic.partitions.len().min(skip.saturating_add(limit));
        let entry = DescribeTopicPartitionsResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: names::is_internal(&topic.name),
            partitions: (skip..until).map(|index| self.page_entry(topic, index)).collect(),
            ..Default::default()
        };
        (entry, (until < topic.partitions.len()).then_some(until as i32))
    }

    fn page_entry(&self, topic: &Topic, index: usize) -> DescribeTopicPartitionsResponsePartition {
        let told = self.partition_entry(topic, index);
        DescribeTopicPartitionsResponsePartition {
            error_code: told.error_code,
            partition_index: told.partition_index,
            leader_id: told.leader_id,
            leader_epoch: told.leader_epoch,
            replica_nodes: told.replica_nodes,
            isr_nodes: told.isr_nodes,
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: told.offline_replicas,
        }
    }
}
