//! Decisions about topics: may it be created, where do its replicas go, may it grow.

use crate::cluster::facts::Fact;
use crate::cluster::image::{Configs, MetadataImage, Topic};
use crate::cluster::names;
use crate::ids::{BrokerId, TopicId};
use crate::wire::error::ErrorCode;

/// Why a decision is refused: the code and a sentence for the person who asked.
pub type Refusal = (ErrorCode, String);

/// A topic that somebody wants.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Replicas by partition, where they were given instead.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its configs, already judged.
    pub configs: Configs,
}

/// Decides a new topic of as many partitions as [`Additions`](super::additions::Additions) has room for (Kafka:
/// `ReplicationControlManager.createTopic`).
pub(super) fn create(
    image: &MetadataImage,
    brokers: &[BrokerId],
    topic: NewTopic,
    id: TopicId,
) -> Result<Fact, Refusal> {
    if let Some(why) = names::refuse(&topic.name) {
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    if image.topic(&topic.name).is_some() {
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{}' already exists.", topic.name)));
    }
    if let Some(other) = image.colliding(&topic.name) {
        let why = format!("Topic '{}' collides with existing topics: {other}", topic.name);
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    let replicas = if topic.assignments.is_empty() {
        let factor = replication_factor(topic.replication_factor, brokers)?;
        place(partition_count(topic.partitions)?, 0, factor, brokers)
    } else {
        given(&topic, brokers)?
    };
    Ok(Fact::TopicCreated { id, name: topic.name, replicas, configs: topic.configs })
}

/// Decides that a topic grows to `count` partitions (Kafka: `ReplicationControlManager.createPartitions`).
pub(super) fn grow(
    topic: &Topic,
    count: i32,
    given: Option<&[Vec<i32>]>,
    brokers: &[BrokerId],
) -> Result<Fact, Refusal> {
    let has = topic.partitions.len();
    let wants = usize::try_from(count).unwrap_or(0);
    let refused = |why: String| Err((ErrorCode::INVALID_PARTITIONS, why));
    if wants == has {
        return refused(format!("Topic already has {has} partition(s)."));
    }
    if wants < has {
        return refused(format!(
            "The topic {} currently has {has} partition(s); {count} would not be an increase.",
            topic.name
        ));
    }
    let replicas = match given {
        None => {
            let factor = topic.partitions[0].replicas.len().min(brokers.len());
            place(wants - has, has, factor, brokers)
        }
        Some(given) if given.len() != wants - has => {
            let why = format!(
                "Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                wants - has,
                given.len()
            );
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why));
        }
        Some(given) => given.iter().map(|r| one_assignment(r, brokers)).collect::<Result<_, _>>()?,
    };
    Ok(Fact::PartitionsAdded { id: topic.id, replicas })
}

fn partition_count(asked: i32) -> Result<usize, Refusal> {
    usize::try_from(asked)
        .ok()
        .filter(|n| *n > 0)
        .ok_or((ErrorCode::INVALID_PARTITIONS, "Number of partitions must be larger than 0.".into()))
}

fn replication_factor(asked: i16, brokers: &[BrokerId]) -> Result<usize, Refusal> {
    let refused = |why: String| Err((ErrorCode::INVALID_REPLICATION_FACTOR, why));
    match usize::try_from(asked) {
        Ok(0) | Err(_) => {
            refused("Replication factor must be larger than 0, or -1 to use the default value.".into())
        }
        Ok(n) if n > brokers.len() => refused(format!(
            "Unable to replicate the partition {n} time(s): only {} broker(s) are registered.",
            brokers.len()
        )),
        Ok(n) => Ok(n),
    }
}

/// Round robin over the brokers, each next partition led by the next broker.
fn place(count: usize, first: usize, factor: usize, brokers: &[BrokerId]) -> Vec<Vec<BrokerId>> {
    let at = |partition: usize, replica: usize| brokers[(first + partition + replica) % brokers.len()];
    (0..count).map(|partition| (0..factor).map(|replica| at(partition, replica)).collect()).collect()
}

fn given(topic: &NewTopic, brokers: &[BrokerId]) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    if topic.partitions != -1 || topic.replication_factor != -1 {
        let why = "A manual partition assignment was specified, but numPartitions or replicationFactor was not set to -1.";
        return Err((ErrorCode::INVALID_REQUEST, why.into()));
    }
    let mut sorted = topic.assignments.clone();
    sorted.sort_by_key(|(partition, _)| *partition);
    if sorted.iter().enumerate().any(|(i, (partition, _))| *partition != i as i32) {
        let why = "Partitions should be a consecutive 0-based integer sequence.";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()));
    }
    let factor = sorted[0].1.len();
    if sorted.iter().any(|(_, replicas)| replicas.len() != factor) {
        let why = "All partitions should have the same number of replicas.";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()));
    }
    sorted.iter().map(|(_, replicas)| one_assignment(replicas, brokers)).collect()
}

fn one_assignment(replicas: &[i32], brokers: &[BrokerId]) -> Result<Vec<BrokerId>, Refusal> {
    let refused = |why: String| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why));
    if replicas.is_empty() {
        return refused("The manual partition assignment includes an empty replica list.".into());
    }
    for (i, id) in replicas.iter().enumerate() {
        if !brokers.contains(&BrokerId(*id)) {
            return refused(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if replicas[..i].contains(id) {
            return refused(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
    }
    Ok(replicas.iter().map(|id| BrokerId(*id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, partitions: i32, factor: i16) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor: factor,
            assignments: Vec::new(),
            configs: Configs::new(),
        }
    }

    fn code(result: Result<Fact, Refusal>) -> ErrorCode {
        result.err().map_or(ErrorCode::NONE, |(code, _)| code)
    }

    const ONE: &[BrokerId] = &[BrokerId(1)];

    #[test]
    fn leaders_go_round_the_brokers() {
        let brokers = [BrokerId(1), BrokerId(2), BrokerId(3)];
        let Ok(Fact::TopicCreated { replicas, .. }) =
            create(&MetadataImage::default(), &brokers, wanted("t", 4, 2), TopicId([1; 16]))
        else {
            panic!("refused")
        };
        let ids: Vec<Vec<i32>> = replicas.iter().map(|r| r.iter().map(|b| b.0).collect()).collect();
        assert_eq!(ids, [[1, 2], [2, 3], [3, 1], [1, 2]]);
    }

    #[test]
    fn a_topic_that_cannot_be_is_refused_with_its_own_code() {
        let mut image = MetadataImage::default();
        image.apply(&create(&image, ONE, wanted("a.b", 1, 1), TopicId([1; 16])).unwrap());
        let ask = |topic| code(create(&image, ONE, topic, TopicId([2; 16])));
        assert_eq!(ask(wanted("a.b", 1, 1)), ErrorCode::TOPIC_ALREADY_EXISTS);
        assert_eq!(ask(wanted("a_b", 1, 1)), ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert_eq!(ask(wanted("c", 0, 1)), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(ask(wanted("c", 1, 2)), ErrorCode::INVALID_REPLICATION_FACTOR);
        let hole = NewTopic { assignments: vec![(0, vec![1]), (2, vec![1])], ..wanted("c", -1, -1) };
        assert_eq!(ask(hole), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        let twice = NewTopic { assignments: vec![(0, vec![1, 1])], ..wanted("c", -1, -1) };
        assert_eq!(ask(twice), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }

    #[test]
    fn partitions_can_only_be_added() {
        let mut image = MetadataImage::default();
        image.apply(&create(&image, ONE, wanted("t", 3, 1), TopicId([1; 16])).unwrap());
        let topic = image.topic("t").unwrap();
        assert_eq!(code(grow(topic, 3, None, ONE)), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(code(grow(topic, -1, None, ONE)), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(code(grow(topic, 5, Some(&[vec![1]]), ONE)), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert_eq!(code(grow(topic, 5, None, ONE)), ErrorCode::NONE);
    }
}
