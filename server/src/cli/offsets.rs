//! Offsets of many partitions: asked of each leader once, by time or as start and end.

use std::collections::BTreeMap;

use quipu_core::client::{Target, TopicPartition};
use quipu_core::ids::BrokerId;
use quipu_core::wire::ErrorCode;
use quipu_core::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use quipu_core::wire::messages::metadata::{MetadataResponse, MetadataResponseTopic};

use super::remote::{Cluster, Failed, told};

/// ListOffsets' timestamp for the end of a log.
pub(crate) const END: i64 = -1;
/// ListOffsets' timestamp for the start of a log.
pub(crate) const START: i64 = -2;

/// What is asked of a partition: its leader, and the timestamp.
pub(crate) type Question = (TopicPartition, BrokerId, i64);

/// The offsets found; -1 for no record of that time or later.
pub(crate) type Offsets = BTreeMap<TopicPartition, Result<i64, ErrorCode>>;

/// Asks each leader for its partitions.
pub(crate) async fn offsets(cluster: &Cluster, questions: &[Question]) -> Result<Offsets, Failed> {
    let mut leaders: BTreeMap<BrokerId, Vec<(&TopicPartition, i64)>> = BTreeMap::new();
    for (of, leader, timestamp) in questions {
        leaders.entry(*leader).or_default().push((of, *timestamp));
    }
    let mut found = Offsets::new();
    for (leader, parts) in leaders {
        let request = ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics: by_topic(&parts) };
        let r: ListOffsetsResponse = cluster.ask(Target::Broker(leader), request).await?;
        for topic in r.topics {
            for part in topic.partitions {
                let answer = if part.error_code.is_err() { Err(part.error_code) } else { Ok(part.offset) };
                found.insert(TopicPartition::new(topic.name.as_str(), part.partition_index), answer);
            }
        }
    }
    Ok(found)
}

fn by_topic(parts: &[(&TopicPartition, i64)]) -> Vec<ListOffsetsTopic> {
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (of, timestamp) in parts {
        topics.entry(&of.topic).or_default().push(ListOffsetsPartition {
            partition_index: of.partition,
            current_leader_epoch: -1,
            timestamp: *timestamp,
        });
    }
    topics
        .into_iter()
        .map(|(name, partitions)| ListOffsetsTopic { name: name.to_string(), partitions })
        .collect()
}

/// A topic of a metadata answer, or why there is none.
pub(crate) fn topic_of<'a>(r: &'a MetadataResponse, name: &str) -> Result<&'a MetadataResponseTopic, Failed> {
    match r.topics.iter().find(|t| t.name.as_deref() == Some(name)) {
        Some(topic) if topic.error_code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            Err(Failed::one(format!(
                "topic {name} does not exist; `quipu topic list` shows those that do, `quipu topic create {name}` makes it"
            )))
        }
        // A topic without a leader for some partition carries that as its own error in old versions.
        Some(topic) if topic.error_code.is_err() && topic.partitions.is_empty() => {
            Err(Failed::one(format!("topic {name}: {}", told(topic.error_code, None))))
        }
        Some(topic) => Ok(topic),
        None => Err(Failed::one(format!("the broker says nothing about topic {name}"))),
    }
}

/// The partitions of a topic that have a leader, each with the same question; and those without.
pub(crate) fn questions(topic: &MetadataResponseTopic, timestamp: i64) -> (Vec<Question>, Vec<i32>) {
    let name: std::sync::Arc<str> = topic.name.as_deref().unwrap_or_default().into();
    let (led, leaderless): (Vec<_>, Vec<_>) = topic.partitions.iter().partition(|p| p.leader_id >= 0);
    let question = |p: &quipu_core::wire::messages::metadata::MetadataResponsePartition| {
        (TopicPartition::new(name.clone(), p.partition_index), BrokerId(p.leader_id), timestamp)
    };
    (led.into_iter().map(question).collect(), leaderless.iter().map(|p| p.partition_index).collect())
}
